"""Building a shortlist index and measuring any index: what is fitted, what is tuned, what is reported.

Some films are held out from fitting the basis. Their true nearest films are computed in the same pass over the
features that projects them; the shortlists are then made just as long as the wanted recall asks for. May import
`catalog` only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from index.backends.base import Rows
from index.backends.basis import fit_basis
from index.backends.projection import Projected, Projections
from index.backends.shortlist import ShortlistRows, Sizes
from index.plan import RANKS, Plan
from index.source import FilmFeatures, Ids
from index.vectors import FloatMatrix, unit_rows

RECALLED = (1, 10, 100)
"""The numbers of hits for which recall is measured."""

_N_HELD_OUT = 200
# What some hundred films say of all is right but for some thousandths: aimed is so much of the way higher.
_MARGIN = 0.3
# A film of the index may have kin in it, sequels and other prints of one artwork, which are easily found. What is
# nearest to a stranger is as far away as these neighbors of a film, so its shortlist must be as long as theirs.
_STRANGE = 10
# So many films teach a quantiser what it needs to know.
_N_TRAIN = 100_000
_CHUNK_ROWS = 50_000
# Rounding: a film that is found in place of one just as near is as good.
_TIE = 1e-5


@dataclass(frozen=True)
class Trial:
    """Films whose true neighbors are known.

    Parameters
    ----------
    rows : ndarray of shape (n,), int64
        Which films.
    units : ndarray of shape (n, n_features), float32
        Their features, of length 1.
    neighbors : ndarray of shape (n, k), int64
        The rows truly nearest to each, itself left out, nearest first.
    cosines : ndarray of shape (n, k), float32
        Their cosines.
    """

    rows: Ids
    units: FloatMatrix
    neighbors: Ids
    cosines: FloatMatrix


def build_shortlist(
    features: FilmFeatures,
    plan: Plan,
    mean: FloatMatrix | None,
    rng: np.random.Generator,
    target_recall: float,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[ShortlistRows, Trial]:
    """Fit a basis, project all films, and make shortlists as long as they must be.

    Parameters
    ----------
    features : FilmFeatures
        The films; neither zero nor without end.
    plan : Plan
        The longest basis, and how projections are stored.
    mean : ndarray of shape (n_features,), float32, or None
        What is subtracted first.
    rng : numpy.random.Generator
        Draws samples.
    target_recall : float
        The share of the truly nearest film, and of the 10, and of the 100, that should be found.
    advance : callable, optional
        Is told of films that are done.

    Returns
    -------
    rows : ShortlistRows
        In memory.
    trial : Trial
        What they may be measured by.
    """
    held_out = _hold_out(len(features), rng)
    # A single film is held out, and yet all that there is to fit.
    others = np.setdiff1d(np.arange(len(features)), held_out) if len(features) > 1 else held_out
    rank = min(plan.rank, len(others), features.n_features)
    basis, _ = fit_basis(features.take(others), rank, mean, rng)
    projected, trial = _projected(features, basis, mean, held_out, advance)
    aim = target_recall + _MARGIN * (1 - target_recall)
    rank, sizes = _choose(projected.rows, trial, plan, basis.shape[1], features, aim)
    rows = ShortlistRows(
        features,
        np.ascontiguousarray(basis[:, :rank]),
        Projections(_codes(projected.rows[:, :rank], plan, rng), projected.lengths, projected.checksums),
        mean,
        sizes,
    )
    return _lengthened(rows, trial, plan.n_lists, aim), trial


def _hold_out(n_films: int, rng: np.random.Generator) -> Ids:
    n_held_out = min(_N_HELD_OUT, max(1, n_films // 10))
    return np.sort(rng.choice(n_films, n_held_out, replace=False)).astype(np.int64)


def _projected(
    features: FilmFeatures,
    basis: FloatMatrix,
    mean: FloatMatrix | None,
    held_out: Ids,
    advance: Callable[[int], None],
) -> tuple[Projected, Trial]:
    """Read every film once: for its projection, and for its cosines with those held out."""
    projected = Projected.none(basis.shape[1], len(features))
    nearest = _Nearest(held_out, unit_rows(features.read(held_out), mean)[0], min(RECALLED[-1], len(features) - 1))
    start = 0
    for block in features.blocks():
        units, lengths = unit_rows(block, mean)
        projected.put(start, block, lengths, units @ basis)
        nearest.look_at(start, units)
        start += len(block)
        advance(len(block))
    return projected, nearest.trial()


def make_trial(rows: Rows, rng: np.random.Generator) -> Trial:
    """Compare some films with all others.

    Parameters
    ----------
    rows : Rows
        An index.
    rng : numpy.random.Generator
        Draws the films.

    Returns
    -------
    Trial
        By plain products of matrices.
    """
    held_out = _hold_out(len(rows), rng)
    nearest = _Nearest(held_out, rows.units(held_out), min(RECALLED[-1], len(rows) - 1))
    for start in range(0, len(rows), 512):
        nearest.look_at(start, rows.units(np.arange(start, min(start + 512, len(rows)))))
    return nearest.trial()


class _Nearest:
    """The films nearest to some, found a block at a time."""

    def __init__(self, rows: Ids, units: FloatMatrix, k: int) -> None:
        self._rows, self._units, self._k = rows, units, k
        self._neighbors = np.empty((len(rows), 0), np.int64)
        self._cosines = np.empty((len(rows), 0), np.float32)

    def look_at(self, start: int, units: FloatMatrix) -> None:
        """Compare with the next block, whose first row is `start`."""
        cosines = self._units @ units.T
        own = (self._rows >= start) & (self._rows < start + len(units))
        cosines[np.flatnonzero(own), self._rows[own] - start] = -np.inf
        numbers = np.broadcast_to(np.arange(start, start + len(units)), cosines.shape)
        both = np.concatenate([self._cosines, cosines], axis=1)
        names = np.concatenate([self._neighbors, numbers], axis=1)
        order = np.argsort(-both, axis=1, kind="stable")[:, : self._k]
        self._cosines = np.take_along_axis(both, order, axis=1)
        self._neighbors = np.take_along_axis(names, order, axis=1)

    def trial(self) -> Trial:
        return Trial(self._rows, self._units, self._neighbors, self._cosines)


def _choose(
    projected: npt.NDArray[np.float16],
    trial: Trial,
    plan: Plan,
    longest: int,
    features: FilmFeatures,
    target_recall: float,
) -> tuple[int, Sizes]:
    """Choose the basis that costs a query least: a shorter one is sooner looked through, and needs a longer list."""
    row_bytes = features.n_features * features.dtype.itemsize
    best: tuple[float, int, Sizes] | None = None
    for rank in [rank for rank in RANKS if rank < longest] + [longest]:
        sizes = _sizes(_places(projected[:, :rank], trial), target_recall)
        seen = len(projected) if not plan.n_lists else len(projected) / 8
        # A row comes from the disk, or from far apart in memory: twice as dear as what is read in one go.
        cost_bytes = 2.0 * rank * seen + 2.0 * row_bytes * sizes.for_hits(10)
        if best is None or cost_bytes < best[0]:
            best = (cost_bytes, rank, sizes)
    if best is None:
        raise ValueError("a basis has one direction at least")
    return best[1], replace(best[2], n_probe=max(1, plan.n_lists // 32) if plan.n_lists else 0)


def _places(projected: npt.NDArray[np.float16], trial: Trial) -> Ids:
    """Tell at which place each true neighbor stands by its projection, from 0; of shape (n, k)."""
    queries = projected[trial.rows].astype(np.float32)
    theirs = np.einsum("ijk,ik->ij", projected[trial.neighbors].astype(np.float32), queries)
    ahead = np.zeros(trial.neighbors.shape, np.int64)
    for start in range(0, len(projected), _CHUNK_ROWS):
        scores = queries @ projected[start : start + _CHUNK_ROWS].astype(np.float32).T
        own = (trial.rows >= start) & (trial.rows < start + scores.shape[1])
        scores[np.flatnonzero(own), trial.rows[own] - start] = -np.inf
        for query, (row, values) in enumerate(zip(scores, theirs, strict=True)):
            # Sum and product differ by rounding, so that a film may seem to stand ahead of itself.
            ahead[query] += len(row) - np.searchsorted(np.sort(row), values + _TIE, side="right")
    return ahead


def _sizes(places: Ids, target_recall: float) -> Sizes:
    by_k: dict[int, int] = {}
    for k in RECALLED:
        if k <= places.shape[1]:
            # The film asked about stands on its own list.
            enough = 2 + max(
                np.quantile(places[:, first : first + k] - first, target_recall, method="higher")
                for first in (0, min(_STRANGE, places.shape[1] - k))
            )
            by_k[k] = max(int(enough), k + 1, *by_k.values())
    return Sizes(by_k or {1: 2})


def _codes(projected: npt.NDArray[np.float16], plan: Plan, rng: np.random.Generator) -> faiss.Index:
    rank = projected.shape[1]
    # Product quantization cuts rows into equal parts. Without "np", FAISS spends a second on each, for no use of ours.
    n_parts = next(n for n in range(max(1, rank // 8), 0, -1) if rank % n == 0)
    codec = f"PQ{n_parts}np" if plan.codec == "PQ" else plan.codec
    spec = f"IVF{plan.n_lists},{codec}" if plan.n_lists else codec
    codes = faiss.index_factory(rank, spec, faiss.METRIC_INNER_PRODUCT)
    sample = np.sort(rng.choice(len(projected), min(_N_TRAIN, len(projected)), replace=False))
    codes.train(projected[sample].astype(np.float32))
    for start in range(0, len(projected), _CHUNK_ROWS):
        codes.add(projected[start : start + _CHUNK_ROWS].astype(np.float32))
    return codes


def _lengthened(rows: ShortlistRows, trial: Trial, n_lists: int, target_recall: float) -> ShortlistRows:
    """Look further until the recall is what it should be; what quantizing and inverted lists lose must be measured."""
    while min(recall_of(rows, trial).values(), default=1.0) < target_recall:
        sizes = rows.sizes
        if 0 < sizes.n_probe < n_lists:
            rows = rows.with_sizes(replace(sizes, n_probe=min(2 * sizes.n_probe, n_lists)))
        elif sizes.for_hits(10) < min(len(rows), 2000):
            rows = rows.with_sizes(replace(sizes, by_k={k: 1 + n * 5 // 4 for k, n in sizes.by_k.items()}))
        else:
            break
    return rows


def recall_of(rows: Rows, trial: Trial) -> dict[int, float]:
    """Measure which share of the truly nearest films is found.

    Parameters
    ----------
    rows : Rows
        The index.
    trial : Trial
        The truth.

    Returns
    -------
    dict of int to float
        By the number of hits; only those of which there are enough films.
    """
    recall = {}
    for k in RECALLED:
        if k > trial.neighbors.shape[1]:
            continue
        n_found = 0
        found = rows.search(trial.units, k + 1, None)
        for own, (hits, cosines), truth in zip(trial.rows, found, trial.cosines, strict=True):
            # A film just as near as the last one counts as that.
            n_found += min(k, int((cosines[hits != own] >= truth[k - 1] - _TIE).sum()))
        recall[k] = n_found / (k * len(trial.rows))
    return recall


def measured(rows: Rows, trial: Trial, target_recall: float) -> dict[str, Any]:
    """Measure what an index is worth.

    Parameters
    ----------
    rows : Rows
        The index.
    trial : Trial
        Films whose neighbors are known.
    target_recall : float
        What was wanted.

    Returns
    -------
    dict
        Recall, latencies in milliseconds, for ten hits; what JSON can hold.
    """
    recall = recall_of(rows, trial)
    single_ms = []
    for unit in trial.units[:100]:
        began = time.perf_counter()
        rows.search(unit[None], 10, None)
        single_ms.append((time.perf_counter() - began) * 1e3)
    began = time.perf_counter()
    rows.search(trial.units, 10, None)
    batched_ms = (time.perf_counter() - began) * 1e3 / len(trial.units)
    return {
        "n_queries": len(trial.rows),
        "recall": {str(k): round(value, 4) for k, value in recall.items()},
        "target_recall": target_recall,
        "target_met": all(value >= target_recall for value in recall.values()),
        "latency_ms": {
            "average": round(float(np.mean(single_ms)), 3),
            "p99": round(float(np.percentile(single_ms, 99)), 3),
            "batched": round(batched_ms, 3),
        },
    }
