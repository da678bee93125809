"""Factors of users and films from who rated what: the base of most cold-start models."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import svds

from cf.coldstart.base import ColdStartModel, Counts
from cf.coldstart.content import Floats

FloatArray = npt.NDArray[np.float64]


class FactorModel(ColdStartModel):
    r"""Predicts the factors that a truncated singular value decomposition gives to films.

    With :math:`A` the matrix of who rated what, each user's row of length 1, and its singular vectors :math:`U` of
    strengths :math:`e` (the squares of the singular values), film i has the factors
    :math:`q_i = n_i^{-p} U^\top a_i`, and user u prefers it by :math:`U_u \cdot \frac{e}{e + \mu} q_i`. What users
    chose to rate says more of their taste than the stars they gave, so the stars only serve for the mean.

    Parameters
    ----------
    n_factors : int, default 128
        How many factors at most.
    damping : float, default 0.25
        p: 0 leaves the most rated films the most to say, 0.5 none.
    smoothing : float, default 3
        μ of a film's own factors.
    half_support : float, default 50
        λ, in ratings: the number of ratings of a film at which its own factors count as much as predicted ones.
    seed : int, default 0
        Where the search for the singular vectors starts.

    References
    ----------
    .. [1] P. Cremonesi, Y. Koren, R. Turrin, "Performance of recommender algorithms on top-n recommendation tasks",
       RecSys 2010: factors of who rated what by singular vectors.
    """

    user_weights_: Floats
    strengths_: Floats
    loadings_: Floats

    def __init__(
        self,
        n_factors: int = 128,
        damping: float = 0.25,
        smoothing: float = 3.0,
        half_support: float = 50.0,
        seed: int = 0,
    ) -> None:
        self.n_factors = n_factors
        self.damping = damping
        self.smoothing = smoothing
        self.half_support = half_support
        self.seed = seed

    def _factorize(self, values: sparse.csr_array) -> tuple[FloatArray, Counts]:
        """Learn the users' factors; return the films' own, damped but not smoothed, and their numbers of ratings."""
        users = chosen(values)
        n_of_user = np.diff(values.indptr)
        self.user_weights_ = np.where(n_of_user > 0, 1 / np.sqrt(np.maximum(n_of_user, 1)), 0).astype(np.float32)
        self.user_factors_, self.strengths_ = _singular(users, self.n_factors, self.seed)
        self.loadings_ = np.asarray(users.T @ self.user_factors_, np.float32)
        n_ratings = np.bincount(values.indices, minlength=values.shape[1])
        return (self.loadings_ * damped(n_ratings, self.damping)).astype(np.float64), n_ratings

    def _own(self, values: sparse.csr_array, n_ratings: Counts) -> npt.NDArray[Any]:
        return self._smooth(self._loadings(values) * damped(n_ratings, self.damping), self.smoothing)

    def _loadings(self, values: sparse.csr_array) -> Floats:
        """Project films on the users' factors; a user counts by the ratings of the fit, however few are given here."""
        marks = sparse.csr_array((np.ones_like(values.data), values.indices, values.indptr), shape=values.shape)
        return np.asarray(marks.T @ (self.user_weights_[:, None] * self.user_factors_), np.float32)

    def _smooth(self, factors: npt.NDArray[Any], smoothing: float) -> npt.NDArray[Any]:
        return np.asarray(factors * (self.strengths_ / np.maximum(self.strengths_ + smoothing, 1e-9)))


def chosen(values: sparse.csr_array) -> sparse.csr_array:
    """Mark who rated what, each user's row of length 1."""
    n_of_user = np.diff(values.indptr)
    data = 1 / np.sqrt(np.repeat(n_of_user, n_of_user))
    return sparse.csr_array((data.astype(np.float32), values.indices, values.indptr), shape=values.shape)


def damped(n_ratings: npt.NDArray[Any], damping: float) -> npt.NDArray[Any]:
    """Return what the factors of films are multiplied by, (n, 1): n_ratings to the power of -damping."""
    return np.asarray(np.maximum(n_ratings, 1.0)[:, None] ** -damping)


def _singular(users: sparse.csr_array, n_factors: int, seed: int) -> tuple[Floats, Floats]:
    most = min(n_factors, min(users.shape) - 1)
    if most < 1 or not users.nnz:
        return np.zeros((users.shape[0], 1), np.float32), np.zeros(1, np.float32)
    start = np.random.default_rng(seed).standard_normal(min(users.shape))
    vectors, singular, _ = svds(users.astype(np.float64), most, v0=start)
    return vectors[:, ::-1].astype(np.float32), np.square(singular[::-1]).astype(np.float32)
