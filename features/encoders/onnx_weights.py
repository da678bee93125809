"""The files in which an ONNX file keeps weights, read from its bytes: the package onnx is not needed to run a pair."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from catalog.errors import DataError
from catalog.io.files import open_file

# The messages of onnx.proto, with those of their fields that lead to external data.
_FIELDS: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_KEY, _VALUE = 1, 2
_CHUNK_BYTES = 1 << 20


def weight_files(path: Path) -> list[Path]:
    """Return the files with weights of an ONNX file, sorted; DataError if one is missing or outside its folder."""
    files = [path.parent / name for name in weight_names(path)]
    for file in files:
        if not file.is_file():
            raise DataError(f"{path} keeps weights in {file}, which is missing; put it back")
    return files


def weight_names(path: Path) -> list[str]:
    """Return the paths of the files with weights, from the folder of the ONNX file, sorted."""
    try:
        with open_file(path) as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            names = sorted({*_locations(content, "model", 0, len(content))})
    except (ValueError, IndexError, RecursionError):
        # What is no ONNX file is refused by the runtime, with its reason.
        return []
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise DataError(f"{path} keeps weights in {name}; expected a file in its own folder")
    return names


def sha256_of(path: Path) -> str:
    """Hash an ONNX file and those in which it keeps weights."""
    digest = hashlib.sha256()
    for file in (path, *weight_files(path)):
        with open_file(file) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def _locations(content: mmap.mmap, message: str, start: int, end: int) -> Iterator[str]:
    """Yield the locations of external data in a message of a kind."""
    for field, begin, stop in _parts(content, start, end):
        kind = _FIELDS[message].get(field)
        if kind == "entry":
            entry = {one: content[first:last].decode() for one, first, last in _parts(content, begin, stop)}
            if entry.get(_KEY) == "location":
                yield entry.get(_VALUE, "")
        elif kind is not None:
            yield from _locations(content, kind, begin, stop)


def _parts(content: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the number and the bounds of each field of bytes; ValueError or IndexError if it is no message."""
    while start < end:
        tag, start = _varint(content, start)
        # By protobuf's type on the wire.
        match tag & 7:
            case 0:
                _, start = _varint(content, start)
            case 1:
                start += 8
            case 5:
                start += 4
            case 2:
                length, start = _varint(content, start)
                if start + length > end:
                    raise ValueError("cut off")
                yield tag >> 3, start, start + length
                start += length
            case _:
                raise ValueError("not a message")


def _varint(content: mmap.mmap, start: int) -> tuple[int, int]:
    """Return the number at a place, and where it ends."""
    value = shift = 0
    while True:
        byte = content[start]
        start += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, start
        shift += 7
        if shift > 63:
            raise ValueError("not a number")
