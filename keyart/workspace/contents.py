"""The contents of a workspace: films, posters, ratings and features."""

from __future__ import annotations

import hashlib

from catalog.errors import NotBuiltError
from catalog.film import Film
from catalog.films import Catalog
from cf.ratings import RatingMatrix, Ratings
from features.store import FeatureRows, FeatureStore
from keyart.workspace.layout import Workspace
from posters.store import Poster, PosterStore


def list_films(workspace: Workspace) -> list[Film]:
    """Return all films by movie_id."""
    with Catalog.open(workspace.catalog_path) as catalog:
        return list(catalog)


def list_posters(workspace: Workspace) -> list[Poster]:
    """Return the posters of the catalog's films by movie_id; none if no poster was added yet."""
    known = {film.movie_id for film in list_films(workspace)}
    try:
        with PosterStore.open_to_read(workspace.posters_dir) as store:
            return [poster for poster in store.posters() if poster.movie_id in known]
    except NotBuiltError:
        return []


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
