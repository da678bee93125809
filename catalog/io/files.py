"""How anything is kept: whole files or none, JSON records, checksums.

A file is written under a temporary name beside its place, flushed to the disk and renamed, so that a reader sees
the old file or the new one and never a part. A JSON record carries its kind and version, and is written last: what
it describes is complete once it is there. Bytes and records may also lie on other file systems. May import only
`catalog.errors` and `catalog.io.remote`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import xxhash

from catalog.errors import DataError, StoreError
from catalog.io.remote import AnyPath, RemotePath

_TEMPORARY_SUFFIX = ".partial"
_CHUNK_BYTES = 1 << 20


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the block ends well, and disappears when it does not.

    Parameters
    ----------
    path : Path
        Where the finished file shall stand. Its folder is made if it is missing.

    Yields
    ------
    Path
        The temporary path to write to, in the same folder.

    Raises
    ------
    StoreError
        The disk is full, or the folder cannot be written to; `path` is as it was before.
    """
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
        # Where the folder is no folder, there is nothing to remove.
        with suppress(OSError):
            temporary_path.unlink(missing_ok=True)


def write_error(path: Path, error: OSError | sqlite3.OperationalError) -> StoreError:
    """Word the failure of a write so that a user knows what to do.

    Parameters
    ----------
    path : Path
        What was being written.
    error : OSError or sqlite3.OperationalError
        What the system said.

    Returns
    -------
    StoreError
        The error to raise; it is not raised here.
    """
    reason = getattr(error, "strerror", None) or str(error)
    # NumPy and SQLite do not pass the system's reason on when the disk is full.
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or any(
        words in str(error) for words in ("full", "disk I/O error", "requested and")
    )
    advice = "free some space" if full else "check that the folder can be written to"
    return StoreError(f"cannot write {path}: {reason}; {advice} and run the same command again")


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clear_partial(folder: Path) -> None:
    """Remove what killed processes left half-written; nobody may be writing there.

    Parameters
    ----------
    folder : Path
        Where files were written.

    Raises
    ------
    StoreError
        The folder cannot be written to.
    """
    for path in folder.glob(f".*{_TEMPORARY_SUFFIX}"):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise write_error(path, error) from error


def write_unflushed(path: Path, content: bytes) -> None:
    """Write one of very many small files whole, or leave what was there; only one thread may write it.

    It is not waited for until the file is on the disk, which takes longer than all else. A killed process does no
    harm; after a power cut the file may be empty, so whoever reads it must hold it to its length.

    Parameters
    ----------
    path : Path
        Where the file shall stand; its folder is there.
    content : bytes
        What it shall hold.

    Raises
    ------
    StoreError
        The file cannot be written.
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
    """Write a whole file, or leave what was there.

    Parameters
    ----------
    path : Path or RemotePath
        Where the file shall stand.
    content : bytes
        What it shall hold.

    Raises
    ------
    StoreError
        The file cannot be written.
    """
    if isinstance(path, RemotePath):
        path.write_bytes(content)
        return
    with atomic_path(path) as temporary_path:
        temporary_path.write_bytes(content)


def write_record(path: AnyPath, kind: str, version: int, content: dict[str, Any]) -> None:
    """Write a JSON record that names its own kind and version.

    Parameters
    ----------
    path : Path or RemotePath
        Where the record shall stand.
    kind : str
        What it is a record of, such as ``"keyart-workspace"``.
    version : int
        The version of this kind's layout.
    content : dict
        What it says; anything that JSON can hold.

    Raises
    ------
    StoreError
        The file cannot be written.
    """
    text = json.dumps({"kind": kind, "version": version, **content}, indent=2, ensure_ascii=False)
    write_bytes(path, text.encode() + b"\n")


def read_record(path: AnyPath, kind: str, version: int) -> dict[str, Any]:
    """Read a record that `write_record` wrote, and hold it to its kind and version.

    Parameters
    ----------
    path : Path or RemotePath
        Where the record stands.
    kind : str
        The kind that is expected.
    version : int
        The version that is expected.

    Returns
    -------
    dict
        What it says, without kind and version.

    Raises
    ------
    FileNotFoundError
        There is no such record.
    DataError
        It is not a record of this kind and version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not a JSON record ({error}); remove it and build that part again") from error
    if not isinstance(content, dict) or content.get("kind") != kind:
        raise DataError(f"{path} should be a record of kind {kind!r}; another program's file stands there")
    if content.get("version") != version:
        raise DataError(
            f"{path} is of version {content.get('version')!r}, this keyart reads version {version}; "
            "use the keyart that made it, or begin anew in another folder (--home DIR)"
        )
    return {key: value for key, value in content.items() if key not in ("kind", "version")}


def sha256_file(path: AnyPath) -> str:
    """Compute the SHA-256 of a file, a megabyte at a time.

    Parameters
    ----------
    path : Path or RemotePath
        The file.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def xxh3_file(path: Path) -> str:
    """Compute the XXH3 checksum of a file: against damage, not against malice, and many times as fast as a hash.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    digest = xxhash.xxh3_64()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite says about a file into errors that a user can act on.

    Parameters
    ----------
    path : Path
        The database file, for the message.

    Yields
    ------
    None

    Raises
    ------
    StoreError
        The disk is full, or the database is locked or read-only.
    DataError
        The file is not an SQLite database, or is damaged.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise write_error(path, error) from error
    except sqlite3.DatabaseError as error:
        raise DataError(
            f"{path} is not a readable SQLite database ({error}); restore it, or begin anew in another folder"
        ) from error
