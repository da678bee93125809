"""How fast `keyart serve` finds look-alikes by movie_id: requests a second and times, over the loopback.

Run it as ``python benchmarks/serve.py --home WORKSPACE``. The server is a process of its own; the client, with as many
threads as connections, shares its cores. Every request asks about a film drawn at random.
"""

from __future__ import annotations

import argparse
import http.client
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import numpy as np

from keyart.workspace import Workspace
from posters.store import PosterStore


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64])
    chosen = parser.parse_args()
    with PosterStore.open_to_read(Workspace.open(chosen.home).posters_dir) as store:
        movie_ids = [poster.movie_id for poster in store.posters()]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-c", "from keyart.cli import main; main()", "serve", "--home", str(chosen.home), "--port", str(port)]
    server = subprocess.Popen([sys.executable, *words])
    try:
        _wait(port)
        print("| connections | requests/s | p50 (ms) | p99 (ms) | errors |\n|---|---|---|---|---|")
        for n in chosen.connections:
            print(_row(port, movie_ids, n, chosen.seconds))
    finally:
        server.terminate()
        server.wait(30)


def _wait(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the server did not start within a minute")


def _row(port: int, movie_ids: list[int], n: int, seconds: float) -> str:
    started = time.perf_counter()
    with ThreadPoolExecutor(n) as threads:
        asked = list(threads.map(lambda seed: _ask(port, movie_ids, seed, seconds), range(n)))
    lasted = time.perf_counter() - started
    times_ms = 1000 * np.concatenate([times for times, _ in asked])
    p50, p99 = np.percentile(times_ms, [50, 99])
    return f"| {n} | {len(times_ms) / lasted:.0f} | {p50:.1f} | {p99:.1f} | {sum(errors for _, errors in asked)} |"


def _ask(port: int, movie_ids: list[int], seed: int, seconds: float) -> tuple[list[float], int]:
    rng, times, n_errors = Random(seed), [], 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        connection.request("GET", f"/api/films/{rng.choice(movie_ids)}/similar?k=30")
        answer = connection.getresponse()
        answer.read()
        times.append(time.perf_counter() - started)
        n_errors += answer.status != 200
    connection.close()
    return times, n_errors


if __name__ == "__main__":
    main()
