"""Features projected onto a truncated basis, from which shortlists are made.

Rows are not centered for it, which would change what a cosine is, and their lengths are taken before the projection:
the inner product of two projections then falls short of the cosine by what the basis leaves out of both rows, and by
no more.
"""

from __future__ import annotations

from dataclasses import dataclass

import faiss
import numpy as np
import numpy.typing as npt

from index.backends.rescoring import checksum
from index.source import FilmFeatures, Ids
from index.vectors import FloatMatrix, unit_rows

_OVERSAMPLING = 16
_N_ITERATIONS = 2
_SAMPLE_ROWS = 4096
# With more rows than this, one product of matrices is faster than skipping zeros.
_FEW_ROWS = 4
# A basis for an embedding stays in the cache, and no number of an embedding is zero.
_FEW_NUMBERS = 2048
_TAKEN_ROWS = 256


def fit_basis(
    features: FilmFeatures,
    rank: int,
    mean: FloatMatrix | None,
    rng: np.random.Generator,
    n_sample: int = _SAMPLE_ROWS,
) -> tuple[FloatMatrix, Ids]:
    """Find the directions in which films differ most, by a randomized SVD of a sample.

    Returns orthonormal columns, of shape (n_features, rank), so that a shorter basis is the first columns of a longer
    one; and the positions of the films in the sample. Reads the sample a block at a time, three times. Memory: a block,
    and two matrices of n_features × rank.

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
    rotation = np.linalg.eigh(gram)[1][:, ::-1][:, :rank].astype(np.float32)
    return np.ascontiguousarray(directions @ rotation), sample


def _orthonormal(columns: FloatMatrix) -> FloatMatrix:
    """Orthonormalize columns by their Gram matrix, twice for accuracy: for tall matrices far faster than QR.

    Directions without variance are dropped.
    """
    for _ in range(2):
        gram = columns.T.astype(np.float32) @ columns
        values, vectors = np.linalg.eigh(gram.astype(np.float64))
        remaining = values > values[-1] * 1e-10
        columns = columns @ (vectors[:, remaining] / np.sqrt(values[remaining])).astype(np.float32)
    return columns


def project(units: FloatMatrix, basis: FloatMatrix) -> FloatMatrix:
    """Project rows of length 1 onto a basis; the projections are not scaled to length 1 again."""
    if len(units) > _FEW_ROWS or len(basis) <= _FEW_NUMBERS:
        return units @ basis
    # After a ReLU most numbers are zero, and the basis is the largest array in memory: only the rows that count are
    # read, as many at a time as stay in the processor's cache. SciPy's product with sparse rows took half as long
    # again.
    projected = np.zeros((len(units), basis.shape[1]), np.float32)
    for unit, row in zip(units, projected, strict=True):
        nonzero = np.flatnonzero(unit)
        for start in range(0, len(nonzero), _TAKEN_ROWS):
            part = nonzero[start : start + _TAKEN_ROWS]
            row += unit[part] @ basis.take(part, axis=0)
    return projected


def residuals(projected: npt.NDArray[np.floating]) -> FloatMatrix:
    """Return the squared length, in [0, 1], of what a basis leaves out of rows of length 1."""
    explained = np.einsum("ij,ij->i", projected, projected, dtype=np.float32)
    rest: FloatMatrix = np.clip(1.0 - explained, 0.0, 1.0).astype(np.float32)
    return rest


@dataclass(frozen=True)
class Projections:
    """What a shortlist index keeps of every film."""

    codes: faiss.Index
    # Lengths of the rows, less the mean; checksums of the rows as they are stored.
    lengths: FloatMatrix
    checksums: npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Projected:
    """Films' projections before they are encoded, with lengths and checksums computed in the same pass."""

    rows: npt.NDArray[np.floating]
    lengths: FloatMatrix
    checksums: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, features: FilmFeatures, basis: FloatMatrix, mean: FloatMatrix | None) -> Projected:
        """Project films, a block at a time."""
        projected = cls.zeros(basis.shape[1], len(features))
        start = 0
        for block in features.blocks():
            units, lengths = unit_rows(block, mean)
            projected.put(start, block, lengths, units @ basis)
            start += len(block)
        return projected

    @classmethod
    def zeros(cls, rank: int, n_films: int = 0) -> Projected:
        """Allocate arrays for `put` to fill."""
        # Half floats: of a million films, the projections are the largest array in memory while an index is built.
        return cls(np.zeros((n_films, rank), np.float16), np.zeros(n_films, np.float32), np.zeros(n_films, np.uint64))

    def put(self, start: int, block: npt.NDArray[np.floating], lengths: FloatMatrix, rows: FloatMatrix) -> None:
        """Fill in the projections of a block of stored features, from row `start` on."""
        part = slice(start, start + len(block))
        self.rows[part], self.lengths[part] = rows, lengths
        self.checksums[part] = [checksum(row) for row in block]
