"""Save and open the arrays of a model: one file of NumPy arrays, and a JSON record with its checksum, written last.

Dense arrays and sparse matrices are stored; nothing is pickled. Damage is detected when they are opened.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.errors import DamageError, DataError, KeyartError, NotBuiltError
from catalog.io.checksums import hold_to_xxh3
from catalog.io.files import (
    FORMAT_ERRORS,
    atomic_path,
    is_read_failure,
    no_record,
    open_file,
    parse_json,
    read_error,
    read_record,
    read_stable,
    record_bytes,
    remove_file,
    removed_on_failure,
    write_record,
    xxh3_file,
)

Array = npt.NDArray[Any] | sparse.csr_array
# A sparse matrix is stored as the arrays it consists of; no attribute of a model has a dot in its name.
_PARTS = ("data", "indices", "indptr", "shape")


def save_arrays(
    folder: Path, name: str, kind: str, version: int, content: Mapping[str, Any], arrays: Mapping[str, Array]
) -> None:
    """Write arrays and their record; earlier ones are replaced only once everything is written."""
    arrays_path = folder / f"{name}-{secrets.token_hex(4)}.npz"
    with removed_on_failure(lambda: [arrays_path], lambda: _named(folder / f"{name}.json", kind, version)):
        with atomic_path(arrays_path) as temporary_path, temporary_path.open("wb") as stream:
            np.savez(stream, **_flattened(arrays))  # type: ignore[arg-type]  # names, not options
        names = {"arrays": arrays_path.name, "xxh3": xxh3_file(arrays_path)}
        write_record(folder / f"{name}.json", kind, version, {**content, **names})
    # The old arrays are needed until the record names the new ones.
    for path in folder.glob(f"{name}-????????.npz"):
        if path != arrays_path:
            remove_file(path)


def open_arrays(folder: Path, name: str, kind: str, version: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the record and the arrays that `save_arrays` wrote."""
    return read_stable(
        lambda: _open_arrays(folder, name, kind, version), lambda: _generation(folder / f"{name}.json", kind, version)
    )


def _named(record_path: Path, kind: str, version: int) -> list[str]:
    """Read which file holds the arrays; none where there is no record."""
    try:
        return [str(read_record(record_path, kind, version).get("arrays"))]
    except FileNotFoundError:
        return []


def unnamed_arrays(folder: Path, name: str) -> list[Path]:
    """List the files of arrays that the record of a name does not name: all without one, none where it is damaged."""
    try:
        named = parse_json(record_bytes(folder / f"{name}.json"))["arrays"]
    except FileNotFoundError:
        named = ""
    except (KeyartError, OSError, ValueError, KeyError, TypeError):
        return []
    return [path for path in sorted(folder.glob(f"{name}-????????.npz")) if path.name != named]


def _generation(record_path: Path, kind: str, version: int) -> object:
    """Return what differs between generations; None where there is no valid record."""
    try:
        return _named(record_path, kind, version)
    except (DataError, OSError):
        return None


def _open_arrays(folder: Path, name: str, kind: str, version: int) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        content = read_record(folder / f"{name}.json", kind, version)
    except FileNotFoundError as error:
        steps = f"run `keyart build`, or `keyart fit {name}`"
        if unnamed_arrays(folder, name):
            raise no_record(folder / f"{name}.json", name, steps) from error
        raise NotBuiltError(f"no {name} here yet ({error.filename} is missing); {steps}") from error
    try:
        arrays_path = folder / content["arrays"]
        hold_to_xxh3(arrays_path, content["xxh3"])
        # Opened here, since NumPy does not close a damaged file that it opened itself.
        with open_file(arrays_path) as stream, np.load(stream, allow_pickle=False) as arrays:
            return content, _gathered(dict(arrays))
    except FORMAT_ERRORS as error:
        raise _wrong_arrays(folder, name, error) from error


def _wrong_arrays(folder: Path, name: str, error: Exception) -> KeyartError:
    if is_read_failure(error):
        return read_error(folder / name, error)
    return DamageError(f"{name} in {folder} is damaged ({error}); fit the model again")


def hold_arrays(record_path: Path) -> None:
    """Raise DamageError unless the arrays that a record names, of any kind, are as they were written."""
    read_stable(lambda: _hold_arrays(record_path), lambda: _bytes(record_path))


def _bytes(path: Path) -> bytes | None:
    try:
        return record_bytes(path)
    except (KeyartError, OSError):
        return None


def _hold_arrays(record_path: Path) -> None:
    try:
        content = parse_json(record_bytes(record_path))
        read_record(record_path, content["kind"], content["version"])
        hold_to_xxh3(record_path.parent / content["arrays"], content["xxh3"])
    except FORMAT_ERRORS as error:
        raise _wrong_arrays(record_path.parent, record_path.stem, error) from error


def _flattened(arrays: Mapping[str, Array]) -> dict[str, npt.NDArray[Any]]:
    flat: dict[str, npt.NDArray[Any]] = {}
    for name, array in arrays.items():
        if isinstance(array, sparse.csr_array):
            flat |= {f"{name}.{part}": np.asarray(getattr(array, part)) for part in _PARTS}
        else:
            flat[name] = array
    return flat


def _gathered(flat: dict[str, npt.NDArray[Any]]) -> dict[str, Any]:
    arrays: dict[str, Any] = {name: array for name, array in flat.items() if "." not in name}
    for name in {key.partition(".")[0] for key in flat if "." in key}:
        data, indices, indptr, shape = (flat[f"{name}.{part}"] for part in _PARTS)
        arrays[name] = sparse.csr_array((data, indices, indptr), shape=tuple(shape.tolist()))
    return arrays
