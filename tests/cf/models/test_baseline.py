from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import sparse

from cf.base import Recommender
from cf.models.baseline import Baseline, fit_biases
from tests.contracts import RecommenderContract, random_stars, ratings_of


class TestBaseline(RecommenderContract):
    finds_similar = False

    @pytest.fixture
    def make(self) -> Callable[[], Recommender]:
        return Baseline


def test_biases_solve_regularized_least_squares() -> None:
    stars = random_stars(1, n_users=12, n_films=9)
    damping = 3.0
    users, films = np.nonzero(stars)
    biases = fit_biases(ratings_of(stars).matrix().values, damping, damping)
    # Equals a dense ridge regression on one-hot columns; both subtract the mean first.
    design = np.zeros((len(users), 12 + 9))
    design[np.arange(len(users)), users] = design[np.arange(len(users)), 12 + films] = 1
    left = stars[users, films] - stars[users, films].mean()
    expected = np.linalg.solve(design.T @ design + damping * np.eye(21), design.T @ left)
    np.testing.assert_allclose([*biases.users, *biases.films], expected, atol=2e-3)


def test_residuals_and_biases_add_up_to_the_ratings() -> None:
    values = ratings_of(random_stars(2)).matrix().values
    biases = fit_biases(values)
    left = biases.residuals(values).tocoo()
    np.testing.assert_allclose(left.data + biases.of(left.row, left.col), values.data, atol=1e-5)


def test_new_users_match_fitted_users_with_the_same_ratings() -> None:
    values = ratings_of(random_stars(3)).matrix().values
    biases = fit_biases(values)
    np.testing.assert_allclose(biases.of_new_users(values), biases.users, atol=1e-5)


def test_biases_are_damped_towards_their_means() -> None:
    values = sparse.csr_array(np.array([[4.0, 0.0], [5.0, 0.0]], np.float32))
    biases = fit_biases(values, 1e9, 2.0, np.array([1.0, -0.5], np.float32))
    # Two ratings of 0 on average and two of the prior's 1; and no rating at all.
    np.testing.assert_allclose(biases.films, [0.5, -0.5], atol=1e-5)
