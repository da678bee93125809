"""Take the pictures of the pages that the documentation shows, from the films that `keyart demo` draws.

    make screenshots

Chromium and Playwright's package are needed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.page_paint import CHROMIUM, serving  # noqa: E402 - needs the path

_DOCS = Path(__file__).parent
_QUALITY = 84
# Pictures are decoded, and the map is drawn, after they have come.
_SETTLE_MS = 3000


class _View(NamedTuple):
    """An address, the size of the window, and the name of the picture."""

    path: str
    width: int
    height: int
    name: str


_VIEWS = (
    _View("/?film=42", 1280, 1010, "page"),
    _View("/atlas", 1180, 800, "atlas"),
    _View("/user?rated=17-5,24-4.5,21-4,42-1.5", 1280, 1010, "for-you"),
)


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--home", type=Path, required=True, help="the workspace of `keyart demo`, with an atlas and ease"
    )
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with serving(arguments.home) as url, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for view in _VIEWS:
            _take(browser, url, view)
        browser.close()


def _take(browser: Any, url: str, view: _View) -> None:
    page = browser.new_page(viewport={"width": view.width, "height": view.height}, reduced_motion="reduce")
    page.goto(url + view.path, wait_until="networkidle")
    page.wait_for_timeout(_SETTLE_MS)
    page.screenshot(path=_DOCS / f"{view.name}.jpg", type="jpeg", quality=_QUALITY)
    page.close()


if __name__ == "__main__":
    main()
