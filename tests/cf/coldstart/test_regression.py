from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from cf.coldstart.regression import Ridge


def example(n_rows: int) -> tuple[npt.NDArray[np.float64], ...]:
    rng = np.random.default_rng(n_rows)
    return rng.normal(size=(n_rows, 8)), rng.uniform(0.1, 1, n_rows), rng.normal(size=(n_rows, 3))


@pytest.mark.parametrize("n_rows", [0, 1, 5, 8, 20])
def test_few_rows_and_many_give_the_ridge_regression_of_its_formula(n_rows: int) -> None:
    rows, weights, targets = example(n_rows)
    weights[1:2] = 0
    ridge = Ridge.of_rows(rows, weights)
    for penalty in (0.5, 20.0):
        inverse = np.linalg.inv((rows.T * weights) @ rows + penalty * np.eye(8))
        np.testing.assert_allclose(
            ridge.coefficients(targets, penalty), inverse @ (rows.T * weights) @ targets, atol=1e-9
        )
        hat = (rows * weights[:, None]) @ inverse @ rows.T
        np.testing.assert_allclose(ridge.leverages(penalty), np.diag(hat), atol=1e-9)


@pytest.mark.parametrize("n_rows", [0, 1, 5, 8, 20])
def test_the_linear_kernel_predicts_as_the_rows_do(n_rows: int) -> None:
    rows, weights, targets = example(n_rows)
    linear, kernel = Ridge.of_rows(rows, weights), Ridge.of_kernel(rows @ rows.T, weights)
    others = np.random.default_rng(1).normal(size=(4, 8))
    np.testing.assert_allclose(
        others @ rows.T @ kernel.coefficients(targets, 0.5), others @ linear.coefficients(targets, 0.5), atol=1e-9
    )
    np.testing.assert_allclose(kernel.leverages(0.5), linear.leverages(0.5), atol=1e-9)


@pytest.mark.parametrize("n_rows", [2, 5, 20])
def test_left_out_rows_are_predicted_as_by_regressions_without_them(n_rows: int) -> None:
    rows, weights, targets = example(n_rows)
    for left_out, penalty in zip(Ridge.of_rows(rows, weights).left_out(targets, (0.5, 20.0)), (0.5, 20.0), strict=True):
        for row in range(n_rows):
            others = np.arange(n_rows) != row
            without = Ridge.of_rows(rows[others], weights[others]).coefficients(targets[others], penalty)
            np.testing.assert_allclose(left_out[row], rows[row] @ without, atol=1e-9)
