"""Regularised least squares for every row of a sparse matrix at once: the step that ALS and Gibbs sampling repeat.

Rows of about as many ratings are solved together by batched BLAS and LAPACK, blocks of them on several threads; what
a block works on stays in a core's cache. May import nothing of keyart.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from scipy import sparse

FloatArray = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]
# Numbers in one block's matrices: 1 MB.
_BLOCK_NUMBERS = 1 << 18
# OpenBLAS parts products of more multiplications among threads of its own. For matrices as small as these, waking the
# threads takes longer than the product, up to thirty times where other processes want the cores too.
_UNPARTED_PRODUCT = 1 << 16


class LeastSquares:
    r"""Fits a vector to each row of a sparse matrix, the vectors of its columns being known.

    For row u, :math:`x_u` is the minimum of

    .. math:: \sum_i w_{ui} (t_{ui} - x^\top y_i)^2 + p_u |x|^2 + x^\top S x - 2 s_u^\top x

    over the stored cells i of the row, from the normal equations. For n cells and d factors this takes
    :math:`O(n d^2)` time and a few megabytes a thread.

    Parameters
    ----------
    values : csr_array of shape (n_rows, n_columns)
        Whose stored cells count, zeros among them; its numbers are the targets t unless others are given.
    n_threads : int, optional
        By default one for each core; the answer does not depend on it.

    References
    ----------
    .. [1] Y. Zhou, D. Wilkinson, R. Schreiber, R. Pan, "Large-scale parallel collaborative filtering for the Netflix
       Prize", AAIM 2008, section 3.
    """

    def __init__(self, values: sparse.csr_array, n_threads: int | None = None) -> None:
        self.values = values
        self.n_threads = n_threads
        self.n_cells: Rows = np.diff(values.indptr).astype(np.intp)
        self._longest_first: Rows = np.argsort(-self.n_cells, kind="stable")

    def solve(
        self,
        factors: FloatArray,
        penalties: npt.ArrayLike = 0.0,
        *,
        targets: npt.ArrayLike | None = None,
        weights: npt.ArrayLike | None = None,
        shared: npt.ArrayLike | None = None,
        right: npt.ArrayLike | None = None,
        noise: npt.ArrayLike | None = None,
    ) -> FloatArray:
        r"""Solve all rows.

        Parameters
        ----------
        factors : ndarray of shape (n_columns, d), float32
            y, a row for each column of the matrix.
        penalties : array_like of shape (n_rows,), or float
            p; positive, unless S makes up for it.
        targets : array_like of shape (n_cells,), optional
            t, in the order of ``values.data``; by default these.
        weights : array_like of shape (n_cells,), or float, optional
            w; by default 1.
        shared : array_like of shape (d, d), optional
            S, symmetric, the same for all rows; by default 0.
        right : array_like of shape (n_rows, d) or (d,), optional
            s; by default 0.
        noise : array_like of shape (n_rows, d), optional
            Draws z from a standard normal distribution. The answer then is a draw from the normal distribution of mean
            :math:`x_u` and precision :math:`A_u`, the matrix of row u's normal equations, as
            :math:`A_u^{-1} (b_u + L_u z_u)` with :math:`A_u = L_u L_u^\top`.

        Returns
        -------
        ndarray of shape (n_rows, d), float32
            x; a row without cells and without s is 0.

        Raises
        ------
        numpy.linalg.LinAlgError
            A row's equations are singular: its penalty is 0 and it has too few cells.
        """
        n_rows, n_cells, d = self.values.shape[0], self.values.nnz, factors.shape[1]
        # One more cell, of one more column, is nothing: with it, short rows are made as long as the block's longest.
        known = np.concatenate([factors, np.zeros((1, d))]).astype(np.float32)
        columns = np.append(self.values.indices, self.values.shape[1])
        cell_targets = _with_nothing(self.values.data if targets is None else targets, n_cells)
        cell_weights = None if weights is None else _with_nothing(weights, n_cells)
        row_penalties = np.broadcast_to(np.asarray(penalties, np.float32), n_rows)
        common = np.float32(0) if shared is None else np.asarray(shared, np.float32)
        rights = None if right is None else np.broadcast_to(np.asarray(right, np.float32), (n_rows, d))
        draws = None if noise is None else np.asarray(noise, np.float32)
        step = max(8, _UNPARTED_PRODUCT // d**2)
        solved = np.zeros((n_rows, d), np.float32)

        def solve_block(rows: Rows) -> None:
            matrices = np.zeros((len(rows), d, d), np.float32)
            vectors = np.zeros((len(rows), 1, d), np.float32)
            for cells in self._cells(rows, step):
                of_cells = known.take(columns[cells], axis=0)
                weighted = of_cells if cell_weights is None else of_cells * cell_weights[cells][..., None]
                matrices += weighted.transpose(0, 2, 1) @ of_cells
                vectors += cell_targets[cells][:, None] @ weighted
            matrices += common
            np.einsum("bdd->bd", matrices)[:] += row_penalties[rows, None]
            vectors = vectors.transpose(0, 2, 1)
            if rights is not None:
                vectors += rights[rows, :, None]
            if draws is not None:
                vectors += np.linalg.cholesky(matrices) @ draws[rows, :, None]
            solved[rows] = np.linalg.solve(matrices, vectors)[..., 0]

        # What has nothing to say is 0, whatever its penalty.
        idle = rights is None and draws is None
        self._on_threads(solve_block, self._blocks(d, step, least_cells=1 if idle else 0))
        return solved

    def _cells(self, rows: Rows, step: int) -> Iterator[Rows]:
        """Give the places of the rows' cells, some of each row at a time: (n_rows, up to `step`)."""
        starts, n_cells = self.values.indptr[rows, None], self.n_cells[rows, None]
        for first in range(0, int(n_cells.max()), step):
            places = np.arange(first, min(first + step, int(n_cells.max())))
            yield np.where(places < n_cells, starts + places, self.values.nnz)

    def _blocks(self, d: int, step: int, least_cells: int) -> Iterator[Rows]:
        rows = self._longest_first[: np.count_nonzero(self.n_cells >= least_cells)]
        while len(rows):
            size = max(1, _BLOCK_NUMBERS // (d * max(d, min(step, int(self.n_cells[rows[0]])))))
            yield rows[:size]
            rows = rows[size:]

    def _on_threads(self, solve_block: Callable[[Rows], None], blocks: Iterator[Rows]) -> None:
        n_threads = self.n_threads or os.cpu_count() or 1
        # NumPy lets go of the interpreter while it is in BLAS and LAPACK.
        with ThreadPoolExecutor(n_threads) as pool:
            for _ in pool.map(solve_block, blocks):
                pass


def _with_nothing(numbers: npt.ArrayLike, n_cells: int) -> FloatArray:
    return np.append(np.broadcast_to(np.asarray(numbers, np.float32), n_cells), np.float32(0))
