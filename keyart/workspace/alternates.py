"""Further posters of a workspace's films, their features, and the index of these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from catalog.errors import IncompleteError, NotBuiltError
from catalog.io.files import read_stable
from features.pipeline import Picture
from features.store import FeatureStore
from index.record import IndexRecord
from index.source import FilmFeatures
from keyart.workspace.films import list_films, open_posters
from keyart.workspace.layout import Workspace

if TYPE_CHECKING:
    from index.cosine import CosineIndex

_FOLDER = "alternates"


@dataclass(frozen=True)
class Alternate:
    """A further poster of a film; its name is that of its file, which changes with its content."""

    movie_id: int
    path: Path
    sha256: str

    @property
    def picture(self) -> Picture:
        """The poster, as features are computed of it."""
        return Picture(self.path.stem, self.path, self.sha256)


def features_dir(workspace: Workspace) -> Path:
    """Return the folder of the features of further posters."""
    return workspace.features_dir / _FOLDER


def index_dir(workspace: Workspace) -> Path:
    """Return the folder of the index of further posters."""
    return workspace.index_dir / _FOLDER


def list_alternates(workspace: Workspace) -> list[Alternate]:
    """Return the further posters of the catalog's films by movie_id, the best first."""
    from index.alternates import MOST_ALTERNATES

    store = open_posters(workspace)
    if store is None:
        return []
    with store:
        files = store.alternates.files()
    if not files:
        return []
    known = {film.movie_id for film in list_films(workspace)}
    alternates = (Alternate(*file) for file in files if file[0] in known)
    by_film = groupby(alternates, key=lambda one: one.movie_id)
    return [one for _, group in by_film for one in list(group)[:MOST_ALTERNATES]]


def alternate_features(workspace: Workspace) -> FilmFeatures | None:
    """Memory-map the features of further posters that are there and unchanged; None where there are none.

    DataError where they are damaged or their record is lost.
    """

    def read() -> FilmFeatures | None:
        try:
            store = FeatureStore.open(features_dir(workspace))
        except NotBuiltError:
            return None
        return _features(workspace, store)

    return read_stable(read, lambda: FeatureStore.version(features_dir(workspace)))


def n_without_features(workspace: Workspace) -> int:
    """Count the further posters without features, but for those that could not be read."""
    hashes = {one.path.stem: one.sha256 for one in list_alternates(workspace)}
    if not hashes:
        return 0
    try:
        store = FeatureStore.open(features_dir(workspace))
    except NotBuiltError:
        return len(hashes)
    skipped = set(map(str, store.without_features()))
    return len(hashes.keys() - set(map(str, store.rows().of_posters(hashes).picture_ids.tolist())) - skipped)


def _features(workspace: Workspace, store: FeatureStore) -> FilmFeatures | None:
    alternates = list_alternates(workspace)
    rows = store.rows().of_posters({one.path.stem: one.sha256 for one in alternates})
    if store.identity != FeatureStore.open(workspace.features_dir).identity or not len(rows):
        return None
    positions = {str(name): row for row, name in enumerate(rows.picture_ids.tolist())}
    numbered = list(_numbered(alternates, positions))
    chosen = np.array([row for _, row in numbered])
    arrays, array_numbers = store.arrays(rows)
    hashes = [rows.poster_sha256s[row] for row in chosen.tolist()]
    numbers = np.array([number for number, _ in numbered], np.int64)
    return FilmFeatures(numbers, arrays, array_numbers[chosen], rows.rows[chosen], hashes)


def _numbered(alternates: list[Alternate], positions: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    """Yield the number of each further poster that has features, ascending, and the row of these."""
    from index.alternates import number_of

    for movie_id, group in groupby(alternates, key=lambda one: one.movie_id):
        rows = [positions[one.path.stem] for one in group if one.path.stem in positions]
        yield from ((number_of(movie_id, place), row) for place, row in enumerate(rows))


def open_alternates(workspace: Workspace, index: CosineIndex) -> CosineIndex | None:
    """Open the index of further posters; None where there is none, or none in the space of the films' index.

    Damage is raised as DataError, and an index without its record as IncompleteError.
    """
    from index.cosine import CosineIndex

    try:
        record = IndexRecord.read(index_dir(workspace))
        if record.identity != index.identity | index.space():
            return None
        # An index of vectors answers without features.
        features = alternate_features(workspace) if record.kind != "exact" else None
        return CosineIndex.open(index_dir(workspace), features)
    except IncompleteError:
        raise
    except NotBuiltError:
        return None
