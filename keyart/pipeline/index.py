"""The index of a workspace: built from its features, brought up to date as they change, opened beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from catalog.errors import DataError, NotBuiltError
from catalog.io.locks import exclusive
from catalog.io.progress import Progress, silent
from features.store import FeatureRows, FeatureStore
from index import manifest
from index.cosine import CosineIndex
from index.plan import Kind, Plan, make_plan
from index.source import FilmFeatures
from keyart.workspace.layout import Workspace

# When more than this share of the films is new, fitting anew costs little more than adding.
_MOSTLY_NEW = 0.5


@dataclass(frozen=True)
class IndexOptions:
    """What is wanted of an index; what is None stays as it was.

    Parameters
    ----------
    kind : "auto", "exact", "shortlist" or None
        Compare with all films, or with a shortlist.
    center : bool or None
        Subtract the mean of all features before they are compared.
    target_recall : float or None
        The share of the truly nearest films that a shortlist should find.
    max_memory_bytes : int or None
        What a query may need.
    rebuild : bool
        Build anew, also where it would do to add and remove films.
    """

    kind: Kind | Literal["auto"] | None = None
    center: bool | None = None
    target_recall: float | None = None
    max_memory_bytes: int | None = None
    rebuild: bool = False


@dataclass(frozen=True)
class IndexChange:
    """What became of an index.

    Parameters
    ----------
    index : CosineIndex
        As it is now.
    how : str
        In plain words.
    """

    index: CosineIndex
    how: str


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


def bring_up_to_date(
    workspace: Workspace,
    store: FeatureStore,
    rows: FeatureRows,
    fingerprint: str,
    options: IndexOptions,
    *,
    center_by_default: bool,
    progress: Progress = silent,
    on_plan: Callable[[Plan], None] = lambda _: None,
) -> IndexChange:
    """Make the index hold just the films whose features count: by adding and removing films where that will do.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    store : FeatureStore
        Its features.
    rows : FeatureRows
        Those that count; one at least.
    fingerprint : str
        Which films and posters these are.
    options : IndexOptions
        What is wanted.
    center_by_default : bool
        Whether to center where nothing is said and nothing was built.
    progress : Progress, optional
        Shows how far it is.
    on_plan : callable, optional
        Is told what will be built and how long it takes, before a build.

    Returns
    -------
    IndexChange
        The index, saved.

    Raises
    ------
    ConfigError
        Nothing fits into so little memory.
    DataError
        No film can be compared.
    StoreError
        The disk is full, or another process is writing; the earlier index is untouched.
    """
    features = film_features(store, rows)
    with exclusive(workspace.index_dir):
        there = None if options.rebuild else _comparable(workspace, store, features)
        if there is not None and (change := _updated(there, features, fingerprint, options)):
            if change.how != _NOTHING_NEW:
                change.index.save(workspace.index_dir)
            return change
        wanted = _completed(workspace, store, options, center_by_default=center_by_default)
        plan = make_plan(len(features), features.n_features, wanted["kind"], wanted["max_memory_bytes"])
        on_plan(plan)
        with progress("index", len(features), "films") as advance:
            index = CosineIndex.build(
                features, store.identity.as_dict(), plan=plan, fingerprint=fingerprint, advance=advance, **wanted
            )
        index.save(workspace.index_dir)
        return IndexChange(index, "built")


_NOTHING_NEW = "up to date"


def _completed(
    workspace: Workspace, store: FeatureStore, options: IndexOptions, *, center_by_default: bool
) -> dict[str, Any]:
    """Say what is left open as it was said for the index that is there, or as it is by default."""
    said: dict[str, Any] = {"kind": "auto", "target_recall": 0.99, "max_memory_bytes": None}
    said["center"] = center_by_default
    # What is damaged, or of an earlier version, has nothing to say.
    with suppress(NotBuiltError, DataError, KeyError):
        record = manifest.read(workspace.index_dir)
        said |= record["report"]["asked"]
        if record["identity"] == store.identity.as_dict():
            said["center"] = record["centred"]
    named = {**_wanted(options), "center": options.center}
    return said | {name: value for name, value in named.items() if value is not None}


def _comparable(workspace: Workspace, store: FeatureStore, features: FilmFeatures) -> CosineIndex | None:
    """Open the index that is there, if films can be added to it."""
    try:
        index = CosineIndex.open(workspace.index_dir, features)
    except (NotBuiltError, DataError):
        # What is damaged, or of an earlier version, is built anew.
        return None
    return index if index.identity == store.identity.as_dict() else None


def _updated(index: CosineIndex, features: FilmFeatures, fingerprint: str, options: IndexOptions) -> IndexChange | None:
    """Add and remove films; None where the index should rather be built anew."""
    asked = index.report["report"]["asked"]
    if any(wanted not in (None, asked[name]) for name, wanted in _wanted(options).items()):
        return None
    if options.center not in (None, index.centered):
        return None
    if index.fingerprint == fingerprint and not index.n_stale:
        return IndexChange(index, _NOTHING_NEW)
    there = index.poster_sha256s
    new = [
        row
        for row, (movie_id, sha256) in enumerate(zip(features.movie_ids.tolist(), features.poster_sha256s, strict=True))
        if there.get(movie_id) != sha256
    ]
    gone = np.setdiff1d([*there, *index.left_out], features.movie_ids)
    if len(new) > _MOSTLY_NEW * len(features) or (len(gone) and not len(index)):
        return None
    if asked["kind"] == "auto" and _planned(features, asked) != index.kind:
        return None
    if new:
        index.add(features.take(np.array(new)))
    index.remove(gone)
    if index.needs_refit:
        return None
    index.fingerprint = fingerprint
    return IndexChange(index, f"{len(new):,} added, {len(gone):,} removed")


def _wanted(options: IndexOptions) -> dict[str, object]:
    return {
        "kind": options.kind,
        "target_recall": options.target_recall,
        "max_memory_bytes": options.max_memory_bytes,
    }


def _planned(features: FilmFeatures, asked: dict[str, int | None]) -> str:
    return make_plan(len(features), features.n_features, "auto", asked["max_memory_bytes"]).kind
