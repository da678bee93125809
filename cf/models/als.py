"""Factors by alternating least squares: of the stars that users gave, and of what they rated at all.

The films' factors being known, those of every user are a regularized least-squares problem of their own; then the other
way round, and so on. Somebody new is the first half of that: the films' factors stay as they are.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from cf.base import Recommender, Rows, Scores, cosine_similarities
from cf.models.baseline import Biases, fit_biases
from cf.models.least_squares import FloatArray, LeastSquares

# Factors begin this small beside the ratings, so that the first step decides where they go.
_FIRST_FACTOR = 0.1


class ALS(Recommender):
    r"""Predicts stars by biases and the product of a user's and a film's factors, :math:`\mu + b_u + b_i + x_u y_i`.

    The biases come first; alternating least squares then minimizes, over what they leave of the ratings,

    .. math:: \sum_{ui} (r_{ui} - \mu - b_u - b_i - x_u y_i)^2
       + \lambda \sum_u n_u^\nu |x_u|^2 + \lambda \sum_i n_i^\nu |y_i|^2

    Parameters
    ----------
    n_factors : int, default 40
        The length of x and y.
    n_iterations : int, default 15
        How often both sides are solved.
    penalty : float, default 1.4
        λ.
    frequency_power : float, default 0.5
        ν, how the penalty grows with a user's or a film's number n of ratings; 1 is Zhou's λ weighted by n, for which
        a λ about 0.12 suits stars.
    bias_damping : float, default 5
        In ratings; see `fit_biases`.
    seed : int, default 0
        Which first factors.

    References
    ----------
    .. [1] Y. Zhou, D. Wilkinson, R. Schreiber, R. Pan, "Large-scale parallel collaborative filtering for the Netflix
       Prize", AAIM 2008.
    """

    name = "als"
    _learns = ("mean_", "user_biases_", "film_biases_", "user_factors_", "film_factors_")

    def __init__(
        self,
        n_factors: int = 40,
        n_iterations: int = 15,
        penalty: float = 1.4,
        frequency_power: float = 0.5,
        bias_damping: float = 5.0,
        seed: int = 0,
    ) -> None:
        self.n_factors = n_factors
        self.n_iterations = n_iterations
        self.penalty = penalty
        self.frequency_power = frequency_power
        self.bias_damping = bias_damping
        self.seed = seed
        self.mean_: FloatArray
        self.user_biases_: FloatArray
        self.film_biases_: FloatArray
        self.user_factors_: FloatArray
        self.film_factors_: FloatArray

    @property
    def biases_(self) -> Biases:
        """What is taken off the ratings before factors are fitted."""
        return Biases(float(self.mean_[0]), self.user_biases_, self.film_biases_)

    def _fit(self, values: sparse.csr_array) -> None:
        biases = fit_biases(values, self.bias_damping, self.bias_damping)
        self.mean_ = np.array([biases.mean], np.float32)
        self.user_biases_, self.film_biases_ = biases.users, biases.films
        self.user_factors_, self.film_factors_ = self._factorize(biases.residuals(values))

    def _factorize(self, left: sparse.csr_array) -> tuple[FloatArray, FloatArray]:
        """Fit both sides' factors to what the biases left of the ratings."""
        users, films = LeastSquares(left), LeastSquares(left.T.tocsr())
        of_users, of_films = self._penalties(users), self._penalties(films)
        film_factors = first_factors(left.shape[1], self.n_factors, self.seed)
        user_factors = np.zeros((left.shape[0], self.n_factors), np.float32)
        for _ in range(self.n_iterations):
            user_factors = users.solve(film_factors, of_users)
            film_factors = films.solve(user_factors, of_films)
        return user_factors, film_factors

    def _penalties(self, side: LeastSquares) -> FloatArray:
        return (self.penalty * np.maximum(side.n_cells, 1) ** self.frequency_power).astype(np.float32)

    def _predict(self, users: Rows, films: Rows) -> Scores:
        products = np.einsum("nd,nd->n", self.user_factors_[users], self.film_factors_[films])
        return np.asarray(self.biases_.of(users, films) + products)

    def _score(self, users: Rows) -> Scores:
        return self._stars(self.user_biases_[users], self.user_factors_[users])

    def _score_new(self, values: sparse.csr_array) -> Scores:
        biases = Biases(float(self.mean_[0]), self.biases_.of_new_users(values, self.bias_damping), self.film_biases_)
        users = LeastSquares(biases.residuals(values))
        return self._stars(biases.users, users.solve(self.film_factors_, self._penalties(users)))

    def _stars(self, user_biases: FloatArray, user_factors: FloatArray) -> Scores:
        products = user_factors @ self.film_factors_.T
        return np.asarray(products + (self.mean_ + user_biases)[:, None] + self.film_biases_)

    def _similarities(self, films: Rows) -> Scores:
        return cosine_similarities(self.film_factors_, films)


class ImplicitALS(Recommender):
    r"""Ranks films by the product of a user's and a film's factors, fitted to who rated what, whatever the stars.

    Every cell of users × films counts: 1 where the user rated the film, else 0. With :math:`c_{ui}` for the confidence
    in a rating, 1 or its stars, alternating least squares minimizes

    .. math:: \sum_{ui\ \text{rated}} c_{ui} (1 - x_u y_i)^2 + \alpha \sum_{ui\ \text{all}} (x_u y_i)^2
       + \lambda \sum_u m_u^\nu |x_u|^2 + \lambda \sum_i m_i^\nu |y_i|^2

    where m is a row's total weight, :math:`n_u + \alpha n_\text{films}`, and :math:`n_i + \alpha n_\text{users}`. The
    sum over all cells is one matrix for all users, :math:`\alpha Y^\top Y`, so time grows with the ratings alone.
    Each side goes a few steps from where it was towards its minimum; for somebody new, the minimum is exact.

    Parameters
    ----------
    n_factors : int, default 32
        The length of x and y.
    n_iterations : int, default 10
        How often both sides are solved.
    penalty : float, default 0.02
        λ.
    unrated_weight : float, default 0.2
        α, what a cell without a rating weighs beside one with it; Hu's α is its inverse.
    frequency_power : float, default 1
        ν.
    by_stars : bool, default False
        Trust a rating of five stars five times as much as one of a single star.
    seed : int, default 0
        Which first factors.

    References
    ----------
    .. [1] Y. Hu, Y. Koren, C. Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008.
    .. [2] S. Rendle, W. Krichene, L. Zhang, Y. Koren, "Revisiting the performance of iALS on item recommendation
       benchmarks", RecSys 2022 (arXiv 2110.14037, 2021), section 3: this objective, and how to choose λ, α and ν.
    """

    name = "implicit-als"
    predicts_stars = False
    _learns = ("user_factors_", "film_factors_")

    def __init__(
        self,
        n_factors: int = 32,
        n_iterations: int = 10,
        penalty: float = 0.02,
        unrated_weight: float = 0.2,
        frequency_power: float = 1.0,
        by_stars: bool = False,
        seed: int = 0,
    ) -> None:
        self.n_factors = n_factors
        self.n_iterations = n_iterations
        self.penalty = penalty
        self.unrated_weight = unrated_weight
        self.frequency_power = frequency_power
        self.by_stars = by_stars
        self.seed = seed
        self.user_factors_: FloatArray
        self.film_factors_: FloatArray

    def factors_of_films(self, values: sparse.csr_array) -> FloatArray:
        """Place films among those of the fit, from who rated them."""
        return self._solve(LeastSquares(values.T.tocsr()), self.user_factors_)

    def _fit(self, values: sparse.csr_array) -> None:
        users, films = LeastSquares(values), LeastSquares(values.T.tocsr())
        self.film_factors_ = first_factors(values.shape[1], self.n_factors, self.seed)
        self.user_factors_ = np.zeros((values.shape[0], self.n_factors), np.float32)
        for _ in range(self.n_iterations):
            self.user_factors_ = self._solve(users, self.film_factors_, self.user_factors_)
            self.film_factors_ = self._solve(films, self.user_factors_, self.film_factors_)

    def _solve(self, side: LeastSquares, factors: FloatArray, start: FloatArray | None = None) -> FloatArray:
        penalties = (side.n_cells + self.unrated_weight * len(factors)) ** self.frequency_power
        return side.solve(
            factors,
            self.penalty * penalties,
            targets=1.0,
            weights=side.values.data if self.by_stars else None,
            shared=self.unrated_weight * (factors.T @ factors),
            start=start,
        )

    def _predict(self, users: Rows, films: Rows) -> Scores:
        return np.asarray(np.einsum("nd,nd->n", self.user_factors_[users], self.film_factors_[films]))

    def _score(self, users: Rows) -> Scores:
        return np.asarray(self.user_factors_[users] @ self.film_factors_.T)

    def _score_new(self, values: sparse.csr_array) -> Scores:
        return np.asarray(self._solve(LeastSquares(values), self.film_factors_) @ self.film_factors_.T)

    def _similarities(self, films: Rows) -> Scores:
        return cosine_similarities(self.film_factors_, films)


def first_factors(n: int, n_factors: int, seed: int) -> FloatArray:
    """Draw what the alternation begins with."""
    drawn = np.random.default_rng(seed).standard_normal((n, n_factors), np.float32)
    return drawn * np.float32(_FIRST_FACTOR / np.sqrt(max(1, n_factors)))
