"""The ratings of a workspace, and those of its features that are current."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from catalog.errors import NotBuiltError
from catalog.film import Film
from catalog.films import Catalog
from catalog.io.files import read_stable
from cf.ratings import RatingMatrix, Ratings
from features.store import FeatureRows, FeatureStore
from index.source import FilmFeatures
from keyart.workspace.changes import Snapshot
from keyart.workspace.films import PosterReader
from keyart.workspace.layout import Workspace

Result = TypeVar("Result")


def open_ratings(workspace: Workspace) -> Ratings:
    """Open the ratings that the catalog names; empty if films were loaded without ratings."""
    return _of_one_load(workspace, lambda catalog: _ratings_of(workspace, catalog))


def open_films_and_ratings(workspace: Workspace) -> tuple[dict[int, Film], Ratings]:
    """Open all films by movie_id, and their ratings, of one and the same load."""
    return _of_one_load(
        workspace, lambda catalog: ({film.movie_id: film for film in catalog}, _ratings_of(workspace, catalog))
    )


def ratings_name(catalog: Catalog) -> str:
    """Return the name of the ratings of a catalog, which models record; empty if it has none."""
    return catalog.fact("ratings") or ""


def _of_one_load(workspace: Workspace, read: Callable[[Catalog], Result]) -> Result:
    """Call a function with the catalog; again if another load has replaced what it reads."""

    def read_once() -> Result:
        with Catalog.open(workspace.catalog_path) as catalog:
            return read(catalog)

    return read_stable(read_once, lambda: Snapshot.take([workspace.catalog_path]))


def _ratings_of(workspace: Workspace, catalog: Catalog) -> Ratings:
    name = ratings_name(catalog)
    if not name:
        return Ratings.empty()
    # Earlier versions recorded no checksum.
    ratings = Ratings.open(workspace.ratings_path(name), catalog.fact("ratings_xxh3"))
    if removed := sorted(catalog.removed()):
        ratings = ratings.where(~np.isin(ratings.movie_ids, removed))
    return replace(ratings, source=name)


def rating_matrix(ratings: Ratings) -> RatingMatrix:
    """Arrange the ratings of a workspace as users × films; NotBuiltError if there are none."""
    if not len(ratings):
        raise no_ratings()
    return ratings.matrix()


def no_ratings() -> NotBuiltError:
    """Return the error of a workspace without ratings."""
    return NotBuiltError(
        "no ratings here; load them with `keyart load DIR` from a MovieLens folder that has some, or with "
        "`keyart load films.csv --ratings FILE`"
    )


def current_features(
    workspace: Workspace, *, check: bool = False, posters: PosterReader | None = None
) -> tuple[FeatureStore, FeatureRows]:
    """Open the features, and select the rows whose poster is stored and unchanged.

    `check` verifies all checksums, which reads every shard. `posters` spares listing them once more.
    """
    store = FeatureStore.open(workspace.features_dir)
    listed = (posters or PosterReader(workspace)).read()
    return store, store.rows(check=check).of_posters(listed.sha256s)


def fingerprint(rows: FeatureRows | FilmFeatures) -> str:
    """Hash the posters that an index or an atlas is made from, so that an outdated one is recognized."""
    return fingerprint_of(rows.movie_ids.tolist(), rows.poster_sha256s)


def fingerprint_of(movie_ids: Sequence[int], poster_sha256s: Sequence[str]) -> str:
    """Hash posters, in ascending order of movie_id."""
    pairs = zip(movie_ids, poster_sha256s, strict=True)
    return hashlib.sha256("\n".join(f"{movie_id} {sha256}" for movie_id, sha256 in pairs).encode()).hexdigest()
