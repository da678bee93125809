from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import sparse

from cf.base import Recommender
from cf.models import bpmf
from cf.models.bpmf import BPMF
from cf.ratings import RatingMatrix
from tests.contracts import RecommenderContract, random_stars, ratings_of


class TestBayesianFactors(RecommenderContract):
    @pytest.fixture
    def make(self) -> Callable[[], Recommender]:
        return lambda: BPMF(n_factors=3, n_implicit=4, n_draws=30)


def low_rank(seed: int, n_users: int = 80, n_films: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Draw a table of rank 2, and a noisy copy with two thirds of it hidden."""
    rng = np.random.default_rng(seed)
    true = 3 + rng.standard_normal((n_users, 2)) @ rng.standard_normal((2, n_films)) / 2
    noisy = true + rng.normal(0, 0.3, true.shape)
    return true, np.where(rng.random(true.shape) < 1 / 3, noisy, 0)


def predicted(model: Recommender, shape: tuple[int, int]) -> np.ndarray:
    users, films = np.indices(shape).reshape(2, -1)
    return model.predict(101 + users, 11 + films).reshape(shape)


def test_predicts_hidden_ratings_below_the_noise_level() -> None:
    true, known = low_rank(seed=1)
    model = BPMF(n_factors=4, n_implicit=0, n_draws=60).fit(ratings_of(known).matrix())
    hidden = known == 0
    error = np.sqrt(np.mean((predicted(model, true.shape) - true)[hidden] ** 2))
    assert error < 0.25
    # The noise's deviation is learned too.
    assert np.sqrt(1 / model.noise_precisions_.mean()) == pytest.approx(0.3, abs=0.03)


def test_the_mean_of_many_draws_is_better_than_one() -> None:
    true, known = low_rank(seed=2)
    one, many = (BPMF(4, 0, n_draws).fit(ratings_of(known).matrix()) for n_draws in (1, 60))
    errors = [np.mean((predicted(model, true.shape) - true)[known == 0] ** 2) for model in (one, many)]
    assert errors[1] < 0.8 * errors[0]


def test_implicit_factors_help_users_with_few_ratings() -> None:
    # Users rate the half of the films that they love, and a film or two of the others, which they dislike.
    rng = np.random.default_rng(3)
    users, films = np.indices((60, 40))
    loved = users % 2 == films % 2
    stars = np.where(loved, 5.0, 1.0) + rng.normal(0, 0.5, loved.shape)
    known = np.where(loved, rng.random(loved.shape) < 0.15, rng.random(loved.shape) < 0.01)
    ratings = ratings_of(np.where(known, stars, 0)).matrix()
    errors = []
    for n_implicit in (0, 5):
        model = BPMF(3, n_implicit, n_draws=40).fit(ratings)
        errors.append(np.nanmean((predicted(model, loved.shape) - stars) ** 2))
    assert errors[1] < errors[0]


def test_seed_determines_the_factors() -> None:
    ratings = ratings_of(random_stars(2)).matrix()
    one, same, other = (BPMF(2, 2, 3, seed=seed).fit(ratings) for seed in (1, 1, 2))
    np.testing.assert_allclose(one.user_draws_, same.user_draws_, atol=1e-4)
    assert not np.allclose(one.user_draws_, other.user_draws_, atol=0.1)


@pytest.mark.parametrize("n_implicit", [0, 5])
def test_new_users_match_fitted_users_with_the_same_ratings(n_implicit: int) -> None:
    _, known = low_rank(seed=4)
    ratings = ratings_of(known).matrix()
    model = BPMF(3, n_implicit, n_draws=80).fit(ratings)
    old = model.recommend(ratings.user_ids, 100, exclude_seen=False)
    new = model.recommend_new(ratings, 100, exclude_seen=False)
    differences = [
        one.scores[np.argsort(one.ids)] - other.scores[np.argsort(other.ids)]
        for one, other in zip(old, new, strict=True)
    ]
    # Factors of fitted users are draws; a new user's are the mean of the conditional distribution.
    assert np.sqrt(np.mean(np.square(differences))) < 0.1


def test_unrated_film_has_no_neighbors() -> None:
    whole = ratings_of(random_stars(5, n_films=6)).matrix()
    values = whole.values.tolil()
    values[:, 2] = 0
    model = BPMF(2, 2, 10).fit(RatingMatrix(whole.user_ids, whole.movie_ids, values.tocsr()))
    assert model.similar_items([13], 5)[0].ids.tolist() == []
    assert len(model.similar_items([11], 6)[0].ids) == 4
    assert np.isfinite(model.predict([101], [13])).all()


@pytest.mark.parametrize("n_cells", [1, 1000])
def test_block_size_does_not_change_predictions(monkeypatch: pytest.MonkeyPatch, n_cells: int) -> None:
    model = BPMF(2, 2, 10).fit(ratings_of(random_stars(6)).matrix())
    whole = predicted(model, (40, 25))
    monkeypatch.setattr(bpmf, "BLOCK_CELLS", n_cells)
    np.testing.assert_allclose(predicted(model, (40, 25)), whole, rtol=1e-6)


def test_drawn_priors_match_mean_and_covariance_of_the_rows() -> None:
    rng = np.random.default_rng(7)
    root = np.array([[1.0, 0, 0], [0.5, 0.8, 0], [-0.3, 0.2, 0.6]])
    rows = [2.0, -1.0, 0.5] + rng.standard_normal((4000, 3)) @ root.T
    draws = [bpmf._drawn_prior(rng, rows) for _ in range(200)]
    np.testing.assert_allclose(np.mean([draw.mean for draw in draws], axis=0), [2, -1, 0.5], atol=0.05)
    covariances = np.linalg.inv([draw.precision for draw in draws])
    np.testing.assert_allclose(covariances.mean(axis=0), root @ root.T, atol=0.05)
    # The mean is known to 1 / sqrt(n) of a deviation.
    np.testing.assert_allclose(np.std([draw.mean[0] for draw in draws]), 1 / np.sqrt(4000), rtol=0.2)


def test_principal_directions_equal_those_of_a_full_svd() -> None:
    rng = np.random.default_rng(8)
    dense = rng.standard_normal((60, 5)) @ rng.standard_normal((5, 40)) + 0.01 * rng.standard_normal((60, 40))
    directions = bpmf._principal_directions(sparse.csr_array(dense), 5, rng)
    expected = np.linalg.svd(dense)[2][:5]
    np.testing.assert_allclose(np.abs(np.sum(directions.T * expected, axis=1)), 1, atol=1e-3)


def test_learns_the_noise_of_each_user() -> None:
    rng = np.random.default_rng(9)
    deviations = np.where(np.arange(200) % 2, 0.3, 1.0)
    squares = (deviations[:, None] * rng.standard_normal((200, 50))) ** 2
    noise = bpmf._Noise(np.full(200, 50), rng)
    drawn = []
    for _ in range(60):
        noise.draw(squares.sum(axis=1))
        drawn.append(1 / np.sqrt(noise.of_users))
    means = np.mean(drawn[10:], axis=0)
    # Users with few ratings shrink towards the others; with fifty, hardly.
    assert means[1::2].mean() == pytest.approx(0.3, abs=0.07)
    assert means[::2].mean() == pytest.approx(1.0, abs=0.1)
    assert (means[1::2] < means[::2].min()).mean() > 0.95
