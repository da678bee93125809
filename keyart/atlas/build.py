"""Build the atlas of a workspace or update it; films that stay keep their positions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError, NotBuiltError
from catalog.films import Catalog
from catalog.io.files import remove_file
from catalog.io.locks import exclusive
from catalog.io.progress import Progress, silent
from catalog.text import plural
from index.source import FilmFeatures
from keyart.atlas import layout
from keyart.atlas.labels import name_clusters
from keyart.atlas.layout import Method
from keyart.atlas.record import Atlas, Cluster, files_of, record_path
from keyart.atlas.sprites import Sheet, along_the_map, assign, draw, remove_others
from keyart.workspace.contents import fingerprint, fingerprint_of
from keyart.workspace.films import PosterReader, list_posters
from keyart.workspace.gaps import listed, notes_on_gaps
from keyart.workspace.index import current_film_features, needed_film_features
from keyart.workspace.layout import Workspace

# Placing a film moves no other; after many of them, similar films may lie apart.
_MANY_PLACED = 0.2
_N_TYPICAL = 6
# Of laying out and drawing, as measured in docs/durations.md.
_POSTER_S = 0.008


@dataclass(frozen=True)
class AtlasOptions:
    """How an atlas is built; None keeps the setting of the existing atlas.

    With `rebuild` all positions are computed, even where placing new films would do.
    """

    method: Method | None = None
    n_clusters: int | None = None
    seed: int | None = None
    rebuild: bool = False


@dataclass(frozen=True)
class AtlasReport:
    """An atlas that was saved, how it came about, and how many of its sheets were drawn."""

    atlas: Atlas
    how: str
    n_drawn: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Films:
    """Films on a map; arrays as `Atlas` describes them."""

    movie_ids: npt.NDArray[np.int64]
    poster_sha256s: npt.NDArray[np.bytes_]
    rows: npt.NDArray[np.float32]
    positions: npt.NDArray[np.float32]
    is_placed: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, atlas: Atlas) -> _Films:
        return cls(atlas.movie_ids, atlas.poster_sha256s, atlas.rows, atlas.positions, atlas.is_placed)

    def take(self, chosen: npt.NDArray[Any]) -> _Films:
        return _Films(*(values[chosen] for values in vars(self).values()))

    def joined(self, other: _Films) -> _Films:
        both = zip(vars(self).values(), vars(other).values(), strict=True)
        films = _Films(*(np.concatenate(pair) for pair in both))
        return films.take(np.argsort(films.movie_ids))

    def posters(self) -> dict[int, str]:
        return dict(zip(self.movie_ids.tolist(), self.poster_sha256s.astype(str).tolist(), strict=True))


def make_atlas(workspace: Workspace, options: AtlasOptions, *, progress: Progress = silent) -> AtlasReport:
    """Update the atlas: new posters are placed, removed ones dropped, all others stay.

    Features are read in blocks, so that memory hardly grows with the catalog. Whatever interrupts it, the atlas is
    the old one or the new one.
    """
    layout.require_libraries(options.method or Method.TSNE)
    needed_film_features(workspace)
    with exclusive(workspace.atlas_dir):
        # Again, as another process may have made an atlas of newer ones meanwhile.
        store, features = needed_film_features(workspace)
        identity = store.identity.as_dict()
        existing = _existing(workspace, identity)
        method, seed = _settings(existing, options)
        before = existing if existing and _can_grow(existing, features, method, seed, options) else None
        if before:
            basis, (films, how) = before.basis, _grown(before, features, progress)
        else:
            layout.require_libraries(method)
            basis, films = _laid_out(features, method, seed, progress)
            how = "computed anew"
        centroids = _centroids(films, before, options, seed)
        labels = layout.nearest_centroid(films.rows, centroids)
        clusters = _clusters(workspace, films, labels, centroids)
        blank: list[int] = []
        assigned = _sheets(films, before, existing)
        sheets = _drawn(workspace, films, assigned, blank, progress)
        atlas = Atlas(identity, fingerprint(features), method, seed, **vars(films), labels=labels, basis=basis,
                      centroids=centroids, clusters=clusters, sheets=sheets)  # fmt: skip
        atlas.save(workspace.atlas_dir)
        remove_others(sheets, workspace.atlas_dir)
    gaps = notes_on_gaps(workspace, features.movie_ids.tolist(), PosterReader(workspace).read(), then="keyart atlas")
    n_drawn = sum(after is not earlier for earlier, after in zip(assigned, sheets, strict=True))
    return AtlasReport(atlas, how, n_drawn, (*_notes(atlas, len(features)), *_notes_on_blank(blank), *gaps))


def drop_from_atlas(workspace: Workspace, movie_ids: Collection[int], *, progress: Progress = silent) -> int:
    """Remove films from the atlas, if there is one; returns how many. All others stay where they are."""
    if not record_path(workspace.atlas_dir).is_file():
        return 0
    with exclusive(workspace.atlas_dir):
        before = Atlas.open(workspace.atlas_dir)
        rows = np.flatnonzero(~np.isin(before.movie_ids, list(movie_ids)))
        n_dropped = len(before) - len(rows)
        if not len(rows):
            for path in (record_path(workspace.atlas_dir), *files_of(workspace.atlas_dir)):
                remove_file(path)
        elif n_dropped:
            _without(workspace, before, rows, progress).save(workspace.atlas_dir)
            remove_others(Atlas.open(workspace.atlas_dir).sheets, workspace.atlas_dir)
    return n_dropped


def _without(workspace: Workspace, before: Atlas, rows: npt.NDArray[np.intp], progress: Progress) -> Atlas:
    """Draw the sheets, and return the atlas, of some of its films."""
    films, labels = _Films.of(before).take(rows), before.labels[rows]
    sheets = _drawn(workspace, films, _sheets(films, before, before), [], progress)
    # An atlas that was up to date still is.
    is_current = before.fingerprint == _fingerprint_of(_Films.of(before))
    return replace(
        before,
        fingerprint=_fingerprint_of(films) if is_current else before.fingerprint,
        **vars(films),
        labels=labels,
        clusters=_clusters(workspace, films, labels, before.centroids),
        sheets=sheets,
    )


def _fingerprint_of(films: _Films) -> str:
    return fingerprint_of(films.movie_ids.tolist(), films.poster_sha256s.astype(str).tolist())


def expected_s(workspace: Workspace, options: AtlasOptions) -> float:
    """Estimate how many seconds `make_atlas` takes to lay out all posters; 0 for an existing atlas."""
    if record_path(workspace.atlas_dir).is_file() and not options.rebuild:
        return 0.0
    try:
        _, features = current_film_features(workspace)
    except NotBuiltError:
        return 0.0
    return _POSTER_S * len(features) if features else 0.0


def _existing(workspace: Workspace, identity: dict[str, Any]) -> Atlas | None:
    """Open the existing atlas; None where there is none of these features."""
    try:
        atlas = Atlas.open(workspace.atlas_dir)
    except (NotBuiltError, DataError):
        # A damaged atlas, or one of another version, is built anew.
        return None
    return atlas if atlas.identity == identity else None


def _settings(existing: Atlas | None, options: AtlasOptions) -> tuple[Method, int]:
    """Complete the options from the existing atlas, then from the defaults."""
    method = options.method or (existing.method if existing else Method.TSNE)
    seed = options.seed if options.seed is not None else existing.seed if existing else 0
    return Method(method), seed


def _can_grow(existing: Atlas, features: FilmFeatures, method: Method, seed: int, options: AtlasOptions) -> bool:
    as_before = (existing.method, existing.seed) == (method, seed)
    return as_before and not options.rebuild and bool(_is_unchanged(existing, features).any())


def _is_unchanged(existing: Atlas, features: FilmFeatures) -> npt.NDArray[np.bool_]:
    """Mark the films of an atlas that still have the same poster."""
    sha256s = dict(zip(features.movie_ids.tolist(), features.poster_sha256s, strict=True))
    posters = _Films.of(existing).posters().items()
    return np.array([sha256s.get(movie_id) == sha256 for movie_id, sha256 in posters], bool)


def _laid_out(
    features: FilmFeatures, method: Method, seed: int, progress: Progress
) -> tuple[npt.NDArray[np.float32], _Films]:
    usable = layout.sound(features)
    if not len(usable):
        raise DataError("no poster has features that can be compared; run `keyart extract` with another network")
    chosen = features.take(usable)
    basis = layout.find_basis(chosen, seed)
    rows = _reduced(chosen, basis, progress)
    with progress(f"lay out by {method}", len(rows), "posters") as advance:
        positions = layout.lay_out(rows, method, seed)
        advance(len(rows))
    hashes = np.array(chosen.poster_sha256s, "S64")
    return basis, _Films(chosen.movie_ids, hashes, rows, positions, np.zeros(len(rows), bool))


def _grown(before: Atlas, features: FilmFeatures, progress: Progress) -> tuple[_Films, str]:
    stay = _Films.of(before).take(_is_unchanged(before, features))
    films, n_placed = stay, 0
    new = np.flatnonzero(~np.isin(features.movie_ids, stay.movie_ids))
    if len(new):
        new = new[layout.sound(features.take(new))]
    if len(new):
        chosen, n_placed = features.take(new), len(new)
        rows = _reduced(chosen, before.basis, progress)
        positions = layout.place(rows, stay.rows, stay.positions)
        hashes = np.array(chosen.poster_sha256s, "S64")
        films = stay.joined(_Films(chosen.movie_ids, hashes, rows, positions, np.ones(len(rows), bool)))
    n_dropped = len(np.setdiff1d(before.movie_ids, films.movie_ids))
    if not n_placed and not n_dropped:
        return films, "up to date"
    return films, f"{n_placed:,} placed, {n_dropped:,} dropped, {len(stay.movie_ids):,} where they were"


def _reduced(features: FilmFeatures, basis: npt.NDArray[np.float32], progress: Progress) -> npt.NDArray[np.float32]:
    with progress("reduce", len(features), "posters") as advance:
        return layout.reduce(features, basis, advance)


def _centroids(films: _Films, before: Atlas | None, options: AtlasOptions, seed: int) -> npt.NDArray[np.float32]:
    if before and options.n_clusters in (None, len(before.centroids)):
        return before.centroids
    wanted = options.n_clusters or layout.default_n_clusters(len(films.movie_ids))
    return layout.find_centroids(films.rows, wanted, seed)


def _clusters(
    workspace: Workspace, films: _Films, labels: layout.Labels, centroids: npt.NDArray[np.float32]
) -> tuple[Cluster, ...]:
    words = _words(workspace)
    movie_ids = films.movie_ids.tolist()
    of_films = [words.get(movie_id, ()) for movie_id in movie_ids]
    names = name_clusters(labels.tolist(), of_films, len(centroids))
    nearness = (films.rows * centroids[labels]).sum(axis=1)
    clusters = []
    for label, name in enumerate(names):
        inside = np.flatnonzero(labels == label)
        typical = inside[np.argsort(-nearness[inside], kind="stable")[:_N_TYPICAL]]
        clusters.append(Cluster(name, len(inside), tuple(films.movie_ids[typical].tolist())))
    return tuple(clusters)


def _words(workspace: Workspace) -> dict[int, tuple[str, ...]]:
    """List the words that may name a film's cluster: its genres and its tags.

    A tag that no two users ever gave to one film is one person's own, such as "in my queue".
    """
    of_films: defaultdict[int, set[str]] = defaultdict(set)
    with Catalog.open(workspace.catalog_path) as catalog:
        films, tags = list(catalog), catalog.tags()
    shared = {tag.tag for tag in tags if tag.n_users > 1}
    for tag in tags:
        if tag.tag in shared:
            of_films[tag.movie_id].add(tag.tag)
    # A tag that is also a genre of the film adds nothing.
    return {
        film.movie_id: (*film.genres, *sorted(of_films[film.movie_id] - {genre.casefold() for genre in film.genres}))
        for film in films
    }


def _sheets(films: _Films, before: Atlas | None, existing: Atlas | None) -> tuple[Sheet, ...]:
    """Assign every film a cell; sheets that the existing atlas has keep what is known of their files."""
    posters = films.posters()
    earlier = _Films.of(before).posters() if before else {}
    unchanged = {movie_id for movie_id, sha256 in posters.items() if earlier.get(movie_id) == sha256}
    along = films.movie_ids[along_the_map(films.positions)].tolist()
    new = [movie_id for movie_id in along if movie_id not in unchanged]
    known = {sheet.name: sheet for sheet in existing.sheets} if existing else {}
    return tuple(
        known.get(sheet.name, sheet) for sheet in assign(before.sheets if before else (), unchanged, new, posters)
    )


def _drawn(
    workspace: Workspace, films: _Films, sheets: tuple[Sheet, ...], blank: list[int], progress: Progress
) -> tuple[Sheet, ...]:
    # A sheet is named by its posters, so one that was replaced meanwhile must not be drawn in place of an earlier one.
    sha256s = films.posters()
    stored = list_posters(workspace)
    posters = {poster.movie_id: poster for poster in stored if sha256s.get(poster.movie_id) == poster.sha256}
    with progress("draw small", sum(len(sheet.movie_ids) for sheet in sheets), "posters") as advance:
        drawn = tuple(draw(sheets, workspace.atlas_dir, posters, advance, blank.append))
    # Those that were replaced or removed meanwhile are no loss.
    blank[:] = [movie_id for movie_id in blank if movie_id in posters]
    return drawn


def _notes_on_blank(movie_ids: list[int]) -> Iterator[str]:
    if movie_ids:
        yield (
            f"{plural(len(movie_ids), 'poster')} cannot be read and {'is' if len(movie_ids) == 1 else 'are'} blank on "
            f"the map ({listed(movie_ids)}); import them again, or delete their files and "
            "run `keyart fetch`"
        )


def _notes(atlas: Atlas, n_posters: int) -> Iterator[str]:
    if n_posters > len(atlas):
        yield f"{plural(n_posters - len(atlas), 'poster is', 'posters are')} not on the map: no features to compare"
    share = float(atlas.is_placed.mean())
    if share > _MANY_PLACED:
        yield (
            f"{share:.0%} of the films came after the map was laid out, and were placed among the others; "
            "`keyart atlas --rebuild` lays out all"
        )
