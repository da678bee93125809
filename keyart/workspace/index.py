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
    """Tell the index where features lie.

    Parameters
    ----------
    store : FeatureStore
        The features.
    rows : FeatureRows
        Those that count; one at least.

    Returns
    -------
    FilmFeatures
        Memory-mapped; nothing is read.

    Raises
    ------
    DataError
        A shard is damaged, or the features are none of films.
    """
    arrays, array_numbers = store.arrays(rows)
    return FilmFeatures(rows.movie_ids, arrays, array_numbers, rows.rows, rows.poster_sha256s)


def has_index(workspace: Workspace) -> bool:
    """Tell whether an index was built, whatever its state.

    Parameters
    ----------
    workspace : Workspace
        The workspace.

    Returns
    -------
    bool
        Also true of one that is damaged.
    """
    try:
        manifest.read(workspace.index_dir)
    except NotBuiltError:
        return False
    except DataError:
        return True
    return True


def open_index(workspace: Workspace) -> CosineIndex:
    """Open the index of a workspace beside the features it reads.

    Parameters
    ----------
    workspace : Workspace
        The workspace.

    Returns
    -------
    CosineIndex
        The index.

    Raises
    ------
    NotBuiltError
        There is no index, or there are no features any more that it could read.
    DataError
        A part is damaged, of another version, or of another network than the others.
    """
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
    """Refuse features of another network than that of an index.

    Parameters
    ----------
    store : FeatureStore
        The features.
    identity : mapping
        That of the index.

    Raises
    ------
    DataError
        They are of two networks.
    """
    if store.identity.as_dict() != identity:
        raise DataError(
            f"features are of {store.identity}, this index was built from {identity.get('backbone')} "
            f"({identity.get('n_features')} columns); run `keyart build` again"
        )
