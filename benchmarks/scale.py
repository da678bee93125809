"""Rehearse a large catalog: run keyart's commands on drawn films, a process each, and print what each costs.

Films, posters and features are drawn; features are in clusters, and as wide as those of the encoder, which `keyart add`
runs. Ratings are those of a MovieLens folder several times over, each time by other users and of other films; or drawn,
without a folder. Ratings are as many at every size, so that the growth is that of films::

    python benchmarks/scale.py --work DIR --ratings ml-1m/ [--films 25000 100000] [--encoder FILE --preprocessing caffe]

A size that was measured is kept in DIR and not measured again; its films are removed. 100,000 films of 25,088 numbers
need 6 GB of disk.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import numpy as np
import numpy.typing as npt
import psutil
from PIL import Image

if TYPE_CHECKING:
    from cf.ratings import Ratings
    from features.encoders.encoder import Encoder
    from features.options import ExtractOptions

KEYART = [sys.executable, "-c", "from keyart.cli import main; main()"]
HOST = "127.0.0.1"
SEED = 0
SHARD_ROWS = 256
POLL_S = 0.05
N_LOOK_UPS = 20
N_AHEAD = 10_000_000
# Of drawn ratings.
N_RATED_FILMS, RATINGS_OF_A_USER = 3_706, 166
# Clusters are as large in every catalog, and films differ within them half as much as clusters do.
FILMS_OF_A_CLUSTER, N_LATENT, WITHIN = 50, 64, 0.5
# Longer fits than this are estimated.
LONGEST_FIT_S = 120.0
GENRES = "Action Adventure Animation Comedy Crime Documentary Drama Horror Romance Sci-Fi Thriller Western".split()
SYLLABLES = "ba ce dor fi gal hu jin ko lem mar nos pa quil ro sen tu var wil xo zan".split()


@dataclass(frozen=True)
class Cost:
    """What a process took, with those that it started; memory with the pages of files that it maps."""

    wall_s: float
    cpu_s: float | None = None
    peak_bytes: int | None = None


@dataclass
class Size:
    """What was measured of a catalog of so many films."""

    n_films: int
    facts: dict[str, Any] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)
    # What is on the disk, by part.
    n_bytes: dict[str, int] = field(default_factory=dict)
    loads: list[float] = field(default_factory=list)

    def add(self, step: str, cost: Cost) -> None:
        self.costs[step] = cost
        self.loads.append(os.getloadavg()[0])
        cpu = "" if cost.cpu_s is None else f", {cost.cpu_s:.1f} s of processors"
        log(f"{self.n_films:,} films, {step}: {cost.wall_s:.1f} s{cpu}, load {self.loads[-1]:.1f}")

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def open(cls, path: Path) -> Size:
        content = json.loads(path.read_text())
        return cls(**content | {"costs": {step: Cost(**cost) for step, cost in content["costs"].items()}})


def log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


# A catalog is drawn.


def write_movielens(folder: Path, n_films: int, ratings: Ratings) -> None:
    """Write films, links and ratings as MovieLens has them."""
    import pyarrow as pa
    from pyarrow import csv

    folder.mkdir(parents=True)
    rng = np.random.default_rng((SEED, 1))
    with (folder / "movies.csv").open("w", encoding="utf-8") as films, (folder / "links.csv").open("w") as links:
        films.write("movieId,title,genres\n")
        links.write("movieId,imdbId,tmdbId\n")
        for film in range(1, n_films + 1):
            words = rng.choice(SYLLABLES, (2, 3))
            title = " ".join("".join(word).capitalize() for word in words)
            genres = "|".join(rng.choice(GENRES, 2, replace=False))
            films.write(f'{film},"{title} {film} ({1930 + film % 95})",{genres}\n')
            links.write(f"{film},{film:07d},{film}\n")
    columns = {"userId": ratings.user_ids, "movieId": ratings.movie_ids, "rating": ratings.values}
    csv.write_csv(pa.table(columns), folder / "ratings.csv")


def one_copy(folder: Path | None, n_ratings: int) -> Ratings:
    """Read the ratings of a MovieLens folder, or draw some: films of very different popularity."""
    from catalog.io.archives import unpacked
    from catalog.movielens import RATING_NAMES
    from cf.ratings import Ratings, read_movielens

    if folder is not None:
        with unpacked(folder, RATING_NAMES) as opened:
            return read_movielens(opened)
    rng = np.random.default_rng((SEED, 2))
    popularity = 1 / (10 + np.arange(N_RATED_FILMS))
    users = rng.integers(1, 1 + max(20, n_ratings // RATINGS_OF_A_USER), n_ratings)
    films = 1 + rng.choice(N_RATED_FILMS, n_ratings, p=popularity / popularity.sum())
    users, films = np.unique(np.column_stack([users, films]), axis=0).T.astype(np.int32)
    return Ratings(users, films, rng.integers(1, 6, len(users)).astype(np.float32), np.zeros(len(users), np.int64))


def copied(one: Ratings, n_copies: int, n_films: int) -> Ratings:
    """Repeat ratings by other users each time, and of other films, drawn out of 1 to `n_films`.

    Of more films than there are to draw, those with the highest ids are left out.
    """
    users = np.unique(one.user_ids, return_inverse=True)[1]
    films = np.unique(one.movie_ids, return_inverse=True)[1]
    one, users, films = one.where(films < n_films), users[films < n_films], films[films < n_films]
    n_users = int(users.max()) + 1
    drawn = [np.random.default_rng((SEED, 3, copy)).permutation(n_films)[films] + 1 for copy in range(n_copies)]
    return replace(
        one,
        user_ids=np.concatenate([1 + users + copy * n_users for copy in range(n_copies)]).astype(np.int32),
        movie_ids=np.concatenate(drawn).astype(np.int32),
        values=np.tile(one.values, n_copies),
        timestamps=np.tile(one.timestamps, n_copies),
    )


def feature_blocks(n_films: int, width: int) -> Iterator[npt.NDArray[np.float16]]:
    """Draw features in clusters, a shard at a time: some factors of each film, mixed and cut at 0 as a network does."""
    rng = np.random.default_rng((SEED, 4))
    strengths = 1 / np.sqrt(1 + np.arange(N_LATENT) / 8)
    mixture = rng.standard_normal((N_LATENT, width), np.float32) / np.float32(np.linalg.norm(strengths))
    centers = rng.standard_normal((max(2, n_films // FILMS_OF_A_CLUSTER), N_LATENT))
    for start in range(0, n_films, SHARD_ROWS):
        n = min(SHARD_ROWS, n_films - start)
        factors = centers[rng.integers(0, len(centers), n)] + WITHIN * rng.standard_normal((n, N_LATENT))
        yield np.maximum((factors * strengths).astype(np.float32) @ mixture, 0).astype(np.float16)


def add_posters(home: Path, n_films: int, options: ExtractOptions) -> int:
    """Store small posters of few colors, and draw their features; returns how many numbers these have."""
    import pandas as pd

    from features.encoders.encoder import load_encoder
    from features.extraction import open_store
    from keyart.workspace.settings import keras_models_dir
    from posters.store import Origin, PosterStore, Source

    encoder: Encoder = load_encoder(options, keras_models_dir())
    store = open_store(home / "features", encoder, options)
    pictures = [poster(number) for number in range(64)]
    with PosterStore.open(home / "posters") as posters, posters.writer_lock(), posters.transaction():
        first = 1
        for features in feature_blocks(n_films, encoder.identity.n_features):
            films = np.arange(first, first + len(features))
            # What follows the end of a JPEG is ignored, and makes each file another one.
            contents = [pictures[film % len(pictures)] + film.to_bytes(8, "big") for film in films.tolist()]
            pairs = zip(films.tolist(), contents, strict=True)
            added = [posters.put(film, content, Origin(Source.IMPORT)) for film, content in pairs]
            table = pd.DataFrame(
                {
                    "movie_id": films.astype(np.int64),
                    "poster_sha256": [one.sha256 for one in added],
                    "width": np.array([one.width for one in added], np.int32),
                    "height": np.array([one.height for one in added], np.int32),
                    "source": [one.path.name for one in added],
                }
            )
            store.append(table, features)
            first += len(films)
    log(f"{n_films:,} posters and their features are drawn")
    return encoder.identity.n_features


def poster(seed: int, size: tuple[int, int] = (92, 138)) -> bytes:
    pixels = np.random.default_rng((SEED, 5, seed)).integers(0, 256, (6, 4, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST).save(stream, "JPEG", quality=70)
    return stream.getvalue()


# Commands are measured.


def measured(words: list[str]) -> Cost:
    """Run a command of keyart; its output is shown if it fails."""
    with tempfile.TemporaryFile("w+") as output:
        started = time.perf_counter()
        child = subprocess.Popen([*KEYART, *words], stdout=output, stderr=output)
        cost = watched(child, started)
        if child.returncode:
            output.seek(0)
            raise SystemExit(f"keyart {' '.join(words)} ended with {child.returncode}:\n{output.read()}")
        return cost


def watched(child: subprocess.Popen[bytes], started: float, is_done: Callable[[], bool] = lambda: False) -> Cost:
    """Wait until a process has ended, or is done; returns what it took until then."""
    tree, peak_bytes = psutil.Process(child.pid), 0
    while not is_done():
        peak_bytes = max(peak_bytes, _memory_of(tree))
        ended, status, usage = os.wait4(child.pid, os.WNOHANG)
        if ended:
            child.returncode = os.waitstatus_to_exitcode(status)
            return Cost(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, peak_bytes)
        time.sleep(POLL_S)
    times = tree.cpu_times()
    return Cost(time.perf_counter() - started, times.user + times.system, max(peak_bytes, _memory_of(tree)))


def _memory_of(tree: psutil.Process) -> int:
    # Not `ru_maxrss`, which begins at what this process, of which the other is a copy at first, had itself.
    n_bytes = 0
    with suppress(psutil.Error):
        for process in (tree, *tree.children(recursive=True)):
            with suppress(psutil.Error):
                n_bytes += process.memory_info().rss
    return n_bytes


def serve(home: Path, films: list[int]) -> dict[str, Cost]:
    """Serve until ready, and look films up over HTTP."""
    with tempfile.NamedTemporaryFile("w+") as output:
        started = time.perf_counter()
        child = subprocess.Popen([*KEYART, "serve", "--port", "0", "--home", str(home)], stdout=output, stderr=output)
        try:
            found = Path(output.name)
            ready = watched(child, started, lambda: _is_ready(address_in(found.read_text())))
            address = address_in(found.read_text())
            if address is None:
                raise SystemExit(f"the server ended:\n{found.read_text()}")
            server = psutil.Process(child.pid)
            first = Cost(_time_of(f"{address}/api/films/{films[0]}/similar?k=10"), peak_bytes=_memory_of(server))
            before_s = sum(server.cpu_times()[:2])
            times = [_time_of(f"{address}/api/films/{one}/similar?k=10") for one in films[1:]]
            later = Cost(median(times), (sum(server.cpu_times()[:2]) - before_s) / len(times))
        finally:
            child.terminate()
            child.wait(60)
    return {
        "serve, until ready": ready,
        "similar over HTTP, the first": first,
        f"similar over HTTP, of {len(times)}": later,
    }


def address_in(output: str) -> str | None:
    """Find the address that the server prints once it listens."""
    lines = [line for line in output.splitlines() if line.startswith(f"http://{HOST}")]
    return lines[-1].split()[0].rstrip("/") if lines else None


def _is_ready(address: str | None) -> bool:
    if address is not None:
        with suppress(OSError), urlopen(f"{address}/readyz", timeout=10) as answer:
            return bool(answer.status == 200)
    return False


def _time_of(address: str) -> float:
    started = time.perf_counter()
    with urlopen(address, timeout=600) as answer:
        answer.read()
    return time.perf_counter() - started


def measure(work: Path, n_films: int, ratings: Ratings, options: ExtractOptions, path: Path) -> None:
    """Draw a catalog, run all commands on it, and write what they took; until all have run, beside `path`."""
    size, home, sources = Size(n_films), work / "workspace", work / "movielens"
    for folder in (home, sources):
        shutil.rmtree(folder, ignore_errors=True)
    unfinished = path.with_suffix(".unfinished.json")

    def run(step: str, *words: str) -> None:
        size.add(step, measured([*words, "--home", str(home)]))
        size.save(unfinished)

    movie_ids, n_ratings, _ = ratings.film_statistics()
    n_users, n_rated, film = len(np.unique(ratings.user_ids)), len(movie_ids), int(movie_ids[n_ratings.argmax()])
    write_movielens(sources, n_films, ratings)
    run("load", "load", str(sources))
    size.facts["counts"] = add_posters(home, n_films, options), n_rated, len(ratings), n_users
    (sources / "new.jpg").write_bytes(poster(1_000_000, (342, 513)))
    run("build", "build")
    run("fit implicit-als", "fit", "implicit-als")
    if _can_fit_ease(n_users, n_rated, size):
        run("fit ease", "fit", "ease")
    run("similar", "similar", str(film))
    recommend = "recommend", "1", "--model", "implicit-als"
    run("recommend, known films", *recommend, "--fresh", "0")
    run("add", "add", str(sources / "new.jpg"), "--title", "A Drawn Film (2030)", "--genre", GENRES[0])
    run("check", "check")
    run("info", "info")
    # The first summarizes all posters and fits the cold start, which the server would do in the background.
    run("recommend, with new films: the first", *recommend)
    run("recommend, with new films", *recommend)
    for step, cost in serve(home, [film, *np.linspace(1, n_films, N_LOOK_UPS, dtype=int).tolist()]).items():
        size.add(step, cost)
    size.n_bytes = {name: sum(map(_disk_bytes, home.glob(pattern))) for name, pattern in PARTS.items()}
    size.save(unfinished)
    unfinished.replace(path)
    for folder in (home, sources):
        shutil.rmtree(folder)


def _can_fit_ease(n_users: int, n_rated: int, size: Size) -> bool:
    """Note what `ease`, whose matrix is of films × films, needs; return whether it can be fitted in little time."""
    from cf.models.ease import BYTES_OF_A_PAIR, EASE

    expected_s = EASE().expected_fit_s(n_users, n_rated) or 0.0
    n_bytes = BYTES_OF_A_PAIR * n_rated**2
    size.facts["ease"] = {"expected_s": expected_s, "n_bytes": n_bytes}
    return expected_s < LONGEST_FIT_S and n_bytes < psutil.virtual_memory().available


PARTS = {
    "catalog": "catalog.sqlite*",
    "ratings": "ratings-*.parquet",
    "posters (drawn, small)": "posters",
    "features": "features",
    "index": "index",
    "item similarities": "cf/item-cosine",
    "implicit-als": "cf/implicit-als",
    "cold start": "cf/cold-start",
    "looks": "looks",
}


def _disk_bytes(path: Path) -> int:
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file()) if path.is_dir() else path.stat().st_size


# Figures are printed.


def report(sizes: list[Size]) -> None:
    from benchmarks.tables import print_header, print_row

    first, last = sizes[0], sizes[-1]
    loads = [load for size in sizes for load in size.loads]
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()} on {os.cpu_count()} cores, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB; load {min(loads):.1f} to {max(loads):.1f}"
    )
    for size in sizes:
        n_features, n_rated, n_ratings, n_users = size.facts["counts"]
        print(
            f"{size.n_films:,} films of {n_features:,} numbers; {n_ratings:,} ratings of {n_rated:,} films by "
            f"{n_users:,} users"
        )
    columns = [name for size in sizes for name in (f"{size.n_films:,} films: s", "s of processors", "MB")]
    print_header(
        f"What each step takes; {last.n_films / first.n_films:g} is linear growth.",
        *("step", *columns, "growth of processor time", "growth of memory"),
    )
    for step in dict.fromkeys(step for size in sizes for step in size.costs):
        cells = [cell for size in sizes for cell in _cells(size.costs.get(step))]
        print_row(step, *cells, *_growth(first.costs.get(step), last.costs.get(step)))
    print_ease(sizes)
    print_ahead(first, last)


def _cells(cost: Cost | None) -> tuple[str, str, str]:
    if cost is None:
        return "–", "–", "–"
    wall, cpu = (
        "–" if one is None else f"{one:.1f}" if one >= 1 else f"{one:.3f}" for one in (cost.wall_s, cost.cpu_s)
    )
    return wall, cpu, "–" if cost.peak_bytes is None else f"{cost.peak_bytes / 1e6:,.0f}"


def _growth(first: Cost | None, last: Cost | None) -> tuple[str, str]:
    if first is None or last is None:
        return "–", "–"
    times = (first.cpu_s, last.cpu_s) if last.cpu_s is not None else (first.wall_s, last.wall_s)
    pairs = (times, (first.peak_bytes, last.peak_bytes))
    one, other = (f"× {after / before:.1f}" if before and after else "–" for before, after in pairs)
    return one, other


def print_ease(sizes: list[Size]) -> None:
    from benchmarks.tables import print_header, print_row

    print_header("`keyart fit ease`, computed for this machine", "films with ratings", "GB of memory", "minutes")
    for size in sizes:
        ease = size.facts["ease"]
        print_row(f"{size.facts['counts'][1]:,}", f"{ease['n_bytes'] / 1e9:.1f}", f"{ease['expected_s'] / 60:.1f}")


def print_ahead(first: Size, last: Size) -> None:
    """Print what every further film adds, and what that is for ten million."""
    from benchmarks.tables import print_header, print_row
    from index.embedding import N_DIMENSIONS
    from index.plan import make_plan

    print_header(f"On the disk, of {last.n_films:,} films", "part", "MB", "bytes a film", f"GB at {N_AHEAD:,} films")
    for part, n_bytes in last.n_bytes.items():
        a_film = n_bytes / last.n_films
        print_row(part, f"{n_bytes / 1e6:,.0f}", f"{a_film:,.0f}", f"{a_film * N_AHEAD / 1e9:,.1f}")
    more = last.n_films - first.n_films
    if not more:
        return
    print_header(
        f"What every film beyond {first.n_films:,} adds, and what that makes of {N_AHEAD:,} films with as many ratings",
        *("step", "ms of processors", "hours of processors", "kB of memory", "GB of memory"),
    )
    for step, cost in last.costs.items():
        before = first.costs.get(step)
        if before is None or before.cpu_s is None or cost.cpu_s is None or not before.peak_bytes or not cost.peak_bytes:
            continue
        added = cost.cpu_s - before.cpu_s, cost.peak_bytes - before.peak_bytes
        a_film_s, a_film_bytes = (max(0.0, one) / more for one in added)
        hours = (cost.cpu_s + a_film_s * (N_AHEAD - last.n_films)) / 3600
        n_bytes = cost.peak_bytes + a_film_bytes * (N_AHEAD - last.n_films)
        print_row(step, f"{1e3 * a_film_s:.2f}", f"{hours:.2f}", f"{a_film_bytes / 1e3:.2f}", f"{n_bytes / 1e9:,.1f}")
    plan = make_plan(N_AHEAD, N_DIMENSIONS, max_memory_bytes=1 << 50, embedded=True)
    print(f"\nindex of {N_AHEAD:,} films: {plan.n_bytes / 1e9:.0f} GB, {plan.n_lists:,} inverted lists, {plan.codec}")


def main() -> None:
    from features.options import ExtractOptions

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--films", type=int, nargs="+", default=[25_000, 100_000])
    parser.add_argument("--ratings", type=Path, help="a MovieLens folder; by default, ratings are drawn")
    parser.add_argument("--copies", type=int, default=10, help="how many times the ratings are taken")
    parser.add_argument("--n-ratings", type=int, default=1_000_000, help="of one copy, where ratings are drawn")
    parser.add_argument("--encoder", default="vgg16", help="a network's name or file")
    parser.add_argument("--preprocessing", help="of the file of a network")
    chosen = parser.parse_args()
    options = ExtractOptions(chosen.encoder, preprocessing=chosen.preprocessing)
    chosen.work.mkdir(parents=True, exist_ok=True)
    one = one_copy(chosen.ratings, chosen.n_ratings)
    sizes = []
    for n_films in sorted(chosen.films):
        path = chosen.work / f"{n_films}.json"
        if not path.exists():
            measure(chosen.work, n_films, copied(one, chosen.copies, n_films), options, path)
        sizes.append(Size.open(path))
    report(sizes)


if __name__ == "__main__":
    # benchmarks/index.py is not the package of that name.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    main()
