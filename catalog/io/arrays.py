"""What a model learned, kept as arrays: a record that names them, written last, and one file of NumPy arrays.

Dense arrays and sparse matrices go in and come out as they were; nothing is pickled. The record holds the file's
checksum, so that any damage is found when it is opened.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.errors import DataError, NotBuiltError
from catalog.io.files import atomic_path, read_record, write_record, xxh3_file

Array = npt.NDArray[Any] | sparse.csr_array
# A sparse matrix is kept as the arrays it consists of; no attribute of a model has a dot in its name.
_PARTS = ("data", "indices", "indptr", "shape")


def save_arrays(
    folder: Path, name: str, kind: str, version: int, content: Mapping[str, Any], arrays: Mapping[str, Array]
) -> None:
    """Write arrays and the record that names them; what stood there before gives way only once all is written.

    Parameters
    ----------
    folder : Path
        Where; made if it is not there.
    name : str
        What the files are called: ``NAME.json`` and ``NAME-….npz``.
    kind : str
        What it is a record of.
    version : int
        The version of this kind's layout.
    content : mapping
        What else the record says.
    arrays : mapping of str to ndarray or csr_array
        What was learned, by name.

    Raises
    ------
    StoreError
        The files cannot be written; what was there before is untouched.
    """
    arrays_path = folder / f"{name}-{secrets.token_hex(4)}.npz"
    try:
        with atomic_path(arrays_path) as temporary_path, temporary_path.open("wb") as stream:
            np.savez(stream, **_flattened(arrays))  # type: ignore[arg-type]  # names, not options
        kept = {"arrays": arrays_path.name, "xxh3": xxh3_file(arrays_path)}
        write_record(folder / f"{name}.json", kind, version, {**content, **kept})
    except BaseException:
        arrays_path.unlink(missing_ok=True)
        raise
    # Only now that the record names the new arrays are the old ones of no use.
    for path in folder.glob(f"{name}-????????.npz"):
        if path != arrays_path:
            path.unlink(missing_ok=True)


def open_arrays(folder: Path, name: str, kind: str, version: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what `save_arrays` wrote.

    Parameters
    ----------
    folder : Path
        Where.
    name : str
        What the files are called.
    kind : str
        The kind that is expected.
    version : int
        The version that is expected.

    Returns
    -------
    content : dict
        What the record says.
    arrays : dict of str to ndarray or csr_array
        What was learned, by name.

    Raises
    ------
    NotBuiltError
        Nothing was saved there.
    DataError
        It is of another kind or version, or damaged.
    """
    try:
        content = read_record(folder / f"{name}.json", kind, version)
        arrays_path = folder / content["arrays"]
        if xxh3_file(arrays_path) != content["xxh3"]:
            raise DataError(f"{arrays_path} is damaged: its checksum has changed; fit the model again")
        # Opened here: of a damaged file that it opened itself, NumPy leaves the handle open.
        with arrays_path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return content, _gathered(dict(arrays))
    except FileNotFoundError as error:
        raise NotBuiltError(
            f"no {name} here yet ({error.filename} is missing); run `keyart build`, or `keyart fit {name}`"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise DataError(f"{name} in {folder} is damaged ({error}); fit the model again") from error


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
