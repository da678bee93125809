"""Similarity of content, aligned to who rates what: which films go together is learned from those that are rated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import chain, combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import nnls

from cf.coldstart.content import Floats, Standardization, unit
from cf.coldstart.factor_model import FactorModel, FloatArray

# Films are alike by each kind of content, and by each product of kinds.
_KINDS = ("genres", "years", "posters")
_TERMS = tuple(chain.from_iterable(combinations(_KINDS, n) for n in (1, 2, 3)))
# Weights are learned from so many films at most, each compared to each: the most rated.
_N_ALIGNED = 2000
# Bounds memory, and does not change the result.
_N_AT_ONCE = 512


class AlignedEASE(FactorModel):
    r"""Predicts a film's factors from those of all films, each by how alike their content is.

    With :math:`S_p, S_g, S_y` the cosines of posters, genres and years, the similarity of two films is

    .. math:: G = \sum_t w_t S_t, \quad t \in \{g, y, gy, p, pg, py, pgy\}

    where :math:`S_{gy}` is the product of :math:`S_g` and :math:`S_y` cell by cell, and so on; terms of a poster are 0
    where there is none. The weights :math:`w_t \ge 0` are those by which G comes nearest, in least squares, to the
    cosines of rated films' own factors. With X who rated what, a film without ratings gets the interest X G of
    everybody, and what EASE with a penalty μ makes of that is :math:`X (X^\top X + \mu I)^{-1} X^\top X G`: a smoothing
    of factors.

    Parameters
    ----------
    n_factors, damping, half_support, seed
        As `FactorModel` has them.
    smoothing : float, default 10
        μ.

    References
    ----------
    .. [1] J. Monteil, V. Vaskovych, W. Lu, A. Majumder, A. van den Hengel, "MARec: metadata alignment for cold-start
       recommendation", RecSys 2024: similarities of metadata, their products, aligned to those of ratings, and EASE.
    """

    name = "aligned-ease"
    uses = frozenset({"posters", "genres", "years"})
    film_factor_: Floats
    film_factors_: Floats
    weights_: FloatArray
    warm_: dict[str, Floats]
    standardization_: Standardization

    def __init__(
        self,
        n_factors: int = 128,
        damping: float = 0.25,
        smoothing: float = 10.0,
        half_support: float = 50.0,
        seed: int = 0,
    ) -> None:
        super().__init__(n_factors, damping, smoothing, half_support, seed)

    def _fit(self, values: sparse.csr_array, content: Mapping[str, Floats]) -> None:
        own, n_ratings = self._factorize(values)
        mean = own.mean(axis=0) if len(own) else np.zeros(own.shape[1])
        self.standardization_ = Standardization.fit(content["posters"], by_column=True)
        self.warm_ = self._rows(content)
        best_known = np.argsort(-n_ratings, kind="stable")[:_N_ALIGNED]
        self.weights_ = _aligned({kind: rows[best_known] for kind, rows in self.warm_.items()}, own[best_known] - mean)
        self.film_factor_ = np.asarray(self._smooth(mean, self.smoothing), np.float32)
        self.film_factors_ = np.asarray(self._smooth(own - mean, self.smoothing), np.float32)

    def _predicted(self, content: Mapping[str, Floats]) -> npt.NDArray[Any]:
        rows = self._rows(content)
        predicted = np.empty((len(rows["genres"]), self.film_factors_.shape[1]), np.float32)
        for start in range(0, len(predicted), _N_AT_ONCE):
            block = slice(start, start + _N_AT_ONCE)
            similarities = _similarities({kind: of_kind[block] for kind, of_kind in rows.items()}, self.warm_)
            weighted = (
                weight * one for weight, one in zip(self.weights_.astype(np.float32), similarities, strict=True)
            )
            predicted[block] = self.film_factor_ + reduce(np.add, weighted) @ self.film_factors_
        return predicted

    def _rows(self, content: Mapping[str, Floats]) -> dict[str, Floats]:
        posters = self.standardization_(content["posters"])
        return {
            "genres": np.nan_to_num(content["genres"]),
            "years": np.nan_to_num(content["years"]),
            "posters": unit(posters),
        }


def _similarities(films: Mapping[str, Floats], others: Mapping[str, Floats]) -> Iterator[Floats]:
    """Compare films to others, term by term: (n, n_others) each."""
    of_kind = {kind: films[kind] @ others[kind].T for kind in _KINDS}
    return (reduce(np.multiply, (of_kind[kind] for kind in term)) for term in _TERMS)


def _aligned(films: Mapping[str, Floats], factors: FloatArray) -> FloatArray:
    """Learn the weights of the terms from all pairs of different films."""
    directions = unit(factors)
    pairs = np.triu_indices(len(factors), 1)
    if not len(pairs[0]):
        return np.zeros(len(_TERMS))
    # The constant takes up how alike films are on average.
    columns: list[npt.NDArray[Any]] = [
        np.ones(len(pairs[0])),
        *(similarity[pairs] for similarity in _similarities(films, films)),
    ]
    gram = np.array([[np.dot(one, other) for other in columns] for one in columns])
    towards = np.array([np.dot(one, (directions @ directions.T)[pairs]) for one in columns])
    gram -= np.outer(gram[:, 0], gram[0]) / gram[0, 0]
    towards = towards[1:] - towards[0] * np.array([column.mean() for column in columns[1:]])
    # Least squares by its normal equations, which are small; a trace of ridge keeps them solvable.
    factor = np.linalg.cholesky(gram[1:, 1:] + 1e-6 * max(np.trace(gram), 1e-9) * np.eye(len(_TERMS)))
    return np.asarray(nnls(factor.T, np.linalg.solve(factor, towards))[0])
