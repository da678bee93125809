"""The blend of looking alike and being liked alike. Knows no files and no FAISS: ids and arrays only.

Two similarities of different make cannot be added as they are: shrunk cosines of ratings lie near 0 for almost every
pair of films, cosines of posters do not. So the CF similarity is **calibrated** onto the scale of the visual one, query
by query, over all candidates; by percentiles unless another way is asked for. After that,
``score = alpha · visual + (1 - alpha) · cf`` adds like to like, and a score reads as a cosine.

What is not known stays unknown (NaN) in the result. In the score it takes the value of a typical film, which is never
above that of a film that is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from catalog.scored_ids import ScoredIds

FloatArray = npt.NDArray[np.float64]

# Until they are fitted on validation ratings: the most that CF may count, and the support at which it counts half that.
CF_SHARE = 0.5
CF_HALF_SUPPORT = 50.0
# The constant of reciprocal-rank fusion (Cormack et al. 2009).
_RANK_OFFSET = 60.0


class Calibration(StrEnum):
    """How the similarities of ratings are brought onto the scale of those of looks, over all candidates of a query."""

    PERCENTILE = "percentile"
    """The nearest by ratings receives the cosine of the one that looks most alike, and so on down the quantiles."""
    Z_SCORE = "z-score"
    """So many standard deviations from the mean of the ones become as many from the mean of the others."""
    MIN_MAX = "min-max"
    """The least becomes the least, the largest the largest, and what lies between stays in proportion."""
    RECIPROCAL_RANK = "reciprocal-rank"
    """Both sides become 1 / (60 + rank), as in reciprocal-rank fusion; a score is then no cosine."""


@dataclass(frozen=True)
class Blending:
    """How the two sides are blended; what `cf.hybrid.tuning` fits."""

    cf_share: float = CF_SHARE
    half_support: float = CF_HALF_SUPPORT
    calibration: Calibration = Calibration.PERCENTILE

    def alphas(self, support: npt.ArrayLike) -> FloatArray:
        """Choose the visual share; see `alpha_by_support`."""
        return alpha_by_support(support, self.cf_share, self.half_support)


@dataclass(frozen=True)
class Blend:
    """Candidates ranked by their blended score, best first."""

    movie_ids: npt.NDArray[np.int64]
    scores: FloatArray
    visual: FloatArray
    cf: FloatArray
    alphas: FloatArray


@dataclass(frozen=True)
class Sides:
    """What both sides say of all candidates."""

    visual: FloatArray
    cf: FloatArray
    calibrated: FloatArray
    looks: FloatArray
    liked: FloatArray


def alpha_by_support(
    support: npt.ArrayLike, cf_share: float = CF_SHARE, half_support: float = CF_HALF_SUPPORT
) -> FloatArray:
    r"""Choose the visual share by how many ratings there are to go by.

    .. math:: 1 - \alpha = a \cdot \frac{n}{n + \lambda}
    """
    n_ratings = np.asarray(support, dtype=np.float64)
    return 1.0 - cf_share * n_ratings / (n_ratings + half_support)


def support_of_pairs(
    support: int, supports: npt.NDArray[np.integer], is_known: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Tell by how many ratings the visual share of each candidate goes.

    A similarity of ratings is as sure as the rarer of the two films lets it be. Where there is none, nothing is the
    surer for the candidate's ratings being few: were such a film shown by its looks alone, it would pass those that are
    known to be liked alike, whose looks count less. So it is weighed as the film asked about is, and its unknown side
    stands at the value of a typical film.
    """
    return np.where(is_known, np.minimum(supports, support), support).astype(np.int64)


def blend(
    visual: ScoredIds,
    cf: ScoredIds,
    alphas: FloatArray | float,
    candidates: npt.NDArray[np.int64],
    calibration: Calibration = Calibration.PERCENTILE,
) -> Blend:
    """Blend two similarities of the same candidates to one film.

    References
    ----------
    .. [1] S. Bruch et al., "An analysis of fusion functions for hybrid retrieval", ACM TOIS 42(1), 2023: a convex
       combination of calibrated scores beats reciprocal-rank fusion.
    .. [2] G. Cormack, C. Clarke, S. Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank
       learning methods", SIGIR 2009.
    """
    sides = calibrated_sides(visual, cf, candidates, calibration)
    looks, raw, liked = sides.visual, sides.cf, sides.calibrated
    share = np.broadcast_to(np.asarray(alphas, dtype=np.float64), candidates.shape)
    scores = share * sides.looks + (1 - share) * sides.liked
    counts = (~np.isnan(looks) & (share > 0)) | (~np.isnan(liked) & (share < 1))
    # A short scale gives several films one value: where ratings count, these still stand in the order of the ratings.
    finer = np.where((share < 1) & ~np.isnan(raw), raw, -np.inf)
    order = np.lexsort((candidates, -finer, -scores))
    order = order[counts[order]]
    return Blend(candidates[order], scores[order], looks[order], liked[order], share[order])


def calibrated_sides(
    visual: ScoredIds, cf: ScoredIds, candidates: npt.NDArray[np.int64], calibration: Calibration
) -> Sides:
    """Bring both sides of all candidates onto one scale; see `blend`."""
    looks, raw = _spread(visual, candidates), _spread(cf, candidates)
    scale = _reciprocal_ranks(looks) if calibration == Calibration.RECIPROCAL_RANK else looks
    liked, liked_unknown = _calibrated(raw, scale, calibration)
    looks_unknown = float(np.nanmean(scale)) if len(visual) else 0.0
    return Sides(
        looks,
        raw,
        liked,
        np.where(np.isnan(scale), looks_unknown, scale),
        np.where(np.isnan(liked), liked_unknown, liked),
    )


def candidate_ids(visual: ScoredIds, cf: ScoredIds) -> npt.NDArray[np.int64]:
    """List the films of which at least one side knows something."""
    return np.union1d(visual.ids, cf.ids).astype(np.int64)


def _spread(side: ScoredIds, candidates: npt.NDArray[np.int64]) -> FloatArray:
    values = np.full(len(candidates), np.nan)
    values[np.searchsorted(candidates, side.ids)] = side.scores
    return values


def _calibrated(values: FloatArray, scale: FloatArray, calibration: Calibration) -> tuple[FloatArray, float]:
    """Bring values onto a scale; and tell what a film counts as that they know nothing of."""
    known, targets = ~np.isnan(values), scale[~np.isnan(scale)]
    if calibration == Calibration.RECIPROCAL_RANK:
        return _reciprocal_ranks(values), 1 / (_RANK_OFFSET + (known.sum() + 1 + len(values)) / 2)
    if not len(targets) or not known.any():
        return values, float(targets.mean()) if len(targets) else 0.0
    if calibration == Calibration.PERCENTILE:
        return _by_quantiles(values, known, np.sort(targets)[::-1])
    if calibration == Calibration.Z_SCORE:
        calibrated = targets.mean() + targets.std() * _divided(values - values[known].mean(), values[known].std())
    else:
        least, largest = targets.min(), targets.max()
        reach = values[known].max() - values[known].min()
        # All alike: the middle of the scale.
        places = (values - values[known].min()) / reach if reach > 0 else values * 0 + 0.5
        calibrated = least + (largest - least) * places
    return calibrated, min(float(targets.mean()), float(calibrated[known].min()))


def _divided(values: FloatArray, by: float) -> FloatArray:
    return values / by if by > 0 else values * 0


def _reciprocal_ranks(values: FloatArray) -> FloatArray:
    """Give the largest 1 / (60 + 1) and so on; equal values share the mean, what is unknown stays so."""
    known = ~np.isnan(values)
    ranked = np.full(len(values), np.nan)
    ranked[known] = _by_rank(values[known], 1 / (_RANK_OFFSET + np.arange(1, known.sum() + 1)))
    return ranked


def _by_quantiles(values: FloatArray, known: npt.NDArray[np.bool_], targets: FloatArray) -> tuple[FloatArray, float]:
    """Map values onto the quantiles of a descending scale; and what that leaves, on average, to the unknown ones."""
    n_known, n = int(known.sum()), len(values)
    # The r-th of n candidates takes the value at the same fraction of the scale, which may hold fewer films.
    fractions = (np.arange(n) + 0.5) / n
    quantiles = np.interp(fractions, (np.arange(len(targets)) + 0.5) / len(targets), targets)
    calibrated = np.full(n, np.nan)
    calibrated[known] = _by_rank(values[known], quantiles[:n_known])
    return calibrated, float(quantiles[n_known:].mean()) if n_known < n else float(targets.mean())


def _by_rank(values: FloatArray, descending_targets: FloatArray) -> FloatArray:
    """Give the largest value the first target and so on; equal values share the mean of their targets."""
    _, groups = np.unique(-values, return_inverse=True)
    order = np.argsort(groups, kind="stable")
    totals = np.bincount(groups[order], weights=descending_targets)
    return np.asarray((totals / np.bincount(groups))[groups])
