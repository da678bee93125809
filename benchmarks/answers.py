"""Measure queries of an open engine on ten thousand films: blended, and for new films alone and in a batch.

Films and ratings are those of ml-latest-small; films without a poster get one of the shared posters, cropped and
mirrored, so that each film has its own. Blended queries are compared with a scan of all features by FAISS' flat index,
new films with the network that embeds their posters::

    python benchmarks/answers.py --shared ../shared --work DIR

DIR keeps the workspace between runs.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

# benchmarks/index.py is not the package of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

N_QUERIES, N_NEW, N_BATCH = 300, 60, 1000
NETWORK = "weights/squeezenet_v1_1_imagenet.keras"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    from keyart.engine import Engine

    home = arguments.work / "workspace"
    if not (home / "index" / "index.json").is_file():
        prepare(arguments.shared, arguments.work, home)
    engine = Engine.open(home)
    print("| what | median | 95th percentile | beside |\n|---|---|---|---|")
    measure_blend(engine)
    measure_new_films(engine, sorted((arguments.work / "posters").glob("*.jpg")))


def prepare(shared: Path, work: Path, home: Path) -> None:
    """Make a workspace in which every film has a poster."""
    from catalog.io.progress import bar
    from features.options import ExtractOptions
    from keyart.pipeline.features import extract
    from keyart.pipeline.index import build
    from keyart.pipeline.movielens import load
    from keyart.pipeline.posters import import_posters
    from keyart.workspace.layout import Workspace

    folder, posters = shared / "data" / "ml-latest-small", work / "posters"
    posters.mkdir(parents=True, exist_ok=True)
    with (folder / "links.csv").open() as stream:
        imdb_ids = {int(row["movieId"]): row["imdbId"] for row in csv.DictReader(stream)}
    own = {movie_id: shared / "data" / "posters" / f"{imdb_id}.jpg" for movie_id, imdb_id in imdb_ids.items()}
    real = [path for path in own.values() if path.is_file()]
    rng = np.random.default_rng(0)
    for number, (movie_id, path) in enumerate(sorted(own.items())):
        with Image.open(path if path.is_file() else real[number % len(real)]) as picture:
            drawn = picture.convert("RGB") if path.is_file() else altered(picture.convert("RGB"), rng)
            drawn.save(posters / f"{movie_id}.jpg", quality=90)
    load(home, folder)
    workspace = Workspace.open(home)
    import_posters(workspace, posters, "movie", progress=bar)
    extract(workspace, ExtractOptions(str(shared / NETWORK), preprocessing="caffe"), progress=bar)
    build(workspace, progress=bar)


def altered(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Crop up to a fifth off each side, and mirror."""
    width, height = picture.size
    left, top, right, bottom = (rng.random(4) * 0.2 * np.array([width, height, width, height])).tolist()
    return ImageOps.mirror(picture.crop((left, top, width - right, height - bottom)))


def measure_blend(engine) -> None:
    """Measure queries for films with posters and ratings, and the scan alone."""
    import faiss

    films = [film.movie_id for film in engine.catalog if film.n_ratings > 1]
    queries = np.random.default_rng(1).permutation(films)[:N_QUERIES].tolist()
    engine.similar(queries[0])
    index = engine._index  # Its number of rows and columns.
    units = np.random.default_rng(2).random((1, index.n_features), dtype=np.float32)
    flat = faiss.IndexFlatIP(index.n_features)
    flat.add(np.random.default_rng(3).random((len(index), index.n_features), dtype=np.float32))
    scan = times(lambda _: flat.search(units, len(index)), queries[:60])
    for label, query in (
        ("`similar`, blended", lambda movie_id: engine.similar(movie_id)),
        ("`similar`, looks alone", lambda movie_id: engine.similar(movie_id, alpha=1.0)),
        ("`similar`, ratings alone", lambda movie_id: engine.similar(movie_id, alpha=0.0)),
    ):
        found = times(query, queries)
        print_row(
            label, found, f"{np.median(found) / np.median(scan):.2f} × a scan of {len(index):,} rows by FAISS flat"
        )
    print_row("FAISS flat, all rows", scan, "")


def measure_new_films(engine, posters: Sequence[Path]) -> None:
    """Measure predictions for new films one by one and a thousand at once, and the network alone."""
    from features.images import read_image
    from keyart.cold_start.new_film import NewFilm, describe

    def new_films(n: int) -> list[NewFilm]:
        # New objects each time, because images cache their embeddings.
        return [describe(path, "New", 1999, "Comedy", known_genres=known) for path in posters[:n]]

    known = engine.catalog.genres()
    engine.cold_start(new_films(1))
    engine.cold_start(new_films(2))
    pictures = [read_image(path)[0][None] for path in posters[:N_NEW]]
    alone = times(engine.encoder, pictures)
    found = times(lambda film: engine.cold_start([film]), new_films(N_NEW))
    print_row(
        "`cold_start`, one film",
        found,
        f"network {np.median(alone):.1f} ms; all else {np.median(found) - np.median(alone):.1f} ms",
    )
    films = new_films(N_BATCH)
    (whole,) = times(engine.cold_start, [films])
    each = whole / len(films)
    print_row(
        f"`cold_start`, {len(films):,} at once, a film",
        [each],
        f"{np.median(found) / each:.1f} × as fast as one by one",
    )


def times(function: Callable, arguments: Sequence) -> list[float]:
    """Time a call with each argument, in milliseconds."""
    found = []
    for argument in arguments:
        started = time.perf_counter()
        function(argument)
        found.append(1000 * (time.perf_counter() - started))
    return found


def print_row(label: str, found: Sequence[float], beside: str) -> None:
    print(f"| {label} | {np.median(found):.1f} ms | {np.percentile(found, 95):.1f} ms | {beside} |", flush=True)


if __name__ == "__main__":
    main()
