"""A folder of features with their ids and identity.

::

    features.json            the identity of the store, how the network was chosen, the shape of its output
    whitening.npz            the whitening, if the identity names one
    features-00000.*         the shards, see `features.shards`; numbers may have gaps
    skipped.json             images that could not be read, and why

If an image is in several shards, its latest row is valid.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from catalog.errors import ConfigError, DamageError, DataError, NotBuiltError
from catalog.io.files import read_record, read_stable, record_kind, remove_file, write_bytes, write_record
from catalog.io.locks import is_leftover
from catalog.io.remote import AnyPath
from features.encoders.pairs import is_pair_name
from features.identity import Identity
from features.options import ExtractOptions
from features.preprocessing_files import file_beside
from features.shards import (
    ID_COLUMNS,
    KIND,
    REPAIR,
    SHARD_ROWS,
    PictureId,
    damaged,
    intact_table,
    length_of,
    map_features,
    number_of,
    read_table,
    recorded_rows,
    remove,
    shard_files,
    stem_of,
    unrecorded_table,
    verify,
)
from features.whitening import Whitening

# Version 1 did not distinguish networks with the same weights in other layers.
_VERSION = 2
_STORE, _SKIPPED = "keyart-features", "keyart-features-skipped"
_RECORD, _SKIPPED_NAME, _WHITENING = "features.json", "skipped.json", "whitening.npz"
_OPTIONS_OF_IDENTITY = ("resize", "pooling", "preprocessing")
_BLOCK_ROWS = 512
# The number of shards checked at once: on a remote file system each waits for an answer.
_READERS = 16

Result = TypeVar("Result")
IsCurrent = Callable[[Any, str], bool]
"""Says of an id and a hash whether the features of that image are still wanted."""


class OtherFeaturesError(DataError):
    """A folder holds features of another network, or of other options."""


@dataclass(frozen=True)
class FeatureRows:
    """Shard and row of the latest features of each image, ascending by id."""

    picture_ids: npt.NDArray[Any]  # int64 movie_ids, or objects: texts
    poster_sha256s: tuple[str, ...]
    shards: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.picture_ids)

    @property
    def movie_ids(self) -> npt.NDArray[np.int64]:
        """The ids, if they are of films."""
        if self.picture_ids.dtype != np.int64:
            raise DataError("these features are of a folder's images, which have names in place of movie_ids")
        return self.picture_ids

    def of_posters(self, sha256s: Mapping[Any, str]) -> FeatureRows:
        """Keep the rows whose image's present file, of the given hash, is the one they were computed from."""
        pairs = zip(self.picture_ids.tolist(), self.poster_sha256s, strict=True)
        remaining = [row for row, (picture_id, sha256) in enumerate(pairs) if sha256s.get(picture_id) == sha256]
        hashes = tuple(self.poster_sha256s[row] for row in remaining)
        return FeatureRows(self.picture_ids[remaining], hashes, self.shards[remaining], self.rows[remaining])


@dataclass(frozen=True)
class Skipped:
    """An image that could not be read."""

    picture_id: PictureId
    reason: str
    # Its file could not be read, or is damaged: once that is mended, it may have features.
    may_be_read: bool = False


def with_recorded_preprocessing(options: ExtractOptions, folder: AnyPath) -> ExtractOptions:
    """Complete options that leave the preprocessing of a file open by that of a folder's features of the same file.

    Encoders by name and pairs bring their own, which may have changed.
    """
    if options.preprocessing is not None or options.info is not None or is_pair_name(options.encoder):
        return options
    try:
        store = FeatureStore.open(folder)
    except (NotBuiltError, DataError):
        return options
    recorded, path = Path(str(store.origin.get("backbone"))), Path(options.origin["backbone"])
    # A workspace may have moved with its network. Another of the same name is refused, unless features are removed.
    is_same = recorded == path if options.rebuild else recorded.name == path.name
    if not is_same or file_beside(path):
        return options
    return replace(options, preprocessing=store.identity.preprocessing)


@dataclass(frozen=True)
class Damage:
    """What was wrong with shards that were removed, and whose features these held."""

    reasons: tuple[str, ...] = ()
    picture_ids: frozenset[PictureId] = frozenset()
    # Rows of shards whose tables were damaged too, so that nobody knows whose they were.
    n_unnamed: int = 0

    def n_lost(self, given: Collection[PictureId], stored: FeatureRows, n_new: int) -> int:
        """Count the images without features now that were not given to be computed again; unnamed ones at least."""
        n_again = len(self.picture_ids.intersection(given))
        n_missing = len(self.picture_ids.difference(given, stored.picture_ids.tolist()))
        return n_missing + max(self.n_unnamed - max(n_new - n_again, 0), 0)


class FeatureStore:
    """A folder of features of one identity; make it with `create` or `open`. One process may write at a time."""

    def __init__(
        self,
        folder: AnyPath,
        identity: Identity,
        origin: Mapping[str, Any],
        map_shape: tuple[int, ...] | None = None,
        text_sha256: str | None = None,
    ) -> None:
        self.folder = folder
        self.identity = identity
        self.origin = dict(origin)
        self.map_shape = map_shape
        # Of what reads words beside the network; no part of the identity, as pictures do not depend on it.
        self.text_sha256 = text_sha256

    @classmethod
    def create(
        cls,
        folder: AnyPath,
        identity: Identity,
        origin: Mapping[str, Any],
        *,
        map_shape: tuple[int, ...] | None = None,
        rebuild: bool = False,
        whitening: Whitening | None = None,
        text_sha256: str | None = None,
    ) -> FeatureStore:
        """Create a store, or open one for writing; `rebuild` removes features of another identity.

        `origin` records how the network was chosen, `map_shape` the shape of its output for one image.
        """
        store = cls(folder, identity, origin, map_shape, text_sha256)
        try:
            existing = cls.open(folder)
        except NotBuiltError:
            existing = None
        except DataError:
            if not rebuild:
                raise
            existing = None
        if existing is not None and existing.identity != identity:
            if not rebuild:
                recorded = existing.identity.preprocessing
                option = f" (--preprocessing {recorded})" if recorded != identity.preprocessing else ""
                raise OtherFeaturesError(
                    f"{folder} holds features of {existing.identity}, these would be of {identity}; features of two "
                    f"networks never mix: extract with the same options{option}, or begin anew with --rebuild"
                )
            existing = None
        if existing is None and (folder / _RECORD).is_file():
            # The record stays until it is replaced: without it, the workspace would not know this encoder by its name.
            store._remove_rows()
        elif existing is None:
            # What an interrupted `clear` left is not of this network.
            store.clear()
        if whitening is not None:
            # Also where it should be there already: it may have been lost, and learned again.
            whitening.save(folder / _WHITENING)
        if existing is None or existing._beside_identity() != store._beside_identity():
            content = {"identity": identity.as_dict(), **store._beside_identity()}
            write_record(folder / _RECORD, _STORE, _VERSION, content)
        if whitening is None and existing is None:
            remove_file(folder / _WHITENING)
        return store

    @classmethod
    def open(cls, folder: AnyPath) -> FeatureStore:
        """Open an existing store."""
        path = folder / _RECORD
        try:
            record = read_record(path, _STORE, _VERSION)
        except FileNotFoundError as error:
            if any(number_of(one.name) is not None for one in folder.glob("features-*.json")):
                raise DamageError(
                    f"{folder} holds shards of features, but features.json, which tells what they are of, is missing; "
                    "put it back, or begin anew with `keyart extract --rebuild`"
                ) from error
            raise NotBuiltError(f"no features here yet ({path} is missing); run `keyart extract`") from error
        except DamageError as error:
            raise DamageError(f"{error}; or run `keyart extract --rebuild`") from error
        except DataError as error:
            raise DataError(f"{error}; or run `keyart extract --rebuild`") from error
        try:
            # Earlier versions wrote none.
            map_shape = record.get("map_shape")
            identity, origin = Identity(**record["identity"]), record["origin"]
            return cls(folder, identity, origin, map_shape and tuple(map_shape), record.get("text_sha256"))
        except (KeyError, TypeError) as error:
            raise DamageError(
                f"{folder / 'features.json'} is damaged ({error}); run `keyart extract --rebuild`"
            ) from error

    @classmethod
    def version(cls, folder: AnyPath) -> object:
        """Return what changes whenever rows of a store may have moved; see `catalog.io.files.read_stable`."""
        try:
            store = cls.open(folder)
        except (NotBuiltError, DataError):
            return None
        return store.identity, store._shards()

    def _beside_identity(self) -> dict[str, Any]:
        text = {"text_sha256": self.text_sha256} if self.text_sha256 else {}
        return {"origin": self.origin, "map_shape": self.map_shape, **text}

    def options(self) -> ExtractOptions:
        """Return the options that the features were computed with."""
        whiten = self.identity.whitening_sha256 is not None
        recorded: dict[str, Any] = {name: getattr(self.identity, name) for name in _OPTIONS_OF_IDENTITY}
        try:
            origin = dict(self.origin)
            return ExtractOptions(origin.pop("backbone"), **origin, **recorded, whiten=whiten)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{self.folder / 'features.json'} is damaged or of a later keyart ({error}); upgrade keyart, or run "
                "`keyart extract --rebuild`"
            ) from error

    def append(self, table: pd.DataFrame, features: npt.NDArray[np.float16], number: int | None = None) -> None:
        """Write another shard of a table and features (n, n_features), under a number that follows all others."""
        number = self.next_number() if number is None else number
        for name, content in shard_files(number, table, features):
            write_bytes(self.folder / name, content)

    def next_number(self) -> int:
        """Return the number of the next shard, which takes a look at all; whoever writes many counts on from it."""
        return max(self._shards(), default=-1) + 1

    def rows(self, *, check: bool = False) -> FeatureRows:
        """List the latest row of each image; `check` compares all shards with their checksums, not only lengths."""
        table, name = read_stable(lambda: self._tables(check=check), self._shards)
        table = table.drop_duplicates(name, keep="last").sort_values(name)
        ids = table[name].to_numpy(np.int64 if name == "movie_id" else object)
        shards, rows = (table[column].to_numpy(np.int64) for column in ("shard", "row"))
        return FeatureRows(ids, tuple(table["poster_sha256"]), shards, rows)

    def blocks(self, rows: FeatureRows) -> Iterator[npt.NDArray[np.float16]]:
        """Yield features of rows in blocks (n, n_features) of a few hundred, after verifying their shards."""
        arrays, numbers = self.arrays(rows)
        for start in range(0, len(rows), _BLOCK_ROWS):
            part = slice(start, start + _BLOCK_ROWS)
            pairs = zip(numbers[part].tolist(), rows.rows[part].tolist(), strict=True)
            yield np.stack([arrays[number][row] for number, row in pairs])

    def arrays(
        self, rows: FeatureRows, *, check: bool = True
    ) -> tuple[list[npt.NDArray[np.float16]], npt.NDArray[np.int64]]:
        """Memory-map the shards that hold given rows; the second array names the shard of each row.

        Shards are compared with their checksums, unless `check` says that every row will be with one of its own.
        """
        shards, numbers = np.unique(rows.shards, return_inverse=True)
        for shard in shards.tolist() if check else ():
            verify(self.folder, shard)
        return [self._features(shard) for shard in shards.tolist()], numbers.astype(np.int64)

    def damaged_shards(self) -> dict[str, str]:
        """Return what is wrong with damaged shards, by the stem of their files' names; compares all checksums."""
        shards = self._shards()
        reasons = _in_parallel(self._wrong_with, shards)
        return {stem_of(shard): reason for shard, reason in zip(shards, reasons, strict=True) if reason}

    def unrecorded(self) -> list[AnyPath]:
        """List the files of shards without a record, as interrupted runs leave them."""
        return self._shard_files(but={*self._shards()})

    def lost_shards(self, is_current: IsCurrent = lambda *_: True) -> dict[str, int]:
        """Return shards whose record was lost or never written and which are whole otherwise, by their stem.

        The value is how many of a shard's images have no other features, of those that `is_current` says are still
        wanted, by id and hash; shards of which there are none are left out. Nothing proves that such features are as
        they were computed, so they are never used; but they are not removed before others can be computed.
        """
        numbers = {number for path in self.unrecorded() if (number := number_of(path.name)) is not None}
        tables = {one: unrecorded_table(self.folder, one, self.identity.n_features) for one in sorted(numbers)}
        if all(table is None for table in tables.values()):
            return {}
        stored = {*self.rows().picture_ids.tolist()}
        return {
            stem_of(number): n_lacking
            for number, table in tables.items()
            if table is not None and (n_lacking := _count_lacking(table, stored, is_current))
        }

    def remains(self, is_current: IsCurrent = lambda *_: True) -> list[AnyPath]:
        """List the files of shards without a record that are of no use any more."""
        if not (unrecorded := self.unrecorded()):
            return []
        lost = self.lost_shards(is_current)
        return [path for path in unrecorded if path.name.partition(".")[0] not in lost]

    def remove_damaged(self) -> Damage:
        """Remove damaged shards and the remains of interrupted runs; returns what was lost.

        Call it only where features can be computed again.
        """
        shards = self._shards()
        result = dict(zip(shards, _in_parallel(self._wrong_with, shards), strict=True))
        wrong = {shard: reason for shard, reason in result.items() if reason}
        damage = self._damage(wrong)
        self._remove(wrong)
        self._remove_remains(self.unrecorded())
        return damage

    def _remove_remains(self, shard_files: Iterable[AnyPath]) -> None:
        """Remove what interrupted runs have left; nobody else may be writing."""
        for path in (*shard_files, *self.folder.glob(".*.partial")):
            remove_file(path)

    def _damage(self, wrong: Mapping[int, str]) -> Damage:
        picture_ids: set[PictureId] = set()
        n_unnamed = 0
        for shard in wrong:
            if (table := intact_table(self.folder, shard)) is not None:
                picture_ids.update(table[next(name for name in ID_COLUMNS if name in table.columns)].tolist())
            else:
                n_unnamed += recorded_rows(self.folder, shard)
        return Damage(tuple(wrong.values()), frozenset(picture_ids), n_unnamed)

    def tidy(self, is_current: IsCurrent, shard_rows: int = SHARD_ROWS) -> int:
        """Drop rows that are not current, and join small shards; returns the number of images without a row.

        `is_current` takes an id and a hash. New shards are written before old ones are removed; if interrupted, the
        next run does it again. Memory: one shard.
        """
        table, name = self._tables()
        current = [is_current(*pair) for pair in zip(table[name].tolist(), table["poster_sha256"], strict=True)]
        live = table[np.array(current, bool)].drop_duplicates(name, keep="last")
        n_live: dict[int, int] = dict(zip(*np.unique(live["shard"], return_counts=True), strict=True))
        n_rows: dict[int, int] = dict(zip(*np.unique(table["shard"], return_counts=True), strict=True))
        # A run interrupted here leaves old shards whose rows are all in newer ones.
        self._remove(shard for shard in n_rows if shard not in n_live)
        ragged = sorted(shard for shard, n in n_live.items() if n < max(n_rows[shard], shard_rows))
        # Every run leaves one shard that is not full.
        if len(ragged) > 1 or any(n_live[shard] < n_rows[shard] for shard in ragged):
            # A damaged row must not get a checksum of its own.
            for shard in ragged:
                verify(self.folder, shard)
            self._rewrite(live[live["shard"].isin(ragged)], shard_rows)
            self._remove(ragged)
        return table[name].nunique() - len(live)

    def drop(self, picture_ids: Collection[PictureId]) -> int:
        """Remove the features of some images, or the record that they could not be read; returns how many had some."""
        gone = frozenset(picture_ids)
        # Not of a shard whose record is lost: perhaps nothing can compute its features again.
        self._remove_remains(self.remains(lambda picture_id, _: picture_id not in gone))
        skipped = self.skipped()
        if gone.intersection(one.picture_id for one in skipped):
            self.write_skipped([one for one in skipped if one.picture_id not in gone])
        return self.tidy(lambda picture_id, _: picture_id not in gone)

    def _rewrite(self, live: pd.DataFrame, shard_rows: int) -> None:
        first = max((number_of(path.name) or 0 for path in self._shard_files()), default=-1) + 1
        for number, start in enumerate(range(0, len(live), shard_rows), start=first):
            part = live.iloc[start : start + shard_rows]
            shards = {shard: self._features(shard) for shard in part["shard"].unique()}
            features = [shards[shard][row] for shard, row in zip(part["shard"], part["row"], strict=True)]
            self.append(part.drop(columns=["shard", "row"]), np.stack(features), number)

    def _remove(self, shards: Iterable[int]) -> None:
        for shard in shards:
            remove(self.folder, shard)

    def row_shape(self) -> tuple[int, ...] | None:
        """Return the shape of the map that a row of features is; None for pooled features.

        Raises ConfigError where an earlier version did not record it.
        """
        if self.identity.pooling != "raw":
            return None
        if self.map_shape is None:
            raise ConfigError(
                "the shape of the network's output is not recorded beside these features of an earlier keyart; "
                "run `keyart extract` again, with the same options, which adds it and computes nothing"
            )
        return self.map_shape

    def whitening(self) -> Whitening | None:
        """Open the whitening that the identity names, if any."""
        if self.identity.whitening_sha256 is None:
            return None
        try:
            whitening = Whitening.open(self.folder / _WHITENING)
        except FileNotFoundError as error:
            raise DamageError(f"{self.folder / _WHITENING} is missing; run `keyart extract --rebuild`") from error
        if whitening.sha256 != self.identity.whitening_sha256:
            raise DataError(f"{self.folder / _WHITENING} is of other features; run `keyart extract --rebuild`")
        return whitening

    def write_skipped(self, skipped: Sequence[Skipped]) -> None:
        """Record which images could not be read, replacing the earlier record."""
        content = {"pictures": [asdict(one) for one in skipped]}
        write_record(self.folder / _SKIPPED_NAME, _SKIPPED, _VERSION, content)

    def skipped(self) -> tuple[Skipped, ...]:
        """Return the images that the last run could not read."""
        try:
            record = read_record(self.folder / _SKIPPED_NAME, _SKIPPED, _VERSION)
        except FileNotFoundError:
            return ()
        return tuple(Skipped(**one) for one in record["pictures"])

    def without_features(self) -> set[PictureId]:
        """Return the ids of images that have no features as they are: those that the last run read, and are none."""
        return {one.picture_id for one in self.skipped() if not one.may_be_read}

    def clear(self) -> None:
        """Remove all features, the identity first, so that an interrupted removal leaves no store."""
        # The records of shards last: by these `check_folder` knows what an interrupted removal left.
        shard_files = sorted(self._shard_files(), key=lambda path: path.suffix == ".json")
        names = (_RECORD, _WHITENING, _SKIPPED_NAME)
        for path in (*(self.folder / name for name in names), *shard_files):
            remove_file(path)

    def _remove_rows(self) -> None:
        """Remove all features and the list of skipped images; the identity stays."""
        self._remove(self._shards())
        self._remove_remains(self.unrecorded())
        remove_file(self.folder / _SKIPPED_NAME)

    def _shard_files(self, but: Collection[int] = ()) -> list[AnyPath]:
        """List the files of all but some shards; other files in the folder are the user's."""
        named = ((number_of(path.name), path) for path in self.folder.glob("features-*"))
        return [path for number, path in named if number is not None and number not in but and path.is_file()]

    def _shards(self) -> list[int]:
        numbers = (number_of(path.name) for path in self.folder.glob("features-*.json"))
        return sorted(number for number in numbers if number is not None)

    def _tables(self, *, check: bool = False) -> tuple[pd.DataFrame, str]:
        """Read the tables of all shards, and the name of their column of ids."""
        shards = self._shards()
        if check:
            for shard in shards:
                verify(self.folder, shard)
        tables = _in_parallel(self._table, shards)
        if not tables:
            columns = {"movie_id": np.int64, "poster_sha256": str, "shard": np.int64, "row": np.int64}
            return pd.DataFrame({name: pd.Series([], dtype=dtype) for name, dtype in columns.items()}), "movie_id"
        names = {name for table in tables for name in ID_COLUMNS if name in table.columns}
        if len(names) != 1:
            raise DataError(
                f"{self.folder} holds pictures with movie_ids and with names; run `keyart extract --rebuild`"
            )
        return pd.concat(tables, ignore_index=True), names.pop()

    def _wrong_with(self, shard: int) -> str | None:
        try:
            verify(self.folder, shard)
            self._table(shard)
        except DataError as error:
            # What to do is being done.
            return str(error).removesuffix(REPAIR)
        return None

    def _table(self, shard: int) -> pd.DataFrame:
        table = read_table(self.folder, shard)
        n_rows = length_of(self.folder, shard, self.identity.n_features)
        if n_rows != len(table):
            raise damaged(self.folder, shard, f"{n_rows} rows, expected {len(table)}")
        return table.assign(shard=shard, row=np.arange(len(table)))

    def _features(self, shard: int) -> npt.NDArray[np.float16]:
        return map_features(self.folder, shard, self.identity.n_features)


def check_folder(folder: AnyPath) -> None:
    """Raise ConfigError if a folder holds other files but no features, or lies in a folder that does not exist.

    Call it before anything is written there: `FeatureStore.create` replaces and removes files by their names, which
    may be those of a user's own.
    """
    if isinstance(folder, Path) and not folder.absolute().parent.is_dir():
        raise ConfigError(f"{folder.parent} does not exist; create it first, or name another folder")
    if record_kind(folder / _RECORD) == _STORE:
        return
    paths: list[AnyPath] = [*folder.glob("*")]
    shard_records = (path for path in paths if path.suffix == ".json" and number_of(path.name) is not None)
    if any(record_kind(path) == KIND for path in shard_records):
        return
    foreign = sorted(path.name for path in paths if not _is_remains(path))
    if foreign:
        raise ConfigError(
            f"{folder} is not empty and holds no features (but {foreign[0]}, for one); nothing was written: name a new "
            "or empty folder"
        )


def _count_lacking(table: pd.DataFrame, stored: Collection[PictureId], is_current: IsCurrent) -> int:
    name = next((name for name in ID_COLUMNS if name in table.columns), None)
    pairs = zip(table[name].tolist(), table["poster_sha256"], strict=True) if name else ()
    return sum(picture_id not in stored and is_current(picture_id, sha256) for picture_id, sha256 in pairs)


def _is_remains(path: AnyPath) -> bool:
    """Return whether an extraction that was interrupted at its very beginning may have left a file."""
    if path.name == _WHITENING:
        try:
            Whitening.open(path)
        except DataError:
            return False
        return True
    if path.name == _SKIPPED_NAME:
        return record_kind(path) == _SKIPPED
    return is_leftover(path.name)


def _in_parallel(look: Callable[[int], Result], shards: Sequence[int]) -> list[Result]:
    with ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(look, shards))
