"""The contract of the models of the cold start: what users think of films that nobody has rated, from their content.

A subclass names itself and what it looks at, and fills in the hooks `_fit`, `_predicted` and `_own`: users have
factors, films have factors, and their products are preferences. Content is encoded here, once, by what the films with
ratings have; so nothing can leak from the films that a model is tested on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from cf.coldstart.content import Encoding, FilmContent, Floats
from cf.ratings import RatingMatrix

Counts = npt.NDArray[np.int64]


class ColdStartModel(ABC):
    r"""Predicts what users think of films from the films' content.

    Attributes
    ----------
    name : str
        What the model is called.
    uses : frozenset of str
        What it looks at, of posters, genres, years and terms (people and words).
    half_support : float
        λ, in ratings: the number of ratings of a film at which its own factors count as much as predicted ones.
    user_ids_ : ndarray of shape (n_users,), int32
        The users of the fit.
    movie_ids_ : ndarray of shape (n_rated,), int32
        The films of the fit that had ratings.
    user_factors_ : ndarray of shape (n_users, n_factors), float32
        Theirs.
    user_spreads_ : ndarray of shape (n_users,), float32
        The standard deviation of each user's preferences among the films of the fit; NaN for a user without ratings.
    mean_factors_ : ndarray of shape (n_factors,), float32
        The mean of the factors of the films of the fit.
    encoding_ : Encoding
        How content becomes numbers.
    """

    name: ClassVar[str]
    uses: frozenset[str]
    half_support: float = 50.0
    user_ids_: npt.NDArray[np.int32]
    movie_ids_: npt.NDArray[np.int32]
    user_factors_: Floats
    user_spreads_: Floats
    mean_factors_: Floats
    encoding_: Encoding

    def fit(self, ratings: RatingMatrix, films: FilmContent) -> Self:
        """Learn from ratings and the content of the films of their columns; films without ratings are ignored."""
        values = ratings.values
        if len(films) != values.shape[1]:
            raise ValueError(f"expected content of {values.shape[1]} films, as of ratings; received {len(films)}")
        rated = np.flatnonzero(np.bincount(values.indices, minlength=values.shape[1]))
        known = films.rows(rated)
        self.user_ids_, self.movie_ids_ = ratings.user_ids, ratings.movie_ids[rated]
        self.encoding_ = Encoding.fit(known)
        content = self.encoding_(known)
        self._fit(sparse.csr_array(values[:, rated]), content)
        self._level(self._predicted(content), np.diff(values.indptr))
        return self

    def factors(self, films: FilmContent, values: sparse.csr_array | None = None) -> Floats:
        r"""Predict the factors of films; where a film has ratings by now, its own count too.

        .. math:: w \cdot own + (1 - w) \cdot predicted, \quad w = n / (n + \lambda)
        """
        predicted = self._predicted(self.encoding_(films))
        if values is None:
            return np.asarray(predicted, np.float32)
        if values.shape != (expected := (len(self.user_ids_), len(films))):
            raise ValueError(f"expected ratings of shape {expected}, users × films; received {values.shape}")
        n_ratings = _n_ratings(values)
        weights = (n_ratings / np.maximum(n_ratings + self.half_support, 1e-9))[:, None]
        return np.asarray(weights * self._own(values, n_ratings) + (1 - weights) * predicted, np.float32)

    def preferences(self, films: FilmContent, values: sparse.csr_array | None = None) -> Floats:
        """Return each user's standardized preference for each film, (n_users, n_films)."""
        return self._preferences(self.factors(films, values))

    @abstractmethod
    def _fit(self, values: sparse.csr_array, content: Mapping[str, Floats]) -> None:
        """Learn from ratings, users × films that all have some, and their encoded content; set `user_factors_`."""

    @abstractmethod
    def _predicted(self, content: Mapping[str, Floats]) -> npt.NDArray[Any]:
        """Predict film factors from encoded content: (n, n_factors)."""

    @abstractmethod
    def _own(self, values: sparse.csr_array, n_ratings: Counts) -> npt.NDArray[Any]:
        """Compute the factors of films from their own ratings: (n, n_factors)."""

    def _level(self, factors: npt.NDArray[Any], n_of_user: npt.NDArray[np.integer]) -> None:
        """Learn each user's mean preference over films and its standard deviation, which is the user's unit."""
        if not len(factors):
            self.mean_factors_ = np.zeros(self.user_factors_.shape[1], np.float32)
            self.user_spreads_ = np.full(len(self.user_factors_), np.nan, np.float32)
            return
        self.mean_factors_ = factors.mean(axis=0, dtype=np.float64).astype(np.float32)
        covariance = np.atleast_2d(np.cov(factors.astype(np.float64), rowvar=False, bias=True))
        spreads = np.sqrt(
            np.einsum("uk,kl,ul->u", self.user_factors_, covariance, self.user_factors_, optimize=True).clip(min=0)
        )
        # To whom all films are alike, every film is average.
        spreads = np.where(spreads > 1e-12, spreads, 1)
        self.user_spreads_ = np.where(n_of_user > 0, spreads, np.nan).astype(np.float32)

    def _preferences(self, factors: Floats) -> Floats:
        return np.asarray(
            self.user_factors_ @ (factors - self.mean_factors_).T / self.user_spreads_[:, None], np.float32
        )


def _n_ratings(values: sparse.csr_array) -> Counts:
    return np.bincount(values.indices, minlength=values.shape[1])


def scores_by_rank(
    known: npt.NDArray[np.floating], known_by_content: npt.NDArray[np.floating], new: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Map one user's scores of new films onto the scale of their scores of known films; NaN where none is known.

    What content predicts of a film varies far less than what many ratings say of another: on one scale, no new film
    would ever rank high. So a new film takes the rank that it has among the known films when all are scored by content.
    """
    if not len(known) or not len(known_by_content):
        return np.full(len(new), np.nan)
    ordered = np.sort(known_by_content)
    # Of equals, half are before it: where content says nothing, a new film is no better than the others.
    behind = (np.searchsorted(ordered, new, side="left") + np.searchsorted(ordered, new, side="right")) / 2
    ahead = 1 - behind / len(ordered)
    return np.interp(ahead * len(known), np.arange(len(known)), np.sort(known)[::-1])
