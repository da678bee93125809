"""The films whose look-alikes differ most between two embeddings."""

from __future__ import annotations

import numpy as np

from index.source import Ids


def largest_differences(one: Ids, other: Ids, n: int) -> list[int]:
    """Return the rows of the n films whose lists have least in common, the first places counting most.

    References
    ----------
    .. [1] W. Webber, A. Moffat, J. Zobel, "A similarity measure for indefinite rankings", ACM TOIS 28(4), 2010: the
       overlap of two lists at every depth.
    """
    depths = np.arange(1, one.shape[1] + 1)
    overlap = np.zeros(len(one))
    for depth in depths.tolist():
        shared = (one[:, :depth, None] == other[:, None, :depth]).sum(axis=(1, 2))
        overlap += shared / depth
    rows: list[int] = np.argsort(overlap, kind="stable")[:n].tolist()
    return rows
