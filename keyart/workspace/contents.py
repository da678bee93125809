"""The ratings of a workspace, and those of its features that are current."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from catalog.errors import NotBuiltError
from catalog.films import Catalog
from catalog.io.files import read_stable
from cf.ratings import RatingMatrix, Ratings
from features.store import FeatureRows, FeatureStore
from index.source import FilmFeatures
from keyart.workspace.films import list_posters
from keyart.workspace.layout import Workspace


def open_ratings(workspace: Workspace) -> Ratings:
    """Open the ratings that the catalog names; empty if films were loaded without ratings."""
    return read_stable(lambda: _ratings_named(workspace, _ratings_name(workspace)), lambda: _ratings_name(workspace))


def _ratings_name(workspace: Workspace) -> str | None:
    with Catalog.open(workspace.catalog_path) as catalog:
        return catalog.fact("ratings")


def _ratings_named(workspace: Workspace, name: str | None) -> Ratings:
    ratings = Ratings.open(workspace.ratings_path(name)) if name else Ratings.empty()
    return _without_removed(workspace, ratings)


def _without_removed(workspace: Workspace, ratings: Ratings) -> Ratings:
    """Leave out the ratings of films that were removed since these were loaded."""
    with Catalog.open(workspace.catalog_path) as catalog:
        removed = sorted(catalog.removed())
    return ratings.where(~np.isin(ratings.movie_ids, removed)) if removed else ratings


def open_rating_matrix(workspace: Workspace) -> RatingMatrix:
    """Open the ratings as users × films; NotBuiltError if there are none."""
    ratings = open_ratings(workspace)
    if not len(ratings):
        raise no_ratings()
    return ratings.matrix()


def no_ratings() -> NotBuiltError:
    """Return the error of a workspace without ratings."""
    return NotBuiltError(
        "no ratings here; load them with `keyart load DIR` from a MovieLens folder that has some, or with "
        "`keyart load films.csv --ratings FILE`"
    )


def current_features(workspace: Workspace, *, check: bool = False) -> tuple[FeatureStore, FeatureRows]:
    """Open the features, and select the rows whose poster is stored and unchanged.

    `check` verifies all checksums, which reads every shard.
    """
    store = FeatureStore.open(workspace.features_dir)
    return store, store.rows(check=check).of_posters(
        {poster.movie_id: poster.sha256 for poster in list_posters(workspace)}
    )


def fingerprint(rows: FeatureRows | FilmFeatures) -> str:
    """Hash the posters that an index or an atlas is made from, so that an outdated one is recognized."""
    return fingerprint_of(rows.movie_ids.tolist(), rows.poster_sha256s)


def fingerprint_of(movie_ids: Sequence[int], poster_sha256s: Sequence[str]) -> str:
    """Hash posters, in ascending order of movie_id."""
    pairs = zip(movie_ids, poster_sha256s, strict=True)
    return hashlib.sha256("\n".join(f"{movie_id} {sha256}" for movie_id, sha256 in pairs).encode()).hexdigest()
