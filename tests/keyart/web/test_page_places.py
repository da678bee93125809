"""Where one is on the page: after back, by keyboard, while it is being laid out, on small and zoomed screens."""

from __future__ import annotations

from typing import Any

import pytest

from tests.keyart.web.conftest import NEEDS_AXE, NEEDS_CHROMIUM, Page, barriers, expect, expect_hits, looking

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [NEEDS_CHROMIUM, pytest.mark.heavy]

N_HITS = 40
# What users change themselves is no shift; see https://web.dev/articles/cls.
SHIFTS = """
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push(entry.value);
  }).observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture
def page(people_page: Page) -> Page:
    return people_page


def scrolled(page: Page) -> str:
    """Show all results of a film, open the last one, and return its title."""
    page.goto("/?film=22&alpha=1")
    expect_hits(page)
    page.locator("footer").scroll_into_view_if_needed()
    expect(page, ".hit").to_have_count(N_HITS)
    last = page.locator(".hit").last
    last.scroll_into_view_if_needed()
    title: str = last.locator("strong").text_content()
    return title


def test_back_returns_to_the_film_that_was_opened(page: Page) -> None:
    title = scrolled(page)
    top = page.evaluate("scrollY")
    page.locator(".hit").last.click()
    expect(page, "#name").to_have_text(title)
    assert page.evaluate("scrollY") == 0
    page.go_back()
    expect(page, "#name").to_have_text("Film 22 (1982)")
    expect(page, ".hit").to_have_count(N_HITS)
    playwright.expect(page.locator(".hit").last).to_be_focused()
    assert page.evaluate("scrollY") == pytest.approx(top, abs=2)


def test_back_from_another_page_returns_to_the_place(page: Page) -> None:
    scrolled(page)
    top = page.evaluate("scrollY")
    page.goto("/user")
    expect(page, "#films li >> nth=0").to_be_visible()
    page.go_back()
    expect(page, ".hit").to_have_count(N_HITS)
    expect(page, "#hits[aria-busy=false]").to_be_attached()
    page.wait_for_function("top => Math.abs(scrollY - top) < 3", arg=top)


def test_a_film_opened_by_keyboard_is_announced_and_focused(page: Page) -> None:
    page.goto("/?film=22")
    expect_hits(page)
    link = page.locator(".hit").nth(3)
    title = link.locator("strong").text_content()
    link.focus()
    page.keyboard.press("Enter")
    expect(page, "#name").to_have_text(title)
    expect(page, "#name").to_be_focused()
    expect(page, "#status").to_contain_text(f"look-alikes of {title}")
    page.keyboard.press("Tab")
    expect(page, "#keep").to_be_focused()


@pytest.mark.parametrize("size", [(1440, 900), (1024, 768), (390, 844)])
@pytest.mark.parametrize("address", ["/?film=22", "/user?user=2", "/user"])
def test_nothing_moves_while_the_page_is_laid_out(
    browser: Any, people_address: str, request: pytest.FixtureRequest, size: tuple[int, int], address: str
) -> None:
    viewport = {"width": size[0], "height": size[1]}
    with looking(browser, people_address, request, viewport=viewport) as page:
        page.add_init_script(SHIFTS)
        # The film comes late, the genres later still.
        page.route("**/api/genres", lambda route: (page.wait_for_timeout(300), route.continue_()))
        page.goto(address)
        if address == "/user":
            expect(page, "#films li").to_have_count(10)
        else:
            expect(page, "#hits .hit >> nth=0").to_be_visible()
        page.wait_for_load_state("networkidle")
        assert sum(page.evaluate("shifts")) < 0.05


@pytest.mark.parametrize("size", [(320, 256), (390, 844), (640, 400)])
def test_the_header_leaves_small_and_zoomed_screens_to_the_films(
    browser: Any, people_address: str, request: pytest.FixtureRequest, size: tuple[int, int]
) -> None:
    with looking(browser, people_address, request, viewport={"width": size[0], "height": size[1]}) as page:
        for address in ("/?film=22", "/user?user=2", "/atlas"):
            page.goto(address)
            page.mouse.wheel(0, 2000)
            page.evaluate("scrollTo(0, document.body.scrollHeight)")
            assert page.locator("header").evaluate("header => header.getBoundingClientRect().bottom") <= 0
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address


@pytest.mark.parametrize("size", [(1440, 900), (1024, 700)])
def test_what_has_the_focus_is_not_below_the_header(
    browser: Any, people_address: str, request: pytest.FixtureRequest, size: tuple[int, int]
) -> None:
    with looking(browser, people_address, request, viewport={"width": size[0], "height": size[1]}) as page:
        page.goto("/?film=22&alpha=1")
        expect_hits(page)
        page.locator("#hits button").last.focus()
        header = page.locator("header").bounding_box()
        for _ in range(60):
            page.keyboard.press("Shift+Tab")
            covered = """bottom => {
              const element = document.activeElement;
              return !element.closest("header") && element.getBoundingClientRect().top < bottom;
            }"""
            assert not page.evaluate(covered, header["height"])


@pytest.mark.release
@pytest.mark.parametrize("media", [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"forced_colors": "active"}])
@pytest.mark.parametrize("size", [(1440, 900), (320, 256)])
@NEEDS_AXE
def test_no_barrier_in_any_state(page: Page, media: dict[str, str], size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.emulate_media(**media)
    page.goto("/?film=22")
    expect_hits(page)
    page.locator("#genres summary").click()
    page.get_by_label("From", exact=True).fill("99")
    page.keyboard.press("Tab")
    expect(page, "#choice-fault").not_to_be_empty()
    assert barriers(page) == []
    page.route("**/api/films/**", lambda route: route.abort())
    page.locator("#hits button", has_text="Why").first.click()
    expect(page, "#why-status button").to_be_visible()
    assert barriers(page) == []
    page.keyboard.press("Escape")
    page.locator(".hit").first.click()
    expect(page, "#status button").to_be_visible()
    assert barriers(page) == []
