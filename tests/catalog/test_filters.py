from __future__ import annotations

from pathlib import Path

import pytest

from catalog.errors import ConfigError
from catalog.film import Film
from catalog.films import Catalog
from catalog.filters import Filter

FILMS = [
    Film(1, "One", 1990, genres=("Drama", "Film-Noir"), n_ratings=5),
    Film(2, "Two", 1991, genres=("Noir",), n_ratings=50),
    Film(3, "Three", None, genres=("Drama",), n_ratings=500),
    Film(4, "Four", 2000),
]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    Catalog.create(tmp_path / "catalog.sqlite", FILMS, {})
    return Catalog.open(tmp_path / "catalog.sqlite")


@pytest.mark.parametrize(
    ("wanted", "movie_ids"),
    [
        (Filter(), {1, 2, 3, 4}),
        (Filter(first_year=1991), {2, 4}),
        (Filter(last_year=1991), {1, 2}),
        (Filter(first_year=1991, last_year=1991), {2}),
        (Filter(genres=("drama",)), {1, 3}),
        # Part of a genre's name is another genre.
        (Filter(genres=("Noir",)), {2}),
        (Filter(genres=("FILM-NOIR", "noir")), {1, 2}),
        (Filter(min_support=50), {2, 3}),
        (Filter(movie_ids={4, 1, 99}), {1, 4}),
        (Filter(movie_ids=()), set()),
        (Filter(first_year=1990, genres=("Drama",), min_support=5, movie_ids={1, 2}), {1}),
    ],
)
def test_films_pass_by_all_that_is_said(catalog: Catalog, wanted: Filter, movie_ids: set[int]) -> None:
    assert catalog.movie_ids(wanted) == movie_ids


def test_a_filter_that_says_nothing_is_false() -> None:
    assert not Filter()
    assert Filter(movie_ids=())
    assert Filter(min_support=1)


def test_a_genre_that_there_is_not_is_named(catalog: Catalog) -> None:
    with pytest.raises(ConfigError, match="no film is of the genre 'Western'; there are Drama, Film-Noir, Noir"):
        catalog.movie_ids(Filter(genres=("Drama", "Western")))
    assert catalog.genres() == ("Drama", "Film-Noir", "Noir")
