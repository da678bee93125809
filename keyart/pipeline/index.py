"""Build the index of a workspace and its item similarities, or bring them up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from catalog.errors import ConfigError, DataError, IncompleteError, KeyartError, NotBuiltError
from catalog.io.locks import check_free, exclusive
from catalog.io.progress import Progress, silent
from catalog.text import plural
from cf.models.neighbors import ItemCosine
from cf.ratings import Ratings
from features.encoders.pairs import takes_text
from features.store import FeatureStore
from index import manifest
from index.build import comparable, faulty_films, plan_for, without_films
from index.cosine import CosineIndex
from index.embedding import MapShape
from index.options import IndexOptions, Target
from index.plan import Plan
from index.record import IndexRecord
from index.source import FilmFeatures
from keyart.pipeline.findings import problem_of
from keyart.workspace import alternates
from keyart.workspace.contents import fingerprint, open_ratings
from keyart.workspace.encoders import has_index, list_encoders, name_of, open_view
from keyart.workspace.films import PosterReader
from keyart.workspace.gaps import notes_on_gaps
from keyart.workspace.hints import names_workspace
from keyart.workspace.index import current_film_features
from keyart.workspace.layout import Home, Workspace
from keyart.workspace.steps import feature_steps

# When more than this share of the films is new, fitting anew costs little more than adding.
_MOSTLY_NEW = 0.5
_UNCHANGED = "up to date"


@dataclass(frozen=True)
class BuildReport:
    """What `build` did.

    Parameters
    ----------
    index : IndexRecord or None
        What the index contains, how it was built and what was measured, as ``index.json`` records it; None where the
        workspace has no features.
    change : str
        How the index was brought up to date: ``"built"``, ``"up to date"`` or how many films were added and removed;
        empty where there is no index.
    n_similar : int
        Number of films with item similarities, which are computed from ratings.
    notes : tuple of str
        What a user should know, a sentence each.
    others : dict of str to IndexChange
        What was done by other encoders of the workspace: by name, a `record` and a `change`.
    n_alternates : int
        Number of further posters in the index.
    """

    index: IndexRecord | None
    change: str
    n_similar: int
    notes: tuple[str, ...]
    others: dict[str, IndexChange] = field(default_factory=dict)
    n_alternates: int = 0

    @property
    def n_indexed(self) -> int:
        """Number of films in the index."""
        return self.index.n_films if self.index else 0

    def to_dict(self) -> dict[str, Any]:
        """Convert to what JSON can hold.

        Returns
        -------
        dict
            The fields by name; ``"index"`` as in ``index.json``, or None, and likewise of other encoders.
        """
        return {
            "index": self.index.to_dict() if self.index else None,
            "change": self.change,
            "n_indexed": self.n_indexed,
            "n_similar": self.n_similar,
            "n_alternates": self.n_alternates,
            "notes": list(self.notes),
            "others": {
                name: {"index": other.record.to_dict(), "change": other.change} for name, other in self.others.items()
            },
        }


@names_workspace
def build(
    home: Home,
    options: IndexOptions | None = None,
    *,
    encoder: str | None = None,
    progress: Progress = silent,
    on_plan: Callable[[Plan], None] = lambda _: None,
) -> BuildReport:
    """Bring the indexes up to date with the features, and the item similarities with the ratings.

    Films are added to an existing index and removed from it where that is enough; otherwise it is built anew. Each
    encoder of the workspace has an index; what is wrong with another one than the default is a note.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace, with features or ratings.
    options : IndexOptions, optional
        How to build an index; what is unset stays as it was built before.
    encoder : str, optional
        Build the index by this encoder alone.
    progress : callable, optional
        Opens a progress display, given a description, the total and the unit; `keyart.pipeline` shows nothing by
        default.
    on_plan : callable, optional
        Receives the plan (kind, memory, forecast of the time in seconds) before the index is built anew.

    Returns
    -------
    BuildReport
        What was done.

    Raises
    ------
    NotBuiltError
        The workspace does not exist, or has neither features nor ratings.
    ConfigError
        No index fits into `max_memory_bytes`, or the workspace has no such encoder.
    DataError
        A file of features or ratings is damaged, or no film can be compared.
    StoreError
        The disk is full, or another process is writing; what was built before is untouched.
    """
    workspace, notes, others = open_view(home, encoder), [], _Others({}, [])
    for folder in (workspace.index_dir, workspace.model_dir(ItemCosine.name)):
        check_free(folder)
    ratings, posters = open_ratings(workspace), PosterReader(workspace)
    if encoder is None:
        # First, so that an error of this encoder does not stop them.
        others = _build_others(workspace, options or IndexOptions(), posters, progress, on_plan)
    had_index = has_index(workspace)
    index = build_index(workspace, options or IndexOptions(), posters=posters, progress=progress, on_plan=on_plan)
    if index is None:
        if has_index(workspace):
            notes.append(f"the index is as it was: it has lost its features; run {feature_steps(workspace)}")
        elif had_index:
            notes.append("the earlier index was removed, as none of its posters is left")
        if not len(ratings):
            raise NotBuiltError(f"neither features nor ratings here yet; run {feature_steps(workspace)}")
        steps = feature_steps(workspace)
        notes.append(f"no features yet, so films will be compared by ratings alone; for their looks, run {steps}")
    n_similar = _build_item_similarities(workspace, ratings, progress)
    if not n_similar:
        notes.append("no ratings, so films will be compared by looks alone")
    if index is None:
        return BuildReport(None, "", n_similar, (*notes, *others.notes), others.changes)
    notes = [*notes, *index.notes, *_index_notes(index.record), *others.notes]
    return BuildReport(index.record, index.change, n_similar, tuple(notes), others.changes, index.n_alternates)


@dataclass(frozen=True)
class IndexChange:
    """An index that was brought up to date, and how, in plain words."""

    record: IndexRecord
    change: str
    # What was lost, or not done as requested.
    notes: tuple[str, ...] = ()
    # Further posters.
    n_alternates: int = 0


def build_index(
    workspace: Workspace,
    options: IndexOptions,
    *,
    check: bool = True,
    posters: PosterReader | None = None,
    progress: Progress = silent,
    on_plan: Callable[[Plan], None] = lambda _: None,
) -> IndexChange | None:
    """Bring the index up to date with the features; None where there are none.

    `check` verifies the checksums of all features first, which reads them whole. `posters` spares listing them once
    more. An index whose posters are all gone is removed. Films that are left out though they have, or had, a poster are
    among the notes.
    """
    posters = posters or PosterReader(workspace)
    try:
        FeatureStore.open(workspace.features_dir)
    except NotBuiltError:
        return None
    with exclusive(workspace.index_dir):
        # Not before: what another process indexed meanwhile would be replaced by what is older.
        store, features = current_film_features(workspace, check=check, posters=posters)
        if features is None:
            manifest.remove_all(workspace.index_dir)
            manifest.remove_all(alternates.index_dir(workspace))
            return None
        # Before the files are removed of an index whose record is lost.
        update = _IndexUpdate(workspace, store, features, options)
        manifest.clear_leftovers(workspace.index_dir)
        change = update.run(progress, on_plan)
        n_alternates, further_notes = _build_alternates(workspace, features)
    gaps = notes_on_gaps(workspace, features.movie_ids.tolist(), posters.read())
    notes = (*change.notes, *gaps, *further_notes)
    return replace(change, notes=notes, n_alternates=n_alternates)


def _build_alternates(workspace: Workspace, films: FilmFeatures) -> tuple[int, tuple[str, ...]]:
    """Bring the index of further posters up to date; returns how many it has, and a note where it loses some."""
    folder, steps = alternates.index_dir(workspace), "run `keyart extract`, then `keyart build`"
    try:
        features = alternates.alternate_features(workspace)
    except DataError as error:
        return 0, (f"further posters are not compared: {problem_of(error)}; {steps}",)
    n_indexed = _index_alternates(workspace, films, features)
    if not n_indexed and folder.exists():
        had_record = (folder / manifest.RECORD).exists()
        manifest.remove_all(folder)
        if had_record and (n_lacking := alternates.n_without_features(workspace)):
            what = plural(n_lacking, "further poster has", "further posters have")
            return 0, (f"{what} no features, so the index of them was removed; {steps}",)
    return n_indexed, ()


def _index_alternates(workspace: Workspace, films: FilmFeatures, features: FilmFeatures | None) -> int:
    folder = alternates.index_dir(workspace)
    if features is not None and len(faulty_films(features)) < len(features):
        with CosineIndex.open(workspace.index_dir, films) as index:
            mark = fingerprint(features)
            with suppress(NotBuiltError, DataError):
                record = IndexRecord.read(folder)
                if record.fingerprint == mark and record.identity == index.identity | index.space():
                    CosineIndex.open(folder, features).close()
                    return record.n_films
            folder.mkdir(exist_ok=True)
            with index.build_beside(features, mark) as further:
                further.save(folder)
                return len(further)
    return 0


@dataclass(frozen=True)
class _Others:
    """What was done by other encoders than one, and what a user should know of it."""

    changes: dict[str, IndexChange]
    notes: list[str]


def _build_others(
    workspace: Workspace,
    options: IndexOptions,
    posters: PosterReader,
    progress: Progress,
    on_plan: Callable[[Plan], None],
) -> _Others:
    """Bring the indexes of all other encoders up to date; what is wrong with one does not stop the rest."""
    others = _Others({}, [])
    for view in list_encoders(workspace):
        if view.encoder == workspace.encoder:
            continue
        name = name_of(view)
        try:
            change = build_index(view, options, posters=posters, progress=progress, on_plan=on_plan)
        except KeyartError as error:
            others.notes.append(f"the index by {name} is as it was: {error}")
            continue
        if change is not None:
            others.changes[name] = change
            others.notes.extend(f"{name}: {note}" for note in (*change.notes, *_index_notes(change.record)))
    return others


class _IndexUpdate:
    """Makes the index hold just the films whose features are current."""

    def __init__(
        self, workspace: Workspace, store: FeatureStore, features: FilmFeatures, options: IndexOptions
    ) -> None:
        self._folder = workspace.index_dir
        self._features = features
        self._fingerprint = fingerprint(features)
        self._identity = store.identity.as_dict()
        # Features of random weights all point in nearly the same direction.
        self._center_by_default = store.options().is_random
        self._takes_text = takes_text(store.options())
        self._store = store
        self._options = options
        self._earlier, self._notes = _read_earlier(self._folder)

    def run(self, progress: Progress, on_plan: Callable[[Plan], None]) -> IndexChange:
        """Add and remove films where that is enough, else build anew; saves the index."""
        self._check_center()
        if not self._options.rebuild and (index := self._existing()) is not None:
            with index:
                if change := self._update(index):
                    if change != _UNCHANGED:
                        index.save(self._folder)
                    return IndexChange(index.record, change)
        options = self._completed_options()
        target = Target.of(options)
        # One film that is not finite would make the mean cosine so, too.
        films = comparable(self._features)
        plan = plan_for(films, target, center=bool(options.center), takes_text=self._takes_text)
        on_plan(plan)
        with progress("index", len(self._features), "films") as advance:
            index = CosineIndex.build(
                self._features,
                self._identity,
                options,
                map_shape=self._map_shape() if plan.similarity == "whitened" else None,
                plan=plan,
                fingerprint=self._fingerprint,
                advance=advance,
            )
        with index:
            index.save(self._folder)
            return IndexChange(index.record, "built", self._notes)

    def _check_center(self) -> None:
        """Raise ConfigError where the mean should be subtracted from features that an embedding takes."""
        if self._options.center and self._target().similarity == "whitened":
            raise ConfigError(
                "this index is built with --similarity whitened, which subtracts a mean of its own; leave --center "
                "out, or run `keyart build --similarity cosine --center`"
            )

    def _target(self) -> Target:
        """Fill unset options from the existing index, else with the defaults."""
        return Target.of(self._options, self._earlier.build.target if self._earlier else None)

    def _map_shape(self) -> MapShape | None:
        """Return (height, width, channels) where a row of features is a map, else None."""
        shape = self._store.row_shape()
        return shape if shape is not None and len(shape) == 3 else None

    def _existing(self) -> CosineIndex | None:
        """Open the existing index, if films can be added to it."""
        try:
            index = CosineIndex.open(self._folder, self._features)
        except (NotBuiltError, DataError):
            # An index that is damaged, or of another version, is built anew.
            return None
        return index if index.identity == self._identity else None

    def _update(self, index: CosineIndex) -> str | None:
        """Add and remove films; None where the index should be built anew instead."""
        target, features = index.record.build.target, self._features
        if Target.of(self._options, target) != target or self._options.center not in (None, index.centered):
            return None
        if index.fingerprint == self._fingerprint and not index.n_stale:
            return _UNCHANGED
        before = index.poster_sha256s
        hashes = zip(features.movie_ids.tolist(), features.poster_sha256s, strict=True)
        new = [row for row, (movie_id, sha256) in enumerate(hashes) if before.get(movie_id) != sha256]
        gone = np.setdiff1d([*before, *index.left_out], features.movie_ids)
        if len(new) > _MOSTLY_NEW * len(features) or (len(gone) and not len(index)):
            return None
        if target.kind == "auto" or target.similarity != "cosine":
            # Films that were left out are among the new ones.
            faulty = faulty_films(features.take(np.array(new, np.int64))) if new else {}
            films = without_films(features, faulty)
            plan = plan_for(films, target, center=index.centered, takes_text=self._takes_text)
            if (plan.kind, plan.similarity) != (index.kind, index.similarity):
                return None
        if new:
            index.add(features.take(np.array(new)))
        index.remove(gone)
        if index.needs_refit:
            return None
        index.fingerprint = self._fingerprint
        return f"{len(new):,} added, {len(gone):,} removed"

    def _completed_options(self) -> IndexOptions:
        """Fill unset options from the existing index, else with the defaults."""
        center, target = self._options.center, self._target()
        if center is None:
            is_same = self._earlier is not None and self._earlier.identity == self._identity
            center = self._earlier.centered if self._earlier and is_same else self._center_by_default
        return replace(self._options, center=None if target.similarity == "whitened" else center, **asdict(target))


def _read_earlier(folder: Path) -> tuple[IndexRecord | None, tuple[str, ...]]:
    """Read the record of the existing index, if there is one, and a note where it cannot be read."""
    try:
        return IndexRecord.read(folder), ()
    except (DataError, IncompleteError) as error:
        what = "damaged or of another version, so the options of the earlier index are lost"
        if isinstance(error, IncompleteError):
            what = "missing, so the options of an earlier index, if there was one, are lost"
        note = (
            f"index.json was {what}: those that were not given again have their defaults, as with `keyart build "
            "--similarity auto`"
        )
        return None, (note,)
    except NotBuiltError:
        return None, ()


def _index_notes(record: IndexRecord) -> Iterator[str]:
    for movie_id, reason in record.left_out.items():
        yield f"movie_id {movie_id} is not in the index: {reason}"
    if record.build.target.similarity != "cosine" and record.similarity == "cosine" and not record.centered:
        yield f"features are compared as they are, without an embedding: {record.build.similarity_reason}"
    quality = record.build.quality
    if not quality.target_met:
        reached = ", ".join(f"{value:.3f} of {k}" for k, value in quality.recall.items())
        yield (
            f"the shortlist finds {reached} truly nearest films, less than the target of {quality.target_recall:g}; "
            "raise --max-memory, or use --index exact"
        )


def _build_item_similarities(workspace: Workspace, ratings: Ratings, progress: Progress) -> int:
    matrix = ratings.matrix()
    with progress("item similarity", len(matrix.movie_ids), "films") as advance:
        model = ItemCosine(source=ratings.source).fit(matrix)
        advance(len(matrix.movie_ids))
    with exclusive(workspace.model_dir(ItemCosine.name)):
        model.save(workspace.model_dir(ItemCosine.name))
    return len(matrix.movie_ids)
