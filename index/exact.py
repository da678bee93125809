"""Exact search: a FAISS flat inner-product index over rows of length 1. The oracle for every other kind.

Memory: 4 bytes a number, one gigabyte for 10,000 films of 25,088 numbers. Owns the FAISS file of an index folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt

from catalog.errors import DataError, StoreError
from catalog.storage import atomic_path

Matrix = npt.NDArray[np.floating]
Blocks = Callable[[], Iterator[Matrix]]


class ExactIndex:
    """A flat index; make it with `build` or `open`.

    Parameters
    ----------
    flat : faiss.IndexFlatIP
        Rows of length 1, or 0 where a film's features are all zero.
    mean : ndarray of shape (n_features,), float32, or None
        What is subtracted from features before they are compared; None for plain cosines.
    """

    kind = "exact"

    def __init__(self, flat: faiss.Index, mean: npt.NDArray[np.float32] | None) -> None:
        self._flat = flat
        self._mean = mean

    @classmethod
    def build(cls, blocks: Blocks, n_features: int, *, centre: bool) -> ExactIndex:
        """Build from features, a block of rows at a time.

        Parameters
        ----------
        blocks : callable
            Gives an iterator over matrices of shape (n, n_features); called a second time if `centre`.
        n_features : int
            The number of columns.
        centre : bool
            Subtract the mean row first.

        Returns
        -------
        ExactIndex
            One row for each row of the blocks, in their order.
        """
        mean = _mean_row(blocks()) if centre else None
        index = cls(faiss.IndexFlatIP(n_features), mean)
        for block in blocks():
            index._flat.add(index._unit_rows(block))
        return index

    @classmethod
    def open(cls, path: Path, mean: npt.NDArray[np.float32] | None) -> ExactIndex:
        """Read what `save` wrote.

        Parameters
        ----------
        path : Path
            The FAISS file.
        mean : ndarray of shape (n_features,), float32, or None
            What was subtracted when it was built.

        Returns
        -------
        ExactIndex
            The index.

        Raises
        ------
        DataError
            The file is missing or damaged.
        """
        try:
            return cls(faiss.read_index(str(path)), mean)
        except RuntimeError as error:
            raise DataError(f"{path} is missing or damaged; run `keyart build` again") from error

    def save(self, path: Path) -> None:
        """Write the rows.

        Parameters
        ----------
        path : Path
            Where the FAISS file shall stand.

        Raises
        ------
        StoreError
            The file cannot be written.
        """
        with atomic_path(path) as temporary_path:
            rows_bytes = len(self) * self.n_features * 4
            full = StoreError(
                f"cannot write {path} ({rows_bytes / 1e6:.0f} MB); free some space and run the same command again"
            )
            try:
                faiss.write_index(self._flat, str(temporary_path))
            except RuntimeError as error:
                raise full from error
            # FAISS does not say when the last few kilobytes do not fit: they are written as the file is closed.
            header_bytes = len(faiss.serialize_index(faiss.IndexFlatIP(self.n_features)))
            if temporary_path.stat().st_size != header_bytes + rows_bytes:
                raise full

    def __len__(self) -> int:
        return int(self._flat.ntotal)

    @property
    def n_features(self) -> int:
        """The number of columns."""
        return int(self._flat.d)

    @property
    def mean(self) -> npt.NDArray[np.float32] | None:
        """What is subtracted from features before they are compared, of shape (n_features,)."""
        return self._mean

    def search(self, features: Matrix, k: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Find the nearest rows.

        Parameters
        ----------
        features : ndarray of shape (n, n_features)
            Features as they came from the network, of any length.
        k : int
            How many rows, at most as many as there are.

        Returns
        -------
        rows : ndarray of shape (n, k), int64
            Nearest first.
        cosines : ndarray of shape (n, k), float32
            In [-1, 1].
        """
        return self._nearest(self._unit_rows(features), k)

    def search_rows(self, rows: npt.NDArray[np.int64], k: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Find the rows nearest to rows of the index itself.

        Parameters
        ----------
        rows : ndarray of shape (n,), int64
            The rows asked about.
        k : int
            How many rows, at most as many as there are.

        Returns
        -------
        rows : ndarray of shape (n, k), int64
            Nearest first, the row itself among them.
        cosines : ndarray of shape (n, k), float32
            In [-1, 1].
        """
        return self._nearest(self._flat.reconstruct_batch(rows), k)

    def _nearest(
        self, unit_rows: npt.NDArray[np.float32], k: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        cosines, rows = self._flat.search(unit_rows, min(k, len(self)))
        # Rounding may carry the cosine of a row with itself past 1.
        return rows, np.clip(cosines, -1.0, 1.0)

    def _unit_rows(self, features: Matrix) -> npt.NDArray[np.float32]:
        # A copy: the caller's array is not ours to change.
        rows = np.array(features, dtype=np.float32, order="C", ndmin=2)
        if self._mean is not None:
            rows -= self._mean
        faiss.normalize_L2(rows)
        return rows


def _mean_row(blocks: Iterator[Matrix]) -> npt.NDArray[np.float32]:
    total, n_rows = np.float64(0.0), 0
    for block in blocks:
        total = total + block.sum(axis=0, dtype=np.float64)
        n_rows += len(block)
    return np.asarray(total / max(n_rows, 1), dtype=np.float32)
