"""Statistics of the ratings of a workspace, and of the factors that a recommender learned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from catalog.errors import ConfigError
from catalog.film import Film
from catalog.films import Catalog
from catalog.io.files import output_path
from catalog.io.tables import as_text
from cf import analysis
from cf.base import Recommender, rows_of
from keyart.workspace.contents import open_films_and_ratings
from keyart.workspace.films import list_films, loaded_files
from keyart.workspace.layout import Workspace
from keyart.workspace.outputs import check_output


def best_rated(workspace: Workspace, k: int, min_ratings: int, damping: float) -> list[analysis.RatedFilm]:
    """List the films with the highest mean rating, each with `damping` ratings of the overall mean added."""
    films, ratings = open_films_and_ratings(workspace)
    return analysis.best_rated(ratings, _titles(films), k, more_than=min_ratings - 1, damping=damping)


def most_rated(workspace: Workspace, k: int) -> list[analysis.RatedFilm]:
    """List the films with the most ratings."""
    films, ratings = open_films_and_ratings(workspace)
    return analysis.most_rated(ratings, _titles(films), k)


def rated_genres(workspace: Workspace, k: int, by: Literal["mean", "ratings"]) -> list[analysis.RatedGenre]:
    """List the genres with their mean ratings."""
    films, ratings = open_films_and_ratings(workspace)
    genres = {movie_id: film.genres for movie_id, film in films.items()}
    return analysis.rated_genres(ratings, genres, by)[:k]


def write_ratings(workspace: Workspace, path: Path) -> None:
    """Write ratings joined with titles and genres as Parquet or CSV, by the name's ending."""
    check_output(path, (".parquet", ".csv"), loaded_files(workspace))
    films, ratings = open_films_and_ratings(workspace)
    movie_ids = pd.Series(ratings.movie_ids)
    columns = {
        "user_id": ratings.user_ids,
        "movie_id": ratings.movie_ids,
        "title": movie_ids.map({movie_id: film.title for movie_id, film in films.items()}),
        "year": movie_ids.map({movie_id: film.year for movie_id, film in films.items()}).astype("Int16"),
        "genres": movie_ids.map({movie_id: "|".join(film.genres) for movie_id, film in films.items()}),
        "rating": ratings.values,
        "timestamp": ratings.timestamps,
    }
    table = pd.DataFrame(columns)
    with output_path(path) as temporary_path:
        if path.suffix.lower() == ".csv":
            texts = table.select_dtypes(include=["object", "string"]).columns
            table[texts] = table[texts].map(as_text, na_action="ignore")
            table.to_csv(temporary_path, index=False)
        else:
            table.to_parquet(temporary_path, index=False)


def largest_biases(
    workspace: Workspace, model: Recommender, k: int, min_ratings: int, *, smallest: bool
) -> list[analysis.BiasedFilm]:
    """List the films with the largest or smallest biases of a recommender."""
    titles = _titles({film.movie_id: film for film in list_films(workspace)})
    rows = _present(_well_rated(model, min_ratings), model, titles)
    biases = _learned(model, "film_biases_")[rows]
    return analysis.largest_biases(model.movie_ids_[rows], biases, titles, k, smallest=smallest)


def clusters(workspace: Workspace, model: Recommender, min_ratings: int, n_clusters: int) -> list[analysis.Cluster]:
    """Cluster films by the factors of a recommender, the tightest cluster first."""
    return analysis.clusters(*_factors(workspace, model, min_ratings), n_clusters)


def expected_map(model: Recommender, min_ratings: int) -> tuple[int, float]:
    """Return how many films `film_map` lays out, and about how many seconds it takes."""
    n_films = len(_well_rated(model, min_ratings))
    return n_films, analysis.expected_map_s(n_films)


def film_map(
    workspace: Workspace, model: Recommender, min_ratings: int, k: int | None = None
) -> tuple[analysis.FilmMap, npt.NDArray[np.intp]]:
    """Map films to a plane by the factors of a recommender; with the number of ratings of each.

    With `k`, only the films with the most ratings are kept.
    """
    movie_ids, factors, titles = _factors(workspace, model, min_ratings)
    if not len(movie_ids):
        raise ConfigError(f"no film has {min_ratings} ratings; ask for fewer with --min-ratings")
    laid_out = analysis.film_map(movie_ids, factors, titles)
    n_ratings = _n_ratings(model)[rows_of(model.movie_ids_, laid_out.movie_ids)]
    most = np.sort(np.lexsort((laid_out.movie_ids, -n_ratings))[:k])
    titles_of_most = tuple(laid_out.titles[row] for row in most)
    return analysis.FilmMap(laid_out.movie_ids[most], titles_of_most, laid_out.positions[most]), n_ratings[most]


def _factors(
    workspace: Workspace, model: Recommender, min_ratings: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.floating], dict[int, str]]:
    titles = _titles({film.movie_id: film for film in list_films(workspace)})
    rows = _present(_well_rated(model, min_ratings), model, titles)
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


def _present(rows: npt.NDArray[np.intp], model: Recommender, titles: Mapping[int, str]) -> npt.NDArray[np.intp]:
    """Leave out films that have left the catalog since the model was fitted."""
    return rows[np.isin(model.movie_ids_[rows], list(titles))]


def with_facts(workspace: Workspace, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Split titles from years, and add imdb_id and tmdb_id, in the rows that have a movie_id."""
    with Catalog.open(workspace.catalog_path) as catalog:
        films = catalog.films(row["movie_id"] for row in rows if "movie_id" in row)
    return [_with_facts(row, films.get(row["movie_id"])) if "movie_id" in row else row for row in rows]


def _with_facts(row: dict[str, Any], film: Film | None) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in row.items():
        if name == "title":
            fields |= {"title": film.title if film else value, "year": film.year if film else None}
        else:
            fields[name] = value
    return fields | {"imdb_id": film.imdb_id if film else None, "tmdb_id": film.tmdb_id if film else None}


def _titles(films: Mapping[int, Film]) -> dict[int, str]:
    return {movie_id: film.label for movie_id, film in films.items()}
