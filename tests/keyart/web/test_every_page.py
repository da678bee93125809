"""Every page on wide and on zoomed screens, in its own colors and in forced ones: no barrier, nothing to the side."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from keyart.atlas.build import AtlasOptions, make_atlas
from keyart.workspace.layout import Workspace
from tests.keyart.web.conftest import (
    NEEDS_AXE,
    NEEDS_CHROMIUM,
    SCREENSHOTS,
    Page,
    barriers,
    copied,
    expect,
    serving,
)

pytest.importorskip("playwright.sync_api")
pytestmark = [NEEDS_CHROMIUM, NEEDS_AXE, pytest.mark.heavy, pytest.mark.release]

# The last one is what a screen of 1280 pixels shows at 400 %.
SIZES = [(1280, 900), (390, 844), (320, 256)]
COLORS = {"light": {"forced_colors": "none"}, "forced": {"forced_colors": "active"}}
# Every page with an address, and what is seen last.
PAGES = {
    "film": ("/?film=22", "#panel .place"),
    "part": ("/?film=22&like=24&unlike=3&region=0,0,7,3", "#pane i"),
    "first": ("/", "#wall img >> nth=0"),
    "genre": ("/?wall=Drama", "#wall span >> nth=0"),
    "refused": ("/?text=rain", "#status a"),
    "atlas": ("/atlas", "#legend button >> nth=0"),
    "ratings": ("/user?rated=22-4.5,24-5,26-4", "#hits li >> nth=0"),
    "user": ("/user?user=2", "#shelves .hit >> nth=0"),
    "shortlist": ("/shortlist?film=22&film=24&film=3", ".hit >> nth=2"),
    "docs": ("/docs", "#operations summary >> nth=0"),
    "error": ("/nothing", "h2"),
    "sign-in": ("/", "#token"),
}


@pytest.fixture(scope="module")
def home(fitted_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that has something for every page."""
    home = copied(fitted_home, tmp_path_factory)
    make_atlas(Workspace.open(home), AtlasOptions(n_clusters=3))
    return home


@pytest.fixture(scope="module")
def open_address(home: Path) -> Iterator[str]:
    with serving(home) as url:
        yield url


@pytest.fixture(scope="module")
def closed_address(home: Path) -> Iterator[str]:
    with serving(home, "a-token-of-more-than-sixteen-letters") as url:
        yield url


@pytest.fixture(scope="module")
def page(browser: Any) -> Iterator[Page]:
    """One page for all, which is only resized."""
    opened = browser.new_page(reduced_motion="reduce")
    yield opened
    opened.close()


@pytest.mark.parametrize("name", PAGES)
def test_no_barrier_and_nothing_beside_the_screen(
    page: Page, open_address: str, closed_address: str, name: str
) -> None:
    address, last = PAGES[name]
    page.emulate_media(forced_colors="none")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto((closed_address if name == "sign-in" else open_address) + address)
    expect(page, last).to_be_visible()
    found = {}
    for colors, (width, height) in product(COLORS, SIZES):
        page.emulate_media(**COLORS[colors])
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        page.screenshot(path=SCREENSHOTS / f"{name}-{width}x{height}-{colors}.png")
        beyond = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        found[colors, width] = [*barriers(page), *([f"{beyond} px to the side"] if beyond > 0 else [])]
    assert not any(found.values()), found
