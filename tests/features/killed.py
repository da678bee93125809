"""Runs that are killed at each of their writes in turn and taken up again; `test_restart` starts it.

Each run is a child that ends by its own ``kill -9``. Children are forked, so this runs in a process of its own, with a
network of NumPy's only: TensorFlow's threads would not survive the fork.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.dataset
import pyarrow.parquet  # noqa: F401
from PIL import Image

from features.encoders.backbone import Backbone
from features.encoders.encoder import Encoder
from features.extraction import extract_features
from features.pipeline import Picture
from features.store import FeatureStore

SHARD_ROWS = 3


def draw(seed: int) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 16, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def network(batch: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    # What stands beside a picture in its batch shows, so that one cut otherwise would be noticed.
    maps = batch[:, ::56, ::56].astype(np.float32)
    return maps + np.arange(len(batch), dtype=np.float32)[:, None, None, None] + maps.mean()


ENCODER = Encoder(Backbone("sampler", "ab" * 32, "cd" * 32, (4, 4, 3), network, batch_size=3))
BROKEN = b"once upon a time"
FIRST = [Picture(number, BROKEN if number in (2, 7) else draw(number)) for number in range(10)]
# 3 and 4 are gone, 6 is another picture, 2 is mended, 10 to 13 are new.
LATER = [Picture(number, draw(number + 100 * (number == 6))) for number in range(14) if number not in (3, 4, 7)]


def run(folder: Path, pictures: Sequence[Picture]) -> None:
    store = FeatureStore.create(folder, ENCODER.identity, {})
    extract_features(pictures, ENCODER, store, shard_rows=SHARD_ROWS)


def in_child(work: Callable[[], None]) -> int:
    """Do something in a process of its own, and tell its exit code: -9 where it was killed."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at(n_changes: int) -> None:
    """Let this process be killed by the so-manieth change that it makes on the disk."""
    changes = count()

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*arguments: Any, **options: Any) -> Any:
            if next(changes) == n_changes:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*arguments, **options)

        return changed

    # What was flushed outlives a power cut; a killed process leaves no less to the next one without it.
    os.fsync = counted(lambda descriptor: None)
    os.replace = counted(os.replace)
    os.unlink = counted(os.unlink)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def contents_of(folder: Path) -> list[tuple[Any, ...]]:
    """List what a store says of every picture, its features by their bits; and which pictures it could not read."""
    store = FeatureStore.open(folder)
    rows = store.rows(check=True)
    features = [row.tobytes() for block in store.blocks(rows) for row in block]
    return [*zip(rows.picture_ids.tolist(), rows.poster_sha256s, features, strict=True), *store.skipped()]


def killed_then_resumed(before: Path, pictures: Sequence[Picture], root: Path, step: int) -> Iterator[Path]:
    """Run on what was there before, killed at a change, at a later one and so on; each time taken up again."""
    for n_changes in count(step=step):
        folder = Path(shutil.copytree(before, root / str(n_changes)))

        def killed(n_changes: int = n_changes, folder: Path = folder) -> None:
            kill_at(n_changes)
            run(folder, pictures)

        code = in_child(killed)
        if code == 0:
            return
        assert code == -signal.SIGKILL, code
        assert in_child(partial(run, folder, pictures)) == 0
        yield folder


def main() -> None:
    Image.init()
    root, step = Path(sys.argv[1]), int(sys.argv[2])
    before = root / "before"
    before.mkdir()
    for name, pictures in (("first", FIRST), ("later", LATER)):
        whole = Path(shutil.copytree(before, root / name / "whole"))
        assert in_child(partial(run, whole, pictures)) == 0
        n_kills = 0
        for folder in killed_then_resumed(before, pictures, root / name, step):
            assert contents_of(folder) == contents_of(whole), (name, folder.name)
            # A first run leaves the same files; a later one may have joined small shards under other numbers.
            assert name == "later" or files_of(folder) == files_of(whole), folder.name
            n_kills += 1
        print(name, n_kills)
        before = whole


if __name__ == "__main__":
    main()
