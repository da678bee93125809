"""Input and faults that once ended otherwise than by an answer or a KeyartError."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest

from catalog.errors import DamageError, DataError
from catalog.io.archives import unpacked
from catalog.movielens import FILE_NAMES
from features.shards import length_of, map_features
from features.whitening import Whitening
from keyart.pipeline.movielens import load


def _archive(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, "movieId,title,genres\n")
    return stream.getvalue()


def test_an_archive_whose_names_are_not_what_they_say_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ml.zip"
    # The flag says UTF-8, the name is none.
    path.write_bytes(_archive("café.csv").replace("café".encode(), b"caf\xff\xff"))
    with pytest.raises(DataError, match="cannot be unpacked"), unpacked(path, FILE_NAMES):
        pass
    with pytest.raises(DataError, match="cannot be unpacked"):
        load(tmp_path / "ws", path)


@pytest.mark.parametrize("name", [".", "./", "//", ".csv"])
def test_an_archive_with_a_file_without_a_name_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "ml.zip"
    path.write_bytes(_archive(name))
    with pytest.raises(DataError):
        load(tmp_path / "ws", path)


@pytest.mark.parametrize("header", ["{'descr': '<f2', 'fortran_order': (", "{'descr': '<f2',\n  x\n y", "(" * 900])
def test_an_array_with_a_broken_header_is_damage(header: str, tmp_path: Path) -> None:
    content = header.encode() + b"\n"
    (tmp_path / "features-00000.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(content)) + content)
    for read in (map_features, length_of):
        with pytest.raises(DamageError, match="run `keyart extract` again"):
            read(tmp_path, 0, 4)
    with zipfile.ZipFile(tmp_path / "whitening.npz", "w") as changed:
        changed.writestr("mean.npy", (tmp_path / "features-00000.npy").read_bytes())
    with pytest.raises(DamageError):
        Whitening.open(tmp_path / "whitening.npz")
