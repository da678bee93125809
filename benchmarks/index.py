"""Measure speed, memory and recall of the index and of other libraries on features of real posters, and their growth.

Each method builds and saves in one process and searches in another, so that its memory can be measured; methods run one
after the other. Features are computed by the small network of the shared folder, from real posters and from cropped,
mirrored, recolored and compressed variants. Half of the queries are variants of posters in the index, half are of
posters that are not in it. Features are stored in the working folder, where an interrupted run resumes; after a change
of the network or the variants, start with an empty folder. The other libraries are keyart's `bench` extra; hnswlib is
built from source and needs a C++ compiler::

    pip install -e '.[bench]'
    python benchmarks/index.py --shared ../shared --work DIR [--sizes 20000 60000] [--json FILE] [--plot FILE.svg]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib import import_module
from importlib.metadata import distributions, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

# Python looks for modules beside a script first, and would take this file for the package of the same name.
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]

Matrix = npt.NDArray[np.floating]
Search = Callable[[Matrix], npt.NDArray[np.integer]]
"""Maps unit queries of shape (n, d), float32, to the rows of their nearest, shape (n, K)."""

SEED = 0
K = 10
N_QUERIES = 200
# Posters that are in no index, in any variant; the second half of the queries are of these.
N_STRANGERS = N_QUERIES // 2
# Larger than the number of variants of any poster in an index.
QUERY_VARIANT = 1_000_000
BLOCK_ROWS = 256
SAMPLE_ROWS = 2_000
# If two cosines differ by less, float32 may order them either way.
ROUNDING = 2e-6
# Methods that need seconds per query get fewer single queries.
PATIENCE_S, LEAST_QUERIES = 60.0, 20
PROJECTED = 512
GROWTH = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
FLAT, HNSW, OURS, SCAN = "FAISS flat float32", "hnswlib", "keyart shortlist", "FAISS SQfp16"


# The features: float16, memory-mapped, written in blocks.


def augment(data: bytes, rng: np.random.Generator) -> bytes:
    """Crop, mirror, recolor and compress a poster."""
    from PIL import Image, ImageEnhance, ImageOps

    image = Image.open(io.BytesIO(data)).convert("RGB")
    width, height = rng.uniform(0.7, 1.0, 2) * image.size
    left, top = rng.random(2) * (image.width - width, image.height - height)
    image = image.crop((round(left), round(top), round(left + width), round(top + height)))
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(rng.uniform(0.6, 1.4))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=int(rng.integers(25, 90)))
    return stream.getvalue()


def pixels_of(paths: Sequence[Path], number: int, variant: int) -> npt.NDArray[np.uint8]:
    """Read a poster for the network, unchanged (variant 0) or in a random variant."""
    from features.images import read_image

    data = paths[number].read_bytes()
    return read_image(augment(data, np.random.default_rng((SEED, number, variant))) if variant else data)[0]


def grow(path: Path, n: int, width: int, make: Callable[[range], Matrix]) -> None:
    """Extend a .npy file of float16 rows to at least n, block by block.

    The header of a .npy file has room for a longer shape. It is rewritten after each block, so it counts complete rows.
    """

    def write_header(n_rows: int) -> int:
        stream.seek(0)
        header = {"descr": "<f2", "fortran_order": False, "shape": (n_rows, width)}
        np.lib.format.write_array_header_1_0(stream, header)
        return stream.tell()

    begun = path.exists()
    with path.open("r+b" if begun else "w+b") as stream:
        if not begun:
            write_header(0)
            stream.seek(0)
        np.lib.format.read_magic(stream)
        (done, _), _, _ = np.lib.format.read_array_header_1_0(stream)
        first = stream.tell()
        for start in range(done, n, BLOCK_ROWS):
            block = np.asarray(make(range(start, min(start + BLOCK_ROWS, n))), "<f2")
            stream.seek(first + start * width * 2)
            stream.write(block.tobytes())
            write_header(start + len(block))
            if start // BLOCK_ROWS % 16 == 0:
                log(f"{path.name}: {start + len(block):,} of {n:,} rows")


def extract(shared: Path, folder: Path, n: int) -> None:
    """Compute n rows and the queries, unless they exist."""
    from features.encoders.encoder import load_encoder, to_float16
    from features.options import ExtractOptions

    options = ExtractOptions(
        str(shared / "weights" / "squeezenet_v1_1_imagenet.keras"), batch_size=32, preprocessing="caffe"
    )
    encoder = load_encoder(options, folder)
    paths = sorted((shared / "data" / "posters").glob("*.jpg"))
    # Shuffled, because file names are in the order of years.
    order = np.random.default_rng(SEED).permutation(len(paths))
    known, strangers = order[N_STRANGERS:], order[:N_STRANGERS]
    queried = np.concatenate([known[: N_QUERIES - N_STRANGERS], strangers])

    def features(posters: Iterable[int], variants: Iterable[int]) -> Matrix:
        pictures = list(pool.map(lambda poster, variant: pixels_of(paths, poster, variant), posters, variants))
        return to_float16(encoder(np.stack(pictures)), encoder.backbone.name)

    def of_rows(rows: range) -> Matrix:
        return features([int(known[row % len(known)]) for row in rows], [row // len(known) for row in rows])

    def of_queries(rows: range) -> Matrix:
        return features([int(queried[row]) for row in rows], [QUERY_VARIANT for _ in rows])

    width = encoder.identity.n_features
    with ThreadPoolExecutor() as pool:
        grow(folder / "queries.npy", N_QUERIES, width, of_queries)
        grow(folder / "rows.npy", n, width, of_rows)


def project(folder: Path, prefix: str, n_real: int, n: int) -> None:
    """Generate n rows, and queries, with the spectrum of real ones in a basis of few dimensions.

    Each combines two real rows, mean + ((a - mean) + (b - mean)) / √2, which keeps mean, covariances and heavy tails;
    normal noise of the same spectrum would lack the tails.
    """
    rows = mapped(folder / "rows.npy", n_real)
    sample = unit(rows[sample_of(n_real)])
    # The basis of the sample's uncentered second moments, by way of the Gram matrix, which is smaller.
    values, vectors = np.linalg.eigh(sample @ sample.T)
    basis = (sample.T @ vectors[:, -PROJECTED:]) / np.sqrt(values[-PROJECTED:])
    parents = np.concatenate([block @ basis for block in unit_blocks(rows)])
    mean = parents.mean(axis=0)
    parents = (parents - mean) / np.sqrt(2)

    def crosses(seed: int) -> Callable[[range], Matrix]:
        def make(rows: range) -> Matrix:
            # Each row has its own seed, so that it does not depend on where a run starts.
            draws = (np.random.default_rng((SEED, seed, row)).integers((0, 1), len(parents)) for row in rows)
            first, step = np.array(list(draws)).T
            return mean + parents[first] + parents[(first + step) % len(parents)]

        return make

    grow(folder / f"{prefix}queries.npy", N_QUERIES, PROJECTED, crosses(1))
    grow(folder / f"{prefix}rows.npy", n, PROJECTED, crosses(0))


def mapped(path: Path, n: int | None = None) -> Matrix:
    return np.load(path, mmap_mode="r")[:n]


def sample_of(n: int) -> npt.NDArray[np.integer]:
    return np.sort(np.random.default_rng(SEED).permutation(n)[:SAMPLE_ROWS])


def unit(rows: Matrix) -> Matrix:
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def unit_blocks(rows: Matrix) -> Iterator[Matrix]:
    for start in range(0, len(rows), BLOCK_ROWS):
        yield unit(rows[start : start + BLOCK_ROWS])


# The methods. Each receives memory-mapped float16 rows and searches its own files.


Opened = Iterator[tuple[str, Search, dict[str, Any]]]
"""Variants of searching one index: the name of the variant, the search, and further facts."""


class Way(Protocol):
    """The interface of all methods."""

    @property
    def modules(self) -> Sequence[str]:
        """Imports of the method, which do not count as memory of the index."""

    @property
    def copies(self) -> float:
        """Peak memory in multiples of the float32 features; methods that do not fit are skipped."""

    @property
    def reads_features(self) -> bool:
        """Whether searches read the features."""

    def build(self, rows: Matrix, folder: Path) -> Callable[[], None]:
        """Build in memory and return a function that writes the index."""

    def open(self, rows: Matrix, folder: Path) -> Opened:
        """Open the files of `build`."""


class Faiss:
    """A FAISS index without a graph: every row is compared."""

    modules = ("faiss",)
    reads_features = False

    def __init__(self, codes: str, copies: float) -> None:
        self.codes = codes
        # While building, rows are copied whenever the index outgrows its allocation.
        self.copies = copies

    def build(self, rows: Matrix, folder: Path) -> Callable[[], None]:
        """Build in memory and return a function that writes the index."""
        import faiss

        index = faiss.index_factory(rows.shape[1], self.codes, faiss.METRIC_INNER_PRODUCT)
        if not index.is_trained:
            index.train(unit(rows[sample_of(len(rows))]))
        for block in unit_blocks(rows):
            index.add(block)
        return lambda: faiss.write_index(index, str(folder / "index.faiss"))

    def open(self, _rows: Matrix, folder: Path) -> Opened:
        """Open the files of `build`."""
        import faiss

        index = faiss.read_index(str(folder / "index.faiss"))
        yield "", lambda queries: index.search(queries, K)[1], {}


class Hnswlib:
    """A graph; visiting more of it (ef) is slower and more exact."""

    modules = ("hnswlib",)
    reads_features = False
    copies = 1.1

    def build(self, rows: Matrix, folder: Path) -> Callable[[], None]:
        """Build in memory and return a function that writes the index."""
        import hnswlib

        index = hnswlib.Index("cosine", rows.shape[1])
        index.init_index(len(rows), M=16, ef_construction=100, random_seed=SEED)
        for block in unit_blocks(rows):
            index.add_items(block)
        return lambda: index.save_index(str(folder / "index.hnsw"))

    def open(self, rows: Matrix, folder: Path) -> Opened:
        """Open the files of `build`."""
        import hnswlib

        index = hnswlib.Index("cosine", rows.shape[1])
        index.load_index(str(folder / "index.hnsw"), len(rows))
        for ef in (50, 100, 200, 400, 800):
            index.set_ef(ef)
            yield f", ef {ef}", lambda queries: index.knn_query(queries, K)[0].astype(np.int64), {"ef": ef}


class InFloat32:
    """Base of methods that search a float32 matrix in memory; building writes the matrix."""

    reads_features = False

    def build(self, rows: Matrix, folder: Path) -> Callable[[], None]:
        """Write the matrix."""
        with (folder / "matrix.npy").open("wb") as stream:
            header = {"descr": "<f4", "fortran_order": False, "shape": rows.shape}
            np.lib.format.write_array_header_1_0(stream, header)
            for block in unit_blocks(rows):
                stream.write(block.tobytes())
        return lambda: None


class Usearch(InFloat32):
    """usearch's exact search."""

    modules = ("usearch.index",)
    copies = 1.0

    def open(self, _rows: Matrix, folder: Path) -> Opened:
        """Open the files of `build`."""
        from usearch.index import MetricKind, search

        matrix = np.load(folder / "matrix.npy")

        def search_exact(queries: Matrix) -> npt.NDArray[np.integer]:
            keys = search(matrix, queries, K, MetricKind.Cos, exact=True).keys
            return np.atleast_2d(keys).astype(np.int64)

        yield "", search_exact, {}


class ScikitLearn(InFloat32):
    """scikit-learn's brute force, which normalizes the whole matrix for every query."""

    modules = ("sklearn.neighbors",)
    copies = 2.0

    def open(self, _rows: Matrix, folder: Path) -> Opened:
        """Open the files of `build`."""
        from sklearn.neighbors import NearestNeighbors

        neighbors = NearestNeighbors(n_neighbors=K, algorithm="brute", metric="cosine")
        neighbors.fit(np.load(folder / "matrix.npy"))
        yield "", lambda queries: neighbors.kneighbors(queries, return_distance=False), {}


class Keyart:
    """keyart's index of either kind."""

    modules = ("index.cosine", "index.source")
    # Searches read the features, which are on disk anyway.
    reads_features = True

    def __init__(self, kind: Any, copies: float) -> None:
        self.kind = kind
        self.copies = copies

    def build(self, rows: Matrix, folder: Path) -> Callable[[], None]:
        """Build in memory and return a function that writes the index."""
        from index import cosine
        from index.options import IndexOptions

        identity = {"backbone": "squeezenet_v1_1", "n_features": rows.shape[1]}
        index = cosine.CosineIndex.build(films(rows), identity, IndexOptions(kind=self.kind, target_recall=0.99))
        return lambda: index.save(folder)

    def open(self, rows: Matrix, folder: Path) -> Opened:
        """Open the files of `build`."""
        from index import cosine

        index = cosine.CosineIndex.open(folder, films(rows))
        yield (
            "",
            lambda queries: np.stack([found.ids for found in index.search(queries, K)]) - 1,
            {"report": index.record.to_dict()},
        )


def films(rows: Matrix) -> Any:
    """Assign movie_ids from 1, so that confusing a row with a movie_id is detected."""
    from index.source import FilmFeatures

    return FilmFeatures.of(np.arange(1, len(rows) + 1), rows)


WAYS: dict[str, Way] = {
    FLAT: Faiss("Flat", 2.0),
    SCAN: Faiss("SQfp16", 1.0),
    "FAISS SQ8": Faiss("SQ8", 0.5),
    HNSW: Hnswlib(),
    "usearch exact": Usearch(),
    "scikit-learn": ScikitLearn(),
    "keyart exact": Keyart("exact", 2.0),
    OURS: Keyart("shortlist", 0.1),
}


# The measurement.


@dataclass(frozen=True)
class Measured:
    """Measurements of one variant of a method.

    Parameters
    ----------
    way : str
        One of `WAYS`.
    variant : str
        The name of the variant within the method.
    n, width : int
        The shape of the features.
    build_s, save_s, open_s : float
        From mapped float16 rows to an index in memory; from there to its files; from files to the first result.
    build_peak_bytes : int
        Peak memory of the building process, including libraries and mapped features.
    disk_bytes : int
        Size of its own files.
    features_bytes : int
        Size of the features that searches read in addition.
    own_bytes, file_bytes : int
        Resident memory after `n_single` single queries, minus that before opening: private memory, and mapped pages of
        files, which belong to the shared page cache and are released when memory is short.
    single_ms, single_p99_ms, batch_ms : float
        Time of a single query, average and 99th percentile; and per query in a batch of `N_QUERIES`.
    n_single : int
        Number of single queries.
    recall, recall_known, recall_strangers : float
        recall@10 against exact search, ties allowed: of all queries, of posters that are in the index in another
        variant, and of posters that are not in it.
    more : dict
        Further facts of the method.
    """

    way: str
    variant: str
    n: int
    width: int
    build_s: float
    save_s: float
    open_s: float
    build_peak_bytes: int
    disk_bytes: int
    features_bytes: int
    own_bytes: int
    file_bytes: int
    single_ms: float
    single_p99_ms: float
    batch_ms: float
    n_single: int
    recall: float
    recall_known: float
    recall_strangers: float
    more: dict[str, Any] = field(default_factory=dict)


def in_own_process(function: Callable[..., Any], *arguments: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def kilobytes(path: str, *names: str) -> list[int]:
    """Read figures of /proc, in bytes."""
    lines = (line.split() for line in Path(path).read_text().splitlines())
    found = {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[-1] == "kB"}
    return [found[name] for name in names]


def resident() -> npt.NDArray[np.integer]:
    """Return private and file-mapped resident memory of this process, in bytes."""
    everything, own = kilobytes("/proc/self/smaps_rollup", "Rss", "Anonymous")
    return np.array([own, everything - own])


def build(way: str, rows_path: Path, n: int, folder: Path) -> dict[str, Any]:
    """Build and save; runs in its own process."""
    for module in WAYS[way].modules:
        import_module(module)
    begin = time.perf_counter()
    save = WAYS[way].build(mapped(rows_path, n), folder)
    built = time.perf_counter()
    save()
    saved = time.perf_counter()
    # No pending writes may disturb the searches.
    os.sync()
    return {
        "build_s": built - begin,
        "save_s": saved - built,
        # Not getrusage: its peak of a child includes the memory of the parent process.
        "build_peak_bytes": kilobytes("/proc/self/status", "VmHWM")[0],
        "disk_bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    }


def search_all(way: str, rows_path: Path, n: int, queries: Matrix, folder: Path) -> list[dict[str, Any]]:
    """Open an index and run all queries with each variant; runs in its own process."""
    for module in WAYS[way].modules:
        import_module(module)
    before = resident()
    begin = time.perf_counter()
    results = []
    for variant, search, more in WAYS[way].open(mapped(rows_path, n), folder):
        search(queries[:1])
        open_s = time.perf_counter() - begin
        singles = one_at_a_time(search, queries)
        own_bytes, file_bytes = (int(grown) for grown in resident() - before)
        batches = []
        for _ in range(3):
            start = time.perf_counter()
            found = search(queries)
            batches.append((time.perf_counter() - start) / len(queries))
        results.append(
            {
                "variant": variant,
                "open_s": open_s,
                "own_bytes": own_bytes,
                "file_bytes": file_bytes,
                "single_ms": float(np.mean(singles) * 1e3),
                "single_p99_ms": float(np.percentile(singles, 99) * 1e3),
                "batch_ms": float(np.median(batches) * 1e3),
                "n_single": len(singles),
                "found": found,
                "more": more,
            }
        )
    return results


def one_at_a_time(search: Search, queries: Matrix) -> list[float]:
    """Time single queries, all of them unless that takes too long."""
    times: list[float] = []
    for query in queries:
        if len(times) >= LEAST_QUERIES and sum(times) > PATIENCE_S:
            break
        begin = time.perf_counter()
        search(query[None])
        times.append(time.perf_counter() - begin)
    return times


def kth_cosines(rows: Matrix, queries: Matrix) -> Matrix:
    """Find each query's K-th largest cosine by comparing every row."""
    best = np.full((len(queries), K), -np.inf, np.float32)
    for block in unit_blocks(rows):
        best = np.partition(np.hstack([best, queries @ block.T]), -K, axis=1)[:, -K:]
    return best[:, 0]


def recalls(found: npt.NDArray[np.integer], rows: Matrix, queries: Matrix, kth: Matrix) -> Matrix:
    """Return the share of the K nearest found for each query; any of equally near rows counts."""

    def of_one(number: int) -> float:
        hits = np.unique(found[number])
        cosines = unit(rows[hits[hits >= 0]]) @ queries[number]
        return float((cosines >= kth[number] - ROUNDING).sum() / K)

    return np.array([of_one(number) for number in range(len(queries))])


class Bench:
    """One set of features at growing sizes, and the measurements on it.

    Parameters
    ----------
    folder : Path
        Where the features are.
    prefix : str, optional
        Prefix of their file names.
    """

    def __init__(self, folder: Path, prefix: str = "") -> None:
        self.rows_path = folder / f"{prefix}rows.npy"
        self.queries = unit(mapped(folder / f"{prefix}queries.npy"))
        self.scratch = folder / "scratch"
        self.measured: list[Measured] = []
        self.failed: dict[str, str] = {}
        self._kth: dict[int, Matrix] = {}

    def measure(self, way: str, n: int) -> None:
        """Measure one method at one size, unless that has been done."""
        if any(one.way == way and one.n == n for one in self.measured):
            return
        log(f"{way} at {n:,} × {self.queries.shape[1]:,}")
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()
        try:
            self._check_memory(way, n)
            self._read_features(n)
            built = in_own_process(build, way, self.rows_path, n, self.scratch)
            results = in_own_process(search_all, way, self.rows_path, n, self.queries, self.scratch)
            self.measured += [self._judged(way, n, built, result) for result in results]
        except Exception as error:
            # A method that is not installed, or does not fit, is reported; the others run.
            self.failed[f"{way} at {n:,}"] = f"{type(error).__name__}: {error}"
            log(f"failed: {self.failed[f'{way} at {n:,}']}")
        finally:
            shutil.rmtree(self.scratch)

    def of(self, way: str, n: int | None = None) -> list[Measured]:
        """Return the measurements of a method in order of size."""
        found = [one for one in self.measured if one.way == way and n in (None, one.n)]
        return sorted(found, key=lambda one: one.n)

    def _check_memory(self, way: str, n: int) -> None:
        needed = WAYS[way].copies * n * self.queries.shape[1] * 4
        (available,) = kilobytes("/proc/meminfo", "MemAvailable")
        if needed > available:
            raise MemoryError(f"needs {needed / 1e9:.1f} GB, {available / 1e9:.1f} GB are free")

    def _read_features(self, n: int) -> None:
        """Read the features back into the page cache, from which a large method may have evicted them."""
        for start in range(0, n, BLOCK_ROWS):
            mapped(self.rows_path, n)[start : start + BLOCK_ROWS].tobytes()

    def _judged(self, way: str, n: int, built: dict[str, Any], result: dict[str, Any]) -> Measured:
        rows = mapped(self.rows_path, n)
        if n not in self._kth:
            self._kth[n] = kth_cosines(rows, self.queries)
        by_query = recalls(result.pop("found"), rows, self.queries, self._kth[n])
        return Measured(
            way=way,
            n=n,
            width=rows.shape[1],
            features_bytes=rows.nbytes if WAYS[way].reads_features else 0,
            recall=float(by_query.mean()),
            recall_known=float(by_query[:-N_STRANGERS].mean()),
            recall_strangers=float(by_query[-N_STRANGERS:].mean()),
            **built,
            **result,
        )


# The report.


def wanted(bench: Bench, sizes: Sequence[int]) -> Iterator[tuple[str, str, bool]]:
    """Compare measurements with targets: the target, the value reached, and whether it is met."""
    n = sizes[0]
    if not (ours_found := bench.of(OURS, n)):
        return
    ours = ours_found[0]
    yield f"recall@10 at {n:,} ≥ 0.99", f"{ours.recall:.4f}", ours.recall >= 0.99
    for flat in bench.of(FLAT, n):
        ratio = flat.single_ms / ours.single_ms
        yield f"one query ≤ 1/30 of {FLAT}", f"1/{ratio:.1f}", ratio >= 30
    if graphs := bench.of(HNSW, n):
        # The first variant that is as exact, or else the most exact one.
        equal = next((one for one in graphs if one.recall >= ours.recall), graphs[-1])
        ratio = equal.single_ms / ours.single_ms
        name = f"{HNSW}{equal.variant} (recall@10 {equal.recall:.3f})"
        yield f"one query ≤ 1/4 of {name}", f"1/{ratio:.1f}", ratio >= 4
        ratio = equal.build_s / ours.build_s
        yield f"build ≤ 1/3 of {HNSW}", f"1/{ratio:.1f}", ratio >= 3
    in_float32 = 4 * n * ours.width
    for name, held in (("own", ours.own_bytes), ("own and mapped", ours.own_bytes + ours.file_bytes)):
        ratio = in_float32 / max(held, 1)
        yield f"resident memory, {name}, ≤ 1/20 of float32", f"1/{ratio:.1f}", ratio >= 20
    for last in bench.of(OURS, sizes[-1]) if len(sizes) > 1 else []:
        slower, larger = last.single_ms / ours.single_ms, last.n / n
        yield f"one query from {n:,} to {last.n:,} < {larger:.1f} ×", f"{slower:.2f} ×", slower < larger


def table(bench: Bench, n: int) -> Iterator[str]:
    """Yield the table of one size for the documentation."""
    yield (
        f"| {n:,} films | build, s | memory, MB | mapped, MB | disk, MB | one query, ms | 99 %, ms | in a batch, ms "
        "| recall@10 | of strangers |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for way in WAYS:
        for one in bench.of(way, n):
            features = f" + {one.features_bytes / 1e6:,.0f}" if one.features_bytes else ""
            yield (
                f"| {one.way}{one.variant} | {one.build_s:,.1f} | {one.own_bytes / 1e6:,.0f} "
                f"| {one.file_bytes / 1e6:,.0f} | {one.disk_bytes / 1e6:,.0f}{features} | {one.single_ms:,.2f} "
                f"| {one.single_p99_ms:,.2f} | {one.batch_ms:,.2f} | {one.recall:.4f} | {one.recall_strangers:.4f} |"
            )


def growth_table(real: Bench, projected: Bench) -> Iterator[str]:
    yield "| films | numbers each | | build, s | one query, ms | own memory, MB | recall@10 |"
    yield "|---|---|---|---|---|---|---|"
    for bench, ways in ((real, (FLAT, OURS)), (projected, (SCAN, OURS))):
        for way in ways:
            for one in bench.of(way):
                yield (
                    f"| {one.n:,} | {one.width:,} | {way} | {one.build_s:,.1f} | {one.single_ms:,.2f} "
                    f"| {one.own_bytes / 1e6:,.0f} | {one.recall:.4f} |"
                )


def plot(real: Bench, projected: Bench, path: Path) -> None:
    """Draw latency and memory over the number of films."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    # The same measurements give the same file.
    matplotlib.rcParams["svg.hashsalt"] = "keyart"
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
    lines = (
        (real, FLAT, "C7", "-", f"{FLAT}, posters"),
        (real, OURS, "C0", "-", f"{OURS}, posters"),
        (projected, SCAN, "C7", "--", f"{SCAN}, {PROJECTED} made-up numbers"),
        (projected, OURS, "C0", "--", f"{OURS}, {PROJECTED} made-up numbers"),
    )
    for bench, way, color, style, label in lines:
        found = bench.of(way)
        for axis, values in (
            (axes[0], [one.single_ms for one in found]),
            (axes[1], [one.own_bytes / 1e6 for one in found]),
        ):
            axis.plot([one.n for one in found], values, marker="o", color=color, linestyle=style, label=label)
    for axis, title in zip(axes, ("one query, ms", "own memory, MB"), strict=True):
        axis.set(xscale="log", yscale="log", xlabel="films", title=title)
        axis.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize="small")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def machine() -> str:
    """Describe the machine, the packages and the date."""
    flags = Path("/proc/cpuinfo").read_text().split()
    vectors = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else platform.machine()
    (memory,) = kilobytes("/proc/meminfo", "MemTotal")
    # Other libraries may be missing.
    installed = {distribution.name for distribution in distributions()}
    packages = [name for name in ("numpy", "faiss-cpu", "hnswlib", "usearch", "scikit-learn") if name in installed]
    return (
        f"{os.cpu_count()} cores ({vectors}), {memory / 2**30:.0f} GB, {platform.system()}, "
        f"Python {platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in packages)}. "
        f"{date.today().isoformat()}; the load average was {os.getloadavg()[0]:.1f} at the beginning."
    )


def log(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--shared", type=Path, required=True, help="the folder with data/posters and weights")
    parser.add_argument("--work", type=Path, required=True, help="where features are kept; 50 kB a film, and as much")
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, 60_000], help="numbers of films, ascending")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS), help="by default all")
    parser.add_argument(
        "--growth", type=int, nargs="*", default=list(GROWTH), help="sizes of the curve; none: no curve"
    )
    parser.add_argument("--plot", type=Path, help="where the curve is drawn, .svg or .png")
    parser.add_argument("--json", type=Path, help="where all figures are written")
    options = parser.parse_args()
    head = f"```\npython benchmarks/index.py {shlex.join(sys.argv[1:])}\n```\n\n{machine()}\n"
    options.work.mkdir(parents=True, exist_ok=True)
    # In another process, so that TensorFlow's memory and threads end with it.
    in_own_process(extract, options.shared, options.work, max(options.sizes))
    real = Bench(options.work)
    for n in options.sizes:
        for way in options.ways:
            real.measure(way, n)
    benches = {"posters": real}
    if options.growth:
        prefix = f"projected-{min(options.sizes)}-"
        in_own_process(project, options.work, prefix, min(options.sizes), max(options.growth))
        projected = benches["projected"] = Bench(options.work, prefix)
        for n in options.growth:
            if n <= max(options.sizes):
                real.measure(FLAT, n)
                real.measure(OURS, n)
            projected.measure(SCAN, n)
            projected.measure(OURS, n)
    print(head)
    for n in options.sizes:
        print("\n".join(table(real, n)), end="\n\n")
    print("| wanted | reached | met |\n|---|---|---|")
    verdicts = list(wanted(real, options.sizes))
    for what, reached, met in verdicts:
        print(f"| {what} | {reached} | {'yes' if met else 'no'} |")
    if options.growth:
        print("", *growth_table(real, projected), sep="\n")
    for bench in benches.values():
        for what, reason in bench.failed.items():
            print(f"\nnot measured: {what}: {reason}")
    if options.json:
        figures = {
            name: {"measured": [asdict(one) for one in bench.measured], "failed": bench.failed}
            for name, bench in benches.items()
        }
        options.json.write_text(json.dumps({"head": head, "wanted": verdicts, **figures}, indent=1, default=str))
    if options.growth and options.plot:
        plot(real, projected, options.plot)


if __name__ == "__main__":
    main()
