from __future__ import annotations

from pathlib import Path
from typing import Any

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
        (Filter(years=(1991, None)), {2, 4}),
        (Filter(years=(None, 1991)), {1, 2}),
        (Filter(years=(1991, 1991)), {2}),
        (Filter(genres=("drama",)), {1, 3}),
        # Part of a genre's name is another genre.
        (Filter(genres=("Noir",)), {2}),
        (Filter(genres=("FILM-NOIR", "noir")), {1, 2}),
        (Filter(min_ratings=50), {2, 3}),
        (Filter(movie_ids={4, 1, 99}), {1, 4}),
        (Filter(movie_ids=()), set()),
        (Filter(years=(1990, None), genres=["Drama"], min_ratings=5, movie_ids={1, 2}), {1}),
    ],
)
def test_films_have_to_meet_every_condition(catalog: Catalog, wanted: Filter, movie_ids: set[int]) -> None:
    assert catalog.movie_ids(wanted) == movie_ids


def test_a_filter_without_conditions_is_false() -> None:
    assert not Filter()
    assert Filter(movie_ids=())
    assert Filter(min_ratings=1)


def test_lists_and_tuples_make_the_same_filter() -> None:
    assert Filter(genres=["Drama"]) == Filter(genres=("Drama",))
    assert hash(Filter(years=[1990, None])) == hash(Filter(years=(1990, None)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (
            {"years": (1999, 1990)},
            ConfigError,
            "the first year should not be later than the last, received 1999 and 1990",
        ),
        ({"min_ratings": -1}, ConfigError, "min_ratings should be 0 or more, received -1"),
        ({"years": 1999}, TypeError, r"years should be a pair such as \(1990, 1999\)"),
        ({"genres": "Drama"}, TypeError, r"genres should be a sequence such as \['Drama'\]"),
    ],
)
def test_impossible_conditions_are_refused(wrong: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Filter(**wrong)


def test_an_unknown_genre_is_refused_and_the_known_are_listed(catalog: Catalog) -> None:
    with pytest.raises(ConfigError, match="no film is of the genre 'Western'; there are Drama, Film-Noir, Noir"):
        catalog.movie_ids(Filter(genres=("Drama", "Western")))
    assert catalog.genres() == ("Drama", "Film-Noir", "Noir")
