from __future__ import annotations

import errno
import hashlib
import itertools
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import ConfigError, DataError, StoreError
from catalog.io.arrays import save_arrays
from catalog.io.files import (
    atomic_path,
    check_output,
    output_path,
    read_bytes,
    read_record,
    read_stable,
    remove_file,
    sha256_file,
    sqlite_errors,
    write_bytes,
    write_record,
)
from features.shards import remove as remove_shard
from index.manifest import remove_all as remove_index
from keyart.atlas.sprites import remove_others

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CONTENT = st.dictionaries(st.text().filter(lambda name: name not in ("kind", "version")), JSON, max_size=4)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A file with the content "before"; after the test it must be the only one in its folder."""
    path = tmp_path / "folder" / "file.txt"
    write_bytes(path, b"before")
    yield path
    assert [file.name for file in path.parent.iterdir()] == ["file.txt"]


def test_the_new_file_replaces_the_old(path: Path) -> None:
    write_bytes(path, b"after")
    assert path.read_bytes() == b"after"


def test_the_old_file_remains_until_the_new_one_is_complete(path: Path) -> None:
    with atomic_path(path) as temporary_path:
        temporary_path.write_bytes(b"after")
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"


def test_the_temporary_file_is_in_the_same_folder(path: Path) -> None:
    with atomic_path(path) as temporary_path:
        temporary_path.write_bytes(b"after")
    assert temporary_path.parent == path.parent


@pytest.mark.parametrize("error", [RuntimeError("a mistake"), DataError("a bad file"), KeyboardInterrupt()])
def test_an_exception_keeps_the_old_file_and_propagates(path: Path, error: BaseException) -> None:
    def write_half() -> None:
        with atomic_path(path) as temporary_path:
            temporary_path.write_bytes(b"aft")
            raise error

    with pytest.raises(type(error)) as raised:
        write_half()
    assert raised.value is error
    assert path.read_bytes() == b"before"


def test_a_full_disk_keeps_the_old_file_and_asks_for_space(
    path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    with pytest.raises(StoreError, match=r"cannot write .*file\.txt: .*; free some space and run"), full_disk(1000):
        write_bytes(path, bytes(5000))
    assert path.read_bytes() == b"before"


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EACCES, "check that the folder can be written to"),
        (errno.EROFS, "check that the folder can be written to"),
    ],
)
def test_system_errors_become_store_errors_with_advice(path: Path, number: int, advice: str) -> None:
    with pytest.raises(StoreError, match=rf"{os.strerror(number)}; {advice}"), atomic_path(path):
        raise OSError(number, os.strerror(number))


def test_a_file_that_cannot_be_removed_is_a_store_error(tmp_path: Path) -> None:
    remove_file(tmp_path / "missing")
    # A folder, since file permissions do not hold for root.
    (tmp_path / "file").mkdir()
    with pytest.raises(StoreError, match=r"cannot remove .*file: .*; check that the folder can be written to and run"):
        remove_file(tmp_path / "file")


def _remove_sheets(folder: Path) -> None:
    remove_others((), folder)


@pytest.mark.parametrize(
    ("name", "remove"),
    [
        ("index.json", remove_index),
        ("1234.npz", remove_index),
        ("sheet-0.webp", _remove_sheets),
        ("features-00000.json", lambda folder: remove_shard(folder, 0)),
        ("model-12345678.npz", lambda folder: save_arrays(folder, "model", "keyart-model", 1, {}, {})),
    ],
)
def test_what_every_package_cannot_remove_is_a_store_error(
    name: str, remove: Callable[[Path], None], tmp_path: Path
) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(StoreError, match=f"cannot remove .*{name}"):
        remove(tmp_path)


def test_a_block_that_writes_nothing_leaves_the_old_file(path: Path) -> None:
    with pytest.raises(StoreError), atomic_path(path):
        pass
    assert path.read_bytes() == b"before"


def test_a_folder_at_the_path_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file.txt" / "inside").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"cannot write .*file\.txt"):
        write_bytes(tmp_path / "file.txt", b"after")
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


def test_a_file_where_the_folder_should_be_is_a_store_error(path: Path) -> None:
    with pytest.raises(StoreError, match="cannot write"):
        write_bytes(path / "deeper", b"after")


@given(content=CONTENT)
def test_a_record_round_trips(content: dict[str, object]) -> None:
    with TemporaryDirectory() as folder:
        write_record(Path(folder) / "record.json", "kind", 1, content)
        assert read_record(Path(folder) / "record.json", "kind", 1) == content


def test_a_record_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_record(tmp_path / "r.json", "shopping-list", 1, {})
    with pytest.raises(DataError, match=r"r\.json should be a record of kind 'keyart-index'; this file belongs"):
        read_record(tmp_path / "r.json", "keyart-index", 1)


def test_a_record_of_another_version_is_refused(tmp_path: Path) -> None:
    write_record(tmp_path / "r.json", "keyart-index", 2, {})
    with pytest.raises(DataError, match=r"r\.json is of version 2, this keyart reads version 1; use the keyart that"):
        read_record(tmp_path / "r.json", "keyart-index", 1)


@pytest.mark.parametrize(
    "content",
    [b"", b'{"kind": ', b"\xff\xfe", b"[" * 3, b"[" * 200_000],
    ids=["empty", "truncated", "binary", "open", "nested deeply"],
)
def test_invalid_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(DataError, match=r"r\.json is not a JSON record"):
        read_record(tmp_path / "r.json", "kind", 1)


@pytest.mark.parametrize("content", [b"[]", b"7", b'"kind"', b"{}", b"null"])
def test_json_of_another_shape_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(DataError, match="should be a record of kind 'kind'"):
        read_record(tmp_path / "r.json", "kind", 1)


def test_a_missing_record_is_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path / "r.json", "kind", 1)


@pytest.mark.parametrize("n_bytes", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_the_checksum_of_a_file_is_that_of_its_bytes(tmp_path: Path, n_bytes: int) -> None:
    content = bytes(range(256)) * (n_bytes // 256 + 1)
    (tmp_path / "file").write_bytes(content[:n_bytes])
    assert sha256_file(tmp_path / "file") == hashlib.sha256(content[:n_bytes]).hexdigest()


def test_a_locked_database_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="database is locked; check that"), sqlite_errors(tmp_path / "c.sqlite"):
        raise sqlite3.OperationalError("database is locked")


def test_a_damaged_database_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a readable SQLite database"), sqlite_errors(tmp_path / "c.sqlite"):
        raise sqlite3.DatabaseError("database disk image is malformed")


# Reading while another process writes


def test_stable_read_is_repeated_after_a_replacement() -> None:
    versions, failures = iter([1, 2, 2, 3, 3]), [DataError("gone"), FileNotFoundError("gone")]

    def read() -> str:
        if failures:
            raise failures.pop()
        return "new"

    assert read_stable(read, versions.__next__) == "new"


def test_stable_read_is_not_repeated_without_a_replacement() -> None:
    attempts: list[int] = []

    def read() -> None:
        attempts.append(1)
        raise DataError("damaged")

    with pytest.raises(DataError, match="damaged"):
        read_stable(read, lambda: "unchanged")
    assert len(attempts) == 1


def test_stable_read_gives_up_after_many_replacements() -> None:
    def read() -> None:
        raise DataError("gone")

    with pytest.raises(DataError, match="gone"):
        read_stable(read, itertools.count().__next__)


# Output paths


def test_outputs_go_to_files_of_known_types_in_existing_folders(tmp_path: Path) -> None:
    check_output(tmp_path / "sheet.PNG", (".png", ".jpg"))
    for path, reason in (
        (tmp_path / "sheet.gif", r"sheet\.gif: expected a name ending in \.png, \.jpg"),
        (tmp_path / "sheet", r"expected a name ending in"),
        (tmp_path / "no" / "such" / "sheet.png", r"there is no folder .*such; create it first"),
        (Path("/nonexistent/sheet.png"), r"there is no folder /nonexistent; create it first"),
    ):
        with pytest.raises(ConfigError, match=reason):
            check_output(path, (".png", ".jpg"))
    assert not list(tmp_path.iterdir())


def test_a_short_file_takes_little_memory_however_long_it_might_be(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"short")
    assert read_bytes(path, 1 << 60) == b"short"
    with pytest.raises(DataError, match="more than 4 bytes"):
        read_bytes(path, 4)


def test_an_output_removes_what_killed_writers_of_it_left(tmp_path: Path) -> None:
    abandoned, written, other = (
        tmp_path / name for name in (".a.csv.0123abcd.partial", ".a.csv.4567abcd.partial", ".b.csv.0123abcd.partial")
    )
    for path in (abandoned, written, other):
        path.write_bytes(b"a part")
    for path in (abandoned, other):
        os.utime(path, (1, 1))
    with output_path(tmp_path / "a.csv") as path:
        path.write_bytes(b"whole")
    # One may be written by another process at this moment, one is of another file.
    assert sorted(tmp_path.iterdir()) == sorted([written, other, tmp_path / "a.csv"])
