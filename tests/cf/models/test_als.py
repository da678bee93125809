from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from cf.base import Recommender
from cf.models.als import ALS, ImplicitALS
from cf.models.baseline import fit_biases
from tests.contracts import RecommenderContract, random_stars, ratings_of


class TestALS(RecommenderContract):
    @pytest.fixture
    def make(self) -> Callable[[], Recommender]:
        return partial(ALS, n_factors=8)


class TestImplicitALS(RecommenderContract):
    @pytest.fixture
    def make(self) -> Callable[[], Recommender]:
        return partial(ImplicitALS, n_factors=8)


class TestImplicitALSByStars(RecommenderContract):
    @pytest.fixture
    def make(self) -> Callable[[], Recommender]:
        return partial(ImplicitALS, n_factors=8, by_stars=True)


def loss(model: ALS, stars: np.ndarray) -> float:
    """The objective of ALS, term by term."""
    known = stars != 0
    biases = fit_biases(ratings_of(stars).matrix().values)
    left = stars - biases.mean - biases.users[:, None] - biases.films
    errors = np.where(known, left - model.user_factors_ @ model.film_factors_.T, 0)
    sides = (known.sum(axis=1), model.user_factors_), (known.sum(axis=0), model.film_factors_)
    lengths = sum(float((n**model.frequency_power) @ (factors**2).sum(axis=1)) for n, factors in sides)
    return float((errors**2).sum()) + model.penalty * lengths


def implicit_loss(model: ImplicitALS, stars: np.ndarray) -> float:
    rated, (x, y) = stars != 0, (model.user_factors_, model.film_factors_)
    confidence = np.where(rated, stars if model.by_stars else 1, 0)
    scores = x @ y.T
    fit = (confidence * (1 - scores) ** 2).sum() + model.unrated_weight * (scores**2).sum()
    n_users, n_films = stars.shape
    sides = (
        (rated.sum(axis=1) + model.unrated_weight * n_films, x),
        (rated.sum(axis=0) + model.unrated_weight * n_users, y),
    )
    lengths = sum(float((m**model.frequency_power) @ (factors**2).sum(axis=1)) for m, factors in sides)
    return float(fit) + model.penalty * lengths


@pytest.mark.parametrize("frequency_power", [0.5, 1.0])
def test_each_iteration_lowers_the_als_objective(frequency_power: float) -> None:
    stars = random_stars(seed=4)
    losses = [
        loss(
            ALS(6, n, 0.3, frequency_power).fit(ratings_of(stars).matrix()),
            stars,
        )
        for n in (1, 2, 4, 8, 60, 61)
    ]
    assert (np.diff(losses[:-1]) < 0).all()
    assert losses[-1] == pytest.approx(losses[-2], rel=1e-3)


@pytest.mark.parametrize("by_stars", [False, True])
def test_each_iteration_lowers_the_implicit_als_objective(by_stars: bool) -> None:
    stars = random_stars(seed=4)
    losses = [
        implicit_loss(ImplicitALS(6, n, by_stars=by_stars).fit(ratings_of(stars).matrix()), stars)
        for n in (1, 2, 4, 8, 60, 61)
    ]
    assert (np.diff(losses[:-1]) < 0).all()
    assert losses[-1] == pytest.approx(losses[-2], rel=1e-3)


@pytest.mark.parametrize("make", [partial(ALS, n_iterations=60), partial(ImplicitALS, n_iterations=60)])
def test_new_users_match_fitted_users_with_the_same_ratings(make: Callable[[], Recommender]) -> None:
    ratings = ratings_of(random_stars(seed=5)).matrix()
    model = make().fit(ratings)
    for old, new in zip(model.recommend(ratings.user_ids, 10_000), model.recommend_new(ratings, 10_000), strict=True):
        order = np.argsort(old.ids), np.argsort(new.ids)
        np.testing.assert_array_equal(old.ids[order[0]], new.ids[order[1]])
        np.testing.assert_allclose(old.scores[order[0]], new.scores[order[1]], atol=0.03)


def test_als_with_vanishing_factors_equals_the_baseline() -> None:
    ratings = ratings_of(random_stars(seed=6)).matrix()
    model = ALS(penalty=1e9).fit(ratings)
    users, films = np.nonzero(np.ones(ratings.values.shape))
    predicted = model.predict(ratings.user_ids[users], ratings.movie_ids[films])
    np.testing.assert_allclose(predicted, fit_biases(ratings.values).of(users, films), atol=1e-4)


def test_unrated_film_has_a_prediction_and_no_neighbors() -> None:
    stars = random_stars(seed=7)
    ratings = ratings_of(stars).matrix()
    values = ratings.values.copy().tolil()
    values[:, [3]] = 0
    bare = type(ratings)(ratings.user_ids, ratings.movie_ids, values.tocsr())
    model = ALS(n_factors=8).fit(bare)
    film = int(ratings.movie_ids[3])
    assert np.isfinite(model.predict([101], [film])).all()
    assert len(model.similar_items([film], 5)[0].ids) == 0


def test_another_seed_gives_other_factors() -> None:
    ratings = ratings_of(random_stars(seed=8)).matrix()
    one, other = (ALS(n_factors=8, seed=seed).fit(ratings) for seed in (0, 1))
    assert not np.allclose(one.film_factors_, other.film_factors_, atol=0.01)
