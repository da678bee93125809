"""Kernel ridge regression from posters to what genres and years leave of users' tastes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.linalg import solve

from cf.coldstart.content import Floats, Standardization
from cf.coldstart.factor_model import FactorModel, damped
from cf.coldstart.ridge import SOURCES, Ridge


class KernelRidge(FactorModel):
    r"""Predicts a film's factors from genres and years by ridge, and what these leave of them from posters by kernels.

    Of what is left over, R, posters predict :math:`w \, k(x, X) (K + \lambda I)^{-1} R` with
    :math:`k(x, y) = \exp(-\gamma |x - y|^2)`, posters being standardized to a mean square length of 1. Time grows with
    the cube of the films with posters, memory with the square; `n_films` bounds both.

    Parameters
    ----------
    gamma : float, default 0.5
        γ: how near posters must be to count.
    penalty : float, default 3
        λ.
    weight : float, default 2
        w: makes up for what ridge and smoothing take away.
    poster_smoothing : float, default 30
        How far what posters say keeps to the tastes that many users share; see `cf.coldstart.ridge.Source`.
    n_films : int, default 5000
        How many films with posters are learned from at most: the most rated.
    n_factors, damping, smoothing, half_support, seed
        As `FactorModel` has them.

    References
    ----------
    .. [1] C. Saunders, A. Gammerman, V. Vovk, "Ridge regression learning algorithm in dual variables", ICML 1998.
    """

    name = "kernel-ridge"
    uses = frozenset({"posters", "genres", "years"})
    posters_: Floats
    duals_: Floats
    coefficients_: Floats
    film_factor_: Floats
    of_facts_: Standardization
    of_posters_: Standardization

    def __init__(
        self,
        gamma: float = 0.5,
        penalty: float = 3.0,
        weight: float = 2.0,
        poster_smoothing: float = 30.0,
        n_films: int = 5000,
        **tastes: Any,
    ) -> None:
        super().__init__(**tastes)
        self.gamma = gamma
        self.penalty = penalty
        self.weight = weight
        self.poster_smoothing = poster_smoothing
        self.n_films = n_films

    def _fit(self, values: sparse.csr_array, content: Mapping[str, Floats]) -> None:
        own, n_ratings = self._factorize(values)
        self.film_factor_ = own.mean(axis=0).astype(np.float32) if len(own) else np.zeros(own.shape[1], np.float32)
        left = own - self.film_factor_
        self.of_facts_ = Standardization.fit(content["facts"], by_column=False)
        self.of_posters_ = Standardization.fit(content["posters"], by_column=True)
        facts = self.of_facts_(content["facts"]).astype(np.float64)
        coefficients = Ridge(facts, np.ones(len(facts)), SOURCES["facts"].penalty).coefficients(left)
        left -= facts @ coefficients
        posters = self.of_posters_(content["posters"])
        known = np.flatnonzero(posters.any(axis=1))
        # A stable sort leaves films of equal n_ratings in ascending movie_id.
        known = known[np.argsort(-n_ratings[known], kind="stable")[: self.n_films]]
        self.posters_ = posters[known]
        kernel = self._kernel(self.posters_).astype(np.float64)
        kernel[np.diag_indices_from(kernel)] += self.penalty
        targets = left[known] * damped(n_ratings[known], SOURCES["posters"].damping)
        duals = solve(kernel, targets, assume_a="pos") if len(known) else targets
        self.duals_ = np.asarray(self.weight * self._smooth(duals, self.poster_smoothing), np.float32)
        self.coefficients_ = np.asarray(self._smooth(coefficients, self.smoothing), np.float32)
        self.film_factor_ = np.asarray(self._smooth(self.film_factor_, self.smoothing), np.float32)

    def _predicted(self, content: Mapping[str, Floats]) -> npt.NDArray[Any]:
        posters = self.of_posters_(content["posters"])
        # A film without a poster is like none.
        kernel = self._kernel(posters) * posters.any(axis=1, keepdims=True)
        by_facts = self.of_facts_(content["facts"]) @ self.coefficients_
        return np.asarray(self.film_factor_ + by_facts + kernel @ self.duals_)

    def _kernel(self, posters: Floats) -> Floats:
        squares = np.square(posters).sum(axis=1)[:, None] + np.square(self.posters_).sum(axis=1)
        return np.asarray(np.exp(-self.gamma * (squares - 2 * posters @ self.posters_.T)), np.float32)
