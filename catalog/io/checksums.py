"""Hold files to the checksums recorded of them, once a process; and the checksums of SQLite files.

A JSON record has its own checksum (`catalog.io.files`) and names those of the data files of its generation. SQLite
files have a record beside them, ``catalog.sqlite.json``: the checksums that the file may have, each with what of the
file's header any program changes that writes it. While a database is written in place its record lists none, which a
killed writer leaves behind; then, and after changes by another program, which the header shows, SQLite's integrity
check stands in for them.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from catalog.errors import DamageError, DataError, StoreError
from catalog.io.files import open_file, read_error, read_failures, read_record, sha256_file, write_record, xxh3_file
from catalog.io.remote import AnyPath

_KIND, _VERSION = "keyart-checksums", 1
_N_ATTEMPTS = 5
# A file may change again within one tick of the file system's clock, without a trace in its times.
_TICK_NS = 2 * 10**9
_MAX_REMEMBERED = 4096
_HEADER_BYTES = 100
# SQLite's counter of changes, and the number by which a program marks its files.
_COUNTER, _ID = slice(24, 28), slice(68, 72)


_Stamp = tuple[int, ...]
_remembered: dict[tuple[str, Path], tuple[_Stamp, str]] = {}
_lock = Lock()


class ChecksumError(DamageError):
    """An SQLite file has another checksum than when it was written, and nothing shows that a program wrote it."""


def hold_to_xxh3(path: Path, expected: str) -> None:
    """Raise ValueError unless a file has an XXH3 checksum; it is read only if it has changed since the last time."""
    _hold(path, expected, "xxh3", xxh3_file)


def hold_to_sha256(path: AnyPath, expected: str) -> None:
    """Raise ValueError unless a file has a SHA-256 checksum, which a remote file is read for every time."""
    _hold(path, expected, "sha256", sha256_file)


def _hold(path: AnyPath, expected: str, kind: str, compute: Callable[[AnyPath], str]) -> None:
    try:
        checksum = _once(path, kind, compute) if isinstance(path, Path) else compute(path)
    except DataError as error:
        raise ValueError(str(error)) from error
    if checksum != expected:
        raise ValueError(f"{path.name} has another checksum than when it was written")


def _once(path: Path, kind: str, compute: Callable[[Path], str]) -> str:
    """Compute something of a file, or return what it was while the file is unchanged."""
    key, stamp = (kind, path), _stamp(path)
    with _lock:
        remembered = _remembered.get(key)
    if remembered and remembered[0] == stamp:
        return remembered[1]
    result = compute(path)
    if _stamp(path) == stamp and time.time_ns() - max(stamp[-2:]) > _TICK_NS:
        with _lock:
            if len(_remembered) >= _MAX_REMEMBERED:
                _remembered.clear()
            _remembered[key] = stamp, result
    return result


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    # The time of change too: copies may keep the time of modification.
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def checksums_path(path: Path) -> Path:
    """Return the path of the record of an SQLite file's checksums."""
    return path.with_name(f"{path.name}.json")


def log_path(path: Path) -> Path:
    """Return the path of the log of an SQLite file, in which what was written last may be."""
    return path.with_name(f"{path.name}-wal")


def recorded_checksums(path: Path) -> Mapping[str, str] | None:
    """Return the checksums that an SQLite file may have, and the revision of each; None where none are recorded."""
    try:
        return {str(key): str(revision) for key, revision in _recorded(path).items()}
    except (FileNotFoundError, NotADirectoryError):
        return None


def _recorded(path: Path) -> Mapping[str, str]:
    try:
        recorded: Mapping[str, str] = read_record(checksums_path(path), _KIND, _VERSION)["xxh3"]
        recorded.items()
    except (KeyError, AttributeError) as error:
        raise DamageError(f"{checksums_path(path)} is damaged ({error}); run `keyart check --repair`") from error
    return recorded


def record_checksums(path: Path, versions: Iterable[Path] = ()) -> None:
    """Record the checksums that an SQLite file may have: those of these files, or of none while it is written."""
    _write(path, {xxh3_file(version): revision_of(version) for version in versions})


def _write(path: Path, checksums: Mapping[str, str]) -> None:
    write_record(checksums_path(path), _KIND, _VERSION, {"xxh3": dict(checksums)})


@contextmanager
def replacing(path: Path, newer: Path) -> Iterator[None]:
    """Record the checksums of an SQLite file and of the one that replaces it in the block, and then of that alone."""
    before, after = _before(path), {xxh3_file(newer): revision_of(newer)}
    if before:
        _write(path, {**before, **after})
    # A first file comes before its record, which without a file would be damage.
    yield
    # Where it replaced another, its checksum is among those recorded, whatever happens now.
    with suppress(*((StoreError,) if before else ())):
        _write(path, after)


def _before(path: Path) -> Mapping[str, str]:
    """Return the checksums of an SQLite file as they were recorded, or as they are where none were."""
    with suppress(DamageError):
        if (recorded := recorded_checksums(path)) is not None:
            return recorded
    return {xxh3_file(path): revision_of(path)} if path.is_file() else {}


def has_recorded_checksum(path: Path) -> bool:
    """Return whether an SQLite file has one of the checksums that are recorded of it."""
    try:
        return xxh3_file(path) in (recorded_checksums(path) or {})
    except OSError as error:
        raise read_error(path, error) from error


def revision_of(path: Path) -> str:
    """Read what tells a file that was written since from a damaged one; empty for what is no SQLite file.

    SQLite counts every change of a file that has no write-ahead log; a file from elsewhere has another id.
    """
    with read_failures(path), open_file(path) as stream:
        header = stream.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or not header.startswith(b"SQLite format 3\0"):
        return ""
    return (header[_COUNTER] + header[_ID]).hex()


def identify(path: Path) -> None:
    """Write an id into a new SQLite file, which nobody has open, by its content.

    The counter of a new file begins anew, so that by it alone another one in its place would pass for damage.
    """
    number = bytes.fromhex(xxh3_file(path)[:8])
    with path.open("r+b") as stream:
        stream.seek(_ID.start)
        stream.write(number)


def hold_database(path: Path, connection: sqlite3.Connection) -> None:
    """Raise ChecksumError unless an open SQLite file is as it was written; one without recorded checksums passes.

    One that another program wrote passes too, by SQLite's own check.
    """
    for _ in range(_N_ATTEMPTS):
        before = _stamps(path)
        try:
            if _is_whole(path, connection):
                return
        except OSError as error:
            raise read_error(path, error) from error
        # Another process may have written meanwhile.
        if _stamps(path) == before:
            break
    raise ChecksumError(
        f"{path} is damaged: it has another checksum than when it was written, unless another program wrote it; "
        "run `keyart check`, which says what mends it"
    )


def _is_whole(path: Path, connection: sqlite3.Connection) -> bool:
    # The file before its record: a writer changes the record before the file.
    xxh3, revision = _once(path, "xxh3", xxh3_file), revision_of(path)
    recorded = recorded_checksums(path)
    if recorded is None or xxh3 in recorded:
        return True
    if recorded and (not revision or revision in recorded.values()):
        return False
    return _is_consistent(path, connection)


def _is_consistent(path: Path, connection: sqlite3.Connection) -> bool:
    """Run SQLite's integrity check, unless it has passed and nothing was written since."""
    key = ("integrity", path)
    stamp = tuple(number for one in _stamps(path) for number in one)
    with _lock:
        if _remembered.get(key) == (stamp, "ok"):
            return True
    (result,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if result == "ok":
        with _lock:
            _remembered[key] = stamp, "ok"
    return bool(result == "ok")


def _stamps(path: Path) -> tuple[_Stamp, ...]:
    """Return the state of an SQLite file, of its log and of the record of its checksums."""
    stamps: list[_Stamp] = []
    for one in (path, log_path(path), checksums_path(path)):
        try:
            stamps.append(_stamp(one))
        except OSError:
            stamps.append(())
    return tuple(stamps)
