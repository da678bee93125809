"""Time queries of a whitened index beside FAISS and hnswlib on the features themselves, and count memory.

    python benchmarks/look_alike_search.py --features DIR [--films 20000] [--queries 200] [--hnsw]
    python benchmarks/look_alike_search.py --features DIR --embedded 1000000
    python benchmarks/look_alike_search.py --features DIR --regions [--films 20000]

DIR holds features of real posters, as `benchmarks/look_alikes.py` or `keyart extract --out` writes them. Films beyond
those are mixtures of three posters, whose features stay about as sparse and as much alike. Every way answers the same
queries, one at a time and on one thread, in turns; the whitened index also one by a film that it holds, which needs no
embedding.

With --embedded, films are drawn as embeddings, for features of a million would be 50 GB: a real poster's embedding and
as much noise, which has the real ones' variance along each of their principal directions.

With --regions, the look-alikes by a region are timed: the first question reads the features of all films, later ones by
the same region do not. Films beyond the real ones are copies of them.

Memory is what a process that opens the index takes more after the queries than before: its own, and the pages of mapped
files that it has read (Rss of /proc/self/smaps_rollup).
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

# benchmarks/index.py is not the package of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

Search = Callable[[npt.NDArray[np.float32]], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, required=True, help="a folder of features of real posters")
    parser.add_argument("--films", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--hnsw", action="store_true", help="also build hnswlib's graph, which takes minutes")
    parser.add_argument("--embedded", type=int, help="time that many films, drawn as embeddings, and nothing else")
    parser.add_argument("--regions", action="store_true", help="time regions of posters, and nothing else")
    arguments = parser.parse_args()
    import faiss

    faiss.omp_set_num_threads(1)
    rng = np.random.default_rng(0)
    real, shape = read_features(arguments.features)
    if arguments.regions:
        regions(real, shape, arguments.films)
        return
    if arguments.embedded:
        drawn(real, shape, arguments.embedded, arguments.queries, rng)
        return
    rows = mixtures(real, arguments.films, rng)
    queries = mixtures(real, arguments.queries, rng)
    with tempfile.TemporaryDirectory() as folder:
        ways, n_bytes = whitened(rows, shape, Path(folder))
        flat = faiss.IndexFlatIP(rows.shape[1])
        for start in range(0, len(rows), 1000):
            flat.add(units(rows[start : start + 1000]))
        ways["FAISS flat"] = lambda query: flat.search(units(query), 10)
        n_bytes["FAISS flat"] = rows.size * 4
        if arguments.hnsw:
            ways["hnswlib"], n_bytes["hnswlib"] = graph(rows)
        report(timed(ways, queries), n_bytes)


def read_features(folder: Path) -> tuple[npt.NDArray[np.float16], tuple[int, ...] | None]:
    from features.store import FeatureStore

    store = FeatureStore.open(folder)
    return np.concatenate(list(store.blocks(store.rows()))), store.row_shape()


def mixtures(real: npt.NDArray[np.float16], n: int, rng: np.random.Generator) -> npt.NDArray[np.float16]:
    """Mix three posters into each film, mostly the first."""
    rows = np.empty((n, real.shape[1]), np.float16)
    for row in rows:
        first, second, third = (real[rng.integers(len(real))].astype(np.float32) for _ in range(3))
        row[:] = np.maximum(0.7 * first + 0.3 * second - 0.2 * third, 0)
    return rows


def units(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    from index.vectors import unit_rows

    return unit_rows(rows, None)[0]


def whitened(
    rows: npt.NDArray[np.float16], shape: tuple[int, ...] | None, folder: Path
) -> tuple[dict[str, Search], dict[str, int]]:
    from index.cosine import CosineIndex
    from index.options import IndexOptions
    from index.source import FilmFeatures

    features = FilmFeatures.of(np.arange(len(rows)), rows)
    identity = {"backbone": "benchmark", "n_features": rows.shape[1]}
    began = time.perf_counter()
    built = CosineIndex.build(features, identity, IndexOptions(similarity="whitened"), map_shape=shape)  # type: ignore[arg-type]
    quality = built.record.build.quality
    print(f"whitened: {built.kind}, built in {time.perf_counter() - began:.0f} s, recall {quality.recall}")
    built.save(folder)
    index = CosineIndex.open(folder)
    embedding = index.embedding
    if embedding is None:
        raise RuntimeError("this index has no embedding")
    took_ms = [took(lambda row=row: embedding.units(row), 1) for row in rows[:100, None]]  # type: ignore[misc]
    print(f"embedding of one picture: median {np.median(took_ms):.2f} ms")
    films = itertools.cycle(np.random.default_rng(1).permutation(len(rows)).tolist())
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        used = pool.submit(memory_of, folder, rows[:200]).result()
    ways: dict[str, Search] = {
        "whitened": lambda query: index.search(query, 10),
        "whitened, a film": lambda _query: index.similar([next(films)], 10),
    }
    return ways, dict.fromkeys(ways, used)


def memory_of(folder: Path, queries: npt.NDArray[np.floating], rows_path: Path | None = None) -> int:
    """Open an index in a process of its own, search it, and return how many bytes more the process then takes."""
    from index.cosine import CosineIndex
    from index.source import FilmFeatures

    before = resident_bytes()
    features = None
    if rows_path is not None:
        rows = np.load(rows_path, mmap_mode="r")
        features = FilmFeatures.of(np.arange(len(rows)), np.asarray(rows))
    index = CosineIndex.open(folder, features)
    for query in queries:
        index.search(query[None], 10)
    return resident_bytes() - before


def resident_bytes() -> int:
    (line,) = (line for line in Path("/proc/self/smaps_rollup").read_text().splitlines() if line.startswith("Rss:"))
    return int(line.split()[1]) * 1024


def regions(real: npt.NDArray[np.float16], shape: tuple[int, ...] | None, n: int) -> None:
    from index.cosine import CosineIndex
    from index.options import IndexOptions
    from index.region import Region
    from index.source import FilmFeatures

    if shape is None:
        raise SystemExit("these features are no maps, so they have no regions")
    copies = np.arange(n) % len(real)
    features = FilmFeatures(np.arange(1, n + 1), [real], np.zeros(n, np.int64), copies, [""] * n)
    identity = {"backbone": "benchmark", "n_features": real.shape[1]}
    options = IndexOptions(similarity="whitened")
    index = CosineIndex.build(features, identity, options, map_shape=shape)  # type: ignore[arg-type]
    for region in (Region(0, 0, 7, 3), Region(2, 2, 2, 2)):
        comparison = index.region_comparison(region, features, shape)  # type: ignore[arg-type]
        for question, film in (("first", 1), ("later", 2)):
            cpu_s = time.process_time()
            took_s = took(partial(comparison.scan, film), 1) / 1e3
            cpu_s = time.process_time() - cpu_s
            print(
                f"{n:,} films, region {region}, {question} question: {took_s:.2f} s, {cpu_s:.2f} s of a core",
                flush=True,
            )


def drawn(
    real: npt.NDArray[np.float16], shape: tuple[int, ...] | None, n: int, n_queries: int, rng: np.random.Generator
) -> None:
    """Build an index of drawn embeddings, as of a whitened index, and time queries of other ones."""
    from index.cosine import CosineIndex
    from index.embedding import WhitenedEmbedding
    from index.options import IndexOptions
    from index.plan import make_plan
    from index.source import FilmFeatures

    embedding = WhitenedEmbedding.fit(FilmFeatures.of(np.arange(len(real)), real), shape, rng)  # type: ignore[arg-type]
    posters = np.concatenate([embedding.units(real[start : start + 500]) for start in range(0, len(real), 500)])
    variances, directions = np.linalg.eigh(posters.T @ posters / len(posters))
    noise = (directions * np.sqrt(np.maximum(variances, 0))).T.astype(np.float32)

    def draw(n_rows: int) -> npt.NDArray[np.float32]:
        normal = rng.standard_normal((n_rows, len(noise)), dtype=np.float32)
        return units(posters[rng.integers(len(posters), size=n_rows)] + units(normal @ noise))

    rows = np.empty((n, posters.shape[1]), np.float16)
    for start in range(0, n, 5000):
        rows[start : start + 5000] = draw(min(5000, n - start))
    queries = draw(n_queries)
    plan = make_plan(n, rows.shape[1], embedded=True)
    print(f"plan: {plan}")
    identity = {"backbone": "benchmark", "n_features": rows.shape[1]}
    options = IndexOptions(similarity="cosine")
    index = CosineIndex.build(FilmFeatures.of(np.arange(n), rows), identity, options, plan=plan)
    record = index.record
    print(f"built in {record.build.build_s:.0f} s, recall {record.build.quality.recall}, {record.settings}")
    with tempfile.TemporaryDirectory() as folder:
        rows_path = Path(folder) / "rows.npy"
        np.save(rows_path, rows)
        index.save(Path(folder) / "index")
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            n_bytes = pool.submit(memory_of, Path(folder) / "index", queries, rows_path).result()
    times = [took(lambda query=query: index.search(query[None], 10), 1) for query in queries]  # type: ignore[misc]
    fast, median, slowest = np.percentile(times, (5, 50, 99))
    print(f"query: 5 % below {fast:.2f} ms, median {median:.2f} ms, p99 {slowest:.2f} ms; {n_bytes / 1e9:.2f} GB")


def graph(rows: npt.NDArray[np.float16]) -> tuple[Search, int]:
    import hnswlib

    index = hnswlib.Index("ip", rows.shape[1])
    index.init_index(len(rows), ef_construction=200, M=16)
    for start in range(0, len(rows), 500):
        index.add_items(units(rows[start : start + 500]), np.arange(start, min(start + 500, len(rows))))
    index.set_ef(100)
    index.set_num_threads(1)
    return lambda query: index.knn_query(units(query), 10), rows.size * 4 + len(rows) * 16 * 8


def took(work: Callable[[], object], n: int) -> float:
    """Return the milliseconds that work takes, on average of n times."""
    began = time.perf_counter()
    for _ in range(n):
        work()
    return (time.perf_counter() - began) * 1e3 / n


def timed(ways: dict[str, Search], queries: npt.NDArray[np.float16]) -> dict[str, npt.NDArray[np.float64]]:
    """Answer every query in every way, the ways in turns, so that other work on the machine slows all of them."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for query in queries[:, None].astype(np.float32):
        for name, search in ways.items():
            times[name].append(took(lambda search=search, query=query: search(query), 1))  # type: ignore[misc]
    return {name: np.array(values) for name, values in times.items()}


def report(times: dict[str, npt.NDArray[np.float64]], n_bytes: dict[str, int]) -> None:
    print("\n| way | median, ms | p99, ms | × whitened | MB |\n|---|---|---|---|---|")
    base = np.median(times["whitened"])
    for name, values in times.items():
        median, slowest = np.percentile(values, (50, 99))
        print(f"| {name} | {median:.2f} | {slowest:.2f} | {median / base:.1f} | {n_bytes[name] / 1e6:,.0f} |")


if __name__ == "__main__":
    main()
