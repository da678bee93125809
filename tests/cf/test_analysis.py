from __future__ import annotations

import sys

import numpy as np
import pytest

from catalog.errors import ConfigError
from cf.analysis import best_rated, clusters, film_map, largest_biases, most_rated, rated_genres
from cf.ratings import Ratings
from tests.contracts import ratings_of

pytestmark = pytest.mark.heavy

TITLES = {11: "Heat (1995)", 12: "Ran (1985)", 13: "Ronin (1998)"}
# Film 11: 4.25 from four; 12: 5 from one; 13: 2 from two; 14, without a title: 4.25 from two.
STARS = [[4, 5, 2, 0], [4, 0, 2, 0], [4, 0, 0, 4], [5, 0, 0, 4.5]]


def test_best_rated_sorts_by_mean_among_films_with_enough_votes() -> None:
    found = best_rated(ratings_of(STARS), TITLES, 3, more_than=1)
    assert [(film.rank, film.movie_id, film.title) for film in found] == [
        (1, 11, "Heat (1995)"),
        (2, 14, "film 14"),
        (3, 13, "Ronin (1998)"),
    ]
    assert (found[0].n_ratings, found[0].mean_rating, found[0].damped_mean) == (4, 4.25, 4.25)


def test_best_rated_requires_more_than_ten_votes_by_default() -> None:
    assert [film.movie_id for film in best_rated(ratings_of([[5, 4]] * 10 + [[0, 4]]), TITLES, 5)] == [12]


def test_a_damped_mean_needs_no_threshold() -> None:
    found = best_rated(ratings_of(STARS), TITLES, 9, more_than=0, damping=10)
    mean = np.mean([star for row in STARS for star in row if star])
    assert [film.movie_id for film in found] == [11, 12, 14, 13]
    assert found[1].damped_mean == pytest.approx((5 + 10 * mean) / 11)
    assert found[1].mean_rating == 5


def test_most_rated_breaks_ties_by_mean() -> None:
    assert [film.movie_id for film in most_rated(ratings_of(STARS), TITLES, 3)] == [11, 14, 13]


def test_a_rating_counts_for_every_genre_of_its_film() -> None:
    genres = {11: ("Crime", "Drama"), 12: ("Drama",), 13: ("Crime",), 99: ("Western",)}
    by_mean = rated_genres(ratings_of(STARS), genres)
    assert [(one.genre, one.n_films, one.n_ratings) for one in by_mean] == [("Drama", 2, 5), ("Crime", 2, 6)]
    assert [one.mean_rating for one in by_mean] == pytest.approx([22 / 5, 21 / 6])
    assert [one.genre for one in rated_genres(ratings_of(STARS), genres, by="ratings")] == ["Crime", "Drama"]


def test_no_ratings_give_empty_lists() -> None:
    nothing = Ratings.empty()
    assert best_rated(nothing, TITLES, 5) == most_rated(nothing, TITLES, 5) == rated_genres(nothing, {}) == []


def test_largest_biases_or_smallest_come_first() -> None:
    movie_ids, biases = np.array([11, 12, 13], np.int32), np.array([0.5, -1, 0.5], np.float32)
    largest = largest_biases(movie_ids, biases, TITLES, 2)
    assert [(film.rank, film.movie_id, film.title, film.bias) for film in largest] == [
        (1, 11, "Heat (1995)", 0.5),
        (2, 13, "Ronin (1998)", 0.5),
    ]
    assert [film.movie_id for film in largest_biases(movie_ids, biases, TITLES, 2, smallest=True)] == [12, 11]


def sagas(n_sagas: int = 3, n_parts: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Draw film factors in one direction per saga, of any length; the last film has none."""
    rng = np.random.default_rng(0)
    directions = np.repeat(np.eye(8)[:n_sagas], n_parts, axis=0) + 0.05 * rng.standard_normal((n_sagas * n_parts, 8))
    factors = np.vstack([directions * rng.uniform(0.01, 2, (len(directions), 1)), np.zeros(8)])
    return 10 + np.arange(len(factors), dtype=np.int32), factors.astype(np.float32)


def test_clusters_find_sagas_whatever_the_length_of_factors() -> None:
    movie_ids, factors = sagas()
    found = clusters(movie_ids, factors, TITLES, 3)
    members = sorted(sorted(film.movie_id for film in cluster.films) for cluster in found)
    assert members == [list(range(start, start + 5)) for start in (10, 15, 20)]
    assert [cluster.number for cluster in found] == [1, 2, 3]
    assert [cluster.spread for cluster in found] == sorted(cluster.spread for cluster in found)
    for cluster in found:
        distances = [film.distance for film in cluster.films]
        assert distances == sorted(distances)
        assert cluster.spread == pytest.approx(np.mean(distances))
    assert found == clusters(movie_ids, factors, TITLES, 3)


def test_at_most_one_cluster_per_film_and_singletons_last() -> None:
    movie_ids, factors = sagas()
    assert len(clusters(movie_ids, factors, TITLES)) == 15
    sizes = [len(cluster.films) for cluster in clusters(movie_ids, factors, TITLES, 12)]
    assert sorted(size == 1 for size in sizes) == [size == 1 for size in sizes]
    assert clusters(movie_ids[-1:], factors[-1:], TITLES) == []


def test_film_map_puts_similar_films_close_together() -> None:
    movie_ids, factors = sagas(n_parts=12)
    found = film_map(movie_ids, factors, TITLES)
    np.testing.assert_array_equal(found.movie_ids, movie_ids[:-1])
    assert found.titles[1:4] == ("Heat (1995)", "Ran (1985)", "Ronin (1998)")
    assert (found.positions.shape, found.positions.dtype) == ((36, 2), np.float32)
    apart = np.linalg.norm(found.positions[:, None] - found.positions, axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (apart.argmin(axis=1) // 12 == np.arange(36) // 12).all()
    np.testing.assert_array_equal(film_map(movie_ids, factors, TITLES).positions, found.positions)


@pytest.mark.parametrize("n_films", [0, 1, 2, 3])
def test_film_map_of_few_films_is_finite(n_films: int) -> None:
    movie_ids, factors = sagas()
    assert np.isfinite(film_map(movie_ids[:n_films], factors[:n_films], TITLES).positions).all()


def test_missing_scikit_learn_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    movie_ids, factors = sagas()
    for analyze in (clusters, film_map):
        with pytest.raises(ConfigError, match=r"scikit-learn: .*pip install scikit-learn"):
            analyze(movie_ids, factors, TITLES)
