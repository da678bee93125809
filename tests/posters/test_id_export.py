from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from catalog.errors import DataError, FetchError
from posters.id_export import read_live_ids
from posters.tmdb import TmdbClient
from tests.posters.tmdb_server import TmdbServer

LINES = (
    '{"adult":false,"id":3924,"original_title":"Blondie","popularity":2.4,"video":false}',
    '{"adult":false,"id":949,"original_title":"Heat","popularity":50.1,"video":false}',
)


def export(*lines: str) -> bytes:
    return gzip.compress("\n".join(lines).encode() + b"\n")


def test_returns_the_ids_that_the_export_lists(tmp_path: Path) -> None:
    path = tmp_path / "movie_ids.json.gz"
    path.write_bytes(export(*LINES))
    assert read_live_ids(str(path), {949, 950, 951}, refuse_download) == {949}
    assert read_live_ids(str(path), set(), refuse_download) == frozenset()


def test_reads_an_unzipped_export_with_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "movie_ids.json"
    path.write_text("\n".join(["", *LINES, "", ""]))
    assert read_live_ids(str(path), {949, 950}, refuse_download) == {949}
    path.write_bytes(export(LINES[1], "", "  "))
    assert read_live_ids(str(path), {949, 950}, refuse_download) == {949}


def refuse_download(url: str, what: str) -> bytes:
    raise AssertionError(f"{what} from {url}")


@pytest.mark.parametrize("source", ["http://[::1", "https://", "http://h:port/x.gz", "HTTP://h:0/x.gz"])
def test_an_invalid_address_is_reported(source: str) -> None:
    with pytest.raises(DataError, match="expected the address of TMDB's daily export"):
        read_live_ids(source, {949}, refuse_download)


def test_downloads_the_export_without_the_key(server: TmdbServer, client: TmdbClient) -> None:
    url = server.add_file("/p/exports/movie_ids.json.gz", export(*LINES))
    assert read_live_ids(url, {949, 950}, client.download) == {949}
    assert server.requests[0].query == {}
    with pytest.raises(FetchError, match="HTTP 404 instead of TMDB's daily export"):
        read_live_ids(f"{server.address}/t/p/w342/none.jpg", {949}, client.download)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "lists none of the 1 tmdb_ids"),
        (b"id\n949\n", "line 1: expected a JSON object"),
        (b"[" * 200_000, "line 1: expected a JSON object"),
        (b'{"id": 1e999}', "line 1: expected a JSON object"),
        (export(*LINES)[:-9], "cut off or no gzip file"),
        (export(*LINES)[:30] + b"\0" * 20, "cut off or no gzip file"),
        (export("<html>"), 'line 1: expected a JSON object with an "id"'),
        (export(LINES[0], "{}"), "line 2: expected"),
        (export(LINES[0], "[949]"), "line 2: expected"),
        (export(LINES[0]), "lists none of the 1 tmdb_ids of the catalog"),
    ],
    ids=["empty", "text", "nested", "endless", "cut", "damaged", "page", "no-id", "no-object", "other"],
)
def test_refuses_an_incomplete_export(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "movie_ids.json.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_live_ids(str(path), {949}, refuse_download)


def test_a_missing_export_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*none\.gz: No such file"):
        read_live_ids(str(tmp_path / "none.gz"), {949}, refuse_download)
