"""Ridge regression from content to the factors of alternating least squares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from cf.coldstart.base import ColdStartModel, Counts
from cf.coldstart.content import Floats, Standardization
from cf.coldstart.factor_model import FloatArray
from cf.coldstart.regression import Ridge
from cf.models.als import ImplicitALS
from cf.ratings import RatingMatrix

# Penalties to choose from, by the error of films left out.
_PENALTIES = [0.5 * 2**n for n in range(12)]
# The number of ratings at which a film's factors count half: those of films with few ratings are short, and say little.
_HALF_SUPPORT = 10.0


class ContentRegression:
    """Ridge regression of targets on content, source by source, each on what those before it leave over."""

    def __init__(self, sources: Sequence[str]) -> None:
        self.sources = sources
        self.mean_: FloatArray
        self.fitted_: dict[str, tuple[Standardization, Floats]]

    def fit(self, content: Mapping[str, Floats], targets: FloatArray, n_ratings: Counts) -> ContentRegression:
        """Learn from films."""
        weights = n_ratings / (n_ratings + _HALF_SUPPORT)
        self.mean_ = np.average(targets, axis=0, weights=weights) if len(targets) else np.zeros(targets.shape[1])
        self.fitted_ = {}
        left = targets - self.mean_
        for name in self.sources:
            standardization = Standardization.fit(content[name], by_column=name == "posters")
            rows = standardization(content[name]).astype(np.float64)
            known = rows.any(axis=1)
            ridge = Ridge.of_rows(rows[known], weights[known])
            errors = [
                (weights[known, None] * np.square(left[known] - predicted)).sum()
                for predicted in ridge.left_out(left[known], _PENALTIES)
            ]
            coefficients = ridge.coefficients(left[known], _PENALTIES[int(np.argmin(errors))])
            left -= rows @ coefficients
            self.fitted_[name] = standardization, coefficients.astype(np.float32)
        return self

    def __call__(self, content: Mapping[str, Floats]) -> Floats:
        """Predict."""
        total: Any = self.mean_
        for name, (standardization, coefficients) in self.fitted_.items():
            total = total + standardization(content[name]) @ coefficients
        return np.asarray(total, np.float32)


class RidgeALS(ColdStartModel):
    """Predicts the factors that alternating least squares of who rated what gives to films.

    Parameters
    ----------
    sources : sequence of str, default ("facts", "posters")
        The kinds of content, in the order in which they are learned from.
    n_factors : int, default 32
        As `cf.models.als.ImplicitALS` has it.
    half_support : float, default 50
        See `ColdStartModel`.
    seed : int, default 0
        Which first factors.

    References
    ----------
    .. [1] Z. Gantner, L. Drumond, C. Freudenthaler, S. Rendle, L. Schmidt-Thieme, "Learning attribute-to-feature
       mappings for cold-start recommendations", ICDM 2010.
    """

    name = "ridge-als"
    uses = frozenset({"posters", "genres", "years"})
    als_: ImplicitALS
    regression_: ContentRegression

    def __init__(
        self,
        sources: Sequence[str] = ("facts", "posters"),
        n_factors: int = 32,
        half_support: float = 50.0,
        seed: int = 0,
    ) -> None:
        self.sources = tuple(sources)
        self.n_factors = n_factors
        self.half_support = half_support
        self.seed = seed

    def _fit(self, values: sparse.csr_array, content: Mapping[str, Floats]) -> None:
        self.als_ = ImplicitALS(n_factors=self.n_factors, seed=self.seed)
        self.als_.fit(RatingMatrix(self.user_ids_, self.movie_ids_, values))
        self.user_factors_ = self.als_.user_factors_
        n_ratings = np.bincount(values.indices, minlength=values.shape[1])
        targets = self.als_.film_factors_.astype(np.float64)
        self.regression_ = ContentRegression(self.sources).fit(content, targets, n_ratings)

    def _predicted(self, content: Mapping[str, Floats]) -> npt.NDArray[Any]:
        return self.regression_(content)

    def _own(self, values: sparse.csr_array, n_ratings: Counts) -> npt.NDArray[Any]:  # noqa: ARG002 - all are counted
        return self.als_.factors_of_films(values)
