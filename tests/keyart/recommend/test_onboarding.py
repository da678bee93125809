"""Which films a newcomer is asked about."""

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from catalog.film import Film
from cf.ratings import RatingMatrix
from keyart.recommend.onboarding import FilmsToRate, similarities_of, values_of
from keyart.workspace.layout import Workspace


def matrix(*columns: list[float]) -> RatingMatrix:
    """Ratings of films by users; 0 is no rating."""
    values = np.array(columns, np.float32).T
    ids = (np.arange(1, n + 1, dtype=np.int32) for n in values.shape)
    return RatingMatrix(*ids, sparse.csr_array(values))


def test_worth_is_popularity_times_entropy() -> None:
    # Four ratings in two halves: 2 bits times 1 bit. In four quarters: 2 times 2.
    worth = values_of(matrix([5, 5, 0.5, 0.5], [5, 4, 2.5, 0.5], [4, 4, 4, 4], [3, 0, 0, 0]))
    assert worth.tolist() == pytest.approx([2, 4, 0, 0])


def test_films_are_alike_by_genres_and_looks() -> None:
    films = [Film(1, "", genres=("Drama",)), Film(2, "", genres=("Drama",)), Film(3, "", genres=("War",)), Film(4, "")]
    looks = np.array([[1, 0], [1, 0], [-1, 0], [np.nan, np.nan]], np.float32)
    alike = similarities_of(films, looks)
    assert alike[0, 1] == pytest.approx(1)
    assert alike[0, 2] == 0
    assert not alike[3].any()
    assert similarities_of(films, np.empty((4, 0), np.float32))[0, 1] == pytest.approx(0.5)


def test_a_film_like_one_before_it_waits() -> None:
    films = [Film(number, "") for number in (1, 2, 3)]
    likeness = np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]])
    asked = FilmsToRate(films, np.array([1.0, 0.99, 0.5]), likeness).listed(3)
    assert [film.movie_id for film in asked][2] in (1, 2)
    assert sorted(film.movie_id for film in asked) == [1, 2, 3]


def test_pages_follow_one_another_and_a_seed_asks_about_others(tastes_home: Path) -> None:
    films = FilmsToRate.open(Workspace.open(tastes_home))
    whole = films.listed(50)
    assert films.listed(3) + films.listed(50, offset=3) == whole
    assert films.listed(10) == films.listed(10)
    assert films.listed(10, seed=1) != films.listed(10, seed=2)
    assert films.listed(5, offset=1000) == []


def test_only_films_that_are_rated_unlike_and_pictured_are_asked_about(home: Path) -> None:
    # 4 has no poster, 5 has one rating, 6 none.
    asked = FilmsToRate.open(Workspace.open(home)).listed(50)
    assert sorted(film.movie_id for film in asked) == [1, 2, 3]


def test_where_nobody_differs_what_is_known_and_unlike_is_asked_about(tastes_home: Path) -> None:
    # There each film has one and the same number of stars from all.
    asked = FilmsToRate.open(Workspace.open(tastes_home)).listed(2)
    assert {film.genres for film in asked} == {("Drama",), ("Comedy",)}
