"""Shards of features: files of a table and an array, with checksums.

The same content makes the same bytes, on one machine as in a Spark task::

    features-00000.npy       float16 (n, n_features), memory-mappable
    features-00000.parquet   movie_id (integer) or picture_id (text), poster_sha256, width, height, source
    features-00000.json      the completion record, written last: rows, and bytes and checksum of the other two
"""

from __future__ import annotations

import hashlib
import io
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from catalog.errors import DamageError, DataError, KeyartError, StoreError
from catalog.io.checksums import hold_to_sha256
from catalog.io.files import (
    FORMAT_ERRORS,
    MAX_INPUT_BYTES,
    is_read_failure,
    open_file,
    read_bytes,
    read_record,
    record_text,
    remove_file,
)
from catalog.io.remote import AnyPath, RemotePath

KIND, VERSION = "keyart-features-shard", 1
COLUMNS = ("poster_sha256", "width", "height", "source")
"""The columns of a shard's table beside the ids."""
ID_COLUMNS = ("movie_id", "picture_id")
"""The name of the column of ids: integers of films, or texts of other images."""

SHARD_ROWS = 256
"""The number of rows of a full shard, 13 MB: a crash loses at most that, a minute of VGG16 on a small machine."""
Check = Callable[[AnyPath, dict[str, Any]], object]
"""Raises an error where a file is not as its record describes it."""
PictureId = int | str
"""A movie_id, or the name of an image of any folder."""

_FILE_NAME = re.compile(r"features-(\d{5,})\.(?:json|npy|parquet)")


_UNREADABLE = (DataError, *FORMAT_ERRORS)
# NumPy parses a header as Python code, which is not thread-safe in Python 3.11 (CPython issue 106905).
_PARSING = threading.Lock()


@dataclass(frozen=True)
class Row:
    """An image in a shard's table: its size is upright, in pixels; its source a file name, empty for bytes."""

    picture_id: PictureId
    poster_sha256: str
    width: int
    height: int
    source: str


def table_of(rows: Sequence[Row]) -> pd.DataFrame:
    ids = [row.picture_id for row in rows]
    name, column = ("movie_id", np.array(ids, np.int64)) if isinstance(ids[0], int) else ("picture_id", ids)
    return pd.DataFrame(
        {
            name: column,
            "poster_sha256": [row.poster_sha256 for row in rows],
            "width": np.array([row.width for row in rows], np.int32),
            "height": np.array([row.height for row in rows], np.int32),
            "source": [row.source for row in rows],
        }
    )


def stem_of(number: int) -> str:
    return f"features-{number:05d}"


def number_of(name: str) -> int | None:
    """Return a shard's number from the name of one of its files; None for any other file, such as a user's own."""
    match = _FILE_NAME.fullmatch(name)
    return int(match[1]) if match else None


def shard_files(number: int, table: pd.DataFrame, features: npt.NDArray[np.float16]) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of a shard's files; a shard is complete once the last one is written.

    Memory: a copy of the features. The same content gives the same bytes.
    """
    stem, facts = stem_of(number), {}
    array, rows = io.BytesIO(), io.BytesIO()
    np.save(array, features, allow_pickle=False)
    table.to_parquet(rows, index=False)
    for suffix, stream in (("npy", array), ("parquet", rows)):
        content = stream.getvalue()
        facts[suffix] = {"n_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        yield f"{stem}.{suffix}", content
    yield f"{stem}.json", record_text(KIND, VERSION, {"n_rows": len(table), "files": facts})


def read_table(folder: AnyPath, number: int, check: Check | None = None) -> pd.DataFrame:
    """Read the table of a shard, after checking the lengths of its files, or as `check` does."""
    path = folder / f"{stem_of(number)}.parquet"
    record = _record(folder, number, check=check or _check_length)
    try:
        table = pd.read_parquet(io.BytesIO(_checked_bytes(path, record["files"]["parquet"]["sha256"])))
    except (*_UNREADABLE, pa.ArrowException) as error:
        raise _read_error(folder, number, error) from error
    if len(table) != record["n_rows"]:
        raise damaged(folder, number, f"{len(table)} rows, expected {record['n_rows']}")
    return table


def _checked_bytes(path: AnyPath, sha256: str) -> bytes:
    content = read_bytes(path, MAX_INPUT_BYTES)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path.name} has another checksum than when it was written")
    return content


def intact_table(folder: AnyPath, number: int) -> pd.DataFrame | None:
    """Read the table of a damaged shard; None where the table or its checksum is damaged itself."""
    try:
        return read_table(folder, number, check=lambda *_: None)
    except KeyartError:
        return None


def unrecorded_table(folder: AnyPath, number: int, n_features: int) -> pd.DataFrame | None:
    """Read the table of a shard without a record; None unless table and array are there, and are of one length."""
    try:
        table = pd.read_parquet(io.BytesIO(read_bytes(folder / f"{stem_of(number)}.parquet", MAX_INPUT_BYTES)))
        is_whole = len(map_features(folder, number, n_features)) == len(table)
    except (DataError, *FORMAT_ERRORS, pa.ArrowException) as error:
        if is_read_failure(error):
            raise _read_error(folder, number, error) from error
        return None
    return table if is_whole and {"poster_sha256"} < {*table.columns} and not table.empty else None


def recorded_rows(folder: AnyPath, number: int) -> int:
    """Return how many rows a damaged shard had by its record; that of a full shard where the record is damaged."""
    try:
        return int(_record(folder, number, check=lambda *_: None)["n_rows"])
    except KeyartError:
        return SHARD_ROWS


def map_features(folder: AnyPath, number: int, n_features: int) -> npt.NDArray[np.float16]:
    """Memory-map the features (n, n_features) of a shard; a remote shard is read whole."""
    path = folder / f"{stem_of(number)}.npy"
    try:
        features = _loaded(path)
    except _UNREADABLE as error:
        raise _read_error(folder, number, error) from error
    _check_shape(folder, number, features.dtype, features.shape, n_features)
    return features


def _loaded(path: AnyPath) -> npt.NDArray[np.float16]:
    if isinstance(path, RemotePath):
        whole: npt.NDArray[np.float16] = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        return whole
    with open_file(path):
        mapped: npt.NDArray[np.float16] = np.load(path, mmap_mode="r", allow_pickle=False)
        return mapped


def length_of(folder: AnyPath, number: int, n_features: int) -> int:
    """Return a shard's number of rows from the first bytes of its array."""
    try:
        with open_file(folder / f"{stem_of(number)}.npy") as stream:
            np.lib.format.read_magic(stream)
            with _PARSING:
                shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    except _UNREADABLE as error:
        raise _read_error(folder, number, error) from error
    _check_shape(folder, number, dtype, shape, n_features)
    return int(shape[0])


def verify(folder: AnyPath, number: int) -> None:
    """Compare a shard with its checksums, which reads it whole, once a process: about a second per gigabyte."""
    _record(folder, number, check=_check_content)


def remove(folder: AnyPath, number: int) -> None:
    """Remove a shard, its completion record first, so that an interrupted removal leaves no shard."""
    for suffix in ("json", "npy", "parquet"):
        remove_file(folder / f"{stem_of(number)}.{suffix}")


REPAIR = "; run `keyart extract` again, which computes its pictures anew"
"""How the error for a damaged shard ends."""


def damaged(folder: AnyPath, number: int, reason: object) -> DamageError:
    """Return the error for a damaged shard, with one advice."""
    what, _, _ = str(reason).partition("; run `")
    return DamageError(f"the shard {folder / stem_of(number)}.* is damaged ({what}){REPAIR}")


def _read_error(folder: AnyPath, number: int, error: Exception) -> KeyartError:
    # A shared disk that fails for a moment must not count as damage, or all its shards would be removed.
    if is_read_failure(error):
        reason = getattr(error, "strerror", None) or str(error)
        return StoreError(
            f"cannot read the shard {folder / stem_of(number)}.*: {reason}; check disk and rights and run the "
            "same command again, or remove its files to have its pictures computed anew"
        )
    return damaged(folder, number, error)


def _check_shape(folder: AnyPath, number: int, dtype: Any, shape: tuple[int, ...], n_features: int) -> None:
    if dtype != np.float16 or shape[1:] != (n_features,):
        raise damaged(folder, number, f"{dtype} {shape}, expected float16 (n, {n_features})")


def _record(folder: AnyPath, number: int, check: Check) -> dict[str, Any]:
    try:
        record = read_record(folder / f"{stem_of(number)}.json", KIND, VERSION)
        for suffix, facts in record["files"].items():
            check(folder / f"{stem_of(number)}.{suffix}", facts)
        record["n_rows"] = int(record["n_rows"])
    except _UNREADABLE as error:
        raise _read_error(folder, number, error) from error
    return record


def _check_length(path: AnyPath, facts: dict[str, Any]) -> None:
    if (n_bytes := path.stat().st_size) != facts["n_bytes"]:
        raise ValueError(f"{path.name} has {n_bytes} bytes, expected {facts['n_bytes']}")


def _check_content(path: AnyPath, facts: dict[str, Any]) -> None:
    _check_length(path, facts)
    hold_to_sha256(path, facts["sha256"])
