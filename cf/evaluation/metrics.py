"""Measures of predictions and recommendations, user by user, with bootstrap intervals.

Rankings are full: ranks count among all films, never among a sample of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Films = npt.NDArray[np.integer]
# Resamples drawn at once: bounds memory, and does not change the result.
_RESAMPLES_AT_ONCE = 50


@dataclass(frozen=True)
class Estimate:
    """A mean over users with its 95 % bootstrap interval, which is NaN of a single user."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class RankingScores:
    """The measures of each user's ranking, (n_users,) each."""

    recall: FloatArray
    ndcg: FloatArray
    reciprocal_rank: FloatArray


def ranking_scores(rankings: Sequence[Films], relevant: Sequence[Films], k: int) -> RankingScores:
    r"""Score rankings by the ranks of the relevant films.

    Of user u with relevant films :math:`R_u`, all alike in relevance: recall is the share of :math:`R_u` among the
    first k; NDCG is :math:`\sum_{p \le k} [f_p \in R_u] / \log_2(p + 1)` over its largest possible value; the
    reciprocal rank is 1 / p of the first relevant film, wherever it stands, and 0 where none stands anywhere.



    References
    ----------
    .. [1] K. Järvelin and J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20(4), 2002.
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)
    scores = np.zeros((3, len(rankings)))
    for user, (ranked, wanted) in enumerate(zip(rankings, relevant, strict=True)):
        hits = np.flatnonzero(np.isin(ranked, wanted))
        first = hits[hits < k]
        scores[0, user] = len(first) / len(wanted)
        scores[1, user] = discounts[first].sum() / ideal[min(k, len(wanted)) - 1]
        scores[2, user] = 1 / (hits[0] + 1) if len(hits) else 0.0
    return RankingScores(*scores)


def item_coverage(rankings: Sequence[Films], k: int, n_films: int) -> float:
    """Return the share of films that are among the first k of any user."""
    shown = np.unique(np.concatenate([ranked[:k] for ranked in rankings])) if len(rankings) else np.empty(0)
    return len(shown) / max(1, n_films)


def novelty(rankings: Sequence[Films], k: int, popularity: dict[int, int], n_users: int) -> float:
    r"""Return how far from obvious recommendations are: the mean self-information of the films among the first k.

    .. math:: -\log_2 (n_i / n)

    where :math:`n_i` of n users rated film i; a film that nobody rated counts as rated by one.



    References
    ----------
    .. [1] T. Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems", PNAS 107(10), 2010.
    """
    shown = np.concatenate([ranked[:k] for ranked in rankings]).tolist() if len(rankings) else []
    if not shown:
        return float("nan")
    counts = np.array([max(1, popularity.get(movie_id, 1)) for movie_id in shown])
    return float(np.mean(-np.log2(counts / max(1, n_users))))


def bootstrap(totals: FloatArray, weights: FloatArray, *, root: bool = False, n: int = 1000, seed: int = 0) -> Estimate:
    """Estimate a weighted mean, or its root, and its 95 % interval by resampling users; one user has no interval.

    References
    ----------
    .. [1] B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; each user is drawn a number
       of times that is Poisson distributed (Hanley and MacGibbon 2006).
    """
    if not weights.sum():
        return Estimate(*[float("nan")] * 3)
    value = totals.sum() / weights.sum()
    if np.count_nonzero(weights) < 2:
        return Estimate(float(np.sqrt(value) if root else value), *[float("nan")] * 2)
    rng = np.random.default_rng(seed)
    means = []
    for start in range(0, n, _RESAMPLES_AT_ONCE):
        times = rng.poisson(1.0, (min(_RESAMPLES_AT_ONCE, n - start), len(totals)))
        drawn = times @ weights
        means.append((times @ totals)[drawn > 0] / drawn[drawn > 0])
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    ends = np.array([value, low, high])
    return Estimate(*(np.sqrt(ends) if root else ends).tolist())
