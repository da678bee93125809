"""EASE: a linear autoencoder that is fitted in one step, by inverting one matrix of films × films."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import psutil
from scipy import linalg, sparse

from catalog.errors import ConfigError
from cf.base import Recommender, Rows, Scores, cosine_similarities

FloatArray = npt.NDArray[np.float64]
# While fitting, of each pair of films: a sparse product, float64 with its index, and the same once more, dense.
_BYTES_OF_A_PAIR = 21


class EASE(Recommender):
    r"""Recommends what goes with what a user has seen; every rating counts as a yes, whatever its stars.

    With X the users × films that are 1 where there is a rating, D the users' weights and S the films' scales,

    .. math:: \min_B \lVert D^{1/2} (X S - X S B) \rVert^2 + \lambda \lVert B \rVert^2, \quad B_{jj} \le \xi

    has the solution :math:`B = I - P \, \mathrm{diag}(\gamma)`, where
    :math:`P = (S X^\top D X S + \lambda I)^{-1}`, and :math:`\gamma_j = \lambda` where this leaves
    :math:`B_{jj} = 1 - \lambda P_{jj}` within its bound, else :math:`\gamma_j = (1 - \xi) / P_{jj}`. Steck's EASE is
    the case of a diagonal of 0 and of equal weights and scales. To relax the diagonal, to weigh users of many ratings
    down, and films that everybody sees, each ranks better.

    Memory is up to 21 bytes for each pair of films while fitting, 4 afterwards; time grows with the cube of the films.
    Where there is not so much memory, `fit` refuses.

    Parameters
    ----------
    regularization : float, default 400
        λ, in ratings of mean weight; above 0.
    popularity_exponent : float, default 0.2
        A film of n ratings is scaled by n to the power of minus this; 0 scales none.
    activity_exponent : float, default 0.6
        A user of n ratings is weighed by n to the power of minus this; 0 weighs all alike.
    largest_diagonal : float, default 0.3
        ξ: how far a film may speak for itself, from 0, not at all, to 1, as far as it likes.

    References
    ----------
    .. [1] H. Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019, equation 8.
    .. [2] J. Moon, H. Kim, J. Lee, "It's enough: relaxing diagonal constraints in linear autoencoders for
       recommendation", SIGIR 2023 (ξ).
    """

    name = "ease"
    predicts_stars = False
    _learns = ("weights_",)

    def __init__(
        self,
        regularization: float = 400.0,
        popularity_exponent: float = 0.2,
        activity_exponent: float = 0.6,
        largest_diagonal: float = 0.3,
    ) -> None:
        self.regularization = regularization
        self.popularity_exponent = popularity_exponent
        self.activity_exponent = activity_exponent
        self.largest_diagonal = largest_diagonal
        self.weights_: npt.NDArray[np.float32]

    def _fit(self, values: sparse.csr_array) -> None:
        self._check_memory(values.shape[1])
        chosen = choices(values)
        scales = self._film_scales(chosen)
        scaled = sparse.csr_array(chosen.multiply(scales))
        gram = (
            (scaled.T @ scaled.multiply(self._user_weights(chosen)[:, None])).toarray().astype(np.float64, copy=False)
        )
        gram[np.diag_indices_from(gram)] += self.regularization
        # Columns of P times gamma; what stands in B besides is the identity and the films' scales.
        weights = _inverse(gram)
        weights *= -self._gammas(np.diag(weights)) / scales
        weights *= scales[:, None]
        weights[np.diag_indices_from(weights)] += 1
        # Of a film that nobody chose nothing is known; its column would be 0.
        weights[:, chosen.sum(axis=0) == 0] = np.nan
        # By rows, or every question would have SciPy turn the whole matrix first.
        self.weights_ = weights.astype(np.float32, order="C")

    def _score(self, users: Rows) -> Scores:
        return self._score_new(self.seen_[users])

    def _score_new(self, values: sparse.csr_array) -> Scores:
        scores = np.asarray(choices(values) @ self.weights_, np.float32)
        scores[np.diff(values.indptr) == 0] = np.nan
        return scores

    def _similarities(self, films: Rows) -> Scores:
        # Films are alike if they speak for the same films.
        return cosine_similarities(np.nan_to_num(self.weights_), films)

    def _check_memory(self, n_films: int) -> None:
        needed_bytes, free_bytes = _BYTES_OF_A_PAIR * n_films**2, psutil.virtual_memory().available
        if needed_bytes > free_bytes:
            raise ConfigError(
                f"{self.name} compares all films with all: {n_films:,} films need {needed_bytes / 1e9:,.1f} GB of "
                f"memory, and {free_bytes / 1e9:,.1f} GB are free; name another model, such as implicit-als, whose "
                "memory grows with the films and not with their square"
            )

    def _gammas(self, diagonal: FloatArray) -> FloatArray:
        within = 1 - self.regularization * diagonal <= self.largest_diagonal
        return np.asarray(np.where(within, self.regularization, (1 - self.largest_diagonal) / diagonal))

    def _user_weights(self, chosen: sparse.csr_array) -> FloatArray:
        n_of_user = np.diff(chosen.indptr)
        weights = np.maximum(n_of_user, 1.0) ** -self.activity_exponent
        return np.asarray(weights / _mean_over_ratings(weights, n_of_user))

    def _film_scales(self, chosen: sparse.csr_array) -> FloatArray:
        n_of_film = np.bincount(chosen.indices, minlength=chosen.shape[1])
        scales = np.maximum(n_of_film, 1.0) ** -self.popularity_exponent
        return np.asarray(scales / np.sqrt(_mean_over_ratings(scales**2, n_of_film)))


def choices(values: sparse.csr_array) -> sparse.csr_array:
    """Mark what somebody has rated."""
    return sparse.csr_array((np.ones(len(values.data), np.float32), values.indices, values.indptr), shape=values.shape)


def _mean_over_ratings(numbers: FloatArray, n_ratings: npt.NDArray[np.integer]) -> float:
    return float(np.average(numbers, weights=n_ratings)) if n_ratings.any() else 1.0


def _inverse(matrix: FloatArray) -> FloatArray:
    """Invert a symmetric, positive definite matrix, in its own place."""
    if not len(matrix):
        return matrix
    # By Cholesky: half the work of a general inverse, and exactly symmetric. Its transpose, the same numbers, stands in
    # memory as LAPACK wants it, which therefore copies nothing.
    factor, where_not = linalg.lapack.dpotrf(matrix.T, lower=False, overwrite_a=True)
    if where_not:
        raise ConfigError("the ratings do not determine a solution; set regularization above 0")
    inverse, _ = linalg.lapack.dpotri(factor, lower=False, overwrite_c=True)
    for row in range(len(inverse)):
        inverse[row + 1 :, row] = inverse[row, row + 1 :]
    return np.asarray(inverse)
