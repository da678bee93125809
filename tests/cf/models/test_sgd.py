from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cf.base import Recommender
from cf.evaluation.evaluation import predict_stars
from cf.evaluation.splits import random_split
from cf.models.baseline import Baseline
from cf.models.sgd import SGD
from cf.ratings import RatingMatrix, read_movielens
from tests.contracts import RecommenderContract, random_stars, ratings_of


class TestSGD(RecommenderContract):
    @pytest.fixture
    def make(self) -> Callable[[], Recommender]:
        return lambda: SGD(n_factors=4, n_epochs=60, learning_rate=0.05, batch_size=50)


def few(**parameters: float) -> SGD:
    return SGD(**{"n_factors": 3, "n_epochs": 5, "batch_size": 30, **parameters})  # type: ignore[arg-type]


def test_batch_step_is_the_sum_of_the_steps_of_its_ratings() -> None:
    stars = random_stars(1, n_users=9, n_films=7)
    values = ratings_of(stars).matrix().values
    model = few(n_epochs=1, batch_size=values.nnz, learning_rate=0.01, regularization=0.3)
    # With no epochs, a model keeps its initial draws.
    start = few(n_epochs=0).fit(ratings_of(stars).matrix())
    x, y = start.users_.astype(float), start.films_.astype(float)
    mean = values.data.mean()
    new_x, new_y = x.copy(), y.copy()
    for u, i in zip(*np.nonzero(stars), strict=True):
        error = stars[u, i] - mean - x[u, :3] @ y[i, :3] - x[u, 3] - y[i, 3]
        new_x[u] += 0.01 * (error * np.append(y[i, :3], 1) - 0.3 * x[u])
        new_y[i] += 0.01 * (error * np.append(x[u, :3], 1) - 0.3 * y[i])
    model.fit(ratings_of(stars).matrix())
    np.testing.assert_allclose(model.users_, new_x, atol=1e-5)
    np.testing.assert_allclose(model.films_, new_y, atol=1e-5)


def test_many_ratings_of_one_user_in_a_batch_do_not_overshoot() -> None:
    ratings = ratings_of(random_stars(5, n_users=2, n_films=900, density=0.9)).matrix()
    model = few(n_epochs=20, batch_size=5000, learning_rate=0.5).fit(ratings)
    assert np.abs(model.users_).max() < 5


def test_seed_determines_the_factors() -> None:
    ratings = ratings_of(random_stars(2)).matrix()
    one, same, other = (few(seed=seed).fit(ratings) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.users_, same.users_)
    assert not np.array_equal(one.users_, other.users_)


def test_new_users_match_fitted_users_with_the_same_ratings() -> None:
    ratings = ratings_of(random_stars(3, density=0.8)).matrix()
    model = SGD(n_factors=2, n_epochs=200, batch_size=1000, learning_rate=0.01).fit(ratings)
    old, new = model.recommend(ratings.user_ids, 25), model.recommend_new(ratings, 25)
    differences = [
        one.scores[np.argsort(one.ids)] - other.scores[np.argsort(other.ids)]
        for one, other in zip(old, new, strict=True)
    ]
    # The descent stops near the minimum.
    assert np.abs(np.concatenate(differences)).mean() < 0.05


def test_unrated_film_is_predicted_from_mean_and_user_bias() -> None:
    whole = ratings_of(random_stars(4, n_films=5)).matrix()
    values = whole.values.tolil()
    values[:, 2] = 0
    model = few().fit(RatingMatrix(whole.user_ids, whole.movie_ids, values.tocsr()))
    assert model.similar_items([13], 5)[0].ids.tolist() == []
    assert 13 not in model.similar_items([11], 5)[0].ids
    np.testing.assert_allclose(model.predict([101], [13]), model.mean_ + model.users_[0, -1], rtol=1e-6)


def test_predicts_real_ratings_better_than_the_baseline(shared: Path) -> None:
    split = random_split(read_movielens(shared / "data/ml-latest-small"), 0.2, seed=0)
    errors = []
    for model in (Baseline(), SGD(n_factors=5, n_epochs=25, learning_rate=0.04, batch_size=5000)):
        stars, _ = predict_stars(model.fit(split.train.matrix()), split.train, split.test)
        errors.append(np.sqrt(np.mean((stars - split.test.values) ** 2)))
    assert errors[1] < errors[0] - 0.005
