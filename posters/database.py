"""The state of every film's poster: one row a film in ``posters.sqlite``.

Beside it the database holds the rows that were replaced, for as long as they may have to come back, and which pictures
were found out to be no posters. Owns that file, and knows nothing of the posters themselves; `posters.store` joins the
two. May import `catalog` only.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from catalog.errors import DataError, NotBuiltError
from catalog.io.files import sqlite_errors

DATABASE_NAME = "posters.sqlite"

_VERSION = 2

_SCHEMA = """
CREATE TABLE IF NOT EXISTS {name} (
    movie_id INTEGER PRIMARY KEY,
    state TEXT NOT NULL,
    reason TEXT,
    source TEXT,
    poster_path TEXT,
    size TEXT,
    language TEXT,
    file_name TEXT,
    n_bytes INTEGER,
    sha256 TEXT,
    width INTEGER,
    height INTEGER,
    fetched_at TEXT,
    attempts INTEGER NOT NULL
)
"""
# Made in a database that lacks them, too: an earlier keyart can do without.
_ADDITIONS = (
    _SCHEMA.format(name="replaced"),
    "CREATE TABLE IF NOT EXISTS placeholders (sha256 TEXT PRIMARY KEY)",
    # By which a picture that many films get is recognized.
    "CREATE INDEX IF NOT EXISTS posters_by_sha256 ON posters (sha256)",
)


class State(StrEnum):
    """How things stand with one film's poster."""

    OK = "ok"
    """The poster is here and was decoded completely."""
    NO_LINK = "no_link"
    """The film has neither a tmdb_id nor an imdb_id."""
    NO_POSTER = "no_poster"
    """TMDB knows the film, and has no poster of it."""
    NOT_FOUND = "not_found"
    """TMDB does not know the film."""
    FAILED = "failed"
    """It went wrong; the reason says how. The next run tries again."""
    MISSING = "missing"
    """Nothing was tried yet, or the file has vanished since."""


class Source(StrEnum):
    """Who was asked for a poster."""

    TMDB_MOVIE = "tmdb_movie"
    TMDB_FIND = "tmdb_find"
    TMDB_EXPORT = "tmdb_export"
    IMPORT = "import"


@dataclass(frozen=True)
class Origin:
    """Where a poster, or the news that there is none, came from."""

    source: Source
    poster_path: str | None = None
    size: str | None = None
    language: str | None = None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Record:
    """All that is kept about one film's poster: a row of ``posters.sqlite``."""

    movie_id: int
    state: State
    reason: str | None = None
    source: Source | None = None
    poster_path: str | None = None
    size: str | None = None
    language: str | None = None
    file_name: str | None = None
    n_bytes: int | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    fetched_at: str | None = field(default_factory=_now)
    attempts: int = 1


# The columns are the fields of a record. A film's second row replaces its first, and counts the attempts on.
_NAMES = tuple(column.name for column in fields(Record))
_COLUMNS = ", ".join(_NAMES)
_VALUES = ", ".join(f":{name}" for name in _NAMES)
# All that a replaced row brings back: the attempts are counted on.
_KEPT_NAMES = tuple(name for name in _NAMES if name not in ("movie_id", "attempts"))
_KEPT = ", ".join(_KEPT_NAMES)
_CHANGES = ", ".join(f"{name} = excluded.{name}" for name in _KEPT_NAMES)
_UPSERT = (
    f"INSERT INTO posters ({_COLUMNS}) VALUES ({_VALUES}) "
    f"ON CONFLICT (movie_id) DO UPDATE SET {_CHANGES}, attempts = attempts + excluded.attempts"
)


class PosterDatabase:
    """The rows of all films; open it with `PosterDatabase.open`.

    One thread at a time uses the connection. What is changed counts once `commit` was called.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        # Not left to SQLite, whose connection keeps one error message for all threads: read by one of them while
        # another's failure replaces it, it ends the process.
        self.lock = threading.RLock()

    @classmethod
    def open(cls, path: Path) -> PosterDatabase:
        """Open a table; an empty one is made where there is none."""
        with sqlite_errors(path):
            connection = sqlite3.connect(path, check_same_thread=False)
            try:
                _prepare(connection, path)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    @classmethod
    def open_to_read(cls, path: Path) -> PosterDatabase:
        """Open a table without the right to write, and without the need of it."""
        if not path.is_file():
            raise NotBuiltError(
                f"no posters here yet ({path} is missing); run `keyart fetch` or `keyart import FOLDER`"
            )
        with sqlite_errors(path):
            connection = _connect_to_read(path)
            try:
                _check_version(connection, path)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    def close(self) -> None:
        """Close the database."""
        # A thread that is still reading would find it gone, and end the process.
        with self.lock:
            self._connection.close()

    def put(self, record: Record) -> None:
        """Write a film's row in place of the one that it had; the attempts add up."""
        self._execute(_UPSERT, vars(record))

    def count_attempt(self, movie_id: int) -> None:
        """Note that a film was asked for in vain, and change nothing else."""
        self._execute("UPDATE posters SET attempts = attempts + 1 WHERE movie_id = ?", (movie_id,))

    def keep_replaced(self, movie_id: int) -> None:
        """Keep a film's row, which is about to be replaced, until `confirm`; one that is kept already stays instead."""
        # What is kept already was confirmed once, which the present row is not yet.
        statement = f"INSERT OR IGNORE INTO replaced ({_COLUMNS}) SELECT {_COLUMNS} FROM posters WHERE movie_id = ?"
        self._execute(statement, (movie_id,))

    def forget_replaced(self, movie_id: int) -> None:
        """Keep no earlier row of a film any more."""
        self._execute("DELETE FROM replaced WHERE movie_id = ?", (movie_id,))

    def confirm(self) -> bool:
        """Forget the rows that were replaced by pictures which came from one address of TMDB's alone."""
        shared = "SELECT sha256 FROM posters GROUP BY sha256 HAVING COUNT(DISTINCT poster_path) > 1"
        doubtful = f"SELECT movie_id FROM posters WHERE sha256 IN ({shared})"
        return self._execute(f"DELETE FROM replaced WHERE movie_id NOT IN ({doubtful})") > 0

    def disown(self, sha256: str, reason: str) -> None:
        """Take a picture from all films that got it from TMDB, and remember that it is no poster.

        They get back the rows that it replaced; those that had none before are marked as failed.
        """
        self._execute("INSERT OR IGNORE INTO placeholders VALUES (?)", (sha256,))
        self._execute("DELETE FROM replaced WHERE sha256 = ? AND poster_path IS NOT NULL", (sha256,))
        theirs = "sha256 = ? AND state = 'ok' AND poster_path IS NOT NULL"
        earlier = f"SELECT {_KEPT} FROM replaced WHERE replaced.movie_id = posters.movie_id"
        self._execute(
            f"UPDATE posters SET ({_KEPT}) = ({earlier}) "
            f"WHERE {theirs} AND movie_id IN (SELECT movie_id FROM replaced)",
            (sha256,),
        )
        back = "SELECT 1 FROM posters WHERE posters.movie_id = replaced.movie_id AND posters.sha256 = replaced.sha256"
        self._execute(f"DELETE FROM replaced WHERE EXISTS ({back})")
        self._execute(
            "UPDATE posters SET state = 'failed', reason = ?, file_name = NULL, n_bytes = NULL, sha256 = NULL, "
            f"width = NULL, height = NULL WHERE {theirs}",
            (reason, sha256),
        )

    def is_placeholder(self, sha256: str) -> bool:
        """Tell whether a picture was disowned."""
        return bool(self.rows("SELECT 1 FROM placeholders WHERE sha256 = ?", (sha256,)))

    def add_films(self, movie_ids: Iterable[int]) -> None:
        """Give every film a row, and commit; those that have one keep it."""
        rows = ((movie_id, State.MISSING) for movie_id in movie_ids)
        statement = "INSERT OR IGNORE INTO posters (movie_id, state, attempts) VALUES (?, ?, 0)"
        with self._at_database(), self._connection:
            self._connection.executemany(statement, rows)

    def commit(self) -> None:
        """Commit what was changed, or undo it."""
        with self.lock:
            try:
                with self._at_database():
                    self._connection.commit()
            finally:
                # What could not be committed must not be half there. After a commit there is nothing to undo.
                with suppress(sqlite3.Error):
                    self._connection.rollback()

    def records(self, clause: str, *values: object) -> Iterator[Record]:
        """Read whole rows, as they are written."""
        for movie_id, state, reason, source, *rest in self.rows(f"SELECT {_COLUMNS} FROM posters {clause}", values):
            yield Record(movie_id, State(state), reason, source and Source(source), *rest)

    def file_of(self, movie_id: int) -> tuple[str | None, str | None]:
        """Tell the name and the checksum of a film's file."""
        rows = self.rows("SELECT file_name, sha256 FROM posters WHERE movie_id = ?", (movie_id,))
        return (rows[0][0], rows[0][1]) if rows else (None, None)

    def files_of(self, movie_id: int) -> set[str]:
        """Tell the names of all files that a film may need: of its row, and of one that was replaced."""
        statement = "SELECT file_name FROM {} WHERE movie_id = ?"
        both = " UNION ".join(statement.format(name) for name in ("posters", "replaced"))
        return {name for (name,) in self.rows(both, (movie_id, movie_id)) if name}

    def files_with(self, sha256: str) -> list[tuple[int, str | None]]:
        """List the files that hold one picture, of rows and of those that were replaced."""
        statement = "SELECT movie_id, file_name FROM {} WHERE sha256 = ?"
        both = " UNION ".join(statement.format(name) for name in ("posters", "replaced"))
        return [(movie_id, name) for movie_id, name in self.rows(both, (sha256, sha256))]

    def n_paths(self, sha256: str) -> int:
        """Count TMDB's addresses from which one picture came."""
        return int(self.rows("SELECT COUNT(DISTINCT poster_path) FROM posters WHERE sha256 = ?", (sha256,))[0][0])

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Read anything."""
        with self._at_database():
            return self._connection.execute(statement, values).fetchall()

    def _execute(self, statement: str, values: Sequence[object] | dict[str, Any] = ()) -> int:
        """Change rows; tells how many."""
        with self._at_database():
            return self._connection.execute(statement, values).rowcount

    @contextmanager
    def _at_database(self) -> Iterator[None]:
        """Give one thread at a time the connection, and say in words what SQLite says about it."""
        with self.lock, sqlite_errors(self._path):
            yield


def _connect_to_read(path: Path) -> sqlite3.Connection:
    # Not mode=ro: after a writer was killed, a reader must be able to take up what it had committed.
    address = path.absolute().as_uri()
    connection = sqlite3.connect(f"{address}?mode=rw", uri=True, check_same_thread=False)
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA user_version")
    except sqlite3.OperationalError:
        connection.close()
        # Even to read, WAL wants a file beside the database; where nobody can write, nothing changes either.
        return sqlite3.connect(f"{address}?mode=ro&immutable=1", uri=True, check_same_thread=False)
    return connection


def _check_version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version not in (0, _VERSION):
        raise DataError(
            f"{path} is of version {version}, this keyart reads version {_VERSION}; use the keyart that made it, or "
            "move the file away and run `keyart fetch` or `keyart import` again"
        )
    return version


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make an empty database ready, and hold any other to its version."""
    version = _check_version(connection, path)
    connection.execute("PRAGMA journal_mode = WAL")
    # Under WAL this keeps every commit through a killed process; only a power cut may undo the last few.
    connection.execute("PRAGMA synchronous = NORMAL")
    with connection:
        if version == 0:
            connection.execute(_SCHEMA.format(name="posters"))
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        for statement in _ADDITIONS:
            connection.execute(statement)
