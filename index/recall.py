"""Recall and latency of an index, measured on films whose true neighbors are computed by plain matrix products."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from index.backends.base import Rows
from index.record import Latency, Quality
from index.source import Ids
from index.vectors import FloatMatrix

RECALL_KS = (1, 10, 100)
"""The numbers of hits for which recall is measured."""

TIE = 1e-5
"""Cosines this close count as equal: a film returned in place of one just as near is as good."""

_N_HELD_OUT = 200
_N_TIMED = 100
_BLOCK_ROWS = 512


@dataclass(frozen=True)
class Trial:
    """Films whose true neighbors are known."""

    rows: Ids
    # Their features, of length 1.
    units: FloatMatrix
    # The rows truly nearest to each, itself left out, nearest first, of shape (n, k); and their cosines.
    neighbors: Ids
    cosines: FloatMatrix


class TrueNeighbors:
    """The films nearest to some of them, computed a block of all films at a time."""

    def __init__(self, rows: Ids, units: FloatMatrix, n_films: int) -> None:
        self._rows, self._units = rows, units
        self._k = min(RECALL_KS[-1], n_films - 1)
        self._neighbors = np.empty((len(rows), 0), np.int64)
        self._cosines = np.empty((len(rows), 0), np.float32)

    def add_block(self, start: int, units: FloatMatrix) -> None:
        """Compare with the next block of films, whose first row is `start`."""
        cosines = self._units @ units.T
        own = (self._rows >= start) & (self._rows < start + len(units))
        cosines[np.flatnonzero(own), self._rows[own] - start] = -np.inf
        rows = np.broadcast_to(np.arange(start, start + len(units)), cosines.shape)
        all_cosines = np.concatenate([self._cosines, cosines], axis=1)
        all_rows = np.concatenate([self._neighbors, rows], axis=1)
        order = np.argsort(-all_cosines, axis=1, kind="stable")[:, : self._k]
        self._cosines = np.take_along_axis(all_cosines, order, axis=1)
        self._neighbors = np.take_along_axis(all_rows, order, axis=1)

    def trial(self) -> Trial:
        """Return what was found in all blocks."""
        # As a search does: rows of half floats are longer than 1 by some 1e-4, so those of copies go beyond 1.
        return Trial(self._rows, self._units, self._neighbors, np.clip(self._cosines, -1.0, 1.0))


def hold_out(n_films: int, rng: np.random.Generator) -> Ids:
    """Draw the films to measure by: a tenth, at most 200."""
    n_held_out = min(_N_HELD_OUT, max(1, n_films // 10))
    return np.sort(rng.choice(n_films, n_held_out, replace=False)).astype(np.int64)


def make_trial(rows: Rows, rng: np.random.Generator) -> Trial:
    """Draw some films and compare them with all others."""
    held_out = hold_out(len(rows), rng)
    nearest = TrueNeighbors(held_out, rows.units(held_out), len(rows))
    for start in range(0, len(rows), _BLOCK_ROWS):
        nearest.add_block(start, rows.units(np.arange(start, min(start + _BLOCK_ROWS, len(rows)))))
    return nearest.trial()


def recall_of(rows: Rows, trial: Trial) -> dict[int, float]:
    """Return which share of the k truly nearest films is found, for each k of which there are enough films."""
    recall = {}
    for k in RECALL_KS:
        if k > trial.neighbors.shape[1]:
            continue
        n_hits = 0
        results = rows.search(trial.units, k + 1, None)
        for own, nearest, true_cosines in zip(trial.rows, results, trial.cosines, strict=True):
            n_hits += min(k, int((nearest.scores[nearest.ids != own] >= true_cosines[k - 1] - TIE).sum()))
        recall[k] = n_hits / (k * len(trial.rows))
    return recall


def measure(rows: Rows, trial: Trial, target_recall: float) -> Quality:
    """Measure recall, and the latency of queries for ten hits."""
    recall = recall_of(rows, trial)
    return Quality(
        n_queries=len(trial.rows),
        recall={k: round(value, 4) for k, value in recall.items()},
        target_recall=target_recall,
        target_met=all(value >= target_recall for value in recall.values()),
        latency=_latency(rows, trial),
    )


def _latency(rows: Rows, trial: Trial) -> Latency:
    single_ms = [_search_ms(rows, unit[None]) for unit in trial.units[:_N_TIMED]]
    return Latency(
        average=round(float(np.mean(single_ms)), 3),
        p99=round(float(np.percentile(single_ms, 99)), 3),
        batched=round(_search_ms(rows, trial.units) / len(trial.units), 3),
    )


def _search_ms(rows: Rows, units: FloatMatrix) -> float:
    began = time.perf_counter()
    rows.search(units, 10, None)
    return (time.perf_counter() - began) * 1e3
