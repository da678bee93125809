"""The files of an index: a record that names the others with their checksums, written last.

May import `catalog` only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import xxhash

from catalog.errors import DataError, NotBuiltError
from catalog.io.files import read_record, write_record, xxh3_file

_KIND, _VERSION, _RECORD = "keyart-index", 2, "index.json"


def read(folder: Path) -> dict[str, Any]:
    """Read the record of an index, and hold it to its own checksum.

    Parameters
    ----------
    folder : Path
        The index folder.

    Returns
    -------
    dict
        What `write` was given.

    Raises
    ------
    NotBuiltError
        There is none.
    DataError
        It is of another version, or damaged.
    """
    try:
        record = read_record(folder / _RECORD, _KIND, _VERSION)
    except FileNotFoundError as error:
        raise NotBuiltError(f"no index here yet ({error.filename} is missing); run `keyart build`") from error
    if record.pop("xxh3", None) != _xxh3(record):
        raise damaged(folder, f"{_RECORD} has another checksum than when it was written")
    return record


def write(folder: Path, names: Mapping[str, str], content: Mapping[str, Any]) -> None:
    """Write the record of a generation, whose other files are there; it counts from then on.

    Parameters
    ----------
    folder : Path
        The index folder.
    names : mapping of str to str
        The names of the other files, by what they are.
    content : mapping
        What else it says; what JSON can hold.

    Raises
    ------
    StoreError
        It cannot be written.
    """
    # A file of the generation before keeps its checksum: damage that came in between must not pass for its content.
    known = _known(folder)
    files = {
        what: known.get(name)
        or {"name": name, "n_bytes": (folder / name).stat().st_size, "xxh3": xxh3_file(folder / name)}
        for what, name in names.items()
    }
    record = {**content, "files": files}
    write_record(folder / _RECORD, _KIND, _VERSION, {**record, "xxh3": _xxh3(record)})


def check(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Hold the files of a generation to their checksums.

    Parameters
    ----------
    folder : Path
        The index folder.
    files : mapping
        As the record has them under ``files``.

    Returns
    -------
    dict of str to str
        Their names, by what they are.

    Raises
    ------
    FileNotFoundError
        One is missing.
    ValueError
        One is not as it was written.
    """
    for facts in files.values():
        path = folder / facts["name"]
        if (n_bytes := path.stat().st_size) != facts["n_bytes"]:
            raise ValueError(f"{path.name} has {n_bytes} bytes, expected {facts['n_bytes']}")
        if xxh3_file(path) != facts["xxh3"]:
            raise ValueError(f"{path.name} has another checksum than when it was written")
    return {what: facts["name"] for what, facts in files.items()}


def damaged(folder: Path, reason: object) -> DataError:
    """Word what is wrong with an index.

    Parameters
    ----------
    folder : Path
        The index folder.
    reason : object
        What was found.

    Returns
    -------
    DataError
        The error to raise; it is not raised here.
    """
    return DataError(f"the index in {folder} is damaged ({reason}); run `keyart build` again")


def remove_all(folder: Path) -> None:
    """Remove an index, if there is one.

    Parameters
    ----------
    folder : Path
        The index folder.
    """
    # The record first: without it the rest does not count.
    (folder / _RECORD).unlink(missing_ok=True)
    remove_others(folder, ())


def names_of(folder: Path) -> set[str]:
    """List the files of all generations.

    Parameters
    ----------
    folder : Path
        The index folder.

    Returns
    -------
    set of str
        Their names; the record is not among them.
    """
    return {path.name for suffix in ("faiss", "npz", "npy") for path in folder.glob(f"*.{suffix}")}


def remove_others(folder: Path, kept: Iterable[str]) -> None:
    """Remove the files of other generations; a process that has them open keeps them until it ends.

    Parameters
    ----------
    folder : Path
        The index folder.
    kept : iterable of str
        The names of those that stay.
    """
    for name in names_of(folder).difference(kept):
        (folder / name).unlink(missing_ok=True)


def _known(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Tell what the record that is there says of each file, by its name."""
    try:
        return {facts["name"]: facts for facts in read(folder)["files"].values()}
    except (NotBuiltError, DataError):
        return {}


def _xxh3(content: Mapping[str, Any]) -> str:
    return xxhash.xxh3_64_hexdigest(json.dumps(content, sort_keys=True).encode())
