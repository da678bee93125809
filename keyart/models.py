"""The recommenders of a workspace: fitted on its ratings, kept beside them, opened, asked, compared.

Each model has a folder of its own below ``cf/``, named as the model is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import sparse

from catalog.errors import ConfigError, DataError, NotBuiltError
from catalog.films import Catalogue
from catalog.lock import exclusive
from catalog.tables import read_rows
from cf.base import Recommended, Recommender
from cf.evaluation import Scorecard, evaluate
from cf.popularity import DampedMean
from cf.ratings import HIGHEST, LOWEST, RatingMatrix, Ratings
from cf.registry import MODELS, make, model_class
from cf.splits import Split
from keyart.workspace import Workspace

Parameters = Mapping[str, Mapping[str, Any]]
"""What models are made with, by the name of the model and of the parameter."""


@dataclass(frozen=True)
class FitReport:
    """What was fitted.

    Parameters
    ----------
    name : str
        The model.
    n_users, n_films, n_ratings : int
        On how many of each.
    fit_s : float
        How long it took, in seconds.
    """

    name: str
    n_users: int
    n_films: int
    n_ratings: int
    fit_s: float


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
    """

    rank: int
    movie_id: int
    title: str
    year: int | None
    score: float
    mean_rating: float | None
    n_ratings: int

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


def fit(workspace: Workspace, name: str, ratings: Ratings, parameters: Mapping[str, Any] | None = None) -> FitReport:
    """Fit a model on the ratings of a workspace and keep it there.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    name : str
        Which model.
    ratings : Ratings
        The workspace's ratings.
    parameters : mapping, optional
        What the model is made with, over its defaults.

    Returns
    -------
    FitReport
        What was fitted.

    Raises
    ------
    ConfigError
        There is no such model or parameter, or what it needs is not installed.
    NotBuiltError
        There are no ratings.
    StoreError
        The model cannot be written; one that was there before is untouched.
    """
    model = make(name, **(parameters or {}))
    if not len(ratings):
        raise NotBuiltError("no ratings here yet; run `keyart load DIR` on a MovieLens folder that has some")
    model.source = _source(workspace)
    matrix = ratings.matrix()
    started = time.perf_counter()
    model.fit(matrix)
    fit_s = time.perf_counter() - started
    folder = workspace.model_dir(name)
    with exclusive(folder):
        model.save(folder)
    return FitReport(name, len(matrix.user_ids), len(matrix.movie_ids), len(ratings), fit_s)


def open_model(workspace: Workspace, name: str) -> tuple[Recommender, tuple[str, ...]]:
    """Open a model that was fitted.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    name : str
        Which model.

    Returns
    -------
    model : Recommender
        The model.
    notes : tuple of str
        Says so where the ratings have changed since.

    Raises
    ------
    ConfigError
        There is no such model.
    NotBuiltError
        It has not been fitted.
    DataError
        Its files are damaged.
    """
    try:
        model = model_class(name).open(workspace.model_dir(name))
    except NotBuiltError as error:
        raise NotBuiltError(f"{name} has not been fitted here; run `keyart fit {name}`") from error
    if model.source == _source(workspace):
        return model, ()
    return model, (f"the ratings have changed since {name} was fitted; run `keyart fit {name}` again",)


def ensure_fitted(workspace: Workspace, name: str, ratings: Ratings) -> None:
    """Fit a model unless it is there and of the ratings as they are.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    name : str
        Which model.
    ratings : Ratings
        The workspace's ratings.

    Raises
    ------
    ConfigError, StoreError
        As `fit`.
    """
    try:
        _, notes = open_model(workspace, name)
    except (NotBuiltError, DataError):
        notes = ("not there",)
    if notes:
        fit(workspace, name, ratings)


def recommend(workspace: Workspace, name: str, user_id: int, k: int) -> Recommendation:
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

    Returns
    -------
    Recommendation
        Films that the user has not rated, best first.

    Raises
    ------
    ConfigError, NotBuiltError, DataError
        As `open_model`.
    """
    model, notes = open_model(workspace, name)
    (found,) = model.recommend([user_id], k)
    if len(found.movie_ids):
        return _recommendation(workspace, model, name, found, notes)
    note = f"{name} knows no user {user_id}: these are the films that people like best"
    return _most_liked(workspace, model, k, (*notes, note))


def recommend_new(workspace: Workspace, name: str, ratings_path: Path, k: int) -> Recommendation:
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

    Returns
    -------
    Recommendation
        Films that are not in the file, best first. Films of the file that the model does not know are told.

    Raises
    ------
    ConfigError
        There is no such model, or it takes no new users.
    NotBuiltError, DataError
        As `open_model`; or a line of the file is malformed.
    """
    model, notes = open_model(workspace, name)
    history = read_history(ratings_path)
    unknown = np.setdiff1d(history.movie_ids, model.movie_ids_).tolist()
    if unknown:
        listed = ", ".join(map(str, unknown[:10])) + (", …" if len(unknown) > 10 else "")
        notes = (*notes, f"{len(unknown)} films of {ratings_path.name} have no ratings here, passed over: {listed}")
    (found,) = model.recommend_new(history, k)
    if len(found.movie_ids):
        return _recommendation(workspace, model, name, found, notes)
    return _most_liked(workspace, model, k, (*notes, f"{name} can say nothing: these are the films people like best"))


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


def compare(
    names: Sequence[str],
    splits: Iterable[Split],
    parameters: Parameters,
    *,
    k: int = 10,
    relevant_from: float = 0.0,
    on_fit: Callable[[str, str], None] = lambda _model, _split: None,
) -> list[Scorecard]:
    """Compare models on the same splits.

    Parameters
    ----------
    names : sequence of str
        Which models.
    splits : iterable of Split
        On what.
    parameters : mapping
        What models are made with, over their defaults.
    k : int, default 10
        How many recommended films count.
    relevant_from : float, default 0
        The stars from which a test rating counts as relevant.
    on_fit : callable, optional
        Is told which model is about to be fitted on which split.

    Returns
    -------
    list of Scorecard
        One for each model.

    Raises
    ------
    ConfigError
        There is no such model or parameter, or what it needs is not installed.
    """
    strange = set(parameters) - set(names)
    if strange:
        raise ConfigError(f"parameters are set of {', '.join(sorted(strange))}, which is not among the models compared")
    makers = {name: partial(make, name, **parameters.get(name, {})) for name in names}
    for maker in makers.values():
        # A name or parameter that there is not is said before hours are spent.
        maker()
    return evaluate(makers, splits, k=k, relevant_from=relevant_from, on_fit=on_fit)


def export(workspace: Workspace, name: str, form: Literal["savedmodel", "tflite"], path: Path) -> tuple[str, ...]:
    """Write a fitted model for use without keyart.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    name : str
        Which model, fitted.
    form : {"savedmodel", "tflite"}
        A folder of TensorFlow's, which the two-tower model becomes; or a file of TensorFlow Lite's, which the ranking
        model becomes.
    path : Path
        Where it shall stand.

    Returns
    -------
    tuple of str
        What a user should know.

    Raises
    ------
    ConfigError
        The model does not come in this form.
    NotBuiltError, DataError
        As `open_model`.
    StoreError
        It cannot be written.
    """
    if (name, form) not in (("two-tower", "savedmodel"), ("ranking", "tflite")):
        raise ConfigError(f"{name} does not come as {form}; two-tower comes as savedmodel, ranking as tflite")
    model, notes = open_model(workspace, name)
    if form == "tflite":
        model.export_tflite(path)  # type: ignore[attr-defined]  # the ranking model's own
        return notes
    with Catalogue.open(workspace.catalogue_path) as catalogue:
        titles = {film.movie_id: film.label for film in catalogue}
    model.export_savedmodel(path, titles)  # type: ignore[attr-defined]  # the two-tower model's own
    return notes


def light_models() -> list[str]:
    """List the models that need neither TensorFlow nor Spark.

    Returns
    -------
    list of str
        In the order of the registry.
    """
    return [name for name, entry in MODELS.items() if not entry.needs]


def _recommendation(
    workspace: Workspace, model: Recommender, name: str, found: Recommended, notes: tuple[str, ...]
) -> Recommendation:
    with Catalogue.open(workspace.catalogue_path) as catalogue:
        films = catalogue.films(found.movie_ids.tolist())
    listed = []
    for rank, (movie_id, score) in enumerate(
        zip(found.movie_ids.tolist(), found.scores.tolist(), strict=True), start=1
    ):
        film = films[movie_id]
        listed.append(RecommendedFilm(rank, movie_id, film.title, film.year, score, film.mean_rating, film.n_ratings))
    return Recommendation(name, model.predicts_stars, tuple(listed), notes)


def _most_liked(workspace: Workspace, fitted: Recommender, k: int, notes: tuple[str, ...]) -> Recommendation:
    liked = DampedMean().fit(RatingMatrix(fitted.user_ids_, fitted.movie_ids_, fitted.seen_))
    nobody = RatingMatrix(np.ones(1, np.int32), fitted.movie_ids_, sparse.csr_array((1, len(fitted.movie_ids_))))
    (found,) = liked.recommend_new(nobody, k)
    return _recommendation(workspace, liked, liked.name, found, notes)


def _source(workspace: Workspace) -> str:
    with Catalogue.open(workspace.catalogue_path) as catalogue:
        return catalogue.fact("ratings") or ""
