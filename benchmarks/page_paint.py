"""How soon the pages of a server show something, and how much moves while they are laid out, in Chromium.

    python benchmarks/page_paint.py --home WORKSPACE [--film ID] [--loads 9]

Each page is opened with an empty cache, on a desktop (1,440 × 900) and as on a phone (390 × 844, 1.6 Mbit/s, 150 ms,
a quarter of the processor). First and largest paint are those that the browser reports (FCP, LCP), in medians; the
shift of the layout (CLS) is the largest of all loads, counted as web.dev defines it.

Server and browser run on this machine, so a load pays for both. `keyart` and Playwright's package are needed, and
Chromium.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

# benchmarks/index.py is not the package of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.tables import print_header, print_row  # noqa: E402 - needs the path

CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
DESKTOP = {"viewport": {"width": 1440, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 3, "is_mobile": True, "has_touch": True}
# As Lighthouse throttles a slow 4G network.
SLOW = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}
SLOWDOWN = 4
# After the last request, for what is still drawn.
SETTLE_MS = 500
OBSERVER = """
window.paints = {first: 0, largest: 0, shifts: []};
const watch = (type, see) => {
  new PerformanceObserver((list) => list.getEntries().forEach(see)).observe({type, buffered: true});
};
watch("paint", (entry) => { if (entry.name === "first-contentful-paint") paints.first = entry.startTime; });
watch("largest-contentful-paint", (entry) => { paints.largest = entry.startTime; });
watch("layout-shift", (entry) => { if (!entry.hadRecentInput) paints.shifts.push([entry.startTime, entry.value]); });
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="a workspace with an index")
    parser.add_argument("--film", type=int, help="the film whose page is opened; by default any that has a poster")
    parser.add_argument("--loads", type=int, default=9, help="how often each page is opened")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with serving(arguments.home) as url, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        print_header("Paint", "page", "screen", "first paint", "largest paint", "slowest largest", "shift")
        for name, path in pages(browser, url, arguments.film).items():
            for screen in ("desktop", "phone"):
                paints = [opened(browser, url + path, screen) for _ in range(arguments.loads)]
                print_paints(name, screen, paints)
        browser.close()


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """Serve a workspace by a process of its own; give its address."""
    command = [sys.executable, "-m", "keyart", "serve", "--home", str(home), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            found = (re.search(r"http://\S+?:\d+", line) for line in process.stdout)
            yield next(match.group() for match in found if match)
        finally:
            process.terminate()


def pages(browser: Any, url: str, film: int | None) -> dict[str, str]:
    """Name the addresses of pages; a first look at each opens what the server opens once."""
    page = browser.new_page()
    if film is None:
        film = page.request.get(f"{url}/api/films/random").json()["movie_id"]
    found = {"first page": "/", "film": f"/?film={film}", "atlas": "/atlas", "for you": "/user"}
    for path in found.values():
        page.goto(url + path, wait_until="networkidle")
    page.close()
    return found


def opened(browser: Any, address: str, screen: str) -> dict[str, Any]:
    """Open a page with an empty cache; return when it was painted, in ms, and what moved."""
    context = browser.new_context(**(PHONE if screen == "phone" else DESKTOP))
    page = context.new_page()
    page.add_init_script(OBSERVER)
    if screen == "phone":
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", SLOW)
        session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
    page.goto(address, wait_until="networkidle")
    page.wait_for_timeout(SETTLE_MS)
    paints: dict[str, Any] = page.evaluate("paints")
    context.close()
    return paints


def shift(shifts: list[list[float]]) -> float:
    """Return the largest sum of shifts that are less than 1 s apart, within 5 s of each other."""
    largest = total = began = last = 0.0
    for at, value in shifts:
        if at - last > 1000 or at - began > 5000:
            total, began = 0.0, at
        total, last = total + value, at
        largest = max(largest, total)
    return largest


def print_paints(name: str, screen: str, paints: list[dict[str, Any]]) -> None:
    times = [median(each[kind] for each in paints) for kind in ("first", "largest")]
    slowest = max(each["largest"] for each in paints)
    seconds = (f"{each / 1000:.2f} s" for each in (*times, slowest))
    print_row(name, screen, *seconds, f"{max(shift(each['shifts']) for each in paints):.3f}")


if __name__ == "__main__":
    main()
