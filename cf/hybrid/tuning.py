"""How much ratings shall count in the blend, by how many there are: fitted on ratings that were held out.

What is to be predicted is which films are liked by the same people: two films are a **co-like** of a user who gave
both four stars or more among the held-out ratings. For a film, every candidate is worth its number of co-likes, and a
blend is good if the worthiest stand first (NDCG@10 with these as gains). Films of few ratings are far outnumbered in
what is rated, and are what the blend is for; so films are put into buckets by their support, and each bucket counts
alike.
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
from cf.hybrid.blend import (
    Blending,
    Calibration,
    FloatArray,
    alpha_by_support,
    calibrated_sides,
    candidate_ids,
    support_of_pairs,
)
from cf.ratings import Ratings

BUCKETS = ((0, 0), (1, 4), (5, 19), (20, 99), (100, 10**9))
"""Of films, by their number of ratings, both ends included."""
LIKED_FROM = 4.0
CF_SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
HALF_SUPPORTS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
_K = 10


@dataclass(frozen=True)
class Question:
    """A film asked about, with what is known of it and what turned out to be liked with it."""

    support: int
    visual: ScoredIds
    cf: ScoredIds
    supports: npt.NDArray[np.integer]
    gains: ScoredIds


@dataclass(frozen=True)
class BucketScore:
    """How well films of so many ratings are answered."""

    least: int
    most: int
    n_films: int
    visual: float
    cf: float
    blended: float
    gain: Estimate


@dataclass(frozen=True)
class Tuning:
    """What was fitted, and how it does."""

    blending: Blending
    buckets: tuple[BucketScore, ...]


def co_likes(held_out: Ratings) -> tuple[npt.NDArray[np.int32], sparse.csr_array]:
    """Count how many users liked two films."""
    liked = held_out.where(held_out.values >= LIKED_FROM).matrix()
    ones = sparse.csr_array(
        (np.ones(len(liked.values.data), np.float32), liked.values.indices, liked.values.indptr),
        shape=liked.values.shape,
    )
    counts = sparse.lil_array(ones.T @ ones)
    counts.setdiag(0)
    found = sparse.csr_array(counts)
    found.eliminate_zeros()
    return liked.movie_ids, found


def tune(questions: Iterable[Question], calibration: Calibration = Calibration.PERCENTILE) -> Tuning:
    """Choose how much CF counts at most, and at how many ratings it counts half of that."""
    grid = list(product(CF_SHARES, HALF_SUPPORTS))
    supports, scores, alone = [], [], []
    for question in questions:
        supports.append(question.support)
        blended, by_looks, by_ratings = _scores(question, grid, calibration)
        scores.append(blended)
        alone.append((by_looks, by_ratings))
    if not scores:
        raise ValueError("tune wants one question or more")
    table, ends, n_ratings = np.array(scores), np.array(alone), np.array(supports)
    buckets = [(least, most, (n_ratings >= least) & (n_ratings <= most)) for least, most in BUCKETS]
    present = [(least, most, rows) for least, most, rows in buckets if rows.any()]
    best = int(np.argmax(np.mean([table[rows].mean(axis=0) for _, _, rows in present], axis=0).round(6)))
    judged = tuple(_judged(least, most, table[rows, best], ends[rows]) for least, most, rows in present)
    return Tuning(Blending(*grid[best], calibration), judged)


def _judged(least: int, most: int, blended: FloatArray, ends: FloatArray) -> BucketScore:
    gain = bootstrap(blended - ends[:, 1], np.ones(len(blended)))
    by_looks, by_ratings = ends.mean(axis=0).tolist()
    return BucketScore(least, most, len(blended), by_looks, by_ratings, float(blended.mean()), gain)


def _scores(
    question: Question, grid: list[tuple[float, float]], calibration: Calibration
) -> tuple[FloatArray, float, float]:
    """Score one film: blended for every pair of the grid, by looks alone, by ratings alone."""
    candidates = candidate_ids(question.visual, question.cf)
    sides = calibrated_sides(question.visual, question.cf, candidates, calibration)
    places = rows_of(candidates.astype(np.int32), question.gains.ids)
    gains = np.zeros(len(candidates))
    gains[places[places >= 0]] = question.gains.scores[places >= 0]
    ideal = _dcg(np.sort(question.gains.scores)[::-1][None, :_K])[0]
    support = support_of_pairs(question.support, question.supports, ~np.isnan(sides.cf))
    shares = [alpha_by_support(support, *pair) for pair in grid]
    unknown = np.isnan(sides.visual), np.isnan(sides.cf)
    ranked = [share * sides.looks + (1 - share) * sides.liked for share in shares]
    ranked += [np.where(unknown[0], -np.inf, sides.looks), np.where(unknown[1], -np.inf, sides.liked)]
    found = np.stack([_first(values, gains) for values in ranked])
    scores = _dcg(found) / ideal
    return scores[:-2], float(scores[-2]), float(scores[-1])


def _first(values: FloatArray, gains: FloatArray) -> FloatArray:
    """Take the gains of the first ten, none for what is unknown."""
    order = np.argsort(-values, kind="stable")[:_K]
    first = np.zeros(_K)
    first[: len(order)] = np.where(np.isinf(values[order]), 0, gains[order])
    return first


def _dcg(gains: FloatArray) -> FloatArray:
    return np.asarray(gains @ (1 / np.log2(np.arange(2, gains.shape[1] + 2))))
