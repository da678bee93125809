"""The page, in a real Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.test_layers import ROOT

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
AXE = ROOT / "tests" / ".cache" / "axe.min.js"
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed; .ci/run installs it")

Page = Any


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, address: str, tmp_path: Path) -> Iterator[Page]:
    opened = browser.new_page(base_url=address)
    opened.set_default_timeout(15_000)
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    yield opened
    opened.screenshot(path=tmp_path / "page.png", full_page=True)
    opened.close()
    assert not faults


def expect(page: Page, selector: str) -> Any:
    return playwright.expect(page.locator(selector))


def test_a_film_is_searched_by_keyboard_alone(page: Page) -> None:
    page.goto("/?film=1")
    page.get_by_role("combobox", name="Search a film by title").focus()
    page.keyboard.type("twin")
    expect(page, "#suggestions li").to_have_count(2)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page, "#title").to_have_attribute("aria-activedescendant", "suggestion-1")
    page.keyboard.press("Enter")
    expect(page, "#name").to_have_text("Twin (1992)")
    assert page.url.endswith("?film=3")


def test_a_click_pivots_and_back_returns(page: Page) -> None:
    page.goto("/?film=1")
    page.locator(".hit", has_text="Seldom Seen").click()
    expect(page, "#name").to_have_text("Seldom Seen (1994)")
    page.go_back()
    expect(page, "#name").to_have_text("The Harbour (1990)")


def test_the_slider_ranks_anew_and_a_link_shows_the_same(page: Page, browser: Any, address: str) -> None:
    page.goto("/?film=1&alpha=0.5")
    expect(page, "#alpha").to_have_value("0.5")
    first = page.locator(".numbers").first.inner_text()
    page.locator("#alpha").focus()
    page.keyboard.press("End")
    expect(page, ".numbers >> nth=0").not_to_have_text(first, use_inner_text=True)
    page.wait_for_url("**alpha=1")
    linked = browser.new_page()
    linked.goto(page.url)
    expect(linked, "#alpha").to_have_value("1")
    playwright.expect(linked.locator("#hits")).to_have_text(page.locator("#hits").text_content())
    linked.close()


def test_a_filter_keeps_to_a_genre(page: Page) -> None:
    page.goto("/?film=1")
    page.get_by_label("Genre").select_option("Comedy")
    expect(page, ".hit").to_have_count(1)
    expect(page, ".hit").to_contain_text("Twin (1992)")


def test_a_picture_finds_its_film(page: Page, poster_folder: Path) -> None:
    page.goto("/?film=1")
    page.set_input_files("#picture", poster_folder / "2.jpg")
    expect(page, "#name").to_have_text("Your picture")
    page.locator(".hit >> nth=0", has_text="Twin (1991)").wait_for()


def test_why_shows_the_heat_map(page: Page) -> None:
    page.goto("/?film=1")
    page.get_by_role("button", name="Why Twin (1991) looks alike").click()
    expect(page, "#why").to_be_visible()
    expect(page, "#heat").to_have_js_property("naturalWidth", 1112)
    page.keyboard.press("Escape")
    expect(page, "#why").to_be_hidden()


def test_a_film_without_poster_shows_those_of_its_look_alikes(page: Page) -> None:
    page.goto("/?film=4")
    expect(page, ".hit >> nth=0").to_be_visible()
    expect(page, ".frame img >> nth=0").to_have_js_property("naturalWidth", 120)


def test_an_unknown_film_is_said(page: Page) -> None:
    page.goto("/?film=99")
    expect(page, "#status").to_contain_text("no film has the movie_id 99")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there; .ci/run fetches it")
def test_no_serious_barrier(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto("/?film=1")
    page.locator(".hit").first.wait_for()
    # The page's own policy lets in no script of others; the debugger may still run one.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    serious = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
    assert not [(each["id"], [node["html"] for node in each["nodes"]]) for each in serious]
