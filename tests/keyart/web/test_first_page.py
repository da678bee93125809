"""The page before there is a question: what it is for, examples and well-known films; and films without a poster."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from catalog.film import Film
from keyart.web.markup import element, joined
from keyart.web.routes.first_page import _first
from keyart.web.words import ENGLISH
from tests.keyart.web.conftest import NEEDS_AXE, NEEDS_CHROMIUM, Page, barriers, expect, expect_hits, looking
from tests.keyart.web.test_page_places import SHIFTS

pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.heavy

WITHOUT_POSTER = 15  # of the demo catalog
HOSTILE = '<img src=x onerror="alert(1)">&"\''


class Elements(HTMLParser):
    """Collects the elements of a page with their attributes, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> Elements:
    elements = Elements()
    elements.feed(html)
    return elements


def test_hostile_titles_stay_text() -> None:
    films = [Film(movie_id, HOSTILE, 1990 + movie_id) for movie_id in range(1, 7)]
    page = parsed(_first(films, ENGLISH, takes_text=True))
    assert {name for name, _ in page.found} == {
        "section", "div", "h2", "p", "label", "strong", "span", "ul", "ol", "li", "a", "b", "img",
        "button",
    }  # fmt: skip
    assert {attributes.get("src") for name, attributes in page.found if name == "img"} == {
        f"posters/{film.movie_id}?width=160" for film in films
    }
    assert page.text.count(HOSTILE) == 3
    written = parsed(element("p", HOSTILE, joined("<", element("b", "&")), title=HOSTILE, hidden=True, open=False))
    assert written.found == [("p", {"title": HOSTILE, "hidden": None}), ("b", {})]
    assert written.text == HOSTILE + "<&"


def test_a_description_is_an_example_where_descriptions_are_taken() -> None:
    films = [Film(movie_id, f"Film {movie_id}") for movie_id in range(1, 7)]
    described = parsed(_first(films, ENGLISH, takes_text=True))
    assert "?text=a+face+in+the+dark" in [attributes.get("href") for _, attributes in described.found]
    assert "?film=4&unlike=5" in [
        attributes.get("href") for _, attributes in parsed(_first(films, ENGLISH, takes_text=False)).found
    ]
    assert parsed(_first(films[:4], ENGLISH, takes_text=True)).text.count("Film") == 0


def test_the_wall_shows_the_films_with_most_ratings_first(people_address: str) -> None:
    page = parsed(requests.get(people_address, timeout=60).text)
    wall = [
        int(address[6:]) for _, each in page.found if re.fullmatch(r"\?film=\d+", address := each.get("href") or "")
    ]
    n_ratings = [
        requests.get(f"{people_address}/api/films/{movie_id}", timeout=60).json()["n_ratings"] for movie_id in wall[1:]
    ]
    assert len(wall) > 30
    assert n_ratings == sorted(n_ratings, reverse=True)


@NEEDS_CHROMIUM
def test_the_page_begins_with_what_can_be_asked(people_page: Page) -> None:
    page = people_page
    page.goto("/?utm_source=letter")
    expect(page, "h2 >> nth=0").to_be_attached()
    expect(page, "#first-name").to_have_text("Find films by the look of their posters")
    expect(page, "#choice").to_be_hidden()
    expect(page, "#examples a").to_have_count(3)
    page.locator("#examples a", has_text="Between two").focus()
    page.keyboard.press("Enter")
    expect_hits(page)
    expect(page, "#first").to_be_hidden()
    expect(page, "#like li").to_have_count(1)
    page.go_back()
    expect(page, "#wall img >> nth=0").to_be_visible()
    expect(page, "#hits .hit").to_have_count(0)
    page.get_by_role("combobox", name="Search a film by title").fill("film 12")
    page.keyboard.press("Enter")
    expect(page, "#name").to_have_text("Film 12 (1972)")
    expect(page, "#first").to_be_hidden()
    page.go_back()
    expect(page, "#first").to_be_visible()
    expect(page, "#film").to_be_hidden()
    assert page.title() == "keyart"


@NEEDS_CHROMIUM
def test_a_picture_is_dropped_on_the_first_page(people_page: Page, tmp_path: Path) -> None:
    page = people_page
    page.goto("/")
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(page.request.get("/posters/22").body())
    with page.expect_file_chooser() as chooser:
        page.locator(".drop").click()
    chooser.value.set_files(picture)
    expect(page, "#name").to_have_text("Your picture")
    expect_hits(page)
    expect(page, "#first").to_be_hidden()
    page.go_back()
    expect(page, "#first").to_be_visible()


@NEEDS_CHROMIUM
def test_a_file_of_ratings_leaves_the_first_page_and_says_where_it_is_taken(people_page: Page) -> None:
    page = people_page
    page.goto("/")
    ratings = {"name": "ratings.csv", "mimeType": "text/csv", "buffer": b"Date,Name,Year,Letterboxd URI,Rating\n"}
    page.set_input_files("#picture", ratings)
    expect(page, "#status").to_have_text("ratings.csv is not a picture. “For you” imports ratings.")
    expect(page, "#first").to_be_visible()
    page.locator("#status a").click()
    expect(page, "#films li >> nth=0").to_be_visible()


@NEEDS_CHROMIUM
def test_a_picture_that_the_browser_cannot_show_finds_films_beside_its_name(people_page: Page) -> None:
    page = people_page
    page.goto("/")
    written = BytesIO()
    Image.open(BytesIO(page.request.get("/posters/22").body())).save(written, "TIFF")
    picture = {"name": "scan.tiff", "mimeType": "image/tiff", "buffer": written.getvalue()}
    page.set_input_files("#picture", picture)
    expect_hits(page)
    expect(page, "#no-poster").to_have_text("Your picture")
    expect(page, "#poster").to_be_hidden()
    page.set_input_files("#like-picture", picture)
    expect(page, ".chips li").to_have_count(2)
    expect(page, ".chips img").to_have_count(0)


@NEEDS_CHROMIUM
def test_the_link_to_skip_leads_to_what_is_shown(people_page: Page) -> None:
    page = people_page
    for address, target in (("/", "#first"), ("/?film=22", "#hits")):
        page.goto(address)
        expect(page, target).to_be_visible()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page, target).to_be_focused()


@NEEDS_CHROMIUM
def test_a_film_whose_poster_cannot_be_shown_has_its_title_in_type(people_page: Page) -> None:
    people_page.route("**/posters/*", lambda route: route.abort())
    people_page.goto("/?film=22")
    expect_hits(people_page)
    plain = people_page.locator(".hit .plain").first
    title = people_page.locator(".hit strong").first.text_content()
    assert plain.locator("b").text_content() in title
    assert re.fullmatch(r"\d{4}", plain.locator("i").text_content())


@NEEDS_CHROMIUM
@pytest.mark.parametrize("media", [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"forced_colors": "active"}])
@pytest.mark.parametrize("size", [(1440, 900), (1024, 768), (390, 844)])
@NEEDS_AXE
def test_nothing_moves_and_no_barrier(
    browser: Any, people_address: str, request: pytest.FixtureRequest, size: tuple[int, int], media: dict[str, Any]
) -> None:
    viewport = {"width": size[0], "height": size[1]}
    with looking(browser, people_address, request, viewport=viewport, **media) as page:
        page.add_init_script(SHIFTS)
        page.goto("/")
        page.wait_for_load_state("networkidle")
        assert sum(page.evaluate("shifts")) < 0.05
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert barriers(page) == []


def test_a_genre_shows_its_films_without_a_poster_as_cards(demo_address: str) -> None:
    (genre, *_) = requests.get(f"{demo_address}/api/films/{WITHOUT_POSTER}", timeout=60).json()["genres"]
    told = requests.get(f"{demo_address}/api/genres/{genre}", timeout=60).json()
    page = parsed(requests.get(f"{demo_address}/?wall={genre}", timeout=60).text)
    n = min(told["n_films"], 48)
    assert f"{n} of {told['n_films']} films of this genre" in page.text
    kinds = [attributes.get("class") or attributes.get("src") for name, attributes in page.found]
    shown = [kind for kind in kinds if kind == "plain" or str(kind).startswith("posters/")]
    assert len(shown) == n
    assert 0 < shown.count("plain") < n
    # Those with a poster come first.
    assert shown[-shown.count("plain") :] == ["plain"] * shown.count("plain")


def test_an_unknown_genre_is_said(demo_address: str) -> None:
    page = parsed(requests.get(f"{demo_address}/?wall=<b>Nope", timeout=60).text)
    assert "There is no genre “<b>Nope” here." in page.text
    assert "Find films by the look of their posters" in page.text
