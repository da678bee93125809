"""Measure quality and cost of the map of posters, and the frame rate of its page with 10,000 of them.

Run it as ``python benchmarks/atlas.py --home WORKSPACE``, with a workspace that has posters and features; it works on a
copy. It needs Chromium and Playwright.

- ``map``: time and memory of `keyart atlas` in its own process; the share of a film's ten nearest by cosine that are
  among its 30 nearest on the map, compared with a plane of the first two principal components and with chance; and the
  same share for films that are placed on a finished map.
- ``page``: frames per second while the mouse drags or zooms a map of many posters, and while they move to another
  arrangement: those of the workspace five times (``--times``), each time a little brighter, around their positions;
  the time until all are there, and the page's memory. Chromium runs without a graphics card, as in tests.
"""

# ruff: noqa: E402 - the path has to be set before the imports
from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

# benchmarks/index.py is not the package of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from catalog.film import Film
from index.vectors import unit_rows
from keyart.atlas.build import AtlasOptions, make_atlas
from keyart.atlas.layout import Method, lay_out, place
from keyart.atlas.record import Atlas
from keyart.atlas.sprites import along_the_map, assign, draw
from keyart.pipeline.index import build
from keyart.pipeline.movielens import load
from keyart.pipeline.posters import import_posters
from keyart.workspace.films import list_films, list_posters
from keyart.workspace.index import current_film_features
from keyart.workspace.layout import Workspace

_N_PLACED = 200
# Of the posters of the page, which shows larger ones only to whoever is very near.
_WIDTH = 160
_PATIENCE_MS = 180_000
_ZOOMS = (1, 2, 5, 15)
_COMMAND = [sys.executable, "-c", "from keyart.cli import main; main()"]
_COUNT_FRAMES = """
window.frames_ = [];
let before = performance.now();
requestAnimationFrame(function tell(now) { frames_.push(now - before); before = now; requestAnimationFrame(tell); });
"""
_RESOURCES = """() => {
  const loaded = performance.getEntriesByType("resource");
  const sheets = loaded.filter((one) => one.name.includes("/atlas/sheets/")).map((one) => one.responseEnd);
  return { first: Math.min(...sheets), last: Math.max(...sheets),
    mb: loaded.reduce((sum, one) => sum + one.transferSize, 0) / 2 ** 20 };
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["map", "page", "both"], nargs="?", default="both")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--times", type=int, default=5, help="how often the page has each poster (default 5)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "workspace"
        shutil.copytree(chosen.home, home, ignore=shutil.ignore_patterns("atlas", "index", "cf"))
        if chosen.what != "page":
            measure_cost(home)
            measure_map(Workspace.open(home))
        if chosen.what != "map":
            make_atlas(Workspace.open(home), AtlasOptions())
            measure_page(repeated(Workspace.open(home), Path(folder), chosen.times), chosen.seconds)


def measure_cost(home: Path) -> None:
    print("| command | seconds | peak memory (MB) |\n|---|---|---|")
    runs = ("keyart atlas", []), ("keyart atlas, nothing new", []), ("keyart atlas --rebuild", ["--rebuild"])
    for name, options in runs:
        started = time.perf_counter()
        child = subprocess.Popen(
            [*_COMMAND, "atlas", "--home", str(home), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            raise SystemExit(f"{name} failed")
        print(f"| {name} | {time.perf_counter() - started:.1f} | {usage.ru_maxrss / 1024:.0f} |", flush=True)


def measure_map(workspace: Workspace) -> None:
    _, features = current_film_features(workspace)
    assert features is not None
    atlas = Atlas.open(workspace.atlas_dir)
    units = np.concatenate([unit_rows(block, None)[0] for block in features.blocks()])
    nearest = _nearest(units @ units.T, 10)
    centered = atlas.rows - atlas.rows.mean(axis=0)
    plane = centered @ np.linalg.svd(centered, full_matrices=False)[2][:2].T
    by_chance = np.random.default_rng(0).uniform(size=plane.shape)
    print("| places by | share of the 10 nearest among the 30 nearest there |\n|---|---|")
    for n in (len(atlas.basis.T), 50):
        rows = unit_rows(atlas.rows[:, :n], None)[0]
        print(f"| {n} directions, no map yet | {_share_kept(nearest, rows @ rows.T):.3f} |")
    for name, positions in (
        (atlas.method, atlas.positions),
        ("two principal components", plane),
        ("chance", by_chance),
    ):
        print(f"| {name} | {_share_kept(nearest, -_squares(positions, positions)):.3f} |")
    measure_placing(atlas)


def measure_placing(atlas: Atlas) -> None:
    """Leave films out of a map, place them, and measure how many similar films are near."""
    new = np.random.default_rng(1).choice(len(atlas), _N_PLACED, replace=False)
    old = np.setdiff1d(np.arange(len(atlas)), new)
    rows, positions = atlas.rows[old], lay_out(atlas.rows[old], Method(atlas.method), atlas.seed)
    nearest = np.argsort(-(atlas.rows[new] @ rows.T), axis=1)[:, :10]
    print(f"| {_N_PLACED} films placed | share of the 10 nearest among the 30 nearest on the map |\n|---|---|")
    ways = {
        "where neighbors crowd": place(atlas.rows[new], rows, positions),
        "in their mean": positions[nearest].mean(axis=1),
    }
    for name, placed in ways.items():
        around = np.argsort(_squares(placed, positions), axis=1)[:, :30]
        print(f"| {name} | {_shared(nearest.tolist(), around.tolist()):.3f} |")


def _squares(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return ((one[:, None] - other[None]) ** 2).sum(axis=2)


def _share_kept(nearest: list[list[int]], similarities: np.ndarray) -> float:
    return _shared(nearest, _nearest(similarities, 30))


def _shared(nearest: list[list[int]], around: list[list[int]]) -> float:
    return float(np.mean([len(set(one) & set(other)) / 10 for one, other in zip(nearest, around, strict=True)]))


def _nearest(similarities: np.ndarray, k: int) -> list[list[int]]:
    np.fill_diagonal(similarities, -np.inf)
    return np.argsort(-similarities, axis=1)[:, :k].tolist()


def repeated(workspace: Workspace, folder: Path, n_times: int) -> Path:
    """Make a workspace of the same posters several times over, with an atlas."""
    atlas, films = Atlas.open(workspace.atlas_dir), {film.movie_id: film for film in list_films(workspace)}
    paths = {poster.movie_id: poster.path for poster in list_posters(workspace)}
    n = len(atlas)
    movie_ids = np.arange(1, n * n_times + 1)
    sources = [int(atlas.movie_ids[number % n]) for number in range(len(movie_ids))]
    write_movielens(folder / "movielens", [films[source] for source in sources])
    (folder / "posters").mkdir()
    for first, source in enumerate(sources[:n]):
        with Image.open(paths[source]) as poster:
            small = poster.convert("RGB").resize((_WIDTH, _WIDTH * 3 // 2))
        for time_ in range(n_times):
            brighter = ImageEnhance.Brightness(small).enhance(1 + 0.25 * time_ / n_times)
            brighter.save(folder / "posters" / f"{time_ * n + first + 1}.jpg", quality=85)
    home = folder / "repeated"
    load(home, folder / "movielens")
    import_posters(Workspace.open(home), folder / "posters", "movie")
    build(Workspace.open(home))
    save_repeated(atlas, Workspace.open(home), movie_ids, n_times)
    return home


def write_movielens(folder: Path, films: list[Film]) -> None:
    folder.mkdir()
    rows = [
        f'{number},"{film.label.replace(chr(34), "")}",{"|".join(film.genres)}' for number, film in enumerate(films, 1)
    ]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *rows]), encoding="utf-8")
    # The server requires ratings or an index; the page of the atlas does not use them.
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4,1\n1,2,4,1\n2,1,3,1\n2,2,5,1\n")


def save_repeated(atlas: Atlas, workspace: Workspace, movie_ids: np.ndarray, n_times: int) -> None:
    rng, posters = np.random.default_rng(0), {poster.movie_id: poster for poster in list_posters(workspace)}
    around = np.tile(atlas.positions, (n_times, 1)) + rng.normal(0, 0.02, (len(movie_ids), 2))
    positions = np.clip(around, -1, 1).astype(np.float32)
    hashes = {movie_id: posters[movie_id].sha256 for movie_id in movie_ids.tolist()}
    sheets = assign((), set(), movie_ids[along_the_map(positions)].tolist(), hashes)
    dataclasses.replace(
        atlas,
        movie_ids=movie_ids,
        poster_sha256s=np.array([hashes[movie_id] for movie_id in movie_ids.tolist()], "S64"),
        rows=np.tile(atlas.rows, (n_times, 1)),
        positions=positions,
        is_placed=np.tile(atlas.is_placed, n_times),
        labels=np.tile(atlas.labels, n_times),
        sheets=tuple(draw(sheets, workspace.atlas_dir, posters)),
    ).save(workspace.atlas_dir)


def measure_page(home: Path, seconds: float) -> None:
    from playwright.sync_api import sync_playwright

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([*_COMMAND, "serve", "--home", str(home), "--port", str(port)], stderr=subprocess.DEVNULL)
    try:
        _wait(port)
        with sync_playwright() as driver:
            browser = driver.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--enable-precise-memory-info"]
            )
            address = f"http://127.0.0.1:{port}/atlas"
            print(
                "| visit | first posters (s) | all posters (s) | transferred (MB) | heap (MB) |\n|---|---|---|---|---|"
            )
            print("\n".join(_loading(browser, address, visit) for visit in ("first", "second")), flush=True)
            print("\n| hand | zoom | posters in view | median frame (ms) | 95th percentile (ms) | frames/s |")
            print("|---|---|---|---|---|---|")
            for hand, zoom in [*(("drags", zoom) for zoom in _ZOOMS), ("turns the wheel", 1)]:
                print(_row(browser, f"{address}?x=0&y=0&z={zoom}", hand, zoom, seconds), flush=True)
            print("\n".join(_moving(browser, address)), flush=True)
            browser.close()
    finally:
        server.terminate()
        server.wait(30)


def _loading(browser: object, url: str, visit: str) -> str:
    """Open the map in a browser that has none of it, and measure when the small sheets are there."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})  # type: ignore[attr-defined]
    page.goto(url, wait_until="networkidle", timeout=_PATIENCE_MS)
    timed = page.evaluate(_RESOURCES)
    page.wait_for_timeout(2000)
    heap = page.evaluate("performance.memory.usedJSHeapSize") / 2**20
    page.close()
    return f"| {visit} | {timed['first'] / 1000:.1f} | {timed['last'] / 1000:.1f} | {timed['mb']:.2f} | {heap:.0f} |"


def _moving(browser: object, url: str) -> Iterator[str]:
    """Let all films move from one arrangement to another."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})  # type: ignore[attr-defined]
    page.goto(url, wait_until="networkidle", timeout=_PATIENCE_MS)
    page.wait_for_timeout(4000)
    for name in ("Grid", "Years", "Colors", "Looks"):
        page.evaluate(_COUNT_FRAMES)
        page.get_by_role("button", name=name, exact=True).click()
        page.wait_for_timeout(2500)
        frames = np.array(page.evaluate("frames_")[1:])
        median, late = np.percentile(frames, [50, 95])
        rate = 1000 * len(frames) / frames.sum()
        yield f"| moves to {name} | 1 | all | {median:.1f} | {late:.1f} | {rate:.0f} |"
    page.close()


def _row(browser: object, url: str, hand: str, zoom: int, seconds: float) -> str:
    page = browser.new_page(viewport={"width": 1280, "height": 900})  # type: ignore[attr-defined]
    page.goto(url, wait_until="networkidle", timeout=_PATIENCE_MS)
    # Images are decoded after they have arrived.
    page.wait_for_timeout(4000)
    page.get_by_role("button", name="Select all in view").click()
    n = page.locator("#count").inner_text().split(" ")[0]
    page.get_by_role("button", name="Clear").click()
    page.mouse.move(500, 450)
    if hand == "drags":
        page.mouse.down()
    page.evaluate(_COUNT_FRAMES)
    end, step = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        step += 1
        # Back and forth, so that the map stays in view.
        if hand == "drags":
            page.mouse.move(500 + 150 * np.sin(step / 40), 450 + 60 * np.cos(step / 55))
        else:
            page.mouse.wheel(0, -40 if step // 40 % 2 == 0 else 40)
    frames = np.array(page.evaluate("frames_")[1:])
    page.close()
    median, late = np.percentile(frames, [50, 95])
    return f"| {hand} | {zoom} | {n} | {median:.1f} | {late:.1f} | {1000 * len(frames) / frames.sum():.0f} |"


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


if __name__ == "__main__":
    main()
