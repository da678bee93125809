"""Measure what checksums cost: opening a workspace of ten thousand films, and looking films up in it.

Films, ratings, posters and features are drawn. Each opening is in a process of its own, as files are compared with
their checksums once a process; openings that compare and openings that do not take turns, and the
fastest of each counts::

    python benchmarks/checksums.py --work DIR

DIR keeps the workspace between runs.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from unittest import mock

import numpy as np

# benchmarks/index.py is not the package of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

N_FILMS, N_USERS, N_RATINGS, N_COLUMNS, N_LOOK_UPS = 10_000, 2_000, 500_000, 2_048, 40
SHARD_ROWS = 256
# The comparisons that were added to those that there had been.
ADDED = {
    "catalog.films.hold_database": lambda _path, _connection: None,
    "posters.database.hold_database": lambda _path, _connection: None,
    "catalog.io.files._has_changed": lambda _record: False,
    "features.shards._checked_bytes": lambda path, _sha256: path.read_bytes(),
    "cf.ratings._checked_bytes": lambda path, _xxh3: path.read_bytes(),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--films", type=int, default=N_FILMS)
    parser.add_argument("--runs", type=int, default=21, help="processes with checksums, and as many without")
    parser.add_argument("--one", choices=("with", "without"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    home = arguments.work / "workspace"
    if arguments.one:
        print(json.dumps(measure(home, with_checksums=arguments.one == "with")))
        return
    if not (home / "index" / "index.json").is_file():
        prepare(home, arguments.films)
    runs: dict[str, list[dict[str, float]]] = {"without": [], "with": []}
    for _ in range(arguments.runs):
        for kind, found in runs.items():
            found.append(in_a_process(arguments.work, kind))
    print(f"| {arguments.films:,} films | without checksums | with checksums | ratio |\n|---|---|---|---|")
    for what in runs["with"][0]:
        # The lowest, as other programs only add to it.
        before, after = (min(one[what] for one in runs[kind]) for kind in ("without", "with"))
        print(f"| {what} | {1000 * before:.2f} ms | {1000 * after:.2f} ms | {after / before:.3f} |")


def in_a_process(work: Path, kind: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--work", str(work), "--one", kind]
    found: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return found


def measure(home: Path, *, with_checksums: bool) -> dict[str, float]:
    """Return the seconds of an opening, and the median of look-ups."""
    import features.store
    import index.cosine  # noqa: F401 - imported before the clock runs
    import posters.database
    from keyart.engine import Engine
    from keyart.recommend.users import Users  # noqa: F401
    from keyart.workspace.layout import Workspace

    del features.store, posters.database
    with nothing() if with_checksums else unchecked():
        started = time.perf_counter()
        engine = Engine.open(Workspace(home).home)
        engine.similar(1, 10)
        opened_s = time.perf_counter() - started
        times = []
        for film in np.random.default_rng(0).integers(1, len(engine.catalog), N_LOOK_UPS).tolist():
            began = time.perf_counter()
            engine.similar(film, 10)
            times.append(time.perf_counter() - began)
    return {"open, with the first look-up": opened_s, "a look-up, median": median(times)}


@contextlib.contextmanager
def nothing() -> Iterator[None]:
    yield


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """Read as before the comparisons were added."""
    with contextlib.ExitStack() as replaced:
        for name, reading in ADDED.items():
            replaced.enter_context(mock.patch(name, reading))
        yield


def prepare(home: Path, n_films: int) -> None:
    """Make a workspace in which every film has a poster and features."""
    from keyart import pipeline

    sources = home.parent / "movielens"
    write_films(sources, n_films)
    pipeline.load(home, sources)
    add_posters(home, n_films)
    pipeline.build(home)


def write_films(folder: Path, n_films: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    films = "\n".join(f'{film},"Film {film} ({1930 + film % 90})",Drama|Comedy' for film in range(1, n_films + 1))
    (folder / "movies.csv").write_text(f"movieId,title,genres\n{films}\n")
    pairs = np.unique(rng.integers((1, 1), (N_USERS + 1, n_films + 1), (N_RATINGS, 2)), axis=0)
    stars = rng.integers(1, 11, len(pairs)) / 2
    rows = zip(pairs.tolist(), stars.tolist(), strict=True)
    lines = "\n".join(f"{user},{film},{star},{user + film}" for (user, film), star in rows)
    (folder / "ratings.csv").write_text(f"userId,movieId,rating,timestamp\n{lines}\n")


def add_posters(home: Path, n_films: int) -> None:
    """Draw posters, and features that are not computed from them."""
    import pandas as pd

    from features.identity import Identity
    from features.store import FeatureStore
    from posters.store import Origin, PosterStore, Source

    identity = Identity("drawn", "ab" * 32, "ef" * 32, "antialias", N_COLUMNS)
    origin = {"backbone": "drawn", "weights": "imagenet", "seed": 0, "engine": "keras"}
    rng = np.random.default_rng(0)
    store = FeatureStore.create(home / "features", identity, origin, map_shape=(N_COLUMNS,))
    with PosterStore.open(home / "posters") as posters, posters.writer_lock(), posters.transaction():
        for start in range(1, n_films + 1, SHARD_ROWS):
            films = range(start, min(start + SHARD_ROWS, n_films + 1))
            added = [posters.put(film, poster(rng), Origin(Source.IMPORT)) for film in films]
            table = pd.DataFrame(
                {
                    "movie_id": np.array(films, np.int64),
                    "poster_sha256": [one.sha256 for one in added],
                    "width": np.full(len(films), 92, np.int32),
                    "height": np.full(len(films), 138, np.int32),
                    "source": [one.path.name for one in added],
                }
            )
            store.append(table, rng.random((len(films), N_COLUMNS), np.float32).astype(np.float16))


def poster(rng: np.random.Generator) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    pixels = rng.integers(0, 256, (6, 4, 3), np.uint8)
    Image.fromarray(pixels).resize((92, 138), Image.Resampling.NEAREST).save(stream, "JPEG", quality=70)
    return stream.getvalue()


if __name__ == "__main__":
    main()
