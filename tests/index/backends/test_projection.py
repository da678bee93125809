from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.backends.projection import fit_basis, project
from index.vectors import mean_row, unit_rows
from tests.contracts import films_of, random_features

pytestmark = pytest.mark.heavy


def fit(
    features: npt.NDArray[np.floating], rank: int, *, center: bool = False, seed: int = 0
) -> npt.NDArray[np.float32]:
    films = films_of(features)
    return fit_basis(films, rank, mean_row(films) if center else None, np.random.default_rng(seed))[0]


def assert_orthonormal(basis: npt.NDArray[np.float32]) -> None:
    np.testing.assert_allclose(basis.T.astype(np.float64) @ basis, np.eye(basis.shape[1]), atol=1e-5)


def captured(features: npt.NDArray[np.floating], basis: npt.NDArray[np.floating], mean: object = None) -> float:
    """Return the share of squared lengths that a basis captures."""
    units = unit_rows(features, mean)[0].astype(np.float64)  # type: ignore[arg-type]
    return float(((units @ basis) ** 2).sum() / (units**2).sum())


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_basis_captures_nearly_as_much_as_the_best_one(center: bool, dtype: type[np.floating]) -> None:
    features = random_features(1, 600, 128).astype(dtype)
    mean = mean_row(films_of(features)) if center else None
    best = np.linalg.svd(unit_rows(features, mean)[0].astype(np.float64), full_matrices=False)[2].T
    basis = fit(features, 40, center=center)
    assert_orthonormal(basis)
    for rank in (1, 5, 10, 40):
        # The first columns of a basis are a basis too; sampling and rounding lose little.
        assert captured(features, basis[:, :rank], mean) >= 0.98 * captured(features, best[:, :rank], mean)


@settings(max_examples=40, deadline=None)
@given(
    n_films=st.integers(1, 90),
    n_features=st.integers(1, 90),
    n_directions=st.integers(1, 90),
    rank=st.integers(1, 90),
    scale=st.sampled_from([1e-6, 1.0, 1e4]),
    center=st.booleans(),
    seed=st.integers(0, 99),
)
def test_basis_is_orthonormal_and_of_at_most_the_requested_rank(
    n_films: int, n_features: int, n_directions: int, rank: int, scale: float, center: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n_films, n_directions)) @ rng.standard_normal((n_directions, n_features))
    basis = fit((scale * features).astype(np.float32), rank, center=center, seed=seed)
    assert basis.dtype == np.float32
    assert basis.flags.c_contiguous
    assert 1 <= basis.shape[1] <= min(rank, n_films, n_features)
    assert_orthonormal(basis)
    if not center and n_directions <= rank:
        assert captured((scale * features).astype(np.float32), basis) > 1 - 1e-3


@pytest.mark.parametrize("center", [False, True])
def test_identical_films_have_a_basis(center: bool) -> None:
    basis = fit(np.repeat(random_features(2, 1), 50, axis=0), 20, center=center)
    assert basis.shape[1] >= 1
    assert_orthonormal(basis)


def test_large_catalogs_are_sampled() -> None:
    films = films_of(random_features(3, 300))
    basis, sample = fit_basis(films, 8, None, np.random.default_rng(1), n_sample=100)
    assert len(sample) == len(np.unique(sample)) == 100
    assert (np.diff(sample) > 0).all()
    again, _ = fit_basis(films.take(sample), 8, None, np.random.default_rng(1), n_sample=100)
    np.testing.assert_allclose(captured(films.arrays[0], again), captured(films.arrays[0], basis), rtol=1e-3)


@pytest.mark.parametrize("n_features", [700, 2500])
@pytest.mark.parametrize("n_rows", [0, 1, 4, 5, 40])
def test_few_rows_are_projected_like_many(n_rows: int, n_features: int) -> None:
    features = random_features(4, 40, n_features)
    # Zeros as a ReLU leaves them, and a row without any.
    features[1:, ::3] = 0
    units, basis = unit_rows(features, None)[0], fit(features, 16)
    projected = project(units[:n_rows], basis)
    assert projected.shape == (n_rows, 16)
    np.testing.assert_allclose(projected, units[:n_rows].astype(np.float64) @ basis, atol=1e-6)
