"""Regularized least squares for every row of a sparse matrix at once: the step that ALS and Gibbs sampling repeat.

Rows of about as many ratings are solved together by batched BLAS and LAPACK, blocks of them on several threads; what
a block works on stays in a core's cache. Either exactly, or by a few steps from an answer that is nearly right, in
about half the time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import sparse
from threadpoolctl import ThreadpoolController

FloatArray = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]
# Numbers in one block's matrices: 1 MB.
_BLOCK_NUMBERS = 1 << 18
# As many as gain most of what exact answers would, where each side's answer only serves the other's next one.
_N_STEPS = 3
# An answer that is already right has no direction left.
_TINY = np.finfo(np.float32).tiny
# How many threads BLAS has is said to the whole process: nobody may put back what another thread has just set.
_blas_is_ours = threading.RLock()


class LeastSquares:
    r"""Fits a vector to each row of a sparse matrix, the vectors of its columns being known.

    For row u, :math:`x_u` is the minimum of

    .. math:: \sum_i w_{ui} (t_{ui} - x^\top y_i)^2 + p_u |x|^2 + x^\top S x - 2 s_u^\top x

    over the stored cells i of the row, from the normal equations. For n cells and d factors this takes
    :math:`O(n d^2)` time, with a start :math:`O(n d)`, and for each thread a few megabytes, or n d numbers of the
    longest row where these are more.

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
    .. [2] G. Takács, I. Pilászy, D. Tikk, "Applications of the conjugate gradient method for implicit feedback
       collaborative filtering", RecSys 2011 (answers from a start).
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
        start: FloatArray | None = None,
    ) -> FloatArray:
        r"""Solve all rows."""
        if noise is not None and start is not None:
            raise ValueError("a draw needs the exact equations: give noise or a start, not both")
        n_rows, n_cells, d = self.values.shape[0], self.values.nnz, factors.shape[1]
        # One more cell, of one more column, is nothing: with it, short rows are made as long as the block's longest.
        known = np.concatenate([factors, np.zeros((1, d))]).astype(np.float32)
        columns = np.append(self.values.indices, self.values.shape[1])
        # Weighted squares are the squares of what the weights' roots multiply.
        roots = _with_nothing(1.0 if weights is None else np.sqrt(weights), n_cells)
        weighted_targets = roots * _with_nothing(self.values.data if targets is None else targets, n_cells)
        row_penalties = np.broadcast_to(np.asarray(penalties, np.float32), n_rows)
        common = np.zeros((d, d), np.float32) if shared is None else np.asarray(shared, np.float32)
        rights = None if right is None else np.broadcast_to(np.asarray(right, np.float32), (n_rows, d))
        draws = None if noise is None else np.asarray(noise, np.float32)
        solved = np.zeros((n_rows, d), np.float32)

        def solve_block(rows: Rows) -> None:
            cells = self._cells(rows)
            of_cells = known.take(columns[cells], axis=0)
            if weights is not None:
                of_cells *= roots[cells][..., None]
            vectors: FloatArray = np.asarray(weighted_targets[cells][:, None] @ of_cells)
            if rights is not None:
                vectors += rights[rows, None]
            if start is None:
                matrices = of_cells.transpose(0, 2, 1) @ of_cells + common
                np.einsum("bdd->bd", matrices)[:] += row_penalties[rows, None]
                solved[rows] = _solve(matrices, vectors, None if draws is None else draws[rows])
            else:
                solved[rows] = _approach(of_cells, common, row_penalties[rows, None, None], vectors, start[rows])

        # What has nothing to say is 0, whatever its penalty.
        idle = rights is None and draws is None
        self._on_threads(solve_block, self._blocks(d, least_cells=1 if idle else 0))
        return solved

    def _cells(self, rows: Rows) -> Rows:
        """Return the positions of the rows' cells: (n_rows, n_cells of the first row, which has most)."""
        places = np.arange(self.n_cells[rows[0]])
        starts, n_cells = self.values.indptr[rows, None], self.n_cells[rows, None]
        return np.where(places < n_cells, starts + places, self.values.nnz)

    def _blocks(self, d: int, least_cells: int) -> Iterator[Rows]:
        rows = self._longest_first[: np.count_nonzero(self.n_cells >= least_cells)]
        while len(rows):
            size = max(1, _BLOCK_NUMBERS // (d * max(d, int(self.n_cells[rows[0]]))))
            yield rows[:size]
            rows = rows[size:]

    def _on_threads(self, solve_block: Callable[[Rows], None], blocks: Iterator[Rows]) -> None:
        n_threads = self.n_threads or os.cpu_count() or 1
        # NumPy lets go of the interpreter while it is in BLAS and LAPACK.
        with single_threaded_blas(), ThreadPoolExecutor(n_threads) as pool:
            for _ in pool.map(solve_block, blocks):
                pass


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Have BLAS use one thread: of small matrices, several wait for each other longer than the work takes."""
    with _blas_is_ours, _libraries().limit(limits=1, user_api="blas"):
        yield


@cache
def _libraries() -> ThreadpoolController:
    # To look for them takes longer than to solve a few rows.
    return ThreadpoolController()


def _with_nothing(numbers: npt.ArrayLike, n_cells: int) -> FloatArray:
    return np.append(np.broadcast_to(np.asarray(numbers, np.float32), n_cells), np.float32(0))


def _solve(matrices: FloatArray, vectors: FloatArray, noise: FloatArray | None) -> FloatArray:
    """Solve each block's row exactly; `vectors` are of shape (n_rows, 1, d)."""
    columns = vectors.transpose(0, 2, 1)
    if noise is not None:
        columns += np.linalg.cholesky(matrices) @ noise[..., None]
    return np.asarray(np.linalg.solve(matrices, columns)[..., 0])


def _approach(
    of_cells: FloatArray, common: FloatArray, penalties: FloatArray, vectors: FloatArray, start: FloatArray
) -> FloatArray:
    """Take a few steps of conjugate gradients, never forming the matrices of the cells."""

    def product(x: FloatArray) -> FloatArray:
        return np.asarray((x @ of_cells.transpose(0, 2, 1)) @ of_cells + x @ common + penalties * x)

    x = start[:, None]
    left = vectors - product(x)
    direction, length = left, _squares(left)
    for _ in range(_N_STEPS):
        turned = product(direction)
        step = length / np.maximum((direction * turned).sum(axis=-1, keepdims=True), _TINY)
        x, left = x + step * direction, left - step * turned
        before, length = length, _squares(left)
        direction = left + length / np.maximum(before, _TINY) * direction
    return np.asarray(x[:, 0])


def _squares(vectors: FloatArray) -> FloatArray:
    return np.asarray(np.square(vectors).sum(axis=-1, keepdims=True))
