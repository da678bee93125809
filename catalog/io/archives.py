"""Unpack data sets as they are downloaded: zip archives, and files compressed by gzip."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO

from catalog.errors import DataError
from catalog.io.files import MAX_INPUT_BYTES

# Tables shrink to a fifth, long runs of one byte to a thousandth.
_MAX_RATIO = 100
_ALWAYS_ALLOWED = 64 << 20
_BLOCK = 1 << 20
# ValueError: names that are not UTF-8 though they should be.
_DAMAGED = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


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


def list_archive(source: Path) -> list[PurePosixPath]:
    """List the files in a zip archive; nothing of one that is damaged, which is reported where it is unpacked."""
    try:
        with zipfile.ZipFile(source) as archive:
            paths = [PurePosixPath(name) for name in archive.namelist() if not name.endswith("/")]
    except (OSError, *_DAMAGED):
        return []
    return [path for path in paths if path.name]


def unpack_content(content: bytes, path: Path, names: Sequence[str]) -> tuple[bytes, Path]:
    """Return the content of a file, unpacked if it is packed, and the path that messages name.

    Of a zip archive, the first of `names` is taken that it has, else its only file.
    """
    is_zip = content.startswith(b"PK")
    if not is_zip and not content.startswith(b"\x1f\x8b"):
        return content, path
    try:
        if not is_zip:
            with gzip.open(io.BytesIO(content)) as stream:
                return _read_bounded(stream, path), path.with_suffix("") if path.suffix.lower() == ".gz" else path
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            member = _member(archive, path, names)
            with archive.open(member) as stream:
                return _read_bounded(stream, path), path / PurePosixPath(member).name
    except _DAMAGED as error:
        raise DataError(f"{path} cannot be unpacked: {error}; download it again") from error


def _member(archive: zipfile.ZipFile, path: Path, names: Sequence[str]) -> str:
    files = [name for name in archive.namelist() if not name.endswith("/")]
    # A copy in a folder of its own, such as deleted/, is not the one that counts.
    files.sort(key=lambda name: (name.count("/"), name))
    wanted = [file for name in names for file in files if PurePosixPath(file).name == name]
    if not wanted and len(files) != 1:
        held = ", ".join(archive.namelist()[:8]) or "nothing"
        raise DataError(f"{path} holds none of {', '.join(names)}; it holds {held}")
    return (wanted or files)[0]


def _read_bounded(stream: IO[bytes] | gzip.GzipFile, path: Path) -> bytes:
    content = stream.read(_ALWAYS_ALLOWED + 1)
    if len(content) > _ALWAYS_ALLOWED:
        raise DataError(f"{path} unpacks to more than {_ALWAYS_ALLOWED >> 20:,} MiB: a decompression bomb")
    return content


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
        parent = _only_parent(source, {PurePosixPath(one.filename).parent for one in members})
        for member in members:
            path = PurePosixPath(member.filename)
            if path.parent == parent:
                with archive.open(member) as stream:
                    _write(stream, folder / path.name, source, member.compress_size)


def _only_parent(source: Path, parents: Collection[PurePosixPath]) -> PurePosixPath:
    """Return the outermost of some folders; DataError where there are several."""
    depth = min(len(parent.parts) for parent in parents)
    outermost = sorted(str(parent) for parent in parents if len(parent.parts) == depth)
    if len(outermost) > 1:
        raise DataError(f"{source} holds several data sets, {', '.join(outermost)}; unpack it and name one of them")
    return PurePosixPath(outermost[0])


def _is_wanted(filename: str, names: Collection[str]) -> bool:
    path = PurePosixPath(filename)
    return path.name in names and not any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _write(stream: IO[bytes] | gzip.GzipFile, target: Path, source: Path, n_packed: int) -> None:
    """Write what a stream unpacks to; DataError if it is a decompression bomb, whatever size it claims."""
    most = min(MAX_INPUT_BYTES, max(_ALWAYS_ALLOWED, _MAX_RATIO * n_packed))
    n_written = 0
    with target.open("wb") as output:
        while block := stream.read(_BLOCK):
            n_written += len(block)
            if n_written > most:
                raise DataError(
                    f"{source} unpacks to more than {most >> 20:,} MiB from {n_packed:,} bytes: a decompression bomb"
                )
            output.write(block)
