"""The index of a workspace, opened beside the features it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog.errors import DataError, NotBuiltError
from features.store import FeatureRows, FeatureStore
from index import manifest
from index.cosine import CosineIndex
from index.source import FilmFeatures
from keyart.workspace.layout import Workspace


def film_features(store: FeatureStore, rows: FeatureRows) -> FilmFeatures:
    """Tell the index where features lie."""
    arrays, array_numbers = store.arrays(rows)
    return FilmFeatures(rows.movie_ids, arrays, array_numbers, rows.rows, rows.poster_sha256s)


def has_index(workspace: Workspace) -> bool:
    """Tell whether an index was built, whatever its state."""
    try:
        manifest.read(workspace.index_dir)
    except NotBuiltError:
        return False
    except DataError:
        return True
    return True


def open_index(workspace: Workspace) -> CosineIndex:
    """Open the index of a workspace beside the features it reads."""
    features = None
    # Also without an index that can be read, whatever is wrong with the features is no concern of this one.
    record = manifest.read(workspace.index_dir)
    try:
        store = FeatureStore.open(workspace.features_dir)
    except NotBuiltError:
        pass
    else:
        check_identity(store, record["identity"])
        if record["type"] != "exact" and len(rows := store.rows()):
            features = film_features(store, rows)
    return CosineIndex.open(workspace.index_dir, features)


def check_identity(store: FeatureStore, identity: Mapping[str, Any]) -> None:
    """Refuse features of another network than that of an index."""
    if store.identity.as_dict() != identity:
        raise DataError(
            f"features are of {store.identity}, this index was built from {identity.get('backbone')} "
            f"({identity.get('n_features')} columns); run `keyart build` again"
        )
