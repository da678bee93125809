"""Blend visual similarity with similarity by ratings and by content, on one scale.

Similarities of different kinds cannot be added as they are: shrunk cosines of ratings lie near 0 for almost every pair
of films, cosines of posters do not. So similarities by ratings and by content are first calibrated to the scale of the
visual ones, query by query, over all candidates; after that,
``score = (1 - γ) · (alpha · visual + (1 - alpha) · cf) + γ · content`` reads as a cosine, where γ is the content share.

Unknown similarities stay NaN in the result. In the score they are imputed with the value of a typical film, which is
never above that of a film whose similarity is known.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from catalog.scored_ids import ScoredIds, rows_of_largest
from cf.hybrid.calibration import Calibration, FloatArray, Scale, calibrate, reciprocal_ranks

# Defaults until they are tuned: the largest weight of CF, and the number of ratings at which it has half that.
CF_SHARE = 0.5
N_RATINGS_AT_HALF = 50.0
# The share that content has of what ratings leave to it and to looks.
CONTENT_SHARE = 0.5


@dataclass(frozen=True)
class Blending:
    """The tuned parameters of a blend, which `cf.hybrid.tuning` fits."""

    cf_share: float = CF_SHARE
    n_ratings_at_half: float = N_RATINGS_AT_HALF
    calibration: Calibration = Calibration.PERCENTILE
    content_share: float = CONTENT_SHARE

    def alphas(self, n_ratings: npt.ArrayLike) -> FloatArray:
        """Return the visual share for numbers of ratings, where content does not count."""
        return visual_share(n_ratings, self.cf_share, self.n_ratings_at_half)

    def shares(
        self, n_ratings: npt.ArrayLike, *, has_visual: bool = True, has_cf: bool = True
    ) -> tuple[FloatArray, FloatArray]:
        r"""Return, for numbers of ratings, the visual share of what looks and ratings count, and the share of content.

        Ratings count as much as without content, :math:`r = 1 - \alpha`; content and looks share what they leave. What
        a missing side would count goes to the others, in proportion.
        """
        ratings = (1 - self.alphas(n_ratings)) * has_cf
        content = self.content_share * (1 - ratings)
        looks = (1 - ratings - content) * has_visual
        rest, whole = looks + ratings, looks + ratings + content
        alphas = np.divide(looks, rest, out=np.full_like(rest, float(has_visual or not has_cf)), where=rest > 0)
        return alphas, np.divide(content, whole, out=np.zeros_like(whole), where=whole > 0)


@dataclass(frozen=True)
class Content:
    """The agreement of candidates in content with a film, and how much it counts."""

    similarities: ScoredIds
    # Of each candidate, or of all.
    shares: FloatArray | float
    # Visual similarities of a typical film, onto which sides are calibrated where those of this film are unknown.
    scale: FloatArray | None = None


@dataclass(frozen=True)
class Blend:
    """Candidates by ascending id, and their blended scores; similarities are NaN where unknown."""

    movie_ids: npt.NDArray[np.int64]
    scores: FloatArray
    visual: FloatArray
    cf: FloatArray  # calibrated
    alphas: FloatArray
    content: FloatArray  # calibrated
    content_shares: FloatArray
    # What decides between equal scores: a short visual scale calibrates several films to one value.
    finer: tuple[FloatArray, ...]

    def take(self, rows: npt.NDArray[np.intp]) -> Blend:
        """Select candidates by position."""
        return Blend(
            self.movie_ids[rows],
            self.scores[rows],
            self.visual[rows],
            self.cf[rows],
            self.alphas[rows],
            self.content[rows],
            self.content_shares[rows],
            tuple(one[rows] for one in self.finer),
        )

    def best(self, n: int, among: npt.NDArray[np.intp] | None = None) -> npt.NDArray[np.intp]:
        """Return the rows of the n highest scores, or of those among some ascending rows, best first.

        Ties are by ascending id.
        """
        rows = np.arange(len(self.scores)) if among is None else among
        rows = rows[rows_of_largest(self.scores[rows], n)]
        keys = [-one[rows] for one in (self.scores, *self.finer)]
        return rows[np.lexsort(keys[::-1])[:n]]


@dataclass(frozen=True)
class Sides:
    """The similarities of all candidates, aligned by position."""

    visual: FloatArray
    cf: FloatArray  # as given
    calibrated_cf: FloatArray
    content: FloatArray  # as given
    calibrated_content: FloatArray
    # What is blended: without NaN, on one scale.
    imputed_visual: FloatArray
    imputed_cf: FloatArray
    imputed_content: FloatArray

    def take(self, rows: npt.NDArray[np.intp]) -> Sides:
        """Select candidates by position."""
        return Sides(**{one.name: getattr(self, one.name)[rows] for one in fields(self)})

    def scores(self, alphas: FloatArray, content_shares: FloatArray) -> FloatArray:
        """Blend all sides."""
        scores = alphas * self.imputed_visual + (1 - alphas) * self.imputed_cf
        if not content_shares.any():
            return scores
        return np.asarray((1 - content_shares) * scores + content_shares * self.imputed_content)


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
    content: Content | None = None,
    same_artwork: float = np.inf,
) -> Blend:
    """Blend similarities of the same candidates to one film.

    Visual ones from `same_artwork` on are of the same artwork; they say nothing of how alike other posters are.

    References
    ----------
    .. [1] S. Bruch et al., "An analysis of fusion functions for hybrid retrieval", ACM TOIS 42(1), 2023: a convex
       combination of calibrated scores beats reciprocal-rank fusion.
    .. [2] G. Cormack, C. Clarke, S. Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank
       learning methods", SIGIR 2009.
    """
    sides = calibrated_sides(visual, cf, candidates, calibration, content, same_artwork)
    share = np.broadcast_to(np.asarray(alphas, dtype=np.float64), candidates.shape)
    of_content = np.broadcast_to(np.asarray(content.shares if content else 0.0, dtype=np.float64), candidates.shape)
    scores = sides.scores(share, of_content)
    of_looks, of_ratings = share * (1 - of_content), (1 - share) * (1 - of_content)
    counts = ~np.isnan(sides.visual) & (of_looks > 0)
    counts |= ~np.isnan(sides.calibrated_cf) & (of_ratings > 0)
    counts |= ~np.isnan(sides.calibrated_content) & (of_content > 0)
    finer = _finer(sides.cf, of_ratings), _finer(sides.content, of_content)
    cf_values, content_values = sides.calibrated_cf, sides.calibrated_content
    whole = Blend(candidates, scores, sides.visual, cf_values, share, content_values, of_content, finer)
    return whole if counts.all() else whole.take(np.flatnonzero(counts))


def _finer(similarities: FloatArray, shares: FloatArray) -> FloatArray:
    return np.where((shares > 0) & ~np.isnan(similarities), similarities, -np.inf)


def calibrated_sides(
    visual: ScoredIds,
    cf: ScoredIds,
    candidates: npt.NDArray[np.int64],
    calibration: Calibration,
    content: Content | None = None,
    same_artwork: float = np.inf,
) -> Sides:
    """Align all similarities with the candidates and bring them onto one scale; see `blend`."""
    visual_values, cf_values = _aligned(visual, candidates), _aligned(cf, candidates)
    content_values = _aligned(content.similarities if content else ScoredIds.empty(), candidates)
    by_rank = calibration == Calibration.RECIPROCAL_RANK
    looks = reciprocal_ranks(visual_values) if by_rank else visual_values
    of_others = _without(visual_values, same_artwork)
    scale = Scale.of(looks if by_rank else _scale(of_others, content_values, content), len(candidates))
    calibrated, unknown_cf = calibrate(cf_values, scale, calibration)
    calibrated_content, unknown_content = calibrate(content_values, scale, calibration)
    return Sides(
        visual_values,
        cf_values,
        calibrated,
        content_values,
        calibrated_content,
        np.where(np.isnan(looks), scale.mean, looks),
        np.where(np.isnan(calibrated), unknown_cf, calibrated),
        np.where(np.isnan(calibrated_content), unknown_content, calibrated_content),
    )


def _without(visual: FloatArray, same_artwork: float) -> FloatArray:
    """Return similarities without those of the same artwork, unless there are no others."""
    of_others = np.where(visual >= same_artwork, np.nan, visual)
    return visual if np.isnan(of_others).all() else of_others


def _scale(visual: FloatArray, content: FloatArray, given: Content | None) -> FloatArray:
    """Return the similarities onto whose scale the others are brought: visual ones, or else those of content."""
    if given is None or not np.isnan(visual).all():
        return visual
    return content if given.scale is None else given.scale


def candidate_ids(*sides: ScoredIds) -> npt.NDArray[np.int64]:
    """List the films with at least one similarity, ascending."""
    ids = np.sort(np.concatenate([side.ids.astype(np.int64) for side in sides]))
    return ids[np.diff(ids, prepend=ids[:1] - 1) > 0]


def _aligned(side: ScoredIds, candidates: npt.NDArray[np.int64]) -> FloatArray:
    if np.array_equal(side.ids, candidates):
        return side.scores.astype(np.float64)
    values = np.full(len(candidates), np.nan)
    values[np.searchsorted(candidates, side.ids)] = side.scores
    return values
