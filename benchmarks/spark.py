"""Measure feature extraction by Spark on one and two workers of one core, and by one process on all cores.

Setups run in turns on the same posters for several rounds; compare the ratios. Sessions, workers and networks are warm;
the start-up cost per worker is reported separately. Also reports whether features are identical, bit for bit.

    python benchmarks/spark.py --posters DIR [--network NETWORK.keras] [--pictures 64] [--rounds 2]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from features.encoders.encoder import Encoder, load_encoder
from features.extraction import extract_features, open_store
from features.options import ExtractOptions
from features.pipeline import Picture
from features.spark import Job, frame_of, session
from features.store import FeatureStore

WAYS = ("one process", "local[1]", "local[2]")
CACHE = Path(tempfile.gettempdir())


def run(way: str, pictures: Sequence[Picture], options: ExtractOptions, encoder: Encoder, out: Path) -> list[float]:
    """Extract in one setup; return the seconds of a first picture per worker, then of all pictures."""
    times = []
    if way == "one process":
        for number, part in enumerate((pictures[:1], pictures)):
            begin = time.perf_counter()
            extract_features(part, encoder, open_store(out / str(number), encoder, options))
            times.append(time.perf_counter() - begin)
        return times
    with session(way) as spark:
        spark.sparkContext.setLogLevel("ERROR")
        # One picture per worker loads its network.
        for number, part in enumerate((pictures[: spark.sparkContext.defaultParallelism], pictures)):
            begin = time.perf_counter()
            store = open_store(out / str(number), encoder, options)
            Job(options, encoder, CACHE, store).run(frame_of(spark, part))
            times.append(time.perf_counter() - begin)
    return times


def rows(out: Path) -> np.ndarray:
    store = FeatureStore.open(out / "1")
    return np.concatenate(list(store.blocks(store.rows())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--posters", type=Path, required=True, help="a folder of poster files")
    parser.add_argument("--network", help="a Keras file; by default VGG16 with random weights, as fast as with others")
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    paths = sorted(arguments.posters.glob("*.jpg"))[: arguments.pictures]
    pictures = [Picture(path.name, path) for path in paths]
    options = (
        ExtractOptions(arguments.network, preprocessing="caffe")
        if arguments.network
        else ExtractOptions(weights="random")
    )
    encoder = load_encoder(options, CACHE)
    speeds: dict[str, list[float]] = {way: [] for way in WAYS}
    starts: dict[str, list[float]] = {way: [] for way in WAYS}
    differing: dict[str, tuple[float, float]] = {}
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            for way in WAYS:
                start, whole = run(way, pictures, options, encoder, Path(folder, way))
                starts[way].append(start)
                speeds[way].append(len(paths) / whole)
                expected, received = rows(Path(folder, WAYS[0])), rows(Path(folder, way))
                difference = np.abs(expected.astype(np.float32) - received.astype(np.float32)).max()
                differing[way] = float((expected != received).mean()), float(difference / np.abs(expected).max())
    print(f"{len(paths)} posters, {encoder.backbone.name}, {os.cpu_count()} cores, {arguments.rounds} rounds\n")
    print("| way | images/s | × one process | a first picture, s | numbers that differ | by at most, of the largest |")
    print("|---|---|---|---|---|---|")
    for way, values in speeds.items():
        ratio = statistics.median(one / other for one, other in zip(values, speeds[WAYS[0]], strict=True))
        share, difference = differing[way]
        print(
            f"| {way} | {statistics.median(values):.2f} | {ratio:.2f} | {statistics.median(starts[way]):.1f} "
            f"| {share:.2%} | {difference:.1e} |"
        )


if __name__ == "__main__":
    main()
