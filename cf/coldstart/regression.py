"""Ridge regression of many targets at once on the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, cholesky, solve_triangular


class Ridge:
    r"""Solves :math:`(X^\top W X + \lambda I)^{-1} X^\top W Y`.

    Parameters
    ----------
    rows : ndarray of shape (n, d), float64
        X.
    weights : ndarray of shape (n,), float64
        The diagonal of W.
    penalty : float
        λ.
    """

    def __init__(self, rows: npt.NDArray[Any], weights: npt.NDArray[Any], penalty: float) -> None:
        self._rows, self._weights = rows, weights
        gram = (rows.T * weights) @ rows
        gram[np.diag_indices_from(gram)] += max(penalty, 1e-9)
        self._cholesky = cholesky(gram, lower=True)

    def coefficients(self, targets: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Fit targets.

        Parameters
        ----------
        targets : ndarray of shape (n, k), float64
            Y.

        Returns
        -------
        ndarray of shape (d, k), float64
            The coefficients.
        """
        return np.asarray(cho_solve((self._cholesky, True), (self._rows.T * self._weights) @ targets))

    def leverages(self) -> npt.NDArray[Any]:
        """Tell the share of each row itself in what it is predicted.

        Returns
        -------
        ndarray of shape (n,), float64
            In [0, 1).
        """
        halves = solve_triangular(self._cholesky, self._rows.T, lower=True)
        return np.asarray(self._weights * np.square(halves).sum(axis=0))
