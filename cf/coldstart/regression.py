"""Ridge regression of many targets at once on the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, cholesky, solve_triangular


class Ridge:
    r"""Solves :math:`(X^\top W X + \lambda I)^{-1} X^\top W Y`."""

    def __init__(self, rows: npt.NDArray[Any], weights: npt.NDArray[Any], penalty: float) -> None:
        self._rows, self._weights = rows, weights
        gram = (rows.T * weights) @ rows
        gram[np.diag_indices_from(gram)] += max(penalty, 1e-9)
        self._cholesky = cholesky(gram, lower=True)

    def coefficients(self, targets: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Fit targets."""
        return np.asarray(cho_solve((self._cholesky, True), (self._rows.T * self._weights) @ targets))

    def leverages(self) -> npt.NDArray[Any]:
        """Tell the share of each row itself in what it is predicted."""
        halves = solve_triangular(self._cholesky, self._rows.T, lower=True)
        return np.asarray(self._weights * np.square(halves).sum(axis=0))
