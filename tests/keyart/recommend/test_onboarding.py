"""Selection of films for new users to rate."""

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from catalog.film import Film
from cf.ratings import RatingMatrix
from keyart.recommend.onboarding import FilmsToRate, similarities_of, values_of
from keyart.workspace.layout import Workspace


def matrix(*columns: list[float]) -> RatingMatrix:
    """Ratings, one list per film; 0 means unrated."""
    values = np.array(columns, np.float32).T
    ids = (np.arange(1, n + 1, dtype=np.int32) for n in values.shape)
    return RatingMatrix(*ids, sparse.csr_array(values))


def test_value_is_popularity_times_entropy() -> None:
    # Four ratings in two halves: 2 bits times 1 bit. In four quarters: 2 times 2.
    values = values_of(matrix([5, 5, 0.5, 0.5], [5, 4, 2.5, 0.5], [4, 4, 4, 4], [3, 0, 0, 0]))
    assert values.tolist() == pytest.approx([2, 4, 0, 0])


def test_similarity_combines_genres_and_looks() -> None:
    films = [Film(1, "", genres=("Drama",)), Film(2, "", genres=("Drama",)), Film(3, "", genres=("War",)), Film(4, "")]
    looks = np.array([[1, 0], [1, 0], [-1, 0], [np.nan, np.nan]], np.float32)
    similarities = similarities_of(films, looks)
    assert similarities[0, 1] == pytest.approx(1)
    assert similarities[0, 2] == 0
    assert not similarities[3].any()
    assert similarities_of(films, np.empty((4, 0), np.float32))[0, 1] == pytest.approx(0.5)


def test_film_similar_to_an_earlier_one_is_listed_later() -> None:
    films = [Film(number, "") for number in (1, 2, 3)]
    similarities = np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]])
    films_to_rate = FilmsToRate(films, np.array([1.0, 0.99, 0.5]), similarities).listed(3)
    assert [film.movie_id for film in films_to_rate][2] in (1, 2)
    assert sorted(film.movie_id for film in films_to_rate) == [1, 2, 3]


def test_pages_are_consecutive_and_seeds_vary_the_list(tastes_home: Path) -> None:
    films = FilmsToRate.open(Workspace.open(tastes_home))
    whole = films.listed(50)
    assert films.listed(3) + films.listed(50, offset=3) == whole
    assert films.listed(10) == films.listed(10)
    assert films.listed(10, seed=1) != films.listed(10, seed=2)
    assert films.listed(5, offset=1000) == []


def test_lists_only_films_with_posters_and_varied_ratings(home: Path) -> None:
    # 4 has no poster, 5 has one rating, 6 none.
    films_to_rate = FilmsToRate.open(Workspace.open(home)).listed(50)
    assert sorted(film.movie_id for film in films_to_rate) == [1, 2, 3]


def test_without_varied_ratings_lists_popular_dissimilar_films(tastes_home: Path) -> None:
    # In this workspace, all ratings of a film are equal.
    films_to_rate = FilmsToRate.open(Workspace.open(tastes_home)).listed(2)
    assert {film.genres for film in films_to_rate} == {("Drama",), ("Comedy",)}
