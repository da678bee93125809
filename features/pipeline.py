"""Compute features of images in overlapping steps, so that the network never waits.

::

    threads: read, hash, decode, resize → thread: batches → thread: network → pooling, float16

Batches are cut by the images that can be read, so that a resumed run computes the same numbers as an uninterrupted one.
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
from catalog.image_formats import MAX_IMAGE_BYTES
from catalog.io.files import read_bytes
from catalog.text import printable
from features.encoders.backbone import Backbone
from features.encoders.encoder import Encoder, to_float16
from features.framing import Framing
from features.images import read_image
from features.shards import PictureId, Row

_BATCHES_AHEAD = 2
_BATCHES_READ_AHEAD = 4
_MAPS_AHEAD = 1
Item = TypeVar("Item")


@dataclass(frozen=True)
class Picture:
    """An image to compute features of; one whose known hash has features is not even read, any other has to have it."""

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
    """An image that is ready for the network: pixels (height, width, 3)."""

    row: Row
    pixels: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Known:
    """An image whose features are there already."""

    picture_id: PictureId
    sha256: str


@dataclass(frozen=True)
class Broken:
    """An image that could not be read; the hash is None if its file could not be read either, or is another one."""

    picture_id: PictureId
    reason: str
    sha256: str | None


@dataclass(frozen=True)
class Computed:
    """Features (n, n_features) of a batch of images."""

    rows: tuple[Row, ...]
    features: npt.NDArray[np.float16]


@dataclass(frozen=True)
class _Batch:
    """Input of the network: pixels (n, height, width, 3)."""

    rows: tuple[Row, ...]
    pixels: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Maps:
    """Output of the network: maps (n, height, width, channels)."""

    rows: tuple[Row, ...]
    maps: npt.NDArray[np.float32]


def compute(
    pictures: Iterable[Picture],
    encoder: Encoder,
    *,
    known: Mapping[Any, str] | None = None,
    shard_rows: int | None = None,
) -> Iterator[Computed | Known | Broken]:
    """Compute the features of images in their order, except of those whose known hash is unchanged.

    No batch crosses a multiple of `shard_rows`, so that a shard's numbers do not depend on where a run began.
    """
    batch_size = encoder.backbone.batch_size
    read = _read_ahead(pictures, encoder.framing, {} if known is None else known, _BATCHES_READ_AHEAD * batch_size)
    with (
        closing(_ahead(_batches(read, batch_size, shard_rows), _BATCHES_AHEAD)) as batches,
        # On a GPU, pooling and rounding take as long as the network.
        closing(_ahead(_mapped(batches, encoder.backbone), _MAPS_AHEAD)) as mapped,
    ):
        for one in mapped:
            if not isinstance(one, _Maps):
                yield one
                continue
            yield Computed(one.rows, to_float16(encoder.describe(one.maps), encoder.backbone.name))


def decode(picture: Picture, framing: Framing, known: Mapping[Any, str] | None = None) -> Decoded | Known | Broken:
    """Read, hash and decode an image, unless its features are there already; raises nothing."""
    name, sha256, present = picture.picture_id, picture.sha256, (known or {}).get(picture.picture_id)
    path = None if isinstance(picture.source, bytes) else printable(picture.source)
    if sha256 is not None and present == sha256:
        return Known(name, sha256)
    try:
        # Read once, so that the hash is of what is decoded.
        content = picture.source if isinstance(picture.source, bytes) else read_bytes(picture.source, MAX_IMAGE_BYTES)
    except FileNotFoundError:
        return Broken(name, f"no such picture: {path}", None)
    except DataError as error:
        return Broken(name, printable(str(error)), None)
    except OSError as error:
        return Broken(name, f"{path} cannot be read: {error.strerror}", None)
    computed = hashlib.sha256(content).hexdigest()
    if sha256 not in (None, computed):
        # Features of what the file has become must not pass for those of what it was.
        return Broken(name, f"{path or name} has another hash than recorded; import or fetch it again", None)
    sha256 = computed
    if present == sha256:
        return Known(name, sha256)
    try:
        pixels, (width, height) = read_image(content, framing, path)
    except DataError as error:
        return Broken(name, str(error), sha256)
    source = "" if isinstance(picture.source, bytes) else printable(picture.source.name)
    return Decoded(Row(name, sha256, width, height, source), pixels)


def _read_ahead(
    pictures: Iterable[Picture], framing: Framing, known: Mapping[Any, str], n_ahead: int
) -> Iterator[Decoded | Known | Broken]:
    """Decode images in threads, a bounded number ahead, and yield them in their order."""
    # One per core: they sleep while the network is slower, and keep up with a GPU.
    with ThreadPoolExecutor(os.cpu_count()) as readers:
        waiting: deque[Future[Decoded | Known | Broken]] = deque()
        for picture in _each_once(pictures, known):
            if isinstance(picture, Broken):
                waiting.append(readers.submit(lambda broken: broken, picture))
            else:
                waiting.append(readers.submit(decode, picture, framing, known))
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
        if isinstance(name, int) and not -(2**63) <= name < 2**63:
            raise DataError(f"expected ids of 64 bits, received {name}")
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
    """Run an iterator in a thread of its own, a number of items ahead; no item may be None."""
    thread = ThreadPoolExecutor(1)
    try:
        waiting = deque(thread.submit(next, items, None) for _ in range(n_ahead))
        while (item := waiting.popleft().result()) is not None:
            waiting.append(thread.submit(next, items, None))
            yield item
    finally:
        thread.shutdown(cancel_futures=True)
