"""Tune how much ratings count in the blend, by their number, on ratings that were held out.

Two films are **co-liked** by a user who gave both four stars or more among the held-out ratings. A candidate's gain is
its number of co-likes, and blends are compared by NDCG@10. Films with few ratings, which the blend is for, are
outnumbered in ratings; so films are put into buckets by their number of ratings, and each bucket has the same weight.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.scored_ids import ScoredIds
from cf.base import rows_of
from cf.evaluation.metrics import Estimate, bootstrap
from cf.hybrid.blend import Blending, calibrated_sides, candidate_ids, n_ratings_of_pairs, visual_share
from cf.hybrid.calibration import Calibration, FloatArray
from cf.ratings import Ratings

BUCKETS = ((0, 0), (1, 4), (5, 19), (20, 99), (100, 10**9))
"""Ranges of a film's number of ratings, both ends included."""
LIKED_FROM = 4.0
CF_SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
HALF_SUPPORTS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
_K = 10


@dataclass(frozen=True)
class Query:
    """A film with the similarities of its candidates and their gains."""

    n_ratings: int  # in training
    visual: ScoredIds
    cf: ScoredIds
    # Of each candidate in training, in the order of `cf.hybrid.blend.candidate_ids`.
    candidate_n_ratings: npt.NDArray[np.integer]
    gains: ScoredIds  # co-likes by movie_id


@dataclass(frozen=True)
class BucketScore:
    """NDCG@10 for the films of one bucket."""

    least: int
    most: int
    n_films: int
    visual: float
    cf: float
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
    """Choose the CF share, up to a largest one, and half support with the best NDCG@10; among equals the smaller share.

    Raises ValueError without queries.
    """
    shares = sorted({share for share in CF_SHARES if share < max_cf_share} | {max_cf_share})
    grid = list(product(shares, HALF_SUPPORTS))
    counts, scores, alone = [], [], []
    for query in queries:
        counts.append(query.n_ratings)
        blended, by_visual, by_cf = _scores(query, grid, calibration)
        scores.append(blended)
        alone.append((by_visual, by_cf))
    if not scores:
        raise ValueError("tune expects one query or more")
    table, ends, n_ratings = np.array(scores), np.array(alone), np.array(counts)
    buckets = [(least, most, (n_ratings >= least) & (n_ratings <= most)) for least, most in BUCKETS]
    present = [(least, most, rows) for least, most, rows in buckets if rows.any()]
    best = int(np.argmax(np.mean([table[rows].mean(axis=0) for _, _, rows in present], axis=0).round(6)))
    bucket_scores = tuple(_bucket_score(least, most, table[rows, best], ends[rows]) for least, most, rows in present)
    return Tuning(Blending(*grid[best], calibration), bucket_scores)


def _bucket_score(least: int, most: int, blended: FloatArray, ends: FloatArray) -> BucketScore:
    gain = bootstrap(blended - ends[:, 1], np.ones(len(blended)))
    by_visual, by_cf = ends.mean(axis=0).tolist()
    return BucketScore(least, most, len(blended), by_visual, by_cf, float(blended.mean()), gain)


def _scores(query: Query, grid: list[tuple[float, float]], calibration: Calibration) -> tuple[FloatArray, float, float]:
    """Score one film: blended for every pair of the grid, by looks alone, by ratings alone."""
    candidates = candidate_ids(query.visual, query.cf)
    sides = calibrated_sides(query.visual, query.cf, candidates, calibration)
    rows = rows_of(candidates.astype(np.int32), query.gains.ids)
    gains = np.zeros(len(candidates))
    gains[rows[rows >= 0]] = query.gains.scores[rows >= 0]
    ideal = _dcg(np.sort(query.gains.scores)[::-1][None, :_K])[0]
    n_ratings = n_ratings_of_pairs(query.n_ratings, query.candidate_n_ratings, ~np.isnan(sides.cf))
    shares = [visual_share(n_ratings, *pair) for pair in grid]
    ranked = [share * sides.imputed_visual + (1 - share) * sides.imputed_cf for share in shares]
    ranked += [
        np.where(np.isnan(sides.visual), -np.inf, sides.imputed_visual),
        np.where(np.isnan(sides.cf), -np.inf, sides.imputed_cf),
    ]
    scores = _dcg(np.stack([_first(values, gains) for values in ranked])) / ideal
    return scores[:-2], float(scores[-2]), float(scores[-1])


def _first(values: FloatArray, gains: FloatArray) -> FloatArray:
    """Return the gains of the first ten, 0 for unknown ones."""
    order = np.argsort(-values, kind="stable")[:_K]
    first = np.zeros(_K)
    first[: len(order)] = np.where(np.isinf(values[order]), 0, gains[order])
    return first


def _dcg(gains: FloatArray) -> FloatArray:
    return np.asarray(gains @ (1 / np.log2(np.arange(2, gains.shape[1] + 2))))
