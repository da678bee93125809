"""The contract of all recommenders.

A model is constructed with its parameters, learns in ``fit``, and then predicts ratings, recommends to known and new
users, and finds similar films. What ``fit`` learns ends in ``_``. Results are `ScoredIds`, best first; ties by
ascending movie_id; fewer results than k are a shorter list; a film is never its own neighbor. Unknown scores are NaN
and never recommended. Stars are within the scale of the ratings of the fit; films are ranked by the raw scores, so
that films of the most stars stay in order. Nothing is pickled.

A subclass declares its name and what it learns, and implements the hooks `_fit`, `_score` and, where it can,
`_score_new`, `_predict` and `_similarities`. Hooks work on rows; ids are mapped here, once.
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
from cf.scale import clip_to_ratings

Ids = Sequence[int] | npt.NDArray[np.integer]
Rows = npt.NDArray[np.integer]
Scores = npt.NDArray[np.floating]
# Cells of one block of users (or films) × films: bounds memory.
BLOCK_CELLS = 8_000_000


class Recommender(ABC):
    """A model of ratings.

    A subclass's constructor takes parameters that JSON can hold, stores each under its own name, and does nothing else.
    """

    #: Its name in commands and files.
    name: ClassVar[str]
    #: Whether `predict` returns stars; otherwise a preference on a scale of its own.
    predicts_stars: ClassVar[bool] = True
    #: Whether two users of different taste are recommended different films.
    is_personal: ClassVar[bool] = True
    #: Whether it recommends to users that it was not fitted on.
    takes_new_users: ClassVar[bool] = True
    #: The version of its file format.
    version: ClassVar[int] = 1
    #: Identifies the ratings it was fitted on; saved, so that an outdated model is detected.
    source: str = ""
    #: The names of the attributes that `_fit` learns and `save` writes: arrays or csr_arrays.
    _learns: ClassVar[tuple[str, ...]] = ()

    user_ids_: npt.NDArray[np.int32]
    movie_ids_: npt.NDArray[np.int32]
    seen_: sparse.csr_array

    @property
    def parameters(self) -> dict[str, Any]:
        """The arguments of the constructor, by name."""
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        return {name: getattr(self, name) for name in names}

    def fit(self, ratings: RatingMatrix) -> Self:
        """Learn from ratings.

        Parameters
        ----------
        ratings : RatingMatrix
            Users × films; it is not changed. Films without ratings may have columns.

        Returns
        -------
        Recommender
            Itself.
        """
        self.user_ids_, self.movie_ids_, self.seen_ = ratings.user_ids, ratings.movie_ids, ratings.values
        self._fit(ratings.values)
        return self

    def expected_fit_s(self, n_users: int, n_films: int) -> float | None:  # noqa: ARG002 - for subclasses
        """Estimate how many seconds `fit` takes on this machine, roughly; None where the sizes do not tell.

        Parameters
        ----------
        n_users, n_films : int
            The size of the ratings.

        Returns
        -------
        float or None
            Seconds.
        """
        return None

    def predict(self, user_ids: Ids, movie_ids: Ids, *, raw: bool = False) -> npt.NDArray[np.float32]:
        """Predict what users think of films, pair by pair.

        Parameters
        ----------
        user_ids, movie_ids : sequence of int, of the same length n
            Who, and which film.
        raw : bool, default False
            Return scores that may lie beyond the scale of the ratings.

        Returns
        -------
        ndarray of shape (n,), float32
            Stars, within the scale of the ratings of the fit, where `predicts_stars`; else a preference. NaN where the
            model does not know the user or the film.

        Raises
        ------
        ValueError
            The lengths differ.
        """
        users, films = rows_of(self.user_ids_, user_ids), rows_of(self.movie_ids_, movie_ids)
        if users.shape != films.shape:
            raise ValueError(f"predict expects as many users as films, received {len(users)} and {len(films)}")
        predicted = np.full(len(users), np.nan, np.float32)
        known = (users >= 0) & (films >= 0)
        if known.any():
            predicted[known] = self._predict(users[known], films[known])
        return predicted if raw else self.on_scale(predicted)

    def on_scale(self, scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Bring raw scores to the scale of the ratings of the fit.

        Parameters
        ----------
        scores : ndarray, float32
            As `recommend` returns them with ``raw=True``.

        Returns
        -------
        ndarray, float32
            Stars from the least to the most that anybody gave, where `predicts_stars`; else the scores themselves.
        """
        return clip_to_ratings(scores, self.seen_.data) if self.predicts_stars else scores

    def recommend(self, user_ids: Ids, k: int, *, exclude_seen: bool = True, raw: bool = False) -> list[ScoredIds]:
        """Recommend films to users.

        Parameters
        ----------
        user_ids : sequence of int
            The users.
        k : int
            The largest number of films for each.
        exclude_seen : bool, default True
            Leave out the films that the user had rated when the model was fitted.
        raw : bool, default False
            Return the scores that films are ranked by, which may lie beyond the scale of the ratings.

        Returns
        -------
        list of ScoredIds
            One for each user, in order; empty for an unknown user.
        """
        users = rows_of(self.user_ids_, user_ids)
        results = [ScoredIds.empty() for _ in users]
        known = np.flatnonzero(users >= 0)
        for block in self._blocks(known):
            scores = self._score(users[block])
            seen = self.seen_[users[block]] if exclude_seen else None
            for position, row, films in zip(block, scores, best(scores, k, without=seen), strict=True):
                results[position] = self._result(films, row, raw=raw)
        return results

    def recommend_new(
        self, histories: RatingMatrix, k: int, *, exclude_seen: bool = True, raw: bool = False
    ) -> list[ScoredIds]:
        """Recommend films to new users from their ratings.

        Parameters
        ----------
        histories : RatingMatrix
            Their ratings, one row per user; films that the model does not know are ignored.
        k : int
            The largest number of films for each.
        exclude_seen : bool, default True
            Leave out the films that they have rated.
        raw : bool, default False
            As in `recommend`.

        Returns
        -------
        list of ScoredIds
            One for each row; empty where nothing can be predicted.

        Raises
        ------
        ConfigError
            The model takes no new users.
        """
        values = self.aligned(histories)
        results = []
        for block in self._blocks(np.arange(values.shape[0])):
            seen = values[block]
            scores = self._score_new(seen)
            for row, films in zip(scores, best(scores, k, without=seen if exclude_seen else None), strict=True):
                results.append(self._result(films, row, raw=raw))
        return results

    def similar_items(self, movie_ids: Ids, k: int) -> list[ScoredIds]:
        """Find the nearest films of each film.

        Parameters
        ----------
        movie_ids : sequence of int
            The films.
        k : int
            The largest number of neighbors for each.

        Returns
        -------
        list of ScoredIds
            One for each film, in order; scores are similarities. Empty for an unknown film.
        """
        films = rows_of(self.movie_ids_, movie_ids)
        results = [ScoredIds.empty() for _ in films]
        known = np.flatnonzero(films >= 0)
        for block in self._blocks(known):
            scores = self._similarities(films[block])
            scores[np.arange(len(block)), films[block]] = np.nan
            for position, row, nearest in zip(block, scores, best(scores, k), strict=True):
                results[position] = ScoredIds(self.movie_ids_[nearest], row[nearest].astype(np.float32))
        return results

    def contributions(self, history: RatingMatrix, movie_ids: Ids) -> npt.NDArray[np.float32]:
        """Return how much each rating of one person speaks for films.

        Parameters
        ----------
        history : RatingMatrix
            The ratings of one person, one row without empty cells.
        movie_ids : sequence of int
            The films that are recommended.

        Returns
        -------
        ndarray of shape (n_ratings, n_films), float32
            Below 0 what speaks against a film. Parts of the score where the model adds up what films contribute, as
            ``ease`` and ``item-cosine`` do; else the model's similarities of the films. NaN where it knows neither.
        """
        columns, films = rows_of(self.movie_ids_, history.movie_ids), rows_of(self.movie_ids_, movie_ids)
        result = np.full((len(columns), len(films)), np.nan, np.float32)
        known, wanted = np.flatnonzero(columns >= 0), np.flatnonzero(films >= 0)
        if len(known) and len(wanted):
            result[np.ix_(known, wanted)] = self._contributions(self.aligned(history), films[wanted])
        return result

    def aligned(self, histories: RatingMatrix) -> sparse.csr_array:
        """Arrange ratings by the model's columns.

        Parameters
        ----------
        histories : RatingMatrix
            Ratings of any films.

        Returns
        -------
        csr_array of shape (n_histories, n_films), float32
            The ratings of the films that the model knows.
        """
        columns = rows_of(self.movie_ids_, histories.movie_ids)
        cells = sparse.csc_array(histories.values)[:, columns >= 0].tocoo()
        shape = (histories.values.shape[0], len(self.movie_ids_))
        return sparse.coo_array((cells.data, (cells.row, columns[columns >= 0][cells.col])), shape=shape).tocsr()

    def save(self, folder: Path) -> None:
        """Save the fitted model.

        Parameters
        ----------
        folder : Path
            A folder for this model alone.

        Raises
        ------
        StoreError
            The files cannot be written; an earlier model is untouched.
        """
        learned = {name: getattr(self, name) for name in ("user_ids_", "movie_ids_", "seen_", *self._learns)}
        sizes = {"n_users": len(self.user_ids_), "n_films": len(self.movie_ids_)}
        content = {"parameters": self.parameters, "source": self.source, **sizes}
        save_arrays(folder, self.name, _kind(self), self.version, content, learned)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a saved model.

        Parameters
        ----------
        folder : Path
            The model's folder.

        Returns
        -------
        Recommender
            The fitted model.

        Raises
        ------
        NotBuiltError
            Nothing was saved there.
        DataError
            It is damaged, or of another kind or version.
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
        """Learn from users × films, float32 stars; it may have no ratings, users or films at all."""

    @abstractmethod
    def _score(self, users: Rows) -> Scores:
        """Score all films for known users: a new array (n, n_films), NaN where unknown."""

    def _score_new(self, values: sparse.csr_array) -> Scores:  # noqa: ARG002 - for subclasses
        """Score all films for new users from their ratings, (n, n_films): a new array of the same shape."""
        raise ConfigError(
            f"{self.name} cannot recommend to a user that it was not fitted on; fit it again with their ratings, or "
            "choose a model that takes new users, such as item-cosine, als or ease"
        )

    def _predict(self, users: Rows, films: Rows) -> Scores:
        """Predict pairs of known users and films: (n,). Factor models override it, as this scores all films."""
        predicted = np.empty(len(users), np.float32)
        distinct, groups = np.unique(users, return_inverse=True)
        order = np.argsort(groups, kind="stable")
        starts = np.searchsorted(groups[order], np.arange(len(distinct) + 1))
        for block in self._blocks(np.arange(len(distinct))):
            pairs = order[starts[block[0]] : starts[block[-1] + 1]]
            predicted[pairs] = self._score(distinct[block])[groups[pairs] - block[0], films[pairs]]
        return predicted

    def _similarities(self, films: Rows) -> Scores:
        """Return the similarities of all films to known films: a new array (n, n_films), NaN where unknown."""
        return np.full((len(films), len(self.movie_ids_)), np.nan, np.float32)

    def _contributions(self, values: sparse.csr_array, films: Rows) -> Scores:
        """Return what each rating of one user, a row, contributes to the scores of films: (n_ratings, n_films)."""
        return self._similarities(films)[:, values.indices].T

    def _result(self, films: Rows, scores: Scores, *, raw: bool) -> ScoredIds:
        chosen = scores[films].astype(np.float32)
        return ScoredIds(self.movie_ids_[films], chosen if raw else self.on_scale(chosen))

    def _blocks(self, positions: Rows) -> Iterator[Rows]:
        size = max(1, BLOCK_CELLS // max(1, len(self.movie_ids_)))
        for start in range(0, len(positions), size):
            yield positions[start : start + size]


def rows_of(ids: npt.NDArray[np.int32], wanted: Ids) -> Rows:
    """Return the row of each wanted id in ascending `ids`, -1 where it is missing."""
    targets = np.asarray(wanted, np.int64).reshape(-1)
    if not len(ids):
        return np.full(len(targets), -1, np.intp)
    rows = np.minimum(np.searchsorted(ids, targets), len(ids) - 1)
    return np.where(ids[rows] == targets, rows, -1)


def best(scores: Scores, k: int, *, without: sparse.csr_array | None = None) -> list[Rows]:
    """Return the columns of the k highest scores of each row, but NaN and cells of `without`; ties by column."""
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
    """Return the cosines of films with all films, (n, n_films); NaN where a film has no factors."""
    lengths = np.linalg.norm(factors, axis=1, keepdims=True)
    directions = (factors / np.where(lengths > 0, lengths, np.nan)).astype(np.float32)
    return np.asarray(directions[films] @ directions.T, np.float32)


def _kind(model: Recommender | type[Recommender]) -> str:
    return f"keyart-{model.name}"
