"""The catalog: an SQLite file of films, looked up by id or by what a person types.

Owns ``catalog.sqlite``: one row a film, one row for each of its titles, which films were added to those of MovieLens,
what users tagged films with, and a few facts about the whole (where the films came from, which ratings file belongs to
them). It is written whole, under a temporary name, so that a load that fails leaves the catalog that was there. May
import `catalog` only.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType

from catalog.errors import DataError, NotBuiltError, UnknownFilmError
from catalog.film import Film, FilmTag
from catalog.filters import Filter
from catalog.genres import match_genres
from catalog.io.files import atomic_path, sqlite_errors
from catalog.search import TitleSearch
from catalog.titles import bare_key, title_key

FIRST_ADDED_ID = 1_000_000_001
"""Films that are added get numbers from here on, which MovieLens does not reach for as long as it counts films."""

_VERSION = 1
# SQLite's oldest bound on the number of ? in one statement.
_N_PARAMETERS = 900

_SCHEMA = f"""
PRAGMA user_version = {_VERSION};
CREATE TABLE films (
    movie_id INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    year INTEGER,
    imdb_id TEXT,
    tmdb_id INTEGER,
    genres TEXT NOT NULL,
    alternative_titles TEXT NOT NULL,
    n_ratings INTEGER NOT NULL,
    mean_rating REAL
);
CREATE TABLE titles (
    movie_id INTEGER NOT NULL REFERENCES films,
    key TEXT NOT NULL,
    bare_key TEXT NOT NULL,
    alternative INTEGER NOT NULL
);
CREATE INDEX titles_by_key ON titles (key);
CREATE INDEX titles_by_bare_key ON titles (bare_key);
CREATE INDEX titles_by_closed_key ON titles (replace(key, ' ', ''));
CREATE INDEX titles_by_closed_bare_key ON titles (replace(bare_key, ' ', ''));
CREATE INDEX films_by_imdb ON films (imdb_id);
CREATE INDEX films_by_tmdb ON films (tmdb_id);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
# Apart from the rest, so that a catalog of before there were added films is read, and added to, like any other.
_ADDED = "CREATE TABLE IF NOT EXISTS added (movie_id INTEGER PRIMARY KEY REFERENCES films)"
# Apart for the same reason: a catalog of before tags were loaded has none.
_TAGS = """CREATE TABLE tags (
    movie_id INTEGER NOT NULL REFERENCES films,
    tag TEXT NOT NULL,
    n_users INTEGER NOT NULL,
    PRIMARY KEY (movie_id, tag)
) WITHOUT ROWID"""


class Catalog:
    """Films by id and by title, from one SQLite file; open it with `Catalog.open`.

    Parameters
    ----------
    path : Path
        The file, for messages.
    connection : sqlite3.Connection
        An open connection to it; `close` closes it.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._search = TitleSearch(self._rows, self.films)

    @classmethod
    def create(
        cls,
        path: Path,
        films: Iterable[Film],
        facts: Mapping[str, str],
        added: Iterable[Film] = (),
        tags: Iterable[FilmTag] = (),
    ) -> None:
        """Write a whole catalog, in place of the one that was there.

        Parameters
        ----------
        path : Path
            Where the file shall stand.
        films : iterable of Film
            The films of MovieLens.
        facts : mapping of str to str
            What else is known of the whole, such as where it came from.
        added : iterable of Film, optional
            Films beside those of MovieLens. All movie_ids differ.
        tags : iterable of FilmTag, optional
            Of these films, each once.

        Raises
        ------
        StoreError
            The file cannot be written; the earlier catalog is untouched.
        """
        with _writing(path) as connection:
            connection.executescript(_SCHEMA)
            _insert_films(connection, films)
            _insert_added(connection, added)
            connection.execute(_TAGS)
            rows = ((tag.movie_id, tag.tag, tag.n_users) for tag in tags)
            connection.executemany("INSERT INTO tags VALUES (?, ?, ?)", rows)
            connection.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())

    @classmethod
    def add(cls, path: Path, films: Iterable[Film]) -> None:
        """Add films to a catalog; whoever has it open keeps it as it was.

        Parameters
        ----------
        path : Path
            The file that `create` wrote.
        films : iterable of Film
            Films with movie_ids that are not there.

        Raises
        ------
        StoreError
            The file cannot be written; the catalog is untouched.
        """
        with _writing(path, path) as connection:
            _insert_added(connection, films)

    @classmethod
    def open(cls, path: Path) -> Catalog:
        """Open a catalog for reading.

        Parameters
        ----------
        path : Path
            The file that `create` wrote.

        Returns
        -------
        Catalog
            The catalog; it may be read from several threads.

        Raises
        ------
        NotBuiltError
            There is no such file.
        DataError
            It is not a catalog of this version.
        """
        if not path.is_file():
            raise NotBuiltError(f"no films here yet ({path} is missing); run `keyart load DIR` on a MovieLens folder")
        with sqlite_errors(path), ExitStack() as on_failure:
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
            on_failure.callback(connection.close)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != _VERSION:
                raise DataError(
                    f"{path} is a catalog of version {version}, this keyart reads version {_VERSION}; "
                    "run `keyart load DIR` again"
                )
            on_failure.pop_all()
        return cls(path, connection)

    def __enter__(self) -> Catalog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __len__(self) -> int:
        return int(self._rows("SELECT count(*) FROM films")[0][0])

    def __iter__(self) -> Iterator[Film]:
        return (_film(row) for row in self._rows("SELECT * FROM films ORDER BY movie_id"))

    def fact(self, name: str) -> str | None:
        """Tell one fact about the whole catalog.

        Parameters
        ----------
        name : str
            The name it was written under.

        Returns
        -------
        str or None
            None where nothing is known under that name.
        """
        rows = self._rows("SELECT value FROM facts WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else None

    def film(self, movie_id: int) -> Film:
        """Look one film up by its id.

        Parameters
        ----------
        movie_id : int
            MovieLens' number.

        Returns
        -------
        Film
            The film.

        Raises
        ------
        UnknownFilmError
            No film has this id.
        """
        found = self.films([movie_id])
        if not found:
            raise UnknownFilmError(f"no film has the movie_id {movie_id}; this catalog holds {len(self)} films")
        return found[movie_id]

    def films(self, movie_ids: Iterable[int]) -> dict[int, Film]:
        """Look films up by their ids.

        Parameters
        ----------
        movie_ids : iterable of int
            Any number of ids.

        Returns
        -------
        dict of int to Film
            The films that exist, by id.
        """
        wanted = list(dict.fromkeys(int(movie_id) for movie_id in movie_ids))
        found: dict[int, Film] = {}
        for start in range(0, len(wanted), _N_PARAMETERS):
            part = wanted[start : start + _N_PARAMETERS]
            marks = ",".join("?" * len(part))
            rows = self._rows(f"SELECT * FROM films WHERE movie_id IN ({marks})", part)
            found.update({film.movie_id: film for film in map(_film, rows)})
        return found

    def added(self) -> list[Film]:
        """List the films that were added to those of MovieLens.

        Returns
        -------
        list of Film
            By movie_id.
        """
        if not self._has("added"):
            return []
        return [_film(row) for row in self._rows("SELECT films.* FROM films JOIN added USING (movie_id) ORDER BY 1")]

    def tags(self) -> list[FilmTag]:
        """List what users tagged films with.

        Returns
        -------
        list of FilmTag
            By movie_id, then by tag; empty where the films came without tags.
        """
        if not self._has("tags"):
            return []
        return [FilmTag(*row) for row in self._rows("SELECT movie_id, tag, n_users FROM tags ORDER BY 1, 2")]

    def duplicates_of(self, title: str, year: int | None, tmdb_id: int | None, imdb_id: str | None) -> list[Film]:
        """List the films that are one with a film: of its title and year, or of a number that only it should have.

        Parameters
        ----------
        title : str
            In any spelling.
        year : int or None
            Of release; None is the same as None only.
        tmdb_id : int or None
            TMDB's number, where known.
        imdb_id : str or None
            IMDb's, where known.

        Returns
        -------
        list of Film
            By movie_id.
        """
        rows = self._rows(
            "SELECT * FROM films WHERE tmdb_id = ? OR imdb_id = ? OR year IS ? AND movie_id IN "
            "(SELECT movie_id FROM titles WHERE key = ? AND NOT alternative) ORDER BY movie_id",
            (tmdb_id, imdb_id, year, title_key(title)),
        )
        return [_film(row) for row in rows]

    def movie_ids(self, wanted: Filter) -> set[int]:
        """List the films that pass a filter.

        Parameters
        ----------
        wanted : Filter
            The choice.

        Returns
        -------
        set of int
            Their movie_ids.

        Raises
        ------
        ConfigError
            No film of this catalog is of a genre that the filter names.
        """
        match_genres(wanted.genres, self.genres())
        clause, values = _condition(wanted)
        found = {movie_id for (movie_id,) in self._rows(f"SELECT movie_id FROM films WHERE {clause}", values)}
        return found if wanted.movie_ids is None else found.intersection(wanted.movie_ids)

    def genres(self) -> tuple[str, ...]:
        """List the genres of all films.

        Returns
        -------
        tuple of str
            In alphabetical order.
        """
        rows = self._rows("SELECT DISTINCT genres FROM films")
        return tuple(sorted({genre for (genres,) in rows for genre in genres.split("|") if genre}))

    def find(self, text: str) -> Film:
        """Find the one film that a person means.

        Tried in this order, the first that answers wins: a movie_id; a title; an alternative title; a title without
        its article. The year, where it is given, must agree.

        Parameters
        ----------
        text : str
            Such as ``"heat"``, ``"Matrix, The (1999)"``, ``"amelie 2001"`` or ``"6"``.

        Returns
        -------
        Film
            The film.

        Raises
        ------
        AmbiguousFilmError
            Several films answer; the message lists them with their ids.
        UnknownFilmError
            None does; the message lists the nearest titles.
        """
        return self._search.find(text)

    def suggest(self, text: str, k: int = 5) -> list[Film]:
        """List the films that a person who has typed so much of a title may mean.

        Parameters
        ----------
        text : str
            A title, its beginning or some of its words, with or without the year.
        k : int, default 5
            How many films at most.

        Returns
        -------
        list of Film
            Titles that hold the words or begin like them, the best known first; then those spelt alike.
        """
        return self._search.suggest(text, k)

    def titled_by_number(self, text: str) -> tuple[Film, ...]:
        """Tell which films are *titled* with a number that `find` reads as a movie_id.

        Parameters
        ----------
        text : str
            What a person typed, such as ``"300"``.

        Returns
        -------
        tuple of Film
            The films with that title; empty where the text is no number.
        """
        return self._search.titled_by_number(text)

    def _has(self, table: str) -> bool:
        return bool(self._rows("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)))

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple]:  # type: ignore[type-arg]
        with sqlite_errors(self._path):
            return self._connection.execute(statement, values).fetchall()


@contextmanager
def _writing(path: Path, earlier: Path | None = None) -> Iterator[sqlite3.Connection]:
    """Give a connection to a file that takes the place of a catalog once all is written: an empty one, or a copy."""
    with atomic_path(path) as temporary_path, sqlite_errors(path):
        if earlier:
            shutil.copyfile(earlier, temporary_path)
        with closing(sqlite3.connect(temporary_path)) as connection, connection:
            yield connection


def _insert_added(connection: sqlite3.Connection, films: Iterable[Film]) -> None:
    listed = list(films)
    connection.execute(_ADDED)
    _insert_films(connection, listed)
    connection.executemany("INSERT INTO added VALUES (?)", [(film.movie_id,) for film in listed])


def _insert_films(connection: sqlite3.Connection, films: Iterable[Film]) -> None:
    for film in films:
        row = (
            film.movie_id,
            film.title,
            film.year,
            film.imdb_id,
            film.tmdb_id,
            "|".join(film.genres),
            json.dumps(film.alternative_titles, ensure_ascii=False),
            film.n_ratings,
            film.mean_rating,
        )
        connection.execute("INSERT INTO films VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        for alternative, title in enumerate((film.title, *film.alternative_titles)):
            key = title_key(title)
            title_row = (film.movie_id, key, bare_key(key), int(alternative > 0))
            connection.execute("INSERT INTO titles VALUES (?, ?, ?, ?)", title_row)


def _condition(wanted: Filter) -> tuple[str, list[object]]:
    """Return a filter but for its `movie_ids` as a condition on the table ``films``, and the parameters of that."""
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


def _film(row: tuple) -> Film:  # type: ignore[type-arg]
    movie_id, title, year, imdb_id, tmdb_id, genres, alternative_titles, n_ratings, mean_rating = row
    return Film(
        movie_id,
        title,
        year,
        imdb_id,
        tmdb_id,
        tuple(filter(None, genres.split("|"))),
        tuple(json.loads(alternative_titles)),
        n_ratings,
        mean_rating,
    )
