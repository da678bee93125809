"""The database of poster states, ``posters.sqlite``: one row per film.

It also holds replaced rows for as long as they may have to be restored, and which pictures are placeholders instead of
posters. The files themselves are the matter of `posters.store`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from catalog.errors import DamageError, DataError, NotBuiltError, StoreError
from catalog.io.checksums import checksums_path, has_recorded_checksum, hold_database, log_path, record_checksums
from catalog.io.files import flush_to_disk, open_file, remove_file, row_errors, sqlite_errors, write_error

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
    vote_average REAL,
    vote_count INTEGER,
    fetched_at TEXT,
    attempts INTEGER NOT NULL
)
"""
# Added to tables without them, since version 2; an earlier keyart leaves them empty.
_ADDED_COLUMNS = {"vote_average": "REAL", "vote_count": "INTEGER"}
# Also added to a database without them; an earlier keyart ignores them.
_ADDITIONS = (
    _SCHEMA.format(name="replaced"),
    "CREATE TABLE IF NOT EXISTS placeholders (sha256 TEXT PRIMARY KEY)",
    """CREATE TABLE IF NOT EXISTS alternates (
        movie_id INTEGER NOT NULL,
        poster_path TEXT NOT NULL,
        size TEXT,
        language TEXT,
        file_name TEXT NOT NULL,
        n_bytes INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        vote_average REAL,
        vote_count INTEGER,
        fetched_at TEXT NOT NULL,
        PRIMARY KEY (movie_id, poster_path)
    )""",
    # To recognize a picture that many films got.
    "CREATE INDEX IF NOT EXISTS posters_by_sha256 ON posters (sha256)",
)


class State(StrEnum):
    """The state of a film's poster."""

    OK = "ok"
    """The poster is stored and was decoded completely."""
    NO_LINK = "no_link"
    """The film has neither a tmdb_id nor an imdb_id."""
    NO_POSTER = "no_poster"
    """TMDB knows the film but has no poster of it."""
    NOT_FOUND = "not_found"
    """TMDB does not know the film."""
    FAILED = "failed"
    """The last attempt failed; the next run retries."""
    MISSING = "missing"
    """Nothing was tried yet, or the file has disappeared since."""


class Source(StrEnum):
    """Where a poster was looked for."""

    TMDB_MOVIE = "tmdb_movie"
    TMDB_FIND = "tmdb_find"
    TMDB_EXPORT = "tmdb_export"
    IMPORT = "import"


@dataclass(frozen=True)
class Origin:
    """Where a poster, or the answer that there is none, came from."""

    source: Source
    # What was requested from TMDB; None for an imported poster, or if the lookup did not get that far.
    poster_path: str | None = None
    size: str | None = None
    language: str | None = None
    # TMDB's; None if it chose the poster itself.
    vote_average: float | None = None
    vote_count: int | None = None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Record:
    """A row of the database, with the same columns."""

    movie_id: int
    state: State
    # Why there is no poster; None if there is one, or if nothing was tried yet.
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
    vote_average: float | None = None
    vote_count: int | None = None
    # ISO 8601 in UTC; None if nothing was tried yet.
    fetched_at: str | None = field(default_factory=_now)
    attempts: int = 1


@dataclass(frozen=True)
class Alternate:
    """A further poster of a film, with the columns of its row."""

    movie_id: int
    poster_path: str
    size: str | None
    language: str | None
    file_name: str
    n_bytes: int
    sha256: str
    width: int
    height: int
    vote_average: float | None
    vote_count: int | None
    fetched_at: str = field(default_factory=_now)


_ALTERNATE_NAMES = tuple(column.name for column in fields(Alternate))

# The columns are the fields of a record. A new row of a film replaces the old one, and the attempts add up.
_NAMES = tuple(column.name for column in fields(Record))
_COLUMNS = ", ".join(_NAMES)
_VALUES = ", ".join(f":{name}" for name in _NAMES)
# What a replaced row restores: not the attempts, which are never reset.
_KEPT_NAMES = tuple(name for name in _NAMES if name not in ("movie_id", "attempts"))
_KEPT = ", ".join(_KEPT_NAMES)
_CHANGES = ", ".join(f"{name} = excluded.{name}" for name in _KEPT_NAMES)
_UPSERT = (
    f"INSERT INTO posters ({_COLUMNS}) VALUES ({_VALUES}) "
    f"ON CONFLICT (movie_id) DO UPDATE SET {_CHANGES}, attempts = attempts + excluded.attempts"
)


class PosterDatabase:
    """The rows of all films; changes take effect with `commit`. One thread at a time uses the connection."""

    def __init__(self, path: Path, connection: sqlite3.Connection, *, is_writable: bool = True) -> None:
        self._path = path
        self._is_writable = is_writable
        self._connection = connection
        # SQLite's own lock does not cover the error message that all threads share: a thread that reads it while
        # another's error replaces it would crash the process.
        self.lock = threading.RLock()
        # Whether the file may have changed since its checksum was recorded.
        self._is_changing = False

    @classmethod
    def open(cls, path: Path) -> PosterDatabase:
        """Open a database, and create it if it does not exist, also where `check_present` finds that it is lost."""
        with sqlite_errors(path):
            if not path.exists():
                remove_file(checksums_path(path))
            connection = sqlite3.connect(path, check_same_thread=False)
            try:
                hold_database(path, connection)
                _prepare(connection, path)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    @classmethod
    def open_to_read(cls, path: Path) -> PosterDatabase:
        """Open a database for reading, which needs no write permission."""
        check_present(path)
        if is_empty(path):
            raise NotBuiltError(
                f"no posters here yet ({path} is missing or empty); run `keyart info`, which says how to bring some"
            )
        with sqlite_errors(path):
            return cls(path, _connect_to_read(path), is_writable=False)

    def close(self) -> None:
        # Closing the connection under a thread that is reading would crash the process.
        with self.lock:
            # Without its checksum the file is checked otherwise, until the next writer records it.
            with suppress(StoreError, sqlite3.Error):
                # What was not committed is lost, as it is on closing.
                self._connection.rollback()
                if self._is_changing:
                    self.settle()
            self._connection.close()

    def settle(self) -> None:
        """Move all changes from the log into the file, and record its checksum, unless it was recorded before."""
        if not self._is_changing and has_recorded_checksum(self._path):
            return
        with self._locked():
            # Beside a reader the log stays, and the next writer ends what this one began.
            if self._leave_log():
                record_checksums(self._path, [self._path])
                self._is_changing = False

    def _leave_log(self) -> bool:
        """Move all changes into the file, and remove the log where nobody else has the file open.

        Without a log, whoever writes next changes SQLite's counter, by which a change is told from damage.
        """
        try:
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            is_busy, *_ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not is_busy
        return True

    def _enter_log(self) -> None:
        """Write into a log from now on, beside which others read, and whose commits survive a killed process."""
        self._connection.execute("PRAGMA journal_mode = WAL")
        # Only a power failure may undo the last few commits.
        self._connection.execute("PRAGMA synchronous = NORMAL")

    def sweep(self) -> None:
        """Remove what SQLite left that means nothing."""
        with self._locked():
            (mode,) = self._connection.execute("PRAGMA journal_mode").fetchone()
            if mode == "wal" or not (unused := unused_files(self._path)):
                return
            # Whoever writes, another program too, has begun such a transaction; its journal looks unused at first.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for path in unused:
                    remove_file(path)
            finally:
                self._connection.rollback()

    def put(self, record: Record) -> None:
        """Replace a film's row; the attempts add up."""
        self._execute(_UPSERT, vars(record))

    def count_attempt(self, movie_id: int) -> None:
        """Count an attempt that changed nothing."""
        self._execute("UPDATE posters SET attempts = attempts + 1 WHERE movie_id = ?", (movie_id,))

    def keep_replaced(self, movie_id: int) -> None:
        """Save a film's row, before it is replaced, until `confirm`; an earlier saved row stays instead."""
        # The saved row was confirmed, which the current one is not.
        statement = f"INSERT OR IGNORE INTO replaced ({_COLUMNS}) SELECT {_COLUMNS} FROM posters WHERE movie_id = ?"
        self._execute(statement, (movie_id,))

    def forget_replaced(self, movie_id: int) -> None:
        self._execute("DELETE FROM replaced WHERE movie_id = ?", (movie_id,))

    def confirm(self) -> bool:
        """Drop saved rows, except of pictures that came from several addresses; return whether there were any."""
        shared = "SELECT sha256 FROM posters GROUP BY sha256 HAVING COUNT(DISTINCT poster_path) > 1"
        doubtful = f"SELECT movie_id FROM posters WHERE sha256 IN ({shared})"
        return self._execute(f"DELETE FROM replaced WHERE movie_id NOT IN ({doubtful})") > 0

    def reject_placeholder(self, sha256: str, reason: str) -> None:
        """Record that a picture is a placeholder, and remove it from all films that got it from TMDB.

        Their saved rows are restored; those without one are marked as failed.
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
        return bool(self.rows("SELECT 1 FROM placeholders WHERE sha256 = ?", (sha256,)))

    def put_alternates(self, movie_id: int, alternates: Iterable[Alternate]) -> None:
        """Replace the alternates of a film."""
        self._execute("DELETE FROM alternates WHERE movie_id = ?", (movie_id,))
        columns, values = ", ".join(_ALTERNATE_NAMES), ", ".join(f":{name}" for name in _ALTERNATE_NAMES)
        for alternate in alternates:
            self._execute(f"INSERT OR IGNORE INTO alternates ({columns}) VALUES ({values})", vars(alternate))

    def alternates(self) -> list[Alternate]:
        """Return all alternates by movie_id, the first that was put first."""
        if not self.rows("SELECT 1 FROM sqlite_master WHERE name = 'alternates'"):
            return []
        columns = ", ".join(_ALTERNATE_NAMES)
        return [Alternate(*row) for row in self.rows(f"SELECT {columns} FROM alternates ORDER BY movie_id, rowid")]

    def delete(self, movie_id: int) -> None:
        """Delete all rows of a film."""
        for table in ("posters", "replaced", "alternates"):
            self._execute(f"DELETE FROM {table} WHERE movie_id = ?", (movie_id,))

    def add_films(self, movie_ids: Iterable[int]) -> None:
        """Add rows for films that have none, and commit."""
        rows = ((movie_id, State.MISSING) for movie_id in movie_ids)
        statement = "INSERT OR IGNORE INTO posters (movie_id, state, attempts) VALUES (?, ?, 0)"
        with self._writing(), self._connection:
            self._connection.executemany(statement, rows)

    def commit(self) -> None:
        """Commit all changes, or roll them back."""
        with self.lock:
            try:
                with self._locked():
                    self._connection.commit()
            finally:
                # After a successful commit this does nothing.
                with suppress(sqlite3.Error):
                    self._connection.rollback()

    def records(self, clause: str, *values: object) -> Iterator[Record]:
        """Return whole rows; `clause` is the SQL that follows the table."""
        # A database that is only read keeps its columns.
        known = {name for _, name, *_ in self.rows("PRAGMA table_info(posters)")}
        columns = ", ".join(name if name in known else f"NULL AS {name}" for name in _NAMES)
        for movie_id, state, reason, source, *rest in self.rows(f"SELECT {columns} FROM posters {clause}", values):
            with row_errors(self._path):
                record = Record(movie_id, State(state), reason, source and Source(source), *rest)
            yield record

    def file_of(self, movie_id: int) -> tuple[str | None, str | None]:
        """Return the name and the checksum of a film's file; None for a film without one."""
        rows = self.rows("SELECT file_name, sha256 FROM posters WHERE movie_id = ?", (movie_id,))
        return (rows[0][0], rows[0][1]) if rows else (None, None)

    def files_of(self, movie_id: int) -> set[str]:
        """Return the file names of a film's row and of its saved row."""
        statement = "SELECT file_name FROM {} WHERE movie_id = ?"
        both = " UNION ".join(statement.format(name) for name in ("posters", "replaced"))
        return {name for (name,) in self.rows(both, (movie_id, movie_id)) if name}

    def files_with(self, sha256: str) -> list[tuple[int, str | None]]:
        """Return movie_id and file name of all rows, saved ones included, that have a picture."""
        statement = "SELECT movie_id, file_name FROM {} WHERE sha256 = ?"
        both = " UNION ".join(statement.format(name) for name in ("posters", "replaced"))
        return [(movie_id, name) for movie_id, name in self.rows(both, (sha256, sha256))]

    def n_paths(self, sha256: str) -> int:
        """Count the addresses at TMDB that a picture came from."""
        return int(self.rows("SELECT COUNT(DISTINCT poster_path) FROM posters WHERE sha256 = ?", (sha256,))[0][0])

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a query."""
        with self._locked():
            return self._connection.execute(statement, values).fetchall()

    def _execute(self, statement: str, values: Sequence[object] | dict[str, Any] = ()) -> int:
        """Run a statement; return the number of rows changed."""
        with self._writing():
            return self._connection.execute(statement, values).rowcount

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the lock for a change; before the first, record that there is no valid checksum."""
        with self._locked():
            if self._is_writable and not self._is_changing:
                record_checksums(self._path)
                self._is_changing = True
                self._enter_log()
            yield

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock, and convert SQLite's errors."""
        with self.lock, sqlite_errors(self._path):
            yield


def check_present(path: Path) -> None:
    """Raise DamageError where a database is missing, though its checksums are there."""
    if not path.is_file() and (path.exists() or checksums_path(path).exists()):
        raise DamageError(f"{path} is missing; put it back, or run `keyart check`, which says what brings its posters")


def unused_files(path: Path) -> list[Path]:
    """List what a killed process may have left beside a database, and SQLite does not remove.

    That is the index of a log that is gone, and a journal that never got its header, so that it restores nothing.
    """
    index, journal = (path.with_name(f"{path.name}-{ending}") for ending in ("shm", "journal"))
    unused = [index] if index.is_file() and not log_path(path).exists() else []
    if journal.is_file():
        with suppress(OSError), open_file(journal) as stream:
            unused += [journal] if stream.read(1) in (b"", b"\0") else []
    return unused


def is_empty(path: Path) -> bool:
    """Return whether a database is missing, or was left without tables by a process that was killed at once."""
    if not path.is_file():
        return True
    with sqlite_errors(path), closing(_connect_to_read(path)) as connection:
        hold_database(path, connection)
        return _check_version(connection, path) == 0


def _connect_to_read(path: Path) -> sqlite3.Connection:
    # Not mode=ro: a reader has to recover what a killed writer had committed.
    address = path.absolute().as_uri()
    connection = sqlite3.connect(f"{address}?mode=rw", uri=True, check_same_thread=False)
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA user_version")
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            # A file that is being written must not be read as if it never changed.
            raise
        # Even for reading, WAL needs to write a file beside the database; on a read-only disk nothing changes.
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
    """Create the tables, or check the version of existing ones."""
    version = _check_version(connection, path)
    with connection:
        if version == 0:
            # Otherwise each statement commits, and a killed process leaves some of the tables.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_SCHEMA.format(name="posters"))
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        for statement in _ADDITIONS:
            connection.execute(statement)
        for table in ("posters", "replaced"):
            known = {name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")}
            for name in _ADDED_COLUMNS.keys() - known:
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {_ADDED_COLUMNS[name]}")
    if version == 0:
        # A power failure must not leave posters without it, which would be taken for a user's own files.
        try:
            flush_to_disk(path.parent)
        except OSError as error:
            raise write_error(path, error) from error
