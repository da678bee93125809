"""Films for one user of a workspace, or for somebody who brings their ratings: known films and new ones together.

A model of ratings knows nothing of a film that nobody has rated; the cold start knows what such films are like.
`cf.coldstart.placing` brings the two onto one scale.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.errors import DataError, NotBuiltError
from catalog.films import Catalogue, Film
from catalog.tables import read_rows
from cf.base import Recommended, Recommender, rows_of
from cf.coldstart.content import FilmContent
from cf.coldstart.linear import ColdStart
from cf.coldstart.placing import place
from cf.popularity import DampedMean
from cf.ratings import HIGHEST, LOWEST, RatingMatrix, Ratings
from keyart.cold_start import open_cold_start
from keyart.content import Looks, content_of, open_looks
from keyart.models import open_model
from keyart.stock import open_ratings
from keyart.workspace import Workspace

# To place a new film among known ones, so many of these will do.
_SAMPLE = 5000
# The share of new films for somebody of whom nothing is known, where nothing is asked for.
_FRESH_FOR_STRANGERS = 0.2

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RecommendedFilm:
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

    @property
    def label(self) -> str:
        """Title and year as people write them."""
        return f"{self.title} ({self.year})" if self.year else self.title


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


def recommend(workspace: Workspace, name: str, user_id: int, k: int, fresh: float | None = None) -> Recommendation:
    """Recommend films to a user of the workspace.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    name : str
        Which model, fitted.
    user_id : int
        Whom. Somebody without ratings is recommended what people like best, and told so.
    k : int
        How many films at most.
    fresh : float in [0, 1], optional
        The share of the list that goes to new films at least; 0 for known films only. By default they take the places
        they earn.

    Returns
    -------
    Recommendation
        Films that the user has not rated, best first.

    Raises
    ------
    ConfigError, NotBuiltError, DataError
        As `keyart.models.open_model`.
    """
    ratings = _some_ratings(workspace)
    model, notes = open_model(workspace, name)
    own = ratings.where(ratings.user_ids == user_id)
    newcomers = _newcomers(workspace, model) if fresh != 0 else None
    if user_id in model.user_ids_:
        (found,) = model.recommend([user_id], max(k, len(model.movie_ids_)))
        # What was rated since the model was fitted has been seen as well.
        found = _without(found, own.movie_ids)
    elif len(own):
        return _for_history(workspace, name, own.matrix(), k, fresh, (model, newcomers, notes))
    else:
        return _for_strangers(workspace, model, newcomers, k, fresh, (*notes, f"{name} knows no user {user_id}"))
    new = newcomers.by_taste(newcomers.taste_of(user_id), found) if newcomers else []
    ranked = _with_new(found, new, k, fresh or 0.0)
    # Of somebody who has rated everything, new films are told on the cold start's own scale.
    gives_stars = model.predicts_stars and len(found.movie_ids) > 0
    return _answer(workspace, name, gives_stars, ranked, (*notes, *_remarks(found, new, k, fresh)))


def recommend_new(
    workspace: Workspace, name: str, ratings_path: Path, k: int, fresh: float | None = None
) -> Recommendation:
    """Recommend films to somebody who is no user of the workspace, from what they have rated.

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
        As in `recommend`.

    Returns
    -------
    Recommendation
        Films that are not in the file, best first. Films of the file that the model does not know are told.

    Raises
    ------
    ConfigError
        There is no such model, or it takes no new users.
    NotBuiltError, DataError
        As `keyart.models.open_model`; or a line of the file is malformed.
    """
    _some_ratings(workspace)
    model, notes = open_model(workspace, name)
    history = read_history(ratings_path)
    unknown = np.setdiff1d(history.movie_ids, model.movie_ids_).tolist()
    if unknown:
        listed = ", ".join(map(str, unknown[:10])) + (", …" if len(unknown) > 10 else "")
        films = "1 film" if len(unknown) == 1 else f"{len(unknown)} films"
        notes = (*notes, f"{films} of {ratings_path.name} without ratings here, passed over: {listed}")
    newcomers = _newcomers(workspace, model, without=history.movie_ids.tolist()) if fresh != 0 else None
    return _for_history(workspace, name, history, k, fresh, (model, newcomers, notes))


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
    n = len(stars)
    movie_ids, values = np.fromiter(stars, np.int32, n), np.fromiter(stars.values(), np.float32, n)
    return Ratings(np.ones(n, np.int32), movie_ids, values, np.zeros(n, np.int64)).matrix()


@dataclass(frozen=True)
class _Entry:
    """One film of a list in the making."""

    movie_id: int
    score: float
    new: bool


@dataclass(frozen=True)
class _Newcomers:
    """Films that a model does not know, what is known of them, and the films that it does know."""

    cold: ColdStart
    looks: Looks
    films: list[Film]
    known: list[Film]

    def taste_of(self, user_id: int) -> Floats:
        """Tell a user's factors; 0 for somebody unknown."""
        (row,) = rows_of(self.cold.user_ids_, [user_id])
        return self.cold.user_factors_[row] if row >= 0 else np.zeros_like(self.cold.user_factors_[0])

    def taste_of_new(self, history: RatingMatrix) -> Floats:
        """Tell the factors of somebody who brings ratings."""
        # A 0 at the end is what column -1, a film that is not in the file, is taken to have.
        rated = np.append(history.values.toarray()[0], 0)[rows_of(history.movie_ids, self.cold.movie_ids_)]
        taste: Floats = self.cold.user_factors(sparse.csr_array(rated[None]))[0]
        return taste

    def by_taste(self, taste: Floats, found: Recommended) -> list[_Entry]:
        """Rank new films for somebody, on the scale of the known films that were found for them, if there are some."""
        if not taste.any():
            return []
        unseen = set(found.movie_ids.tolist())
        candidates = [film for film in self.known if film.movie_id in unseen]
        if not candidates:
            of_new = self.cold.factors(self._content(self.films)) @ taste
            return self._ranked(of_new, of_new)
        sample = candidates[:: max(1, len(candidates) // _SAMPLE)]
        of_known, of_new = (self.cold.factors(self._content(films)) @ taste for films in (sample, self.films))
        return self._ranked(of_new, place(found.scores, of_known, of_new))

    def by_mean(self) -> list[_Entry]:
        """Rank new films by the mean rating that they are expected to get."""
        means = self.cold.expected_means(self._content(self.films)).values
        return self._ranked(means, means)

    def _ranked(self, values: npt.NDArray[np.floating], scores: npt.NDArray[np.floating]) -> list[_Entry]:
        # The films stand in ascending movie_id, which a stable sort keeps between equal values.
        rows = np.argsort(-values, kind="stable").tolist()
        return [_Entry(self.films[row].movie_id, float(scores[row]), new=True) for row in rows]

    def _content(self, films: list[Film]) -> FilmContent:
        rows = self.looks.of([film.movie_id for film in films])
        if rows.shape[1] != self.cold.encoding_.n_columns:
            # It was fitted without any poster.
            rows = np.full((len(films), self.cold.encoding_.n_columns), np.nan, np.float32)
        return content_of(films, rows)


def _newcomers(workspace: Workspace, model: Recommender, *, without: Iterable[int] = ()) -> _Newcomers | None:
    """Gather the films that a model does not know and of which something else is known; None where there are none."""
    with Catalogue.open(workspace.catalogue_path) as catalogue:
        films = list(catalogue)
    looks = open_looks(workspace)
    pictured, known = set(looks.movie_ids.tolist()), set(model.movie_ids_.tolist())
    passed_over = known.union(without)
    told = (film for film in films if film.movie_id in pictured or film.genres or film.year)
    # A film that was rated since the model was fitted is not new; it waits for the model to be fitted again.
    new = [film for film in told if film.movie_id not in passed_over and not film.n_ratings]
    cold = open_cold_start(workspace) if new else None
    return None if cold is None else _Newcomers(cold, looks, new, [film for film in films if film.movie_id in known])


def _some_ratings(workspace: Workspace) -> Ratings:
    ratings = open_ratings(workspace)
    if not len(ratings):
        raise NotBuiltError("no ratings here, so nothing is known of anybody's taste; run `keyart load DIR` with some")
    return ratings


def _without(found: Recommended, movie_ids: npt.NDArray[np.int32]) -> Recommended:
    kept = ~np.isin(found.movie_ids, movie_ids)
    return Recommended(found.movie_ids[kept], found.scores[kept])


def _for_history(
    workspace: Workspace,
    name: str,
    history: RatingMatrix,
    k: int,
    fresh: float | None,
    known: tuple[Recommender, _Newcomers | None, tuple[str, ...]],
) -> Recommendation:
    """Recommend films to somebody whom the model was not fitted on, from what they have rated."""
    model, newcomers, notes = known
    (found,) = model.recommend_new(history, max(k, len(model.movie_ids_)))
    if not len(found.movie_ids):
        return _for_strangers(workspace, model, newcomers, k, fresh, (*notes, f"{name} can say nothing"))
    new = newcomers.by_taste(newcomers.taste_of_new(history), found) if newcomers else []
    ranked = _with_new(found, new, k, fresh or 0.0)
    return _answer(workspace, name, model.predicts_stars, ranked, (*notes, *_remarks(found, new, k, fresh)))


def _for_strangers(
    workspace: Workspace,
    fitted: Recommender,
    newcomers: _Newcomers | None,
    k: int,
    fresh: float | None,
    notes: tuple[str, ...],
) -> Recommendation:
    """Recommend what people like best, and among it the new films that are expected to be liked best; say why."""
    liked = DampedMean().fit(RatingMatrix(fitted.user_ids_, fitted.movie_ids_, fitted.seen_))
    nobody = RatingMatrix(np.ones(1, np.int32), fitted.movie_ids_, sparse.csr_array((1, len(fitted.movie_ids_))))
    (found,) = liked.recommend_new(nobody, k)
    new = newcomers.by_mean() if newcomers else []
    *others, why = notes
    notes = (*others, f"{why}: these are the films that people like best" + (", and new ones" if new else ""))
    ranked = _with_new(found, new, k, _FRESH_FOR_STRANGERS if fresh is None else fresh)
    remarks = _remarks(found, new, k, fresh)
    return _answer(workspace, liked.name, liked.predicts_stars, ranked, (*notes, *remarks))


def _with_new(found: Recommended, new: list[_Entry], k: int, fresh: float) -> list[_Entry]:
    """Put new films where they belong in a list; where these are too few, the next one ends every so many places."""
    pairs = zip(found.movie_ids.tolist(), found.scores.tolist(), strict=True)
    known = [_Entry(movie_id, score, new=False) for movie_id, score in pairs]
    # A stable sort leaves known films before new ones of the same score.
    waiting = sorted([*known, *new], key=lambda entry: -entry.score)
    n = min(k, len(waiting))
    n_fresh = min(_n_fresh(fresh, k), len(new), n)
    ends = {round((turn + 1) * n / n_fresh) for turn in range(n_fresh)}
    listed: list[_Entry] = []
    n_new = n_due = 0
    for rank in range(1, n + 1):
        n_due += rank in ends
        entry = new[n_new] if n_new < n_due else waiting[0]
        waiting.remove(entry)
        listed.append(entry)
        n_new += entry.new
    return listed


def _n_fresh(fresh: float, k: int) -> int:
    # 0.1 · 30 is a little more than 3 in floating point.
    return ceil(round(fresh * k, 9))


def _remarks(found: Recommended, new: list[_Entry], k: int, fresh: float | None) -> Iterator[str]:
    if not len(found.movie_ids):
        yield "every film that the model knows has been rated already"
    wanted = _n_fresh(fresh or 0.0, k)
    if wanted and not new:
        yield "no film here is new and known by poster, genres or year; `keyart add` brings some in"
    elif len(new) < wanted:
        yield f"new films asked for: {wanted}; there are {len(new)}"


def _answer(
    workspace: Workspace, name: str, gives_stars: bool, ranked: list[_Entry], notes: tuple[str, ...]
) -> Recommendation:
    with Catalogue.open(workspace.catalogue_path) as catalogue:
        films = catalogue.films(entry.movie_id for entry in ranked)
    # Another load may have left a film out of the catalogue.
    there = [entry for entry in ranked if entry.movie_id in films]
    listed = []
    for rank, entry in enumerate(there, start=1):
        film = films[entry.movie_id]
        facts = film.movie_id, film.title, film.year, entry.score, film.mean_rating, film.n_ratings
        listed.append(RecommendedFilm(rank, *facts, new=entry.new))
    return Recommendation(name, gives_stars, tuple(listed), notes)
