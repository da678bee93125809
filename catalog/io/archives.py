"""Unpack data sets as they are downloaded: zip archives, and files compressed by gzip."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO

from catalog.errors import DataError

MAX_BYTES = 8 << 30
"""The limit of what is unpacked; the largest data set of MovieLens takes an eighth of it."""

# Tables shrink to a fifth, long runs of one byte to a thousandth.
_MAX_RATIO = 100
_ALWAYS_ALLOWED = 64 << 20
_BLOCK = 1 << 20
_DAMAGED = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


@contextmanager
def unpacked(source: Path, names: Collection[str]) -> Iterator[Path]:
    """Yield a folder or file that can be read in place of `source`; what had to be unpacked is removed at the end.

    Of a zip archive, and of a folder with compressed files, the files called `names` are unpacked. Messages of
    DataError name the files in the archive.
    """
    if not _is_packed(source, names):
        yield source
        return
    with TemporaryDirectory(prefix="keyart-") as name:
        folder = Path(name).resolve()
        try:
            yield _unpack(source, folder, names)
        except DataError as error:
            raise DataError(str(error).replace(str(folder), str(_shown(source)))) from error


def _shown(source: Path) -> Path:
    return source.parent if source.suffix.lower() == ".gz" else source


def _is_packed(source: Path, names: Collection[str]) -> bool:
    if source.is_dir():
        return any((source / f"{name}.gz").is_file() for name in names)
    return source.is_file() and source.suffix.lower() in (".zip", ".gz")


def _unpack(source: Path, folder: Path, names: Collection[str]) -> Path:
    try:
        if source.is_dir():
            _unpack_folder(source, folder, names)
        elif source.suffix.lower() == ".gz":
            return _gunzip(source, folder / source.stem)
        else:
            _unpack_zip(source, folder, names)
    except OSError as error:
        # A damaged file of gzip is an OSError too.
        raise DataError(f"cannot unpack {source}: {error.strerror or error}") from error
    except _DAMAGED as error:
        raise DataError(f"{source} cannot be unpacked: {error}; download it again") from error
    return folder


def _unpack_folder(source: Path, folder: Path, names: Collection[str]) -> None:
    for name in names:
        plain, packed = source / name, source / f"{name}.gz"
        if plain.is_file():
            (folder / name).symlink_to(plain.absolute())
        elif packed.is_file():
            _gunzip(packed, folder / name)


def _gunzip(source: Path, target: Path) -> Path:
    with gzip.open(source) as stream:
        _write(stream, target, source, source.stat().st_size)
    return target


def _unpack_zip(source: Path, folder: Path, names: Collection[str]) -> None:
    with zipfile.ZipFile(source) as archive:
        members = [one for one in archive.infolist() if _is_wanted(one.filename, names)]
        if not members:
            held = ", ".join(archive.namelist()[:8]) or "nothing"
            raise DataError(f"{source} holds none of {', '.join(names)}; it holds {held}")
        # A copy of the data set in a folder of its own would be another edition.
        parent = min((PurePosixPath(one.filename).parent for one in members), key=lambda path: len(path.parts))
        for member in members:
            path = PurePosixPath(member.filename)
            if path.parent == parent:
                with archive.open(member) as stream:
                    _write(stream, folder / path.name, source, member.compress_size)


def _is_wanted(filename: str, names: Collection[str]) -> bool:
    path = PurePosixPath(filename)
    return path.name in names and not any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _write(stream: IO[bytes] | gzip.GzipFile, target: Path, source: Path, n_packed: int) -> None:
    """Write what a stream unpacks to; DataError if it is a decompression bomb, whatever size it claims."""
    most = min(MAX_BYTES, max(_ALWAYS_ALLOWED, _MAX_RATIO * n_packed))
    n_written = 0
    with target.open("wb") as output:
        while block := stream.read(_BLOCK):
            n_written += len(block)
            if n_written > most:
                raise DataError(
                    f"{source} unpacks to more than {most >> 20:,} MiB from {n_packed:,} bytes: a decompression bomb"
                )
            output.write(block)
