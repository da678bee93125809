"""The films that look-alikes are found among: their features, and what is known of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from catalog.errors import DataError
from catalog.film import Film
from catalog.film_table import read_film_table
from catalog.ids import MAX_ID
from catalog.io.remote import as_path
from catalog.series import series_name
from catalog.text import plural
from features.folder import pictures_in
from features.pipeline import Broken, Computed, Known, Picture, compute
from features.store import FeatureRows, FeatureStore
from index.source import FilmFeatures, Ids
from keyart.workspace.encoder import WorkspaceEncoder
from keyart.workspace.films import list_films, list_posters
from keyart.workspace.layout import Workspace

Half = Literal["all", "choose", "report"]
Encode = Callable[[Sequence[Picture] | Iterator[Picture], int], Iterable[Computed | Known | Broken]]
"""Computes features of pictures, of which there are about so many, like those of the films."""

# IMDb's numbers begin with zeros.
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_N_LISTED = 5


@dataclass(frozen=True)
class LeftOut:
    """What could not be measured, and why: `kind` is "film", "pair" or "poster"."""

    kind: str
    reason: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        listed = ", ".join(self.names[:_N_LISTED]) + (", …" if len(self.names) > _N_LISTED else "")
        return f"{plural(len(self.names), self.kind)} left out: {self.reason} ({listed})"


def left_out(kind: str, reasons: Iterable[tuple[str, object]]) -> list[LeftOut]:
    """Collect pairs of a reason and a name by their reasons."""
    names: dict[str, list[str]] = {}
    for reason, name in reasons:
        names.setdefault(reason, []).append(str(name))
    return [LeftOut(kind, reason, tuple(ones)) for reason, ones in names.items()]


@dataclass(frozen=True)
class Gallery:
    """Films with features; titles, poster files and the encoder as far as they are known."""

    features: FilmFeatures
    films: Mapping[int, Film] = field(default_factory=dict)
    posters: Mapping[int, Path] = field(default_factory=dict)
    encode: Encode | None = None
    left_out: tuple[LeftOut, ...] = ()
    # (height, width, channels) of the map that a row of features is; None if it is none.
    map_shape: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.features)

    @property
    def movie_ids(self) -> list[int]:
        """The films with features, ascending."""
        movie_ids: list[int] = self.features.movie_ids.tolist()
        return movie_ids

    def rows(self) -> dict[int, int]:
        """Return the row of every film with features."""
        return {movie_id: row for row, movie_id in enumerate(self.movie_ids)}

    def copies(self) -> list[Ids]:
        """Return for every row the rows with the same poster file, itself among them."""
        hashes = [sha256 or str(row) for row, sha256 in enumerate(self.features.poster_sha256s)]
        _, codes = np.unique(hashes, return_inverse=True)
        order = np.argsort(codes, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
        return [parts[code] for code in codes.tolist()]

    def group(self, movie_id: int) -> str:
        """Name what a film is drawn together with: its series by name, else the film alone."""
        film = self.films.get(movie_id)
        return (series_name(film.title) if film else "") or f"#{movie_id}"

    def is_in(self, half: Half, movie_id: int, seed: int) -> bool:
        """Return whether a film is in a half; films of one series are always in the same."""
        return half == "all" or half == half_of(self.group(movie_id), seed)

    def checked(self) -> Gallery:
        """Leave out films whose features cannot be compared; DataError where fewer than two remain."""
        # Imported here: FAISS takes a moment, and files are checked before.
        from index.build import faulty_films

        faulty = faulty_films(self.features)
        good = np.flatnonzero(~np.isin(self.features.movie_ids, list(faulty)))
        if len(good) < 2:
            raise DataError(f"look-alikes need two films with features at least, received {len(good)}")
        reasons = left_out("film", ((reason, movie_id) for movie_id, reason in faulty.items()))
        return replace(self, features=self.features.take(good), left_out=(*self.left_out, *reasons))


def in_half(half: Half) -> str:
    """Return what a message about missing questions ends with."""
    return "" if half == "all" else f", in the half to {half}"


def half_of(group: str, seed: int) -> Half:
    """Return the half of a group; it depends on nothing else, so further films move none."""
    first = hashlib.blake2b(f"{seed} {group}".encode(), digest_size=1).digest()[0]
    return "choose" if first % 2 else "report"


def workspace_gallery(workspace: Workspace) -> Gallery:
    """Open the films of a workspace whose features are current."""
    from keyart.workspace.index import needed_film_features

    store, features = needed_film_features(workspace)
    films = {film.movie_id: film for film in list_films(workspace)}
    posters = {poster.movie_id: poster.path for poster in list_posters(workspace)}
    return Gallery(features, films, posters, _encode(store), (), _map_shape(store)).checked()


def folder_gallery(folder: str | Path, films: Mapping[int, Film], posters: Mapping[int, Path]) -> Gallery:
    """Open a folder of features whose pictures are named by movie_id: ``6.jpg``."""
    store = FeatureStore.open(as_path(folder))
    features, reasons = _film_features(store, store.rows(), folder)
    faults = tuple(left_out("film", reasons))
    return Gallery(features, films, posters, _encode(store), faults, _map_shape(store)).checked()


def read_films(path: Path) -> dict[int, Film]:
    """Read a table of titles, such as MovieLens' movies.csv."""
    return {film.movie_id: film for film in read_film_table(path).films}


def poster_files(folder: Path) -> dict[int, Path]:
    """Find the pictures of a folder that are named by movie_id."""
    named = [(movie_id_of(picture.picture_id), picture.source) for picture in pictures_in(folder)]
    return {movie_id: path for movie_id, path in named if movie_id is not None and isinstance(path, Path)}


def movie_id_of(picture_id: int | str) -> int | None:
    """Return the movie_id that a picture is named by, if it is."""
    stem = Path(str(picture_id)).stem if isinstance(picture_id, str) else str(picture_id)
    return int(stem) if _NUMBER.fullmatch(stem) and int(stem) <= MAX_ID else None


def _film_features(
    store: FeatureStore, rows: FeatureRows, folder: object
) -> tuple[FilmFeatures, list[tuple[str, object]]]:
    """Arrange the rows of a store by movie_id; also the pictures without one, and why."""
    matches: dict[int, int] = {}
    reasons: list[tuple[str, object]] = []
    for row, picture_id in enumerate(rows.picture_ids.tolist()):
        movie_id = movie_id_of(picture_id)
        if movie_id is None:
            reasons.append(("its picture is not named by a movie_id", picture_id))
        elif movie_id in matches:
            reasons.append(("another picture has the same movie_id", picture_id))
        else:
            matches[movie_id] = row
    if not matches:
        raise DataError(f"no picture in {folder} is named by its movie_id, as 6.jpg is; received {len(rows)} pictures")
    movie_ids = np.array(sorted(matches), np.int64)
    order = np.array([matches[movie_id] for movie_id in movie_ids.tolist()])
    arrays, numbers = store.arrays(rows)
    hashes = [rows.poster_sha256s[row] for row in order.tolist()]
    return FilmFeatures(movie_ids, arrays, numbers[order], rows.rows[order], hashes), reasons


def _map_shape(store: FeatureStore) -> tuple[int, ...] | None:
    # Features of an earlier keyart have no record of it, and most embeddings do not ask.
    return None if store.map_shape is None else store.row_shape()


def _encode(store: FeatureStore) -> Encode:
    encoder = WorkspaceEncoder(store)
    return lambda pictures, n_pictures: compute(pictures, encoder.encoder(n_pictures))
