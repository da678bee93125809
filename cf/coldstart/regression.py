"""Ridge regression for many penalties at once, and the errors that it would make of films that it had not seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

FloatArray = npt.NDArray[np.float64]
# Shares of the largest eigenvalue below which one is 0 but for rounding.
_NOTHING = 1e-12
# A row of which a prediction depends so much on itself tells nothing of others.
_MOST_LEVERAGE = 1 - 1e-3


@dataclass(frozen=True)
class Ridge:
    r"""Ridge regression of many targets on the same rows: :math:`(X^\top W X + \lambda I)^{-1} X^\top W Y`.

    One eigendecomposition, of the smaller one of :math:`S^\top S` and :math:`S S^\top` with :math:`S = W^{1/2} X`,
    serves every penalty λ. Make it with `of_rows` or `of_kernel`.
    """

    roots: FloatArray  # (n, 1), of weights
    values: FloatArray  # (r,), eigenvalues
    scores: FloatArray  # (n, r), rows in the directions of the eigenvectors
    basis: FloatArray  # (d, r), from these directions to coefficients

    @classmethod
    def of_rows(cls, rows: npt.NDArray[Any], weights: npt.NDArray[Any] | None = None) -> Self:
        """Prepare the regression on rows (n, d)."""
        roots = _roots(len(rows), weights)
        scaled = rows * roots
        if len(rows) < rows.shape[1]:
            values, vectors = _decompose(scaled @ scaled.T)
            return cls(roots, values, vectors * np.sqrt(values), scaled.T @ (vectors / np.sqrt(values)))
        values, vectors = _decompose(scaled.T @ scaled)
        return cls(roots, values, scaled @ vectors, vectors)

    @classmethod
    def of_kernel(cls, kernel: npt.NDArray[Any], weights: npt.NDArray[Any] | None = None) -> Self:
        """Prepare kernel ridge regression (n, n); coefficients are those of the kernel's columns."""
        roots = _roots(len(kernel), weights)
        values, vectors = _decompose(kernel * roots * roots.T)
        return cls(roots, values, vectors * np.sqrt(values), roots * vectors / np.sqrt(values))

    def coefficients(self, targets: npt.NDArray[Any], penalty: float) -> FloatArray:
        """Fit targets (n, k)."""
        return np.asarray(self.basis @ (self._projected(targets) / self._shrinkage(penalty)[:, None]))

    def leverages(self, penalty: float) -> FloatArray:
        """Return the weight of each row in its own prediction."""
        return np.asarray(np.square(self.scores) @ (1 / self._shrinkage(penalty)))

    def left_out(self, targets: npt.NDArray[Any], penalties: Sequence[float]) -> Iterator[FloatArray]:
        r"""Predict each row by all others, for each penalty: :math:`y - (y - \hat y) / (1 - h)` with leverages h.

        References
        ----------
        .. [1] G. H. Golub, M. Heath, G. Wahba, "Generalized cross-validation as a method for choosing a good ridge
           parameter", Technometrics 21(2), 1979.
        """
        projected = self._projected(targets)
        for penalty in penalties:
            fitted = self.scores @ (projected / self._shrinkage(penalty)[:, None]) / self.roots
            remaining = 1 - self.leverages(penalty).clip(max=_MOST_LEVERAGE)
            yield np.asarray(targets - (targets - fitted) / remaining[:, None])

    def _projected(self, targets: npt.NDArray[Any]) -> FloatArray:
        return np.asarray(self.scores.T @ (targets * self.roots))

    def _shrinkage(self, penalty: float) -> FloatArray:
        return self.values + max(penalty, 1e-9)


def _roots(n: int, weights: npt.NDArray[Any] | None) -> FloatArray:
    return np.sqrt(np.ones(n) if weights is None else weights)[:, None]


def _decompose(gram: FloatArray) -> tuple[FloatArray, FloatArray]:
    values, vectors = eigh(gram) if len(gram) else (np.zeros(0), np.zeros((0, 0)))
    known = values > _NOTHING * max(values.max(initial=0), 1e-300)
    return values[known], vectors[:, known]
