"""What happens to features before they are compared: the mean subtracted, if wanted, and the length scaled to 1."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError, QueryError
from index.source import FilmFeatures, single

# Beyond these, squares and products overflow or underflow in single precision.
_SMALLEST, _LARGEST = 1e-30, 1e30

Matrix = npt.NDArray[np.floating]
FloatMatrix = npt.NDArray[np.float32]


def unit_rows(features: Matrix, mean: FloatMatrix | None) -> tuple[FloatMatrix, FloatMatrix]:
    """Subtract the mean and scale rows to length 1; returns the rows and their lengths before.

    A row of length 0 stays 0.
    """
    rows = np.array(features, dtype=np.float32, order="C", ndmin=2)
    if mean is not None:
        rows -= mean
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64)).astype(np.float32)
    rows /= np.where(lengths > 0, lengths, 1)[:, None]
    return rows, lengths


def mean_row(features: FilmFeatures) -> FloatMatrix:
    """Compute the mean of all rows, summed in float64."""
    total = np.zeros(features.n_features)
    for block in features.blocks():
        total += block.sum(axis=0, dtype=np.float64)
    return (total / len(features)).astype(np.float32)


def faults(block: Matrix) -> dict[int, str]:
    """Return what is wrong with each row that cannot be compared, by its number from 0."""
    largest = _largest(block).astype(np.float32)
    is_finite = np.isfinite(largest)
    wrong = {
        "its features are not all finite numbers": ~is_finite,
        "its features are all zero": largest == 0,
        f"its features go beyond {_LARGEST:g}": is_finite & (largest > _LARGEST),
        f"its features are all below {_SMALLEST:g}": (largest > 0) & (largest < _SMALLEST),
    }
    return {row: reason for reason, rows in wrong.items() for row in np.flatnonzero(rows).tolist()}


def _largest(block: Matrix) -> Matrix:
    """Return the largest magnitude of each row; NaN or infinite where any number of the row is."""
    if block.dtype != np.float16:
        largest: Matrix = np.abs(block).max(axis=1)
        return largest
    # Without their sign, half floats sort like the unsigned integers of the same bits, which compare far faster.
    bits = block.view(np.uint16) & np.uint16(0x7FFF)
    largest_half: Matrix = bits.max(axis=1).view(np.float16)
    return largest_half


def check_queries(features: Matrix, n_features: int, backbone: str) -> Matrix:
    """Return queries as rows; raise DataError where one has another width, QueryError where one cannot be compared."""
    queries = np.atleast_2d(single(np.asarray(features)))
    if queries.ndim != 2 or queries.shape[1] != n_features:
        raise DataError(f"expected features of {n_features} columns (of {backbone}), received {queries.shape[1]}")
    for row, reason in faults(queries).items():
        raise QueryError(f"row {row} of {len(queries)} cannot be compared: {reason}")
    return queries
