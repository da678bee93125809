"""Bayesian matrix factorization: not one set of factors but many, drawn from the posterior, and their mean prediction.

The draws make up for what a single best set of factors overfits, and the penalties are learned, not chosen. What users
and films are like before their stars are read comes from who rated what.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from cf.base import BLOCK_CELLS, Recommender, Rows, Scores, cosine_similarities
from cf.models.least_squares import LeastSquares, single_threaded_blas

FloatArray = npt.NDArray[np.float32]
Rng = np.random.Generator
# The hyperprior: a mean worth so many rows, and a precision about 1 worth as many rows as there are factors.
_MEAN_WORTH = 2.0
_START = 0.1
# What the others tell of one user's noise is worth so many ratings of their own.
_NOISE_WORTH = 10.0
# Half stars are rounded, by a variance of 0.5² / 12: no user is steadier than that.
_MOST_PRECISE = 48.0
# The randomized SVD looks at a few directions more than are kept, and again and again.
_MORE_DIRECTIONS, _N_PASSES = 10, 4


class BPMF(Recommender):
    r"""Predicts the mean over draws of factors and biases from their posterior.

    .. math:: r_{ui} \sim N(\mu + b_u + c_i + p_u \cdot q_i,\ \alpha_u^{-1}), \qquad
              (p_u, b_u) \sim N(m + B^\top f_u,\ \Lambda^{-1})

    and for (q, c) of the films alike. f are the leading principal directions of who rated what, each row divided by
    the square root of its number of ratings: what SVD++ goes by, but for users and films both, and in 100 columns
    instead of one for each film. Some users are steadier than others, so that each has an α, drawn about a common one.
    A Gibbs sampler draws everything by turns: α, m, Λ, B, then all users at once, then all films at once. Users and
    films each keep ``n_draws * (n_factors + 2)`` float32 numbers, 7 kB by default.

    Parameters
    ----------
    n_factors : int, default 16
        The length of p and q.
    n_implicit : int, default 100
        The length of f; 0 leaves out who rated what.
    n_draws : int, default 100
        How many draws are kept. Fewer take less memory and predict somewhat worse.
    burn_in : int, default 20
        How many draws before these are dropped, as they still remember the start.
    seed : int, default 0
        Which draws.

    References
    ----------
    .. [1] R. Salakhutdinov, A. Mnih, "Bayesian probabilistic matrix factorization using Markov chain Monte Carlo",
       ICML 2008.
    .. [2] J. Simm et al., "Macau: scalable Bayesian factorization with high-dimensional side information using MCMC",
       MLSP 2017 (B).
    .. [3] Y. Koren, "Factorization meets the neighborhood", KDD 2008 (who rated what: SVD++).
    """

    name = "bayesian"
    _learns = (
        "mean_",
        "user_draws_",
        "film_draws_",
        "noise_precisions_",
        "prior_means_",
        "prior_precisions_",
        "links_",
        "directions_",
    )

    def __init__(
        self, n_factors: int = 16, n_implicit: int = 100, n_draws: int = 100, burn_in: int = 20, seed: int = 0
    ) -> None:
        self.n_factors = n_factors
        self.n_implicit = n_implicit
        self.n_draws = n_draws
        self.burn_in = burn_in
        self.seed = seed
        self.mean_: FloatArray
        #: Of each draw a row of factors, bias, 1 for a user, and of factors, 1, bias for a film: (n, n_draws, d + 2).
        self.user_draws_: FloatArray
        self.film_draws_: FloatArray
        #: What somebody new is drawn from, for each draw: the common α, and the users' m, Λ and B; f is who rated what,
        #: brought onto the directions.
        self.noise_precisions_: FloatArray
        self.prior_means_: FloatArray
        self.prior_precisions_: FloatArray
        self.links_: FloatArray
        self.directions_: FloatArray

    def _fit(self, values: sparse.csr_array) -> None:
        with single_threaded_blas():
            self._sample(values)

    def _sample(self, values: sparse.csr_array) -> None:
        rng = np.random.default_rng(self.seed)
        self.mean_ = np.array([values.data.mean() if values.nnz else 0.0], np.float32)
        users = _Side(values, self.n_factors, self.n_implicit, rng)
        films = _Side(values.T.tocsr(), self.n_factors, self.n_implicit, rng)
        self.directions_ = users.directions
        self._allocate(values.shape)
        rows = np.repeat(np.arange(values.shape[0]), np.diff(values.indptr))
        noise = _Noise(np.diff(values.indptr), rng)
        for draw in range(-self.burn_in, self.n_draws if values.nnz else -self.burn_in):
            left = values.data - self.mean_ - _products(users.factors, films.factors, rows, values.indices)
            squares = np.bincount(rows, weights=np.square(left, dtype=np.float64), minlength=values.shape[0])
            noise.draw(np.asarray(squares, np.float64))
            users.draw(films.factors, self.mean_, noise.of_users[rows])
            films.draw(users.factors, self.mean_, noise.of_users[films.values.indices])
            if draw >= 0:
                self._keep(draw, users, films, noise.precision)

    def _allocate(self, shape: tuple[int, int]) -> None:
        d = self.n_factors + 1
        self.user_draws_, self.film_draws_ = (np.zeros((n, self.n_draws, d + 1), np.float32) for n in shape)
        self.noise_precisions_ = np.zeros(self.n_draws, np.float32)
        self.prior_means_ = np.zeros((self.n_draws, d), np.float32)
        self.prior_precisions_ = np.zeros((self.n_draws, d, d), np.float32)
        self.links_ = np.zeros((self.n_draws, self.directions_.shape[1], d), np.float32)

    def _keep(self, draw: int, users: _Side, films: _Side, precision: float) -> None:
        self.user_draws_[:, draw, :-1], self.user_draws_[:, draw, -1] = users.factors, 1
        self.film_draws_[:, draw] = np.insert(films.factors, -1, 1, axis=1)
        self.noise_precisions_[draw] = precision
        self.prior_means_[draw], self.prior_precisions_[draw] = users.prior.mean, users.prior.precision
        self.links_[draw] = users.link

    def _predict(self, users: Rows, films: Rows) -> Scores:
        predicted = np.empty(len(users), np.float32)
        width = self.n_draws * (self.n_factors + 2)
        size = max(1, BLOCK_CELLS // width)
        for start in range(0, len(users), size):
            part = slice(start, start + size)
            predicted[part] = np.einsum("nsd,nsd->n", self.user_draws_[users[part]], self.film_draws_[films[part]])
        return np.asarray(self.mean_ + predicted / self.n_draws, np.float32)

    def _score(self, users: Rows) -> Scores:
        return self._scored(self.user_draws_[users])

    def _score_new(self, values: sparse.csr_array) -> Scores:
        equations, features = LeastSquares(values), _shares(values) @ self.directions_
        draws = np.ones((values.shape[0], self.n_draws, self.n_factors + 2), np.float32)
        for draw in range(self.n_draws):
            of_films, precision = self.film_draws_[:, draw], self.prior_precisions_[draw]
            draws[:, draw, :-1] = equations.solve(
                of_films[:, :-1],
                targets=values.data - self.mean_ - of_films[values.indices, -1],
                weights=self.noise_precisions_[draw],
                shared=precision,
                right=(self.prior_means_[draw] + features @ self.links_[draw]) @ precision,
            )
        return self._scored(draws)

    def _scored(self, draws: FloatArray) -> Scores:
        n_films = len(self.film_draws_)
        # The mean over draws of products is a product of all draws side by side.
        sums = draws.reshape(len(draws), -1) @ self.film_draws_.reshape(n_films, -1).T
        return np.asarray(self.mean_ + sums / self.n_draws, np.float32)

    def _similarities(self, films: Rows) -> Scores:
        factors = self.film_draws_[:, :, : self.n_factors].reshape(len(self.film_draws_), -1)
        similarities = cosine_similarities(factors, films)
        # Films that nobody rated are draws from the prior.
        rated = np.bincount(self.seen_.indices, minlength=len(self.movie_ids_)) > 0
        return np.where(rated & rated[films, None], similarities, np.float32(np.nan))


class _Noise:
    """How far ratings lie off what is predicted: each user's α, drawn about a common one that is drawn too."""

    def __init__(self, n_ratings: npt.NDArray[np.integer], rng: Rng) -> None:
        self.rng = rng
        self.n_ratings = n_ratings
        self.precision = 1.0
        self.of_users = np.ones(len(n_ratings))

    def draw(self, squares: npt.NDArray[np.float64]) -> None:
        """Draw both, given each user's sum of squared errors."""
        common = self.of_users.sum() / self.rng.gamma(len(self.of_users) * _NOISE_WORTH / 2)
        self.precision = float(common * _NOISE_WORTH / 2)
        shapes = (_NOISE_WORTH + self.n_ratings) / 2
        drawn = self.rng.gamma(shapes, 2 / (_NOISE_WORTH / self.precision + squares))
        self.of_users = np.minimum(drawn, _MOST_PRECISE)


@dataclass(frozen=True)
class _Prior:
    """What a row is drawn from before its ratings are read: m, of shape (d,), and Λ, of shape (d, d)."""

    mean: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]


class _Side:
    """The users or the films: their factors and biases as last drawn, and what these are drawn from."""

    def __init__(self, values: sparse.csr_array, n_factors: int, n_implicit: int, rng: Rng) -> None:
        d = n_factors + 1
        self.rng = rng
        self.values = values
        self.equations = LeastSquares(values)
        shares = _shares(values)
        self.directions = _principal_directions(shares, n_implicit, rng)
        self.features = shares @ self.directions
        self.factors = (_START * rng.standard_normal((values.shape[0], d))).astype(np.float32)
        self.factors[:, -1] = 0
        self.prior = _Prior(np.zeros(d), np.eye(d))
        self.link = np.zeros((self.features.shape[1], d))
        self.link_penalty = 1.0

    def draw(self, others: FloatArray, mean: FloatArray, weights: npt.NDArray[np.float64]) -> None:
        """Draw m and Λ, B, and then all rows; `weights` are the α of the ratings, in the order of the values."""
        of_features = self.features @ self.link
        self.prior = _drawn_prior(self.rng, self.factors - of_features)
        self._draw_link()
        design = others.copy()
        design[:, -1] = 1
        self.factors = self.equations.solve(
            design,
            targets=self.values.data - mean - others[self.values.indices, -1],
            weights=weights,
            shared=self.prior.precision,
            right=(self.prior.mean + self.features @ self.link) @ self.prior.precision,
            noise=self.rng.standard_normal(self.factors.shape),
        )

    def _draw_link(self) -> None:
        # Principal components are orthogonal: of the equations for B only the diagonal is left.
        diagonal = (np.square(self.features, dtype=np.float64).sum(axis=0) + self.link_penalty)[:, None]
        means = self.features.T @ (self.factors - self.prior.mean) / diagonal
        root = np.linalg.cholesky(self.prior.precision)
        noise = np.linalg.solve(root.T, self.rng.standard_normal(means.shape).T).T
        self.link = means + noise / np.sqrt(diagonal)
        squares = np.square(self.link @ root).sum()
        self.link_penalty = float(self.rng.gamma(1 + self.link.size / 2, 1 / (1 + squares / 2)))


def _drawn_prior(rng: Rng, rows: npt.NDArray[np.floating]) -> _Prior:
    """Draw m and Λ from their normal-Wishart posterior, the rows being known; equation 14 of the first reference."""
    n, d = rows.shape
    mean = rows.mean(axis=0, dtype=np.float64)
    centered = rows - mean
    scatter = np.eye(d) + centered.T @ centered + n * _MEAN_WORTH / (n + _MEAN_WORTH) * np.outer(mean, mean)
    # Bartlett's way to draw from a Wishart distribution.
    triangle = np.tril(rng.standard_normal((d, d)), -1) + np.diag(np.sqrt(rng.chisquare(n + d - np.arange(d))))
    root = np.linalg.cholesky(np.linalg.inv(scatter)) @ triangle
    precision = root @ root.T
    spread = np.linalg.solve(root.T, rng.standard_normal(d)) / np.sqrt(n + _MEAN_WORTH)
    return _Prior(n * mean / (n + _MEAN_WORTH) + spread, precision)


def _shares(values: sparse.csr_array) -> sparse.csr_array:
    """Return who rated what: each row of n ratings holds 1 / sqrt(n) where there is one."""
    n_of_row = np.diff(values.indptr)
    data = np.repeat(1 / np.sqrt(np.maximum(n_of_row, 1)), n_of_row).astype(np.float32)
    return sparse.csr_array((data, values.indices, values.indptr), shape=values.shape)


def _principal_directions(matrix: sparse.csr_array, n: int, rng: Rng) -> FloatArray:
    """Find the n directions in which rows differ most, (n_columns, n or fewer), by a randomized SVD.

    References
    ----------
    .. [1] N. Halko, P. Martinsson, J. Tropp, "Finding structure with randomness", SIAM Review 53(2), 2011.
    """
    n = min(n, *matrix.shape)
    basis = rng.standard_normal((matrix.shape[1], min(n + _MORE_DIRECTIONS, *matrix.shape))).astype(np.float32)
    for _ in range(_N_PASSES):
        basis = np.linalg.qr(matrix.T @ (matrix @ basis))[0]
    _, _, rotation = np.linalg.svd(np.asarray(matrix @ basis), full_matrices=False)
    return np.ascontiguousarray(basis @ rotation[:n].T, np.float32)


def _products(of_users: FloatArray, of_films: FloatArray, users: Rows, films: Rows) -> FloatArray:
    factors = np.einsum("nd,nd->n", of_users[users, :-1], of_films[films, :-1])
    return np.asarray(factors + of_users[users, -1] + of_films[films, -1], np.float32)
