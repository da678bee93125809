"""Calibrate similarities by ratings to the scale of visual similarities, over all candidates of a query."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt

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


def calibrate(values: FloatArray, scale: FloatArray, calibration: Calibration) -> tuple[FloatArray, float]:
    """Return the calibrated values, NaN where unknown, and the value that an unknown one is imputed with."""
    known, targets = ~np.isnan(values), scale[~np.isnan(scale)]
    if calibration == Calibration.RECIPROCAL_RANK:
        return reciprocal_ranks(values), 1 / (_RANK_OFFSET + (known.sum() + 1 + len(values)) / 2)
    if not len(targets) or not known.any():
        return values, float(targets.mean()) if len(targets) else 0.0
    if calibration == Calibration.PERCENTILE:
        return _by_quantiles(values, known, np.sort(targets)[::-1])
    to_scale = _by_deviations if calibration == Calibration.Z_SCORE else _by_range
    calibrated = to_scale(values, values[known], targets)
    return calibrated, min(float(targets.mean()), float(calibrated[known].min()))


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


def _by_quantiles(values: FloatArray, known: npt.NDArray[np.bool_], targets: FloatArray) -> tuple[FloatArray, float]:
    """Map values onto the quantiles of a descending scale; unknown ones take the mean of the quantiles left over."""
    n_known, n = int(known.sum()), len(values)
    # The r-th of n candidates takes the value at the same fraction of the scale, which may hold fewer films.
    fractions = (np.arange(n) + 0.5) / n
    quantiles = np.interp(fractions, (np.arange(len(targets)) + 0.5) / len(targets), targets)
    calibrated = np.full(n, np.nan)
    calibrated[known] = _by_rank(values[known], quantiles[:n_known])
    return calibrated, float(quantiles[n_known:].mean()) if n_known < n else float(targets.mean())


def _by_rank(values: FloatArray, descending_targets: FloatArray) -> FloatArray:
    """Map the largest value to the first target and so on; equal values share the mean of their targets."""
    _, groups = np.unique(-values, return_inverse=True)
    order = np.argsort(groups, kind="stable")
    totals = np.bincount(groups[order], weights=descending_targets)
    return np.asarray((totals / np.bincount(groups))[groups])
