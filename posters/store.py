"""Poster files, kept consistent with the database of their states.

A folder holds the posters verbatim, ``{movie_id}.jpg`` (or ``.png``, ``.webp`` and others, by their content), beside
``posters.sqlite``. A file is written before its row is committed, so a row never names a file that was not written; a
row whose file has disappeared counts as missing. A replacement is written beside the old file, as
``{movie_id}-{sha256[:8]}.jpg`` if the plain name is taken, and takes effect with the commit of its row. The old file
and row are kept until `PosterStore.confirm`, and restored if the new picture proves to be a placeholder. ``writer.pid``
holds the id of the process that writes.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from catalog.errors import DamageError, DataError, IncompleteError, NotBuiltError, StoreError
from catalog.image_formats import STORED_SUFFIX
from catalog.io.files import (
    is_read_failure,
    read_bytes,
    read_error,
    read_failures,
    remove_file,
    row_errors,
    write_error,
    write_unflushed,
)
from catalog.io.locks import exclusive
from posters.alternates import AlternateStore
from posters.database import (
    DATABASE_NAME,
    Alternate,
    Origin,
    PosterDatabase,
    Record,
    Source,
    State,
    check_present,
    is_empty,
)
from posters.validation import MAX_POSTER_BYTES, ImageFacts, verify_image

_FILE_NAME = re.compile(rf"([0-9]+)(-[0-9a-f]{{8}})?({STORED_SUFFIX})")

_SOURCES = {source.value: source for source in Source}
_AGAIN = "run `keyart check --repair`, and import or fetch it again"
# A picture that came from this many addresses at TMDB is a placeholder. Two films, or the parts of one, may share one.
_N_PLACEHOLDER = 10


@dataclass(frozen=True)
class Poster:
    """A stored poster; width and height in pixels."""

    movie_id: int
    path: Path
    sha256: str
    n_bytes: int
    width: int
    height: int
    source: Source

    def read(self) -> bytes:
        """Read the file; DamageError unless it is the one that was stored."""
        return read_poster(self.path, self.sha256)


def read_poster(path: Path, sha256: str) -> bytes:
    """Read the file of a poster; DamageError unless it has the hash that it was stored with.

    StoreError where it cannot be read now, though it may be whole.
    """
    try:
        content = read_bytes(path, MAX_POSTER_BYTES)
    except (OSError, DataError) as error:
        if is_read_failure(error):
            raise read_error(path, error) from error
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DamageError(f"the poster {path} cannot be read ({reason}); {_AGAIN}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DamageError(f"the poster {path} has changed since it was stored; {_AGAIN}")
    return content


def read_shown(path: Path) -> bytes:
    """Read a picture; DamageError if a store beside it has a poster of this name and another hash."""
    try:
        with PosterStore.open_to_read(path.parent) as store:
            sha256 = store.sha256_of(path.name)
    except (NotBuiltError, DataError):
        # Not of a store; or the store says elsewhere what is wrong with it.
        sha256 = None
    return read_bytes(path, MAX_POSTER_BYTES) if sha256 is None else read_poster(path, sha256)


@dataclass(frozen=True)
class WrittenPoster:
    """A poster whose file was written but is not registered yet."""

    file_name: str
    facts: ImageFacts


class PosterStore:
    """A folder of posters with their states.

    Reading and `write_file` are safe from several threads; all other writing is for one thread.
    """

    def __init__(self, posters_dir: Path, database: PosterDatabase) -> None:
        self._posters_dir = posters_dir
        self._database = database
        self.alternates = AlternateStore(posters_dir, database)
        self._in_transaction = False
        # By film, the files that the next commit or rollback may leave without a row.
        self._candidates: defaultdict[int, set[str]] = defaultdict(set)

    @classmethod
    def open(cls, posters_dir: Path, *, anew: bool = False) -> PosterStore:
        """Open a store, and create it if it does not exist.

        IncompleteError or DamageError where its database is lost; with `anew`, for what brings the posters again, it
        begins another one.
        """
        if not anew:
            _check_not_lost(posters_dir)
        try:
            posters_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(posters_dir, error) from error
        return cls(posters_dir, PosterDatabase.open(posters_dir / DATABASE_NAME))

    @classmethod
    def open_to_read(cls, posters_dir: Path) -> PosterStore:
        """Open a store for reading, which needs no write permission.

        NotBuiltError where there is none, which is an IncompleteError where posters are there.
        """
        try:
            return cls(posters_dir, PosterDatabase.open_to_read(posters_dir / DATABASE_NAME))
        except NotBuiltError as error:
            if named := named_as_posters(posters_dir):
                raise _unregistered(posters_dir, named[0]) from error
            raise

    def __enter__(self) -> PosterStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"PosterStore({str(self._posters_dir)!r})"

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def writer_lock(self) -> Iterator[None]:
        """Keep other processes from writing during the block, and clean up after killed ones."""
        with exclusive(self._posters_dir):
            try:
                self._database.sweep()
                self._sweep()
                self.alternates.sweep()
                yield
            finally:
                with suppress(StoreError):
                    self._database.settle()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is registered in the block together, also after an exception."""
        self._in_transaction = True
        try:
            yield
        finally:
            self._in_transaction = False
            self._commit()

    def put(self, movie_id: int, content: bytes, origin: Origin) -> Poster:
        """Store a poster: `write_file` and `register` in one."""
        return self.register(movie_id, self.write_file(movie_id, content), origin)

    def write_file(self, movie_id: int, content: bytes) -> WrittenPoster:
        """Verify a poster and write its file; it takes effect with `register`. Safe from any thread."""
        facts = verify_image(content)
        written = WrittenPoster(self._name_for(movie_id, facts), facts)
        # A file that is lost in a power failure is noticed by its length.
        write_unflushed(self._posters_dir / written.file_name, content)
        return written

    def register(
        self, movie_id: int, written: WrittenPoster, origin: Origin, alternates: Sequence[Alternate] = ()
    ) -> Poster:
        """Record a poster whose file was written, and the film's alternates.

        An earlier poster from TMDB is kept until `confirm`, and restored if this one proves to be a placeholder.
        DataError if it is known as one, or came from too many addresses.
        """
        facts = written.facts
        if origin.poster_path and self._is_placeholder(facts.sha256):
            raise self._rejected(movie_id, written, origin)
        path = self._posters_dir / written.file_name
        record = Record(
            movie_id=movie_id,
            state=State.OK,
            reason=None,
            **asdict(origin),
            file_name=path.name,
            n_bytes=facts.n_bytes,
            sha256=facts.sha256,
            width=facts.width,
            height=facts.height,
        )
        earlier = self.poster(movie_id)
        with self._registering((movie_id, path.name)):
            if not origin.poster_path:
                # An imported poster is intended, and needs no confirmation.
                self._database.forget_replaced(movie_id)
            elif earlier and earlier.sha256 != facts.sha256:
                self._database.keep_replaced(movie_id)
            self._database.put(record)
            if origin.poster_path:
                self._database.put_alternates(movie_id, alternates)
        return Poster(movie_id, path, facts.sha256, facts.n_bytes, facts.width, facts.height, origin.source)

    def _is_placeholder(self, sha256: str) -> bool:
        return self._database.is_placeholder(sha256) or self._database.n_paths(sha256) >= _N_PLACEHOLDER

    def _rejected(self, movie_id: int, written: WrittenPoster, origin: Origin) -> DataError:
        """Remove a placeholder from all films that have it."""
        reason = f"expected a poster, received a picture that {_N_PLACEHOLDER} other films got as well: a placeholder"
        sha256 = written.facts.sha256
        with self._registering((movie_id, written.file_name), *self._database.files_with(sha256)):
            self._database.reject_placeholder(sha256, reason)
            if self.poster(movie_id):
                self._database.count_attempt(movie_id)
            else:
                self._database.put(Record(movie_id, State.FAILED, reason, **asdict(origin)))
        return DataError(reason)

    def confirm(self) -> None:
        """Drop the posters that were replaced, after a complete run.

        Those whose replacement came from several addresses are kept, since it may yet prove to be a placeholder.
        """
        with self.transaction():
            any_replaced = self._database.confirm()
        if any_replaced:
            self._sweep()

    def remove(self, movie_ids: Collection[int]) -> None:
        """Remove films: rows, posters and alternates; also files that a killed removal left without a row."""
        with self.transaction():
            for movie_id in movie_ids:
                self._database.delete(movie_id)
        try:
            for path in self._posters_dir.iterdir():
                match = _FILE_NAME.fullmatch(path.name)
                if match and int(match[1]) in movie_ids:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise write_error(self._posters_dir, error, "remove") from error
        self.alternates.sweep()

    def add_films(self, movie_ids: Iterable[int]) -> None:
        """Add rows for films that have none."""
        self._database.add_films(movie_ids)

    def set_aside(self, movie_id: int, reason: str) -> Path | None:
        """Mark a film whose poster's file is damaged as failed, so that it is fetched or imported again.

        The file is kept under the name that is returned; None where it is gone.
        """
        record = self.record(movie_id)
        path = self.path_of(record.file_name) if record and record.file_name else None
        damaged = _damaged_path(path) if path else None
        try:
            if path and damaged and path.is_file():
                path.replace(damaged)
        except OSError as error:
            raise write_error(path or self._posters_dir, error) from error
        with self._registering((movie_id, None)):
            self._database.put(Record(movie_id, State.FAILED, reason, attempts=0))
        return damaged if damaged and damaged.is_file() else None

    def mark(self, movie_id: int, state: State, reason: str, origin: Origin | None = None) -> None:
        """Record why a film has no poster; an earlier one is removed, except if the attempt failed."""
        if state in (State.OK, State.MISSING):
            raise ValueError(f"expected a state that says why there is no poster, received {state}")
        # A film without a link cannot be requested.
        attempts = 0 if state is State.NO_LINK else 1
        if state is State.FAILED and self.poster(movie_id):
            with self._registering():
                self._database.count_attempt(movie_id)
        else:
            with self._registering((movie_id, None)):
                if state is not State.FAILED:
                    self._database.forget_replaced(movie_id)
                    self._database.put_alternates(movie_id, [])
                self._database.put(
                    Record(movie_id, state, reason, **(asdict(origin) if origin else {}), attempts=attempts)
                )

    def poster(self, movie_id: int) -> Poster | None:
        return next(self._posters("AND movie_id = ?", movie_id), None)

    def sha256_of(self, file_name: str) -> str | None:
        """Return the hash of a poster by the name of its file; None for a file of no row."""
        rows = self._database.rows("SELECT sha256 FROM posters WHERE file_name = ?", (file_name,))
        return rows[0][0] if rows else None

    def posters(self) -> list[Poster]:
        """Return all stored posters by movie_id."""
        return list(self._posters("ORDER BY movie_id"))

    def record(self, movie_id: int) -> Record | None:
        """Return a film's row; None if nothing was tried yet."""
        return next(self._records("WHERE movie_id = ?", movie_id), None)

    def records(self) -> list[Record]:
        """Return all rows by movie_id."""
        return list(self._records("ORDER BY movie_id"))

    def failed(self) -> list[Record]:
        """Return the rows of films whose last attempt failed, by movie_id."""
        return list(self._records("WHERE state = 'failed' ORDER BY movie_id"))

    def states(self) -> dict[int, State]:
        """Return the state of every film that has a row; other films are missing."""
        states = {}
        # Not through `records`, which for 90,000 films would take the most memory of all.
        for movie_id, state, file_name, n_bytes in self._database.rows(
            "SELECT movie_id, state, file_name, n_bytes FROM posters ORDER BY movie_id"
        ):
            gone = file_name and not _is_whole(self.path_of(file_name), n_bytes)
            states[movie_id] = State.MISSING if gone else State(state)
        return states

    def posters_and_gone(self) -> tuple[list[Poster], set[int]]:
        """Return the posters, and the films whose poster was stored and whose file is gone or has another length."""
        whole: list[Poster] = []
        gone: set[int] = set()
        for poster in self._stored("ORDER BY movie_id"):
            if _is_whole(poster.path, poster.n_bytes):
                whole.append(poster)
            else:
                gone.add(poster.movie_id)
        return whole, gone

    def attempts(self) -> dict[int, int]:
        """Return the number of attempts by movie_id."""
        return dict(self._database.rows("SELECT movie_id, attempts FROM posters"))

    def counts(self, movie_ids: Iterable[int]) -> dict[State, int]:
        """Count films by state; every state is included."""
        states = self.states()
        counted = Counter(states.get(movie_id, State.MISSING) for movie_id in movie_ids)
        return {state: counted[state] for state in State}

    def n_bytes(self, movie_ids: Iterable[int]) -> int:
        """Return the total size of the stored posters of films."""
        wanted = frozenset(movie_ids)
        return sum(poster.n_bytes for poster in self._posters("") if poster.movie_id in wanted)

    def older_than(self, moment: datetime) -> set[int]:
        """Return the films that were requested from TMDB before a moment; imported posters do not age.

        Films requested in the future are included: the clock was wrong, and their age is unknown.
        """
        text = moment.astimezone(UTC).isoformat(timespec="seconds")
        # A clock may be set back by an hour.
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")
        clause = "WHERE (fetched_at < ? OR fetched_at > ?) AND source IS NOT NULL AND source != 'import'"
        rows = self._database.rows(f"SELECT movie_id FROM posters {clause}", (text, tomorrow))
        return {movie_id for (movie_id,) in rows}

    def _posters(self, clause: str, *values: object) -> Iterator[Poster]:
        return (one for one in self._stored(clause, *values) if _is_whole(one.path, one.n_bytes))

    def _stored(self, clause: str, *values: object) -> Iterator[Poster]:
        """Yield the posters as they were stored, whether or not their files are still there."""
        columns = "movie_id, file_name, sha256, n_bytes, width, height, source"
        rows = self._database.rows(f"SELECT {columns} FROM posters WHERE state = 'ok' {clause}", values)
        # Around the loop: there may be a hundred thousand.
        with row_errors(self._posters_dir / DATABASE_NAME):
            for movie_id, file_name, sha256, n_bytes, width, height, source in rows:
                yield Poster(movie_id, self._located(file_name), sha256, n_bytes, width, height, _SOURCES[source])

    def _records(self, clause: str, *values: object) -> Iterator[Record]:
        for record in self._database.records(clause, *values):
            if record.file_name and not _is_whole(self.path_of(record.file_name), record.n_bytes):
                yield replace(record, state=State.MISSING, reason=f"{record.file_name} is gone or changed")
            else:
                yield record

    def _name_for(self, movie_id: int, facts: ImageFacts) -> str:
        """Choose a file name that no row uses, except for a file of the same content."""
        # The name consists of the movie_id and what was decoded; nothing in it comes from the network.
        plain = f"{movie_id}{facts.suffix}"
        with self._database.lock:
            name, sha256 = self._database.file_of(movie_id)
            # A film that is registered twice before a commit still needs the file of the committed row.
            taken = self._database.files_of(movie_id) | self._candidates.get(movie_id, set())
        if name and sha256 == facts.sha256 and Path(name).suffix == facts.suffix:
            return name
        return plain if plain not in taken else f"{movie_id}-{facts.sha256[:8]}{facts.suffix}"

    @contextmanager
    def _registering(self, *files: tuple[int, str | None]) -> Iterator[None]:
        """Commit after the block, or after the transaction around it.

        The given files, and the current files of these films, are removed then if no row of the film names them.
        """
        with self._database.lock:
            for movie_id, name in files:
                self._candidates[movie_id].update(self._database.files_of(movie_id), [name] if name else [])
        try:
            yield
        finally:
            # Also after an error, which rolled the row back: its file is removed then.
            if not self._in_transaction:
                self._commit()

    def _commit(self) -> None:
        """Commit or roll back, then remove the files without a row."""
        with self._database.lock:
            try:
                self._database.commit()
            finally:
                self._remove_unused()

    def _remove_unused(self) -> None:
        # By the database, since a full disk rolls back more than the last row. What cannot be removed now is removed by
        # the next `writer_lock`.
        with suppress(OSError, StoreError, DataError):
            while self._candidates:
                movie_id, names = self._candidates.popitem()
                for name in names - self._database.files_of(movie_id):
                    self.path_of(name).unlink(missing_ok=True)

    def path_of(self, file_name: str) -> Path:
        """Locate a file by the name that a row has."""
        with row_errors(self._posters_dir / DATABASE_NAME):
            return self._located(file_name)

    def _located(self, file_name: str) -> Path:
        # A database from elsewhere must not name files elsewhere, to be shown or removed.
        if not _FILE_NAME.fullmatch(file_name):
            raise ValueError(f"no poster is called {file_name!r}")
        return self._posters_dir / file_name

    def _sweep(self) -> None:
        """Remove the files that no row names."""
        for path in self.unregistered():
            remove_file(path)

    def unregistered(self) -> list[Path]:
        """List the files that no row names: a killed process did not register them, or they were replaced.

        Only files of films with a row: if the database was lost, the posters are all that is left.
        """
        known = {
            movie_id for (movie_id,) in self._database.rows("SELECT movie_id FROM posters WHERE state != 'missing'")
        }
        needed = {
            name
            for (name,) in self._database.rows("SELECT file_name FROM posters UNION SELECT file_name FROM replaced")
        }
        try:
            matches = ((path, _FILE_NAME.fullmatch(path.name)) for path in self._posters_dir.iterdir())
            return [path for path, name in matches if name and int(name[1]) in known and path.name not in needed]
        except OSError as error:
            raise read_error(self._posters_dir, error) from error


def is_set_aside(path: Path) -> bool:
    """Return whether `PosterStore.set_aside` has moved a poster, and no other one is in its place."""
    return not path.exists() and _damaged_path(path).is_file()


def _damaged_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged")


def _check_not_lost(posters_dir: Path) -> None:
    """Raise an error where posters were registered and the database that lists them is gone."""
    path = posters_dir / DATABASE_NAME
    check_present(path)
    if is_empty(path) and (named := named_as_posters(posters_dir)):
        raise _unregistered(posters_dir, named[0])


def _unregistered(posters_dir: Path, name: str) -> IncompleteError:
    return IncompleteError(
        f"{posters_dir} holds posters that are not registered, such as {name}; register them with "
        f"`keyart import {posters_dir} --by movie`, or move them elsewhere"
    )


def check_registered(posters_dir: Path) -> None:
    """Raise DataError if a folder holds posters but no database: a fetch or an import might replace them."""
    if (named := named_as_posters(posters_dir)) and is_empty(posters_dir / DATABASE_NAME):
        raise DataError(
            f"{posters_dir} holds posters that are not registered, such as {named[0]}, which might be replaced; "
            f"register them with `keyart import {posters_dir} --by movie`, or move them elsewhere"
        )


def named_as_posters(posters_dir: Path) -> list[str]:
    """List the files of a folder that are named as posters are, sorted; none where there is no folder."""
    if not posters_dir.is_dir():
        return []
    return sorted(path.name for path in posters_dir.iterdir() if _FILE_NAME.fullmatch(path.name))


def _is_whole(path: Path, n_bytes: int | None) -> bool:
    """Return whether a file exists with this length, so that it was neither cut off nor replaced."""
    with suppress(OSError), read_failures(path):
        return path.stat().st_size == n_bytes
    return False
