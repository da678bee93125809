"""Atomic files, JSON records with kind and version, and checksums.

A file is written under a temporary name in the same folder, flushed to the disk and renamed, so that a reader sees the
old file or the new one and never a part. A record is written last: once it exists, what it describes is complete.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import xxhash

from catalog.errors import ConfigError, DataError, KeyartError, StoreError
from catalog.io.remote import AnyPath, RemotePath

_TEMPORARY_SUFFIX = ".partial"
_CHUNK_BYTES = 1 << 20
_N_ATTEMPTS = 5

Result = TypeVar("Result")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path that is renamed to `path` when the block succeeds, and removed when it fails."""
    temporary_path = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_TEMPORARY_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary_path
        _flush_to_disk(temporary_path)
        temporary_path.replace(path)
        _flush_to_disk(path.parent)
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


def _flush_to_disk(path: Path) -> None:
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
        path.open("rb").close()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


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
            kept = named()
            for path in paths():
                if path.name not in kept:
                    path.unlink(missing_ok=True)
        raise


def is_partial(name: str) -> bool:
    """Return whether a killed process may have left a file of this name: a partial one, or SQLite's journal of it."""
    return name.startswith(".") and name.removesuffix("-journal").endswith(_TEMPORARY_SUFFIX)


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


def write_record(path: AnyPath, kind: str, version: int, content: dict[str, Any]) -> None:
    """Write a JSON record with its kind and version."""
    text = json.dumps({"kind": kind, "version": version, **content}, indent=2, ensure_ascii=False)
    write_bytes(path, text.encode() + b"\n")


def read_record(path: AnyPath, kind: str, version: int) -> dict[str, Any]:
    """Read a record that `write_record` wrote; DataError if its kind or version is another."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not a JSON record ({error}); remove it and build that part again") from error
    if not isinstance(content, dict) or content.get("kind") != kind:
        raise DataError(f"{path} should be a record of kind {kind!r}; this file belongs to another program")
    if content.get("version") != version:
        raise OtherVersionError(f"{path} is of version {content.get('version')!r}, this keyart reads version {version}")
    return {key: value for key, value in content.items() if key not in ("kind", "version")}


def record_kind(path: AnyPath) -> object:
    """Return the kind of a JSON record; None for a file that is none, or does not exist."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
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
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def xxh3_file(path: Path) -> str:
    """Compute the XXH3 checksum of a file: many times faster than SHA-256, but only a protection against damage."""
    digest = xxhash.xxh3_64()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Convert SQLite's errors about a file to errors that say what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise write_error(path, error) from error
    except sqlite3.IntegrityError as error:
        # What is there is whole: it refused what does not fit.
        raise DataError(f"nothing was written to {path}, as it holds such a row already ({error})") from error
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError, sqlite3.NotSupportedError) as error:
        # A closed connection, or a value that fits no column, says nothing about the file.
        raise DataError(f"{path} could not be used ({error})") from error
    except sqlite3.DatabaseError as error:
        raise DataError(
            f"{path} is not a readable SQLite database ({error}); restore it, or begin anew in another folder"
        ) from error
