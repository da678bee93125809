"""Batch extraction: what `features.pipeline` makes of pictures, into the store, while the network goes on.

Restartable: what the store holds of the same file is not computed again, and a shard counts once it is complete. Shards
are cut by the pictures that could be read, so a run that was killed and one that was not write the same bytes. A
picture that cannot be read is recorded and passed over. May import `catalog` only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from catalog.errors import DataError, NotBuiltError
from catalog.io.locks import exclusive
from catalog.io.remote import AnyPath, as_path
from features.encoders.encoder import Extractor, load_extractor
from features.encoders.keras import IMAGENET, KERAS, VGG16, BackboneChoice
from features.images import Resize
from features.pipeline import Broken, Computed, Known, Picture, Row, compute
from features.pooling import Pooling, Whitening
from features.store import SHARD_ROWS, FeatureStore, PictureId, Skipped

WHITENING_SAMPLE = 2000
"""From how many pictures a whitening is learned: some for each of 512 numbers."""


@dataclass(frozen=True)
class ExtractionReport:
    """What an extraction did.

    Parameters
    ----------
    n_new : int
        Pictures whose features were computed.
    n_known : int
        Pictures whose features were there already.
    skipped : tuple of Skipped
        Pictures that could not be read, and why.
    n_dropped : int
        Pictures whose features were removed, as their files are gone.
    mended : tuple of str
        What was wrong with shards that were computed again.
    """

    n_new: int
    n_known: int
    skipped: tuple[Skipped, ...]
    n_dropped: int = 0
    mended: tuple[str, ...] = ()

    @property
    def mostly_broken(self) -> bool:
        """Whether more pictures than not could not be read."""
        return len(self.skipped) > self.n_new + self.n_known


def extract(
    items: Iterable[tuple[PictureId, str | Path | bytes]],
    out: str | Path,
    *,
    backbone: str = VGG16,
    weights: str = IMAGENET,
    seed: int = 0,
    engine: str = KERAS,
    resize: str = Resize.ANTIALIAS.value,
    pooling: str = Pooling.RAW.value,
    whitening: Whitening | None = None,
    replace: bool = False,
    drop_gone: bool = False,
    cache_dir: Path | None = None,
    on_picture: Callable[[], None] = lambda: None,
) -> ExtractionReport:
    """Compute the features of any pictures into a folder; those that are there already are not computed again.

    Parameters
    ----------
    items : iterable of (int or str, str or Path or bytes)
        An id and a file, or what stands in one. The ids are all integers or all texts. It is read as it is needed, in
        a thread of its own, and never held as a whole.
    out : str or Path
        The folder of features; or the URI of one, as `catalog.io.remote.as_path` knows them.
    backbone : str, default "vgg16"
        ``"vgg16"``, or the path of a Keras file.
    weights : str, default "imagenet"
        For VGG16: ``"imagenet"``, ``"random"``, or the path of a file.
    seed : int, default 0
        For random weights.
    engine : {"keras", "onnx"}
        What runs the network.
    resize : {"antialias", "nearest"}
        How pictures are brought to 224 × 224.
    pooling : {"raw", "gem", "rmac"}
        What is kept of the network's output.
    whitening : Whitening, optional
        What pooled descriptors go through; by default the one that the folder has, if any.
    replace : bool, default False
        Remove features of another network or choice, if such are there.
    drop_gone : bool, default False
        Remove the features of pictures that are not among the items: then they must be all there are.
    cache_dir : Path, optional
        Where weights are kept; by default Keras' folder, ``~/.keras/models``.
    on_picture : callable, optional
        Called after each picture.

    Returns
    -------
    ExtractionReport
        What was done.

    Raises
    ------
    ConfigError
        The choice of network makes no sense.
    DataError
        Features of another network are there; or a file does not hold what it should.
    FetchError
        The ImageNet weights are not here and cannot be downloaded.
    StoreError
        A shard cannot be written, and those before it are kept; or another process is writing into the folder.
    TypeError
        Ids are neither all integers nor all texts.

    Examples
    --------
    >>> from features import extract
    >>> extract([("heat", "heat.jpg")], "features")  # doctest: +SKIP
    ExtractionReport(n_new=1, n_known=0, skipped=(), n_dropped=0, mended=())
    """
    choice = BackboneChoice(backbone, weights, seed, engine)
    cache_dir = cache_dir or Path.home() / ".keras" / "models"
    extractor = load_extractor(choice, cache_dir, Resize(resize), Pooling(pooling), whitening)
    folder = as_path(out)
    if whitening is None:
        extractor = extractor.whitened_by(kept_whitening(folder, extractor, lost_is_none=replace))
    pictures = (Picture(_plain(name), source if isinstance(source, bytes) else Path(source)) for name, source in items)
    with exclusive(folder):
        store = open_store(folder, choice, extractor, replace=replace)
        return extract_features(pictures, extractor, store, drop_gone=drop_gone, on_picture=on_picture)


def extract_features(
    pictures: Iterable[Picture],
    extractor: Extractor,
    store: FeatureStore,
    *,
    drop_gone: bool = True,
    on_picture: Callable[[], None] = lambda: None,
    shard_rows: int = SHARD_ROWS,
) -> ExtractionReport:
    """Compute the features of those pictures that the store does not hold yet, and bring the store into order.

    Memory: two shards of float16 features and a few batches of pixels, whatever the number of pictures; and a hundred
    bytes a picture for its id and hash.

    Parameters
    ----------
    pictures : iterable of Picture
        All there are. It is read in a thread of its own.
    extractor : Extractor
        What computes them.
    store : FeatureStore
        Where the features go; its identity is the extractor's.
    drop_gone : bool, default True
        Remove the features of pictures that are not among these.
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
        The network gives numbers that cannot be kept; or ids are integers where those in the store are texts.
    StoreError
        A shard cannot be written; those before it are kept.
    TypeError
        Ids are neither all integers nor all texts.
    """
    mended = store.mend()
    there = _sha256s(store)
    present: dict[PictureId, str | None] = {}
    skipped: list[Skipped] = []
    n_new = n_known = 0
    with ThreadPoolExecutor(1) as thread:
        shards = _Shards(store, shard_rows, thread)
        for event in compute(pictures, extractor, known=there, shard_rows=shard_rows):
            match event:
                case Computed(rows, features):
                    shards.add(rows, features)
                    present.update((row.picture_id, row.poster_sha256) for row in rows)
                    n_new += len(rows)
                case Known(picture_id, sha256):
                    present[picture_id] = sha256
                    n_known += 1
                case Broken(picture_id, reason, sha256):
                    present.setdefault(picture_id, sha256)
                    skipped.append(Skipped(picture_id, reason))
            for _ in range(len(event.rows) if isinstance(event, Computed) else 1):
                on_picture()
        shards.finish()
    n_dropped = store.tidy(is_current(present, drop_gone=drop_gone), shard_rows)
    store.write_skipped(skipped)
    return ExtractionReport(n_new, n_known, tuple(skipped), n_dropped, mended)


def is_current(present: Mapping[PictureId, str | None], *, drop_gone: bool) -> Callable[[PictureId, str], bool]:
    """Make the test of whether a stored row still counts.

    Parameters
    ----------
    present : mapping of int or str to str or None
        The hash of every picture of a run; None where it could not be read.
    drop_gone : bool
        Whether rows of other pictures do not count.

    Returns
    -------
    callable
        Given the id and the hash of a row, tells whether it counts.
    """

    def counts(picture_id: PictureId, sha256: str) -> bool:
        if picture_id not in present:
            return not drop_gone
        # Where a file could not even be read, nothing says that it is another one.
        return present[picture_id] in (sha256, None)

    return counts


def table_of(rows: Sequence[Row]) -> pd.DataFrame:
    """Make a shard's table.

    Parameters
    ----------
    rows : sequence of Row
        At least one; their ids are all integers or all texts.

    Returns
    -------
    DataFrame
        The columns movie_id (integer) or picture_id (text), poster_sha256, width, height, source.
    """
    ids = [row.picture_id for row in rows]
    name, column = ("movie_id", np.array(ids, np.int64)) if isinstance(ids[0], int) else ("picture_id", ids)
    return pd.DataFrame(
        {
            name: column,
            "poster_sha256": [row.poster_sha256 for row in rows],
            "width": np.array([row.width for row in rows], np.int32),
            "height": np.array([row.height for row in rows], np.int32),
            "source": [row.source for row in rows],
        }
    )


def open_store(folder: AnyPath, choice: BackboneChoice, extractor: Extractor, *, replace: bool = False) -> FeatureStore:
    """Open a folder of features for what an extractor gives, or make one.

    Parameters
    ----------
    folder : Path or RemotePath
        The folder.
    choice : BackboneChoice
        How the network was chosen; whoever opens the folder from elsewhere finds the same files.
    extractor : Extractor
        What computes the features.
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
    origin = asdict(choice) | {name: _absolute_if_file(getattr(choice, name)) for name in ("backbone", "weights")}
    return FeatureStore.create(
        folder,
        extractor.identity,
        origin,
        map_shape=extractor.backbone.output_shape,
        replace=replace,
        whitening=extractor.whitening,
    )


def spread_out(pictures: Sequence[Picture]) -> Sequence[Picture]:
    """Choose the pictures that a whitening is learned from.

    Parameters
    ----------
    pictures : sequence of Picture
        All there are.

    Returns
    -------
    sequence of Picture
        Up to 2,000 of them, evenly spread.
    """
    places = np.linspace(0, len(pictures) - 1, min(len(pictures), WHITENING_SAMPLE)).astype(int)
    return [pictures[place] for place in places.tolist()]


def whiten(
    extractor: Extractor, sample: Iterable[Picture], folder: AnyPath, *, lost_is_none: bool = False
) -> Extractor:
    """Add a whitening to an extractor: the one that a folder of features has, else one learned from some pictures.

    Parameters
    ----------
    extractor : Extractor
        Of pooled descriptors, without a whitening.
    sample : iterable of Picture
        Some thousands to learn from; not even looked at where there is a whitening.
    folder : Path or RemotePath
        The folder of features that is being added to; it need not exist.
    lost_is_none : bool, default False
        Learn another one where the folder's is missing or damaged.

    Returns
    -------
    Extractor
        With a whitening.

    Raises
    ------
    DataError
        Too few pictures can be read; or the folder's whitening is missing or damaged, and `lost_is_none` is false.
    """
    there = kept_whitening(folder, extractor, lost_is_none=lost_is_none)
    if there is not None:
        return extractor.whitened_by(there)
    parts = [event.features for event in compute(sample, extractor) if isinstance(event, Computed)]
    descriptors = np.concatenate(parts).astype(np.float32) if parts else np.empty((0, 1), np.float32)
    return extractor.whitened_by(Whitening.fit(descriptors))


def kept_whitening(folder: AnyPath, extractor: Extractor, *, lost_is_none: bool = False) -> Whitening | None:
    """Open the whitening of a folder of features, if they are otherwise this extractor's.

    Parameters
    ----------
    folder : Path or RemotePath
        The folder of features; it need not exist.
    extractor : Extractor
        Without a whitening.
    lost_is_none : bool, default False
        Take one that is missing or damaged for none, as where all is begun anew.

    Returns
    -------
    Whitening or None
        None where there is none.

    Raises
    ------
    DataError
        It is missing or damaged, and `lost_is_none` is false.
    """
    try:
        store = FeatureStore.open(folder)
    except (NotBuiltError, DataError):
        return None
    if replace(store.identity, whitening_sha256=None) != extractor.identity:
        return None
    try:
        return store.whitening()
    except DataError:
        if lost_is_none:
            return None
        raise


class _Shards:
    """Gathers rows into shards, and writes each in a thread while the next is computed."""

    def __init__(self, store: FeatureStore, shard_rows: int, thread: ThreadPoolExecutor) -> None:
        self._store = store
        self._shard_rows = shard_rows
        self._thread = thread
        self._rows: list[Row] = []
        self._parts: list[npt.NDArray[np.float16]] = []
        self._written: Future[None] | None = None

    def add(self, rows: Sequence[Row], features: npt.NDArray[np.float16]) -> None:
        self._rows.extend(rows)
        self._parts.append(features)
        if len(self._rows) >= self._shard_rows:
            self._write()

    def finish(self) -> None:
        if self._rows:
            self._write()
        self._wait()

    def _write(self) -> None:
        # One at a time: a disk slower than the network holds it up, instead of filling the memory.
        self._wait()
        self._written = self._thread.submit(self._store.append, table_of(self._rows), np.concatenate(self._parts))
        self._rows, self._parts = [], []

    def _wait(self) -> None:
        if self._written is not None:
            self._written.result()


def _sha256s(store: FeatureStore) -> dict[PictureId, str]:
    rows = store.rows()
    return dict(zip(rows.picture_ids.tolist(), rows.poster_sha256s, strict=True))


def _plain(name: PictureId) -> PictureId:
    # Of an array's ids, as they come out of NumPy.
    plain: PictureId = name.item() if isinstance(name, np.generic) else name
    return plain


def _absolute_if_file(name: str) -> str:
    path = Path(name)
    return str(path.absolute()) if path.is_file() else name
