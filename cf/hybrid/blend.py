"""Blend visual similarity with similarity by ratings, on one scale.

Similarities of different kinds cannot be added as they are: shrunk cosines of ratings lie near 0 for almost every pair
of films, cosines of posters do not. So similarities by ratings are first calibrated to the scale of the visual ones,
query by query, over all candidates; after that, ``score = alpha · visual + (1 - alpha) · cf`` reads as a cosine.

Unknown similarities stay NaN in the result. In the score they are imputed with the value of a typical film, which is
never above that of a film whose similarity is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalog.scored_ids import ScoredIds
from cf.hybrid.calibration import Calibration, FloatArray, calibrate, reciprocal_ranks

# Defaults until they are tuned: the largest weight of CF, and the number of ratings at which it has half that.
CF_SHARE = 0.5
N_RATINGS_AT_HALF = 50.0


@dataclass(frozen=True)
class Blending:
    """The tuned parameters of a blend, which `cf.hybrid.tuning` fits."""

    cf_share: float = CF_SHARE
    n_ratings_at_half: float = N_RATINGS_AT_HALF
    calibration: Calibration = Calibration.PERCENTILE

    def alphas(self, n_ratings: npt.ArrayLike) -> FloatArray:
        """Return the visual share for numbers of ratings."""
        return visual_share(n_ratings, self.cf_share, self.n_ratings_at_half)


@dataclass(frozen=True)
class Blend:
    """Candidates ranked by their blended score, best first; similarities are NaN where unknown."""

    movie_ids: npt.NDArray[np.int64]
    scores: FloatArray
    visual: FloatArray
    cf: FloatArray  # calibrated
    alphas: FloatArray


@dataclass(frozen=True)
class Sides:
    """Both similarities of all candidates, aligned by position."""

    visual: FloatArray
    cf: FloatArray  # as given
    calibrated_cf: FloatArray
    # What is blended: without NaN, on one scale.
    imputed_visual: FloatArray
    imputed_cf: FloatArray


def visual_share(
    n_ratings: npt.ArrayLike, cf_share: float = CF_SHARE, n_ratings_at_half: float = N_RATINGS_AT_HALF
) -> FloatArray:
    r"""Choose the visual share α by the number of ratings.

    .. math:: 1 - \alpha = a \cdot \frac{n}{n + \lambda}
    """
    n = np.asarray(n_ratings, dtype=np.float64)
    return 1.0 - cf_share * n / (n + n_ratings_at_half)


def n_ratings_of_pairs(
    n_ratings: int, of_candidates: npt.NDArray[np.integer], is_known: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Choose the number of ratings by which each pair of a film and a candidate is weighted.

    A similarity by ratings is as reliable as the rarer of the two films lets it be. Where it is unknown, the film's own
    number counts: with few ratings of the candidate, its visual share would grow, and it would pass candidates that are
    known to be similar by ratings.
    """
    return np.where(is_known, np.minimum(of_candidates, n_ratings), n_ratings).astype(np.int64)


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
    share = np.broadcast_to(np.asarray(alphas, dtype=np.float64), candidates.shape)
    scores = share * sides.imputed_visual + (1 - share) * sides.imputed_cf
    counts = (~np.isnan(sides.visual) & (share > 0)) | (~np.isnan(sides.calibrated_cf) & (share < 1))
    # A short visual scale calibrates several films to one value: where ratings count, they decide between these.
    finer = np.where((share < 1) & ~np.isnan(sides.cf), sides.cf, -np.inf)
    if np.isneginf(finer).all():
        # Candidates are ascending already; most of the time of a query of looks alone would go into sorting them.
        order = np.argsort(-scores, kind="stable")
    else:
        order = np.lexsort((candidates, -finer, -scores))
    order = order[counts[order]]
    return Blend(candidates[order], scores[order], sides.visual[order], sides.calibrated_cf[order], share[order])


def calibrated_sides(
    visual: ScoredIds, cf: ScoredIds, candidates: npt.NDArray[np.int64], calibration: Calibration
) -> Sides:
    """Align both similarities with the candidates and bring them onto one scale."""
    visual_values, cf_values = _aligned(visual, candidates), _aligned(cf, candidates)
    scale = reciprocal_ranks(visual_values) if calibration == Calibration.RECIPROCAL_RANK else visual_values
    calibrated, unknown_cf = calibrate(cf_values, scale, calibration)
    unknown_visual = float(np.nanmean(scale)) if len(visual) else 0.0
    return Sides(
        visual_values,
        cf_values,
        calibrated,
        np.where(np.isnan(scale), unknown_visual, scale),
        np.where(np.isnan(calibrated), unknown_cf, calibrated),
    )


def candidate_ids(visual: ScoredIds, cf: ScoredIds) -> npt.NDArray[np.int64]:
    """List the films with at least one similarity, ascending."""
    added = cf.ids[~np.isin(cf.ids, visual.ids)]
    # A stable sort takes one pass over ids that are ascending already.
    return np.sort(np.concatenate([visual.ids, added]).astype(np.int64), kind="stable")


def _aligned(side: ScoredIds, candidates: npt.NDArray[np.int64]) -> FloatArray:
    values = np.full(len(candidates), np.nan)
    values[np.searchsorted(candidates, side.ids)] = side.scores
    return values
