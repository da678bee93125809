"""The contract that every recommender keeps, and what all of them share.

A model is made with its parameters, learns in ``fit``, and answers four questions: which stars (or what preference) a
user gives a film, which films a user should see, which films somebody new should see, and which films are like a film.
What ``fit`` learns ends in ``_``. Results come as ids and scores, in this order, best first; ties stand in ascending
movie_id; fewer results than k are a shorter list, never padding; a film is never its own neighbor. What a model does
not know is NaN and is never recommended. Nothing is pickled.

A subclass names itself and what it learns, and fills in the hooks `_fit`, `_score` and, where it can, `_score_new`,
`_predict` and `_similarities`. They speak of rows; ids are dealt with here, once.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.errors import ConfigError, DataError
from catalog.io.arrays import open_arrays, save_arrays
from catalog.scored_ids import ScoredIds
from cf.ratings import RatingMatrix

Ids = Sequence[int] | npt.NDArray[np.integer]
Rows = npt.NDArray[np.integer]
Scores = npt.NDArray[np.floating]
# Cells of one block of users (or films) × films, so that memory is bounded whatever the catalog's size.
BLOCK_CELLS = 8_000_000


class Recommender(ABC):
    """What a model of ratings can be asked.

    A subclass's constructor takes parameters that JSON can hold, stores each under its own name, and does nothing else.
    """

    #: How commands and files call it.
    name: ClassVar[str]
    #: Whether `predict` gives stars; else a preference on a scale of its own.
    predicts_stars: ClassVar[bool] = True
    #: Whether it can recommend to somebody who was not there when it was fitted.
    takes_new_users: ClassVar[bool] = True
    #: The version of the layout of its files.
    version: ClassVar[int] = 1
    #: Which ratings it was fitted on, as its owner names them; kept with it, so that a model out of date can be told.
    source: str = ""
    #: What `_fit` learns, by name: the attributes that are saved, arrays or csr_arrays.
    _learns: ClassVar[tuple[str, ...]] = ()

    user_ids_: npt.NDArray[np.int32]
    movie_ids_: npt.NDArray[np.int32]
    seen_: sparse.csr_array

    @property
    def parameters(self) -> dict[str, Any]:
        """What the model was made with, by name."""
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        return {name: getattr(self, name) for name in names}

    def fit(self, ratings: RatingMatrix) -> Self:
        """Learn from ratings.

        Parameters
        ----------
        ratings : RatingMatrix
            Users × films; it is not changed. Columns may be of films that nobody rated.

        Returns
        -------
        Recommender
            Itself.
        """
        self.user_ids_, self.movie_ids_, self.seen_ = ratings.user_ids, ratings.movie_ids, ratings.values
        self._fit(ratings.values)
        return self

    def predict(self, user_ids: Ids, movie_ids: Ids) -> npt.NDArray[np.float32]:
        """Predict what users think of films, pair by pair.

        Parameters
        ----------
        user_ids, movie_ids : sequence of int, of the same length n
            Who, and which film.

        Returns
        -------
        ndarray of shape (n,), float32
            Stars, not clipped to the scale, where `predicts_stars`; else a preference. NaN where the model does not
            know the user or the film.

        Raises
        ------
        ValueError
            The two are of different lengths.
        """
        users, films = rows_of(self.user_ids_, user_ids), rows_of(self.movie_ids_, movie_ids)
        if users.shape != films.shape:
            raise ValueError(f"predict wants as many users as films, received {len(users)} and {len(films)}")
        predicted = np.full(len(users), np.nan, np.float32)
        known = (users >= 0) & (films >= 0)
        if known.any():
            predicted[known] = self._predict(users[known], films[known])
        return predicted

    def recommend(self, user_ids: Ids, k: int, *, exclude_seen: bool = True) -> list[ScoredIds]:
        """Recommend films to users.

        Parameters
        ----------
        user_ids : sequence of int
            Whom.
        k : int
            How many films at most.
        exclude_seen : bool, default True
            Leave out what the user had rated when the model was fitted.

        Returns
        -------
        list of ScoredIds
            One for each user, in their order; empty for a user whom the model does not know.
        """
        users = rows_of(self.user_ids_, user_ids)
        answers = [ScoredIds.empty() for _ in users]
        known = np.flatnonzero(users >= 0)
        for block in self._blocks(known):
            scores = self._score(users[block])
            seen = self.seen_[users[block]] if exclude_seen else None
            for place, row, found in zip(block, scores, best(scores, k, without=seen), strict=True):
                answers[place] = ScoredIds(self.movie_ids_[found], row[found].astype(np.float32))
        return answers

    def recommend_new(self, histories: RatingMatrix, k: int, *, exclude_seen: bool = True) -> list[ScoredIds]:
        """Recommend films to people who were not there when the model was fitted, from what they have rated.

        Parameters
        ----------
        histories : RatingMatrix
            Their ratings, a row a person; films that the model does not know are passed over.
        k : int
            How many films at most.
        exclude_seen : bool, default True
            Leave out what they have rated.

        Returns
        -------
        list of ScoredIds
            One for each row; empty where the model can say nothing.

        Raises
        ------
        ConfigError
            The model would have to be fitted again.
        """
        values = self.aligned(histories)
        answers = []
        for block in self._blocks(np.arange(values.shape[0])):
            seen = values[block]
            scores = self._score_new(seen)
            for row, found in zip(scores, best(scores, k, without=seen if exclude_seen else None), strict=True):
                answers.append(ScoredIds(self.movie_ids_[found], row[found].astype(np.float32)))
        return answers

    def similar_items(self, movie_ids: Ids, k: int) -> list[ScoredIds]:
        """Find the films nearest to each of some films.

        Parameters
        ----------
        movie_ids : sequence of int
            The films asked about.
        k : int
            How many neighbors at most.

        Returns
        -------
        list of ScoredIds
            One for each film asked about; empty for a film of which nothing is known.
        """
        films = rows_of(self.movie_ids_, movie_ids)
        answers = [ScoredIds.empty() for _ in films]
        known = np.flatnonzero(films >= 0)
        for block in self._blocks(known):
            scores = self._similarities(films[block])
            scores[np.arange(len(block)), films[block]] = np.nan
            for place, row, found in zip(block, scores, best(scores, k), strict=True):
                answers[place] = ScoredIds(self.movie_ids_[found], row[found].astype(np.float32))
        return answers

    def aligned(self, histories: RatingMatrix) -> sparse.csr_array:
        """Bring ratings onto the model's columns.

        Parameters
        ----------
        histories : RatingMatrix
            Ratings of any films.

        Returns
        -------
        csr_array of shape (n_histories, n_films), float32
            The ratings of films that the model knows.
        """
        columns = rows_of(self.movie_ids_, histories.movie_ids)
        kept = sparse.csc_array(histories.values)[:, columns >= 0].tocoo()
        shape = (histories.values.shape[0], len(self.movie_ids_))
        return sparse.coo_array((kept.data, (kept.row, columns[columns >= 0][kept.col])), shape=shape).tocsr()

    def save(self, folder: Path) -> None:
        """Write what was learned.

        Parameters
        ----------
        folder : Path
            A folder of this model's own.

        Raises
        ------
        StoreError
            The files cannot be written; what was there before is untouched.
        """
        learned = {name: getattr(self, name) for name in ("user_ids_", "movie_ids_", "seen_", *self._learns)}
        sizes = {"n_users": len(self.user_ids_), "n_films": len(self.movie_ids_)}
        content = {"parameters": self.parameters, "source": self.source, **sizes}
        save_arrays(folder, self.name, _kind(self), self.version, content, learned)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        folder : Path
            The model's folder.

        Returns
        -------
        Recommender
            A model that answers as the saved one did.

        Raises
        ------
        NotBuiltError
            Nothing was saved there.
        DataError
            It is of another kind or version, or damaged.
        """
        content, learned = open_arrays(folder, cls.name, _kind(cls), cls.version)
        try:
            model = cls(**content["parameters"])
            if set(model.parameters) != set(content["parameters"]):
                raise DataError(f"{cls.name} in {folder} is damaged (a parameter is missing); fit the model again")
            model.source = content["source"]
            for name in ("user_ids_", "movie_ids_", "seen_", *cls._learns):
                setattr(model, name, learned[name])
        except (KeyError, TypeError) as error:
            raise DataError(f"{cls.name} in {folder} is damaged ({error}); fit the model again") from error
        return model

    # The hooks

    @abstractmethod
    def _fit(self, values: sparse.csr_array) -> None:
        """Learn from users × films, float32 stars; no ratings, users or films at all are a case like any other."""

    @abstractmethod
    def _score(self, users: Rows) -> Scores:
        """Score all films for known users: (n, n_films), NaN where nothing is known; a new array."""

    def _score_new(self, values: sparse.csr_array) -> Scores:  # noqa: ARG002 - what a subclass is given
        """Score all films for new users from their ratings, (n, n_films): (n, n_films), a new array."""
        raise ConfigError(
            f"{self.name} cannot recommend to somebody whom it was not fitted on; fit it again with their ratings, or "
            "choose a model that takes new users, such as item-cosine, als or ease"
        )

    def _predict(self, users: Rows, films: Rows) -> Scores:
        """Predict pairs of known users and films: (n,). Here by scoring all films; factors do it in less."""
        predicted = np.empty(len(users), np.float32)
        distinct, places = np.unique(users, return_inverse=True)
        order = np.argsort(places, kind="stable")
        starts = np.searchsorted(places[order], np.arange(len(distinct) + 1))
        for block in self._blocks(np.arange(len(distinct))):
            pairs = order[starts[block[0]] : starts[block[-1] + 1]]
            predicted[pairs] = self._score(distinct[block])[places[pairs] - block[0], films[pairs]]
        return predicted

    def _similarities(self, films: Rows) -> Scores:
        """Tell how near all films are to known films: (n, n_films), NaN where nothing is known; a new array."""
        return np.full((len(films), len(self.movie_ids_)), np.nan, np.float32)

    def _blocks(self, places: Rows) -> Iterator[Rows]:
        size = max(1, BLOCK_CELLS // max(1, len(self.movie_ids_)))
        for start in range(0, len(places), size):
            yield places[start : start + size]


def rows_of(ids: npt.NDArray[np.int32], wanted: Ids) -> Rows:
    """Look ids up."""
    asked = np.asarray(wanted, np.int64).reshape(-1)
    if not len(ids):
        return np.full(len(asked), -1, np.intp)
    rows = np.minimum(np.searchsorted(ids, asked), len(ids) - 1)
    return np.where(ids[rows] == asked, rows, -1)


def best(scores: Scores, k: int, *, without: sparse.csr_array | None = None) -> list[Rows]:
    """Choose the k highest scores of each row; equal scores stand in ascending column."""
    if k < 1:
        raise ValueError(f"k should be 1 or more, received {k}")
    candidates = np.where(np.isnan(scores), -np.inf, scores)
    if without is not None:
        candidates[np.repeat(np.arange(len(candidates)), np.diff(without.indptr)), without.indices] = -np.inf
    n_films = candidates.shape[1]
    if k < n_films:
        least = np.partition(candidates, n_films - k, axis=1)[:, n_films - k, None]
    else:
        least = np.full((len(candidates), 1), -np.inf)
    chosen = (candidates >= least) & (candidates > -np.inf)
    return [_ordered(row, np.flatnonzero(mask), k) for row, mask in zip(candidates, chosen, strict=True)]


def _ordered(row: Scores, columns: Rows, k: int) -> Rows:
    # Columns ascend, and a stable sort keeps them so among equals.
    return columns[np.argsort(-row[columns], kind="stable")[:k]]


def cosine_similarities(factors: Scores, films: Rows) -> npt.NDArray[np.float32]:
    """Compare films by the direction of their factors."""
    lengths = np.linalg.norm(factors, axis=1, keepdims=True)
    directions = (factors / np.where(lengths > 0, lengths, np.nan)).astype(np.float32)
    return np.asarray(directions[films] @ directions.T, np.float32)


def _kind(model: Recommender | type[Recommender]) -> str:
    return f"keyart-{model.name}"
