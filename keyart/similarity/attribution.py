"""Why two posters look alike: the similarity of their features, split by region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalog.errors import NotBuiltError
from catalog.film import Film
from catalog.io.files import read_stable
from features.store import FeatureRows, FeatureStore
from index.attribution import contributions, embedded_contributions
from index.cosine import CosineIndex
from keyart.results import Explanation, Query, query_of
from keyart.workspace.films import posters_of
from keyart.workspace.index import check_identity, map_shape_of
from keyart.workspace.layout import Workspace
from keyart.workspace.steps import index_steps, no_features
from posters.store import Poster


@dataclass(frozen=True)
class SeenImage:
    """An image of no film, and its features."""

    query: Query
    features: npt.NDArray[np.float32]


Seen = Film | SeenImage
"""What can be compared by regions."""


def explain(workspace: Workspace, index: CosineIndex, first: Seen, second: Seen) -> Explanation:
    """Compute what each region of two posters contributes to their similarity."""
    return read_stable(
        lambda: _explain(workspace, index, first, second), lambda: FeatureStore.version(workspace.features_dir)
    )


def _explain(workspace: Workspace, index: CosineIndex, first: Seen, second: Seen) -> Explanation:
    try:
        store = FeatureStore.open(workspace.features_dir)
    except NotBuiltError as error:
        raise no_features(workspace) from error
    check_identity(store, index.identity)
    map_shape = map_shape_of(store)
    rows = store.rows()
    (first_query, first_row), (second_query, second_row) = (
        (one.query, one.features) if isinstance(one, SeenImage) else _features(workspace, one, store, rows)
        for one in (first, second)
    )
    names = f"the features of {first_query.label}", f"the features of {second_query.label}"
    films = (first_query, second_query)
    if index.embedding is not None:
        parts, of_second, pairs = embedded_contributions(first_row, second_row, index.embedding)
        return Explanation(films, parts.similarity, parts.grid, centered=True, second_grid=of_second.grid, pairs=pairs)
    parts = contributions(first_row, second_row, map_shape, index.mean, names=names)
    return Explanation(films, parts.similarity, parts.grid, index.centered)


def _features(
    workspace: Workspace, film: Film, store: FeatureStore, rows: FeatureRows
) -> tuple[Query, npt.NDArray[np.float16]]:
    """Find a film's poster and the row of features computed from it as it is now."""
    poster = _poster(workspace, film)
    if poster is None:
        raise NotBuiltError(f"{film.label} has no poster; run {index_steps(workspace, film.movie_id)}")
    own = rows.of_posters({film.movie_id: poster.sha256})
    if not len(own):
        raise NotBuiltError(
            f"the poster of {film.label} has no features yet; run `keyart extract`, then `keyart build`"
        )
    (features,) = next(store.blocks(own))
    return query_of(film, poster.path), features


def _poster(workspace: Workspace, film: Film) -> Poster | None:
    return posters_of(workspace, [film.movie_id]).get(film.movie_id)
