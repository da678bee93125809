"""Measure request rates of `keyart serve` over the loopback, and the time until its page is usable.

Run it as ``python benchmarks/serve.py --home WORKSPACE``, with wrk and Chromium installed. The server runs in its own
process; wrk, with one thread, shares its cores. Films are drawn at random; their look-alikes are asked for by questions
that the server has to compute, and as the page asks, after it had time to prepare the answers. The limits are
`/healthz`, the cost of HTTP alone, and, for images, the network alone. The page is opened without a cache for films
drawn at random; it is usable when its look-alikes are there, and every poster in the window is painted.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

import numpy as np

# benchmarks/index.py is not the package of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

N_PAGES = 20
# Addresses of one measurement.
N_DRAWN = 10_000
# Lists that begin further down are not prepared, and cost about the same.
OFFSETS = range(1, 25)
# Requests one address after the other, and prints exact results, which wrk itself rounds.
SCRIPT = """
local paths, at = {PATHS}, 0
request = function()
  at = at % #paths + 1
  return wrk.format("GET", paths[at])
end
done = function(summary, latency)
  local errors = summary.errors
  local wrong = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('{"n": %d, "us": %d, "p50": %d, "p99": %d, "errors": %d}\\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99), wrong))
end
"""
USABLE = """() => new Promise((tell) => {
  const look = () => {
    const isSeen = (image) => image.getBoundingClientRect().top < innerHeight;
    const images = [...document.querySelectorAll("img")].filter(isSeen);
    const isFilled = document.querySelector(".hit") && images.every((one) => one.complete);
    if (isFilled) requestAnimationFrame(() => tell(performance.now()));
    else requestAnimationFrame(look);
  };
  look();
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64])
    chosen = parser.parse_args()
    from keyart.workspace.layout import Workspace
    from posters.store import PosterStore

    with PosterStore.open_to_read(Workspace.open(chosen.home).posters_dir) as store:
        posters = {poster.movie_id: poster.path for poster in store.posters()}
    with serving(chosen.home) as port:
        measure_requests(port, list(posters), chosen.connections, chosen.seconds)
        measure_pictures(port, list(posters.values()), chosen.connections, chosen.seconds)
        measure_page(port, list(posters))
    measure_network(chosen.home, list(posters.values()))


@contextmanager
def serving(home: Path) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-c", "from keyart.cli import main; main()", "serve", "--home", str(home), "--port", str(port)]
    server = subprocess.Popen([sys.executable, *words])
    try:
        wait_until_ready(port)
        yield port
    finally:
        server.terminate()
        server.wait(30)


def wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.2)
    raise SystemExit("the server was not ready within two minutes")


def measure_requests(port: int, movie_ids: list[int], connections: list[int], seconds: float) -> None:
    print("| asked | connections | requests/s | p50 (ms) | p99 (ms) | errors |\n|---|---|---|---|---|---|")
    rng = Random(1)
    questions = [f"/api/films/{movie_id}/similar?offset={offset}" for movie_id in movie_ids for offset in OFFSETS]
    rng.shuffle(questions)
    # Each measurement gets its share of the questions.
    new = [questions[start :: len(connections)][:N_DRAWN] for start in range(len(connections))]
    measure("30 look-alikes, computed", port, connections, new, seconds)
    wait_until_prepared(port)
    paths = {
        "30 look-alikes, prepared": [f"/api/films/{movie_id}/similar?k=30" for movie_id in movie_ids],
        "a poster": [f"/posters/{movie_id}?width=320" for movie_id in movie_ids],
        "`/healthz`": ["/healthz"],
    }
    for label, each in paths.items():
        measure(label, port, connections, [rng.choices(each, k=N_DRAWN) for _ in connections], seconds)


def measure(label: str, port: int, connections: list[int], drawn: list[list[str]], seconds: float) -> None:
    for n, paths in zip(connections, drawn, strict=True):
        found = load(port, paths, n, seconds)
        rate = found["n"] / (found["us"] / 1e6)
        times = f"{found['p50'] / 1e3:.1f} | {found['p99'] / 1e3:.1f}"
        print(f"| {label} | {n} | {rate:.0f} | {times} | {found['errors']} |", flush=True)


def wait_until_prepared(port: int) -> None:
    """Leave the server alone until it prepares no more, and say how long that took."""
    started = time.monotonic()
    n_before, n_prepared = -1, 0
    while n_prepared == 0 or n_prepared > n_before:
        time.sleep(5)
        n_before, n_prepared = n_prepared, prepared(port)
    print(f"{n_prepared:,} answers prepared within {time.monotonic() - started:.0f} s", file=sys.stderr)


def prepared(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return next(int(float(line.split()[1])) for line in lines if line.startswith("keyart_prepared_answers "))


def load(port: int, paths: list[str], n: int, seconds: float) -> dict[str, int]:
    """Request addresses by wrk, and return what it has measured."""
    if not (wrk := shutil.which("wrk")):
        raise SystemExit("wrk is not installed; on Debian: apt-get install wrk")
    listed = "{" + ", ".join(json.dumps(path) for path in paths) + "}"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT.replace("{PATHS}", listed))
        script.flush()
        words = [wrk, "-t1", f"-c{n}", f"-d{seconds:.0f}s", "--timeout", "30s", "-s", script.name]
        output = subprocess.run([*words, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True).stdout
    return json.loads(output.splitlines()[-1])


def measure_pictures(port: int, paths: list[Path], connections: list[int], seconds: float) -> None:
    """Send images, each only once, from as many threads as connections; busy servers may refuse some."""
    print("\n| pictures sent by | answered/s | p50 (ms) | p99 (ms) | sent away (503) | other errors |")
    print("|---|---|---|---|---|---|")
    for n in connections:
        with ThreadPoolExecutor(n) as threads:
            responses = list(threads.map(lambda seed: send(port, paths, seed, seconds), range(n)))
        times_ms = 1000 * np.concatenate([times for times, _ in responses])
        statuses = [status for _, others in responses for status in others]
        p50, p99 = np.percentile(times_ms, [50, 99])
        n_busy = statuses.count(503)
        print(
            f"| {n} | {len(times_ms) / seconds:.1f} | {p50:.0f} | {p99:.0f} | {n_busy} | {len(statuses) - n_busy} |",
            flush=True,
        )


def send(port: int, paths: list[Path], seed: int, seconds: float) -> tuple[list[float], list[int]]:
    rng, times, others = Random(seed), [], []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=90)
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        # Bytes after the end of a JPEG are ignored, but make the file a new one to the server.
        content = rng.choice(paths).read_bytes() + rng.randbytes(8)
        connection.request("POST", "/api/similar?k=30", content)
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            times.append(time.perf_counter() - started)
        else:
            others.append(answer.status)
            time.sleep(float(answer.headers.get("Retry-After", 0)))
    connection.close()
    return times, others


def measure_network(home: Path, paths: list[Path]) -> None:
    """Time the network without a server: one image after the other, and 16 at once."""
    import keyart

    print("\n| the network alone | images/s |\n|---|---|")
    with keyart.open(home) as engine:
        for label, size in (("one by one", 1), ("16 at once", 16)):
            engine.embed(paths[:size])
            # Images cache their embeddings, so each size gets new ones; decoding them is not measured.
            images = [engine.load_image(path) for path in paths[:64]]
            started = time.perf_counter()
            for start in range(0, len(images), size):
                engine.embed(images[start : start + size])
            print(f"| {label} | {len(images) / (time.perf_counter() - started):.1f} |")


def measure_page(port: int, movie_ids: list[int]) -> None:
    from playwright.sync_api import sync_playwright

    rng, times = Random(2), []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for _ in range(N_PAGES):
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{port}/?film={rng.choice(movie_ids)}", wait_until="commit")
            times.append(page.evaluate(USABLE))
            context.close()
        browser.close()
    p50, p95 = np.percentile(times, [50, 95])
    print(f"\nThe page is usable after {p50:.0f} ms (median), {p95:.0f} ms (95th percentile of {N_PAGES}).")


if __name__ == "__main__":
    main()
