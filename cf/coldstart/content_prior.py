r"""Factors of stars whose prior is the film's content: alternating least squares about what a regression expects.

A film of few ratings is drawn towards what films of its genres, years or looks are like, and not towards the average
film; a film of none is there altogether.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from cf.coldstart.content import Encoding, FilmContent, Standardization
from cf.coldstart.regression import Ridge
from cf.models.als import ALS, first_factors
from cf.models.baseline import fit_biases
from cf.models.least_squares import FloatArray, LeastSquares

#: The names of the parts of encoded content that each source looks at, in the order in which they explain.
SOURCES: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "genres-years": ("facts",),
    "posters": ("posters",),
    "both": ("facts", "posters"),
}
_N_BIAS_ROUNDS = 5


class PriorALS(ALS):
    r"""Predicts stars as `ALS` does, the mean of each film's Gaussian prior being a regression on its content.

    .. math:: \sum_{ui} (r_{ui} - \mu - b_u - b_i - x_u y_i)^2 + \lambda \sum_u n_u^\nu |x_u|^2
       + \lambda \sum_i n_i^\nu |y_i - G z_i|^2 + \lambda_b \sum_i (b_i - g z_i)^2

    where z is the content. Films' factors and G are fitted by turns, and so are the biases and g; in the regressions a
    film of n ratings weighs n / (n + λ_b), as one of few has little of its own to say.

    Parameters
    ----------
    films : FilmContent
        In the order of the films of the ratings that the model is going to be fitted on.
    sources : sequence of str, default ()
        The names of the content's parts that count; without any, the prior's mean is 0, as in `ALS`.
    ridge : float, default 30
        The penalty of both regressions, in films.
    seed : int, default 0
        As for `ALS`.

    References
    ----------
    .. [1] D. Agarwal and B.-C. Chen, "Regression-based latent factor models", KDD 2009. There the factors are drawn
       from their posterior; here they are its mode.
    """

    name = "prior-als"

    def __init__(self, films: FilmContent, sources: Sequence[str] = (), *, ridge: float = 30.0, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.films = films
        self.sources = sources
        self.ridge = ridge

    def _fit(self, values: sparse.csr_array) -> None:
        n_ratings = np.bincount(values.indices, minlength=values.shape[1])
        explained = _Regressions(self.films, self.sources, n_ratings, self.ridge, self.bias_damping)
        biases = fit_biases(values, self.bias_damping, self.bias_damping)
        for _ in range(_N_BIAS_ROUNDS if self.sources else 0):
            film_means = explained(biases.films[:, None])[:, 0]
            biases = fit_biases(values, self.bias_damping, self.bias_damping, film_means)
        self.mean_ = np.array([biases.mean], np.float32)
        self.user_biases_, self.film_biases_ = biases.users, biases.films
        left = biases.residuals(values)
        users, films = LeastSquares(left), LeastSquares(left.T.tocsr())
        of_users, of_films = self._penalties(users), self._penalties(films)
        self.film_factors_ = first_factors(left.shape[1], self.n_factors, self.seed)
        for _ in range(self.n_iterations):
            self.user_factors_ = users.solve(self.film_factors_, of_users)
            # Where the minimum of a penalty lies is what the penalty adds to the right side.
            means = explained(self.film_factors_)
            self.film_factors_ = films.solve(self.user_factors_, of_films, right=of_films[:, None] * means)


class _Regressions:
    """Ridge regressions of anything that films have on their content, one source after the other.

    Rows of which nothing is known, and films without ratings, teach nothing.
    """

    def __init__(
        self, films: FilmContent, sources: Sequence[str], n_ratings: npt.NDArray[Any], penalty: float, damping: float
    ) -> None:
        rated = np.flatnonzero(n_ratings)
        encoded = Encoding.fit(films.rows(rated))(films) if sources else {}
        self._parts: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.intp], Ridge]] = []
        for name in sources:
            standardization = Standardization.fit(encoded[name][rated], by_column=name == "posters")
            rows = standardization(encoded[name]).astype(np.float64)
            taught = rated[rows[rated].any(axis=1)]
            weights = n_ratings[taught] / (n_ratings[taught] + damping)
            self._parts.append((rows, taught, Ridge.of_rows(rows[taught], weights)))
        self._penalty = penalty

    def __call__(self, targets: FloatArray) -> FloatArray:
        """Predict targets (n_films, k), about their mean, from content."""
        expected = np.zeros(targets.shape)
        for rows, taught, ridge in self._parts:
            expected += rows @ ridge.coefficients(targets[taught] - expected[taught], self._penalty)
        return expected.astype(np.float32)
