"""Tables of films."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.errors import DataError
from catalog.film import Film
from catalog.film_table import read_film_table


def _table(folder: Path, text: str) -> Path:
    path = folder / "films.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_every_column_in_either_spelling(tmp_path: Path) -> None:
    rows = "\n".join(['7,"Thing, The",1982,Horror|Sci-Fi,tt0084787,1091', '3,"Amélie (a.k.a. Amelie)",,,,', ""])
    snake = read_film_table(_table(tmp_path, f"movie_id,title,year,genres,imdb_id,tmdb_id\n{rows}")).films
    camel = read_film_table(_table(tmp_path, f"movieId,Title,year,genres,imdbId,tmdbId\n{rows}")).films
    assert snake == camel
    assert snake == (
        Film(3, "Amélie", alternative_titles=("Amelie",)),
        Film(7, "The Thing", 1982, imdb_id="0084787", tmdb_id=1091, genres=("Horror", "Sci-Fi")),
    )


def test_year_may_follow_the_title_and_other_columns_are_ignored(tmp_path: Path) -> None:
    path = _table(tmp_path, "shelf,title,movie_id\nA3,Heat (1995),12\n")
    assert read_film_table(path).films == (Film(12, "Heat", 1995),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title\nHeat\n", r"expected the columns movie_id, title; movie_id missing, received title"),
        ("movie_id,title\nx,Heat\n", r"line 2, column movie_id: expected a whole number above 0, received 'x'"),
        ("movie_id,title\n1,\n", r"line 2, column title: expected a title, received ''"),
        ("movie_id,title\n1,A\n1,B\n", r"line 3, column movie_id: expected every film once \(1 is 'A' already\)"),
        ("movie_id,title,year\n1,A,95th\n", r"column year: expected a year such as 1995, or nothing, received '95th'"),
        ("movie_id,title,imdb_id\n1,A,nm1\n", r"column imdb_id: expected an IMDb id such as tt0113277, or nothing"),
        ("movie_id,title\n", r"lists no film; expected at least one row below the header"),
    ],
)
def test_malformed_tables_name_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_film_table(_table(tmp_path, text))
