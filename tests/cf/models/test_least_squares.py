from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import sparse

from cf.models.least_squares import LeastSquares
from tests.contracts import random_stars

N_ROWS, N_COLUMNS = 30, 25


@pytest.fixture(scope="module")
def stars() -> npt.NDArray[np.float32]:
    stars = random_stars(seed=1, n_users=N_ROWS, n_films=N_COLUMNS)
    stars[7] = 0
    return stars


@pytest.fixture(scope="module")
def values(stars: npt.NDArray[np.float32]) -> sparse.csr_array:
    return sparse.csr_array(stars)


def factors_of(d: int, n: int = N_COLUMNS) -> npt.NDArray[np.float32]:
    return np.random.default_rng(2).standard_normal((n, d)).astype(np.float32)


def normal_equations(
    stars: npt.NDArray[np.float32], factors: npt.NDArray[np.float32], penalties: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    y, known = factors.astype(np.float64), (stars != 0).astype(np.float64)
    matrices = np.einsum("ri,id,ie->rde", known, y, y) + penalties[:, None, None] * np.eye(y.shape[1])
    return matrices, stars.astype(np.float64) @ y


@pytest.mark.parametrize("d", [1, 4, 40, 100])
def test_solves_the_normal_equations_of_every_row(
    stars: npt.NDArray[np.float32], values: sparse.csr_array, d: int
) -> None:
    penalties = np.linspace(0.5, 2, N_ROWS)
    matrices, vectors = normal_equations(stars, factors_of(d), penalties)
    expected = np.linalg.solve(matrices, vectors[..., None])[..., 0]
    np.testing.assert_allclose(LeastSquares(values).solve(factors_of(d), penalties), expected, atol=1e-4)


def test_weights_and_targets_follow_the_order_of_cells(
    stars: npt.NDArray[np.float32], values: sparse.csr_array
) -> None:
    y = factors_of(4).astype(np.float64)
    confidence = np.where(stars, stars, 0).astype(np.float64)
    matrices = np.einsum("ri,id,ie->rde", confidence, y, y) + np.eye(4)
    expected = np.linalg.solve(matrices, (3 * confidence @ y)[..., None])[..., 0]
    solved = LeastSquares(values).solve(factors_of(4), 1.0, targets=3.0, weights=values.data)
    np.testing.assert_allclose(solved, expected, atol=1e-4)


def test_shared_matrix_is_added_to_every_row(stars: npt.NDArray[np.float32], values: sparse.csr_array) -> None:
    common = np.diag([1.0, 2, 3, 4]) + 0.1
    matrices, vectors = normal_equations(stars, factors_of(4), np.full(N_ROWS, 0.5))
    right = np.array([1.0, -1, 0, 2])
    expected = np.linalg.solve(matrices + common, (vectors + right)[..., None])[..., 0]
    solved = LeastSquares(values).solve(factors_of(4), 0.5, shared=common, right=right)
    np.testing.assert_allclose(solved, expected, atol=1e-4)


def test_empty_row_is_zero_or_the_shared_solution(values: sparse.csr_array) -> None:
    squares, right, penalties = LeastSquares(values), np.array([1.0, -1, 0, 2]), np.ones(N_ROWS)
    penalties[7] = 0
    np.testing.assert_array_equal(squares.solve(factors_of(4), penalties)[7], 0)
    np.testing.assert_allclose(squares.solve(factors_of(4), 2.0, right=right)[7], right / 2)


def test_iterations_converge_to_the_exact_solution(values: sparse.csr_array) -> None:
    squares, given = LeastSquares(values), {"targets": 1.0, "weights": values.data, "shared": np.eye(12) + 0.1}
    exact, near = squares.solve(factors_of(12), 1.0, **given), np.zeros((N_ROWS, 12), np.float32)
    errors = [np.abs(exact).max()]
    for _ in range(40):
        near = squares.solve(factors_of(12), 1.0, **given, start=near)
        errors.append(np.abs(near - exact).max())
    assert errors[1] < errors[0]
    assert errors[-1] < 1e-3
    np.testing.assert_array_equal(near[7], 0)


def test_iteration_does_not_leave_the_solution() -> None:
    squares = LeastSquares(sparse.csr_array(np.float32([[2, 0]])))
    found = squares.solve(np.eye(2, dtype=np.float32), 1.0, start=np.float32([[1, 0]]))
    np.testing.assert_array_equal(found, [[1, 0]])


def test_noise_and_a_start_are_refused_together(values: sparse.csr_array) -> None:
    zeros = np.zeros((N_ROWS, 4), np.float32)
    with pytest.raises(ValueError, match="not both"):
        LeastSquares(values).solve(factors_of(4), 1.0, noise=zeros, start=zeros)


def test_noise_gives_draws_with_mean_and_precision_of_each_row(
    stars: npt.NDArray[np.float32], values: sparse.csr_array
) -> None:
    n_draws, row = 4_000, 3
    matrices, vectors = normal_equations(stars, factors_of(3), np.full(N_ROWS, 2.0))
    squares = LeastSquares(sparse.csr_array(np.repeat(stars[[row]], n_draws, axis=0)))
    noise = np.random.default_rng(5).standard_normal((n_draws, 3))
    drawn = squares.solve(factors_of(3), 2.0, noise=noise)
    covariance = np.linalg.inv(matrices[row])
    scale = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(np.abs(drawn.mean(axis=0) - covariance @ vectors[row]) / scale, 0, atol=0.06)
    np.testing.assert_allclose(np.cov(drawn.T) / np.outer(scale, scale), covariance / np.outer(scale, scale), atol=0.08)


def test_threads_and_block_size_do_not_change_the_solution(
    values: sparse.csr_array, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = LeastSquares(values, n_threads=1).solve(factors_of(8), 1.0)
    np.testing.assert_array_equal(LeastSquares(values, n_threads=3).solve(factors_of(8), 1.0), expected)
    monkeypatch.setattr("cf.models.least_squares._BLOCK_NUMBERS", 1)
    np.testing.assert_allclose(LeastSquares(values).solve(factors_of(8), 1.0), expected, atol=1e-5)


def test_inputs_are_not_changed(values: sparse.csr_array) -> None:
    given: dict[str, Any] = {"targets": values.data.copy(), "weights": values.data.copy(), "right": np.ones(4)}
    before = {name: array.copy() for name, array in given.items()}
    factors = factors_of(4)
    LeastSquares(values).solve(factors, 1.0, **given)
    np.testing.assert_array_equal(factors, factors_of(4))
    for name, array in given.items():
        np.testing.assert_array_equal(array, before[name])


def test_solves_empty_matrices() -> None:
    none = sparse.csr_array((0, N_COLUMNS), dtype=np.float32)
    assert LeastSquares(none).solve(factors_of(4), 1.0, right=np.ones(4)).shape == (0, 4)
    assert LeastSquares(none.T.tocsr()).solve(np.empty((0, 4), np.float32), 1.0).shape == (N_COLUMNS, 4)


def test_singular_equations_raise() -> None:
    one = sparse.csr_array(np.float32([[1, 0]]))
    with pytest.raises(np.linalg.LinAlgError):
        LeastSquares(one).solve(np.zeros((2, 3), np.float32))
