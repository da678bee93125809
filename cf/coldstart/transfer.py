"""Ridge regression from content to what another recommender learned of films."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from cf.coldstart.base import ColdStartModel, Counts
from cf.coldstart.content import Floats, Standardization
from cf.coldstart.factor_model import FactorModel, FloatArray
from cf.coldstart.ridge import Ridge, Source
from cf.models.als import ImplicitALS
from cf.ratings import RatingMatrix

#: Here nothing is smoothed but by EASE itself. Chosen on validation films of ml-latest-small.
SOURCES: Mapping[str, Source] = {
    "facts": Source(penalty=10.0, smoothing=0.0),
    "posters": Source(penalty=3.0, smoothing=0.0, weight=0.3, by_column=True, by_row=True),
}


class ContentRegression:
    """Ridge regression of targets on content, source by source, each on the residuals of those before it."""

    def __init__(self, sources: Mapping[str, Source], half_support: float = 0.0) -> None:
        self.sources = dict(sources)
        self.half_support = half_support
        self.mean_: FloatArray
        self.fitted_: dict[str, tuple[Standardization, Floats]]

    def fit(self, content: Mapping[str, Floats], targets: FloatArray, n_ratings: Counts) -> ContentRegression:
        """Learn from films."""
        weights = n_ratings / (n_ratings + self.half_support)
        self.mean_ = np.average(targets, axis=0, weights=weights) if len(targets) else np.zeros(targets.shape[1])
        self.fitted_ = {}
        left = targets - self.mean_
        for name, source in self.sources.items():
            standardization = Standardization.fit(content[name], by_column=source.by_column)
            rows = source.rows(standardization, content[name]).astype(np.float64)
            known = rows.any(axis=1)
            coefficients = source.weight * Ridge(rows[known], weights[known], source.penalty).coefficients(left[known])
            left -= rows @ coefficients
            self.fitted_[name] = standardization, coefficients.astype(np.float32)
        return self

    def __call__(self, content: Mapping[str, Floats]) -> Floats:
        """Predict."""
        total: Any = self.mean_
        for name, (standardization, coefficients) in self.fitted_.items():
            total = total + self.sources[name].rows(standardization, content[name]) @ coefficients
        return np.asarray(total, np.float32)


class RidgeALS(ColdStartModel):
    """Predicts the factors that alternating least squares of who rated what gives to films.

    Parameters
    ----------
    sources : mapping of str to Source, default `SOURCES`
        As `ContentRegression` takes them.
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
        sources: Mapping[str, Source] = SOURCES,
        n_factors: int = 32,
        half_support: float = 50.0,
        seed: int = 0,
    ) -> None:
        self.sources = dict(sources)
        self.n_factors = n_factors
        self.half_support = half_support
        self.seed = seed

    def _fit(self, values: sparse.csr_array, content: Mapping[str, Floats]) -> None:
        self.als_ = ImplicitALS(n_factors=self.n_factors, seed=self.seed)
        self.als_.fit(RatingMatrix(self.user_ids_, self.movie_ids_, values))
        self.user_factors_ = self.als_.user_factors_
        n_ratings = np.bincount(values.indices, minlength=values.shape[1])
        targets = self.als_.film_factors_.astype(np.float64)
        # Factors of films of few ratings are short, and say little.
        self.regression_ = ContentRegression(self.sources, half_support=10.0).fit(content, targets, n_ratings)

    def _predicted(self, content: Mapping[str, Floats]) -> npt.NDArray[Any]:
        return self.regression_(content)

    def _own(self, values: sparse.csr_array, n_ratings: Counts) -> npt.NDArray[Any]:  # noqa: ARG002 - all are counted
        return self.als_.factors_of_films(values)


class RidgeEASE(FactorModel):
    r"""Predicts the weights of EASE, in the space of users' factors.

    Of EASE's weights :math:`B = I - P / \mathrm{diag}(P)`, what who has not seen a film i thinks of it is, with the
    singular values of X, :math:`U \frac{e}{e + \mu} U^\top x_i / (1 - h_i)`, where
    :math:`h_i = x_i^\top U \frac{1}{e + \mu} U^\top x_i`. So films that many rated need no inverse of films × films.

    Parameters
    ----------
    sources : mapping of str to Source, default `SOURCES`
        As `ContentRegression` takes them.
    n_factors, damping, smoothing, half_support, seed
        As `FactorModel` has them; the smoothing is EASE's penalty.

    References
    ----------
    .. [1] H. Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019, equation 8.
    """

    name = "ridge-ease"
    uses = frozenset({"posters", "genres", "years"})
    regression_: ContentRegression

    def __init__(
        self,
        sources: Mapping[str, Source] = SOURCES,
        n_factors: int = 128,
        damping: float = 0.25,
        smoothing: float = 3.0,
        half_support: float = 50.0,
        seed: int = 0,
    ) -> None:
        super().__init__(n_factors, damping, smoothing, half_support, seed)
        self.sources = dict(sources)

    def _fit(self, values: sparse.csr_array, content: Mapping[str, Floats]) -> None:
        own, n_ratings = self._factorize(values)
        targets = own / (1 - self._leverages(self.loadings_))
        self.regression_ = ContentRegression(self.sources).fit(content, targets, n_ratings)

    def _predicted(self, content: Mapping[str, Floats]) -> npt.NDArray[Any]:
        return self._smooth(self.regression_(content), self.smoothing)

    def _own(self, values: sparse.csr_array, n_ratings: Counts) -> npt.NDArray[Any]:
        loadings = self._loadings(values)
        return np.asarray(super()._own(values, n_ratings) / (1 - self._leverages(loadings)))

    def _leverages(self, loadings: Floats) -> npt.NDArray[Any]:
        """Return the leverage of a film's own ratings in EASE, (n, 1), below 1."""
        shares = np.square(loadings.astype(np.float64)) / np.maximum(self.strengths_ + self.smoothing, 1e-9)
        return np.asarray(np.minimum(shares.sum(axis=1, keepdims=True), 0.9))
