"""Measure lists of look-alikes: the rank of a film that should be found, hubs, agreement of labels.

Cosines are computed a block of rows at a time, so memory is that of the rows and of some hundred lists. Equal cosines
are ranked by ascending row, as a search does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalog.io.progress import Advance, ignore
from index.source import Ids
from index.vectors import FloatMatrix

FloatArray = npt.NDArray[np.float64]
_BLOCK_ROWS = 512


def nearest_rows(units: FloatMatrix, k: int, advance: Advance = ignore) -> Ids:
    """Find the k rows nearest to each row of length 1, itself left out: (n, k), fewer columns where there are fewer."""
    n = len(units)
    k = min(k, n - 1)
    lists = np.empty((n, k), np.int64)
    for start in range(0, n, _BLOCK_ROWS):
        rows = np.arange(start, min(start + _BLOCK_ROWS, n))
        cosines = units[rows] @ units.T
        cosines[np.arange(len(rows)), rows] = -np.inf
        if k:
            lists[rows] = _first(cosines, k)
        advance(len(rows))
    return lists


def _first(scores: FloatMatrix, k: int) -> Ids:
    least = np.partition(scores, -k, axis=1)[:, -k]
    result = np.empty((len(scores), k), np.int64)
    for number, (row, bound) in enumerate(zip(scores, least, strict=True)):
        candidates = np.flatnonzero(row >= bound)
        # Stable, so that equal scores stay in ascending order of rows.
        result[number] = candidates[np.argsort(-row[candidates], kind="stable")[:k]]
    return result


def first_ranks(queries: FloatMatrix, units: FloatMatrix, targets: Sequence[Ids], own: Ids | None = None) -> Ids:
    """Return for each query the rank, from 1, of the first of its targets among all rows; its own row is left out."""
    ranks = np.empty(len(queries), np.int64)
    for start in range(0, len(queries), _BLOCK_ROWS):
        numbers = np.arange(start, min(start + _BLOCK_ROWS, len(queries)))
        cosines = queries[numbers] @ units.T
        if own is not None:
            cosines[np.arange(len(numbers)), own[numbers]] = -np.inf
        ranks[numbers] = [_rank(row, targets[number]) for row, number in zip(cosines, numbers.tolist(), strict=True)]
    return ranks


def _rank(scores: FloatMatrix, targets: Ids) -> int:
    ordered = np.sort(targets)
    first = ordered[np.argmax(scores[ordered])]
    best = scores[first]
    return int(1 + np.count_nonzero(scores > best) + np.count_nonzero(scores[:first] == best))


def recall(lists: Ids, targets: Sequence[Ids]) -> FloatArray:
    """Return for each list the share of its targets that are in it, of as many as fit."""
    k = lists.shape[1]
    pairs = zip(lists, targets, strict=True)
    return np.array([np.isin(row, wanted).sum() / min(len(wanted), k) for row, wanted in pairs], np.float64)


@dataclass(frozen=True)
class Hubness:
    """How unevenly films stand in the lists of others; `most` is the number of lists with the most frequent film.

    References
    ----------
    .. [1] M. Radovanović, A. Nanopoulos, M. Ivanović, "Hubs in space: popular nearest neighbors in high-dimensional
       data", JMLR 11, 2010: the skewness of k-occurrences.
    """

    skewness: float
    most: int
    share_in_none: float


def hubness(lists: Ids) -> Hubness:
    """Count in how many of all films' lists each film is."""
    counts = np.bincount(lists.ravel(), minlength=len(lists)).astype(np.float64)
    deviations = counts - counts.mean()
    spread = counts.std()
    skewness = float((deviations**3).mean() / spread**3) if spread else 0.0
    return Hubness(skewness, int(counts.max()), float((counts == 0).mean()))


def agreement(labels: npt.NDArray[np.bool_], lists: Ids) -> FloatArray:
    """Compare labels (n, n_labels) of each row with those of its list.

    The mean of the Jaccard similarity of two sets of labels; of sets of one label, the share that is the same.
    """
    parts = [np.take_along_axis(similar, lists[rows], axis=1).mean(axis=1) for rows, similar in _jaccard(labels)]
    return np.concatenate(parts).astype(np.float64)


def chance_agreement(labels: npt.NDArray[np.bool_]) -> FloatArray:
    """Compare labels of each row with those of all other rows, as `agreement` does."""
    parts = [similar.sum(axis=1) - similar[np.arange(len(rows)), rows] for rows, similar in _jaccard(labels)]
    return np.concatenate(parts).astype(np.float64) / max(1, len(labels) - 1)


def _jaccard(labels: npt.NDArray[np.bool_]) -> Iterator[tuple[Ids, FloatMatrix]]:
    """Yield rows, a block at a time, and their Jaccard similarities with all rows."""
    marks = labels.astype(np.float32)
    sizes = marks.sum(axis=1)
    for start in range(0, len(marks), _BLOCK_ROWS):
        rows = np.arange(start, min(start + _BLOCK_ROWS, len(marks)))
        shared = marks[rows] @ marks.T
        yield rows, shared / np.maximum(sizes[rows, None] + sizes - shared, 1)
