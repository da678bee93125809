"""What is computed once of every film, in one pass over the features: its projection, length and checksum.

May import `catalog` only.
"""

from __future__ import annotations

from dataclasses import dataclass

import faiss
import numpy as np
import numpy.typing as npt

from index.backends.rescoring import checksum
from index.source import FilmFeatures
from index.vectors import FloatMatrix, unit_rows


@dataclass(frozen=True)
class Projections:
    """What a shortlist index keeps of every film.

    Parameters
    ----------
    codes : faiss.Index
        The projections.
    lengths : ndarray of shape (n,), float32
        Of the rows, less the mean.
    checksums : ndarray of shape (n,), uint64
        Of the rows as they are stored.
    """

    codes: faiss.Index
    lengths: FloatMatrix
    checksums: npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Projected:
    """Films' projections before they are stored, and what else is computed in the same pass.

    Parameters
    ----------
    rows : ndarray of shape (n, rank), float16 or float32
        The projections.
    lengths : ndarray of shape (n,), float32
        As in `Projections`.
    checksums : ndarray of shape (n,), uint64
        As in `Projections`.
    """

    rows: npt.NDArray[np.floating]
    lengths: FloatMatrix
    checksums: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, features: FilmFeatures, basis: FloatMatrix, mean: FloatMatrix | None) -> Projected:
        """Project films, a block at a time.

        Parameters
        ----------
        features : FilmFeatures
            The films.
        basis : ndarray of shape (n_features, rank), float32
            The directions.
        mean : ndarray of shape (n_features,), float32, or None
            What is subtracted first.

        Returns
        -------
        Projected
            Of all of them.
        """
        projected = cls.none(basis.shape[1], len(features))
        start = 0
        for block in features.blocks():
            units, lengths = unit_rows(block, mean)
            projected.put(start, block, lengths, units @ basis)
            start += len(block)
        return projected

    @classmethod
    def none(cls, rank: int, n_films: int = 0) -> Projected:
        """Make room for projections.

        Parameters
        ----------
        rank : int
            Their length.
        n_films : int, default 0
            How many.

        Returns
        -------
        Projected
            To be filled by `put`.
        """
        # Half floats: of a million films, the projections are the largest thing in memory while an index is built.
        return cls(np.zeros((n_films, rank), np.float16), np.zeros(n_films, np.float32), np.zeros(n_films, np.uint64))

    def put(self, start: int, block: npt.NDArray[np.floating], lengths: FloatMatrix, rows: FloatMatrix) -> None:
        """Fill in a block.

        Parameters
        ----------
        start : int
            Its first row.
        block : ndarray of shape (n, n_features)
            The features as they are stored.
        lengths : ndarray of shape (n,), float32
            Of its rows, less the mean.
        rows : ndarray of shape (n, rank), float32
            Their projections.
        """
        part = slice(start, start + len(block))
        self.rows[part], self.lengths[part] = rows, lengths
        self.checksums[part] = [checksum(row) for row in block]


def residuals(projected: npt.NDArray[np.floating]) -> FloatMatrix:
    """Tell what a basis leaves out of rows of length 1.

    Parameters
    ----------
    projected : ndarray of shape (n, rank)
        Their projections.

    Returns
    -------
    ndarray of shape (n,), float32
        The squared length of the rest, in [0, 1].
    """
    kept = np.einsum("ij,ij->i", projected, projected, dtype=np.float32)
    rest: FloatMatrix = np.clip(1.0 - kept, 0.0, 1.0).astype(np.float32)
    return rest
