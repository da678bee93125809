"""Descriptions of films that are not in the catalog."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.errors import ConfigError, DataError
from keyart.cold_start.new_film import FIRST_YEAR, NewFilm, describe, last_year, read_new_films
from tests.posters.pictures import draw_poster

GENRES = ("Comedy", "Drama")
POSTER = Path("poster.jpg")


def test_describe_accepts_any_spelling() -> None:
    film = describe(POSTER, "Matrix, The (a.k.a. Die Matrix) (1999)", genres="comedy|Drama", known_genres=GENRES)
    assert film == NewFilm(POSTER, "The Matrix", 1999, ("Comedy", "Drama"), ("Die Matrix",))
    assert film.label == "The Matrix (1999)"
    assert describe(POSTER).label == "poster.jpg"
    assert describe(POSTER, "Ran", imdb_id="tt89881").imdb_id == "0089881"


def test_any_genre_is_accepted_if_none_are_known() -> None:
    assert describe(POSTER, "Ran", genres="Jidaigeki").genres == ("Jidaigeki",)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"year": 19999}, rf"expected a year from {FIRST_YEAR} to {last_year()}, received 19999"),
        ({"year": FIRST_YEAR - 1}, "received 1869"),
        ({"title": "Heat (1995)", "year": 1996}, r"'Heat \(1995\)' is of 1995, but 1996 is given"),
        ({"genres": "Comdy"}, "did you mean Comedy"),
        ({"imdb_id": "heat"}, "expected an IMDb id such as tt0113277, received 'heat'"),
    ],
)
def test_invalid_descriptions_are_refused(facts: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        describe(POSTER, **{"title": "Heat", "known_genres": GENRES, **facts})  # type: ignore[arg-type]


def test_reads_csv_with_relative_poster_paths(tmp_path: Path) -> None:
    path = tmp_path / "films.csv"
    path.write_text('path,title,year,genres,tmdb_id\na.jpg,"Heat, The",1995.0,drama,9\nsub/b.png,Ran (1985),,,\n')
    assert read_new_films(path, GENRES, titled=True) == [
        NewFilm(tmp_path / "a.jpg", "The Heat", 1995, ("Drama",), tmdb_id=9),
        NewFilm(tmp_path / "sub" / "b.png", "Ran", 1985),
    ]
    path.write_text("path,director,Directors,actors,plot\na.jpg,Ana,ana|Bo,Jo | Mia,\n")
    assert read_new_films(path, GENRES, titled=False) == [
        NewFilm(tmp_path / "a.jpg", directors=("Ana", "Bo"), cast=("Jo", "Mia"))
    ]
    path.write_text("path\na.jpg\n")
    assert read_new_films(path, GENRES, titled=False) == [NewFilm(tmp_path / "a.jpg")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.jpg,Heat,19999,,", rf"films.csv, line 3, column year: expected a year from {FIRST_YEAR}"),
        ("a.jpg,Heat,soon,,", "films.csv, line 3, column year: expected a whole number"),
        (
            "a.jpg,Heat,,Dramma,",
            r"films.csv, line 3, column genres: no film is of the genre 'Dramma' \(did you mean Dr",
        ),
        ("a.jpg,,,,", "films.csv, line 3, column title: expected a title"),
        (",Heat,,,", "films.csv, line 3, column path: expected the path of a poster"),
        ("a.jpg,Heat (1995),1996,,", "films.csv, line 3, column title: "),
        ("a.jpg,Heat,,,x", "films.csv, line 3, column imdb_id: expected an IMDb id"),
        ("a.jpg,Heat", "films.csv, line 3: expected 5 columns"),
    ],
)
def test_invalid_csv_error_names_line_and_column(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "films.csv").write_text(f"path,title,year,genres,imdb_id\na.jpg,Ran,1985,Drama,\n{line}\n")
    with pytest.raises(DataError, match=message):
        read_new_films(tmp_path / "films.csv", GENRES, titled=True)


def test_reads_titles_from_the_image_names_of_a_folder(tmp_path: Path) -> None:
    for name in ("Ran (1985).jpg", "Heat.jpg"):
        (tmp_path / name).write_bytes(draw_poster(1))
    found = read_new_films(tmp_path, GENRES, titled=True)
    assert [(film.title, film.year, film.image.name) for film in found] == [
        ("Heat", None, "Heat.jpg"),
        ("Ran", 1985, "Ran (1985).jpg"),
    ]
    (tmp_path / "tt0113277.jpg").write_bytes(draw_poster(2))
    with pytest.raises(ConfigError, match=r"tt0113277.jpg: expected a title, such as Heat \(1995\), received a number"):
        read_new_films(tmp_path, GENRES, titled=True)
    assert len(read_new_films(tmp_path, GENRES, titled=False)) == 3


def test_refuses_folders_without_images_and_files_without_films(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no images"):
        read_new_films(tmp_path, GENRES, titled=True)
    (tmp_path / "films.csv").write_text("path,title\n")
    with pytest.raises(DataError, match="holds no line below its header"):
        read_new_films(tmp_path / "films.csv", GENRES, titled=True)
