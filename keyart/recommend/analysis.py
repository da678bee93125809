"""What the ratings of a workspace tell of its films, and what a model learned of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from catalog.errors import ConfigError
from catalog.films import Catalog
from catalog.io.files import atomic_path
from cf import analysis
from cf.base import Recommender, rows_of
from cf.ratings import Ratings
from keyart.recommend.models import open_model
from keyart.workspace.layout import Workspace

Topic = Literal["best", "most-rated", "genres", "biases", "clusters", "map"]
OF_RATINGS: tuple[Topic, ...] = ("best", "most-rated", "genres")
OF_A_MODEL: tuple[Topic, ...] = ("biases", "clusters", "map")


@dataclass(frozen=True)
class Choice:
    """What is wanted of an exploration.

    Parameters
    ----------
    k : int, default 20
        How many films or genres; of clusters, how many films each.
    min_ratings : int, default 11
        Only films with so many ratings.
    damping : float, default 0
        So many ratings of the overall mean are added before films are ordered by their means.
    by : {"mean", "votes"}
        What genres are ordered by.
    smallest : bool, default False
        The smallest biases first.
    n_clusters : int, default 100
        How many clusters.
    """

    k: int = 20
    min_ratings: int = 11
    damping: float = 0.0
    by: Literal["mean", "votes"] = "mean"
    smallest: bool = False
    n_clusters: int = 100


def explore_ratings(workspace: Workspace, ratings: Ratings, topic: Topic, choice: Choice) -> list[Any]:
    """Tell what the ratings say.

    Parameters
    ----------
    workspace : Workspace
        The workspace, for titles and genres.
    ratings : Ratings
        Its ratings.
    topic : str
        One of `OF_RATINGS`.
    choice : Choice
        What is wanted.

    Returns
    -------
    list of RatedFilm or RatedGenre
        See `cf.analysis`.
    """
    titles, genres = _facts(workspace)
    if topic == "genres":
        return list(analysis.rated_genres(ratings, genres, choice.by)[: choice.k])
    if topic == "most-rated":
        return list(analysis.most_rated(ratings, titles, choice.k))
    more_than = choice.min_ratings - 1
    return list(analysis.best_rated(ratings, titles, choice.k, more_than=more_than, damping=choice.damping))


def write_ratings(workspace: Workspace, ratings: Ratings, path: Path) -> None:
    """Write the ratings joined with titles, for tools of your own.

    Parameters
    ----------
    workspace : Workspace
        The workspace, for titles and genres.
    ratings : Ratings
        Its ratings.
    path : Path
        A Parquet file: user_id, movie_id, title, genres (parted by |), rating, timestamp.

    Raises
    ------
    StoreError
        The file cannot be written.
    """
    titles, genres = _facts(workspace)
    films = pd.Series(ratings.movie_ids)
    columns = {
        "user_id": ratings.user_ids,
        "movie_id": ratings.movie_ids,
        "title": films.map(titles),
        "genres": films.map({movie_id: "|".join(names) for movie_id, names in genres.items()}),
        "rating": ratings.values,
        "timestamp": ratings.timestamps,
    }
    with atomic_path(path) as temporary_path:
        pd.DataFrame(columns).to_parquet(temporary_path, index=False)


def explore_biases(workspace: Workspace, name: str, choice: Choice) -> list[analysis.BiasedFilm]:
    """List the films with the largest or smallest bias.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    name : str
        A model with biases, fitted.
    choice : Choice
        What is wanted.

    Returns
    -------
    list of BiasedFilm
        The most extreme first.

    Raises
    ------
    ConfigError
        The model learns no biases.
    NotBuiltError, DataError
        As `keyart.recommend.models.open_model`.
    """
    model, _ = open_model(workspace, name)
    rows = _well_rated(model, choice.min_ratings)
    biases = _learned(model, "film_biases_")[rows]
    titles, _ = _facts(workspace)
    return analysis.largest_biases(model.movie_ids_[rows], biases, titles, choice.k, smallest=choice.smallest)


def explore_clusters(workspace: Workspace, name: str, choice: Choice) -> list[analysis.Cluster]:
    """Group films by what a model learned of them.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    name : str
        A model with factors, fitted.
    choice : Choice
        What is wanted.

    Returns
    -------
    list of Cluster
        The tightest first.

    Raises
    ------
    ConfigError
        The model learns no factors, or scikit-learn is not installed.
    NotBuiltError, DataError
        As `keyart.recommend.models.open_model`.
    """
    movie_ids, factors, titles = _factors(workspace, name, choice)
    return analysis.clusters(movie_ids, factors, titles, choice.n_clusters)


def explore_map(workspace: Workspace, name: str, choice: Choice) -> tuple[analysis.FilmMap, npt.NDArray[np.intp]]:
    """Lay films out in a plane by what a model learned of them.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    name : str
        A model with factors, fitted.
    choice : Choice
        What is wanted; `k` does not matter.

    Returns
    -------
    laid_out : FilmMap
        The films and where they lie.
    n_ratings : ndarray of shape (n_films,), intp
        How many ratings each has.

    Raises
    ------
    ConfigError
        The model learns no factors, no film has so many ratings, or scikit-learn is not installed.
    NotBuiltError, DataError
        As `keyart.recommend.models.open_model`.
    """
    movie_ids, factors, titles = _factors(workspace, name, choice)
    if not len(movie_ids):
        raise ConfigError(f"no film has {choice.min_ratings} ratings; ask for fewer with --min-ratings")
    laid_out = analysis.film_map(movie_ids, factors, titles)
    model, _ = open_model(workspace, name)
    return laid_out, _support(model)[rows_of(model.movie_ids_, laid_out.movie_ids)]


def _factors(
    workspace: Workspace, name: str, choice: Choice
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.floating], dict[int, str]]:
    model, _ = open_model(workspace, name)
    rows = _well_rated(model, choice.min_ratings)
    titles, _ = _facts(workspace)
    return model.movie_ids_[rows], _learned(model, "film_factors_")[rows], titles


def _learned(model: Recommender, attribute: str) -> npt.NDArray[np.floating]:
    learned = getattr(model, attribute, None)
    if learned is None:
        kind = attribute.removeprefix("film_").removesuffix("_")
        raise ConfigError(f"{model.name} learns no {kind} of films; name a model that does, such as --model als")
    return np.asarray(learned)


def _support(model: Recommender) -> npt.NDArray[np.intp]:
    return np.bincount(model.seen_.indices, minlength=len(model.movie_ids_))


def _well_rated(model: Recommender, least: int) -> npt.NDArray[np.intp]:
    return np.flatnonzero(_support(model) >= least)


def _facts(workspace: Workspace) -> tuple[dict[int, str], dict[int, tuple[str, ...]]]:
    with Catalog.open(workspace.catalog_path) as catalog:
        films = list(catalog)
    return {film.movie_id: film.label for film in films}, {film.movie_id: film.genres for film in films}
