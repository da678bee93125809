"""Input and faults that once ended otherwise than by an answer or a KeyartError."""

from __future__ import annotations

import io
import sqlite3
import struct
import zipfile
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from catalog.errors import DamageError, DataError
from catalog.film import Film
from catalog.films import Catalog
from catalog.io.archives import unpacked
from catalog.movielens import FILE_NAMES
from features.shards import length_of, map_features
from features.whitening import Whitening
from keyart.pipeline.movielens import load
from posters.database import Origin, Source
from posters.store import PosterStore
from tests.posters.pictures import draw_poster


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


def test_an_array_that_says_it_is_encrypted_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "whitening.npz"
    Whitening(np.zeros(2), np.eye(2)).save(path)
    content = bytearray(path.read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + flags] |= 1
    path.write_bytes(content)
    with pytest.raises(DamageError, match=r"is encrypted.*run `keyart extract --rebuild`"):
        Whitening.open(path)


@pytest.mark.parametrize(
    "change",
    [
        "genres = x'91'",
        "title = x'91'",
        "alternative_titles = '['",
        "n_ratings = 'many'",
        "title = CAST(x'91' AS TEXT)",
    ],
)
def test_a_row_of_another_program_in_the_catalog_is_damage(change: str, tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    Catalog.create(path, [Film(1, "Heat", 1995), Film(2, "Ran", 1985)], {"numbering": "movielens"})
    _execute(path, f"UPDATE films SET {change} WHERE movie_id = 1")
    with Catalog.open(path) as catalog, pytest.raises(DamageError, match="run `keyart check"):
        list(catalog)


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/1.jpg", "1.jpg/../../2.jpg", ""])
def test_a_database_of_posters_names_no_files_elsewhere(name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(draw_poster(1))
    folder = tmp_path / "posters"
    with PosterStore.open(folder) as store, store.writer_lock():
        store.put(1, draw_poster(1), Origin(Source.IMPORT))
    _execute(folder / "posters.sqlite", f"UPDATE posters SET file_name = '{name}'")
    with PosterStore.open_to_read(folder) as store, pytest.raises(DamageError, match="no poster is called"):
        store.posters()
    with PosterStore.open(folder) as store, suppress(DamageError):
        store.put(1, draw_poster(2), Origin(Source.IMPORT))
    assert secret.exists()


@pytest.mark.parametrize("change", ["source = 'elsewhere'", "file_name = x'31'", "state = CAST(x'91' AS TEXT)"])
def test_a_row_of_another_program_among_the_posters_is_damage(change: str, tmp_path: Path) -> None:
    with PosterStore.open(tmp_path) as store, store.writer_lock():
        store.put(1, draw_poster(1), Origin(Source.IMPORT))
    _execute(tmp_path / "posters.sqlite", f"UPDATE posters SET {change}")
    with PosterStore.open_to_read(tmp_path) as store, pytest.raises(DamageError, match="run `keyart check"):
        (store.posters(), store.records())


def _execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)
    # As of an earlier version, which recorded no checksums.
    for record in path.parent.glob(f"{path.name}.json"):
        record.unlink()
