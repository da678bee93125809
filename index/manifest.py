"""The files of an index: a record that names the others with their checksums, written last."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import xxhash

from catalog.errors import DamageError, DataError, KeyartError, NotBuiltError
from catalog.io.checksums import hold_to_xxh3
from catalog.io.files import (
    OtherVersionError,
    is_read_failure,
    no_record,
    read_error,
    read_record,
    remove_file,
    removed_on_failure,
    write_record,
    xxh3_file,
)

_KIND, _VERSION = "keyart-index", 2
RECORD = "index.json"


def read(folder: Path) -> dict[str, Any]:
    """Read the record of an index, with the entry ``files``, and verify its checksum.

    Raises NotBuiltError where there is none, which is an IncompleteError where files of an index are there; DataError
    where it is damaged or of another version.
    """
    try:
        record = read_record(folder / RECORD, _KIND, _VERSION)
    except FileNotFoundError as error:
        if names_of(folder):
            raise no_record(folder / RECORD, "the index", "run `keyart build`") from error
        raise NotBuiltError(f"no index here yet ({error.filename} is missing); run `keyart build`") from error
    except OtherVersionError as error:
        raise OtherVersionError(error.reason, "run `keyart build`") from error
    # The checksum of earlier versions.
    if record.pop("xxh3", None) not in (None, _xxh3(record)):
        raise damaged(folder, f"{RECORD} has another checksum than when it was written")
    return record


def write(folder: Path, names: Mapping[str, str], content: Mapping[str, Any]) -> None:
    """Write the record of a generation, whose other files exist; it takes effect at once.

    `names` are the other files by what they hold, `content` is what else the record contains.
    """
    # A file of an earlier generation keeps its checksum: damage since then must not pass for its content.
    known = _files_by_name(folder)
    files = {
        what: known.get(name)
        or {"name": name, "n_bytes": (folder / name).stat().st_size, "xxh3": xxh3_file(folder / name)}
        for what, name in names.items()
    }
    write_record(folder / RECORD, _KIND, _VERSION, {**content, "files": files})


def check(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Verify the checksums of files, as recorded under ``files``; returns their names by what they hold.

    Raises FileNotFoundError where one is missing, ValueError where one has changed.
    """
    for entry in files.values():
        path = folder / entry["name"]
        if (n_bytes := path.stat().st_size) != entry["n_bytes"]:
            raise ValueError(f"{path.name} has {n_bytes} bytes, expected {entry['n_bytes']}")
        hold_to_xxh3(path, entry["xxh3"])
    return {what: entry["name"] for what, entry in files.items()}


def hold(folder: Path) -> set[str]:
    """Compare the files of an index with their checksums, and return their names; errors as of `read`."""
    record = read(folder)
    try:
        return {*check(folder, record["files"]).values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(folder, error) from error


def damaged(folder: Path, reason: object) -> KeyartError:
    """Return the error of a damaged index, or of one that cannot be read now."""
    if isinstance(reason, OSError) and is_read_failure(reason):
        return read_error(reason.filename or folder, reason)
    return DamageError(f"the index in {folder} is damaged ({reason}); run `keyart build` again")


def remove_all(folder: Path) -> None:
    """Remove an index; other files in its folder stay."""
    # The record first: without it, the other files have no effect.
    remove_file(folder / RECORD)
    remove_others(folder, ())


def names_of(folder: Path) -> set[str]:
    """Return the names of all generations' files, without the record."""
    return {path.name for suffix in ("faiss", "npz", "npy") for path in folder.glob(f"*.{suffix}")}


@contextmanager
def removing_on_failure(folder: Path) -> Iterator[None]:
    """Remove the files that a block adds if it fails, but for those of a generation that has taken effect."""
    before = names_of(folder)

    def added() -> Iterator[Path]:
        return (folder / name for name in names_of(folder) - before)

    with removed_on_failure(added, lambda: _named(folder)):
        yield


def _named(folder: Path) -> set[str]:
    """Return the names that the record lists; none where there is no record."""
    try:
        return {entry["name"] for entry in read(folder)["files"].values()}
    except NotBuiltError:
        return set()


def remove_others(folder: Path, kept: Iterable[str]) -> None:
    """Remove the files of other generations; processes that have them open can read them until they close them."""
    for name in names_of(folder).difference(kept):
        remove_file(folder / name)


def clear_leftovers(folder: Path) -> None:
    """Remove what killed writers left; nobody may be writing into the folder."""
    # The files of a damaged index may yet be of use. Those of one without a record show that there was one, until the
    # next is written.
    with suppress(DataError, NotBuiltError):
        remove_others(folder, [entry["name"] for entry in read(folder)["files"].values()])


def _files_by_name(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Return what the existing record holds of each file, by its name."""
    try:
        return {entry["name"]: entry for entry in read(folder)["files"].values()}
    except (NotBuiltError, DataError):
        return {}


def _xxh3(content: Mapping[str, Any]) -> str:
    return xxhash.xxh3_64_hexdigest(json.dumps(content, sort_keys=True).encode())
