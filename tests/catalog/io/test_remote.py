"""Paths on other file systems: a real S3 server on the loopback, and a file system that can rename."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from catalog.errors import ConfigError, DataError, StoreError
from catalog.io.files import read_record, sha256_file, write_bytes, write_record
from catalog.io.locks import exclusive
from catalog.io.remote import RemotePath, as_path


@pytest.fixture(params=["s3", "renaming"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> RemotePath:
    """A folder that does not exist yet."""
    if request.param == "renaming":
        return RemotePath(
            SubTreeFileSystem(str(tmp_path), LocalFileSystem()), "above/folder", "hdfs://host/above/folder"
        )
    found = as_path(f"s3a://bucket/{tmp_path.name}/folder", **request.getfixturevalue("s3"))
    assert isinstance(found, RemotePath)
    return found


def _names(folder: RemotePath, pattern: str = "*") -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


def test_files_are_written_read_listed_and_removed(remote: RemotePath) -> None:
    assert _names(remote) == []
    content = os.urandom(20_000)
    for name in ("a-1.npy", "a-2.npy", "b.json"):
        write_bytes(remote / name, content)
    write_bytes(remote / "below" / "a-3.npy", b"")
    write_bytes(remote / "a-2.npy", content[:9])
    assert _names(remote, "a-*") == ["a-1.npy", "a-2.npy"]
    assert (remote / "a-2.npy").read_bytes() == content[:9]
    assert [path.stat().st_size for path in (remote / "a-1.npy", remote / "a-2.npy")] == [20_000, 9]
    with (remote / "a-1.npy").open() as stream:
        assert stream.read(10) == content[:10]
    assert len(sha256_file(remote / "a-1.npy")) == 64
    (remote / "a-1.npy").unlink()
    (remote / "a-1.npy").unlink(missing_ok=True)
    assert _names(remote) == ["a-2.npy", "b.json"]
    assert [(remote / name).is_file() for name in ("a-1.npy", "a-2.npy", "below")] == [False, True, False]


def test_name_parts_equal_those_of_a_path(remote: RemotePath) -> None:
    one = remote / "a-1.tar.gz"
    assert (one.name, one.stem, one.suffix, one.absolute()) == ("a-1.tar.gz", "a-1.tar", ".gz", one)
    assert str(one) == f"{remote.uri}/a-1.tar.gz"
    with pytest.raises(ValueError, match="expected the mode rb"), one.open("w"):
        pass


def test_records_are_checked_for_kind_and_version(remote: RemotePath) -> None:
    write_record(remote / "r.json", "kind", 1, {"ü": [1]})
    assert read_record(remote / "r.json", "kind", 1) == {"ü": [1]}
    with pytest.raises(DataError, match=r"//.*/folder/r\.json is of version 1"):
        read_record(remote / "r.json", "kind", 2)


@pytest.mark.parametrize(
    "use", [RemotePath.read_bytes, RemotePath.stat, RemotePath.unlink, lambda path: read_record(path, "kind", 1)]
)
def test_a_missing_file_is_file_not_found(remote: RemotePath, use: Callable[[RemotePath], Any]) -> None:
    write_bytes(remote / "b", b"")
    with pytest.raises(FileNotFoundError):
        use(remote / "a")


def test_a_failed_write_keeps_the_old_file(
    tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    remote = RemotePath(SubTreeFileSystem(str(tmp_path), LocalFileSystem()), "f", "hdfs://host/f")
    write_bytes(remote / "a", b"before")
    with pytest.raises(StoreError, match=r"hdfs://host/f/a cannot be reached: .*too large"), full_disk(10):
        write_bytes(remote / "a", bytes(100))
    assert (_names(remote), (remote / "a").read_bytes()) == (["a"], b"before")


@pytest.mark.parametrize(
    "use",
    [
        # The client asks several times before it gives up.
        lambda path: path.write_bytes(b""),
        lambda path: read_record(path, "kind", 1),
    ],
)
def test_an_unreachable_file_system_is_a_store_error(s3: dict[str, Any], use: Callable[[Any], Any]) -> None:
    unreachable = as_path("s3://bucket/f", **{**s3, "endpoint_override": "127.0.0.1:1"}) / "a"
    with pytest.raises(StoreError, match=r"^s3://bucket/f/a cannot be reached: [^\n]*; check address and rights"):
        use(unreachable)


def test_remote_folders_are_not_locked(remote: RemotePath) -> None:
    with exclusive(remote), exclusive(remote):
        write_bytes(remote / "a", b"")
    assert _names(remote) == ["a"]


# Paths that users enter


@pytest.mark.parametrize("form", ["{}", "file://{}", "file:{}", "file://localhost{}"])
def test_a_local_path_remains_a_path(tmp_path: Path, form: str) -> None:
    assert as_path(form.format(tmp_path / "a b")) == tmp_path / "a b"
    assert as_path(tmp_path) == tmp_path


@pytest.mark.parametrize("name", ["s3a:b", "10:20/x", "a/b:c", ":/", "c:/windows"])
def test_a_name_with_a_colon_is_a_path(name: str) -> None:
    assert as_path(name) == Path(name)


def test_options_in_the_query_are_not_part_of_the_name(s3: dict[str, Any]) -> None:
    endpoint = f"endpoint_override={s3['endpoint_override']}&scheme=http&region=us-east-1"
    found = as_path(f"s3a://who:what@bucket/query/?{endpoint}")
    write_bytes(found / "a", b"1")
    assert str(found / "a") == "s3a://bucket/query/a"
    assert (as_path("s3://bucket/query", **s3) / "a").is_file()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ftp://host/x", r"ftp://host/x cannot be opened: .*; expected a folder, or a URI of s3a://"),
        ("hdfs://nobody:1/x", r"hdfs://nobody:1/x cannot be opened: .*`hadoop classpath --glob` prints it$"),
        ("file://host/x", "expected file:///PATH, received the host host"),
        ("s3a:/bucket/x", r"s3a:/bucket/x: expected s3a:// in full"),
        (Path("s3a://bucket/x"), "give it as text"),
    ],
)
def test_an_invalid_uri_is_a_config_error_of_one_line(name: str | Path, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        as_path(name)
    assert "\n" not in str(raised.value)
