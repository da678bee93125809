r"""The truncated basis in which the shortlist is made.

The rows are not centered for it (that would change what a cosine is), and their lengths are taken before the
projection: the inner product of two projections then falls short of the cosine by what the basis leaves out of both
rows, and by no more. May import `catalog` only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from index.source import FilmFeatures
from index.vectors import FloatMatrix, unit_rows

_OVERSAMPLING = 16
_N_ITERATIONS = 2
_SAMPLE_ROWS = 4096
# With more rows than this, one product of matrices is faster than leaving out the zeros.
_FEW_ROWS = 4
_TAKEN_ROWS = 256


def fit_basis(
    features: FilmFeatures,
    rank: int,
    mean: FloatMatrix | None,
    rng: np.random.Generator,
    n_sample: int = _SAMPLE_ROWS,
) -> tuple[FloatMatrix, npt.NDArray[np.int64]]:
    """Find the directions in which films differ most, by a randomized SVD of a sample.

    Reads the sample a block at a time, three times. Memory: a block, and two matrices of n_features × rank.

    Parameters
    ----------
    features : FilmFeatures
        All films.
    rank : int
        How many directions; no more than films or columns.
    mean : ndarray of shape (n_features,), float32, or None
        What is subtracted from every row.
    rng : numpy.random.Generator
        Draws the sample and the first directions.
    n_sample : int, default 4096
        The films to go by.

    Returns
    -------
    basis : ndarray of shape (n_features, rank), float32
        Orthonormal columns, the most telling first: a shorter basis is the first columns of a longer one.
    sample : ndarray of shape (n_sample,), int64
        The places of the films that it was fitted on.

    References
    ----------
    .. [1] N. Halko, P. G. Martinsson, J. A. Tropp, "Finding structure with randomness", SIAM Review 53(2), 2011,
       algorithms 4.4 (subspace iteration) and 5.1.
    """
    sample = np.sort(rng.choice(len(features), min(n_sample, len(features)), replace=False))
    rows = features.take(sample)
    n_directions = min(rank + _OVERSAMPLING, len(rows), features.n_features)
    directions = rng.standard_normal((features.n_features, n_directions), dtype=np.float32)
    for _ in range(_N_ITERATIONS):
        image = np.zeros_like(directions)
        for block in rows.blocks():
            units, _ = unit_rows(block, mean)
            image += units.T @ (units @ directions)
        # Films that are all alike leave nothing once their mean is removed; any directions will do.
        directions = _orthonormal(image if image.any() else directions)
    gram = np.zeros((directions.shape[1], directions.shape[1]))
    for block in rows.blocks():
        projected = unit_rows(block, mean)[0] @ directions
        gram += projected.T @ projected
    turn = np.linalg.eigh(gram)[1][:, ::-1][:, :rank].astype(np.float32)
    return np.ascontiguousarray(directions @ turn), sample


def _orthonormal(columns: FloatMatrix) -> FloatMatrix:
    """Orthonormalize columns by their Gram matrix, twice for accuracy: for tall matrices far faster than QR.

    Directions in which there is nothing are dropped.
    """
    for _ in range(2):
        gram = columns.T.astype(np.float32) @ columns
        values, vectors = np.linalg.eigh(gram.astype(np.float64))
        kept = values > values[-1] * 1e-10
        columns = columns @ (vectors[:, kept] / np.sqrt(values[kept])).astype(np.float32)
    return columns


def project(units: FloatMatrix, basis: FloatMatrix) -> FloatMatrix:
    """Project rows of length 1 onto a basis.

    Parameters
    ----------
    units : ndarray of shape (n, n_features), float32
        The rows.
    basis : ndarray of shape (n_features, rank), float32
        As `fit_basis` returns it.

    Returns
    -------
    ndarray of shape (n, rank), float32
        Not brought to length 1 again.
    """
    if len(units) > _FEW_ROWS:
        return units @ basis
    # After a ReLU most numbers are zero, and the basis is the largest thing in memory: only what is needed is read, and
    # so much at a time as stays in the processor's cache. SciPy's product with sparse rows took half as long again.
    projected = np.zeros((len(units), basis.shape[1]), np.float32)
    for unit, row in zip(units, projected, strict=True):
        kept = np.flatnonzero(unit)
        for start in range(0, len(kept), _TAKEN_ROWS):
            part = kept[start : start + _TAKEN_ROWS]
            row += unit[part] @ basis.take(part, axis=0)
    return projected
