"""Films that somebody keeps: the buttons and the page in a real Chromium, and the files over HTTP."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
import requests
from PIL import Image

from keyart.web.routes.shortlists import FILM_COLUMNS, _as_csv
from keyart.web.schemas.films import FilmFacts
from keyart.web.schemas.shortlists import MAX_FILMS
from tests.keyart.web.conftest import NEEDS_AXE, NEEDS_CHROMIUM, Page, barriers, expect, expect_hits, looking

pytestmark = pytest.mark.heavy

MISSING = 99_999
KEPT = "() => JSON.parse(localStorage.getItem('keyart-shortlist'))"


def test_films_are_described_in_their_order_once_each(address: str) -> None:
    imdb_id = requests.get(f"{address}/api/films/2", timeout=60).json()["imdb_id"]
    names = [3, f"tt{imdb_id}" if imdb_id else 2, 1, 3, MISSING, f"movie:{MISSING}", 2, MISSING]
    answer = requests.get(f"{address}/api/shortlist.json", {"film": names}, timeout=60)
    assert [film["movie_id"] for film in answer.json()["films"]] == [3, 2, 1]
    assert answer.json()["missing"] == [MISSING]
    assert answer.json()["films"][0] == requests.get(f"{address}/api/films/3", timeout=60).json()
    assert answer.headers["content-disposition"] == 'inline; filename="shortlist.json"'


def test_files_hold_the_films_that_are_there(address: str) -> None:
    names = {"film": [2, MISSING, 1]}
    table = requests.get(f"{address}/api/shortlist.csv", names, timeout=60)
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert tuple(rows[0]) == FILM_COLUMNS
    assert [row["movie_id"] for row in rows] == ["2", "1"]
    assert table.headers["content-disposition"] == 'inline; filename="shortlist.csv"'
    sheet = requests.get(f"{address}/api/shortlist.jpg", names, timeout=60)
    assert sheet.headers["content-disposition"] == 'inline; filename="shortlist.jpg"'
    one = requests.get(f"{address}/api/shortlist.jpg", {"film": 2}, timeout=60)
    widths = [Image.open(io.BytesIO(answer.content)).width for answer in (sheet, one)]
    assert widths[0] > 1.5 * widths[1]


@pytest.mark.parametrize(
    ("question", "status", "words"),
    [
        ("", 422, "film: Field required"),
        ("film=heat", 422, "expected a movie_id"),
        ("&".join(["film=1"] * (MAX_FILMS + 1)), 422, f"at most {MAX_FILMS} items"),
        ("film=1&k=3", 422, "it takes film"),
        (f"film={MISSING}", 404, "the catalog has none of these films"),
    ],
)
def test_what_is_no_list_of_films_is_refused(address: str, question: str, status: int, words: str) -> None:
    answer = requests.get(f"{address}/api/shortlist.jpg?{question}", timeout=60)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text


def test_no_cell_is_a_formula() -> None:
    film = FilmFacts(
        movie_id=6, title='=HYPERLINK("x")', year=None, genres=["@SUM", "b"], n_ratings=0, mean_rating=None,
        has_poster=False,
    )  # fmt: skip
    (row,) = csv.DictReader(io.StringIO(_as_csv([film])))
    assert (row["title"], row["genres"]) == ('\'=HYPERLINK("x")', "'@SUM|b")


@NEEDS_CHROMIUM
def test_films_are_kept_while_browsing_and_shown_on_a_page_of_their_own(people_page: Page) -> None:
    page = people_page
    page.goto("/?film=22")
    expect_hits(page)
    titles = page.locator(".hit strong").all_text_contents()[:2]
    panel = page.locator("#keep")
    panel.focus()
    page.keyboard.press("Space")
    expect(page, "#keep").to_have_attribute("aria-pressed", "true")
    for title in titles:
        page.locator("#hits").get_by_role("button", name=f"Keep {title}").click()
    expect(page, "#to-shortlist").to_have_text("Shortlist (3)")
    page.locator("#hits").get_by_role("button", name=f"Keep {titles[0]}").click()
    page.locator("#hits").get_by_role("button", name=f"Keep {titles[0]}").click()
    # Another film's page, and another page, know of them.
    page.locator(".hit", has_text=titles[0]).click()
    expect(page, "#name").to_have_text(titles[0])
    expect(page, "#keep").to_have_attribute("aria-pressed", "true")
    for other in ("/user", "/atlas", "/docs", "/nowhere"):
        page.goto(other)
        expect(page, "#to-shortlist").to_have_text("Shortlist (3)")
    page.get_by_role("link", name="Shortlist (3)").click()
    expect(page, ".hit strong").to_have_text(["Film 22 (1982)", titles[1], titles[0]])

    # Removed films come back, one step after the other.
    page.get_by_role("button", name=f"Remove {titles[1]}").press("Enter")
    expect(page, "#status").to_have_text(f"{titles[1]} was removed.")
    expect(page, ".hit").to_have_count(2)
    expect(page, ".acts button >> nth=1").to_be_focused()
    page.get_by_role("button", name="Clear").click()
    expect(page, "#status").to_have_text("The shortlist was cleared.")
    expect(page, "#to-shortlist").to_have_text("Shortlist")
    expect(page, "#actions").to_be_hidden()
    expect(page, "#undo").to_be_focused()
    page.keyboard.press("Enter")
    expect(page, ".hit").to_have_count(2)
    page.keyboard.press("Enter")
    expect(page, ".hit strong").to_have_text(["Film 22 (1982)", titles[1], titles[0]])
    expect(page, "#undo").to_be_hidden()
    expect(page, "#name").to_be_focused()

    for name, ending in (("JSON", "json"), ("CSV", "csv"), ("Contact sheet", "jpg")):
        with page.expect_download() as handed:
            page.get_by_role("link", name=name).click()
        assert handed.value.suggested_filename == f"shortlist.{ending}"
    page.get_by_role("link", name="Look-alikes of all").click()
    expect_hits(page)
    expect(page, "#like li").to_have_count(2)


@NEEDS_CHROMIUM
def test_films_are_kept_wherever_a_page_shows_them(people_page: Page) -> None:
    page = people_page
    places = ("/", "#wall li"), ("/?film=22", "#panel .rows li"), ("/user?rated=22-4.5,24-5,26-4", "#hits li")
    for n, (address, film) in enumerate(places, 1):
        page.goto(address)
        page.locator(film).locator("[data-keep][aria-pressed=false]").first.click()
        expect(page, "#to-shortlist").to_have_text(f"Shortlist ({n})")
    # What the server writes later is shown as kept, too.
    page.goto("/?film=22")
    expect(page, "#panel .rows [data-keep][aria-pressed=true] >> nth=0").to_be_visible()
    page.goto("/user?user=2")
    page.locator("#best [data-keep][aria-pressed=false]").first.click()
    expect(page, "#to-shortlist").to_have_text("Shortlist (4)")


@NEEDS_CHROMIUM
def test_look_alikes_are_of_the_films_with_a_poster(browser: Any, address: str, request: pytest.FixtureRequest) -> None:
    with looking(browser, address, request) as page:
        page.goto("/shortlist?film=1&film=4&film=2")
        expect(page, "#alike").to_have_text("Look-alikes of the 2 with a poster")
        page.locator("#alike").click()
        page.wait_for_url("**/?film=1&like=2")
        expect_hits(page)


@NEEDS_CHROMIUM
def test_look_alikes_of_a_long_list_are_those_of_its_first_films(people_page: Page) -> None:
    page = people_page
    page.goto(f"/shortlist?{'&'.join(f'film={movie_id}' for movie_id in range(1, 31))}")
    expect(page, "#alike").to_have_text("Look-alikes of the first 20 with a poster")
    page.locator("#alike").click()
    page.wait_for_url("**/?film=1&like=2&*like=20")
    expect_hits(page)


@NEEDS_CHROMIUM
def test_a_shortlist_is_shared_as_an_address(browser: Any, people_address: str, request: pytest.FixtureRequest) -> None:
    phone = {"width": 390, "height": 844}
    with looking(browser, people_address, request, viewport=phone) as page:
        page.add_init_script("localStorage.setItem('keyart-shortlist', '[22, 23]')")
        page.goto("/shortlist")
        expect(page, ".hit").to_have_count(2)
        page.evaluate("() => { navigator.clipboard.writeText = async (text) => { window.copied = text; }; }")
        page.get_by_role("button", name="Copy link").click()
        expect(page, "#status").to_have_text("The link was copied.")
        link = page.evaluate("copied")
        assert link == f"{people_address}/shortlist?film=22&film=23"
        page.evaluate("() => { navigator.clipboard.writeText = async () => { throw new Error(); }; }")
        page.get_by_role("button", name="Copy link").click()
        expect(page, "#link").to_have_value(link)
    with looking(browser, people_address, request, viewport=phone) as page:
        page.goto(f"{link}&film={MISSING}")
        expect(page, "#name").to_have_text("Shared shortlist")
        expect(page, "#missing span").to_have_text("1 film of this list is not in the catalog.")
        page.locator("[data-keep='23']").click()
        expect(page, "#about").to_have_text("A shortlist that was shared with you: 1 of its films is in yours.")
        page.get_by_role("button", name="Keep all").click()
        expect(page, "#to-shortlist").to_have_text("Shortlist (2)")
        assert page.evaluate(KEPT) == [23, 22]
        page.get_by_role("button", name="Undo").click()
        expect(page, "#status").to_have_text("The last change was undone.")
        assert page.evaluate(KEPT) == [23]
        # What a page cannot store, or another program stored, is no reason to show nothing.
        page.evaluate(f"localStorage.setItem('keyart-shortlist', '[22, \"x\", {MISSING}]')")
        page.goto("/shortlist")
        expect(page, ".hit").to_have_count(1)
        page.get_by_role("button", name="Remove from the list").click()
        expect(page, "#missing").to_be_hidden()
        page.evaluate("localStorage.setItem('keyart-shortlist', 'junk')")
        page.reload()
        expect(page, "#status").to_contain_text("No film is kept yet")


@pytest.mark.release
@pytest.mark.parametrize("media", [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"forced_colors": "active"}])
@NEEDS_CHROMIUM
@NEEDS_AXE
def test_no_barrier(people_page: Page, media: dict[str, Any]) -> None:
    page = people_page
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(**media)
    page.goto("/?film=22")
    expect_hits(page)
    page.locator("#keep").click()
    page.locator("#hits [data-keep]").first.click()
    assert barriers(page) == []
    page.goto("/shortlist")
    page.get_by_role("button", name="Remove Film 22 (1982)").click()
    expect(page, ".hit").to_have_count(1)
    assert barriers(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto(f"/shortlist?film=22&film=23&film={MISSING}")
    expect(page, ".hit").to_have_count(2)
    assert barriers(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
