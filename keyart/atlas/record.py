"""The stored form of an atlas: a record that names its sheets and arrays, written last.

Owns the folder ``atlas``: ``atlas.json``, ``atlas-….npz`` and ``sheet-….webp``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import DamageError, DataError, KeyartError, NotBuiltError
from catalog.io.arrays import open_arrays, save_arrays
from catalog.io.files import no_record
from keyart.atlas.sprites import Sheet
from keyart.workspace.contents import current_features, fingerprint, fingerprint_of
from keyart.workspace.layout import Workspace

_NAME, _KIND, _VERSION = "atlas", "keyart-atlas", 1


@dataclass(frozen=True)
class Cluster:
    """Films with similar posters; `typical` are the movie_ids nearest to the centroid, nearest first."""

    name: str
    n_films: int
    typical: tuple[int, ...]


@dataclass(frozen=True)
class Atlas:
    """All posters of a workspace on one map; arrays of n films are in ascending order of movie_id."""

    identity: dict[str, Any]
    # Of the features that it was made of; see `keyart.workspace.contents.fingerprint`.
    fingerprint: str
    method: str
    seed: int
    movie_ids: npt.NDArray[np.int64]
    poster_sha256s: npt.NDArray[np.bytes_]
    rows: npt.NDArray[np.float32]  # (n, rank), of length 1
    positions: npt.NDArray[np.float32]  # (n, 2), in [-1, 1]
    is_placed: npt.NDArray[np.bool_]  # placed among others after the layout was computed
    labels: npt.NDArray[np.int32]  # cluster numbers
    basis: npt.NDArray[np.float32]  # (n_features, rank)
    centroids: npt.NDArray[np.float32]  # (n_clusters, rank)
    clusters: tuple[Cluster, ...]
    sheets: tuple[Sheet, ...]

    def __len__(self) -> int:
        return len(self.movie_ids)

    def save(self, folder: Path) -> None:
        """Replace the stored atlas; its sheets have been drawn before."""
        content = {
            "identity": self.identity,
            "fingerprint": self.fingerprint,
            "method": self.method,
            "seed": self.seed,
            "clusters": [{**vars(cluster), "typical": list(cluster.typical)} for cluster in self.clusters],
            "sheets": [{**vars(sheet), "movie_ids": list(sheet.movie_ids)} for sheet in self.sheets],
        }
        save_arrays(folder, _NAME, _KIND, _VERSION, content, {name: getattr(self, name) for name in _ARRAYS})

    @classmethod
    def open(cls, folder: Path) -> Atlas:
        """Open the atlas of a workspace."""
        try:
            content, arrays = open_arrays(folder, _NAME, _KIND, _VERSION)
            return cls(
                identity=content["identity"],
                # Earlier versions recorded none; the films on the map are nearly always all of them.
                fingerprint=content.get("fingerprint")
                or fingerprint_of(arrays["movie_ids"].tolist(), arrays["poster_sha256s"].astype(str).tolist()),
                method=content["method"],
                seed=content["seed"],
                clusters=tuple(
                    Cluster(each["name"], each["n_films"], tuple(each["typical"])) for each in content["clusters"]
                ),
                sheets=tuple(Sheet(**{**each, "movie_ids": tuple(each["movie_ids"])}) for each in content["sheets"]),
                **{name: arrays[name] for name in _ARRAYS},
            )
        except NotBuiltError as error:
            if any(files_of(folder)):
                raise no_record(record_path(folder), "the atlas", "run `keyart atlas`") from error
            raise NotBuiltError("no atlas here yet; run `keyart atlas`") from error
        except (DataError, KeyError, TypeError) as error:
            raise DamageError(
                f"the atlas in {folder} is damaged, or of another version of keyart ({error}); `keyart atlas` makes it "
                "anew"
            ) from error


_ARRAYS = ("movie_ids", "poster_sha256s", "rows", "positions", "is_placed", "labels", "basis", "centroids")


def record_path(folder: Path) -> Path:
    """Locate the record, which changes whenever the atlas does."""
    return folder / f"{_NAME}.json"


def files_of(folder: Path) -> Iterator[Path]:
    """Yield the files of all generations of an atlas, without the record."""
    return (path for pattern in (f"{_NAME}-????????.npz", "sheet-*.webp") for path in folder.glob(pattern))


def notes_on_atlas(workspace: Workspace, atlas: Atlas) -> tuple[str, ...]:
    """Return a note where a map is older than posters and features."""
    try:
        store, rows = current_features(workspace)
    except KeyartError:
        # What is gone or damaged is reported by what needs it.
        return ()
    if store.identity.as_dict() == atlas.identity and fingerprint(rows) == atlas.fingerprint:
        return ()
    return ("the map is out of date, as posters or features have changed; run `keyart atlas`",)
