"""The cosine of every two films, computed once: what an exact index answers from when it is asked about its own films.

To compare one film with all others reads all features, 100 kB a film; to look its cosines up reads 4 bytes a film. May
import `catalog` only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xxhash

from index.source import Ids
from index.vectors import FloatMatrix

_BLOCK_ROWS = 512
# At most a quarter is added to the memory of the rows.
_SHARE = 4

Units = Callable[[Ids], FloatMatrix]
"""Gives rows of length 1 by their numbers."""


def pairs_bytes(n_films: int, n_features: int) -> int:
    """Tell the memory of the cosines of every two films, where they are worth it: where rows are far longer.

    Parameters
    ----------
    n_films, n_features : int
        Rows and columns.

    Returns
    -------
    int
        In bytes; 0 where they are not to be computed.
    """
    return 4 * n_films**2 if n_films * _SHARE <= n_features else 0


def all_pairs(units: Units, n_rows: int) -> FloatMatrix:
    """Compute the cosine of every two rows.

    Parameters
    ----------
    units : callable
        Gives rows of length 1.
    n_rows : int
        How many there are.

    Returns
    -------
    ndarray of shape (n_rows, n_rows), float32
        In [-1, 1]; symmetric but for rounding.
    """
    pairs = np.empty((n_rows, n_rows), np.float32)
    for start in range(0, n_rows, _BLOCK_ROWS):
        rows = np.arange(start, min(start + _BLOCK_ROWS, n_rows))
        # The half below the diagonal is the half above it.
        _fill(pairs, rows, units(rows), units, from_row=start)
    return _settled(pairs, units)


def extended_pairs(pairs: FloatMatrix, kept: Ids, order: Ids, units: Units) -> FloatMatrix:
    """Make the cosines of the next generation: those of rows that stay are there already.

    Parameters
    ----------
    pairs : ndarray of shape (n, n), float32
        Those of this generation.
    kept : ndarray of shape (n_kept,), int64
        The rows that stay.
    order : ndarray of shape (n_kept + n_added,), int64
        For each row of the next generation, its place among those kept followed by those added.
    units : callable
        Gives rows of the next generation.

    Returns
    -------
    ndarray of shape (n_kept + n_added, n_kept + n_added), float32
        As `all_pairs` computes them.
    """
    merged = np.empty((len(order), len(order)), np.float32)
    stays = order < len(kept)
    old, new = np.flatnonzero(stays), np.flatnonzero(~stays)
    before = kept[order[old]]
    merged[np.ix_(old, old)] = pairs[np.ix_(before, before)]
    for start in range(0, len(new), _BLOCK_ROWS):
        rows = new[start : start + _BLOCK_ROWS]
        _fill(merged, rows, units(rows), units)
    return _settled(merged, units) if len(new) else merged


def _fill(pairs: FloatMatrix, rows: Ids, block: FloatMatrix, units: Units, from_row: int = 0) -> None:
    for start in range(from_row, len(pairs), _BLOCK_ROWS):
        others = np.arange(start, min(start + _BLOCK_ROWS, len(pairs)))
        # Rounding may carry the cosine of a row with itself past 1.
        cosines = np.clip(block @ units(others).T, -1.0, 1.0)
        pairs[np.ix_(rows, others)] = cosines
        pairs[np.ix_(others, rows)] = cosines.T


def _settled(pairs: FloatMatrix, units: Units) -> FloatMatrix:
    """Give rows that are equal the same cosines to the last bit, which BLAS does not promise: they must tie."""
    first: dict[bytes, int] = {}
    stands = np.arange(len(pairs))
    for start in range(0, len(pairs), _BLOCK_ROWS):
        rows = np.arange(start, min(start + _BLOCK_ROWS, len(pairs)))
        for row, unit in zip(rows.tolist(), units(rows), strict=True):
            stands[row] = first.setdefault(xxhash.xxh3_128_digest(unit), row)
    return pairs if len(first) == len(pairs) else pairs[np.ix_(stands, stands)]
