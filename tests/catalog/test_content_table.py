"""A table of directors, cast and keywords."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.content_table import read_content, split_terms
from catalog.errors import DataError
from catalog.film_ids import Imdb, Movie, Tmdb
from catalog.io.files import write_bytes


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "content.csv"
    write_bytes(path, text.encode())
    return path


def test_reads_what_a_row_has_of_a_film(tmp_path: Path) -> None:
    path = table(tmp_path, "movie_id,director,cast,keywords\n6,Ana Berg,Jo Lind | Mia  Holm|jo lind,heist\n7,,,\n")
    first, second = read_content(path)
    assert (first.line, first.film_id) == (2, Movie(6))
    assert first.terms == {"director": ("Ana Berg",), "cast": ("Jo Lind", "Mia Holm"), "keyword": ("heist",)}
    assert second.terms == {"director": (), "cast": (), "keyword": ()}


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [("imdb_id", "tt0113277", Imdb("0113277")), ("tmdbId", "949", Tmdb(949)), ("movieId", "tmdb:949", Tmdb(949))],
)
def test_films_are_named_by_any_id(tmp_path: Path, column: str, cell: str, expected: object) -> None:
    (row,) = read_content(table(tmp_path, f"{column},plot\n{cell},rain|night\n"))
    assert row.film_id == expected
    assert row.terms == {"keyword": ("rain", "night")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("director,cast\nAna,Jo\n", "line 1: expected a column movie_id, imdb_id, tmdb_id"),
        ("movie_id,title\n6,Heat\n", "line 1: expected a column director, cast or keywords"),
        ("movie_id,cast\nsix,Jo\n", "line 2, column movie_id"),
        ("movie_id,cast\n", "lists no film"),
    ],
)
def test_names_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_content(table(tmp_path, text))


def test_terms_are_one_line_each_and_differ_by_more_than_case() -> None:
    assert split_terms(" Ana\tBerg |ana berg||Jo\x1b[31m ") == ("Ana Berg", "Jo[31m")
