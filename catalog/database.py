"""The tables of ``catalog.sqlite``, and how films are written to them.

One row per film and one per title, which films were added to those of MovieLens, what users tagged films with, who made
and plays in them, and facts about the whole catalog. The file is written whole under a temporary name: a load that
fails leaves the earlier catalog.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from catalog.film import Film, FilmTag, FilmTerm
from catalog.io.checksums import hold_database, identify, replacing
from catalog.io.files import atomic_path, check_regular, parse_json, sqlite_errors
from catalog.titles import bare_key, title_key

VERSION = 1

_SCHEMA = f"""
PRAGMA user_version = {VERSION};
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
# Not in the schema: catalogs written before films could be added lack this table, and can still be read and added to.
_ADDED = "CREATE TABLE IF NOT EXISTS added (movie_id INTEGER PRIMARY KEY REFERENCES films)"
# Not in the schema for the same reason: catalogs written before tags were loaded lack this table.
_TAGS = """CREATE TABLE tags (
    movie_id INTEGER NOT NULL REFERENCES films,
    tag TEXT NOT NULL,
    n_users INTEGER NOT NULL,
    PRIMARY KEY (movie_id, tag)
) WITHOUT ROWID"""
# Likewise.
_TERMS = """CREATE TABLE IF NOT EXISTS terms (
    movie_id INTEGER NOT NULL REFERENCES films,
    kind TEXT NOT NULL,
    term TEXT NOT NULL,
    PRIMARY KEY (movie_id, kind, term)
) WITHOUT ROWID"""


def write_catalog(
    path: Path,
    films: Iterable[Film],
    facts: Mapping[str, str],
    added: Iterable[Film],
    tags: Iterable[FilmTag],
    terms: Iterable[FilmTerm],
) -> None:
    """Write a new catalog file in place of an earlier one."""
    with _replacing(path) as connection:
        connection.executescript(_SCHEMA)
        _insert_films(connection, films)
        _insert_added(connection, added)
        connection.execute(_TAGS)
        rows = ((tag.movie_id, tag.tag, tag.n_users) for tag in tags)
        connection.executemany("INSERT INTO tags VALUES (?, ?, ?)", rows)
        _insert_terms(connection, terms)
        connection.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())


def write_added(path: Path, films: Iterable[Film], terms: Iterable[FilmTerm]) -> None:
    """Replace a catalog file by a copy with more films."""
    with _replacing(path, copy=True) as connection:
        _insert_added(connection, films)
        _insert_terms(connection, terms)


def write_terms(path: Path, movie_ids: Iterable[int], terms: Iterable[FilmTerm]) -> None:
    """Replace a catalog file by a copy in which some films have these terms in place of their own."""
    with _replacing(path, copy=True) as connection:
        _insert_terms(connection, ())
        connection.executemany("DELETE FROM terms WHERE movie_id = ?", [(movie_id,) for movie_id in movie_ids])
        _insert_terms(connection, terms)


def write_removed(path: Path, movie_ids: Iterable[int], removed_fact: str) -> None:
    """Replace a catalog file by a copy without some films; those that had ratings are added to a fact."""
    with _replacing(path, copy=True) as connection:
        listed = [(movie_id,) for movie_id in movie_ids]
        rated = {int(text) for text in _fact(connection, removed_fact).split()}
        for (movie_id,) in listed:
            rows = connection.execute("SELECT 1 FROM films WHERE movie_id = ? AND n_ratings > 0", (movie_id,))
            rated.update([movie_id] if rows.fetchone() else [])
        present = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table in ("films", "titles", "added", "tags", "terms"):
            if table in present:
                connection.executemany(f"DELETE FROM {table} WHERE movie_id = ?", listed)
        if rated:
            text = " ".join(map(str, sorted(rated)))
            connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (removed_fact, text))


def _fact(connection: sqlite3.Connection, name: str) -> str:
    result = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return str(result[0]) if result else ""


def film_of(row: tuple) -> Film:  # type: ignore[type-arg]
    """Convert a row of the table ``films``; TypeError or ValueError if it was not written here."""
    movie_id, title, year, imdb_id, tmdb_id, genres, alternative_titles, n_ratings, mean_rating = row
    if not isinstance(title, str) or not isinstance(movie_id, int) or not isinstance(n_ratings, int):
        raise TypeError(f"the film {movie_id!r} has the title {title!r} and {n_ratings!r} ratings")
    return Film(
        movie_id,
        title,
        year,
        imdb_id,
        tmdb_id,
        tuple(filter(None, genres.split("|"))),
        # Most films have none, and reading JSON takes most of the time that a film takes.
        () if alternative_titles == "[]" else tuple(parse_json(alternative_titles)),
        n_ratings,
        mean_rating,
    )


@contextmanager
def _replacing(path: Path, *, copy: bool = False) -> Iterator[sqlite3.Connection]:
    """Connect to a new file, or a copy of the earlier one, that replaces `path` when the block succeeds."""
    with ExitStack() as replaced, atomic_path(path) as temporary_path, sqlite_errors(path):
        if copy:
            # Damage must not get a checksum of its own.
            with closing(connect_to_read(path)) as connection:
                hold_database(path, connection)
            shutil.copyfile(path, temporary_path)
        with closing(sqlite3.connect(temporary_path)) as connection, connection:
            yield connection
        identify(temporary_path)
        replaced.enter_context(replacing(path, temporary_path))


def connect_to_read(path: Path) -> sqlite3.Connection:
    check_regular(path)
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)


def _insert_added(connection: sqlite3.Connection, films: Iterable[Film]) -> None:
    listed = list(films)
    connection.execute(_ADDED)
    _insert_films(connection, listed)
    connection.executemany("INSERT INTO added VALUES (?)", [(film.movie_id,) for film in listed])


def _insert_terms(connection: sqlite3.Connection, terms: Iterable[FilmTerm]) -> None:
    connection.execute(_TERMS)
    rows = ((term.movie_id, term.kind, term.term) for term in terms)
    connection.executemany("INSERT OR IGNORE INTO terms VALUES (?, ?, ?)", rows)


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
