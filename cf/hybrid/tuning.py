"""Tune how much ratings and content count in the blend, by the number of ratings, on ratings that were held out.

Two films are **co-liked** by a user who gave both four stars or more among the held-out ratings. A candidate's gain is
its number of co-likes, and blends are compared by NDCG@10. Films with few ratings, which the blend is for, are
outnumbered in ratings; so films are put into buckets by their number of ratings, and each bucket has the same weight.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.scored_ids import ScoredIds
from cf.base import rows_of
from cf.evaluation.metrics import Estimate, bootstrap
from cf.hybrid.blend import Blending, Content, Sides, calibrated_sides, candidate_ids, n_ratings_of_pairs
from cf.hybrid.calibration import Calibration, FloatArray
from cf.ratings import Ratings

BUCKETS = ((0, 0), (1, 4), (5, 19), (20, 99), (100, 10**9))
"""Ranges of a film's number of ratings, both ends included."""
LIKED_FROM = 4.0
CF_SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
HALF_SUPPORTS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
CONTENT_SHARES = (0.0, 0.1, 0.25, 0.5, 0.75)
_K = 10
# Only these of each side can be among the first ten of a blend.
_N_NEAREST = 200


@dataclass(frozen=True)
class Query:
    """A film with the similarities of its candidates and their gains."""

    n_ratings: int  # in training
    visual: ScoredIds
    cf: ScoredIds
    # Of each candidate in training, in the order of `cf.hybrid.blend.candidate_ids`.
    candidate_n_ratings: npt.NDArray[np.integer]
    gains: ScoredIds  # co-likes by movie_id
    content: ScoredIds = field(default_factory=ScoredIds.empty)


@dataclass(frozen=True)
class BucketScore:
    """NDCG@10 for the films of one bucket."""

    least: int
    most: int
    n_films: int
    visual: float
    cf: float
    content: float
    blended: float
    gain: Estimate  # of blended over ratings alone, film by film


@dataclass(frozen=True)
class Tuning:
    """The best blend, and its scores for each bucket that has films."""

    blending: Blending
    buckets: tuple[BucketScore, ...]


def co_likes(held_out: Ratings) -> tuple[npt.NDArray[np.int32], sparse.csr_array]:
    """Return the films that somebody liked, ascending, and a matrix of how many users liked both of two."""
    liked = held_out.where(held_out.values >= LIKED_FROM).matrix()
    ones = sparse.csr_array(
        (np.ones(len(liked.values.data), np.float32), liked.values.indices, liked.values.indptr),
        shape=liked.values.shape,
    )
    counts = sparse.lil_array(ones.T @ ones)
    counts.setdiag(0)
    pairs = sparse.csr_array(counts)
    pairs.eliminate_zeros()
    return liked.movie_ids, pairs


def tune(
    queries: Iterable[Query], calibration: Calibration = Calibration.PERCENTILE, max_cf_share: float = 1.0
) -> Tuning:
    """Choose the CF share, up to a largest one, half support and content share with the best NDCG@10.

    Among equals the smaller content share wins, then the smaller CF share. Raises ValueError without queries.
    """
    grid = _grid(calibration, max_cf_share)
    counts, scores, alone = [], [], []
    for query in queries:
        counts.append(query.n_ratings)
        blended, by_side = _scores(query, grid, calibration)
        scores.append(blended)
        alone.append(by_side)
    if not scores:
        raise ValueError("tune expects one query or more")
    table, ends, n_ratings = np.array(scores), np.array(alone), np.array(counts)
    buckets = [(least, most, (n_ratings >= least) & (n_ratings <= most)) for least, most in BUCKETS]
    present = [(least, most, rows) for least, most, rows in buckets if rows.any()]
    best = int(np.argmax(np.mean([table[rows].mean(axis=0) for _, _, rows in present], axis=0).round(6)))
    bucket_scores = tuple(_bucket_score(least, most, table[rows, best], ends[rows]) for least, most, rows in present)
    return Tuning(grid[best], bucket_scores)


def _grid(calibration: Calibration, max_cf_share: float) -> list[Blending]:
    """List the blends to try."""
    cf_shares = sorted({share for share in CF_SHARES if share < max_cf_share} | {max_cf_share})
    return [
        Blending(cf_share, at_half, calibration, of_content)
        for of_content, cf_share, at_half in product(CONTENT_SHARES, cf_shares, HALF_SUPPORTS)
    ]


def _bucket_score(least: int, most: int, blended: FloatArray, ends: FloatArray) -> BucketScore:
    gain = bootstrap(blended - ends[:, 1], np.ones(len(blended)))
    by_visual, by_cf, by_content = ends.mean(axis=0).tolist()
    return BucketScore(least, most, len(blended), by_visual, by_cf, by_content, float(blended.mean()), gain)


def _scores(query: Query, grid: list[Blending], calibration: Calibration) -> tuple[FloatArray, FloatArray]:
    """Score one film: blended in every way of the grid, and by looks, ratings and content alone."""
    candidates = candidate_ids(query.visual, query.cf, query.content)
    content = Content(query.content, 0.0) if len(query.content) else None
    sides = calibrated_sides(query.visual, query.cf, candidates, calibration, content)
    rows = rows_of(candidates.astype(np.int32), query.gains.ids)
    gains = np.zeros(len(candidates))
    gains[rows[rows >= 0]] = query.gains.scores[rows >= 0]
    ideal = _dcg(np.sort(query.gains.scores)[::-1][None, :_K])[0]
    n_ratings = n_ratings_of_pairs(query.n_ratings, query.candidate_n_ratings, ~np.isnan(sides.cf))
    alone = [
        np.where(np.isnan(known), -np.inf, imputed)
        for known, imputed in (
            (sides.visual, sides.imputed_visual),
            (sides.cf, sides.imputed_cf),
            (sides.content, sides.imputed_content),
        )
    ]
    ends = _dcg(np.stack([_first(values, gains) for values in alone])) / ideal
    near = _near(sides)
    sides, gains, n_ratings = sides.take(near), gains[near], n_ratings[near]
    ranked = [sides.scores(*one.shares(n_ratings)) for one in grid]
    return _dcg(np.stack([_first(values, gains) for values in ranked])) / ideal, ends


def _near(sides: Sides) -> npt.NDArray[np.intp]:
    """Return the nearest candidates by each of the sides."""
    imputed = (sides.imputed_visual, sides.imputed_cf, sides.imputed_content)
    return np.unique(np.concatenate([np.argsort(-values, kind="stable")[:_N_NEAREST] for values in imputed]))


def _first(values: FloatArray, gains: FloatArray) -> FloatArray:
    """Return the gains of the first ten, 0 for unknown ones."""
    order = np.argsort(-values, kind="stable")[:_K]
    first = np.zeros(_K)
    first[: len(order)] = np.where(np.isinf(values[order]), 0, gains[order])
    return first


def _dcg(gains: FloatArray) -> FloatArray:
    return np.asarray(gains @ (1 / np.log2(np.arange(2, gains.shape[1] + 2))))
