"""What is done to features before they are compared: the mean removed, if it is, and the length brought to 1."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from index.source import FilmFeatures, single

# Beyond these, the squares and products of single-precision numbers are not what they should be.
_SMALLEST, _LARGEST = 1e-30, 1e30

Matrix = npt.NDArray[np.floating]
FloatMatrix = npt.NDArray[np.float32]


def unit_rows(features: Matrix, mean: FloatMatrix | None) -> tuple[FloatMatrix, FloatMatrix]:
    """Bring rows to length 1.

    Parameters
    ----------
    features : ndarray of shape (n, n_features)
        As they came from the network.
    mean : ndarray of shape (n_features,), float32, or None
        What is subtracted first.

    Returns
    -------
    rows : ndarray of shape (n, n_features), float32
        Of length 1, or 0 where there is nothing to compare.
    lengths : ndarray of shape (n,), float32
        What they were before.
    """
    rows = np.array(features, dtype=np.float32, order="C", ndmin=2)
    if mean is not None:
        rows -= mean
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64)).astype(np.float32)
    rows /= np.where(lengths > 0, lengths, 1)[:, None]
    return rows, lengths


def mean_row(features: FilmFeatures) -> FloatMatrix:
    """Compute the mean of all rows.

    Parameters
    ----------
    features : FilmFeatures
        The rows.

    Returns
    -------
    ndarray of shape (n_features,), float32
        Their mean, summed up in float64.
    """
    total = np.zeros(features.n_features)
    for block in features.blocks():
        total += block.sum(axis=0, dtype=np.float64)
    return (total / len(features)).astype(np.float32)


def faults(block: Matrix) -> dict[int, str]:
    """Name the rows that cannot be compared with anything.

    Parameters
    ----------
    block : ndarray of shape (n, n_features)
        As they came from the network.

    Returns
    -------
    dict of int to str
        What is wrong, in plain words, by the row's number from 0.
    """
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
    """Tell the largest magnitude of each row; not a number or without end where one of them is."""
    if block.dtype != np.float16:
        largest: Matrix = np.abs(block).max(axis=1)
        return largest
    # Without their sign, half floats are ordered as the whole numbers of the same bits, which are compared far faster.
    bits = block.view(np.uint16) & np.uint16(0x7FFF)
    largest_half: Matrix = bits.max(axis=1).view(np.float16)
    return largest_half


def check_queries(features: Matrix, n_features: int, backbone: str) -> Matrix:
    """Refuse what cannot be asked about.

    Parameters
    ----------
    features : ndarray of shape (n, n_features), or (n_features,) for one
        Features as they came from the network.
    n_features : int
        How many columns they should have.
    backbone : str
        The network that the index is of, for the message.

    Returns
    -------
    ndarray of shape (n, n_features)
        The same.

    Raises
    ------
    DataError
        They have another number of columns, or a row is zero or not finite.
    """
    queries = np.atleast_2d(single(np.asarray(features)))
    if queries.ndim != 2 or queries.shape[1] != n_features:
        raise DataError(f"expected features of {n_features} columns (of {backbone}), received {queries.shape[1]}")
    for row, reason in faults(queries).items():
        raise DataError(f"row {row} of {len(queries)} cannot be compared: {reason}")
    return queries
