"""Films without ratings are for those who like the films whose posters look most alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from cf.coldstart.content import Floats, Standardization, unit
from cf.coldstart.factor_model import FactorModel


class NearestPosters(FactorModel):
    r"""Predicts a film's factors from those of the films whose posters are most alike.

    .. math:: \hat q_i = \bar q + \frac{\sum_{j \in N_k(i)} s_{ij} (q_j - \bar q)}{\sum_{j \in N_k(i)} s_{ij}}

    with :math:`s_{ij}` the cosine of standardized posters, where it is above 0. Where a film has no poster, or none is
    alike, it is taken for the mean film.

    Parameters
    ----------
    k : int, default 100
        How many films count.
    n_factors, damping, smoothing, half_support, seed
        As `FactorModel` has them.

    References
    ----------
    .. [1] R. He, J. McAuley, "VBPR: visual Bayesian personalized ranking from implicit feedback", AAAI 2016: what
       posters say of films that nobody has rated is where a model of them has to begin.
    """

    name = "nearest-posters"
    uses = frozenset({"posters"})
    film_factors_: Floats
    film_factor_: Floats
    posters_: Floats
    standardization_: Standardization

    def __init__(
        self,
        k: int = 100,
        n_factors: int = 128,
        damping: float = 0.5,
        smoothing: float = 10.0,
        half_support: float = 50.0,
        seed: int = 0,
    ) -> None:
        super().__init__(n_factors, damping, smoothing, half_support, seed)
        self.k = k

    def _fit(self, values: sparse.csr_array, content: Mapping[str, Floats]) -> None:
        own, _ = self._factorize(values)
        mean = own.mean(axis=0) if len(own) else np.zeros(own.shape[1])
        self.standardization_ = Standardization.fit(content["posters"], by_column=True)
        posters = self._rows(content)
        known = posters.any(axis=1)
        self.posters_ = posters[known]
        self.film_factor_ = np.asarray(self._smooth(mean, self.smoothing), np.float32)
        self.film_factors_ = np.asarray(self._smooth(own[known] - mean, self.smoothing), np.float32)

    def _predicted(self, content: Mapping[str, Floats]) -> npt.NDArray[Any]:
        similarities = (self._rows(content) @ self.posters_.T).clip(min=0)
        n_others = max(0, similarities.shape[1] - self.k)
        if n_others:
            # The k-th highest of each row bounds who counts.
            bounds = np.partition(similarities, n_others, axis=1)[:, n_others, None]
            similarities[similarities < bounds] = 0
        totals = similarities.sum(axis=1, keepdims=True)
        weights = np.divide(similarities, totals, out=np.zeros_like(similarities), where=totals > 0)
        return np.asarray(self.film_factor_ + weights @ self.film_factors_)

    def _rows(self, content: Mapping[str, Floats]) -> Floats:
        return unit(self.standardization_(content["posters"]))
