"""Content of films for cold-start models: genres, years, people and words, and the looks of their posters.

``looks/`` caches one row of `features.summary` for every poster with features, with the hash of the poster and the
identity of the encoder. A read-only workspace works, without the cache.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError, IncompleteError, NotBuiltError, StoreError
from catalog.film import Film, FilmTerm
from catalog.films import Catalog
from catalog.io.arrays import open_arrays, save_arrays
from catalog.io.files import read_stable
from catalog.io.locks import SHORTLY_S, exclusive
from catalog.io.progress import Progress, silent
from catalog.text import plural
from cf.base import rows_of
from cf.coldstart.content import FilmContent
from features.images import read_image
from features.store import FeatureRows, FeatureStore
from features.summary import N_COLORS, colors, looks
from keyart.workspace.contents import current_features
from keyart.workspace.films import list_posters
from keyart.workspace.gaps import listed
from keyart.workspace.layout import Workspace
from posters.store import Poster

_log = logging.getLogger(__name__)

_NAME, _KIND, _VERSION = "looks", "keyart-looks", 1
_N_READERS = 4


@dataclass(frozen=True)
class Looks:
    """The looks of posters, by film."""

    movie_ids: npt.NDArray[np.int32]
    rows: npt.NDArray[np.float32]
    sha256s: tuple[str, ...]

    def of(self, movie_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the rows of films; NaN for a film without features."""
        unknown = np.full((1, self.rows.shape[1]), np.nan, np.float32)
        # A row at the end is what row -1, a film without features, is taken to have.
        return np.vstack([self.rows, unknown])[rows_of(self.movie_ids, movie_ids)]


def open_looks(workspace: Workspace, *, progress: Progress = silent) -> Looks:
    """Open the looks of a workspace's posters; compute those that are missing."""
    return read_stable(lambda: _open_looks(workspace, progress), lambda: FeatureStore.version(workspace.features_dir))


def _open_looks(workspace: Workspace, progress: Progress) -> Looks:
    try:
        store, rows = current_features(workspace)
    except IncompleteError:
        raise
    except NotBuiltError:
        return _no_looks()
    stored = _stored_looks(workspace, store)
    known = dict(zip(stored.movie_ids.tolist(), stored.sha256s, strict=True))
    pairs = zip(rows.movie_ids.tolist(), rows.poster_sha256s, strict=True)
    new = {movie_id: sha256 for movie_id, sha256 in pairs if known.get(movie_id) != sha256}
    if not new and len(rows) == len(known):
        return stored
    merged = _merge(rows, stored, _compute_looks(workspace, store, rows.of_posters(new), progress))
    computed = _readable(merged, workspace)
    if (computed.movie_ids.tolist(), computed.sha256s) != (stored.movie_ids.tolist(), stored.sha256s):
        # In a read-only workspace they are computed every time.
        with suppress(StoreError), exclusive(workspace.looks_dir):
            _store_looks(workspace, store, computed)
    return computed


def drop_looks(workspace: Workspace, movie_ids: Collection[int]) -> None:
    """Remove the looks of some films, if any are stored."""
    try:
        store = FeatureStore.open(workspace.features_dir)
    except NotBuiltError:
        return
    stored = _stored_looks(workspace, store)
    rows = np.flatnonzero(~np.isin(stored.movie_ids, list(movie_ids)))
    if len(rows) < len(stored.movie_ids):
        sha256s = tuple(stored.sha256s[row] for row in rows.tolist())
        # A cold start beside this writes looks too, in less time than that.
        with exclusive(workspace.looks_dir, SHORTLY_S):
            _store_looks(workspace, store, Looks(stored.movie_ids[rows], stored.rows[rows], sha256s))


def _readable(looks: Looks, workspace: Workspace) -> Looks:
    """Leave out posters that could not be read, with a warning; they are tried again next time."""
    unreadable = np.isnan(looks.rows.sum(axis=1))
    # Those that were replaced or removed meanwhile are no loss.
    present = {poster.movie_id: poster.sha256 for poster in list_posters(workspace)} if unreadable.any() else {}
    hashes = zip(looks.movie_ids.tolist(), looks.sha256s, unreadable.tolist(), strict=True)
    movie_ids = [movie_id for movie_id, sha256, is_lost in hashes if is_lost and present.get(movie_id) == sha256]
    if movie_ids:
        _log.warning(
            "%s cannot be read, so the cold start goes without their looks (%s); import them again, or delete "
            "their files and run `keyart fetch`",
            plural(len(movie_ids), "poster"),
            listed(movie_ids),
        )
    readable = np.flatnonzero(~unreadable)
    return Looks(
        looks.movie_ids[readable], looks.rows[readable], tuple(looks.sha256s[row] for row in readable.tolist())
    )


def open_terms(workspace: Workspace) -> dict[int, tuple[str, ...]]:
    """Open the directors, cast and keywords of films, by movie_id; empty if none were loaded."""
    with Catalog.open(workspace.catalog_path) as catalog:
        return terms_of(catalog.terms())


def terms_of(terms: Iterable[FilmTerm]) -> dict[int, tuple[str, ...]]:
    """Name the terms of films, by movie_id: spellings that differ by case alone are one, kinds are not."""
    by_film: dict[int, dict[str, None]] = defaultdict(dict)
    for term in terms:
        by_film[term.movie_id][f"{term.kind}: {term.term.casefold()}"] = None
    return {movie_id: tuple(of_film) for movie_id, of_film in by_film.items()}


def content_of(
    films: Iterable[Film], posters: npt.NDArray[np.float32], terms: Mapping[int, Sequence[str]]
) -> FilmContent:
    """Combine what is known of films; what the network sees and colors are two kinds of looks."""
    listed = list(films)
    n_columns = posters.shape[1]
    views = (n_columns - N_COLORS, N_COLORS) if n_columns > N_COLORS else ()
    genres, years = [film.genres for film in listed], [film.year for film in listed]
    of_films = [terms.get(film.movie_id, ()) for film in listed] if terms else ()
    return FilmContent(genres, years, posters, views, of_films)


def looks_of_images(
    store: FeatureStore, features: npt.NDArray[np.floating], pixels: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float32]:
    """Summarize images that are not in the workspace, comparable to the rows of `open_looks`."""
    return looks(features, store.row_shape(), colors(pixels))


def _compute_looks(workspace: Workspace, store: FeatureStore, rows: FeatureRows, progress: Progress) -> Looks:
    # A poster that was replaced or removed meanwhile is not that of the features, and counts as unreadable.
    posters = {(poster.movie_id, poster.sha256): poster for poster in list_posters(workspace)}
    movie_ids = rows.movie_ids.astype(np.int32)
    blocks = []
    with progress("summarize posters", len(rows), "posters") as advance, ThreadPoolExecutor(_N_READERS) as threads:
        shares = threads.map(_colors, map(posters.get, zip(movie_ids.tolist(), rows.poster_sha256s, strict=True)))
        for features in store.blocks(rows):
            blocks.append(looks(features, store.row_shape(), np.stack(list(islice(shares, len(features))))))
            advance(len(features))
    return Looks(movie_ids, np.vstack(blocks), rows.poster_sha256s) if blocks else _no_looks()


def _colors(poster: Poster | None) -> npt.NDArray[np.float32]:
    if poster is None:
        return np.full(N_COLORS, np.nan, np.float32)
    try:
        pixels, _ = read_image(poster.read(), name=str(poster.path))
    except (DataError, StoreError):
        # The file was readable when its features were computed. NaN marks it for `_readable`.
        return np.full(N_COLORS, np.nan, np.float32)
    shares: npt.NDArray[np.float32] = colors(pixels[None])[0]
    return shares


def _merge(rows: FeatureRows, one: Looks, other: Looks) -> Looks:
    """Select the looks of given posters from stored and new ones."""
    by_poster = {
        (movie_id, sha256): row
        for part in (one, other)
        for movie_id, sha256, row in zip(part.movie_ids.tolist(), part.sha256s, part.rows, strict=True)
    }
    pairs = zip(rows.movie_ids.tolist(), rows.poster_sha256s, strict=True)
    matrix = np.stack([by_poster[pair] for pair in pairs]) if len(rows) else _no_looks().rows
    return Looks(rows.movie_ids.astype(np.int32), matrix, rows.poster_sha256s)


def _stored_looks(workspace: Workspace, store: FeatureStore) -> Looks:
    try:
        content, arrays = open_arrays(workspace.looks_dir, _NAME, _KIND, _VERSION)
        if content["identity"] == store.identity.as_dict():
            return Looks(arrays["movie_ids"], arrays["rows"], tuple(content["sha256s"]))
    except (NotBuiltError, DataError, KeyError):
        # What is damaged, or of an earlier version, is computed anew.
        pass
    return _no_looks()


def _store_looks(workspace: Workspace, store: FeatureStore, computed: Looks) -> None:
    content = {"identity": store.identity.as_dict(), "sha256s": list(computed.sha256s)}
    arrays = {"movie_ids": computed.movie_ids, "rows": computed.rows}
    save_arrays(workspace.looks_dir, _NAME, _KIND, _VERSION, content, arrays)


def _no_looks() -> Looks:
    return Looks(np.empty(0, np.int32), np.empty((0, 0), np.float32), ())
