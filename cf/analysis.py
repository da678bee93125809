"""Statistics of ratings and factors: the best and most rated films, genres, biases, clusters and a map.

Titles and genres are passed by movie_id. Clusters and the map need scikit-learn (the extra ``atlas``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from catalog.extras import require
from cf.ratings import Ratings

Titles = Mapping[int, str]
"""Titles by movie_id; a missing film is named by its id."""

_MOST_PERPLEXITY = 30.0
# Of the map, as measured in docs/durations.md.
_FILM_S = 0.005


@dataclass(frozen=True)
class RatedFilm:
    """A film and its ratings; means in stars."""

    rank: int
    movie_id: int
    title: str
    n_ratings: int
    mean_rating: float
    damped_mean: float


@dataclass(frozen=True)
class RatedGenre:
    """A genre and the ratings of its films."""

    genre: str
    n_films: int
    n_ratings: int
    mean_rating: float


@dataclass(frozen=True)
class BiasedFilm:
    """A film and its bias: how far it is liked beyond what its users' generosity and taste explain, in stars."""

    rank: int
    movie_id: int
    title: str
    bias: float


@dataclass(frozen=True)
class ClusteredFilm:
    """A film of a cluster, and its distance to the center."""

    movie_id: int
    title: str
    distance: float


@dataclass(frozen=True)
class Cluster:
    """Films with similar factors, nearest to the center first; the spread is their mean distance."""

    number: int
    films: tuple[ClusteredFilm, ...]
    spread: float


@dataclass(frozen=True)
class FilmMap:
    """Films in a plane, near each other where their factors are similar; positions (n_films, 2)."""

    movie_ids: npt.NDArray[np.int32]
    titles: tuple[str, ...]
    positions: npt.NDArray[np.float32]


def best_rated(
    ratings: Ratings, titles: Titles, k: int, *, more_than: int = 10, damping: float = 0.0
) -> list[RatedFilm]:
    r"""List the best rated films of more than `more_than` ratings.

    The damped mean, :math:`(\sum_u r_{ui} + \lambda \mu) / (n_i + \lambda)`, needs no threshold: a film of few ratings
    stays near the overall mean μ.
    """
    movie_ids, n_ratings, means = ratings.film_statistics()
    overall = float(ratings.values.mean()) if len(ratings) else 0.0
    damped = (n_ratings * means + damping * overall) / (n_ratings + damping)
    order = np.lexsort((movie_ids, -n_ratings, -damped))
    return _listed(order[n_ratings[order] > more_than][:k], movie_ids, n_ratings, means, damped, titles)


def most_rated(ratings: Ratings, titles: Titles, k: int) -> list[RatedFilm]:
    """List the films with the most ratings."""
    movie_ids, n_ratings, means = ratings.film_statistics()
    return _listed(np.lexsort((movie_ids, -means, -n_ratings))[:k], movie_ids, n_ratings, means, means, titles)


def rated_genres(
    ratings: Ratings, genres: Mapping[int, Sequence[str]], by: Literal["mean", "ratings"] = "mean"
) -> list[RatedGenre]:
    """List genres by their mean rating or number of ratings; a rating counts for every genre of its film."""
    movie_ids, n_ratings, means = ratings.film_statistics()
    pairs = [(genre, row) for row, movie_id in enumerate(movie_ids.tolist()) for genre in genres.get(movie_id, ())]
    if not pairs:
        return []
    of_pairs, rows = np.array([genre for genre, _ in pairs]), np.array([row for _, row in pairs])
    names, groups, n_films = np.unique(of_pairs, return_inverse=True, return_counts=True)
    votes = np.bincount(groups, weights=n_ratings[rows])
    mean = np.bincount(groups, weights=(n_ratings * means)[rows]) / votes
    order = np.argsort(-(mean if by == "mean" else votes), kind="stable")
    return [RatedGenre(str(names[row]), int(n_films[row]), int(votes[row]), float(mean[row])) for row in order]


def largest_biases(
    movie_ids: npt.NDArray[np.int32],
    biases: npt.NDArray[np.floating],
    titles: Titles,
    k: int,
    *,
    smallest: bool = False,
) -> list[BiasedFilm]:
    """List the films with the largest, or smallest, bias."""
    order = np.lexsort((movie_ids, biases if smallest else -biases))[:k]
    return [
        BiasedFilm(rank, int(movie_ids[row]), _title(titles, movie_ids[row]), float(biases[row]))
        for rank, row in enumerate(order, start=1)
    ]


def clusters(
    movie_ids: npt.NDArray[np.int32],
    factors: npt.NDArray[np.floating],
    titles: Titles,
    n_clusters: int = 100,
    *,
    seed: int = 0,
) -> list[Cluster]:
    """Cluster films by the direction of their factors, by k-means; the tightest first, single films last.

    Factors of films with few ratings are short: as they are, all would fall into one cluster about 0.
    """
    movie_ids, directions = _directions(movie_ids, factors)
    n_distinct = len(np.unique(directions, axis=0))
    if not n_distinct:
        return []
    means = _scikit_learn("cluster").KMeans(min(n_clusters, n_distinct), n_init=1, random_state=seed).fit(directions)
    distances = np.linalg.norm(directions - means.cluster_centers_[means.labels_], axis=1)
    groups = []
    for label in np.unique(means.labels_):
        rows = np.flatnonzero(means.labels_ == label)
        rows = rows[np.argsort(distances[rows], kind="stable")]
        groups.append((len(rows) == 1, float(distances[rows].mean()), rows))
    groups.sort(key=lambda group: (group[0], group[1], group[2][0]))
    return [
        Cluster(
            number,
            tuple(
                ClusteredFilm(int(movie_ids[row]), _title(titles, movie_ids[row]), float(distances[row]))
                for row in rows
            ),
            spread,
        )
        for number, (_, spread, rows) in enumerate(groups, start=1)
    ]


def expected_map_s(n_films: int) -> float:
    """Estimate how many seconds `film_map` takes, as measured in docs/durations.md."""
    return _FILM_S * n_films


def film_map(
    movie_ids: npt.NDArray[np.int32], factors: npt.NDArray[np.floating], titles: Titles, *, seed: int = 0
) -> FilmMap:
    """Map films to a plane by the direction of their factors, by t-SNE.

    References
    ----------
    .. [1] L. van der Maaten and G. Hinton, "Visualizing data using t-SNE", JMLR 9, 2008.
    """
    movie_ids, directions = _directions(movie_ids, factors)
    n_films = len(movie_ids)
    if n_films < 2:
        positions = np.zeros((n_films, 2), np.float32)
    else:
        # t-SNE requires more films than neighbors of each.
        perplexity = min(_MOST_PERPLEXITY, (n_films - 1) / 3)
        layout = _scikit_learn("manifold").TSNE(2, perplexity=perplexity, init="random", random_state=seed)
        # Its many short parallel steps cost more in waiting than they save, on a busy machine ten times as much.
        with threadpool_limits(1):
            positions = layout.fit_transform(directions).astype(np.float32)
    return FilmMap(movie_ids, tuple(_title(titles, movie_id) for movie_id in movie_ids), positions)


def _listed(
    rows: npt.NDArray[np.intp],
    movie_ids: npt.NDArray[np.int32],
    n_ratings: npt.NDArray[np.int64],
    means: npt.NDArray[np.float64],
    damped: npt.NDArray[np.float64],
    titles: Titles,
) -> list[RatedFilm]:
    return [
        RatedFilm(
            rank,
            int(movie_ids[row]),
            _title(titles, movie_ids[row]),
            int(n_ratings[row]),
            float(means[row]),
            float(damped[row]),
        )
        for rank, row in enumerate(rows, start=1)
    ]


def _title(titles: Titles, movie_id: np.integer) -> str:
    return titles.get(int(movie_id), f"film {movie_id}")


def _directions(
    movie_ids: npt.NDArray[np.int32], factors: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    lengths = np.linalg.norm(factors.astype(np.float64), axis=1)
    learned = lengths > 0
    return movie_ids[learned], factors[learned] / lengths[learned, None]


def _scikit_learn(part: str) -> Any:
    require("atlas", "grouping films")
    return import_module(f"sklearn.{part}")
