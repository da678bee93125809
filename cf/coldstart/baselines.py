"""Baselines of cold-start models: the mean film, and chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash
from scipy import sparse

from cf.coldstart.base import ColdStartModel, Counts
from cf.coldstart.content import Floats
from cf.coldstart.factor_model import FactorModel


class MeanFactor(FactorModel):
    """Takes every film without ratings for the mean film, so that nobody prefers any to another."""

    name = "mean-factor"
    uses = frozenset[str]()
    film_factor_: Floats

    def _fit(self, values: sparse.csr_array, content: Mapping[str, Floats]) -> None:  # noqa: ARG002 - looks at nothing
        own, _ = self._factorize(values)
        mean = own.mean(axis=0) if len(own) else np.zeros(own.shape[1])
        self.film_factor_ = np.asarray(self._smooth(mean, self.smoothing), np.float32)

    def _predicted(self, content: Mapping[str, Floats]) -> npt.NDArray[Any]:
        return np.tile(self.film_factor_, (len(content["posters"]), 1))


class RandomFactors(ColdStartModel):
    """Draws what users think of films.

    Films of the same content get the same, so that an answer depends on the film and not on what else is asked.

    Parameters
    ----------
    n_factors : int, default 16
        How many numbers are drawn for each user and film.
    seed : int, default 0
        Which draw.
    """

    name = "random"
    uses = frozenset[str]()
    # A film's own ratings never count.
    half_support = float("inf")

    def __init__(self, n_factors: int = 16, seed: int = 0) -> None:
        self.n_factors = n_factors
        self.seed = seed

    def _fit(self, values: sparse.csr_array, content: Mapping[str, Floats]) -> None:  # noqa: ARG002 - looks at nothing
        rng = np.random.default_rng(self.seed)
        self.user_factors_ = rng.standard_normal((values.shape[0], self.n_factors), np.float32)

    def _predicted(self, content: Mapping[str, Floats]) -> npt.NDArray[Any]:
        rows = np.nan_to_num(np.hstack([content["facts"], content["posters"]]))
        seeds = [(self.seed, xxhash.xxh3_64_intdigest(row.tobytes())) for row in rows]
        drawn = [np.random.default_rng(seed).standard_normal(self.n_factors, np.float32) for seed in seeds]
        return np.array(drawn, np.float32).reshape(len(rows), self.n_factors)

    def _own(self, values: sparse.csr_array, n_ratings: Counts) -> npt.NDArray[Any]:  # noqa: ARG002 - of no account
        return np.zeros((values.shape[1], self.n_factors), np.float32)
