"""Calibrate similarities by ratings to the scale of visual similarities, over all candidates of a query."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from catalog.lazy import lazy

FloatArray = npt.NDArray[np.float64]

# The constant of reciprocal-rank fusion (Cormack et al. 2009).
_RANK_OFFSET = 60.0


class Calibration(StrEnum):
    """How values are brought to the scale of visual similarities."""

    PERCENTILE = "percentile"
    """The value at a quantile becomes the visual similarity at the same quantile."""
    Z_SCORE = "z-score"
    """Standard deviations from the mean are kept."""
    MIN_MAX = "min-max"
    """The smallest and the largest become the smallest and the largest; those between stay in proportion."""
    RECIPROCAL_RANK = "reciprocal-rank"
    """Both sides become 1 / (60 + rank), as in reciprocal-rank fusion; a score is then no cosine."""


@dataclass(frozen=True)
class Scale:
    """The known visual similarities of a query, to whose scale the values of all candidates are brought."""

    targets: FloatArray
    n_candidates: int

    @classmethod
    def of(cls, similarities: FloatArray, n_candidates: int) -> Scale:
        """Leave out unknown similarities."""
        return cls(similarities[~np.isnan(similarities)], n_candidates)

    @lazy
    def mean(self) -> float:
        """Return the similarity of a typical film."""
        return float(self.targets.mean()) if len(self.targets) else 0.0

    @lazy
    def quantiles(self) -> FloatArray:
        """Return what the r-th of all candidates takes: the value at the same fraction of the scale.

        The scale may hold fewer films.
        """
        fractions = (np.arange(self.n_candidates) + 0.5) / self.n_candidates
        n_targets = len(self.targets)
        return np.interp(fractions, (np.arange(n_targets) + 0.5) / n_targets, np.sort(self.targets)[::-1])


def calibrate(values: FloatArray, scale: Scale, calibration: Calibration) -> tuple[FloatArray, float]:
    """Return the calibrated values, NaN where unknown, and the value that an unknown one is imputed with."""
    known = ~np.isnan(values)
    if calibration == Calibration.RECIPROCAL_RANK:
        return reciprocal_ranks(values), 1 / (_RANK_OFFSET + (known.sum() + 1 + len(values)) / 2)
    if not len(scale.targets) or not known.any():
        return values, scale.mean
    if calibration == Calibration.PERCENTILE:
        return _by_quantiles(values, known, scale)
    to_scale = _by_deviations if calibration == Calibration.Z_SCORE else _by_range
    calibrated = to_scale(values, values[known], scale.targets)
    return calibrated, min(scale.mean, float(calibrated[known].min()))


def reciprocal_ranks(values: FloatArray) -> FloatArray:
    """Return 1 / (60 + rank) of each value, ranks from 1; equal values share the mean, NaN stays NaN."""
    known = ~np.isnan(values)
    ranked = np.full(len(values), np.nan)
    ranked[known] = _by_rank(values[known], 1 / (_RANK_OFFSET + np.arange(1, known.sum() + 1)))
    return ranked


def _by_deviations(values: FloatArray, known: FloatArray, targets: FloatArray) -> FloatArray:
    deviation = known.std()
    return np.asarray(
        targets.mean() + targets.std() * ((values - known.mean()) / deviation if deviation > 0 else values * 0)
    )


def _by_range(values: FloatArray, known: FloatArray, targets: FloatArray) -> FloatArray:
    width = known.max() - known.min()
    # Equal values become the middle of the scale.
    fractions = (values - known.min()) / width if width > 0 else values * 0 + 0.5
    return np.asarray(targets.min() + (targets.max() - targets.min()) * fractions)


def _by_quantiles(values: FloatArray, known: npt.NDArray[np.bool_], scale: Scale) -> tuple[FloatArray, float]:
    """Map values to the quantiles of a scale; unknown ones take the mean of the quantiles left over."""
    n_known, quantiles = int(known.sum()), scale.quantiles
    calibrated = np.full(len(values), np.nan)
    calibrated[known] = _by_rank(values[known], quantiles[:n_known])
    return calibrated, float(quantiles[n_known:].mean()) if n_known < len(values) else scale.mean


def _by_rank(values: FloatArray, descending_targets: FloatArray) -> FloatArray:
    """Map the largest value to the first target and so on; equal values share the mean of their targets."""
    order = np.argsort(-values)
    descending = values[order]
    is_first = np.ones(len(values), bool)
    is_first[1:] = descending[1:] != descending[:-1]
    firsts = np.flatnonzero(is_first)
    counts = np.diff(firsts, append=len(values))
    mapped = np.empty(len(values))
    mapped[order] = np.repeat(np.add.reduceat(descending_targets, firsts) / counts, counts)
    return mapped
