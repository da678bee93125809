"""What is recommended to somebody of whom nothing is known: the films that people like best, or watch most."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from cf.base import Recommender, Rows, Scores


class DampedMean(Recommender):
    r"""Recommends the films of the highest mean rating, damped where few users rated.

    .. math:: (\sum_u r_{ui} + \lambda \mu) / (n_i + \lambda)

    Parameters
    ----------
    damping : float, default 25
        λ, in ratings: so many ratings of the overall mean μ are added to every film's own.
    """

    name = "damped-mean"
    is_personal = False
    _learns = ("film_scores_",)

    def __init__(self, damping: float = 25.0) -> None:
        self.damping = damping
        self.film_scores_: npt.NDArray[np.float32]

    def _fit(self, values: sparse.csr_array) -> None:
        n_films = values.shape[1]
        totals = np.bincount(values.indices, weights=values.data, minlength=n_films)
        n_ratings = np.bincount(values.indices, minlength=n_films)
        mean = values.data.mean() if len(values.data) else 0.0
        self.film_scores_ = ((totals + self.damping * mean) / np.maximum(n_ratings + self.damping, 1e-9)).astype(
            np.float32
        )

    def _score(self, users: Rows) -> Scores:
        return np.tile(self.film_scores_, (len(users), 1))

    def _score_new(self, values: sparse.csr_array) -> Scores:
        return np.tile(self.film_scores_, (values.shape[0], 1))


class MostRated(Recommender):
    """Recommends the films that most users rated, whatever they thought of them."""

    name = "most-rated"
    is_personal = False
    predicts_stars = False
    _learns = ("n_ratings_",)

    def __init__(self) -> None:
        self.n_ratings_: npt.NDArray[np.float32]

    def _fit(self, values: sparse.csr_array) -> None:
        self.n_ratings_ = np.bincount(values.indices, minlength=values.shape[1]).astype(np.float32)

    def _score(self, users: Rows) -> Scores:
        return np.tile(self.n_ratings_, (len(users), 1))

    def _score_new(self, values: sparse.csr_array) -> Scores:
        return np.tile(self.n_ratings_, (values.shape[0], 1))
