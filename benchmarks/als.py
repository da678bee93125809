"""Time an iteration of alternating least squares in keyart, implicit and a local Spark.

The data are a million synthetic ratings by 6,000 users of 4,000 films, both long-tailed; 64 factors, implicit
feedback, float32. Implementations run in turns for several rounds, each in its own process, on the same ratings and
cores; compare the ratios. The time of an iteration is the difference of two fits divided by that of their numbers of
iterations; for implicit, it is the median of the times that it reports. implicit needs its own interpreter, with other
package versions::

    python -m venv DIR && DIR/bin/pip install implicit threadpoolctl
    python benchmarks/als.py --implicit DIR/bin/python [--ratings 1000000] [--factors 64] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

# Python looks for modules beside a script first; the packages are one folder above.
sys.path[0] = str(Path(__file__).resolve().parents[1])

N_USERS, N_FILMS = 6_000, 4_000
WAYS = ("keyart", "implicit, conjugate gradients", "implicit, exact", "Spark")
FEW, MANY = 1, 6
# An iteration of Spark's takes many seconds.
MANY_OF_SPARK = 3
CORES = os.cpu_count() or 1


def synthetic_ratings(n_ratings: int, seed: int = 0) -> sparse.csr_array:
    """Draw ratings with log-normal activity of users and power-law popularity of films."""
    rng = np.random.default_rng(seed)
    users, films = rng.lognormal(0, 1, N_USERS), (np.arange(N_FILMS) + 20.0) ** -0.9
    n_drawn = int(2.5 * n_ratings)
    cells = rng.choice(N_USERS, n_drawn, p=users / users.sum()) * N_FILMS
    cells = np.unique(cells + rng.choice(N_FILMS, n_drawn, p=films / films.sum()))
    cells = rng.permutation(cells)[:n_ratings]
    stars = rng.integers(1, 6, len(cells)).astype(np.float32)
    return sparse.csr_array((stars, (cells // N_FILMS, cells % N_FILMS)), shape=(N_USERS, N_FILMS))


def seconds_per_iteration(fit: Callable[[int], Any], many: int = MANY) -> float:
    """Measure the time that one more iteration adds to a fit."""
    fit(1)
    times = []
    for n_iterations in (FEW, many):
        started = time.perf_counter()
        fit(n_iterations)
        times.append(time.perf_counter() - started)
    return (times[1] - times[0]) / (many - FEW)


def keyart(values: sparse.csr_array, n_factors: int) -> float:
    from cf.models.als import ImplicitALS
    from cf.ratings import RatingMatrix

    ids = (np.arange(1, n + 1, dtype=np.int32) for n in values.shape)
    ratings = RatingMatrix(*ids, values)
    return seconds_per_iteration(lambda n: ImplicitALS(n_factors, n, by_stars=True).fit(ratings))


def implicit(values: sparse.csr_array, n_factors: int, *, exact: bool) -> float:
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    times: list[float] = []
    # As implicit's documentation advises, because it has its own threads.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            n_factors, iterations=MANY, use_cg=not exact, use_gpu=False, num_threads=CORES, random_state=0
        )
        model.fit(sparse.csr_matrix(values), show_progress=False, callback=lambda _n, s, *_: times.append(s))
    return statistics.median(times)


def spark(values: sparse.csr_array, n_factors: int) -> float:
    import pyarrow as pa
    from pyspark.ml.recommendation import ALS

    from catalog.io.spark import session

    cells = values.tocoo()
    columns = {"user": cells.row.astype(np.int32), "item": cells.col.astype(np.int32), "rating": cells.data}
    with session(f"local[{CORES}]") as opened:
        opened.sparkContext.setLogLevel("ERROR")
        frame = opened.createDataFrame(pa.table(columns)).cache()
        frame.count()

        def fit(n_iterations: int) -> None:
            model = ALS(rank=n_factors, maxIter=n_iterations, implicitPrefs=True, seed=0).fit(frame)
            # Spark is lazy: it computes only what is requested.
            model.userFactors.count(), model.itemFactors.count()

        return seconds_per_iteration(fit, MANY_OF_SPARK)


def measure(way: str, path: Path, n_factors: int) -> float:
    values = sparse.csr_array(sparse.load_npz(path))
    if way == "keyart":
        return keyart(values, n_factors)
    if way == "Spark":
        return spark(values, n_factors)
    return implicit(values, n_factors, exact=way.endswith("exact"))


def in_own_process(way: str, path: Path, interpreter: str, n_factors: int) -> float:
    command = [interpreter if way.startswith("implicit") else sys.executable, __file__]
    command += ["--way", way, "--values", str(path), "--factors", str(n_factors)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(output.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--implicit", default=sys.executable, help="a Python that has implicit and threadpoolctl")
    parser.add_argument("--ratings", type=int, default=1_000_000)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--values", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(measure(arguments.way, arguments.values, arguments.factors))
        return
    values = synthetic_ratings(arguments.ratings)
    print(f"{values.nnz:,} ratings, {N_USERS:,} users, {N_FILMS:,} films, {arguments.factors} factors, {CORES} cores")
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "values.npz"
        sparse.save_npz(path, values)
        for _ in range(arguments.rounds):
            for way, measured in times.items():
                measured.append(in_own_process(way, path, arguments.implicit, arguments.factors))
                print(f"{way}: {measured[-1]:.3f} s", flush=True)
    ours = statistics.median(times["keyart"])
    print("\n| way | seconds an iteration | by round | over keyart's |\n|---|---|---|---|")
    for way, measured in times.items():
        median = statistics.median(measured)
        rounds = " ".join(f"{one:.3f}" for one in measured)
        print(f"| {way} | {median:.3f} | {rounds} | {median / ours:.2f} |", flush=True)


if __name__ == "__main__":
    main()
