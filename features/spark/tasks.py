"""What a worker does with its partition: run the pipeline, write shards with numbers of their own.

Workers are forked from a process that has not imported TensorFlow; they import it after the fork and keep the network
for later tasks.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalog.errors import DataError
from catalog.io.files import write_bytes
from catalog.io.remote import AnyPath
from features.encoders.encoder import Encoder, load_encoder
from features.identity import Identity
from features.options import ExtractOptions
from features.pipeline import Broken, Computed, Known, Picture, compute
from features.shards import PictureId, Row, shard_files, table_of
from features.whitening import Whitening

if TYPE_CHECKING:
    from pyspark import Broadcast

NEW, KNOWN, BROKEN = "new", "known", "broken"
"""The state of an image in the results that a task sends to the driver."""


@dataclass(frozen=True)
class Recipe:
    """What a worker needs to load the driver's encoder, the contents of its files included."""

    options: ExtractOptions
    identity: Identity
    whitening: Whitening | None
    files: Broadcast[dict[str, bytes]] | None  # by their paths, the main one first; its suffix decides the format
    n_cores: int

    def load(self) -> Encoder:
        """Load the encoder, and check that it is the driver's."""
        with tempfile.TemporaryDirectory() as folder, _limited_cores(self.n_cores):
            options = self.options
            if self.files is not None:
                for name, content in self.files.value.items():
                    Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
                    Path(folder, name).write_bytes(content)
                path = Path(folder, next(iter(self.files.value)))
                options = replace(options, weights=path) if options.info else replace(options, encoder=path)
            encoder = load_encoder(options, Path(folder), self.whitening)
        if encoder.identity != self.identity:
            raise DataError(
                f"a worker's network is {encoder.identity}, the driver's is {self.identity}; install the same "
                "versions on all machines"
            )
        return encoder


@dataclass(frozen=True)
class Task:
    """Computes one partition and writes its shards, whose numbers are `n_partitions` apart."""

    recipe: Recipe
    out: AnyPath
    first_number: int
    n_partitions: int
    shard_rows: int

    def run(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Compute Spark's partition: from id, source, sha256, known_sha256 to id, state, sha256, reason."""
        from pyspark import TaskContext

        task = TaskContext.get()
        partition = task.partitionId() if task else 0
        if not partition < self.n_partitions:
            raise RuntimeError(f"partition {partition} of {self.n_partitions}")
        return self.run_partition(partition, batches)

    def run_partition(self, partition: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        known: dict[PictureId, str] = {}
        number = self.first_number + partition
        rows: list[Row] = []
        parts: list[npt.NDArray[np.float16]] = []
        others: list[tuple[PictureId, str, str | None, str | None]] = []
        pictures = _pictures(batches, known)
        for event in compute(pictures, _encoder(self.recipe), known=known, shard_rows=self.shard_rows):
            match event:
                case Computed(new, features):
                    rows += new
                    parts.append(features)
                case Known(picture_id, sha256):
                    others.append((picture_id, KNOWN, sha256, None))
                case Broken(picture_id, reason, sha256):
                    others.append((picture_id, BROKEN, sha256, reason))
            if len(rows) >= self.shard_rows:
                yield self._write(number, rows, parts)
                rows, parts, number = [], [], number + self.n_partitions
        if rows:
            yield self._write(number, rows, parts)
        if others:
            yield _results(others)

    def _write(self, number: int, rows: list[Row], parts: list[npt.NDArray[np.float16]]) -> pa.RecordBatch:
        for name, content in shard_files(number, table_of(rows), np.concatenate(parts)):
            write_bytes(self.out / name, content)
        return _results([(row.picture_id, NEW, row.poster_sha256, None) for row in rows])


_loaded: dict[tuple[ExtractOptions, Identity, int], Encoder] = {}
"""The encoder of this worker, kept between tasks."""


def _encoder(recipe: Recipe) -> Encoder:
    key = (recipe.options, recipe.identity, recipe.n_cores)
    if key not in _loaded:
        _loaded.clear()
        _loaded[key] = recipe.load()
    return _loaded[key]


@contextmanager
def _limited_cores(n_cores: int) -> Iterator[None]:
    """Let libraries that start now use as many threads as a task has cores.

    TensorFlow, JAX and ONNX Runtime each have a setting of their own for it; all of them count the cores that they may
    run on when they start. Afterwards every thread may run on any core again. Only Linux lets a process choose.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    # Workers that start together have consecutive process ids, and so get different cores.
    first = os.getpid() * n_cores
    some = sorted(allowed)
    os.sched_setaffinity(0, {some[(first + more) % len(some)] for more in range(n_cores)})
    try:
        yield
    finally:
        for thread in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), allowed)


def _pictures(batches: Iterator[pa.RecordBatch], known: dict[PictureId, str]) -> Iterator[Picture]:
    """Yield images as they arrive, after adding their stored hashes to `known`."""
    for batch in batches:
        columns = (batch[name].to_pylist() for name in ("id", "source", "sha256", "known_sha256"))
        for picture_id, source, sha256, known_sha256 in zip(*columns, strict=True):
            if known_sha256 is not None:
                known[picture_id] = known_sha256
            content = source if isinstance(source, bytes) else Path(source)
            yield Picture(picture_id, content, sha256)


def _results(results: Sequence[tuple[PictureId, str, str | None, str | None]]) -> pa.RecordBatch:
    ids, *texts = zip(*results, strict=True)
    columns = [pa.array(ids), *(pa.array(text, pa.string()) for text in texts)]
    return pa.RecordBatch.from_arrays(columns, ["id", "state", "sha256", "reason"])
