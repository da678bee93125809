"""What is known of a rating before any taste comes in: the overall mean, how generous the user is, how liked the film.

Other models learn what is left over; a pair that they do not know falls back on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from cf.base import Recommender, Rows, Scores

FloatArray = npt.NDArray[np.float32]
# A sweep's change falls to a few thousandths of a star well before these are used up.
_N_SWEEPS = 10
_NO_MEAN = 3.5


@dataclass(frozen=True)
class Biases:
    """The overall mean, and how far users and films lie off it.

    Parameters
    ----------
    mean : float
        In stars.
    users : ndarray of shape (n_users,), float32
        In stars; 0 for a user without ratings.
    films : ndarray of shape (n_films,), float32
        In stars; 0 for a film without ratings.
    """

    mean: float
    users: FloatArray
    films: FloatArray

    def of(self, users: Rows, films: Rows) -> FloatArray:
        """Add the three up, pair by pair."""
        return np.asarray(self.mean + self.users[users] + self.films[films], np.float32)

    def residuals(self, values: sparse.csr_array) -> sparse.csr_array:
        """Take them off ratings."""
        data = values.data - self.of(_users_of(values), values.indices)
        return sparse.csr_array((data, values.indices, values.indptr), shape=values.shape)

    def of_new_users(self, values: sparse.csr_array, damping: float = 5.0) -> FloatArray:
        """Estimate how generous somebody new is, the films' biases being known."""
        left = values.data - self.mean - self.films[values.indices]
        return _damped_means(left, _users_of(values), values.shape[0], damping)


def fit_biases(
    values: sparse.csr_array,
    user_damping: float = 5.0,
    film_damping: float = 5.0,
    film_means: FloatArray | None = None,
) -> Biases:
    r"""Fit the biases of users and films by turns.

    Each is the damped mean of what the others leave, :math:`b_u = \sum_i (r_{ui} - \mu - b_i) / (n_u + \lambda)`,
    which is what regularized least squares gives.


    References
    ----------
    .. [1] Y. Koren, "Factor in the neighbors", ACM TKDD 4(1), 2010, section 2.1.
    """
    n_users, n_films = values.shape
    users, films = _users_of(values), values.indices
    mean = float(values.data.mean()) if len(values.data) else _NO_MEAN
    centered = values.data - np.float32(mean)
    of_users, of_films = np.zeros(n_users, np.float32), np.zeros(n_films, np.float32)
    for _ in range(_N_SWEEPS):
        of_films = _damped_means(centered - of_users[users], films, n_films, film_damping, film_means)
        of_users = _damped_means(centered - of_films[films], users, n_users, user_damping)
    return Biases(mean, of_users, of_films)


class Baseline(Recommender):
    """Predicts the mean, corrected by how generous the user is and how liked the film.

    Parameters
    ----------
    user_damping, film_damping : float, default 5
        In ratings; see `fit_biases`.
    """

    name = "baseline"
    is_personal = False
    _learns = ("mean_", "user_biases_", "film_biases_")

    def __init__(self, user_damping: float = 5.0, film_damping: float = 5.0) -> None:
        self.user_damping = user_damping
        self.film_damping = film_damping
        self.mean_: FloatArray
        self.user_biases_: FloatArray
        self.film_biases_: FloatArray

    def _fit(self, values: sparse.csr_array) -> None:
        biases = fit_biases(values, self.user_damping, self.film_damping)
        self.mean_ = np.array([biases.mean], np.float32)
        self.user_biases_, self.film_biases_ = biases.users, biases.films

    @property
    def biases_(self) -> Biases:
        """What was learned."""
        return Biases(float(self.mean_[0]), self.user_biases_, self.film_biases_)

    def _predict(self, users: Rows, films: Rows) -> Scores:
        return self.biases_.of(users, films)

    def _score(self, users: Rows) -> Scores:
        return self.mean_ + self.user_biases_[users][:, None] + self.film_biases_

    def _score_new(self, values: sparse.csr_array) -> Scores:
        return self.mean_ + self.biases_.of_new_users(values, self.user_damping)[:, None] + self.film_biases_


def _users_of(values: sparse.csr_array) -> Rows:
    return np.repeat(np.arange(values.shape[0]), np.diff(values.indptr))


def _damped_means(
    values: Scores, groups: Rows, n_groups: int, damping: float, means: FloatArray | None = None
) -> FloatArray:
    totals = np.bincount(groups, weights=values, minlength=n_groups)
    if means is not None:
        totals = totals + damping * means
    counts = np.bincount(groups, minlength=n_groups)
    return np.asarray(totals / np.maximum(counts + damping, 1e-9), np.float32)
