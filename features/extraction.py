"""Extraction on one machine: compute the features that a folder lacks, and tidy the folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError, NotBuiltError
from catalog.io.locks import check_free, exclusive
from catalog.io.progress import Progress, silent
from catalog.io.remote import AnyPath
from features.encoders.encoder import Encoder, load_encoder
from features.encoders.hub import load_text_side
from features.encoders.pairs import takes_text
from features.options import ExtractOptions
from features.pipeline import Broken, Computed, Known, Picture, compute
from features.shards import SHARD_ROWS, PictureId, Row, table_of
from features.store import Damage, FeatureRows, FeatureStore, Skipped
from features.whitening import Whitening

WHITENING_SAMPLE = 2000
"""How many images a whitening is learned from: some for each of 512 numbers."""


@dataclass(frozen=True)
class ExtractReport:
    """What an extraction did.

    Parameters
    ----------
    n_new : int
        The number of images whose features were computed.
    n_known : int
        The number of images whose features were there already.
    skipped : tuple of Skipped
        Images that could not be read; each has a `picture_id` and a `reason`.
    n_dropped : int, default 0
        The number of images whose features were removed, because their files are gone.
    damaged : tuple of str, default ()
        What was wrong with shards of features, whose images are computed again where they are among those given.
    passed_over : mapping of str to int
        Of a folder: the number of files that are no images by their names, by ending.
    n_lost : int, default 0
        The number of images that were in damaged shards and were not given again, so that they have no features now;
        at least that many where a shard's list of images was damaged too. Extract them again.
    alternates : ExtractReport, optional
        Of a workspace: what was done for further posters of its films; None where it has none.
    """

    n_new: int
    n_known: int
    skipped: tuple[Skipped, ...]
    n_dropped: int = 0
    damaged: tuple[str, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict)
    n_lost: int = 0
    alternates: ExtractReport | None = None

    @property
    def mostly_broken(self) -> bool:
        """Whether more images than not could not be read."""
        return len(self.skipped) > self.n_new + self.n_known

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values.

        Returns
        -------
        dict
            What JSON can hold.
        """
        return asdict(self)


def extract(
    pictures: Iterable[Picture],
    folder: AnyPath,
    options: ExtractOptions,
    cache_dir: Path,
    *,
    drop_missing: bool = True,
    progress: Progress = silent,
) -> ExtractReport:
    """Compute the features of images into a folder, apart from those that it holds already.

    The images are read in a thread of its own, as they are needed. `drop_missing` removes the features of others.
    """
    check_free(folder)
    encoder = load_encoder(options, cache_dir)
    text_sha256 = _tried_text(options, cache_dir, encoder)
    with exclusive(folder):
        whitening = kept_whitening(folder, encoder, options)
        if options.whiten and whitening is None:
            sample, pictures = _sampled(pictures)
            whitening = learn_whitening(encoder, sample)
        encoder = encoder.whitened_by(whitening)
        store = open_store(folder, encoder, options, text_sha256)
        n_pictures = len(pictures) if isinstance(pictures, Sequence) else 0
        with progress("extract", n_pictures, "images") as advance:
            return extract_features(pictures, encoder, store, drop_missing=drop_missing, on_picture=lambda: advance(1))


def extract_features(
    pictures: Iterable[Picture],
    encoder: Encoder,
    store: FeatureStore,
    *,
    drop_missing: bool = True,
    on_picture: Callable[[], None] = lambda: None,
    shard_rows: int = SHARD_ROWS,
    damage: Damage | None = None,
    stored: FeatureRows | None = None,
) -> ExtractReport:
    """Compute the features that a store of the encoder's identity lacks, and tidy the store.

    `damage` is what `remove_damaged` returned, where it was called before, and `stored` the rows after it. Memory: two
    shards of float16 features and a few batches of pixels, whatever the number of images; and a hundred bytes per image
    for its id and hash.
    """
    damage = damage or store.remove_damaged()
    stored = stored or store.rows()
    known = dict(zip(stored.picture_ids.tolist(), stored.poster_sha256s, strict=True))
    present: dict[PictureId, str | None] = {}
    skipped: list[Skipped] = []
    n_new = n_known = 0
    with ThreadPoolExecutor(1) as thread:
        shards = _Shards(store, shard_rows, thread)
        for event in compute(pictures, encoder, known=known, shard_rows=shard_rows):
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
                    skipped.append(Skipped(picture_id, reason, may_be_read=sha256 is None))
            for _ in range(len(event.rows) if isinstance(event, Computed) else 1):
                on_picture()
        shards.finish()
    n_dropped = store.tidy(is_current(present, drop_missing=drop_missing), shard_rows)
    store.write_skipped(skipped)
    n_lost = 0 if drop_missing else damage.n_lost(present, stored, n_new)
    return ExtractReport(n_new, n_known, tuple(skipped), n_dropped, damage.reasons, n_lost=n_lost)


def is_current(present: Mapping[PictureId, str | None], *, drop_missing: bool) -> Callable[[PictureId, str], bool]:
    """Return a test of whether a stored row of an id and a hash is still valid, given the hashes of a run's images."""

    def test(picture_id: PictureId, sha256: str) -> bool:
        if picture_id not in present:
            return not drop_missing
        # A file that could not even be read, or is damaged, has no hash; what was stored of it may still hold.
        return present[picture_id] in (sha256, None)

    return test


def _tried_text(options: ExtractOptions, cache_dir: Path, encoder: Encoder) -> str | None:
    """Try what reads words, if the encoder takes any, before hours of work; return its hash."""
    if not takes_text(options):
        return None
    return load_text_side(options, cache_dir, encoder.identity.n_features).sha256


def open_store(
    folder: AnyPath, encoder: Encoder, options: ExtractOptions, text_sha256: str | None = None
) -> FeatureStore:
    """Open or create a folder of features for an encoder."""
    return FeatureStore.create(
        folder,
        encoder.identity,
        options.origin,
        map_shape=encoder.backbone.output_shape,
        rebuild=options.rebuild,
        whitening=encoder.whitening,
        text_sha256=text_sha256,
    )


def kept_whitening(folder: AnyPath, encoder: Encoder, options: ExtractOptions) -> Whitening | None:
    """Open the whitening of a folder whose features are otherwise those of an encoder without whitening."""
    if options.whiten is False:
        return None
    try:
        store = FeatureStore.open(folder)
    except (NotBuiltError, DataError):
        return None
    if replace(store.identity, whitening_sha256=None) != encoder.identity:
        return None
    try:
        return store.whitening()
    except DataError:
        # A damaged whitening is learned anew where all features are computed anew.
        if options.rebuild:
            return None
        raise


def learn_whitening(encoder: Encoder, sample: Iterable[Picture]) -> Whitening:
    """Learn a whitening from some thousand images."""
    parts = [event.features for event in compute(sample, encoder) if isinstance(event, Computed)]
    return Whitening.fit(np.concatenate(parts).astype(np.float32) if parts else np.empty((0, 1), np.float32))


def spread_out(pictures: Sequence[Picture]) -> Sequence[Picture]:
    """Choose up to 2,000 evenly spread images."""
    rows = np.linspace(0, len(pictures) - 1, min(len(pictures), WHITENING_SAMPLE)).astype(int)
    return [pictures[row] for row in rows.tolist()]


def _sampled(pictures: Iterable[Picture]) -> tuple[Sequence[Picture], Iterable[Picture]]:
    """Return a sample of images, and all of them; of an iterator that can be read only once, the sample is its head."""
    if isinstance(pictures, Sequence):
        return spread_out(pictures), pictures
    rest = iter(pictures)
    head = list(islice(rest, WHITENING_SAMPLE))
    return head, chain(head, rest)


class _Shards:
    """Collects rows into shards, and writes each in a thread while the next is computed."""

    def __init__(self, store: FeatureStore, shard_rows: int, thread: ThreadPoolExecutor) -> None:
        self._store = store
        self._shard_rows = shard_rows
        self._thread = thread
        # Nobody else writes meanwhile; to look at all shards for each would take time with the square of their number.
        self._numbers = count(store.next_number())
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
        # One at a time: a disk slower than the network holds it up instead of filling the memory.
        self._wait()
        table, features = table_of(self._rows), np.concatenate(self._parts)
        self._written = self._thread.submit(self._store.append, table, features, next(self._numbers))
        self._rows, self._parts = [], []

    def _wait(self) -> None:
        if self._written is not None:
            self._written.result()
