"""Measure images per second of encoders by name: from files to a finished store, and the network alone.

Both run in turns on the same images for several rounds, so that other load affects them alike; the table has the
medians. The network alone computes batches that are in memory, from bytes to numbers in memory. Weights are random,
which are as fast as others. Without --posters, those of the demonstration are drawn.

    python benchmarks/encoders.py [--posters DIR] [--images 256] [--batch-size 16] [--peak-tflops 0.2] [--json] [NAME …]
    KERAS_BACKEND=jax python benchmarks/encoders.py --images 8192 --batch-size 256 --peak-tflops 989
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from tables import print_header, print_row

from catalog.io.keras import import_keras
from features.encoders.encoder import Encoder, load_encoder
from features.encoders.registry import ENCODERS
from features.extraction import extract_features, open_store
from features.images import read_image
from features.options import ExtractOptions
from features.pipeline import Picture

NAMES = ("vgg16", "resnet50", "mobilenet-v3-large")
# Of a picture without the top: twice the multiply-adds that the papers and keras.applications state.
GFLOP = {
    "vgg16": 30.7,
    "resnet50": 7.7,
    "efficientnet-v2-b0": 1.45,
    "convnext-tiny": 8.9,
    "mobilenet-v3-large": 0.43,
    "efficientnet-lite0": 0.77,
}
WANTED = "wanted: end to end at least 0.9 of the network alone for resnet50 and mobilenet-v3-large"


@dataclass(frozen=True)
class Speed:
    """What was measured of an encoder."""

    name: str
    batch_size: int
    end_to_end: float  # images per second
    network_alone: float
    share_of_network: float
    share_by_processor_time: float  # which other load on the same processor changes less
    share_of_peak: float | None


def posters_in(folder: Path | None, n_images: int, drawn: Path) -> list[Path]:
    """List as many posters, repeating them if they are fewer."""
    if folder is None:
        from keyart.cli.demo.catalog import draw_poster
        from keyart.cli.demo.films import films

        for film in films():
            draw_poster(film).save(drawn / f"{film.movie_id}.jpg", quality=90)
    paths = sorted((folder or drawn).glob("*.jpg"))
    return list(islice(cycle(paths), n_images))


def end_to_end(encoder: Encoder, options: ExtractOptions, paths: Sequence[Path]) -> tuple[float, float]:
    """Return images per second, and per second of the processor."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter(), time.process_time()
        store = open_store(Path(folder), encoder, options)
        report = extract_features([Picture(row, path) for row, path in enumerate(paths)], encoder, store)
        rates = _rates(len(paths), *begin)
    assert report.n_new == len(paths)
    return rates


def network_alone(encoder: Encoder, pixels: np.ndarray, n_images: int) -> tuple[float, float]:
    begin, n_batches = (time.perf_counter(), time.process_time()), -(-n_images // len(pixels))
    for _ in range(n_batches):
        encoder.backbone.infer(pixels)
    return _rates(n_batches * len(pixels), *begin)


def _rates(n_images: int, began: float, worked: float) -> tuple[float, float]:
    return n_images / (time.perf_counter() - began), n_images / (time.process_time() - worked)


def measure(name: str, paths: Sequence[Path], arguments: argparse.Namespace) -> Speed:
    options = ExtractOptions(name, "random", engine=arguments.engine, batch_size=arguments.batch_size)
    with tempfile.TemporaryDirectory() as cache:
        encoder = load_encoder(options, Path(cache))
    size = encoder.backbone.batch_size
    pixels = np.stack([read_image(path, encoder.framing)[0] for path in islice(cycle(paths), size)])
    encoder.backbone.infer(pixels)
    alone, whole = [], []
    for number in range(arguments.rounds):
        alone.append(network_alone(encoder, pixels, len(paths)))
        whole.append(end_to_end(encoder, options, paths))
        print(f"{name}, round {number + 1}: {whole[-1][0]:.2f}, alone {alone[-1][0]:.2f}", file=sys.stderr)
    # Of neighbors in time, whose load was the same.
    shares = [tuple(np.divide(one, other)) for one, other in zip(whole, alone, strict=True)]
    share, by_processor = (float(statistics.median(values)) for values in zip(*shares, strict=True))
    speed = statistics.median(rate for rate, _ in alone)
    peak = arguments.peak_tflops and speed * GFLOP[name] / 1e3 / arguments.peak_tflops
    return Speed(name, size, statistics.median(rate for rate, _ in whole), speed, share, by_processor, peak)


def device() -> str:
    """Name the backend of Keras and what it runs on."""
    backend = import_keras().backend.backend()
    kind = f"{os.cpu_count()} CPU cores"
    if backend == "jax":
        import jax

        kind = kind if jax.default_backend() == "cpu" else jax.devices()[0].device_kind
    elif backend == "tensorflow":
        import tensorflow as tf

        kind = next((one.name for one in tf.config.list_physical_devices("GPU")), kind)
    return f"{backend} on {kind}"


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME", help=", ".join(ENCODERS))
    parser.add_argument("--posters", type=Path, help="a folder of JPEG files")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--batch-size", type=int, help="by default 16, or 128 on a GPU")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engine", choices=["keras", "onnx"], default="keras")
    parser.add_argument("--peak-tflops", type=float, help="of the device, for the share of it")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as drawn:
        paths = posters_in(arguments.posters, arguments.images, Path(drawn))
        speeds = [measure(name, paths, arguments) for name in arguments.names]
    if arguments.json:
        print(json.dumps({"device": device(), "images": len(paths), "encoders": [asdict(one) for one in speeds]}))
        return
    columns = (
        "encoder",
        "batch",
        "end to end, images/s",
        "network alone",
        "share of it",
        "by processor time",
        "of the peak",
    )
    print_header(f"{device()}, {len(paths)} images; {WANTED}", *columns)
    for one in speeds:
        peak = "" if one.share_of_peak is None else f"{one.share_of_peak:.2f}"
        shares = f"{one.share_of_network:.2f}", f"{one.share_by_processor_time:.2f}", peak
        print_row(one.name, one.batch_size, f"{one.end_to_end:,.1f}", f"{one.network_alone:,.1f}", *shares)


if __name__ == "__main__":
    main()
