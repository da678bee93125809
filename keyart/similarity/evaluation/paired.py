"""Compare embeddings on the same questions, by resampling groups of questions that belong together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cf.evaluation.metrics import Estimate, FloatArray

N_DRAWS = 2000
# Bounds memory, and does not change the result.
_DRAWS_AT_ONCE = 100
_NOT_A_NUMBER = float("nan")


def compare(values: Sequence[FloatArray], groups: Sequence[str], seed: int = 0) -> list[tuple[Estimate, Estimate]]:
    """Estimate the mean of each embedding's values, and by how many percent it is above that of the first.

    Intervals are 95 % intervals of a bootstrap in which groups are drawn with all their questions, the same ones for
    every embedding; without two groups they are NaN, as are percentages over a mean of 0.

    References
    ----------
    .. [1] B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 13 and 8.
    """
    _, codes = np.unique(np.asarray(groups), return_inverse=True)
    n_groups = int(codes.max(initial=-1)) + 1
    parts = [np.bincount(codes, weights=one, minlength=n_groups) for one in values]
    sums: FloatArray = np.stack(parts, axis=1).astype(np.float64)
    counts = np.bincount(codes, minlength=n_groups).astype(np.float64)
    totals = sums.sum(axis=0)
    drawn_means, drawn_totals = _draw(sums, counts, seed) if n_groups > 1 else (None, None)
    matches = []
    for number, total in enumerate(totals.tolist()):
        mean = total / float(counts.sum()) if n_groups else _NOT_A_NUMBER
        gain, gains = _NOT_A_NUMBER, None
        if totals[:1].any():
            gain = 100 * (total / float(totals[0]) - 1)
            gains = None if drawn_totals is None else _ratios(drawn_totals[:, number], drawn_totals[:, 0])
        means = None if drawn_means is None else drawn_means[:, number]
        matches.append((_estimate(mean, means), _estimate(gain, gains)))
    return matches


def _draw(sums: FloatArray, counts: FloatArray, seed: int) -> tuple[FloatArray, FloatArray]:
    """Draw groups: the means of every embedding's values in every resample, and their sums; (N_DRAWS, n) each."""
    rng = np.random.default_rng(seed)
    means, totals = [], []
    for start in range(0, N_DRAWS, _DRAWS_AT_ONCE):
        n_draws = min(_DRAWS_AT_ONCE, N_DRAWS - start)
        times = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), n_draws).astype(np.float64)
        totals.append(times @ sums)
        means.append(totals[-1] / (times @ counts)[:, None])
    return np.concatenate(means), np.concatenate(totals)


def _ratios(totals: FloatArray, of_first: FloatArray) -> FloatArray:
    known = of_first > 0
    return 100 * (totals[known] / of_first[known] - 1)


def _estimate(value: float, drawn: FloatArray | None) -> Estimate:
    if drawn is None or not len(drawn):
        return Estimate(value, _NOT_A_NUMBER, _NOT_A_NUMBER)
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return Estimate(value, low, high)
