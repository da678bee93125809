"""Statistics of the ratings of a workspace, and of the factors that a recommender learned."""

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
from keyart.workspace.films import loaded_files
from keyart.workspace.layout import Workspace
from keyart.workspace.outputs import check_output

Topic = Literal["best", "most-rated", "genres", "biases", "clusters", "map"]
OF_RATINGS: tuple[Topic, ...] = ("best", "most-rated", "genres")
OF_A_MODEL: tuple[Topic, ...] = ("biases", "clusters", "map")


@dataclass(frozen=True)
class Choice:
    """The options of an exploration."""

    k: int = 20
    min_ratings: int = 11
    damping: float = 0.0
    by: Literal["mean", "votes"] = "mean"
    smallest: bool = False
    n_clusters: int = 100


def explore_ratings(workspace: Workspace, ratings: Ratings, topic: Topic, choice: Choice) -> list[Any]:
    """Compute one of the statistics of ratings."""
    titles, genres = _facts(workspace)
    if topic == "genres":
        return list(analysis.rated_genres(ratings, genres, choice.by)[: choice.k])
    if topic == "most-rated":
        return list(analysis.most_rated(ratings, titles, choice.k))
    more_than = choice.min_ratings - 1
    return list(analysis.best_rated(ratings, titles, choice.k, more_than=more_than, damping=choice.damping))


def write_ratings(workspace: Workspace, ratings: Ratings, path: Path) -> None:
    """Write ratings joined with titles and genres as Parquet or CSV, by the name's ending."""
    check_output(path, (".parquet", ".csv"), loaded_files(workspace))
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
    table = pd.DataFrame(columns)
    with atomic_path(path) as temporary_path:
        if path.suffix.lower() == ".csv":
            table.to_csv(temporary_path, index=False)
        else:
            table.to_parquet(temporary_path, index=False)


def explore_biases(workspace: Workspace, name: str, choice: Choice) -> list[analysis.BiasedFilm]:
    """List the films with the largest or smallest biases of a recommender."""
    model, _ = open_model(workspace, name)
    rows = _well_rated(model, choice.min_ratings)
    biases = _learned(model, "film_biases_")[rows]
    titles, _ = _facts(workspace)
    return analysis.largest_biases(model.movie_ids_[rows], biases, titles, choice.k, smallest=choice.smallest)


def explore_clusters(workspace: Workspace, name: str, choice: Choice) -> list[analysis.Cluster]:
    """Cluster films by the factors of a recommender, the tightest cluster first."""
    movie_ids, factors, titles = _factors(workspace, name, choice)
    return analysis.clusters(movie_ids, factors, titles, choice.n_clusters)


def explore_map(workspace: Workspace, name: str, choice: Choice) -> tuple[analysis.FilmMap, npt.NDArray[np.intp]]:
    """Map films to a plane by the factors of a recommender; with the number of ratings of each."""
    movie_ids, factors, titles = _factors(workspace, name, choice)
    if not len(movie_ids):
        raise ConfigError(f"no film has {choice.min_ratings} ratings; ask for fewer with --min-ratings")
    film_map = analysis.film_map(movie_ids, factors, titles)
    model, _ = open_model(workspace, name)
    return film_map, _n_ratings(model)[rows_of(model.movie_ids_, film_map.movie_ids)]


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


def _n_ratings(model: Recommender) -> npt.NDArray[np.intp]:
    return np.bincount(model.seen_.indices, minlength=len(model.movie_ids_))


def _well_rated(model: Recommender, least: int) -> npt.NDArray[np.intp]:
    return np.flatnonzero(_n_ratings(model) >= least)


def _facts(workspace: Workspace) -> tuple[dict[int, str], dict[int, tuple[str, ...]]]:
    with Catalog.open(workspace.catalog_path) as catalog:
        films = list(catalog)
    return {film.movie_id: film.label for film in films}, {film.movie_id: film.genres for film in films}
