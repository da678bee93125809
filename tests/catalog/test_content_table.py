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
        ("movie_id,cast,Cast\n6,Jo,Mia\n", "line 1: expected one column cast, received cast and Cast; remove"),
        ("movie_id,movieId,cast\n6,7,Jo\n", "line 1: expected one column movie_id, received movie_id and movieId"),
    ],
)
def test_a_faulty_table_is_refused_by_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_content(table(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("movie_id;director;cast\n6;Ana Berg;Jo|Mia\n", "utf-8"),
        ("movie_id,director,cast\n6,Ana Berg,Jo|Mia\n", "utf-8-sig"),
        ('movie_id\tdirector\tcast\r\n6\t"Ana\nBerg"\tJo| |Mia|\r\n', "utf-8"),
    ],
)
def test_spreadsheets_of_any_kind_are_read(tmp_path: Path, text: str, encoding: str) -> None:
    write_bytes(tmp_path / "content.csv", text.encode(encoding))
    (row,) = read_content(tmp_path / "content.csv")
    assert row.terms == {"director": ("Ana Berg",), "cast": ("Jo", "Mia")}


def test_a_name_may_have_commas_and_quotation_marks(tmp_path: Path) -> None:
    (row,) = read_content(table(tmp_path, 'movie_id,cast\n6,"Lind, ""Jo""|Mia"\n'))
    assert row.terms == {"cast": ('Lind, "Jo"', "Mia")}


def test_a_cell_may_hold_ten_thousand_keywords(tmp_path: Path) -> None:
    words = [f"a rather long keyword {n}" for n in range(10_000)]
    (row,) = read_content(table(tmp_path, f"movie_id,keywords\n6,{'|'.join(words)}\n"))
    assert row.terms == {"keyword": tuple(words)}


def test_terms_are_one_line_each_and_differ_by_more_than_case() -> None:
    assert split_terms(" Ana\tBerg |ana berg||Jo\x1b[31m ") == ("Ana Berg", "Jo[31m")
