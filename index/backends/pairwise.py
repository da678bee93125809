"""The cosines of every two films, computed once, from which an exact index answers queries about its own films.

Comparing one film with all others reads all features, 100 kB a film; looking up its cosines reads 4 bytes a film.
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
# Equal rows have a cosine of 1 but for rounding.
_NEARLY_EQUAL = 0.999

Units = Callable[[Ids], FloatMatrix]
"""Returns rows of length 1 by their numbers."""


def pairs_bytes(n_films: int, n_features: int) -> int:
    """Return the memory of all pairs' cosines; 0 where rows are too short for them to be worth it."""
    return 4 * n_films**2 if n_films * _SHARE <= n_features else 0


def all_pairs(units: Units, n_rows: int) -> FloatMatrix:
    """Compute the cosines of every two rows, of shape (n_rows, n_rows); symmetric but for rounding."""
    pairs = np.empty((n_rows, n_rows), np.float32)
    for start in range(0, n_rows, _BLOCK_ROWS):
        rows = np.arange(start, min(start + _BLOCK_ROWS, n_rows))
        # The half below the diagonal is the half above it.
        _fill(pairs, rows, units(rows), units, from_row=start)
    return _with_ties(pairs, units, np.arange(n_rows))


def extended_pairs(pairs: FloatMatrix, kept: Ids, order: Ids, units: Units) -> FloatMatrix:
    """Compute the cosines of the next generation, as `all_pairs` would; those of kept rows are copied.

    `order` and `kept` are those of `Rows.merged`; `units` returns rows of the next generation.
    """
    merged = np.empty((len(order), len(order)), np.float32)
    stays = order < len(kept)
    old, new = np.flatnonzero(stays), np.flatnonzero(~stays)
    before = kept[order[old]]
    merged[np.ix_(old, old)] = pairs[np.ix_(before, before)]
    for start in range(0, len(new), _BLOCK_ROWS):
        rows = new[start : start + _BLOCK_ROWS]
        _fill(merged, rows, units(rows), units)
    # Kept rows tie with each other already.
    nearly_equal = np.flatnonzero((merged[new] >= _NEARLY_EQUAL).any(axis=0))
    return _with_ties(merged, units, np.union1d(new, nearly_equal)) if len(new) else merged


def _fill(pairs: FloatMatrix, rows: Ids, block: FloatMatrix, units: Units, from_row: int = 0) -> None:
    for start in range(from_row, len(pairs), _BLOCK_ROWS):
        others = np.arange(start, min(start + _BLOCK_ROWS, len(pairs)))
        # Rounding may carry the cosine of a row with itself past 1.
        cosines = np.clip(block @ units(others).T, -1.0, 1.0)
        pairs[np.ix_(rows, others)] = cosines
        pairs[np.ix_(others, rows)] = cosines.T


def _with_ties(pairs: FloatMatrix, units: Units, rows: Ids) -> FloatMatrix:
    """Make the cosines of equal ones of some rows equal to the last bit, so that they tie; BLAS does not promise it."""
    first: dict[bytes, int] = {}
    sources = np.arange(len(pairs))
    for start in range(0, len(rows), _BLOCK_ROWS):
        part = rows[start : start + _BLOCK_ROWS]
        for row, unit in zip(part.tolist(), units(part), strict=True):
            sources[row] = first.setdefault(xxhash.xxh3_128_digest(unit), row)
    return pairs if len(first) == len(rows) else pairs[np.ix_(sources, sources)]
