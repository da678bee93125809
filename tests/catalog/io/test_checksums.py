from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest

from catalog.errors import DamageError, StoreError
from catalog.film import Film
from catalog.films import Catalog
from catalog.io.checksums import (
    checksums_path,
    has_recorded_checksum,
    hold_database,
    hold_to_sha256,
    hold_to_xxh3,
    record_checksums,
    recorded_checksums,
)
from catalog.io.files import read_record, sha256_file, write_record, xxh3_file


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_every_flipped_bit_of_a_record_is_damage_or_changes_nothing(tmp_path: Path) -> None:
    path, content = tmp_path / "r.json", {"name": "Amélie", "n": 3, "parts": [1.5, None, True]}
    write_record(path, "kind", 1, content)
    whole = path.read_bytes()
    n_harmless = 0
    for bit in range(8 * len(whole)):
        flip(path, bit)
        with suppress(DamageError):
            assert read_record(path, "kind", 1) == content
            n_harmless += 1
        path.write_bytes(whole)
    # White space only.
    assert n_harmless < 60


def test_a_record_without_a_checksum_is_read_as_before(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"kind": "kind", "version": 1, "n": 3}))
    assert read_record(path, "kind", 1) == {"n": 3}
    write_record(path, "kind", 1, {"n": 3})
    assert "checksum" in json.loads(path.read_text())


@pytest.mark.parametrize(("hold", "compute"), [(hold_to_xxh3, xxh3_file), (hold_to_sha256, sha256_file)])
def test_a_changed_file_is_read_again(tmp_path: Path, hold, compute) -> None:
    path = tmp_path / "data"
    path.write_bytes(bytes(1000))
    os.utime(path, (0, 0))
    checksum = compute(path)
    for _ in range(3):
        hold(path, checksum)
    flip(path, 4321)
    os.utime(path, (0, 0))
    with pytest.raises(ValueError, match="data has another checksum than when it was written"):
        hold(path, checksum)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "d.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, word TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, f"word {n}") for n in range(500)])
    record_checksums(path, [path])
    return path


def hold(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        hold_database(path, connection)


def test_a_database_is_held_to_its_checksum(database: Path) -> None:
    hold(database)
    flip(database, 8 * 5000)
    with pytest.raises(DamageError, match=r"d\.sqlite is damaged: .*; run `keyart check`, which says"):
        hold(database)


@pytest.mark.parametrize("content", [b"", bytes(50), bytes(8192)])
def test_a_cut_or_emptied_database_is_damage(database: Path, content: bytes) -> None:
    database.write_bytes(content)
    with pytest.raises(DamageError, match=r"d\.sqlite is damaged"):
        hold(database)


def test_a_database_changed_by_another_program_passes_sqlites_own_check(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT INTO t VALUES (1000, 'more')")
    hold(database)


def test_a_database_that_a_killed_writer_left_passes_sqlites_own_check(database: Path) -> None:
    record_checksums(database)
    assert recorded_checksums(database) == {}
    hold(database)
    # A record of the leaf page of the table is cut short.
    content = bytearray(database.read_bytes())
    content[4096:4200] = bytes(104)
    database.write_bytes(content)
    with pytest.raises(DamageError, match=r"d\.sqlite is damaged"):
        hold(database)


def test_a_database_without_recorded_checksums_is_read_as_before(database: Path) -> None:
    checksums_path(database).unlink()
    assert recorded_checksums(database) is None
    flip(database, 8 * 5000)
    hold(database)


def test_damage_of_the_record_of_checksums_is_said(database: Path) -> None:
    checksums_path(database).write_text("{")
    with pytest.raises(DamageError, match=r"d\.sqlite\.json is not a JSON record"):
        hold(database)


def test_flipped_bits_of_a_catalog_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    films = [Film(movie_id, f"Film {movie_id}", 1990) for movie_id in range(1, 200)]
    Catalog.create(path, films, {"source": "ml"})
    whole, random = path.read_bytes(), Random(0)
    for _ in range(40):
        flip(path, random.randrange(8 * len(whole)))
        with suppress(DamageError), Catalog.open(path) as catalog:
            assert list(catalog) == films
        path.write_bytes(whole)


@pytest.mark.parametrize("made_by", ["an earlier version", "this version, and kept"])
def test_another_catalog_in_its_place_is_no_damage(tmp_path: Path, made_by: str) -> None:
    path, other = tmp_path / "catalog.sqlite", tmp_path / "other" / "catalog.sqlite"
    Catalog.create(path, [Film(1, "Heat")], {})
    Catalog.create(other, [Film(2, "Ronin")], {})
    if made_by == "an earlier version":
        content = bytearray(other.read_bytes())
        content[68:72] = bytes(4)
        other.write_bytes(content)
    other.replace(path)
    assert not has_recorded_checksum(path)
    with Catalog.open(path) as catalog:
        assert [film.title for film in catalog] == ["Ronin"]
    Catalog.add(path, [Film(3, "Thief")])
    assert has_recorded_checksum(path)


def test_films_are_not_added_to_a_damaged_catalog(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    Catalog.create(path, [Film(1, "Heat")], {})
    flip(path, 8 * 5000)
    before = path.read_bytes()
    with pytest.raises(DamageError):
        Catalog.add(path, [Film(2, "Ronin")])
    assert path.read_bytes() == before


def test_a_catalog_is_whole_before_and_after_its_replacement(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    Catalog.create(path, [Film(1, "Heat")], {})
    one = path.read_bytes()
    Catalog.add(path, [Film(2, "Ronin")])
    with Catalog.open(path) as catalog:
        assert len(catalog) == 2
    # As a writer leaves it that was killed before the rename: both are recorded.
    both = tmp_path / "before"
    both.write_bytes(one)
    record_checksums(path, [both, path])
    path.write_bytes(one)
    with Catalog.open(path) as catalog:
        assert len(catalog) == 1


def test_a_catalog_that_has_gone_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    Catalog.create(path, [Film(1, "Heat")], {})
    path.unlink()
    with pytest.raises(DamageError, match=r"catalog\.sqlite is missing; put it back, or run `keyart load DIR` again"):
        Catalog.open(path)


def test_a_first_catalog_that_could_not_be_written_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    # Nothing can be renamed to the name of a folder.
    path.mkdir()
    with pytest.raises(StoreError):
        Catalog.create(path, [Film(1, "Heat")], {})
    assert list(tmp_path.iterdir()) == [path]
    path.rmdir()
    Catalog.create(path, [Film(1, "Heat")], {})
    assert has_recorded_checksum(path)
