from __future__ import annotations

from pathlib import Path

import pytest

from catalog.errors import AmbiguousFilmError, DataError, UnknownFilmError
from catalog.film import Film
from catalog.film_ids import FilmId, Imdb, Movie, Tmdb, movie_id_in, parse_film_id, read_film_ids
from catalog.films import Catalog
from catalog.io.tables import Row

FILMS = [
    Film(112818, "Another Film", 1990),
    Film(36, "The Walk", 1995, imdb_id="0112818", tmdb_id=687),
    Film(37, "Twin", 1996, tmdb_id=500),
    Film(38, "Twin Again", 1997, tmdb_id=500),
    Film(687, "Six Hundred", 1950),
    Film(40, "0112819", 2001),
]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    Catalog.create(tmp_path / "catalog.sqlite", FILMS, {})
    return Catalog.open(tmp_path / "catalog.sqlite")


@pytest.mark.parametrize(
    ("text", "film_id"),
    [
        ("6", Movie(6)),
        ("movie:6", Movie(6)),
        ("0006", Movie(6)),
        ("112818", Movie(112818)),
        ("0112818", Imdb("0112818")),
        (" tt0112818 ", Imdb("0112818")),
        ("TT112818", Imdb("0112818")),
        ("tt10872600", Imdb("10872600")),
        ("imdb:112818", Imdb("0112818")),
        ("imdb_id=tt112818", Imdb("0112818")),
        ("tmdb:862", Tmdb(862)),
        ("TMDB: 862", Tmdb(862)),
        ("https://www.imdb.com/title/tt0112818/?ref_=x", Imdb("0112818")),
        ("themoviedb.org/movie/862-toy-story", Tmdb(862)),
        ("Heat", None),
        ("tt", None),
        ("tmdb:tt862", None),
        ("Movie-43", None),
        ("6 Days", None),
        ("²", None),
        ("", None),
    ],
)
def test_ids_keep_their_namespace(text: str, film_id: FilmId | None) -> None:
    assert parse_film_id(text) == film_id


@pytest.mark.parametrize(
    ("text", "movie_id"),
    [("0112818", 36), ("tt0112818", 36), ("112818", 112818), ("tmdb:687", 36), ("687", 687), ("movie:36", 36)],
)
def test_a_film_is_found_by_the_id_that_was_given(catalog: Catalog, text: str, movie_id: int) -> None:
    assert catalog.find(text).movie_id == movie_id
    assert movie_id in [film.movie_id for film in catalog.suggest(text)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0687000", "no film has the IMDb id tt0687000"),
        # A padded number is an IMDb id even if it is a title.
        ("0112819", "no film has the IMDb id tt0112819"),
        ("tmdb:1", "no film has the TMDB id 1"),
        ("movie:1", "no film has the movie_id 1"),
    ],
)
def test_an_id_of_no_film_finds_nothing_else(catalog: Catalog, text: str, message: str) -> None:
    with pytest.raises(UnknownFilmError, match=message):
        catalog.find(text)
    assert catalog.suggest(text) == []


def test_an_id_of_two_films_names_both(catalog: Catalog) -> None:
    with pytest.raises(AmbiguousFilmError, match=r"2 films have the TMDB id 500: Twin \(1996\) \[37\], Twin Again"):
        catalog.find("tmdb:500")
    assert [film.movie_id for film in catalog.suggest("tmdb:500")] == [37, 38]


def test_a_number_of_another_namespace_is_explained(catalog: Catalog) -> None:
    with pytest.raises(UnknownFilmError, match=r"none has that movie_id; type tmdb:500 for Twin \(1996\)"):
        catalog.find("500")


def test_a_list_of_films_may_mix_ids(catalog: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "films.txt"
    path.write_text("0112818  # the walk\n\n112818\ntmdb:500\ntt9999999\n", encoding="utf-8-sig")
    assert catalog.with_ids(read_film_ids(path)) == ({36, 112818, 37, 38}, (Imdb("9999999"),))


def test_a_list_with_another_text_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "films.txt"
    path.write_text("6\nHeat\n")
    with pytest.raises(DataError, match=r"films.txt, line 2: expected a movie_id such as 6, an IMDb id .* 'Heat'"):
        read_film_ids(path)


def test_only_the_number_of_a_film_is_refused_as_an_imdb_id() -> None:
    row = Row(Path("ratings.csv"), 7, {"userId": "0000042", "movieId": "0113277"})
    assert row.integer("userId", "a whole number above 0") == 42
    with pytest.raises(DataError, match=r"ratings.csv, line 7, column movieId: .*, not an IMDb id, received '0113277'"):
        movie_id_in(row, "movieId", "a whole number above 0")
