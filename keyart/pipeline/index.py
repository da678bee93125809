"""Build the index of a workspace, or bring it up to date with the features."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from catalog.errors import DataError, NotBuiltError
from catalog.films import Catalog
from catalog.io.locks import exclusive
from catalog.io.progress import Progress, silent
from cf.models.neighbors import ItemCosine
from cf.ratings import Ratings
from features.store import FeatureRows, FeatureStore
from index import manifest
from index.cosine import CosineIndex
from index.options import IndexOptions, Target
from index.plan import Kind, Plan, make_plan
from index.source import FilmFeatures
from keyart.workspace.contents import current_features, fingerprint, open_ratings
from keyart.workspace.index import film_features
from keyart.workspace.layout import Home, Workspace

# When more than this share of the films is new, fitting anew costs little more than adding.
_MOSTLY_NEW = 0.5


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


@dataclass(frozen=True)
class BuildReport:
    """What a build made.

    Parameters
    ----------
    index : dict
        What is known of the index, as ``index.json`` holds it; empty where there is none.
    how : str
        What became of it, in plain words.
    n_similar : int
        Films with item similarities.
    notes : tuple of str
        What a user should know.
    """

    index: dict[str, Any]
    how: str
    n_similar: int
    notes: tuple[str, ...]

    @property
    def n_indexed(self) -> int:
        """Films in the index."""
        return int(self.index.get("n_films", 0))

    @property
    def centered(self) -> bool:
        """Whether the mean of all features is subtracted before they are compared."""
        return bool(self.index.get("centred", False))


def build(
    home: Home,
    options: IndexOptions | None = None,
    *,
    progress: Progress = silent,
    on_plan: Callable[[Plan], None] = lambda _: None,
) -> BuildReport:
    """Bring the index up to date with the features, and the item similarities with the ratings.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace, with features or ratings.
    options : IndexOptions, optional
        What is wanted of the index. Where nothing is said and nothing is there yet, its kind is chosen by its size,
        and the mean of all features is subtracted for random weights, whose features all point much the same way.
    progress : Progress, optional
        Shows how far it is.
    on_plan : callable, optional
        Is told what will be built and how long it takes, before the index is built anew.

    Returns
    -------
    BuildReport
        What was made.

    Raises
    ------
    NotBuiltError
        There are neither features nor ratings.
    StoreError
        The disk is full; what was built before is untouched.
    """
    workspace, notes = Workspace.open(home), []
    ratings = open_ratings(workspace)
    indexed = build_index(workspace, options or IndexOptions(), progress=progress, on_plan=on_plan)
    if indexed is None:
        if not len(ratings):
            raise NotBuiltError("neither features nor ratings here yet; run `keyart import`, then `keyart extract`")
        notes.append(
            "no features yet, so films will be compared by ratings alone; run `keyart extract` for their looks"
        )
    n_similar = _build_item_similarities(workspace, ratings, progress)
    if not n_similar:
        notes.append("no ratings, so films will be compared by looks alone")
    if indexed is None:
        return BuildReport({}, "", n_similar, tuple(notes))
    return BuildReport(indexed.index.report, indexed.how, n_similar, (*notes, *_index_notes(indexed.index.report)))


def build_index(
    workspace: Workspace,
    options: IndexOptions,
    *,
    check: bool = True,
    progress: Progress = silent,
    on_plan: Callable[[Plan], None] = lambda _: None,
) -> IndexChange | None:
    """Bring the index up to date with the features.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    options : IndexOptions
        What is wanted of the index.
    check : bool, default True
        Hold all features to their checksums first, which reads them whole.
    progress : Progress, optional
        Shows how far it is.
    on_plan : callable, optional
        Is told what will be built and how long it takes, before the index is built anew.

    Returns
    -------
    IndexChange or None
        None where there are no features; of an index whose posters are all gone nothing is left.

    Raises
    ------
    DataError
        A shard of features is damaged.
    StoreError
        The disk is full; what was built before is untouched.
    """
    try:
        store, rows = current_features(workspace, check=check)
    except NotBuiltError:
        return None
    if not len(rows):
        # No poster is left of those that it was built from.
        with exclusive(workspace.index_dir):
            manifest.remove_all(workspace.index_dir)
        return None
    return bring_up_to_date(
        workspace,
        store,
        rows,
        fingerprint(rows),
        options,
        center_by_default=store.options().is_random,
        progress=progress,
        on_plan=on_plan,
    )


def _index_notes(report: dict[str, Any]) -> Iterator[str]:
    for movie_id, reason in report["left_out"].items():
        yield f"movie_id {movie_id} is not in the index: {reason}"
    measured = report["report"]
    if not measured["target_met"]:
        reached = ", ".join(f"{value:.3f} of {k}" for k, value in measured["recall"].items())
        yield (
            f"the shortlist finds {reached} truly nearest films, wanted were {measured['target_recall']:g}; allow more "
            "with --max-memory, or name --index exact"
        )


def _build_item_similarities(workspace: Workspace, ratings: Ratings, progress: Progress) -> int:
    with Catalog.open(workspace.catalog_path) as catalog:
        source = catalog.fact("ratings") or ""
    matrix = ratings.matrix()
    with progress("item similarity", len(matrix.movie_ids), "films") as advance:
        model = ItemCosine(source=source).fit(matrix)
        advance(len(matrix.movie_ids))
    with exclusive(workspace.model_dir(ItemCosine.name)):
        model.save(workspace.model_dir(ItemCosine.name))
    return len(matrix.movie_ids)


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
        identity = store.identity.as_dict()
        options = _completed(options, workspace, identity, center_by_default=center_by_default)
        plan = make_plan(len(features), features.n_features, options.target().kind, options.max_memory_bytes)
        on_plan(plan)
        with progress("index", len(features), "films") as advance:
            index = CosineIndex.build(features, identity, options, plan=plan, fingerprint=fingerprint, advance=advance)
        index.save(workspace.index_dir)
        return IndexChange(index, "built")


_NOTHING_NEW = "up to date"


def _completed(
    options: IndexOptions, workspace: Workspace, identity: Mapping[str, Any], *, center_by_default: bool
) -> IndexOptions:
    """Replace what is None by that of the earlier index, else by the defaults."""
    earlier, center = Target(), center_by_default
    # An index that is damaged, or of another version, is built anew.
    with suppress(NotBuiltError, DataError, KeyError):
        record = manifest.read(workspace.index_dir)
        earlier = Target(**record["report"]["asked"])
        if record["identity"] == identity:
            center = record["centred"]
    if options.center is not None:
        center = options.center
    return replace(options, center=center, **asdict(options.target(earlier)))


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
    target = Target(**index.report["report"]["asked"])
    if options.target(target) != target or options.center not in (None, index.centered):
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
    if target.kind == "auto" and _planned_kind(features, target) != index.kind:
        return None
    if new:
        index.add(features.take(np.array(new)))
    index.remove(gone)
    if index.needs_refit:
        return None
    index.fingerprint = fingerprint
    return IndexChange(index, f"{len(new):,} added, {len(gone):,} removed")


def _planned_kind(features: FilmFeatures, target: Target) -> Kind:
    return make_plan(len(features), features.n_features, "auto", target.max_memory_bytes).kind
