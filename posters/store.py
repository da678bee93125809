"""Poster files, kept in step with the table of their states.

Owns one folder: the posters as they came, ``{movie_id}.jpg`` (or ``.png``, ``.webp``, ``.gif``, by what the bytes
are), beside ``posters.sqlite``, which `posters.database` owns. A file appears before its row is committed, so that a
row never speaks of a file that was not written; and a row whose file has vanished since is not believed. One that
replaces another is written beside it, as ``{movie_id}-{sha256[:8]}.jpg`` where the plain name is taken: the commit of
the row is the switch. The old file stays, with its row, until `PosterStore.confirm`: should the new one turn out to be
no poster, the old one counts again. ``writer.pid`` names the one process that writes, while it does.
May import `catalog` only.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from catalog.errors import DataError, StoreError
from catalog.io.files import write_error, write_unflushed
from catalog.io.locks import exclusive
from posters.database import DATABASE_NAME, Origin, PosterDatabase, Record, Source, State
from posters.validation import ImageFacts, verify_image

_FILE_NAME = re.compile(r"([0-9]+)(-[0-9a-f]{8})?\.(jpg|png|webp|gif)")

# So many addresses at which TMDB's image host has one and the same picture: that is what it sends in place of posters.
# Two films, or the parts of one, may well share a poster.
_N_ALIKE = 10


@dataclass(frozen=True)
class Poster:
    """A poster that is here."""

    movie_id: int
    path: Path
    sha256: str
    n_bytes: int
    width: int
    height: int
    source: Source


@dataclass(frozen=True)
class WrittenPoster:
    """A poster whose file was written, and that does not count yet."""

    file_name: str
    facts: ImageFacts


class PosterStore:
    """A folder of posters with their states; open it with `PosterStore.open`.

    Reading is safe from several threads, and so is `write_file`; one thread writes all else.
    """

    def __init__(self, posters_dir: Path, table: PosterDatabase) -> None:
        self._posters_dir = posters_dir
        self._database = table
        self._in_transaction = False
        # Of the films that were changed since the last commit: the files that may be theirs no more after it.
        self._rivals: defaultdict[int, set[str]] = defaultdict(set)

    @classmethod
    def open(cls, posters_dir: Path) -> PosterStore:
        """Open a store; an empty one is made where there is none."""
        try:
            posters_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(posters_dir, error) from error
        return cls(posters_dir, PosterDatabase.open(posters_dir / DATABASE_NAME))

    @classmethod
    def open_to_read(cls, posters_dir: Path) -> PosterStore:
        """Open a store without the right to write, and without the need of it."""
        return cls(posters_dir, PosterDatabase.open_to_read(posters_dir / DATABASE_NAME))

    def __enter__(self) -> PosterStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"PosterStore({str(self._posters_dir)!r})"

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @contextmanager
    def writer_lock(self) -> Iterator[None]:
        """Keep other processes from writing for as long as the block lasts, and clear up after one that was killed."""
        with exclusive(self._posters_dir):
            self._sweep()
            yield

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at once what is entered in the block, also if it is broken off."""
        self._in_transaction = True
        try:
            yield
        finally:
            self._in_transaction = False
            self._commit()

    def put(self, movie_id: int, content: bytes, origin: Origin) -> Poster:
        """Keep a poster verbatim, once it has been decoded completely: `write_file` and `enter` in one."""
        return self.register(movie_id, self.write_file(movie_id, content), origin)

    def write_file(self, movie_id: int, content: bytes) -> WrittenPoster:
        """Verify a poster and write its file; it counts once `enter` was told. May be called from any thread."""
        facts = verify_image(content)
        written = WrittenPoster(self._name_for(movie_id, facts), facts)
        # A row whose file lost its bytes in a power cut is not believed.
        write_unflushed(self._posters_dir / written.file_name, content)
        return written

    def register(self, movie_id: int, written: WrittenPoster, origin: Origin) -> Poster:
        """Enter a poster whose file was written.

        One that came from TMDB before is kept beside it until `confirm`, or comes back if this one turns out to be a
        picture that many films get.
        """
        facts = written.facts
        if origin.poster_path and self._is_placeholder(facts.sha256):
            raise self._refused(movie_id, written, origin)
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
        with self._entering((movie_id, path.name)):
            if not origin.poster_path:
                # What a user imports is meant.
                self._database.forget_replaced(movie_id)
            elif earlier and earlier.sha256 != facts.sha256:
                self._database.keep_replaced(movie_id)
            self._database.put(record)
        return Poster(movie_id, path, facts.sha256, facts.n_bytes, facts.width, facts.height, origin.source)

    def _is_placeholder(self, sha256: str) -> bool:
        return self._database.is_placeholder(sha256) or self._database.n_paths(sha256) >= _N_ALIKE

    def _refused(self, movie_id: int, written: WrittenPoster, origin: Origin) -> DataError:
        """Take a picture that is no poster from all films that have it."""
        reason = f"expected a poster, received a picture that {_N_ALIKE} other films got as well: a placeholder"
        sha256 = written.facts.sha256
        with self._entering((movie_id, written.file_name), *self._database.files_with(sha256)):
            self._database.disown(sha256, reason)
            if self.poster(movie_id):
                self._database.count_attempt(movie_id)
            else:
                self._database.put(Record(movie_id, State.FAILED, reason, **asdict(origin)))
        return DataError(reason)

    def confirm(self) -> None:
        """Let go of the posters that were replaced, now that a whole run has come and gone.

        One whose replacement came from a second address as well is kept on: that may be what an image host sends in
        place of posters, and be found out yet by the next films that get it.
        """
        with self.transaction():
            any_replaced = self._database.confirm()
        if any_replaced:
            self._sweep()

    def add_films(self, movie_ids: Iterable[int]) -> None:
        """Give every film a row; those that have one keep it."""
        self._database.add_films(movie_ids)

    def mark(self, movie_id: int, state: State, reason: str, origin: Origin | None = None) -> None:
        """Note why a film has no poster; one that it had goes, unless the asking only failed."""
        if state in (State.OK, State.MISSING):
            raise ValueError(f"expected a state that says why there is no poster, received {state}")
        # Nobody is asked for a film without a link.
        attempts = 0 if state is State.NO_LINK else 1
        if state is State.FAILED and self.poster(movie_id):
            with self._entering():
                self._database.count_attempt(movie_id)
        else:
            with self._entering((movie_id, None)):
                if state is not State.FAILED:
                    self._database.forget_replaced(movie_id)
                self._database.put(
                    Record(movie_id, state, reason, **(asdict(origin) if origin else {}), attempts=attempts)
                )

    def poster(self, movie_id: int) -> Poster | None:
        """Tell one film's poster."""
        return next(self._posters("AND movie_id = ?", movie_id), None)

    def posters(self) -> list[Poster]:
        """List the posters that are here."""
        return list(self._posters("ORDER BY movie_id"))

    def record(self, movie_id: int) -> Record | None:
        """Tell all that is kept about one film's poster."""
        return next(self._records("WHERE movie_id = ?", movie_id), None)

    def records(self) -> list[Record]:
        """List all that is kept."""
        return list(self._records("ORDER BY movie_id"))

    def failed(self) -> list[Record]:
        """List what is kept about the films whose last try failed."""
        return list(self._records("WHERE state = 'failed' ORDER BY movie_id"))

    def states(self) -> dict[int, State]:
        """Tell how things stand with every film that has a row."""
        states = {}
        # Not by way of `records`: of 90,000 films those would be the largest thing in memory.
        for movie_id, state, file_name, n_bytes in self._database.rows(
            "SELECT movie_id, state, file_name, n_bytes FROM posters ORDER BY movie_id"
        ):
            gone = file_name and not _is_whole(self._posters_dir / file_name, n_bytes)
            states[movie_id] = State.MISSING if gone else State(state)
        return states

    def attempts(self) -> dict[int, int]:
        """Tell how often every film's poster was asked for."""
        return dict(self._database.rows("SELECT movie_id, attempts FROM posters"))

    def counts(self, movie_ids: Iterable[int]) -> dict[State, int]:
        """Count the films of a catalog by state."""
        states = self.states()
        counted = Counter(states.get(movie_id, State.MISSING) for movie_id in movie_ids)
        return {state: counted[state] for state in State}

    def n_bytes(self, movie_ids: Iterable[int]) -> int:
        """Add up the lengths of the posters that are here."""
        wanted = frozenset(movie_ids)
        return sum(poster.n_bytes for poster in self._posters("") if poster.movie_id in wanted)

    def older_than(self, moment: datetime) -> set[int]:
        """List the films of which TMDB was asked before a moment; what a user imported has no age.

        A time to come is that of a clock which was wrong; such a film may be of any age, and is listed as well.
        """
        text = moment.astimezone(UTC).isoformat(timespec="seconds")
        # A clock may well go back by an hour.
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")
        clause = "WHERE (fetched_at < ? OR fetched_at > ?) AND source IS NOT NULL AND source != 'import'"
        rows = self._database.rows(f"SELECT movie_id FROM posters {clause}", (text, tomorrow))
        return {movie_id for (movie_id,) in rows}

    def _posters(self, clause: str, *values: object) -> Iterator[Poster]:
        columns = "movie_id, file_name, sha256, n_bytes, width, height, source"
        statement = f"SELECT {columns} FROM posters WHERE state = 'ok' {clause}"
        for movie_id, file_name, sha256, n_bytes, width, height, source in self._database.rows(statement, values):
            path = self._posters_dir / file_name
            if _is_whole(path, n_bytes):
                yield Poster(movie_id, path, sha256, n_bytes, width, height, Source(source))

    def _records(self, clause: str, *values: object) -> Iterator[Record]:
        for record in self._database.records(clause, *values):
            if record.file_name and not _is_whole(self._posters_dir / record.file_name, record.n_bytes):
                yield replace(record, state=State.MISSING, reason=f"{record.file_name} is gone or changed")
            else:
                yield record

    def _name_for(self, movie_id: int, facts: ImageFacts) -> str:
        """Name the file of a poster so that it overwrites none that a row speaks of, but for one of the same bytes."""
        # The name is made of our own number and what was decoded: nothing that the network said is part of it.
        plain = f"{movie_id}{facts.suffix}"
        with self._database.lock:
            name, sha256 = self._database.file_of(movie_id)
            # A film that is entered twice before a commit still has the file of the row that counts until then.
            taken = self._database.files_of(movie_id) | self._rivals.get(movie_id, set())
        if name and sha256 == facts.sha256 and Path(name).suffix == facts.suffix:
            return name
        return plain if plain not in taken else f"{movie_id}-{facts.sha256[:8]}{facts.suffix}"

    @contextmanager
    def _entering(self, *files: tuple[int, str | None]) -> Iterator[None]:
        """Commit what is entered in the block, at the latest with the block of `together` around it.

        Of the films that are named, the files named, and those that the table has now, go then if it has them no more.
        """
        with self._database.lock:
            for movie_id, name in files:
                self._rivals[movie_id].update(self._database.files_of(movie_id), [name] if name else [])
        try:
            yield
        finally:
            # Also after an error, which undid the row: its file goes then.
            if not self._in_transaction:
                self._commit()

    def _commit(self) -> None:
        """Commit what was entered, or undo it; then remove the files that have lost their row, or got none."""
        with self._database.lock:
            try:
                self._database.commit()
            finally:
                self._remove_losers()

    def _remove_losers(self) -> None:
        # The database is asked, since a full disk undoes more than the last row. What cannot be removed now, the next
        # `writing` sweeps up.
        with suppress(OSError, StoreError):
            while self._rivals:
                movie_id, names = self._rivals.popitem()
                for name in names - self._database.files_of(movie_id):
                    (self._posters_dir / name).unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove the posters that no row speaks of: a killed process did not enter them, or they were replaced.

        Only those of films whose row speaks of another file, or of none: where the database was lost, the posters are
        all there is.
        """
        known = {
            movie_id for (movie_id,) in self._database.rows("SELECT movie_id FROM posters WHERE state != 'missing'")
        }
        needed = {
            name
            for (name,) in self._database.rows("SELECT file_name FROM posters UNION SELECT file_name FROM replaced")
        }
        try:
            for path in self._posters_dir.iterdir():
                found = _FILE_NAME.fullmatch(path.name)
                if found and int(found[1]) in known and path.name not in needed:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise write_error(self._posters_dir, error) from error


def _is_whole(path: Path, n_bytes: int | None) -> bool:
    """Tell whether a file is there as it was written; its length finds one that was cut off or replaced."""
    try:
        return path.stat().st_size == n_bytes
    except OSError:
        return False
