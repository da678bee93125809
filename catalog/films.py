"""The catalog of films: an SQLite file, read by id, by title or by filter."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from threading import RLock
from types import TracebackType

from catalog.database import (
    VERSION,
    connect_to_read,
    film_of,
    write_added,
    write_catalog,
    write_removed,
    write_terms,
)
from catalog.errors import DamageError, DataError, NotBuiltError, UnknownFilmError
from catalog.film import TERM_KINDS, Film, FilmTag, FilmTerm
from catalog.film_ids import FilmId
from catalog.filters import Filter
from catalog.genres import match_genres
from catalog.ids import FIRST_ADDED_ID, MAX_ID
from catalog.io.checksums import checksums_path, hold_database
from catalog.io.files import row_errors, sqlite_errors
from catalog.search import TitleSearch
from catalog.titles import title_key

_REMOVED = "removed"
# SQLite has no longer integers.
_MAX_INTEGER = 2**63 - 1
# SQLite's oldest limit on the number of ? in one statement.
_MAX_PARAMETERS = 900


class Catalog:
    """Films by id, title and filter; safe to read from several threads.

    Open it with `Catalog.open`, and close it or use it in a ``with`` statement.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        # SQLite's own lock covers statements, but not the error message that all threads share, nor closing.
        self._lock = RLock()
        self._search = TitleSearch(self._rows, self.films)

    @classmethod
    def create(
        cls,
        path: Path,
        films: Iterable[Film],
        facts: Mapping[str, str],
        added: Iterable[Film] = (),
        tags: Iterable[FilmTag] = (),
        terms: Iterable[FilmTerm] = (),
    ) -> None:
        """Write a new catalog file in place of an earlier one; all movie_ids of `films` and `added` differ."""
        write_catalog(path, films, facts, added, tags, terms)

    @classmethod
    def add(cls, path: Path, films: Iterable[Film], terms: Iterable[FilmTerm] = ()) -> None:
        """Add films with new movie_ids to a catalog file; a catalog that is open stays as it was."""
        write_added(path, films, terms)

    @classmethod
    def set_terms(cls, path: Path, movie_ids: Iterable[int], terms: Iterable[FilmTerm]) -> None:
        """Replace the terms of films, all of which are in the catalog."""
        write_terms(path, movie_ids, terms)

    @classmethod
    def remove(cls, path: Path, movie_ids: Iterable[int]) -> None:
        """Remove films from a catalog file, which is not written if it has none of them."""
        with cls.open(path, check_ids=False) as catalog:
            present = list(catalog.films(movie_ids))
        if present:
            write_removed(path, present, _REMOVED)

    @classmethod
    def open(cls, path: Path, *, check_ids: bool = True) -> Catalog:
        """Open a catalog file for reading; DamageError if it is not as it was written.

        DataError where a film has an id above `MAX_ID`, as `check_ids` demands.
        """
        if not path.is_file():
            if path.exists() or checksums_path(path).exists():
                raise DamageError(f"{path} is missing; put it back, or run `keyart load DIR` again")
            raise NotBuiltError(
                f"no films here yet ({path} is missing); run `keyart load DIR` or `keyart load films.csv`"
            )
        with sqlite_errors(path), ExitStack() as on_failure:
            connection = connect_to_read(path)
            on_failure.callback(connection.close)
            hold_database(path, connection)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != VERSION:
                raise DataError(
                    f"{path} is a catalog of version {version}, this keyart reads version {VERSION}; "
                    "run `keyart load DIR` again"
                )
            if check_ids:
                _check_ids(path, connection)
            on_failure.pop_all()
        return cls(path, connection)

    def __enter__(self) -> Catalog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def __len__(self) -> int:
        return int(self._rows("SELECT count(*) FROM films")[0][0])

    def __iter__(self) -> Iterator[Film]:
        return iter(self._films_in(self._rows("SELECT * FROM films ORDER BY movie_id")))

    def fact(self, name: str) -> str | None:
        """Return a fact about the whole catalog, such as its ``source``; None if it is unknown."""
        rows = self._rows("SELECT value FROM facts WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else None

    def film(self, movie_id: int) -> Film:
        """Return one film; UnknownFilmError if no film has this id."""
        result = self.films([movie_id])
        if not result:
            raise UnknownFilmError(f"no film has the movie_id {movie_id}; this catalog holds {len(self)} films")
        return result[movie_id]

    def films(self, movie_ids: Iterable[int]) -> dict[int, Film]:
        """Return films by movie_id; unknown ids are left out."""
        return {film.movie_id: film for film in self._films_in(self._rows_of(movie_ids))}

    def best_known(self) -> list[int]:
        """Return all movie_ids, those with most ratings first; ties by movie_id."""
        return [movie_id for (movie_id,) in self._rows("SELECT movie_id FROM films ORDER BY n_ratings DESC, movie_id")]

    def added(self) -> list[Film]:
        """Return the films that were added to those of MovieLens, by movie_id."""
        if not self._has("added"):
            return []
        return self._films_in(self._rows("SELECT films.* FROM films JOIN added USING (movie_id) ORDER BY 1"))

    def removed(self) -> frozenset[int]:
        """Return the films with ratings that were removed since the ratings were loaded."""
        return frozenset(map(int, (self.fact(_REMOVED) or "").split()))

    def free_ids(self, reserved: Collection[int] = ()) -> Iterator[int]:
        """Yield movie_ids for films to be added: above those added before as far as there are any, then between them.

        `reserved` are left out, and so is any id of a film that was loaded.
        """
        rows = self._rows("SELECT movie_id FROM films WHERE movie_id >= ?", (FIRST_ADDED_ID,))
        taken = {*reserved, *(movie_id for (movie_id,) in rows)}
        last = max((film.movie_id for film in self.added()), default=0)
        first = min(max(last + 1, FIRST_ADDED_ID), MAX_ID + 1)
        numbers = chain(range(first, MAX_ID + 1), range(FIRST_ADDED_ID, first))
        return (number for number in numbers if number not in taken)

    def tags(self) -> list[FilmTag]:
        """Return the tags of all films, by movie_id and tag; empty if the films came without tags."""
        if not self._has("tags"):
            return []
        return [FilmTag(*row) for row in self._rows("SELECT movie_id, tag, n_users FROM tags ORDER BY 1, 2")]

    def tags_of(self, movie_id: int, k: int) -> list[str]:
        """Return the tags of a film that most users gave; ties in alphabetical order."""
        if not self._has("tags"):
            return []
        statement = "SELECT tag FROM tags WHERE movie_id = ? ORDER BY n_users DESC, tag LIMIT ?"
        return [tag for (tag,) in self._rows(statement, (movie_id, k))]

    def terms(self) -> list[FilmTerm]:
        """Return directors, cast and keywords of all films, by movie_id, kind and term; empty if none were loaded."""
        if not self._has("terms"):
            return []
        rows = self._rows("SELECT movie_id, kind, term FROM terms ORDER BY 1, 2, 3")
        return [FilmTerm(*row) for row in rows if row[1] in TERM_KINDS]

    def duplicates_of(self, title: str, year: int | None, tmdb_id: int | None, imdb_id: str | None) -> list[Film]:
        """Return the films with one of these ids or with this title, in any spelling, and year; None equals None."""
        rows = self._rows(
            "SELECT * FROM films WHERE tmdb_id = ? OR imdb_id = ? OR year IS ? AND movie_id IN "
            "(SELECT movie_id FROM titles WHERE key = ? AND NOT alternative) ORDER BY movie_id",
            (tmdb_id, imdb_id, year, title_key(title)),
        )
        return self._films_in(rows)

    def movie_ids(self, wanted: Filter) -> set[int]:
        """Return the ids of the films that pass a filter; ConfigError if it names an unknown genre."""
        if wanted.genres:
            match_genres(wanted.genres, self.genres())
        clause, values = _condition(wanted)
        matches = {movie_id for (movie_id,) in self._rows(f"SELECT movie_id FROM films WHERE {clause}", values)}
        return matches if wanted.movie_ids is None else matches.intersection(wanted.movie_ids)

    def id_kinds(self) -> tuple[str, ...]:
        """Return which ids any film has beside its movie_id: "imdb", "tmdb"."""
        exists = "SELECT EXISTS (SELECT 1 FROM films WHERE {}_id IS NOT NULL)"
        return tuple(kind for kind in ("imdb", "tmdb") if self._rows(exists.format(kind))[0][0])

    def with_ids(self, film_ids: Iterable[FilmId]) -> tuple[frozenset[int], tuple[FilmId, ...]]:
        """Return the movie_ids of the films that have some of these ids, and the ids that no film has."""
        matches = {film_id: [film.movie_id for film in self._search.of_id(film_id)] for film_id in film_ids}
        unknown = tuple(film_id for film_id, movie_ids in matches.items() if not movie_ids)
        return frozenset(movie_id for movie_ids in matches.values() for movie_id in movie_ids), unknown

    def genres(self) -> tuple[str, ...]:
        """Return the genres of all films in alphabetical order."""
        rows = self._rows("SELECT DISTINCT genres FROM films")
        return tuple(sorted({genre for (genres,) in rows for genre in genres.split("|") if genre}))

    def find(self, text: str) -> Film:
        """Return the one film that a text such as "heat", "Matrix, The (1999)", "amelie 2001" or "tt0113277" means.

        The first of these that matches wins: an id (`catalog.film_ids.parse_film_id`), a title, an alternative title,
        a title without its article. A year in the text has to agree. AmbiguousFilmError and UnknownFilmError list the
        films that come near.
        """
        return self._search.find(text)

    def suggest(self, text: str, k: int = 5) -> list[Film]:
        """Return at most k films that an incomplete title may mean.

        Titles that contain its words or begin like them come first, the best known film first; then similar spellings.
        An IMDb or TMDB id means its films alone.
        """
        return self._search.suggest(text, k)

    def named_by(self, text: str, films: Sequence[Film]) -> frozenset[int]:
        """Return the movie_ids of those films that a text names, by an id, by initials or by words of a title.

        A misspelled word counts, and so does the beginning of the last one. Of what `suggest` returns, the others are
        only spelled somewhat like the text.
        """
        return self._search.named_by(text, films)

    def titled_by_number(self, text: str) -> tuple[Film, ...]:
        """Return the films titled with a number, such as "300", that `find` reads as a movie_id."""
        return self._search.titled_by_number(text)

    def others_meant(self, text: str) -> tuple[Film, ...]:
        """Return the other films with the title of the one that `find` returns, unless the text decides by a year.

        "ocean's 11" is another title of the film of 1960 alone, though that of 2001 is "Ocean's Eleven" too.
        """
        return self._search.others_meant(text)

    def inconsistency(self) -> str | None:
        """Return what does not fit in the catalog, by SQLite's own check and by the ids of its tables."""
        (result,) = self._rows("PRAGMA integrity_check(1)")[0]
        if result != "ok":
            return str(result)
        for table in filter(self._has, ("titles", "added", "tags", "terms")):
            if self._rows(f"SELECT 1 FROM {table} WHERE movie_id NOT IN (SELECT movie_id FROM films) LIMIT 1"):
                return f"its table {table} names films that it lacks"
        return None

    def _has(self, table: str) -> bool:
        return bool(self._rows("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)))

    def _rows_of(self, movie_ids: Iterable[int]) -> Iterator[tuple]:  # type: ignore[type-arg]
        wanted = [number for number in dict.fromkeys(map(int, movie_ids)) if abs(number) <= _MAX_INTEGER]
        for start in range(0, len(wanted), _MAX_PARAMETERS):
            part = wanted[start : start + _MAX_PARAMETERS]
            marks = ",".join("?" * len(part))
            yield from self._rows(f"SELECT * FROM films WHERE movie_id IN ({marks})", part)

    def _films_in(self, rows: Iterable[tuple]) -> list[Film]:  # type: ignore[type-arg]
        with row_errors(self._path):
            return [film_of(row) for row in rows]

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple]:  # type: ignore[type-arg]
        with self._lock, sqlite_errors(self._path):
            return self._connection.execute(statement, values).fetchall()


def _check_ids(path: Path, connection: sqlite3.Connection) -> None:
    """Raise DataError where an earlier version added a film with an id that no other part can hold."""
    last = connection.execute("SELECT max(movie_id) FROM films").fetchone()[0]
    if last is not None and last > MAX_ID:
        raise DataError(
            f"{path} holds the film {last}, whose movie_id is above {MAX_ID:,}, which no other part can hold; run "
            f"`keyart remove {last}`, and add it again"
        )


def _condition(wanted: Filter) -> tuple[str, list[object]]:
    """Return the conditions of a filter on the table ``films``, except its `movie_ids`, and their parameters."""
    clauses: list[str] = ["n_ratings >= ?"]
    values: list[object] = [wanted.min_ratings]
    for sign, year in zip((">=", "<="), wanted.years, strict=True):
        if year is not None:
            clauses.append(f"year {sign} ?")
            values.append(year)
    if wanted.genres:
        clauses.append("(" + " OR ".join(["instr('|' || lower(genres) || '|', ?)"] * len(wanted.genres)) + ")")
        values += [f"|{genre.lower()}|" for genre in wanted.genres]
    return " AND ".join(clauses), values
