"""EASE: a linear autoencoder that is fitted in one step, by inverting one matrix of films × films."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import psutil
from scipy import linalg, sparse

from catalog.errors import ConfigError
from cf.base import Recommender, Rows, Scores, cosine_similarities

FloatArray = npt.NDArray[np.float64]
FloatMatrix = npt.NDArray[np.float32]
BYTES_OF_A_PAIR = 13
"""While fitting, of each pair of films: an inverse in float64, the same in float32, and blocks of sparse products."""
# With fewer users than this share of the films, a matrix of users × users is inverted in place of one of films × films.
_SHARE_OF_FEW_USERS = 0.4
# Bounds memory, and does not change the result.
_FILMS_AT_ONCE = 256
# The size of an inversion that is timed: it takes some hundredths of a second.
_TIMED_FILMS = 1000
_UNDETERMINED = "the ratings do not determine a solution; set regularization above 0"


class EASE(Recommender):
    r"""Recommends what goes with what a user has seen; every rating counts as a yes, whatever its stars.

    With X the users × films that are 1 where there is a rating, D the users' weights and S the films' scales,

    .. math:: \min_B \lVert D^{1/2} (X S - X S B) \rVert^2 + \lambda \lVert B \rVert^2, \quad B_{jj} \le \xi

    has the solution :math:`B = I - P \, \mathrm{diag}(\gamma)`, where
    :math:`P = (S X^\top D X S + \lambda I)^{-1}`, and :math:`\gamma_j = \lambda` where this leaves
    :math:`B_{jj} = 1 - \lambda P_{jj}` within its bound, else :math:`\gamma_j = (1 - \xi) / P_{jj}`. Steck's EASE is
    the case of a diagonal of 0 and of equal weights and scales. To relax the diagonal, to weigh users of many ratings
    down, and films that everybody sees, each ranks better.

    Memory is up to 13 bytes for each pair of films while fitting, 4 afterwards; time grows with the cube of the films,
    or, where users are fewer, with their number times the square of the films.
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
        n_users, n_films = values.shape
        self._check_memory(n_films)
        chosen = choices(values)
        scales = self._film_scales(chosen)
        scaled = chosen.astype(np.float64).multiply(scales)
        rows = sparse.csr_array(scaled.multiply(np.sqrt(self._user_weights(chosen))[:, None]))
        invert = _invert_by_users if _has_few_users(n_users, n_films) else _invert_by_films
        weights, diagonal = invert(rows, self.regularization)
        gammas = self._gammas(diagonal)
        weights *= (-gammas / scales).astype(np.float32)
        weights *= scales.astype(np.float32)[:, None]
        np.fill_diagonal(weights, 1 - gammas * diagonal)
        # Of a film that nobody chose nothing is known; its column would be 0.
        weights[:, np.bincount(chosen.indices, minlength=n_films) == 0] = np.nan
        self.weights_ = weights

    def expected_fit_s(self, n_users: int, n_films: int) -> float | None:
        """Estimate how many seconds `fit` takes, by the number of operations and a small inversion that is timed."""
        if _has_few_users(n_users, n_films):
            # Products in float32 take half the time of an inversion of as many operations.
            return n_users * n_films * (n_films + n_users) / 2 / _operations_per_s()
        return n_films**3 / _operations_per_s()

    def _score(self, users: Rows) -> Scores:
        return self._score_new(self.seen_[users])

    def _score_new(self, values: sparse.csr_array) -> Scores:
        scores = np.asarray(choices(values) @ self.weights_, np.float32)
        scores[np.diff(values.indptr) == 0] = np.nan
        return scores

    def _contributions(self, values: sparse.csr_array, films: Rows) -> Scores:
        return np.asarray(self.weights_[np.ix_(values.indices, films)])

    def _similarities(self, films: Rows) -> Scores:
        # Films are alike if they speak for the same films.
        return cosine_similarities(np.nan_to_num(self.weights_), films)

    def _check_memory(self, n_films: int) -> None:
        needed_bytes, free_bytes = BYTES_OF_A_PAIR * n_films**2, psutil.virtual_memory().available
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


def _has_few_users(n_users: int, n_films: int) -> bool:
    return 0 < n_users < _SHARE_OF_FEW_USERS * n_films


def _operations_per_s() -> float:
    matrix = np.eye(_TIMED_FILMS) + 1
    times = []
    for _ in range(3):
        started = time.perf_counter()
        linalg.lapack.dpotri(linalg.lapack.dpotrf(matrix)[0])
        times.append(time.perf_counter() - started)
    return float(_TIMED_FILMS**3 / np.median(times))


def _invert_by_films(rows: sparse.csr_array, regularization: float) -> tuple[FloatMatrix, FloatArray]:
    """Invert YᵀY + λI, for the sparse rows Y, and return the inverse with its diagonal before rounding."""
    gram = _gram(rows)
    gram[np.diag_indices_from(gram)] += regularization
    # By Cholesky: half the work of a general inverse, and exactly symmetric. The transpose of a symmetric matrix, the
    # same numbers, stands in memory as LAPACK wants it, which therefore copies nothing.
    factor, where_not = linalg.lapack.dpotrf(gram.T, lower=False, clean=False, overwrite_a=True)
    if where_not:
        raise ConfigError(_UNDETERMINED)
    inverse = linalg.lapack.dpotri(factor, lower=False, overwrite_c=True)[0].T
    diagonal = inverse.diagonal().copy()
    rounded = np.empty(inverse.shape, np.float32)
    np.copyto(rounded, inverse, casting="same_kind")
    _mirror_lower_triangle(rounded)
    return rounded, diagonal


def _invert_by_users(rows: sparse.csr_array, regularization: float) -> tuple[FloatMatrix, FloatArray]:
    r"""Invert YᵀY + λI by the smaller YYᵀ + λI: the inverse is :math:`(I - Z^\top Z) / \lambda`, where Z is Y solved.

    With :math:`L L^\top = Y Y^\top + \lambda I`, :math:`Z = L^{-1} Y` (Woodbury).
    """
    if not regularization:
        # Fewer users than films never determine a solution alone.
        raise ConfigError(_UNDETERMINED)
    small = (rows @ rows.T).toarray()
    small[np.diag_indices_from(small)] += regularization
    factor, where_not = linalg.lapack.dpotrf(small.T, lower=True, overwrite_a=True)
    if where_not:
        raise ConfigError(_UNDETERMINED)
    solved = linalg.solve_triangular(factor, rows.toarray(order="F"), lower=True, overwrite_b=True, check_finite=False)
    solved /= np.sqrt(regularization)
    diagonal = 1 / regularization - np.square(solved).sum(axis=0)
    if diagonal.min() <= 0:
        # So little regularization is lost in rounding.
        raise ConfigError(_UNDETERMINED)
    rounded = solved.astype(np.float32)
    inverse = -rounded.T @ rounded
    np.fill_diagonal(inverse, diagonal)
    return inverse, diagonal


def _gram(rows: sparse.csr_array) -> FloatArray:
    """Multiply YᵀY, block by block, since the whole product is as large when sparse as when dense."""
    films = rows.T.tocsr()
    n_films = films.shape[0]
    gram = np.empty((n_films, n_films))
    for start in range(0, n_films, _FILMS_AT_ONCE):
        block = slice(start, start + _FILMS_AT_ONCE)
        (films[block] @ rows).toarray(out=gram[block])
    return gram


def _mirror_lower_triangle(matrix: FloatMatrix) -> None:
    for row in range(len(matrix)):
        matrix[row, row + 1 :] = matrix[row + 1 :, row]
