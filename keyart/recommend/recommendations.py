"""Films for one user of a workspace, or for somebody who brings their ratings: known films and new ones together.

A model of ratings knows nothing of a film that nobody has rated; the cold start knows what such films are like.
`UserRecommender` opens both once and is asked many times, for a page as for a command.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.errors import DataError
from catalog.film import Film, Titled
from catalog.io.tables import read_rows
from catalog.scored_ids import ScoredIds
from catalog.text import plural
from cf.base import Ids, Recommender, rows_of
from cf.models.popularity import DampedMean
from cf.ratings import HIGHEST, LOWEST, RatingMatrix
from keyart.cold_start.content import open_looks
from keyart.cold_start.predictor import open_cold_start
from keyart.recommend.models import open_model, record_path
from keyart.recommend.new_films import Entry, Newcomers, merged, n_new_wanted
from keyart.workspace.changes import Snapshot
from keyart.workspace.contents import list_films, open_rating_matrix
from keyart.workspace.layout import Workspace

# The share of new films for somebody of whom nothing is known, where nothing is asked for.
_FRESH_FOR_STRANGERS = 0.2


@dataclass(frozen=True)
class RecommendedFilm(Titled):
    """One film for one user.

    Parameters
    ----------
    rank : int
        From 1.
    movie_id : int
        The film.
    title : str
        Its title.
    year : int or None
        Its year of release, where known.
    score : float
        The stars that are predicted; or a preference on the model's own scale, where it gives no stars.
    mean_rating : float or None
        The mean of its ratings, in stars; None where there are none.
    n_ratings : int
        How many users rated it.
    new : bool
        Whether nobody had rated it when the model was fitted: it is recommended for its poster, genres and year.
    """

    rank: int
    movie_id: int
    title: str
    year: int | None
    score: float
    mean_rating: float | None
    n_ratings: int
    new: bool = False


@dataclass(frozen=True)
class Recommendation:
    """The films that one user should see.

    Parameters
    ----------
    model : str
        Which model chose them.
    gives_stars : bool
        Whether the scores are stars.
    films : tuple of RecommendedFilm
        Best first.
    notes : tuple of str
        What a reader should know.
    """

    model: str
    gives_stars: bool
    films: tuple[RecommendedFilm, ...]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Write the recommendation as plain values.

        Returns
        -------
        dict
            model, gives_stars, results.
        """
        results = [asdict(film) for film in self.films]
        return {"model": self.model, "gives_stars": self.gives_stars, "results": results}


class UserRecommender:
    """A model of a workspace and all that goes with it, opened once; make it with `open`.

    It only reads what it holds, so several threads may ask it at once. An answer takes milliseconds; to open it takes
    seconds, and memory for the model: `ease` holds four bytes for each pair of films.

    Parameters
    ----------
    model : Recommender
        Fitted.
    notes : tuple of str
        What a reader should know of it, first of all notes.
    ratings : RatingMatrix
        The workspace's ratings as they are, which the model may not have seen.
    films : mapping of int to Film
        The workspace's films, by movie_id.
    newcomers : Newcomers or None
        The films that nobody has rated and of which something else is known; None where there are none.
    snapshot : Snapshot
        Of the files that all this was read from.
    """

    def __init__(
        self,
        model: Recommender,
        notes: tuple[str, ...],
        ratings: RatingMatrix,
        films: Mapping[int, Film],
        newcomers: Newcomers | None,
        snapshot: Snapshot,
    ) -> None:
        self.model = model
        self._notes = notes
        self._ratings = ratings
        self._films = films
        self._newcomers = newcomers
        self._snapshot = snapshot

    @classmethod
    def open(cls, workspace: Workspace, name: str, *, with_new: bool = True) -> Self:
        """Open a model of a workspace, and the cold start beside it.

        Parameters
        ----------
        workspace : Workspace
            The workspace.
        name : str
            Which model, fitted.
        with_new : bool, default True
            Whether new films may come up; without them there is no need of the cold start.

        Returns
        -------
        UserRecommender
            Ready to be asked.

        Raises
        ------
        ConfigError
            There is no such model.
        NotBuiltError
            It has not been fitted, or there are no ratings.
        DataError
            A part of the workspace is damaged.
        """
        # Before anything is read: what changes meanwhile makes it old, not wrong.
        snapshot = Snapshot.take((workspace.catalog_path, workspace.features_dir, record_path(workspace, name)))
        ratings = open_rating_matrix(workspace)
        model, notes = open_model(workspace, name)
        films = list_films(workspace)
        newcomers = _newcomers(workspace, films, model) if with_new else None
        return cls(model, notes, ratings, {film.movie_id: film for film in films}, newcomers, snapshot)

    def is_current(self) -> bool:
        """Tell whether it still answers as one that is opened now would.

        Returns
        -------
        bool
            False once ratings were loaded, films added, posters extracted, or the model was fitted again.
        """
        return self._snapshot.is_current()

    def for_user(self, user_id: int, k: int, fresh: float | None = None) -> Recommendation:
        """Recommend films to a user of the workspace.

        Parameters
        ----------
        user_id : int
            Whom. Somebody without ratings is recommended what people like best, and told so.
        k : int
            How many films at most.
        fresh : float in [0, 1], optional
            The share of the list that goes to new films at least; 0 for known films only. By default they take the
            places they earn.

        Returns
        -------
        Recommendation
            Films that the user has not rated, best first.

        Raises
        ------
        ConfigError
            The model would have to be fitted again for a user who came since.
        """
        own = self._own(user_id)
        if user_id not in self.model.user_ids_:
            if len(own.movie_ids):
                return self._for_history(own, k, fresh, self._notes)
            return self._for_strangers(f"{self.model.name} knows no user {user_id}", k, fresh, self._notes)
        (found,) = self.model.recommend([user_id], max(k, len(self.model.movie_ids_)))
        # What was rated since the model was fitted has been seen as well.
        found = _without(found, own.movie_ids)
        newcomers = self._newcomers if fresh != 0 else None
        new = newcomers.by_taste(newcomers.taste_of(user_id), found) if newcomers else []
        # Of somebody who has rated everything, new films are told on the cold start's own scale.
        gives_stars = self.model.predicts_stars and len(found.ids) > 0
        notes = (*self._notes, *_remarks(found, new, k, fresh))
        return self._answer(self.model.name, gives_stars, merged(found, new, k, fresh or 0.0), notes)

    def for_ratings(
        self,
        history: RatingMatrix,
        k: int,
        fresh: float | None = None,
        *,
        source: str = "what was rated",
        liked_from: float = 0.0,
    ) -> Recommendation:
        """Recommend films to somebody who is no user of the workspace, from what they have rated.

        Parameters
        ----------
        history : RatingMatrix
            One row, as `history_of` makes it.
        k : int
            How many films at most.
        fresh : float in [0, 1], optional
            As in `for_user`.
        source : str, optional
            Where the ratings come from, for a note on films that the model does not know.
        liked_from : float, default 0
            The stars from which a film counts as chosen where choices are all that is looked at: by the cold start, and
            by models that give no stars. Users of the ratings chose all that they rated; who is shown films to rate
            did not.

        Returns
        -------
        Recommendation
            Films that are not in the history, best first.

        Raises
        ------
        ConfigError
            The model takes no new users.
        """
        notes = (*self._notes, *self._remarks_on(history, source, liked_from))
        return self._for_history(history, k, fresh, notes, liked_from)

    def _for_history(
        self, history: RatingMatrix, k: int, fresh: float | None, notes: tuple[str, ...], liked_from: float = 0.0
    ) -> Recommendation:
        """Recommend films to somebody whom the model was not fitted on, from what they have rated."""
        chosen = _where(history, history.values.data >= liked_from)
        told = history if self.model.predicts_stars else chosen
        (found,) = self.model.recommend_new(told, max(k, len(self.model.movie_ids_)))
        if not len(found.ids):
            return self._for_strangers(f"{self.model.name} can say nothing", k, fresh, notes, history.movie_ids)
        found = _without(found, history.movie_ids)
        newcomers = self._newcomers if fresh != 0 else None
        seen = set(history.movie_ids.tolist())
        new = newcomers.by_taste(newcomers.taste_of_new(chosen), found, seen) if newcomers else []
        ranked = merged(found, new, k, fresh or 0.0)
        notes = (*notes, *_remarks(found, new, k, fresh))
        return self._answer(self.model.name, self.model.predicts_stars, ranked, notes)

    def _for_strangers(
        self, why: str, k: int, fresh: float | None, notes: tuple[str, ...], seen: Ids = ()
    ) -> Recommendation:
        """Recommend what people like best, and among it the new films that are expected to be liked best; say why."""
        found = _without(self._liked_by_all, seen)
        new = self._newcomers.by_mean(set(seen)) if self._newcomers and fresh != 0 else []
        ranked = merged(found, new, k, _FRESH_FOR_STRANGERS if fresh is None else fresh)
        why += ": these are the films that people like best" + (", and new ones" if new else "")
        return self._answer(DampedMean.name, True, ranked, (*notes, why, *_remarks(found, new, k, fresh)))

    @cached_property
    def _liked_by_all(self) -> ScoredIds:
        model = self.model
        liked = DampedMean().fit(RatingMatrix(model.user_ids_, model.movie_ids_, model.seen_))
        nobody = RatingMatrix(np.ones(1, np.int32), model.movie_ids_, sparse.csr_array((1, len(model.movie_ids_))))
        (found,) = liked.recommend_new(nobody, max(1, len(model.movie_ids_)))
        return found

    def _own(self, user_id: int) -> RatingMatrix:
        """Gather what a user has rated by now, which may be nothing."""
        (row,) = rows_of(self._ratings.user_ids, [user_id])
        own = self._ratings.values[[row] if row >= 0 else []]
        return history_of(self._ratings.movie_ids[own.indices], own.data)

    def _remarks_on(self, history: RatingMatrix, source: str, liked_from: float) -> Iterator[str]:
        if unknown := np.setdiff1d(history.movie_ids, self.model.movie_ids_).tolist():
            listed = ", ".join(map(str, unknown[:10])) + (", …" if len(unknown) > 10 else "")
            yield f"{plural(len(unknown), 'film')} of {source} without ratings here, passed over: {listed}"
        n_disliked = np.count_nonzero(history.values.data < liked_from)
        if n_disliked and not self.model.predicts_stars:
            yield (
                f"{self.model.name} goes by what somebody chose, not by stars: "
                f"films rated below {liked_from:g} stars ({n_disliked}) do not count as chosen"
            )

    def _answer(self, name: str, gives_stars: bool, ranked: list[Entry], notes: tuple[str, ...]) -> Recommendation:
        # Another load may have left a film out of the catalog.
        there = [entry for entry in ranked if entry.movie_id in self._films]
        listed = []
        for rank, entry in enumerate(there, start=1):
            film = self._films[entry.movie_id]
            facts = film.movie_id, film.title, film.year, entry.score, film.mean_rating, film.n_ratings
            listed.append(RecommendedFilm(rank, *facts, new=entry.new))
        return Recommendation(name, gives_stars, tuple(listed), notes)


def recommend(workspace: Workspace, name: str, user_id: int, k: int, fresh: float | None = None) -> Recommendation:
    """Recommend films to a user of the workspace, once; to ask again, keep a `UserRecommender`.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    name : str
        Which model, fitted.
    user_id : int
        Whom.
    k : int
        How many films at most.
    fresh : float in [0, 1], optional
        As in `UserRecommender.for_user`.

    Returns
    -------
    Recommendation
        Films that the user has not rated, best first.

    Raises
    ------
    ConfigError, NotBuiltError, DataError
        As `UserRecommender`.
    """
    return UserRecommender.open(workspace, name, with_new=fresh != 0).for_user(user_id, k, fresh)


def recommend_new(
    workspace: Workspace, name: str, ratings_path: Path, k: int, fresh: float | None = None
) -> Recommendation:
    """Recommend films to somebody who is no user of the workspace, from a file of what they have rated.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    name : str
        Which model, fitted.
    ratings_path : Path
        A CSV file with the columns movieId and rating.
    k : int
        How many films at most.
    fresh : float in [0, 1], optional
        As in `UserRecommender.for_user`.

    Returns
    -------
    Recommendation
        Films that are not in the file, best first. Films of the file that the model does not know are told.

    Raises
    ------
    ConfigError, NotBuiltError, DataError
        As `UserRecommender`; or a line of the file is malformed.
    """
    history = read_history(ratings_path)
    opened = UserRecommender.open(workspace, name, with_new=fresh != 0)
    return opened.for_ratings(history, k, fresh, source=ratings_path.name)


def history_of(movie_ids: Ids, stars: Sequence[float] | npt.NDArray[np.floating]) -> RatingMatrix:
    """Arrange what one person has rated as the models take it.

    Parameters
    ----------
    movie_ids : sequence of int, of length n
        The films, each once.
    stars : sequence of float, of length n
        0.5 to 5.

    Returns
    -------
    RatingMatrix
        One row; without any film it is a row all the same.
    """
    order = np.argsort(np.asarray(movie_ids, np.int32))
    ids, values = np.asarray(movie_ids, np.int32)[order], np.asarray(stars, np.float32)[order]
    row = sparse.csr_array((values, np.arange(len(ids)), [0, len(ids)]), shape=(1, len(ids)))
    return RatingMatrix(np.ones(1, np.int32), ids, row)


def read_history(path: Path) -> RatingMatrix:
    """Read what one person has rated.

    Parameters
    ----------
    path : Path
        A CSV file with the columns movieId and rating; where a film stands twice, the last line counts.

    Returns
    -------
    RatingMatrix
        One row.

    Raises
    ------
    DataError
        The file holds no ratings or a line is malformed; the message names line and column.
    """
    stars: dict[int, float] = {}
    for row in read_rows(path, ("movieId", "rating")):
        movie_id = row.integer("movieId", "a movieId, a whole number above 0")
        try:
            rating = float(row["rating"])
        except ValueError:
            rating = float("nan")
        if not LOWEST <= rating <= HIGHEST:
            raise row.error("rating", f"a rating from {LOWEST} to {HIGHEST}")
        stars[movie_id] = rating
    if not stars:
        raise DataError(f"{path} holds no ratings; expected lines of movieId and rating")
    return history_of(list(stars), list(stars.values()))


def _newcomers(workspace: Workspace, films: Sequence[Film], model: Recommender) -> Newcomers | None:
    """Gather the films that a model does not know and of which something else is known; None where there are none."""
    looks = open_looks(workspace)
    pictured, known = set(looks.movie_ids.tolist()), set(model.movie_ids_.tolist())
    told = (film for film in films if film.movie_id in pictured or film.genres or film.year)
    # A film that was rated since the model was fitted is not new; it waits for the model to be fitted again.
    new = [film for film in told if film.movie_id not in known and not film.n_ratings]
    cold = open_cold_start(workspace) if new else None
    if cold is None:
        return None
    return Newcomers.gather(cold, looks, new, [film for film in films if film.movie_id in known])


def _where(history: RatingMatrix, kept: npt.NDArray[np.bool_]) -> RatingMatrix:
    """Keep some of one person's ratings."""
    return history_of(history.movie_ids[history.values.indices[kept]], history.values.data[kept])


def _without(found: ScoredIds, movie_ids: Ids) -> ScoredIds:
    kept = ~np.isin(found.ids, np.asarray(movie_ids, np.int32))
    return ScoredIds(found.ids[kept], found.scores[kept])


def _remarks(found: ScoredIds, new: list[Entry], k: int, fresh: float | None) -> Iterator[str]:
    if not len(found.ids):
        yield "every film that the model knows has been rated already"
    wanted = n_new_wanted(fresh or 0.0, k)
    if wanted and not new:
        yield "no film here is new and known by poster, genres or year; `keyart add` brings some in"
    elif len(new) < wanted:
        yield f"new films asked for: {wanted}; there are {len(new)}"
