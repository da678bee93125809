"""Matrix factorization with biases by stochastic gradient descent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from cf.base import Recommender, Rows, Scores, cosine_similarities
from cf.models.least_squares import LeastSquares

FloatArray = npt.NDArray[np.float32]
# Of a batch of many ratings of one row, the sum of the steps would overshoot; it stays below 2 by this margin, where
# descent on a square of curvature 1 begins to diverge.
_LARGEST_STEP = 0.5
# Factors start as noise of this deviation: small beside a star, but not 0, from where they would not move.
_START = 0.03


class SGD(Recommender):
    r"""Factorizes ratings into biases and factors of users and films, all learned together.

    .. math:: \min \sum_{(u, i)} (r_{ui} - \mu - b_u - c_i - x_u \cdot y_i)^2
              + \lambda (b_u^2 + c_i^2 + |x_u|^2 + |y_i|^2)

    Ratings come in random order, a batch at a time; each adds its step to its user and its film. The step shrinks
    evenly to 0 over the epochs, so that the end does not depend on which ratings came last. Whoever has very many
    ratings in a batch takes no more than half a step of their mean.

    Parameters
    ----------
    n_factors : int, default 50
        The length of x and y.
    n_epochs : int, default 40
        How often each rating is seen.
    learning_rate : float, default 0.02
        The first epoch's step, for each rating: a film takes the sum of the steps of its ratings in the batch, so that
        larger batches want no other rate.
    regularization : float, default 0.08
        λ.
    batch_size : int, default 1000
        Ratings in a batch.
    seed : int, default 0
        Draws the first factors and the order.

    References
    ----------
    .. [1] Y. Koren, R. Bell, C. Volinsky, "Matrix factorization techniques for recommender systems", Computer 42(8),
       2009.
    """

    name = "sgd"
    _learns = ("mean_", "users_", "films_")

    def __init__(
        self,
        n_factors: int = 50,
        n_epochs: int = 40,
        learning_rate: float = 0.02,
        regularization: float = 0.08,
        batch_size: int = 1000,
        seed: int = 0,
    ) -> None:
        self.n_factors = n_factors
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.regularization = regularization
        self.batch_size = batch_size
        self.seed = seed
        self.mean_: FloatArray
        #: A row a user or a film: its factors, then its bias.
        self.users_: FloatArray
        self.films_: FloatArray

    def _fit(self, values: sparse.csr_array) -> None:
        rng = np.random.default_rng(self.seed)
        mean = values.data.mean() if len(values.data) else 0.0
        self.mean_ = np.array([mean], np.float32)
        self.users_, self.films_ = (self._start(rng, n) for n in values.shape)
        users = np.repeat(np.arange(values.shape[0]), np.diff(values.indptr))
        for epoch in range(self.n_epochs):
            step = np.float32(self.learning_rate * (1 - epoch / self.n_epochs))
            order = rng.permutation(values.nnz)
            for start in range(0, values.nnz, self.batch_size):
                batch = order[start : start + self.batch_size]
                self._descend(users[batch], values.indices[batch], values.data[batch], step)
        # Nothing is known of a film that nobody rated; its noise must not look like taste.
        self.films_[np.bincount(values.indices, minlength=values.shape[1]) == 0] = 0

    def _start(self, rng: np.random.Generator, n_rows: int) -> FloatArray:
        rows = rng.normal(0, _START, (n_rows, self.n_factors + 1)).astype(np.float32)
        rows[:, -1] = 0
        return rows

    def _descend(self, users: Rows, films: Rows, stars: FloatArray, step: np.float32) -> None:
        of_users, of_films = self.users_[users], self.films_[films]
        errors = (stars - self.mean_ - _products(of_users, of_films))[:, None]
        shrink = np.float32(self.regularization)
        # The derivative by a bias is the error alone, as if the other side's factor were 1.
        _descend_rows(self.users_, users, errors * _with_ones(of_films) - shrink * of_users, step)
        _descend_rows(self.films_, films, errors * _with_ones(of_users) - shrink * of_films, step)

    def _predict(self, users: Rows, films: Rows) -> Scores:
        return np.asarray(self.mean_ + _products(self.users_[users], self.films_[films]), np.float32)

    def _score(self, users: Rows) -> Scores:
        return self._scored(self.users_[users])

    def _score_new(self, values: sparse.csr_array) -> Scores:
        # With the films as they are, the minimum is a least-squares problem of each user by itself.
        targets = values.data - self.mean_ - self.films_[values.indices, -1]
        penalties = self.regularization * np.maximum(np.diff(values.indptr), 1)
        return self._scored(LeastSquares(values).solve(_with_ones(self.films_), penalties, targets=targets))

    def _scored(self, of_users: FloatArray) -> Scores:
        factors = of_users[:, :-1] @ self.films_[:, :-1].T
        return np.asarray(self.mean_ + factors + of_users[:, -1:] + self.films_[:, -1], np.float32)

    def _similarities(self, films: Rows) -> Scores:
        return cosine_similarities(self.films_[:, :-1], films)


def _products(of_users: FloatArray, of_films: FloatArray) -> FloatArray:
    factors = np.einsum("nd,nd->n", of_users[:, :-1], of_films[:, :-1])
    return np.asarray(factors + of_users[:, -1] + of_films[:, -1], np.float32)


def _with_ones(rows: FloatArray) -> FloatArray:
    """Put 1 in the place of the bias."""
    changed = rows.copy()
    changed[:, -1] = 1
    return changed


def _descend_rows(table: FloatArray, rows: Rows, slopes: FloatArray, step: np.float32) -> None:
    """Move rows of a table along their slopes; those of the same row are summed, which indexing would not do."""
    touched, places, n_slopes = np.unique(rows, return_inverse=True, return_counts=True)
    starts = np.arange(len(rows) + 1)
    gather = sparse.csc_array((np.ones(len(rows), np.float32), places, starts), shape=(len(touched), len(rows)))
    steps = np.minimum(step, _LARGEST_STEP / n_slopes).astype(np.float32)
    table[touched] += steps[:, None] * (gather @ slopes)
