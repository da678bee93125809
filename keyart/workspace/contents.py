"""The ratings of a workspace, and those of its features that are current."""

from __future__ import annotations

import hashlib

from catalog.errors import NotBuiltError
from catalog.films import Catalog
from cf.ratings import RatingMatrix, Ratings
from features.store import FeatureRows, FeatureStore
from keyart.workspace.films import list_posters
from keyart.workspace.layout import Workspace


def open_ratings(workspace: Workspace) -> Ratings:
    """Open the ratings that the catalog names; empty if films were loaded without ratings."""
    with Catalog.open(workspace.catalog_path) as catalog:
        name = catalog.fact("ratings")
    return Ratings.open(workspace.ratings_path(name)) if name else Ratings.empty()


def open_rating_matrix(workspace: Workspace) -> RatingMatrix:
    """Open the ratings as users × films; NotBuiltError if there are none."""
    ratings = open_ratings(workspace)
    if not len(ratings):
        raise NotBuiltError("no ratings here, so nothing is known of anybody's taste; run `keyart load DIR` with some")
    return ratings.matrix()


def current_features(workspace: Workspace, *, check: bool = False) -> tuple[FeatureStore, FeatureRows]:
    """Open the features, and select the rows whose poster is stored and unchanged.

    `check` verifies all checksums, which reads every shard.
    """
    store = FeatureStore.open(workspace.features_dir)
    return store, store.rows(check=check).of_posters(
        {poster.movie_id: poster.sha256 for poster in list_posters(workspace)}
    )


def fingerprint(rows: FeatureRows) -> str:
    """Hash the posters that an index is built from, so that an outdated index is recognized."""
    pairs = zip(rows.movie_ids.tolist(), rows.poster_sha256s, strict=True)
    return hashlib.sha256("\n".join(f"{movie_id} {sha256}" for movie_id, sha256 in pairs).encode()).hexdigest()
