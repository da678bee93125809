"""Pictures to features, overlapped so that the network never waits; nothing is written here.

::

    threads: read, hash, decode, resize → thread: batches → thread: network → pooling, float16

Batches are cut by the pictures that could be read, so a run that was killed and one that was not compute the same
numbers. A picture that cannot be read is told of and passed over. May import `catalog` only.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from features.encoders.encoder import Encoder, to_float16
from features.encoders.keras import Backbone
from features.images import Resize, read_image
from features.shards import PictureId, Row

_BATCHES_AHEAD = 2
_BATCHES_READ_AHEAD = 4
_MAPS_AHEAD = 1
Item = TypeVar("Item")


@dataclass(frozen=True)
class Picture:
    """A picture to compute features of."""

    picture_id: PictureId
    source: Path | bytes
    sha256: str | None = None


def pictures_of(items: Iterable[tuple[PictureId, str | Path | bytes]]) -> Iterator[Picture]:
    """Read pairs of an id and a file's path or content as they are needed; ids may be scalars of NumPy."""
    for picture_id, source in items:
        plain: PictureId = picture_id.item() if isinstance(picture_id, np.generic) else picture_id
        yield Picture(plain, source if isinstance(source, bytes) else Path(source))


@dataclass(frozen=True)
class Decoded:
    """A picture that is ready for the network."""

    row: Row
    pixels: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Known:
    """A picture whose features are there already."""

    picture_id: PictureId
    sha256: str


@dataclass(frozen=True)
class Broken:
    """A picture that could not be read."""

    picture_id: PictureId
    reason: str
    sha256: str | None


@dataclass(frozen=True)
class Computed:
    """Features of a batch of pictures."""

    rows: tuple[Row, ...]
    features: npt.NDArray[np.float16]


@dataclass(frozen=True)
class _Batch:
    """What goes into the network: whose, and pixels of shape (n, 224, 224, 3)."""

    rows: tuple[Row, ...]
    pixels: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Maps:
    """What comes out of the network: whose, and maps of shape (n, height, width, channels)."""

    rows: tuple[Row, ...]
    maps: npt.NDArray[np.float32]


def compute(
    pictures: Iterable[Picture],
    encoder: Encoder,
    *,
    known: Mapping[Any, str] | None = None,
    shard_rows: int | None = None,
) -> Iterator[Computed | Known | Broken]:
    """Compute the features of pictures in their order; writes nothing."""
    batch_size = encoder.backbone.batch_size
    read = _read_ahead(pictures, encoder.resize, {} if known is None else known, _BATCHES_READ_AHEAD * batch_size)
    with (
        closing(_ahead(_batches(read, batch_size, shard_rows), _BATCHES_AHEAD)) as batches,
        # On a GPU, what is done behind the network takes as long as the network.
        closing(_ahead(_mapped(batches, encoder.backbone), _MAPS_AHEAD)) as mapped,
    ):
        for one in mapped:
            if not isinstance(one, _Maps):
                yield one
                continue
            yield Computed(one.rows, to_float16(encoder.describe(one.maps), encoder.backbone.name))


def decode(picture: Picture, resize: Resize, known: Mapping[Any, str] | None = None) -> Decoded | Known | Broken:
    """Read, hash and decode a picture, unless its features are there already."""
    name, sha256, there = picture.picture_id, picture.sha256, (known or {}).get(picture.picture_id)
    path = None if isinstance(picture.source, bytes) else printable(picture.source)
    if sha256 is not None and there == sha256:
        return Known(name, sha256)
    try:
        # Read once: what is hashed is what is decoded.
        content = picture.source if isinstance(picture.source, bytes) else picture.source.read_bytes()
    except FileNotFoundError:
        return Broken(name, f"no such picture: {path}", None)
    except OSError as error:
        return Broken(name, f"{path} cannot be read: {error.strerror}", None)
    sha256 = sha256 or hashlib.sha256(content).hexdigest()
    if there == sha256:
        return Known(name, sha256)
    try:
        pixels, (width, height) = read_image(content, resize, path)
    except DataError as error:
        return Broken(name, str(error), sha256)
    source = "" if isinstance(picture.source, bytes) else printable(picture.source.name)
    return Decoded(Row(name, sha256, width, height, source), pixels)


def printable(path: Path | str) -> str:
    r"""Write a path so that it can stand in a table or on a terminal, also where it is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _read_ahead(
    pictures: Iterable[Picture], resize: Resize, known: Mapping[Any, str], n_ahead: int
) -> Iterator[Decoded | Known | Broken]:
    """Decode pictures in threads, a bounded number ahead, and give them in their order."""
    # As many as cores: they sleep while the network is slower, and keep up where a GPU is faster.
    with ThreadPoolExecutor(os.cpu_count()) as readers:
        waiting: deque[Future[Decoded | Known | Broken]] = deque()
        for picture in _each_once(pictures, known):
            if isinstance(picture, Broken):
                waiting.append(readers.submit(lambda broken: broken, picture))
            else:
                waiting.append(readers.submit(decode, picture, resize, known))
            if len(waiting) >= n_ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _each_once(pictures: Iterable[Picture], known: Mapping[Any, str]) -> Iterator[Picture | Broken]:
    seen: set[PictureId] = set()
    kind: type | None = None
    for picture in pictures:
        name = picture.picture_id
        kind = kind or type(name)
        if kind not in (int, str) or type(name) is not kind:
            raise TypeError(f"ids should be all int or all str, received {name!r}")
        if not seen and type(next(iter(known), name)) is not kind:
            raise DataError(
                "features of films, which have movie_ids, and of other pictures, which have names, never stand in one "
                "folder; name another one with --out DIR"
            )
        yield Broken(name, f"{name} was given twice; the first counts", None) if name in seen else picture
        seen.add(name)


def _batches(
    read: Iterator[Decoded | Known | Broken], batch_size: int, shard_rows: int | None
) -> Iterator[_Batch | Known | Broken]:
    batch: list[Decoded] = []
    n_rows = 0
    for one in read:
        if not isinstance(one, Decoded):
            yield one
            continue
        batch.append(one)
        n_rows += 1
        if len(batch) == batch_size or (shard_rows and n_rows % shard_rows == 0):
            yield _stacked(batch)
            batch = []
    if batch:
        yield _stacked(batch)


def _stacked(batch: list[Decoded]) -> _Batch:
    return _Batch(tuple(one.row for one in batch), np.stack([one.pixels for one in batch]))


def _mapped(batches: Iterator[_Batch | Known | Broken], backbone: Backbone) -> Iterator[_Maps | Known | Broken]:
    for one in batches:
        yield _Maps(one.rows, backbone(one.pixels)) if isinstance(one, _Batch) else one


def _ahead(items: Iterator[Item], n_ahead: int) -> Generator[Item, None, None]:
    """Run an iterator in a thread of its own, so many items ahead of whoever asks for them; none is None."""
    thread = ThreadPoolExecutor(1)
    try:
        waiting = deque(thread.submit(next, items, None) for _ in range(n_ahead))
        while (item := waiting.popleft().result()) is not None:
            waiting.append(thread.submit(next, items, None))
            yield item
    finally:
        thread.shutdown(cancel_futures=True)
