"""Atomic files, JSON records with kind, version and checksum, and checksums of files.

A file is written under a temporary name in the same folder, flushed to the disk and renamed, so that a reader sees the
old file or the new one and never a part. A record is written last: once it exists, what it describes is complete.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import secrets
import sqlite3
import stat
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from tokenize import TokenError
from typing import Any, TypeVar
from zipfile import BadZipFile

import xxhash

from catalog.errors import ConfigError, DamageError, DataError, IncompleteError, KeyartError, StoreError
from catalog.io.remote import AnyPath, RemotePath
from catalog.text import printable

_TEMPORARY_SUFFIX = ".partial"
_CHUNK_BYTES = 1 << 20
MAX_INPUT_BYTES = 8 << 30
"""The limit of a file that a user names; the largest table of MovieLens takes an eighth of it."""
_MAX_RECORD_BYTES = 256 << 20
_N_ATTEMPTS = 20
# Pictures and tables are written within seconds.
_ABANDONED_S = 600.0
# Every record has them beside its content.
_OWN_KEYS = ("kind", "version", "checksum")
# Begins every checksum of a record, which is recognized by it where the name of its key is damaged.
_ALGORITHM = "xxh3:"

FORMAT_ERRORS = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError, TypeError),
    *(ValueError, BadZipFile, TokenError, zlib.error),
)
"""What the libraries that read arrays and tables raise for a file of another format, by the place of the damage."""

# Of an OSError: none, no such file, and a file of another kind.
_NO_FAILURES = (None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENXIO)

Result = TypeVar("Result")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path that is renamed to `path` when the block succeeds, and removed when it fails."""
    temporary_path = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_TEMPORARY_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary_path
        flush_to_disk(temporary_path)
        temporary_path.replace(path)
        flush_to_disk(path.parent)
    except (OSError, sqlite3.OperationalError) as error:
        raise write_error(path, error) from error
    finally:
        # If the folder is a file, there is nothing to remove.
        with suppress(OSError):
            temporary_path.unlink(missing_ok=True)


def write_error(path: AnyPath, error: OSError | sqlite3.OperationalError, action: str = "write") -> StoreError:
    """Convert a failed write or removal to an error that says what to do."""
    reason = getattr(error, "strerror", None) or str(error)
    # NumPy and SQLite do not pass on the system's error number when the disk is full.
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or any(
        words in str(error) for words in ("full", "disk I/O error", "requested and")
    )
    advice = "free some space" if full else "check that the folder can be written to"
    return StoreError(f"cannot {action} {path}: {reason}; {advice} and run the same command again")


def read_error(path: AnyPath, error: BaseException) -> StoreError:
    """Convert a failed read of a file of keyart's own, which may be whole, to an error that says what to do."""
    reason = getattr(error, "strerror", None) or str(error)
    return StoreError(f"cannot read {path}: {reason}; check disk and rights and run the same command again")


def is_read_failure(error: BaseException) -> bool:
    """Return whether a file could not be read, which says nothing about its content: it must not count as damage.

    A disk that fails for a moment does that; a file that is missing, or is a folder or a pipe, does not. For content
    that it cannot read, Arrow raises an OSError without a number.
    """
    return isinstance(error, OSError) and error.errno not in _NO_FAILURES


@contextmanager
def read_failures(path: AnyPath) -> Iterator[None]:
    """Convert a failed read of a file that is there to an error that says what to do."""
    try:
        yield
    except OSError as error:
        if is_read_failure(error):
            raise read_error(path, error) from error
        raise


def flush_to_disk(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_output(path: Path, endings: Collection[str]) -> None:
    """Raise ConfigError unless a path has one of these endings and its folder exists; call it before any work."""
    if path.suffix.lower() not in endings:
        raise ConfigError(f"{path}: expected a name ending in {', '.join(endings)}")
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; expected the name of a file")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: there is no folder {path.parent}; create it first")


def check_input(path: Path) -> None:
    """Raise DataError unless a path is a file that can be read; call it before any work."""
    try:
        os.close(open_regular(path))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def open_regular(path: Path) -> int:
    """Open a file to read, as a descriptor; DataError for what is no file, such as a pipe, which might never end."""
    # A pipe that nobody writes into would keep `open` waiting.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(mode := os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DataError(f"cannot read {path}: it is {_kind_of(mode)}, expected a file")
    return descriptor


def check_regular(path: Path) -> None:
    """Raise DataError for what is no file, such as a pipe, which SQLite would wait for; a missing file passes."""
    with suppress(OSError):
        os.close(open_regular(path))


def open_file(path: AnyPath) -> AbstractContextManager[BufferedReader]:
    """Open a file to read, here or elsewhere; DataError for what is no file."""
    return path.open() if isinstance(path, RemotePath) else os.fdopen(open_regular(path), "rb")


def _kind_of(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe" if stat.S_ISFIFO(mode) else "a device or a socket"


def read_bytes(path: AnyPath, most: int) -> bytes:
    """Read a whole file; DataError for what is no file, and for more than `most` bytes.

    Other failures stay an OSError, such as that of a missing file.
    """
    if isinstance(path, RemotePath):
        return path.read_bytes()
    with open_file(path) as stream:
        n_bytes = os.fstat(stream.fileno()).st_size
        if n_bytes > most:
            raise DataError(f"cannot read {path}: it has more than {most:,} bytes")
        # Not up to `most`: memory is reserved for all that is asked for.
        content = stream.read(n_bytes + 1)
    if len(content) > n_bytes:
        raise DataError(f"cannot read {path}: it grew while it was read; run the same command again")
    return content


def read_input(path: Path, most: int = MAX_INPUT_BYTES) -> bytes:
    """Read a whole file that a user names; DataError where it cannot be read, is no file, or has more bytes."""
    try:
        return read_bytes(path, most)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


@contextmanager
def name_in_utf8(path: Path) -> Iterator[str]:
    """Yield a name of a file for libraries that take no other than UTF-8, such as FAISS and Arrow."""
    if printable(path) == str(path):
        yield str(path)
        return
    with open_file(path) as stream:
        yield f"/dev/fd/{stream.fileno()}"


def parse_json(content: str | bytes) -> Any:
    """Parse JSON of any origin; ValueError for what is none, and for what is nested thousands of levels deep."""
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def remove_file(path: AnyPath) -> None:
    """Remove a file if it exists; StoreError if the folder cannot be written."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error, "remove") from error


@contextmanager
def removed_on_failure(paths: Callable[[], Iterable[Path]], named: Callable[[], Collection[str]]) -> Iterator[None]:
    """Remove the new files of a block that fails, but for those that the record names already.

    An error or an interruption may come after the record was renamed, while its folder is flushed to the disk.
    """
    try:
        yield
    except BaseException:
        # What cannot be removed now, or cannot be told apart, is removed by the next writer.
        with suppress(KeyartError, OSError):
            remaining = named()
            for path in paths():
                if path.name not in remaining:
                    path.unlink(missing_ok=True)
        raise


def is_partial(name: str) -> bool:
    """Return whether a killed process may have left a file of this name: a partial one, or SQLite's journal of it."""
    return name.startswith(".") and name.removesuffix("-journal").endswith(_TEMPORARY_SUFFIX)


def clear_partial_of(path: Path) -> None:
    """Remove the partial files that killed writers of one file left; nobody may be writing it."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.????????{_TEMPORARY_SUFFIX}"):
        remove_file(leftover)


@contextmanager
def output_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path as `atomic_path` does, for a file that a user names; what killed writers left goes first.

    Nobody locks the folders of users, so a partial file stays that another process may be writing.
    """
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.????????{_TEMPORARY_SUFFIX}"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _ABANDONED_S:
                leftover.unlink()
    with atomic_path(path) as temporary_path:
        yield temporary_path


def clear_partial(folder: Path) -> None:
    """Remove the partial files of killed processes; nobody may be writing into the folder."""
    for path in folder.glob(f".*{_TEMPORARY_SUFFIX}*"):
        if is_partial(path.name):
            remove_file(path)


def write_unflushed(path: Path, content: bytes) -> None:
    """Write a small file atomically, but without waiting for the disk, which would take longer than all else.

    Safe against a killed process. After a power failure the file may be empty, so readers have to check its length.
    Only one thread may write a file.
    """
    temporary_path = path.with_name(f".{path.name}{_TEMPORARY_SUFFIX}")
    try:
        temporary_path.write_bytes(content)
        temporary_path.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary_path.unlink(missing_ok=True)
        raise write_error(path, error) from error


def write_bytes(path: AnyPath, content: bytes) -> None:
    """Write a whole file, or leave the earlier one."""
    if isinstance(path, RemotePath):
        path.write_bytes(content)
        return
    with atomic_path(path) as temporary_path:
        temporary_path.write_bytes(content)


class OtherVersionError(DataError):
    """A record is of a version that this program does not read; the caller may know better advice."""

    def __init__(
        self, reason: str, advice: str = "use the keyart that made it, or begin anew in another folder (--home DIR)"
    ) -> None:
        super().__init__(f"{reason}; {advice}")
        self.reason = reason


def write_record(path: AnyPath, kind: str, version: int, content: Mapping[str, Any]) -> None:
    """Write a JSON record with its kind, its version and a checksum of it all."""
    write_bytes(path, record_text(kind, version, content))


def no_record(path: Path, what: str, advice: str) -> IncompleteError:
    """Return the error of a part whose files are there without their record, which is written last."""
    return IncompleteError(
        f"{what} is incomplete ({path} is missing): it was never finished, or its record is lost; {advice}"
    )


def record_text(kind: str, version: int, content: Mapping[str, Any]) -> bytes:
    """Return the text of a record, for whoever writes it otherwise than by `write_record`."""
    # What JSON makes of it: keys are texts, and tuples are lists.
    record = json.loads(json.dumps({"kind": kind, "version": version, **content}))
    record["checksum"] = _checksum(record)
    return json.dumps(record, indent=2, ensure_ascii=False).encode() + b"\n"


def _checksum(record: Mapping[str, Any]) -> str:
    return _ALGORITHM + xxhash.xxh3_64_hexdigest(json.dumps(record, sort_keys=True).encode())


def _has_changed(record: Mapping[str, Any]) -> bool:
    """Return whether a record differs from when it was written; False for those of earlier versions."""
    content = dict(record)
    checksum = content.pop("checksum", None)
    if checksum is None:
        return any(isinstance(value, str) and value.startswith(_ALGORITHM) for value in content.values())
    return bool(checksum != _checksum(content))


def read_record(path: AnyPath, kind: str, version: int) -> dict[str, Any]:
    """Read a record that `write_record` wrote.

    DataError if its kind or version is another, DamageError if it has changed since.
    """
    try:
        content = parse_json(record_bytes(path))
    except ValueError as error:
        raise DamageError(f"{path} is not a JSON record ({error}); run `keyart check --repair`") from error
    if isinstance(content, dict) and _has_changed(content):
        raise DamageError(
            f"{path} is damaged: it has another checksum than when it was written; run `keyart check --repair`"
        )
    if not isinstance(content, dict) or content.get("kind") != kind:
        raise DataError(f"{path} should be a record of kind {kind!r}; this file belongs to another program")
    if content.get("version") != version:
        raise OtherVersionError(f"{path} is of version {content.get('version')!r}, this keyart reads version {version}")
    return {key: value for key, value in content.items() if key not in _OWN_KEYS}


def record_bytes(path: AnyPath) -> bytes:
    """Read the file of a JSON record; DamageError for what cannot be one, FileNotFoundError where there is none."""
    try:
        return read_bytes(path, _MAX_RECORD_BYTES)
    except DataError as error:
        raise DamageError(f"{path} is not a JSON record ({error}); run `keyart check --repair`") from error
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise read_error(path, error) from error


def record_kind(path: AnyPath) -> object:
    """Return the kind of a JSON record; None for a file that is none, or does not exist."""
    try:
        content = parse_json(record_bytes(path))
    except (OSError, ValueError, KeyartError):
        return None
    return content.get("kind") if isinstance(content, dict) else None


def read_stable(read: Callable[[], Result], version: Callable[[], object]) -> Result:
    """Call a function that reads several files; call it again if it failed while another process replaced them.

    Writers remove the files of one generation after those of the next are in place. `version` returns something that
    differs between generations.
    """
    for _ in range(_N_ATTEMPTS - 1):
        before = version()
        try:
            return read()
        except (KeyartError, OSError):
            if version() == before:
                raise
    return read()


def sha256_file(path: AnyPath) -> str:
    """Compute the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with read_failures(path), open_file(path) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def xxh3_file(path: AnyPath) -> str:
    """Compute the XXH3 checksum of a file: many times faster than SHA-256, but only a protection against damage."""
    digest = xxhash.xxh3_64()
    with read_failures(path), open_file(path) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Convert SQLite's errors about a file to errors that say what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise _sqlite_error(path, error) from error
    except sqlite3.IntegrityError as error:
        # What is there is whole: it refused what does not fit.
        raise DataError(f"nothing was written to {path}, as it holds such a row already ({error})") from error
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError, sqlite3.NotSupportedError) as error:
        # A closed connection, or a value that fits no column, says nothing about the file.
        raise DataError(f"{path} could not be used ({error})") from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise DamageError(f"{path} is not a readable SQLite database ({error}); run `keyart check --repair`") from error


@contextmanager
def row_errors(path: Path) -> Iterator[None]:
    """Convert the errors of rows that hold other values than keyart writes; SQLite takes any value in any column."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise DamageError(
            f"{path} has a row with other values than keyart writes ({error}); run `keyart check --repair`"
        ) from error


def _sqlite_error(path: Path, error: sqlite3.OperationalError) -> KeyartError:
    # A text that is not UTF-8 has no code.
    default = sqlite3.SQLITE_CORRUPT if "decode" in str(error) else sqlite3.SQLITE_BUSY
    code = getattr(error, "sqlite_errorcode", default)
    # What a statement of our own does not find was there when the file was written.
    if code & 0xFF in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return DamageError(f"{path} is damaged ({error}); run `keyart check --repair`")
    if code == sqlite3.SQLITE_IOERR_READ or code & 0xFF == sqlite3.SQLITE_CANTOPEN:
        return StoreError(f"cannot read {path}: {error}; check disk and rights and run the same command again")
    return write_error(path, error)
