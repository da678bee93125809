"""What the page does when the server is away, busy, or refuses: it says so, keeps what is shown, and tries again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.keyart.web.conftest import NEEDS_CHROMIUM, SCREENSHOTS, Page, expect, expect_hits, looking, serving
from tests.posters.pictures import draw_poster

pytest.importorskip("playwright.sync_api")
pytestmark = [NEEDS_CHROMIUM, pytest.mark.heavy]

Answer = Callable[[Any], None]


@pytest.fixture
def page(people_page: Page) -> Page:
    people_page.goto("/?film=22&alpha=1")
    expect_hits(people_page)
    return people_page


@pytest.fixture
def poster(tmp_path: Path) -> Path:
    path = tmp_path / "poster.jpg"
    path.write_bytes(draw_poster(77))
    return path


def refuse(status: int, **fulfilled: Any) -> Answer:
    return lambda route: route.fulfill(status=status, **fulfilled)


def abort(route: Any) -> None:
    route.abort()


HTML = {"content_type": "text/html", "body": "<html><h1>502 Bad Gateway</h1></html>"}
FAULTS = {
    "stopped": (abort, "The server cannot be reached."),
    "proxy": (refuse(502, **HTML), "The server could not answer (status 502)."),
    "nothing": (refuse(504), "The server could not answer (status 504)."),
    "unavailable": (refuse(503, json={"detail": "the workspace cannot be read"}), "the workspace cannot be read"),
    "other program": (refuse(200, **HTML), "The answer of the server was cut off, or is of another program."),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_shown_stays_and_another_try_shows_the_film(page: Page, name: str) -> None:
    answer, words = FAULTS[name]
    before = page.locator("#hits").text_content()
    page.route("**/api/films/**", answer)
    title = page.locator(".hit strong").first.text_content()
    page.locator(".hit").first.click()
    expect(page, "#status").to_contain_text(words)
    assert page.locator("#hits").text_content() == before
    expect(page, "#name").to_have_text("Film 22 (1982)")
    page.unroute("**/api/films/**")
    page.get_by_role("button", name="Retry").click()
    expect(page, "#name").to_have_text(title)
    expect(page, "#status").to_contain_text(f"look-alikes of {title}")


def test_further_results_that_fail_can_be_tried_again(page: Page) -> None:
    page.route("**/similar?*offset=30*", abort)
    page.locator("footer").scroll_into_view_if_needed()
    expect(page, "#status").to_contain_text("The server cannot be reached.")
    expect(page, ".hit").to_have_count(30)
    page.unroute("**/similar?*offset=30*")
    page.get_by_role("button", name="Retry").click()
    expect(page, ".hit").to_have_count(40)


def test_a_busy_server_is_asked_again_when_it_says(page: Page) -> None:
    asked: list[str] = []

    def answer(route: Any) -> None:
        asked.append(page.locator("#status").text_content())
        if len(asked) > 2:
            route.continue_()
        else:
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"detail": "the server is busy"})

    page.route("**/similar?*", answer)
    page.locator(".hit").first.click()
    expect(page, "#name").not_to_have_text("Film 22 (1982)")
    assert asked[2] == "The server is busy; trying again in 1 s …"


def test_a_server_that_stops_leaves_what_is_shown(browser: Any, home: Path, request: pytest.FixtureRequest) -> None:
    server = serving(home)
    url = server.__enter__()
    with looking(browser, url, request) as page:
        page.goto("/?film=1")
        expect_hits(page)
        shown = page.locator(".hit").count()
        page.goto("/user")
        page.goto("/?film=1")
        expect_hits(page)
        server.__exit__(None, None, None)
        page.locator(".hit").first.click()
        expect(page, "#status").to_contain_text("The server cannot be reached.")
        expect(page, ".hit").to_have_count(shown)


def test_an_expired_sign_in_is_said(page: Page) -> None:
    page.route("**/api/films/**", refuse(401, json={"detail": "expected the token"}))
    page.locator(".hit").first.click()
    expect(page, "#status").to_have_text("You are no longer signed in: reload the page.")


def test_recommendations_stay_while_the_server_is_away(people_page: Page) -> None:
    page = people_page
    page.goto("/user?user=2")
    expect(page, "#hits li >> nth=0").to_be_visible()
    shown = page.locator("#hits").text_content()
    page.route("**/api/users/**", abort)
    page.get_by_label("Model").select_option("als")
    expect(page, "#status").to_contain_text("The server cannot be reached.")
    assert page.locator("#hits").text_content() == shown
    page.unroute("**/api/users/**")
    page.get_by_role("button", name="Retry").click()
    expect(page, "#status").to_contain_text("films.")


def test_a_panel_that_fails_is_said_in_its_place_and_can_be_tried_again(people_page: Page) -> None:
    page = people_page
    page.route("**/panel", refuse(500))
    page.goto("/?film=22")
    expect(page, "#panel").to_contain_text("The server could not answer (status 500).")
    expect(page, "#status").to_contain_text("look-alikes of Film 22")
    page.screenshot(path=SCREENSHOTS / "page-faults-panel.png")
    page.unroute("**/panel")
    page.locator("#panel").get_by_role("button", name="Retry").click()
    expect(page, "#panel .looks li").to_have_count(6)


def test_genres_that_fail_are_said_in_their_menu_and_can_be_tried_again(people_page: Page) -> None:
    page = people_page
    page.route("**/api/genres", abort)
    page.goto("/?film=22")
    expect_hits(page)
    page.locator("#genres summary").click()
    expect(page, "#genre-list").to_contain_text("The server cannot be reached.")
    page.unroute("**/api/genres")
    page.locator("#genre-list").get_by_role("button", name="Retry").click()
    expect(page, "#genre-list input >> nth=0").to_be_visible()


def test_a_file_of_ratings_that_cannot_be_read_is_said_on_the_page_of_a_user(people_page: Page) -> None:
    page = people_page
    page.goto("/user?user=2")
    expect(page, "#hits li >> nth=0").to_be_visible()
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.evaluate("""() => {
      const data = new DataTransfer();
      data.items.add(new File(["no ratings"], "notes.csv"));
      dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
    }""")
    expect(page, "#imported").to_contain_text("notes.csv")
    expect(page, "#imported").to_be_in_viewport()


# Why


def test_why_shows_no_map_of_another_pair(page: Page) -> None:
    held: list[Any] = []
    page.locator("#hits button", has_text="Why").first.click()
    expect(page, "#pair canvas").to_have_count(2)
    page.keyboard.press("Escape")
    page.route("**/why/*", lambda route: held.append(route))
    page.locator("#hits button", has_text="Why").nth(1).click()
    expect(page, "#why-status").to_have_text("Comparing the two posters …")
    expect(page, "#pair").to_be_hidden()
    held[0].continue_()
    expect(page, "#pair").to_be_visible()
    expect(page, "#why-status").to_contain_text("Similarity of looks")


def test_why_that_fails_is_said_and_can_be_tried_again(page: Page) -> None:
    page.route("**/why/*", abort)
    page.locator("#hits button", has_text="Why").first.click()
    expect(page, "#why-status").to_contain_text("The server cannot be reached.")
    expect(page, "#pair").to_be_hidden()
    page.unroute("**/why/*")
    page.locator("#why").get_by_role("button", name="Retry").click()
    expect(page, "#pair").to_be_visible()


def test_back_and_a_click_outside_close_the_dialog(page: Page) -> None:
    title = page.locator(".hit strong").first.text_content()
    page.locator(".hit").first.click()
    expect(page, "#name").to_have_text(title)
    expect_hits(page)
    why = page.locator("#hits button", has_text="Why").first
    why.click()
    expect(page, "#why").to_be_visible()
    page.locator("#why h2").click()
    expect(page, "#why").to_be_visible()
    page.mouse.click(5, 5)
    expect(page, "#why").to_be_hidden()
    why.click()
    page.go_back()
    expect(page, "#name").to_have_text("Film 22 (1982)")
    expect(page, "#why").to_be_hidden()


# New films


@pytest.fixture
def own_home(fitted_home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fitted_home, tmp_path / "own"))


@pytest.fixture
def own_page(browser: Any, own_home: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page of a server whose catalog may be changed."""
    with serving(own_home) as url, looking(browser, url, request) as page:
        page.goto("/?film=22")
        expect_hits(page)
        yield page


def describe(page: Page, poster: Path, title: str) -> None:
    page.set_input_files("#picture", poster)
    expect(page, "#expected").to_contain_text("stars expected")
    if not page.locator("#more").get_attribute("open") is not None:
        page.locator("#more-name").click()
    page.get_by_label("Title", exact=True).fill(title)


def test_a_film_that_was_there_already_is_said_to_be(own_page: Page, poster: Path) -> None:
    for words in ("The Page Turner (2026) was added.", "The Page Turner (2026) was in the catalog already"):
        describe(own_page, poster, "The Page Turner (2026)")
        own_page.get_by_role("button", name="Add to the catalog").click()
        expect(own_page, "#name").to_have_text("The Page Turner (2026)")
        expect(own_page, "#status").to_contain_text(words)


def test_a_refusal_stays_though_the_prediction_comes_later(page: Page, poster: Path) -> None:
    held: list[Any] = []
    describe(page, poster, "Heat (1995)")
    page.route("**/api/films?title=*", refuse(403, json={"detail": "this server adds no films"}))
    page.route("**/api/cold-start?title=*", lambda route: held.append(route))
    page.get_by_role("button", name="Add to the catalog").click()
    expect(page, "#new-film-status").to_have_text("This server adds no films")
    held[0].continue_()
    expect(page, "#expected").to_contain_text("stars expected")
    expect(page, "#new-film-status").to_have_text("This server adds no films")


def test_a_server_that_only_reads_offers_no_form_to_add_films(
    browser: Any, own_home: Path, poster: Path, request: pytest.FixtureRequest
) -> None:
    with serving(own_home, read_only=True) as url, looking(browser, url, request) as page:
        page.goto("/?film=22")
        describe(page, poster, "Heat (1995)")
        expect(page, "#more-name").to_have_text("Describe the film")
        expect(page, "#new-film button").to_be_hidden()


def _fail_further_results(page: Page) -> None:
    page.route("**/similar?*offset=30*", abort)
    page.locator("footer").scroll_into_view_if_needed()


def _fail_random_film(page: Page) -> None:
    page.route("**/films/random", abort)
    page.locator("footer").scroll_into_view_if_needed()
    expect(page, ".hit").to_have_count(40)
    page.locator("#random").click()


def _fail_suggestion(page: Page) -> None:
    page.route("**/api/films?query=*", abort)
    page.fill("#title", "film")


def _ask_for_unknown_title(page: Page) -> None:
    page.fill("#title", "xqzzq")


SAID = {
    "further": (_fail_further_results, "The server cannot be reached."),
    "random": (_fail_random_film, "The server cannot be reached."),
    "suggestion": (_fail_suggestion, "The server cannot be reached."),
    "title": (_ask_for_unknown_title, "No film is titled like “xqzzq”."),
}


@pytest.mark.parametrize(
    ("name", "width", "height"),
    [
        ("further", 1280, 800),
        ("further", 320, 256),
        ("random", 1280, 800),
        ("suggestion", 390, 844),
        ("title", 320, 256),
    ],
)
def test_what_went_wrong_is_said_in_the_window(page: Page, name: str, width: int, height: int) -> None:
    act, words = SAID[name]
    page.set_viewport_size({"width": width, "height": height})
    act(page)
    expect(page, "#status").to_contain_text(words)
    expect(page, "#status").to_be_in_viewport(ratio=0.95)
    # Not below the header either.
    assert page.evaluate(
        """() => {
            const { x, y, width, height } = document.querySelector("#status").getBoundingClientRect();
            return document.elementFromPoint(x + width / 2, y + height / 2).closest("#status") !== null;
        }"""
    )


def test_an_error_covers_nothing_that_has_the_focus(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 256})
    page.route("**/similar?*offset=30*", abort)
    page.locator("footer").scroll_into_view_if_needed()
    expect(page, "#status").to_contain_text("The server cannot be reached.")
    page.locator(".hit").last.focus()
    for _ in range(12):
        page.keyboard.press("Shift+Tab")
        assert page.evaluate(
            """() => {
                const { top, bottom } = document.activeElement.getBoundingClientRect();
                return bottom > document.querySelector("#status").getBoundingClientRect().bottom && top < innerHeight;
            }"""
        )


def test_an_error_goes_with_the_text_that_it_is_of(page: Page) -> None:
    page.fill("#title", "xqzzq")
    expect(page, "#status").to_contain_text("No film is titled")
    page.fill("#title", "film")
    expect(page, "#suggestions li >> nth=0").to_be_visible()
    expect(page, "#status").to_be_empty()
