"""Load `keyart serve` with everything at once, for as long as wanted, and check that it stays quick, right and small.

Run it as ``make soak``, or as ``python benchmarks/soak.py --minutes 30 --home WORKSPACE``. It works on a copy of the
workspace, by default that of `keyart demo`. Clients on 64 connections look up films, search, and fetch posters, sheets
and heat maps; some send images, one adds films, 1,000 connections stand idle, and in the middle `keyart build
--rebuild` replaces the index. The quiet server has the same number of clients with look-ups alone.

Prints a table, and exits with 1 if a promise is broken: an error that is no honest 503, a look-up that differs from the
engine's answer, a 99th percentile of look-ups of more than five times the quiet one, or memory that grows by a fifth
from the second quarter of the time to the last.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from urllib.parse import urlencode

import numpy as np
import psutil
from PIL import Image

# benchmarks/index.py is not the package of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

KEYART = [sys.executable, "-c", "from keyart.cli import main; main()"]
HOST = "127.0.0.1"
LOOK_UP = "look-up"
TIMEOUT_S = 120
PAUSE_S = 0.5
ADD_EVERY_S = 10
N_COMPARED = 30
MAX_GROWTH = 0.2
YEAR_OF_ADDED = 2031


@dataclass
class Figures:
    """What was observed, by the kind of request."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, kind: str, status: int, seconds: float) -> None:
        self.statuses.setdefault(kind, Counter())[status] += 1
        if status < 400:
            self.seconds.setdefault(kind, []).append(seconds)

    def percentile(self, kind: str, q: float) -> float:
        """Return a percentile in milliseconds."""
        return 1000 * float(np.percentile(self.seconds.get(kind, [np.nan]), q))


class Client:
    """One connection that is kept open."""

    def __init__(self, port: int, figures: Figures) -> None:
        self._port = port
        self._figures = figures
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, kind: str, path: str, body: bytes | None = None) -> bytes:
        """Send a request and record its answer; a refusal with Retry-After is obeyed."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status, headers, content = await self._exchange(path, body)
        except (OSError, EOFError, TimeoutError) as error:
            self.close()
            self._figures.add(kind, 599, 0.0)
            self._figures.faults.append(f"{kind}: {type(error).__name__} {error}")
            return b""
        self._figures.add(kind, status, time.perf_counter() - started)
        if status >= 400 and not (status == 503 and "retry-after" in headers):
            self._figures.faults.append(f"{kind}: {status} {content[:200].decode(errors='replace')}")
        await asyncio.sleep(float(headers.get("retry-after", 0)) if status == 503 else 0)
        return content if status < 400 else b""

    async def _exchange(self, path: str, body: bytes | None) -> tuple[int, dict[str, str], bytes]:
        # The server closes connections that are idle for some seconds.
        if self._streams is None or self._streams[0].at_eof():
            self._streams = await asyncio.open_connection(HOST, self._port)
        reader, writer = self._streams
        line = f"GET {path}" if body is None else f"POST {path}"
        writer.write(f"{line} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body or b'')}\r\n\r\n".encode())
        writer.write(body or b"")
        status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        content = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.close()
        return int(status_line.split()[1]), headers, content

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


@dataclass
class Soak:
    """A server under load."""

    home: Path
    port: int
    process: psutil.Process
    n_clients: int
    n_idle: int
    posters: dict[int, Path]
    memory: list[float] = field(default_factory=list)
    n_added: int = 0
    adding: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def quiet(self, seconds: float) -> Figures:
        """Look films up, and do nothing else."""
        figures = Figures()
        await self._clients(seconds, figures, lambda rng: look_up(rng, self.posters))
        return figures

    async def loaded(self, seconds: float) -> Figures:
        """Do everything at once; in the middle and at the end, answers are compared with the engine's."""
        figures = Figures()
        # Not all clients ask for the same mixture: only some send images.
        others = [self._idle(), self._adder(figures), self._memory(), self._rebuild(seconds / 2, figures)]
        tasks = [asyncio.create_task(other) for other in others]
        await self._clients(seconds, figures, lambda rng: anything(rng, self.posters))
        # A rebuild may take longer than a short run.
        await tasks.pop()
        # A film that is still being added would be in some of the answers.
        async with self.adding:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._compare(figures)
        return figures

    async def _clients(self, seconds: float, figures: Figures, draw: Callable[[Random], Request]) -> None:
        end = time.monotonic() + seconds

        async def client(number: int) -> None:
            rng, connection = Random(number), Client(self.port, figures)
            await asyncio.sleep(PAUSE_S * rng.random())
            while time.monotonic() < end:
                kind, path, body = draw(rng)
                await connection.ask(kind, path, body)
                await asyncio.sleep(2 * PAUSE_S * rng.random())
            connection.close()

        await asyncio.gather(*map(client, range(self.n_clients)))

    async def _idle(self) -> None:
        """Hold connections open without a word, and open them again when they are closed."""

        async def stand() -> None:
            while True:
                with contextlib.suppress(OSError):
                    reader, writer = await asyncio.open_connection(HOST, self.port)
                    try:
                        await reader.read(1)
                    finally:
                        writer.close()
                await asyncio.sleep(1)

        await asyncio.gather(*(stand() for _ in range(self.n_idle)))

    async def _adder(self, figures: Figures) -> None:
        rng, client = Random(7), Client(self.port, figures)
        while True:
            await asyncio.sleep(ADD_EVERY_S)
            async with self.adding:
                self.n_added += 1
                query = urlencode({"title": f"Soak {self.n_added}", "year": YEAR_OF_ADDED})
                await client.ask("add", f"/api/films?{query}", draw_poster(rng))

    async def _memory(self) -> None:
        while True:
            self.memory.append(self.process.memory_info().rss / 2**20)
            await asyncio.sleep(1)

    async def _rebuild(self, delay_s: float, figures: Figures) -> None:
        await asyncio.sleep(delay_s)
        async with self.adding:
            words = [*KEYART, "build", "--rebuild", "--home", str(self.home)]
            started = time.perf_counter()
            rebuild = await asyncio.create_subprocess_exec(*words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
            _, errors = await rebuild.communicate()
            if rebuild.returncode:
                figures.faults.append(f"build: {errors.decode()}")
            figures.add("rebuild, beside", 200, time.perf_counter() - started)
            await self._compare(figures)

    async def _compare(self, figures: Figures) -> None:
        """Compare answers with those of an engine that is opened now, once the server has it too."""
        rng, client = Random(len(self.memory)), Client(self.port, Figures())
        films = rng.sample(sorted(self.posters), min(N_COMPARED, len(self.posters)))
        expected = await asyncio.to_thread(self._expected, films)
        # It takes up what has changed within seconds; a large workspace longer.
        deadline = time.monotonic() + 60
        while (differing := [film for film in films if await self._answer(client, film) != expected[film]]) and (
            time.monotonic() < deadline
        ):
            await asyncio.sleep(1)
        figures.faults.extend(f"the look-alikes of film {film} are not the engine's" for film in differing)
        client.close()

    async def _answer(self, client: Client, film: int) -> list[tuple[int, float]]:
        content = await client.ask("comparison", f"/api/films/{film}/similar?k=10")
        return [(hit["movie_id"], hit["score"]) for hit in json.loads(content or b'{"results": []}')["results"]]

    def _expected(self, films: list[int]) -> dict[int, list[tuple[int, float]]]:
        import keyart

        with keyart.open(self.home) as engine:
            pages = {film: engine.similar(film, k=10).to_dict()["results"] for film in films}
        return {
            film: [(hit["movie_id"], hit["score"]) for hit in json.loads(json.dumps(pages[film]))] for film in films
        }


Request = tuple[str, str, bytes | None]


def look_up(rng: Random, posters: dict[int, Path]) -> Request:
    return LOOK_UP, f"/api/films/{rng.choice(list(posters))}/similar?k=30", None


def anything(rng: Random, posters: dict[int, Path]) -> Request:
    film, other = rng.sample(list(posters), 2)
    draw = rng.random()
    if draw < 0.5:
        return look_up(rng, posters)
    if draw < 0.75:
        return "poster", f"/posters/{film}?width={rng.choice((160, 320))}", None
    if draw < 0.85:
        return "search", f"/api/films?query={rng.choice('abcdefghilmnoprstw')}{rng.choice('aeiou')}", None
    if draw < 0.9:
        return "several films", f"/api/similar?like={film}&unlike={other}&k=20", None
    if draw < 0.93:
        return "sheet", f"/api/films/{film}/sheet.jpg?k=12", None
    if draw < 0.96:
        return "why", f"/api/films/{film}/why/{other}.jpg", None
    # Bytes after the end of a JPEG are ignored, but make the file a new one to the server.
    return "image", "/api/similar?k=10", posters[film].read_bytes() + rng.randbytes(8)


def draw_poster(rng: Random) -> bytes:
    """Draw squares of random colors, a JPEG."""
    colors = np.frombuffer(rng.randbytes(6 * 4 * 3), np.uint8).reshape(6, 4, 3)
    content = io.BytesIO()
    Image.fromarray(colors).resize((240, 360), Image.Resampling.NEAREST).save(content, "JPEG")
    return content.getvalue()


@asynccontextmanager
async def serving(home: Path) -> AsyncIterator[tuple[int, psutil.Process, list[str]]]:
    """Serve a workspace in a process of its own; give its port, the process and what it logs."""
    # Nobody reads the log while it runs.
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen([*KEYART, "serve", "--port", "0", "--home", str(home)], stderr=log)
        lines: list[str] = []
        try:
            while not lines or not lines[-1].startswith("http://"):
                if server.poll() is not None:
                    raise SystemExit(f"the server ended: {lines}")
                await asyncio.sleep(0.2)
                log.seek(0)
                lines = log.read().splitlines()
            port = int(lines[-1].split("/")[2].rpartition(":")[2])
            figures = Figures()
            while not await Client(port, figures).ask("ready", "/readyz"):
                await asyncio.sleep(0.5)
            yield port, psutil.Process(server.pid), lines
            log.seek(0)
            lines[:] = log.read().splitlines()
        finally:
            server.terminate()
            server.wait(60)


async def soak(home: Path, minutes: float, n_clients: int, n_idle: int, max_ratio: float) -> bool:
    from keyart.workspace.layout import Workspace
    from posters.store import PosterStore

    with PosterStore.open_to_read(Workspace.open(home).posters_dir) as store:
        posters = {poster.movie_id: poster.path for poster in store.posters()}
    async with serving(home) as (port, process, log):
        run = Soak(home, port, process, n_clients, n_idle, posters)
        warm_up = await run.quiet(5)
        quiet = await run.quiet(min(60, 12 * minutes))
        load = os.getloadavg()[0]
        loaded = await run.loaded(60 * minutes)
    quiet.faults += warm_up.faults
    print(f"load before: {load:.1f}")
    return report(run, quiet, loaded, log, max_ratio)


def report(run: Soak, quiet: Figures, loaded: Figures, log: list[str], max_ratio: float) -> bool:
    """Print what was observed; return whether all promises were kept."""
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()} on {os.cpu_count()} cores")
    print(
        f"{run.n_clients} clients, {run.n_idle} idle connections, {len(run.posters)} posters, {run.n_added} films added"
    )
    print("\n| request | answers | p50 (ms) | p99 (ms) | 503 | other errors |\n|---|---|---|---|---|---|")
    rows = [("look-up, quiet server", LOOK_UP, quiet), *((kind, kind, loaded) for kind in sorted(loaded.statuses))]
    for label, kind, figures in rows:
        statuses = figures.statuses[kind]
        n_wrong = sum(n for status, n in statuses.items() if status >= 400 and status != 503)
        times = f"{figures.percentile(kind, 50):.1f} | {figures.percentile(kind, 99):.1f}"
        print(f"| {label} | {len(figures.seconds.get(kind, []))} | {times} | {statuses[503]} | {n_wrong} |")
    ratio = loaded.percentile(LOOK_UP, 99) / quiet.percentile(LOOK_UP, 99)
    quarters = [float(np.median(quarter)) for quarter in np.array_split(run.memory, 4)]
    growth = quarters[3] / quarters[1] - 1
    print(f"\np99 of look-ups: {ratio:.1f} times that of the quiet server")
    print(
        f"memory (MB): {', '.join(f'{quarter:.0f}' for quarter in quarters)} by quarter, at most {max(run.memory):.0f}"
    )
    print(f"log: {len(log)} lines")
    faults = quiet.faults + loaded.faults
    if ratio > max_ratio:
        faults.append(f"the 99th percentile of look-ups is {ratio:.1f} times the quiet one")
    if growth > MAX_GROWTH:
        faults.append(f"memory grew by {growth:.0%}")
    for fault, n in Counter(faults).most_common(20):
        print(f"broken, {n} times: {fault}")
    if faults:
        print("\n".join(["the end of the log:", *log[-20:]]))
    return not faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="a workspace with an index; it is copied")
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("KEYART_SOAK_MINUTES", "30")))
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--idle", type=int, default=1000)
    parser.add_argument("--max-ratio", type=float, default=5.0, help="of the 99th percentiles of look-ups")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "workspace"
        if chosen.home is None:
            subprocess.run([*KEYART, "demo", "--out", folder + "/demo"], check=True, stdout=subprocess.DEVNULL)
            home = Path(folder) / "demo" / "workspace"
        else:
            shutil.copytree(chosen.home, home)
        if not asyncio.run(soak(home, chosen.minutes, chosen.clients, chosen.idle, chosen.max_ratio)):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
