"""Maximal marginal relevance: results that are like the query and unlike each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cf.hybrid.calibration import FloatArray


def n_candidates(k: int) -> int:
    """Return how many of the best films k diverse ones are chosen from."""
    return max(5 * k, 50)


def diversify(
    relevances: FloatArray, similarities: npt.NDArray[np.floating], k: int, diverse: float
) -> tuple[list[int], FloatArray]:
    r"""Choose k candidates one after the other; returns their positions, and their likeness to those chosen before.

    Of the candidates R that are left, the next is the one of greatest marginal relevance, where S are those chosen:

    .. math:: \arg\max_{d \in R} \; (1 - v) \cdot score(d) - v \cdot \max(0, \max_{s \in S} similarity(d, s))

    v is `diverse`. A cosine below 0 is no likeness and counts as 0: being unlike the films above earns nothing.
    `relevances` of shape (n,) are in descending order; an unknown similarity, NaN, counts as the median of the known
    ones. The likeness of the first is NaN, as is one that is not known.

    References
    ----------
    .. [1] J. Carbonell, J. Goldstein, "The use of MMR, diversity-based reranking for reordering documents and producing
       summaries", SIGIR 1998.
    """
    imputed = _imputed(similarities)
    chosen: list[int] = []
    redundancy = np.zeros(len(relevances))
    is_left = np.ones(len(relevances), bool)
    for _ in range(min(k, len(relevances))):
        marginal = np.where(is_left, (1 - diverse) * relevances - diverse * redundancy, -np.inf)
        best = int(marginal.argmax())
        redundancy = np.maximum(redundancy, imputed[best])
        chosen.append(best)
        is_left[best] = False
    return chosen, _to_earlier(similarities, chosen)


def _imputed(similarities: npt.NDArray[np.floating]) -> FloatArray:
    pairs = similarities[~np.eye(len(similarities), dtype=bool)]
    known = pairs[~np.isnan(pairs)]
    typical = float(np.median(known)) if len(known) else 0.0
    return np.where(np.isnan(similarities), typical, similarities).astype(np.float64)


def _to_earlier(similarities: npt.NDArray[np.floating], chosen: list[int]) -> FloatArray:
    likeness = np.full(len(chosen), np.nan)
    for n in range(1, len(chosen)):
        likeness[n] = np.fmax.reduce(similarities[chosen[n], chosen[:n]])
    return likeness
