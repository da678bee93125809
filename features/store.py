"""Shards of features, with the ids beside the numbers and the identity of the network beside both.

Owns a folder::

    features.json            the identity of the whole store: backbone, weights' hash, preprocessing, resize, width
    features-00000.npy       float16 (n, n_features), memory-mappable
    features-00000.parquet   movie_id, poster_sha256, width, height (of the poster, pixels), source
    features-00000.json      the shard's completion record, written last: without it the shard does not count
    skipped.json             posters that could not be read, and why

Where a film stands in several shards, the latest counts. May import `catalog` only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from catalog.errors import DataError, NotBuiltError
from catalog.storage import atomic_path, read_record, write_record

_VERSION = 1
_STORE, _SHARD, _SKIPPED = "keyart-features", "keyart-features-shard", "keyart-features-skipped"
_SHARD_NAME = re.compile(r"features-(\d{5})\.json")
_BLOCK_ROWS = 512


@dataclass(frozen=True)
class Identity:
    """What features are of: two stores with equal identities may be compared, others never.

    Parameters
    ----------
    backbone : str
        The network's name.
    weights_sha256 : str
        The hash of its weights.
    resize : str
        How pictures were brought to 224 × 224.
    n_features : int
        The number of columns.
    preprocessing : str
        What was done to the pixels.
    flatten : str
        The order in which the output was flattened.
    """

    backbone: str
    weights_sha256: str
    resize: str
    n_features: int
    preprocessing: str = "caffe"
    flatten: str = "height,width,channel"

    def as_dict(self) -> dict[str, Any]:
        """Write the identity as plain values.

        Returns
        -------
        dict
            What JSON can hold.
        """
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.backbone} ({self.n_features} columns, weights {self.weights_sha256[:8]}, resize {self.resize})"


@dataclass(frozen=True)
class FeatureRows:
    """Which film's features stand in which row of which shard; the latest row of each film.

    Parameters
    ----------
    movie_ids : ndarray of shape (n,), int64
        Ascending, each film once.
    poster_sha256s : tuple of str, of length n
        The hash of the poster file that each row was computed from.
    shards, rows : ndarray of shape (n,), int64
        Where the row stands.
    """

    movie_ids: npt.NDArray[np.int64]
    poster_sha256s: tuple[str, ...]
    shards: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.movie_ids)

    def of_posters(self, sha256_by_film: Mapping[int, str]) -> FeatureRows:
        """Keep the rows that were computed from given posters.

        Parameters
        ----------
        sha256_by_film : mapping of int to str
            The hash of each film's present poster.

        Returns
        -------
        FeatureRows
            Without films whose poster is gone or another one.
        """
        pairs = zip(self.movie_ids.tolist(), self.poster_sha256s, strict=True)
        kept = [row for row, (movie_id, sha256) in enumerate(pairs) if sha256_by_film.get(movie_id) == sha256]
        sha256s = tuple(self.poster_sha256s[row] for row in kept)
        return FeatureRows(self.movie_ids[kept], sha256s, self.shards[kept], self.rows[kept])


@dataclass(frozen=True)
class Skipped:
    """A poster that could not be read.

    Parameters
    ----------
    movie_id : int
        The film.
    reason : str
        What is wrong with its poster.
    """

    movie_id: int
    reason: str


class FeatureStore:
    """Shards of features of one identity; make it with `create` or `open`.

    Parameters
    ----------
    folder : Path
        Where the shards are.
    identity : Identity
        What they are of.
    origin : mapping
        How the backbone was chosen, so that it can be loaded again: ``backbone``, ``weights``, ``seed``.
    """

    def __init__(self, folder: Path, identity: Identity, origin: Mapping[str, Any]) -> None:
        self.folder = folder
        self.identity = identity
        self.origin = dict(origin)

    @classmethod
    def create(
        cls, folder: Path, identity: Identity, origin: Mapping[str, Any], *, replace: bool = False
    ) -> FeatureStore:
        """Open a store for writing, or make one.

        Parameters
        ----------
        folder : Path
            Where the shards are or shall be.
        identity : Identity
            What they are of.
        origin : mapping
            How the backbone was chosen.
        replace : bool, default False
            Remove features of another identity, if such are there.

        Returns
        -------
        FeatureStore
            The store.

        Raises
        ------
        DataError
            Features of another identity are there, and `replace` is false.
        """
        try:
            there = cls.open(folder)
        except NotBuiltError:
            there = None
        except DataError:
            if not replace:
                raise
            there = None
        if there is not None and there.identity != identity:
            if not replace:
                raise DataError(
                    f"{folder} holds features of {there.identity}, these would be of {identity}; features of two "
                    "networks never mix: extract with the same options, or begin anew with --replace"
                )
            there = None
        store = cls(folder, identity, origin)
        if there is None:
            # Also without a record: shards that an interrupted `clear` left must not count as this network's.
            store.clear()
        if there is None or there.origin != store.origin:
            content = {"identity": identity.as_dict(), "origin": store.origin}
            write_record(folder / "features.json", _STORE, _VERSION, content)
        return store

    @classmethod
    def open(cls, folder: Path) -> FeatureStore:
        """Open a store for reading.

        Parameters
        ----------
        folder : Path
            Where the shards are.

        Returns
        -------
        FeatureStore
            The store.

        Raises
        ------
        NotBuiltError
            There are no features.
        DataError
            They are of another version.
        """
        try:
            record = read_record(folder / "features.json", _STORE, _VERSION)
            return cls(folder, Identity(**record["identity"]), record["origin"])
        except FileNotFoundError as error:
            raise NotBuiltError(f"no features here yet ({error.filename} is missing); run `keyart extract`") from error
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{folder / 'features.json'} is damaged ({error}); run `keyart extract --replace`"
            ) from error

    def append(self, table: pd.DataFrame, features: npt.NDArray[np.float16]) -> None:
        """Write one more shard.

        Parameters
        ----------
        table : DataFrame of n rows
            The columns movie_id, poster_sha256, width, height, source.
        features : ndarray of shape (n, n_features), float16
            One row a poster.

        Raises
        ------
        StoreError
            The shard cannot be written; it then does not count.
        """
        stem = f"features-{max(self._shards(), default=-1) + 1:05d}"
        with atomic_path(self.folder / f"{stem}.npy") as temporary_path, temporary_path.open("wb") as stream:
            np.save(stream, features, allow_pickle=False)
        with atomic_path(self.folder / f"{stem}.parquet") as temporary_path:
            table.to_parquet(temporary_path, index=False)
        write_record(self.folder / f"{stem}.json", _SHARD, _VERSION, {"n_rows": len(table)})

    def rows(self) -> FeatureRows:
        """List what is there.

        Returns
        -------
        FeatureRows
            The latest row of each film.

        Raises
        ------
        DataError
            A shard is damaged.
        """
        tables = [self._table(shard) for shard in self._shards()]
        columns = ["movie_id", "poster_sha256", "shard", "row"]
        table = pd.concat(tables) if tables else pd.DataFrame(columns=columns)
        table = table.drop_duplicates("movie_id", keep="last").sort_values("movie_id")
        movie_ids, shards, rows = (table[name].to_numpy(np.int64) for name in ("movie_id", "shard", "row"))
        return FeatureRows(movie_ids, tuple(table["poster_sha256"]), shards, rows)

    def blocks(self, rows: FeatureRows) -> Iterator[npt.NDArray[np.float16]]:
        """Read features, a few hundred rows at a time.

        Parameters
        ----------
        rows : FeatureRows
            Which ones.

        Yields
        ------
        ndarray of shape (n, n_features), float16
            In the order of `rows`.
        """
        shards = {int(shard): self._features(int(shard)) for shard in np.unique(rows.shards)}
        for start in range(0, len(rows), _BLOCK_ROWS):
            part = slice(start, start + _BLOCK_ROWS)
            pairs = zip(rows.shards[part].tolist(), rows.rows[part].tolist(), strict=True)
            yield np.stack([shards[shard][row] for shard, row in pairs])

    def write_skipped(self, skipped: Sequence[Skipped]) -> None:
        """Record which posters could not be read, in place of the earlier record.

        Parameters
        ----------
        skipped : sequence of Skipped
            All of them.

        Raises
        ------
        StoreError
            The record cannot be written.
        """
        content = {"posters": [asdict(one) for one in skipped]}
        write_record(self.folder / "skipped.json", _SKIPPED, _VERSION, content)

    def skipped(self) -> tuple[Skipped, ...]:
        """Tell which posters could not be read.

        Returns
        -------
        tuple of Skipped
            As last recorded.
        """
        try:
            record = read_record(self.folder / "skipped.json", _SKIPPED, _VERSION)
        except FileNotFoundError:
            return ()
        return tuple(Skipped(**one) for one in record["posters"])

    def clear(self) -> None:
        """Remove all features, the identity first, so that what is left half-way does not count."""
        for path in (
            self.folder / "features.json",
            *self.folder.glob("features-*"),
            self.folder / "skipped.json",
        ):
            path.unlink(missing_ok=True)

    def _shards(self) -> list[int]:
        names = map(_SHARD_NAME.fullmatch, (path.name for path in self.folder.glob("features-*.json")))
        return sorted(int(name[1]) for name in names if name)

    def _table(self, shard: int) -> pd.DataFrame:
        stem = self.folder / f"features-{shard:05d}"
        try:
            table = pd.read_parquet(stem.with_suffix(".parquet"), columns=["movie_id", "poster_sha256"])
        except (OSError, ValueError, pa.ArrowException) as error:
            raise _damaged(stem, error) from error
        n_rows = read_record(stem.with_suffix(".json"), _SHARD, _VERSION).get("n_rows")
        if not len(table) == len(self._features(shard)) == n_rows:
            raise _damaged(stem, f"expected {n_rows} rows")
        return table.assign(shard=shard, row=np.arange(len(table)))

    def _features(self, shard: int) -> npt.NDArray[np.float16]:
        stem = self.folder / f"features-{shard:05d}"
        try:
            features: npt.NDArray[np.float16] = np.load(stem.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise _damaged(stem, error) from error
        if features.dtype != np.float16 or features.shape[1:] != (self.identity.n_features,):
            raise _damaged(stem, f"{features.dtype} {features.shape}, expected float16 (n, {self.identity.n_features})")
        return features


def _damaged(stem: Path, reason: object) -> DataError:
    return DataError(f"the shard {stem}.* is damaged ({reason}); remove its three files and run `keyart extract` again")
