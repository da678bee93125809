"""The status of a workspace: what it contains, what is missing, and which command comes next."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from catalog.errors import DataError, IncompleteError, NotBuiltError
from catalog.extras import is_installed
from catalog.films import Catalog
from catalog.io.arrays import hold_arrays
from catalog.io.files import OtherVersionError, read_stable
from catalog.text import plural
from cf.models.neighbors import ItemCosine
from cf.registry import MODELS, model_class
from features.encoders.pairs import takes_text
from features.store import FeatureStore
from index import manifest
from index.record import IndexRecord
from keyart.atlas.record import Atlas
from keyart.atlas.record import record_path as atlas_record_path
from keyart.recommend.models import record_path
from keyart.similarity.blending import compared_by, open_hybrid, stale_blend
from keyart.workspace import alternates
from keyart.workspace.changes import Snapshot
from keyart.workspace.contents import current_features, fingerprint, open_ratings, ratings_name
from keyart.workspace.encoders import list_encoders, name_of
from keyart.workspace.films import open_posters
from keyart.workspace.index import open_index
from keyart.workspace.layout import Workspace
from keyart.workspace.poster_steps import poster_commands
from posters.database import State

Part = TypeVar("Part")


@dataclass(frozen=True)
class EncoderStatus:
    """What a workspace contains of one encoder."""

    name: str
    is_default: bool
    n_features: int
    # Posters that could not be read.
    n_skipped: int
    # The network in full; None where its record cannot be read, as are the numbers of a poster and the input in pixels.
    backbone: str | None
    n_columns: int | None
    width: int | None
    height: int | None
    # Whether it takes descriptions.
    has_text: bool | None
    n_indexed: int
    # The kind of index; empty if there is none.
    index: str
    index_is_current: bool


@dataclass(frozen=True)
class Status:
    """What a workspace contains, what is out of date and what is damaged."""

    home: Path
    # The MovieLens folder that was loaded.
    source: str
    n_films: int
    # Those of them that were added to the films of MovieLens.
    n_added: int
    n_ratings: int
    # Films with ratings.
    n_rated: int
    # Films by state; they add up to `n_films`.
    posters: dict[str, int]
    n_features: int
    # Posters that could not be read.
    n_skipped: int
    # The encoder of the features.
    backbone: str | None
    n_indexed: int
    # The kind of index; empty if there is none.
    index: str
    index_is_current: bool
    # Films on the atlas.
    n_mapped: int
    atlas_is_current: bool
    # Films with item similarities.
    n_similar: int
    # Films that can be requested from TMDB.
    n_linked: int
    # By which ids beside movie_id posters can be imported: "imdb", "tmdb".
    id_kinds: tuple[str, ...]
    similarities_are_current: bool
    # How looks and ratings are blended.
    blend: str
    # Why parts cannot be read.
    damaged: tuple[str, ...]
    # Why the blend should be tuned again; empty if it should not.
    blend_note: str = ""
    # All encoders, the default first.
    encoders: tuple[EncoderStatus, ...] = ()
    # Further posters that look-alikes do not take yet.
    n_waiting_alternates: int = 0

    @property
    def n_posters(self) -> int:
        """Films with a poster."""
        return self.posters[State.OK]

    @property
    def notes(self) -> tuple[str, ...]:
        """What is damaged and what is out of date, a sentence each."""
        stale = [f"the index is {outdated('build')}"] if self.index and not self.index_is_current else []
        for one in self.others:
            if one.index and not one.index_is_current:
                stale.append(f"the index by {one.name} is {outdated('build')}")
        if self.waiting_alternates:
            stale.append(self.waiting_alternates)
        if self.n_similar and not self.similarities_are_current:
            stale.append(f"the item similarities are {outdated('build')}")
        if self.n_mapped and not self.atlas_is_current:
            stale.append(f"the atlas is {outdated('atlas')}")
        if self.blend_note:
            stale.append(self.blend_note)
        return (*(f"damaged: {reason}" for reason in self.damaged), *stale)

    @property
    def waiting_alternates(self) -> str:
        """How many further posters look-alikes do not take yet; empty for none, and before there is an index."""
        if not (self.n_waiting_alternates and self.index):
            return ""
        waiting = plural(self.n_waiting_alternates, "further poster is", "further posters are")
        return f"{waiting} not compared yet: run `keyart extract`, then `keyart build`"

    @property
    def others(self) -> tuple[EncoderStatus, ...]:
        """The encoders beside the default."""
        return tuple(one for one in self.encoders if not one.is_default)

    def next_step(self) -> str:
        """Return the command to run next, and why."""
        bring = f"{poster_commands(self.id_kinds)} for posters"
        if self.damaged:
            return "`keyart check --repair`: something is damaged, see above"
        if not self.n_posters and not self.n_indexed and not self.n_similar:
            return bring
        n_missing = self.n_posters - self.n_features - self.n_skipped
        if n_missing > 0:
            return f"`keyart extract`: {plural(n_missing, 'poster has', 'posters have')} no features yet"
        if lacking := [one for one in self.others if self.n_posters > one.n_features + one.n_skipped]:
            n_missing = self.n_posters - lacking[0].n_features - lacking[0].n_skipped
            return (
                f"`keyart extract`: {plural(n_missing, 'poster has', 'posters have')} no features by {lacking[0].name}"
            )
        if not self.index_is_current:
            return "`keyart build`: the index is " + ("out of date" if self.index else "not built yet")
        if outdated_ones := [one for one in self.others if not one.index_is_current]:
            one = outdated_ones[0]
            return f"`keyart build`: the index by {one.name} is " + ("out of date" if one.index else "not built yet")
        if not self.similarities_are_current:
            return "`keyart build`: the item similarities are " + ("out of date" if self.n_similar else "not built yet")
        if not self.n_indexed and not self.n_similar:
            return bring
        if not self.n_posters:
            return f"`keyart similar TITLE`, by ratings alone; for looks, {bring}"
        return "`keyart similar TITLE`" + (", or `keyart serve` to look and click" if is_installed("web") else "")

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values, with `n_posters`, `notes` and the next step."""
        more = {"n_posters": self.n_posters, "notes": list(self.notes), "next": self.next_step()}
        return {**asdict(self), "home": str(self.home), **more}


def outdated(command: str) -> str:
    """Return what messages say of a part that a command brings up to date."""
    return f"out of date: run `keyart {command}`"


def read_status(workspace: Workspace) -> Status:
    """Read the status of every part of a workspace; damaged parts are listed."""
    damaged: list[str] = []
    with Catalog.open(workspace.catalog_path) as catalog:
        films, n_added, id_kinds = list(catalog), len(catalog.added()), catalog.id_kinds()
        source, current_ratings = catalog.fact("source") or "", ratings_name(catalog)
    own, current = _encoder(workspace, damaged, is_default=True)
    encoders = [
        own if view.encoder == workspace.encoder else _encoder(view, damaged)[0] for view in list_encoders(workspace)
    ]
    n_mapped, mapped = _atlas(workspace, damaged)
    n_ratings = _read(lambda: len(open_ratings(workspace)), 0, damaged)
    n_similar, similarities_of = _similarities(workspace, damaged)
    damaged += _damage_elsewhere(workspace)
    return Status(
        home=workspace.home,
        source=source,
        n_films=len(films),
        n_added=n_added,
        n_ratings=n_ratings,
        n_rated=sum(film.n_ratings > 0 for film in films),
        posters=_poster_counts(workspace, [film.movie_id for film in films], damaged),
        n_features=own.n_features,
        n_skipped=own.n_skipped,
        backbone=own.backbone,
        n_indexed=own.n_indexed,
        index=own.index,
        index_is_current=own.index_is_current,
        n_mapped=n_mapped,
        atlas_is_current=mapped == current,
        n_similar=n_similar,
        n_linked=sum(bool(film.tmdb_id or film.imdb_id) for film in films),
        id_kinds=id_kinds,
        blend=_read(lambda: open_hybrid(workspace).description, "", damaged),
        blend_note=_read(lambda: _blend_note(workspace), "", []),
        similarities_are_current=similarities_of == current_ratings or not n_ratings,
        # Without duplicates, since several parts may need the damaged one.
        damaged=tuple(dict.fromkeys(damaged)),
        encoders=tuple(encoders),
        n_waiting_alternates=max(_read(lambda: _n_waiting_alternates(workspace), 0, damaged), 0),
    )


def _damage_elsewhere(workspace: Workspace) -> Iterator[str]:
    """Yield what is wrong with the parts that only answers of a kind open: models, looks, atlases, blends."""
    views = {view.encoder: view for view in (workspace, *list_encoders(workspace))}.values()
    for path in sorted(workspace.home.glob("cf/*/*.json")):
        yield from _wrong_with(partial(hold_arrays, path))
    for name in MODELS:
        if not os.path.lexists(record_path(workspace, name)):
            yield from _wrong_with(partial(model_class(name).open, workspace.model_dir(name)))
    for view in views:
        name = "" if view.encoder == workspace.encoder else f"{name_of(view)}: "
        records = (view.looks_dir / "looks.json", view.cold_start_dir / "cold-start.json")
        checks: list[Callable[[], object]] = [partial(hold_arrays, path) for path in records if os.path.lexists(path)]
        checks += [partial(_check_atlas, view), partial(open_hybrid, view), partial(_check_alternates, view)]
        checks.append(partial(FeatureStore.open, alternates.features_dir(view)))
        for check in checks:
            yield from (f"{name}{reason}" for reason in _wrong_with(check))


def _check_alternates(view: Workspace) -> None:
    folder = alternates.index_dir(view)
    read_stable(lambda: manifest.hold(folder), lambda: Snapshot.take([folder / manifest.RECORD]))


def _check_atlas(view: Workspace) -> None:
    def check() -> None:
        for sheet in Atlas.open(view.atlas_dir).sheets:
            for name in sheet.files:
                sheet.path(view.atlas_dir, name)

    read_stable(check, lambda: Snapshot.take([atlas_record_path(view.atlas_dir)]))


def _wrong_with(check: Callable[[], object]) -> list[str]:
    reasons: list[str] = []
    _read(check, None, reasons)
    return reasons


def _n_waiting_alternates(workspace: Workspace) -> int:
    listed = alternates.list_alternates(workspace)
    if not listed:
        return 0
    try:
        record = IndexRecord.read(alternates.index_dir(workspace))
        n_skipped = len(FeatureStore.open(alternates.features_dir(workspace)).without_features())
    except IncompleteError:
        raise
    except NotBuiltError:
        return len(listed)
    return len(listed) - record.n_films - len(record.left_out) - n_skipped


def _blend_note(workspace: Workspace) -> str:
    record = IndexRecord.read(workspace.index_dir)
    compared = compared_by(record.similarity, centered=record.centered)
    with Catalog.open(workspace.catalog_path) as catalog:
        ratings = ratings_name(catalog)
    return stale_blend(open_hybrid(workspace), compared, ratings) or ""


def _encoder(view: Workspace, damaged: list[str], *, is_default: bool = False) -> tuple[EncoderStatus, str | None]:
    """Return the status of an encoder, and the fingerprint of its current features."""
    name = name_of(view)
    own_damage: list[str] = []
    n_features, n_skipped, backbone, current = _features(view, own_damage)
    n_indexed, indexed, index = _index(view, own_damage)
    damaged.extend(own_damage if is_default else [f"{name}: {reason}" for reason in own_damage])
    parts = (n_features, n_skipped, backbone, *_kind(view), n_indexed, index)
    return EncoderStatus(name, is_default, *parts, index_is_current=indexed == current), current


def _kind(view: Workspace) -> tuple[int | None, int | None, int | None, bool | None]:
    """Return the number of features, the width and height of the input, and whether the encoder takes descriptions."""
    try:
        store = FeatureStore.open(view.features_dir)
        framing = store.identity.framing
        has_text = takes_text(store.options())
    except (NotBuiltError, DataError, ValueError):
        return None, None, None, None
    return store.identity.n_features, framing.width, framing.height, has_text


def _read(part: Callable[[], Part], missing: Part, damaged: list[str]) -> Part:
    """Return what a function reads; `missing` if that part does not exist, is incomplete or damaged."""
    try:
        return part()
    except (DataError, IncompleteError) as error:
        damaged.append(str(error))
    except NotBuiltError:
        pass
    return missing


def _poster_counts(workspace: Workspace, movie_ids: list[int], damaged: list[str]) -> dict[str, int]:
    def read() -> dict[str, int]:
        store = open_posters(workspace)
        if store is None:
            return missing
        with store:
            return {state.value: n for state, n in store.counts(movie_ids).items()}

    missing = {state.value: len(movie_ids) if state is State.MISSING else 0 for state in State}
    return _read(read, missing, damaged)


def _features(workspace: Workspace, damaged: list[str]) -> tuple[int, int, str | None, str | None]:
    def read() -> tuple[int, int, str | None, str | None]:
        store, rows = current_features(workspace)
        return len(rows), len(store.without_features()), str(store.identity), fingerprint(rows) if len(rows) else None

    missing: tuple[int, int, str | None, str | None] = (0, 0, None, None)
    return _read(read, missing, damaged)


def _index(workspace: Workspace, damaged: list[str]) -> tuple[int, str | None, str]:
    def read() -> tuple[int, str | None, str]:
        try:
            record = IndexRecord.read(workspace.index_dir)
        except OtherVersionError:
            return 0, None, "another version"
        if not _is_of_features(workspace, record.identity):
            return record.n_films, None, record.kind
        with open_index(workspace) as index:
            kind = index.kind if index.similarity == "cosine" else f"{index.kind}, {index.similarity}"
            return len(index), index.fingerprint, kind

    missing: tuple[int, str | None, str] = (0, None, "")
    return _read(read, missing, damaged)


def _atlas(workspace: Workspace, damaged: list[str]) -> tuple[int, str | None]:
    def read() -> tuple[int, str | None]:
        atlas = Atlas.open(workspace.atlas_dir)
        return len(atlas), atlas.fingerprint if _is_of_features(workspace, atlas.identity) else None

    missing: tuple[int, str | None] = (0, None)
    return _read(read, missing, damaged)


def _is_of_features(workspace: Workspace, identity: Mapping[str, Any]) -> bool:
    """Return whether an index or an atlas is of the encoder of the features; True where these cannot be read."""
    try:
        return identity == FeatureStore.open(workspace.features_dir).identity.as_dict()
    except (NotBuiltError, DataError):
        return True


def _similarities(workspace: Workspace, damaged: list[str]) -> tuple[int, str | None]:
    def read() -> tuple[int, str | None]:
        model = ItemCosine.open(workspace.model_dir(ItemCosine.name))
        return len(model.movie_ids_), model.source

    missing: tuple[int, str | None] = (0, None)
    return _read(read, missing, damaged)
