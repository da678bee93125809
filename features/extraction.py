"""Batch extraction: pictures to the network to the store, reading ahead while the network works.

Restartable: what the store holds of the same poster is not computed again, and a shard counts once it is complete.
A picture that cannot be read is recorded and passed over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from catalog.errors import DataError
from features.backbone import BATCH_SIZE, Backbone, to_float16
from features.images import Resize, read_image
from features.store import FeatureStore, Identity, Skipped

# A shard is what a crash costs: about a minute of VGG16 on a small machine, 13 MB.
SHARD_ROWS = 256
_N_READERS = 2
_READ_AHEAD = 4 * BATCH_SIZE


@dataclass(frozen=True)
class Picture:
    """A poster file.

    Parameters
    ----------
    movie_id : int
        Whose poster it is.
    path : Path
        Where it is.
    sha256 : str
        The hash of the file.
    """

    movie_id: int
    path: Path
    sha256: str


@dataclass(frozen=True)
class ExtractionReport:
    """What an extraction did.

    Parameters
    ----------
    n_new : int
        Posters whose features were computed.
    n_known : int
        Posters whose features were there already.
    skipped : tuple of Skipped
        Posters that could not be read, and why.
    """

    n_new: int
    n_known: int
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class _Read:
    picture: Picture
    pixels: npt.NDArray[np.uint8]
    size: tuple[int, int]


def identity_of(backbone: Backbone, resize: Resize) -> Identity:
    """Tell what features of this backbone and resize are.

    Parameters
    ----------
    backbone : Backbone
        The network.
    resize : Resize
        How pictures are brought to its size.

    Returns
    -------
    Identity
        To be kept beside the features.
    """
    return Identity(backbone.name, backbone.weights_sha256, resize.value, backbone.n_features)


def extract_features(
    pictures: Sequence[Picture],
    backbone: Backbone,
    store: FeatureStore,
    resize: Resize = Resize.ANTIALIAS,
    *,
    on_picture: Callable[[], None] = lambda: None,
    shard_rows: int = SHARD_ROWS,
) -> ExtractionReport:
    """Compute the features of those pictures that the store does not hold yet.

    Memory: one shard of float16 features and a few batches of pixels, whatever the number of pictures.

    Parameters
    ----------
    pictures : sequence of Picture
        All posters there are.
    backbone : Backbone
        The network.
    store : FeatureStore
        Where the features go; its identity is `identity_of` these two.
    resize : Resize
        How pictures are brought to the network's size.
    on_picture : callable, optional
        Called after each picture, for a progress bar.
    shard_rows : int, default 256
        How many rows a shard holds; a crash costs at most so many.

    Returns
    -------
    ExtractionReport
        What was done.

    Raises
    ------
    DataError
        The network gives numbers that cannot be kept.
    StoreError
        A shard cannot be written; those before it are kept.
    """
    known = store.rows().of_posters({picture.movie_id: picture.sha256 for picture in pictures})
    new = [picture for picture in pictures if picture.movie_id not in set(known.movie_ids.tolist())]
    skipped: list[Skipped] = []
    n_new = 0
    for start in range(0, len(new), shard_rows):
        n_new += _extract_shard(new[start : start + shard_rows], backbone, store, resize, skipped, on_picture)
    store.write_skipped(skipped)
    return ExtractionReport(n_new, len(known), tuple(skipped))


def _extract_shard(
    pictures: Sequence[Picture],
    backbone: Backbone,
    store: FeatureStore,
    resize: Resize,
    skipped: list[Skipped],
    on_picture: Callable[[], None],
) -> int:
    rows: list[Picture] = []
    sizes: list[tuple[int, int]] = []
    parts: list[npt.NDArray[np.float16]] = []
    for batch in _batches(_read_ahead(pictures, resize, skipped, on_picture)):
        features = backbone(np.stack([read.pixels for read in batch]))
        parts.append(to_float16(features, backbone.name))
        rows.extend(read.picture for read in batch)
        sizes.extend(read.size for read in batch)
        for _ in batch:
            on_picture()
    if rows:
        store.append(_table(rows, sizes), np.concatenate(parts))
    return len(rows)


def _table(rows: Sequence[Picture], sizes: Sequence[tuple[int, int]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "movie_id": np.array([picture.movie_id for picture in rows], np.int64),
            "poster_sha256": [picture.sha256 for picture in rows],
            "width": np.array([width for width, _ in sizes], np.int32),
            "height": np.array([height for _, height in sizes], np.int32),
            "source": [picture.path.name for picture in rows],
        }
    )


def _read_ahead(
    pictures: Sequence[Picture], resize: Resize, skipped: list[Skipped], on_picture: Callable[[], None]
) -> Iterator[_Read]:
    """Read pictures in threads, a bounded number ahead, and give them in their order."""
    with ThreadPoolExecutor(_N_READERS) as readers:
        waiting: deque[tuple[Picture, Future[tuple[npt.NDArray[np.uint8], tuple[int, int]]]]] = deque()
        to_come = iter(pictures)
        while True:
            while len(waiting) < _READ_AHEAD and (picture := next(to_come, None)) is not None:
                waiting.append((picture, readers.submit(read_image, picture.path, resize)))
            if not waiting:
                return
            picture, reading = waiting.popleft()
            try:
                pixels, size = reading.result()
            except DataError as error:
                skipped.append(Skipped(picture.movie_id, str(error)))
                on_picture()
            else:
                yield _Read(picture, pixels, size)


def _batches(reads: Iterator[_Read]) -> Iterator[list[_Read]]:
    batch: list[_Read] = []
    for read in reads:
        batch.append(read)
        if len(batch) == BATCH_SIZE:
            yield batch
            batch = []
    if batch:
        yield batch
