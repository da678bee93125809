"""Measure ``keyart fetch`` and other tools against an HTTP server on the loopback.

Prints the tables of docs/benchmarks.md. Server and tools run on this machine, the tools in turns for several rounds, so
that other load affects all of them alike. img2dataset needs its own environment::

    python -m venv /tmp/img2dataset && /tmp/img2dataset/bin/pip install img2dataset
    python benchmarks/fetch.py --img2dataset /tmp/img2dataset/bin/img2dataset
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import math
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from PIL import Image

from catalog.film import Film
from catalog.films import Catalog
from keyart.workspace.layout import Workspace

KEY = "0" * 32
N_DRAWN = 64
N_CORES = os.cpu_count() or 1
SERVE = "serve"
OURS = "keyart fetch --rate 0"

SHARE_OF_FAULTS = 0.3
# The server lowers its limit to this many requests per second after so many films.
LOWERED = 5
N_BEFORE_LIMIT = 40


# The server: TMDB's API and image host in one, and lightweight, because it shares the processors.


def draw_poster(seed: int, size: tuple[int, int]) -> bytes:
    rng = random.Random(seed)
    noise = Image.effect_noise((size[0] // 6 + 1, size[1] // 6 + 1), 60).resize(size, Image.Resampling.BICUBIC)
    plain = Image.new("RGB", size, tuple(rng.randrange(256) for _ in range(3)))
    stream = io.BytesIO()
    Image.blend(plain, noise.convert("RGB"), 0.7).save(stream, "JPEG", quality=85)
    return stream.getvalue()


class Server(asyncio.Protocol):
    """One connection to the server; class attributes are shared by all connections."""

    posters: ClassVar[list[bytes]]
    port: ClassVar[int]
    trouble: ClassVar[str] = ""
    # When films were requested, and which of these requests were not throttled.
    requested_at: ClassVar[list[float]] = []
    accepted_at: ClassVar[list[float]] = []
    images_accepted_at: ClassVar[list[float]] = []
    rng: ClassVar[random.Random] = random.Random(0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start an empty buffer."""
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        """Answer every complete request."""
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            self.answer(head.split(b" ", 2)[1].partition(b"?")[0].decode())
            if b"connection: close" in head.lower():
                self.transport.close()

    def answer(self, path: str) -> None:
        """Answer as TMDB does, on a good or a bad day, and list under /times when films were requested."""
        is_image = path.startswith("/t/p/")
        if is_image or path.startswith("/3/movie/"):
            if not is_image:
                self.requested_at.append(time.monotonic())
            if self.misbehaves(self.images_accepted_at if is_image else self.accepted_at):
                return
        self.serve(path)

    def misbehaves(self, accepted_at: list[float]) -> bool:
        """Answer with a fault, if it is time for one."""
        now_s = time.monotonic()
        kind, _, retry_after = self.trouble.partition("+")
        limited = kind == "limit" and len(accepted_at) >= N_BEFORE_LIMIT
        if limited and sum(at_s > now_s - 1.0 for at_s in accepted_at[-LOWERED:]) >= LOWERED:
            self.fail(429, retry_after)
            return True
        accepted_at.append(now_s)
        if kind != "faults" or self.rng.random() >= SHARE_OF_FAULTS:
            return False
        match self.rng.choice((429, 500, 503, "reset", "cut")):
            case int(status):
                self.fail(status, retry_after if status == 429 else "")
            case "reset":
                self.transport.abort()
            case "cut":
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
                self.transport.close()
        return True

    def fail(self, status: int, retry_after: str = "") -> None:
        more = f"Retry-After: {retry_after}\r\n" if retry_after else ""
        self.transport.write(f"HTTP/1.1 {status} Trouble\r\n{more}Content-Length: 0\r\n\r\n".encode())

    def serve(self, path: str) -> None:
        """Answer as on a good day."""
        content_type = b"application/json"
        if path.startswith("/t/p/"):
            number = int(path.rpartition("/p")[2].removesuffix(".jpg"))
            # Bytes after the image are ignored but make files differ: one file for many films counts as a placeholder.
            content_type, body = b"image/jpeg", self.posters[number % N_DRAWN] + b"%d" % number
        elif path == "/3/configuration":
            base = f"http://127.0.0.1:{self.port}/t/p/"
            body = json.dumps({"images": {"secure_base_url": base, "poster_sizes": ["w342"]}}).encode()
        elif path == "/times":
            body = json.dumps({"requested": self.requested_at, "accepted": self.accepted_at}).encode()
        else:
            number = int(path.rpartition("/")[2])
            body = json.dumps({"id": number, "poster_path": f"/p{number}.jpg"}).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (content_type, len(body))
        self.transport.write(head + body)


async def serve(width: int, trouble: str) -> None:
    Server.trouble = trouble
    Server.posters = [draw_poster(seed, (width, width * 3 // 2)) for seed in range(N_DRAWN)]
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    Server.port = server.sockets[0].getsockname()[1]
    print(Server.port, sum(map(len, Server.posters)) // N_DRAWN, flush=True)
    await server.serve_forever()


@contextmanager
def served(width: int, trouble: str = "") -> Iterator[tuple[str, int]]:
    """Run the server in another process; yields its address and the mean size of a poster."""
    process = subprocess.Popen(
        [sys.executable, __file__, SERVE, str(width), trouble], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        port, n_bytes = map(int, process.stdout.readline().split())
        yield f"http://127.0.0.1:{port}", n_bytes
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


# The tools. Each fetches the posters of some films and returns seconds, by this clock and by its own.


def run_keyart(address: str, n_films: int, *words: str) -> tuple[float, int, dict[str, float]]:
    """Run ``keyart fetch`` and return its seconds, its peak memory in bytes and its own report."""
    with tempfile.TemporaryDirectory() as home:
        workspace = Workspace.create(Path(home))
        films = [
            Film(number, f"The Film with the Number {number}", 1990, f"{number:07}", number)
            for number in range(1, n_films + 1)
        ]
        Catalog.create(workspace.catalog_path, films, {"numbering": "movielens", "source": "benchmark"})
        environment = {**os.environ, "TMDB_API_KEY": KEY, "KEYART_TMDB_URL": f"{address}/3"}
        began_s = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-c", "from keyart.cli import main; main()", "fetch", "--json", "--home", home, *words],
            env=environment,
            stdout=subprocess.PIPE,
        )
        assert process.stdout
        out = process.stdout.read()
        _, code, usage = os.wait4(process.pid, 0)
        elapsed_s = time.monotonic() - began_s
        process.returncode = os.waitstatus_to_exitcode(code)
        report = json.loads(out)
        assert report["n_ok"] == n_films, report
        return elapsed_s, usage.ru_maxrss * 1024, report


def race_keyart(*words: str) -> Callable[[str, int], tuple[float, float]]:
    def race(address: str, n_films: int) -> tuple[float, float]:
        elapsed_s, _, report = run_keyart(address, n_films, *words)
        return elapsed_s, report["elapsed_s"]

    return race


def race_img2dataset(command: str, *more: str) -> Callable[[str, int], tuple[float, float]]:
    def race(address: str, n_films: int) -> tuple[float, float]:
        with tempfile.TemporaryDirectory() as folder:
            urls = Path(folder, "urls.txt")
            urls.write_text("".join(f"{address}/t/p/w342/p{number}.jpg\n" for number in range(1, n_films + 1)))
            words = "--output_format files --resize_mode no --enable_wandb False"
            words += f" --processes_count {N_CORES} --thread_count 64 --number_sample_per_shard {n_films // N_CORES}"
            began_s = time.monotonic()
            ended = subprocess.run(
                [command, "--url_list", str(urls), "--output_folder", f"{folder}/out", *words.split(), *more],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"},
            )
            elapsed_s = time.monotonic() - began_s
            n_came = len(list(Path(folder, "out").rglob("*.jpg")))
            assert n_came == n_films, (n_came, ended.stdout[-2000:])
            own = re.findall(r"total .* images per sec: (\d+)", ended.stdout + ended.stderr)
            return elapsed_s, n_films / int(own[-1])

    return race


SCRIPT = """
import sys, requests
address, n_films, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
session = requests.Session()
for number in range(1, n_films + 1):
    film = session.get(f"{address}/3/movie/{number}", timeout=10).json()
    poster = session.get(f"{address}/t/p/w342{film['poster_path']}", timeout=10).content
    open(f"{folder}/{number}.jpg", "wb").write(poster)
"""


def race_script(address: str, n_films: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        began_s = time.monotonic()
        subprocess.run([sys.executable, "-c", SCRIPT, address, str(n_films), folder], check=True)
        elapsed_s = time.monotonic() - began_s
        return elapsed_s, elapsed_s


# The measurements.


def busiest_second(times: list[float]) -> int:
    return max(bisect_left(times, begin + 1.0) - number for number, begin in enumerate(times))


def measure_rate(n_films: int, rate: int) -> None:
    with served(342) as (address, _):
        run_keyart(address, n_films, "--rate", str(rate))
        times = sorted(json.load(urllib.request.urlopen(f"{address}/times"))["requested"])
    sustained = (len(times) - 1) / (times[-1] - times[0])
    print(f"\n| {n_films:,} posters at `--rate {rate}` | wanted | reached |\n|---|---|---|")
    print(f"| look-ups a second, sustained | 97 % of {rate} | {sustained:.2f} ({sustained / rate:.1%}) |")
    print(f"| most in any second, as the server saw it | {rate} | {busiest_second(times)} |")


def measure_bad_day(n_films: int, rate: int) -> None:
    """Fetch from a server in trouble."""
    troubles = {
        "": "undisturbed",
        "faults": "30 % of requests: 429, 500, 503, reset or cut body",
        "faults+1": "the same, the 429 with `Retry-After: 1`",
        "limit": f"limit lowered to {LOWERED}/s",
        "limit+1": f"limit lowered to {LOWERED}/s, with `Retry-After: 1`",
    }
    print(f"\n| {n_films:,} films at `--rate {rate}` | seconds | undisturbed | most in any second | accepted/s later |")
    print("|---|---|---|---|---|")
    undisturbed_s = math.nan
    for trouble, name in troubles.items():
        with served(342, trouble) as (address, _):
            _, _, report = run_keyart(address, n_films, "--rate", str(rate))
            times = json.load(urllib.request.urlopen(f"{address}/times"))
        elapsed_s = report["elapsed_s"]
        undisturbed_s = elapsed_s if not trouble else undisturbed_s
        accepted = times["accepted"][N_BEFORE_LIMIT:]
        per_s = f"{(len(accepted) - 1) / (accepted[-1] - accepted[0]):.2f}" if trouble.startswith("limit") else ""
        print(
            f"| {name} | {elapsed_s:.1f} | {elapsed_s / undisturbed_s:.1f} × | {busiest_second(times['requested'])} | "
            f"{per_s} |",
            flush=True,
        )


def measure_race(n_films: int, n_rounds: int, img2dataset: str | None) -> None:
    racers: dict[str, Callable[[str, int], tuple[float, float]]] = {
        OURS: race_keyart("--rate", "0"),
        f"{OURS} --connections 4": race_keyart("--rate", "0", "--connections", "4"),
    }
    if img2dataset:
        racers["img2dataset, posters decoded"] = race_img2dataset(img2dataset)
        racers["img2dataset, bytes as they come"] = race_img2dataset(img2dataset, "--disable_all_reencoding", "True")
    racers["a loop over requests"] = race_script
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in racers}
    with served(342) as (address, n_bytes):
        for _ in range(n_rounds):
            for name, race in racers.items():
                rounds[name].append(race(address, n_films))
    rates = {
        name: [n_films / statistics.median(times) for times in zip(*measured, strict=True)]
        for name, measured in rounds.items()
    }
    ours = rates[OURS]
    print(f"\n{n_films:,} posters of {n_bytes / 1e3:.0f} kB, median of {n_rounds} rounds in turn:\n")
    print("| | posters/s, start to end | ours is | posters/s, by its own clock | ours is |\n|---|---|---|---|---|")
    for name, (whole, own) in rates.items():
        print(f"| {name} | {whole:,.0f} | {ours[0] / whole:.2f} × | {own:,.0f} | {ours[1] / own:.2f} × |")


def measure_memory(sizes: list[int]) -> None:
    print("\n| films | largest memory | wanted |\n|---|---|---|")
    with served(92) as (address, _):
        for n_films in sizes:
            _, n_bytes, _ = run_keyart(address, n_films, "--rate", "0")
            print(f"| {n_films:,} | {n_bytes / 1e6:,.0f} MB | 300 MB |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "parts", nargs="*", default=["rate", "bad-day", "race", "memory"], help="rate, bad-day, race, memory"
    )
    parser.add_argument("--films", type=int, default=5000)
    parser.add_argument("--rate", type=int, default=40)
    parser.add_argument("--bad-day-films", type=int, default=250)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-films", type=int, nargs="*", default=[1_000, 90_000])
    parser.add_argument("--img2dataset", help="its command, in an environment of its own")
    options = parser.parse_args()
    if "rate" in options.parts:
        measure_rate(options.films, options.rate)
    if "bad-day" in options.parts:
        measure_bad_day(options.bad_day_films, options.rate)
    if "race" in options.parts:
        measure_race(options.films, options.rounds, options.img2dataset)
    if "memory" in options.parts:
        measure_memory(options.memory_films)


if __name__ == "__main__":
    if sys.argv[1:2] == [SERVE]:
        asyncio.run(serve(int(sys.argv[2]), sys.argv[3]))
    else:
        main()
