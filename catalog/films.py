"""The catalogue: an SQLite file of films, looked up by id or by what a person types.

Owns ``catalog.sqlite``: one row a film, one row for each of its titles, which films were added to those of MovieLens,
what users tagged films with, and a few facts about the whole (where the films came from, which ratings file belongs to
them). It is written whole, under a temporary name, so that a load that fails leaves the catalogue that was there. May
import `catalog` only.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from catalog.errors import AmbiguousFilmError, DataError, NotBuiltError, UnknownFilmError
from catalog.filters import Filter
from catalog.genres import spelt_as_known
from catalog.storage import atomic_path, sqlite_errors
from catalog.titles import bare_key, parse_title, split_bare_year, title_key

FIRST_ADDED_ID = 1_000_000_001
"""Films that are added get numbers from here on, which MovieLens does not reach for as long as it counts films."""

_VERSION = 1
_N_SUGGESTIONS = 5
_N_LISTED = 20
_N_ALIKE = 15
# The least likeness of spelling, of 100, that is worth suggesting: of a whole title, and of a part of one, which is
# worth a little less and asks for a text that is not too short.
_ALIKE, _PART_ALIKE, _PART_WORTH, _LONG_ENOUGH = 60, 85, 0.9, 5
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
# Apart from the rest, so that a catalogue of before there were added films is read, and added to, like any other.
_ADDED = "CREATE TABLE IF NOT EXISTS added (movie_id INTEGER PRIMARY KEY REFERENCES films)"
# Apart for the same reason: a catalogue of before tags were loaded has none.
_TAGS = """CREATE TABLE tags (
    movie_id INTEGER NOT NULL REFERENCES films,
    tag TEXT NOT NULL,
    n_users INTEGER NOT NULL,
    PRIMARY KEY (movie_id, tag)
) WITHOUT ROWID"""


@dataclass(frozen=True)
class Film:
    """One film.

    Parameters
    ----------
    movie_id : int
        MovieLens' number.
    title : str
        As a reader expects it: "The Matrix".
    year : int or None
        The year of release, where known.
    imdb_id : str or None
        Zero-padded to seven digits or more, without ``tt``.
    tmdb_id : int or None
        TMDB's number.
    genres : tuple of str
        Empty where none is listed.
    alternative_titles : tuple of str
        Other titles, article first.
    n_ratings : int
        The film's support: how many users rated it.
    mean_rating : float or None
        Their mean, in stars; None without ratings.
    """

    movie_id: int
    title: str
    year: int | None = None
    imdb_id: str | None = None
    tmdb_id: int | None = None
    genres: tuple[str, ...] = ()
    alternative_titles: tuple[str, ...] = ()
    n_ratings: int = 0
    mean_rating: float | None = None

    @property
    def label(self) -> str:
        """Title and year as people write them: "Heat (1995)"."""
        return f"{self.title} ({self.year})" if self.year else self.title


@dataclass(frozen=True)
class FilmTag:
    """A word or two that users tagged a film with.

    Parameters
    ----------
    movie_id : int
        The film.
    tag : str
        In lower case: users do not agree on capitals.
    n_users : int
        How many users chose it.
    """

    movie_id: int
    tag: str
    n_users: int


class Catalogue:
    """Films by id and by title, from one SQLite file; open it with `Catalogue.open`.

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

    @classmethod
    def create(
        cls,
        path: Path,
        films: Iterable[Film],
        facts: Mapping[str, str],
        added: Iterable[Film] = (),
        tags: Iterable[FilmTag] = (),
    ) -> None:
        """Write a whole catalogue, in place of the one that was there.

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
            The file cannot be written; the earlier catalogue is untouched.
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
        """Add films to a catalogue; whoever has it open keeps it as it was.

        Parameters
        ----------
        path : Path
            The file that `create` wrote.
        films : iterable of Film
            Films with movie_ids that are not there.

        Raises
        ------
        StoreError
            The file cannot be written; the catalogue is untouched.
        """
        with _writing(path, path) as connection:
            _insert_added(connection, films)

    @classmethod
    def open(cls, path: Path) -> Catalogue:
        """Open a catalogue for reading.

        Parameters
        ----------
        path : Path
            The file that `create` wrote.

        Returns
        -------
        Catalogue
            The catalogue; it may be read from several threads.

        Raises
        ------
        NotBuiltError
            There is no such file.
        DataError
            It is not a catalogue of this version.
        """
        if not path.is_file():
            raise NotBuiltError(f"no films here yet ({path} is missing); run `keyart load DIR` on a MovieLens folder")
        with sqlite_errors(path), ExitStack() as on_failure:
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
            on_failure.callback(connection.close)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != _VERSION:
                raise DataError(
                    f"{path} is a catalogue of version {version}, this keyart reads version {_VERSION}; "
                    "run `keyart load DIR` again"
                )
            on_failure.pop_all()
        return cls(path, connection)

    def __enter__(self) -> Catalogue:
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
        """Tell one fact about the whole catalogue.

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
            raise UnknownFilmError(f"no film has the movie_id {movie_id}; this catalogue holds {len(self)} films")
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

    def same_as(self, title: str, year: int | None, tmdb_id: int | None, imdb_id: str | None) -> list[Film]:
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
            No film of this catalogue is of a genre that the filter names.
        """
        spelt_as_known(wanted.genres, self.genres())
        clause, values = wanted.as_sql()
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
        # A command line hands over bytes that are no UTF-8 as lone surrogates, which SQLite refuses.
        text = text.encode("utf-8", "replace").decode().strip()
        if not text:
            raise UnknownFilmError("no film is named; give a title such as 'Heat (1995)' or a movie_id")
        if text.isascii() and text.isdigit() and len(text) <= 10 and (film := self.films([int(text)])):
            return film[int(text)]
        matches = self._matches(text)
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise _ambiguous(text, matches)
        raise self._unknown(text)

    def suggest(self, text: str, k: int = _N_SUGGESTIONS) -> list[Film]:
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
        text = text.encode("utf-8", "replace").decode().strip()
        return self._nearest(text, k) if text else []

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
        return tuple(self._matches(text.strip())) if text.strip().isdigit() else ()

    def _has(self, table: str) -> bool:
        return bool(self._rows("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)))

    def _matches(self, text: str) -> list[Film]:
        for title, year in _readings(text):
            key = title_key(title)
            for column, wanted in _spellings(key):
                for alternative in (0, 1):
                    rows = self._rows(
                        "SELECT DISTINCT films.* FROM films JOIN titles USING (movie_id) "
                        f"WHERE {column} = ? AND alternative = ? AND (? IS NULL OR year = ?) "
                        "ORDER BY movie_id",
                        (wanted, alternative, year, year),
                    )
                    if rows:
                        return [_film(row) for row in rows]
        return []

    def _unknown(self, text: str) -> UnknownFilmError:
        suggestions = self._nearest(text)
        hint = f"; did you mean {_listed(suggestions)}?" if suggestions else ""
        if text.isdigit():
            hint = f", and none has that movie_id{hint}"
        return UnknownFilmError(f"no film is titled {text!r}{hint}", tuple(film.label for film in suggestions))

    def _nearest(self, text: str, k: int = _N_SUGGESTIONS) -> list[Film]:
        """Find what the text may have meant: titles that hold its words or begin like it, then those spelt alike."""
        # Imported here: only a miss needs it.
        from rapidfuzz import fuzz, process

        title, year = _readings(text)[-1]
        wanted = bare_key(title_key(title))
        titles = self._rows("SELECT bare_key, movie_id FROM titles")
        movie_ids = [film.movie_id for film in self._best_known(_holding(titles, wanted), wanted, year)]
        if len(movie_ids) < k:
            keys = [key for key, _ in titles]
            alike = process.extract(wanted, keys, scorer=fuzz.ratio, limit=_N_ALIKE, score_cutoff=_ALIKE)
            # A part of a longer title, such as "harry poter"; a short text is part of anything.
            longer = {row: key for row, key in enumerate(keys) if len(key) > len(wanted) >= _LONG_ENOUGH}
            part = process.extract(wanted, longer, scorer=fuzz.partial_ratio, limit=_N_ALIKE, score_cutoff=_PART_ALIKE)
            alike += [(key, _PART_WORTH * score, row) for key, score, row in part]
            support = {
                film.movie_id: film.n_ratings for film in self.films(titles[row][1] for _, _, row in alike).values()
            }
            alike.sort(key=lambda match: (-match[1], -support[titles[match[2]][1]]))
            movie_ids += [titles[row][1] for _, _, row in alike]
        nearest = list(dict.fromkeys(movie_ids))[:k]
        films = self.films(nearest)
        return [films[movie_id] for movie_id in nearest]

    def _best_known(self, movie_ids: list[int], wanted: str, year: int | None) -> list[Film]:
        """Put first who bears just this title, then who is of this year, then whom most people know."""
        films = self.films(movie_ids).values()
        return sorted(
            films,
            key=lambda film: (
                bare_key(title_key(film.title)) != wanted,
                film.year != year,
                -film.n_ratings,
                film.movie_id,
            ),
        )

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple]:  # type: ignore[type-arg]
        with sqlite_errors(self._path):
            return self._connection.execute(statement, values).fetchall()


def _readings(text: str) -> list[tuple[str, int | None]]:
    """List the ways to read a text as title and year: "Blade Runner 2049" is a title before it is a year."""
    parsed = parse_title(text)
    readings: list[tuple[str, int | None]] = [(text, None), (parsed.title, parsed.year)]
    if parsed.year is None and (split := split_bare_year(text)):
        readings.append((parse_title(split[0]).title, split[1]))
    return readings


def _holding(titles: list[tuple[str, int]], wanted: str) -> list[int]:
    """Name the films with a title that holds all words of a text, or begins like it."""
    words, closed = [f" {word} " for word in wanted.split()], wanted.replace(" ", "")
    # Most titles lack the first word, and are passed over for one look.
    return [
        movie_id
        for key, movie_id in titles
        if words
        and (
            (words[0] in f" {key} " and all(word in f" {key} " for word in words))
            or key.replace(" ", "").startswith(closed)
        )
    ]


def _spellings(key: str) -> list[tuple[str, str]]:
    """List what a key may stand for, surest first: with its article or without, and written together or apart."""
    bare = bare_key(key)
    # "la confidential" is "L.A. Confidential", "walle" is "WALL·E".
    closed, closed_bare = key.replace(" ", ""), bare.replace(" ", "")
    together = [("replace(key, ' ', '')", closed), ("replace(bare_key, ' ', '')", closed_bare)]
    return [("key", key), ("bare_key", bare), *together]


def _ambiguous(text: str, films: list[Film]) -> AmbiguousFilmError:
    message = f"{len(films)} films are titled {text!r}: {_listed(films)}; name one by its movie_id"
    return AmbiguousFilmError(message, tuple(film.label for film in films))


def _listed(films: list[Film]) -> str:
    names = [f"{film.label} [{film.movie_id}]" for film in films[:_N_LISTED]]
    if len(films) > _N_LISTED:
        names.append(f"and {len(films) - _N_LISTED} more")
    return ", ".join(names)


@contextmanager
def _writing(path: Path, earlier: Path | None = None) -> Iterator[sqlite3.Connection]:
    """Give a connection to a file that takes the place of a catalogue once all is written: an empty one, or a copy."""
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
