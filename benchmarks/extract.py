"""Measure the speed of feature extraction, compared with the article's loop and the machine's arithmetic limit.

Implementations run in turns on the same posters for several rounds, so that other load affects all of them alike;
compare the ratios. The limit is the rate of a float32 matrix product, measured in between, divided by VGG16's 30.7
GFLOP per poster. Peak memory is measured in separate processes.

    python benchmarks/extract.py --posters DIR [--weights random|PATH.h5] [--pictures 200] [--memory 1000,20000]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from features.encoders.backbone import BATCH_SIZE
from features.encoders.encoder import Encoder, load_encoder
from features.extraction import extract_features, open_store
from features.options import ExtractOptions
from features.pipeline import Picture

GFLOP_A_POSTER = 30.7
SIDE = 3072
WANTED = "wanted: ours ≥ 1.4 × the article's loop and ≥ 0.85 of the bound; ONNX ≥ 0.92 of the bound; memory < 1,600 MB"


def bound() -> float:
    """Measure how many posters per second the machine's matrix product would allow."""
    matrix = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
    begin = time.perf_counter()
    n_products = 0
    while (elapsed := time.perf_counter() - begin) < 1.5:
        matrix @ matrix
        n_products += 1
    return n_products * 2 * SIDE**3 / elapsed / 1e9 / GFLOP_A_POSTER


def articles_loop(model: Any, paths: Sequence[Path]) -> None:
    import keras

    for path in paths:
        image = keras.utils.img_to_array(keras.utils.load_img(path, target_size=(224, 224)))
        model.predict(keras.applications.vgg16.preprocess_input(image[None]), verbose=0).ravel()


def predict_in_batches(model: Any, paths: Sequence[Path]) -> None:
    import keras

    images = [keras.utils.img_to_array(keras.utils.load_img(path, target_size=(224, 224))) for path in paths]
    model.predict(keras.applications.vgg16.preprocess_input(np.stack(images)), batch_size=BATCH_SIZE, verbose=0)


def ours(encoder: Encoder, options: ExtractOptions, paths: Sequence[Path]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder), encoder, options)
        report = extract_features([Picture(path.name, path) for path in paths], encoder, store)
        assert report.n_new == len(paths)


def rounds_of(paths: Sequence[Path], n_rounds: int) -> Iterator[Sequence[Path]]:
    """Split posters into rounds of whole batches, so that only the last batch is padded, as in one long run."""
    size = len(paths) // n_rounds // BATCH_SIZE * BATCH_SIZE
    for start in range(0, size * (n_rounds - 1), size):
        yield paths[start : start + size]
    yield paths[size * (n_rounds - 1) :]


def speeds(paths: Sequence[Path], weights: str, n_rounds: int) -> dict[str, list[float]]:
    """Measure posters per second of each implementation in each round."""
    import keras

    cache_dir = Path(tempfile.mkdtemp())
    options = {engine: ExtractOptions(weights=weights, engine=engine) for engine in ("keras", "onnx")}
    encoders = {engine: load_encoder(chosen, cache_dir) for engine, chosen in options.items()}
    model = keras.applications.VGG16(include_top=False, weights=None, input_shape=(224, 224, 3))
    ways: dict[str, Callable[[Sequence[Path]], None]] = {
        "(a) the article's loop": lambda paths: articles_loop(model, paths),
        "(b) Keras `predict` in batches": lambda paths: predict_in_batches(model, paths),
        "(c) ours, files to finished store": lambda paths: ours(encoders["keras"], options["keras"], paths),
        "(d) ours with ONNX Runtime": lambda paths: ours(encoders["onnx"], options["onnx"], paths),
    }
    for way in ways.values():
        way(paths[:1])
    found: dict[str, list[float]] = {name: [] for name in ways} | {"the bound": []}
    for number, part in enumerate(rounds_of(paths, n_rounds)):
        names = list(ways)
        bounds = [bound()]
        # Each round begins with another implementation.
        for name in names[number % len(names) :] + names[: number % len(names)]:
            begin = time.perf_counter()
            ways[name](part)
            found[name].append(len(part) / (time.perf_counter() - begin))
            bounds.append(bound())
        found["the bound"].append(statistics.mean(bounds))
        print(f"round {number + 1}: " + ", ".join(f"{values[-1]:.2f}" for values in found.values()), file=sys.stderr)
    shutil.rmtree(cache_dir)
    return found


def peak_bytes(*arguments: str) -> int:
    """Run this file in another process and return its peak memory."""
    done = subprocess.run([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout)


def extract_and_print_peak(paths: Sequence[Path], n_pictures: int, weights: str | None) -> None:
    """Extract images with VGG16, or with a small network of as many features, and print the peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        options = (
            ExtractOptions(weights=weights)
            if weights
            else ExtractOptions(str(small_network(Path(folder))), preprocessing="caffe")
        )
        encoder = load_encoder(options, Path(folder))
        store = open_store(Path(folder) / "features", encoder, options)
        pictures = (Picture(number, path) for number, path in enumerate(islice(cycle(paths), n_pictures)))
        extract_features(pictures, encoder, store)
    # Not getrusage: its peak of a child includes the memory of the parent process.
    status = Path("/proc/self/status").read_text().splitlines()
    print(next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:")))


def small_network(folder: Path) -> Path:
    import keras

    layers = [keras.Input((224, 224, 3)), keras.layers.AveragePooling2D(32), keras.layers.Dense(512)]
    keras.Sequential(layers, name="small").save(folder / "small.keras")
    return folder / "small.keras"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--posters", type=Path, required=True, help="a folder of poster files")
    parser.add_argument("--weights", default="random", help="random, imagenet or a file; they do not change the speed")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", default="1000,20000", help="numbers of pictures whose peak memory to compare")
    parser.add_argument("--peak-of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--small", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    paths = sorted(options.posters.glob("*.jpg"))[: options.pictures]
    if options.peak_of:
        extract_and_print_peak(paths, options.peak_of, None if options.small else options.weights)
        return
    found = speeds(paths, options.weights, options.rounds)
    article, most = found["(a) the article's loop"], found["the bound"]
    print(f"{len(paths)} posters, VGG16, {os.cpu_count()} cores; {WANTED}\n")
    print("| way | images/s | × the article's loop | of the bound |\n|---|---|---|---|")
    for name, values in found.items():
        to_article, to_bound = (
            statistics.median(one / other for one, other in zip(values, others, strict=True))
            for others in (article, most)
        )
        print(f"| {name} | {statistics.median(values):.2f} | {to_article:.2f} | {to_bound:.2f} |")
    common = ("--posters", str(options.posters), "--weights", options.weights)
    print("\n| peak memory | MB |\n|---|---|")
    print(f"| VGG16, 64 posters | {peak_bytes(*common, '--peak-of', '64') / 1e6:,.0f} |")
    for n_pictures in map(int, options.memory.split(",")):
        peak = peak_bytes(*common, "--small", "--peak-of", str(n_pictures))
        print(f"| small network of as many numbers, {n_pictures:,} posters | {peak / 1e6:,.0f} |")


if __name__ == "__main__":
    main()
