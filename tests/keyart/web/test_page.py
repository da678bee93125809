"""The page of look-alikes, in a real Chromium, on the demo catalog."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.installation import Demonstration
from tests.keyart.web.conftest import (
    NEEDS_AXE,
    NEEDS_CHROMIUM,
    Page,
    barriers,
    copied,
    expect,
    expect_hits,
    looking,
    serving,
)
from tests.posters.pictures import draw_poster

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [NEEDS_CHROMIUM, pytest.mark.heavy]

# Of the demo catalog.
LEDGER, CIPHER, NOCTURNE, VELVET, WHISPER = 9, 13, 14, 15, 46
EXPORTS = ("json", "csv", "sheet")


@pytest.fixture
def poster(demonstration: Demonstration) -> Path:
    """The poster of Midnight Ledger (1947)."""
    (path,) = (demonstration.folder / "movielens" / "posters").glob(f"{LEDGER}.*")
    return path


def test_a_film_is_searched_and_left_by_keyboard_alone(page: Page) -> None:
    page.goto(f"/?film={CIPHER}")
    expect(page, ".hit >> nth=0").to_be_visible()
    page.get_by_role("combobox", name="Search a film by title").focus()
    page.keyboard.type("midnight")
    expect(page, "#suggestions li").to_have_count(2)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page, "#title").to_have_attribute("aria-activedescendant", "suggestion-1")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page, "#name").to_have_text("Midnight Ledger (1947)")
    assert page.url.endswith(f"?film={LEDGER}")
    # From the top of the page to the look-alikes at one leap, then into the first of them.
    expect_hits(page)
    page.get_by_role("link", name="Skip to the look-alikes").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    name = page.evaluate("document.activeElement.querySelector('strong').textContent")
    page.keyboard.press("Enter")
    expect(page, "#name").to_have_text(name)


def test_keys_mean_the_suggestions_of_the_text_that_is_there(page: Page) -> None:
    def answer_late(route: Any) -> None:
        for key in ("ArrowDown", "ArrowDown", "ArrowUp", "Enter"):
            page.keyboard.press(key)
        route.continue_()

    page.goto(f"/?film={CIPHER}")
    expect(page, ".hit >> nth=0").to_be_visible()
    page.route("**/api/films?query=midnight", answer_late)
    search = page.get_by_role("combobox", name="Search a film by title")
    search.fill("velvet")
    expect(page, "#suggestions li").to_have_text("Velvet Stairwell (1950)")
    search.fill("midnight")
    expect(page, "#name").to_have_text("Midnight Ledger (1947)")
    expect(page, "#suggestions").to_be_hidden()


def test_an_earlier_text_is_not_answered(page: Page) -> None:
    page.goto(f"/?film={CIPHER}")
    expect(page, ".hit >> nth=0").to_be_visible()
    search = page.get_by_role("combobox", name="Search a film by title")
    page.route("**/api/films?query=zzzzqqq", lambda route: search.fill("velvet"))
    with page.expect_event("requestfailed", lambda request: request.url.endswith("zzzzqqq")):
        search.fill("zzzzqqq")
    expect(page, "#suggestions li").to_have_text("Velvet Stairwell (1950)")
    expect(page, "#status").not_to_contain_text("No film is titled")


def test_an_unknown_title_is_reported(page: Page) -> None:
    page.goto(f"/?film={LEDGER}")
    expect(page, ".hit >> nth=0").to_be_visible()
    page.get_by_role("combobox", name="Search a film by title").fill("zzzzqqq")
    expect(page, "#status").to_contain_text("No film is titled like “zzzzqqq”")


def test_a_click_pivots_and_back_returns(page: Page) -> None:
    page.goto(f"/?film={LEDGER}")
    page.locator(".hit", has_text="The Umbrella Cipher").click()
    expect(page, "#name").to_have_text("The Umbrella Cipher (1962)")
    page.go_back()
    expect(page, "#name").to_have_text("Midnight Ledger (1947)")


def test_the_slider_ranks_anew_and_a_link_shows_the_same(page: Page, browser: Any) -> None:
    page.goto(f"/?film={LEDGER}&alpha=0")
    expect(page, "#alpha").to_have_value("0")
    expect_hits(page)
    by_ratings = page.locator("#hits").text_content()
    page.locator("#alpha").focus()
    page.keyboard.press("End")
    page.wait_for_url("**alpha=1")
    expect(page, "#hits").not_to_have_text(by_ratings)
    expect_hits(page)
    linked = browser.new_page()
    linked.goto(page.url)
    expect(linked, "#alpha").to_have_value("1")
    expect(linked, "#hits").to_have_text(page.locator("#hits").text_content())
    linked.close()


def test_filters_keep_to_a_genre_and_to_years(page: Page) -> None:
    page.goto(f"/?film={LEDGER}")
    page.get_by_text("Genres: all").click()
    page.get_by_label("Musical").and_(page.locator("#genre-list input")).check()
    expect(page, ".hit").to_have_count(1)
    expect(page, ".hit").to_contain_text("The Hedgehog Who Hummed (2001)")
    page.goto(f"/?film={LEDGER}")
    page.get_by_label("From", exact=True).fill("2019")
    page.keyboard.press("Tab")
    expect(page, ".hit").to_have_count(1)
    expect(page, ".hit").to_contain_text("Rocket Beneath the Stairs (2019)")


def test_form_input_survives_late_genres(page: Page) -> None:
    first_year = page.get_by_label("From", exact=True)

    def answer_late(route: Any) -> None:
        first_year.fill("2019")
        route.continue_()

    page.route("**/api/genres", answer_late)
    page.goto(f"/?film={LEDGER}")
    expect(page, "#genre-list input >> nth=1").to_be_attached()
    playwright.expect(first_year).to_have_value("2019")


def test_scrolling_loads_more_until_the_end(page: Page) -> None:
    page.goto(f"/?film={LEDGER}&alpha=1")
    expect(page, ".hit").to_have_count(30)
    page.locator("footer").scroll_into_view_if_needed()
    expect(page, "#status").not_to_contain_text("more below")
    assert page.locator(".hit").count() > 50
    titles = page.locator(".hit").all_text_contents()
    assert len(set(titles)) == len(titles)


def test_a_tall_screen_is_filled_without_scrolling(
    browser: Any, demo_address: str, request: pytest.FixtureRequest
) -> None:
    with looking(browser, demo_address, request, viewport={"width": 1200, "height": 6000}) as page:
        page.goto(f"/?film={LEDGER}&alpha=1")
        page.locator(".hit >> nth=50").wait_for()
        expect(page, "#status").not_to_contain_text("more below")


def test_exports_contain_the_shown_results(page: Page) -> None:
    page.goto(f"/?film={LEDGER}&alpha=1&genre=Thriller")
    expect(page, ".hit >> nth=0").to_be_visible()
    shown = page.locator(".hit strong").all_text_contents()
    for name in ("json", "csv"):
        content = page.request.get(page.locator(f"#{name}").get_attribute("href")).text()
        if name == "json":
            titles = [hit["title"] for hit in json.loads(content)["results"]]
        else:
            titles = [line.split(",")[2].strip('"') for line in content.splitlines()[1:]]
        assert [f"{title} (" in label for title, label in zip(titles, shown, strict=True)] == [True] * len(shown)
    sheet = page.request.get(page.locator("#sheet").get_attribute("href"))
    assert sheet.headers["content-type"] == "image/jpeg"


def test_a_random_film_is_drawn_and_left_by_back(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Random film").click()
    page.wait_for_url("**film=*")
    expect(page, ".hit >> nth=0").to_be_visible()
    page.go_back()
    expect(page, "#first").to_be_visible()


def test_an_image_shows_expected_rating_and_audience(page: Page, poster: Path) -> None:
    page.goto(f"/?film={CIPHER}")
    page.set_input_files("#picture", poster)
    expect(page, "#name").to_have_text("Your picture")
    page.locator(".hit >> nth=0", has_text="Midnight Ledger (1947)").wait_for()
    expect(page, "#expected").to_contain_text("stars expected")
    page.get_by_text("Describe the film").click()
    with page.expect_request("**/api/cold-start?*genre=Horror*"):
        page.get_by_role("checkbox", name="Horror").check()
    # It may round to as many stars as without the genre.
    answer = page.request.post("/api/cold-start?genre=Horror", data=poster.read_bytes()).json()
    expect(page, "#expected").to_contain_text(f"★ {answer['expected']['mean']:.2f} stars expected")
    page.locator("#audience-size").click()
    expect(page, "#fans a >> nth=0").to_have_attribute(
        "href", f"user?user={page.locator('#fans a').first.text_content()[5:]}"
    )
    page.locator(".hit >> nth=0").click()
    expect(page, "#name").to_have_text("Midnight Ledger (1947)")
    page.go_back()
    expect(page, "#name").to_have_text("Your picture")
    expect(page, "#expected").to_contain_text("stars expected")
    page.go_back()
    expect(page, "#name").to_have_text("The Umbrella Cipher (1962)")
    expect(page, "#new").to_be_hidden()


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_may_be_dropped_and_pasted(page: Page, poster: Path, way: str) -> None:
    page.goto(f"/?film={CIPHER}")
    expect(page, ".hit >> nth=0").to_be_visible()
    page.evaluate(
        """([way, content]) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const brought = new DataTransfer();
            brought.items.add(new File([bytes], "poster.png", { type: "image/png" }));
            document.body.dispatchEvent(way === "drop"
                ? new DragEvent("drop", { dataTransfer: brought, bubbles: true, cancelable: true })
                : new ClipboardEvent("paste", { clipboardData: brought, bubbles: true }));
        }""",
        [way, base64.b64encode(poster.read_bytes()).decode()],
    )
    page.locator(".hit >> nth=0", has_text="Midnight Ledger (1947)").wait_for()


def test_a_video_is_told_from_a_picture_by_its_brand(page: Page) -> None:
    page.goto(f"/?film={CIPHER}")
    pictures = """async (brands) => {
      const { refusal } = await import("/static/picture.js");
      const file = (brand) => new File([`\\0\\0\\0 ftyp${brand}\\0\\0\\0\\0`], "film.mp4");
      const refusals = await Promise.all(brands.map((brand) => refusal(file(brand))));
      return brands.filter((_, n) => refusals[n] === null);
    }"""
    assert page.evaluate(pictures, ["isom", "mp42", "qt  ", "avif", "avis", "mif1", "heic"]) == [
        "avif",
        "avis",
        "mif1",
        "heic",
    ]
    page.set_input_files(
        "#picture", {"name": "film.mp4", "mimeType": "image/avif", "buffer": b"\0\0\0 ftypisom\0\0\2\0"}
    )
    expect(page, "#status").to_have_text(
        "film.mp4 is not a picture. Choose a JPEG, PNG, WebP, GIF, AVIF, TIFF or BMP file."
    )


def test_a_file_that_is_no_image_is_reported(page: Page, tmp_path: Path) -> None:
    (tmp_path / "letter.jpg").write_text("Dear Sir")
    page.goto(f"/?film={CIPHER}")
    page.set_input_files("#picture", tmp_path / "letter.jpg")
    expect(page, "#status").to_contain_text("letter.jpg is not a picture.")
    expect(page, "#name").to_have_text("The Umbrella Cipher (1962)")


def test_a_film_is_added_by_its_form(
    browser: Any, demonstration: Demonstration, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    home = shutil.copytree(demonstration.folder / "workspace", tmp_path / "workspace")
    (tmp_path / "poster.jpg").write_bytes(draw_poster(3))
    with serving(home) as url, looking(browser, url, request) as page:
        page.goto(f"/?film={LEDGER}")
        page.set_input_files("#picture", tmp_path / "poster.jpg")
        expect(page, "#expected").to_contain_text("stars expected")
        page.get_by_text("Describe the film").click()
        page.get_by_label("Title", exact=True).fill("The Umbrella Cipher (1962)")
        page.get_by_role("button", name="Add to the catalog").click()
        expect(page, "#new-film-status").to_contain_text("This poster: The Umbrella Cipher (1962) is in the catalog")
        expect(page, "#new-film-status a").to_have_attribute("href", f"?film={CIPHER}")
        page.get_by_label("Title", exact=True).fill("The Page Turner (2026)")
        page.get_by_role("checkbox", name="Mystery").check()
        page.get_by_role("button", name="Add to the catalog").click()
        expect(page, "#name").to_have_text("The Page Turner (2026)")
        expect(page, "#facts").to_contain_text("Mystery · 0 ratings")
        expect(page, ".hit >> nth=0").to_be_visible()


def test_why_shows_the_heat_map(page: Page) -> None:
    page.goto(f"/?film={LEDGER}&alpha=1")
    page.get_by_role("button", name="Why The Umbrella Cipher (1962) looks alike").click()
    expect(page, "#why").to_be_visible()
    expect(page, "#pair canvas").to_have_count(2)
    expect(page, "#pair img >> nth=1").not_to_have_js_property("naturalWidth", 0)
    page.keyboard.press("Escape")
    expect(page, "#why").to_be_hidden()


def test_films_are_added_to_the_question_and_a_link_shows_the_same(page: Page, browser: Any) -> None:
    page.goto(f"/?film={LEDGER}")
    expect_hits(page)
    page.get_by_role("button", name="More like The Umbrella Cipher (1962)").click()
    expect(page, "#like li").to_contain_text("The Umbrella Cipher (1962)")
    expect_hits(page)
    page.get_by_role("button", name="Less like Señora Nocturne (1956)").click()
    expect(page, "#unlike li").to_contain_text("Señora Nocturne (1956)")
    expect_hits(page)
    page.locator("#diverse").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_url(f"**/?film={LEDGER}&like={CIPHER}&unlike={NOCTURNE}&diverse=0.05")
    expect_hits(page)
    assert page.title() == "Midnight Ledger (1947) and 1 more – keyart"
    titles = page.locator(".hit strong").all_text_contents()
    assert not {"Midnight Ledger (1947)", "The Umbrella Cipher (1962)", "Señora Nocturne (1956)"} & set(titles)
    assert_exports_hold(page, titles)

    linked = browser.new_page()
    linked.goto(page.url)
    expect(linked, "#unlike li").to_contain_text("Señora Nocturne (1956)")
    expect(linked, "#diverse").to_have_value("0.05")
    expect_hits(linked)
    assert linked.locator(".hit strong").all_text_contents() == titles
    linked.close()

    page.locator(".hit >> nth=0").click()
    expect(page, "#like li").to_have_count(0)
    page.go_back()
    expect(page, "#like li").to_contain_text("The Umbrella Cipher (1962)")


def assert_exports_hold(page: Page, titles: list[str]) -> None:
    answers = {name: page.request.get(page.locator(f"#{name}").get_attribute("href")) for name in EXPORTS}
    found = answers["json"].json()["results"]
    assert [f"{hit['title']} ({hit['year']})" for hit in found] == titles
    assert len(answers["csv"].text().splitlines()) == len(titles) + 1
    assert answers["sheet"].headers["content-type"] == "image/jpeg"


def test_films_are_added_and_removed_by_keyboard(page: Page) -> None:
    page.goto(f"/?film={LEDGER}")
    expect_hits(page)
    page.get_by_role("combobox", name="Add a film that is sought for, too").focus()
    page.keyboard.type("umbrella")
    expect(page, "#like-titles li").to_have_count(1)
    page.keyboard.press("Enter")
    remove = page.get_by_role("button", name="Remove The Umbrella Cipher (1962)")
    playwright.expect(remove).to_be_focused()
    # A film that is to be avoided from now on is no longer sought for.
    page.get_by_role("combobox", name="Add a film whose looks are avoided").focus()
    page.keyboard.type("umbrella")
    expect(page, "#unlike-titles li").to_have_count(1)
    page.keyboard.press("Enter")
    expect(page, "#unlike li").to_contain_text("The Umbrella Cipher (1962)")
    expect(page, "#like li").to_have_count(0)
    playwright.expect(remove).to_be_focused()
    page.keyboard.press("Enter")
    expect(page, "#unlike li").to_have_count(0)
    expect(page, "#unlike-title").to_be_focused()
    page.wait_for_url(f"**/?film={LEDGER}")
    expect_hits(page)
    page.get_by_role("combobox", name="Add a film that is sought for, too").fill("midnight ledger (1947")
    expect(page, "#like-titles li >> nth=0").to_have_text("Midnight Ledger (1947)")
    page.keyboard.press("Enter")
    expect(page, "#status").to_have_text("That is the film that is asked about.")


def test_why_names_the_nearest_of_several_films(page: Page) -> None:
    page.goto(f"/?film={LEDGER}&like={WHISPER}&alpha=1")
    expect_hits(page)
    page.locator("#hits button", has_text="Why").first.click()
    expect(page, "#reasons li >> nth=0").to_contain_text("Nearest to ")
    expect(page, "#pair canvas").to_have_count(2)


def test_a_film_that_cannot_be_combined_can_be_removed(page: Page) -> None:
    page.goto(f"/?film={LEDGER}&like={VELVET}")
    expect(page, "#status").to_contain_text("Velvet Stairwell (1950) is not in the index of posters")
    page.get_by_role("button", name="Remove Velvet Stairwell (1950)").click()
    expect_hits(page)
    page.goto(f"/?film={LEDGER}&unlike=99")
    expect(page, "#status").to_contain_text("no film has the movie_id 99")
    page.get_by_role("button", name="Remove film 99").click()
    expect_hits(page)


def test_a_picture_is_asked_about_with_films(page: Page, poster: Path) -> None:
    page.goto(f"/?film={CIPHER}&unlike={WHISPER}")
    expect_hits(page)
    page.set_input_files("#picture", poster)
    page.locator(".hit >> nth=0", has_text="Midnight Ledger (1947)").wait_for()
    expect(page, "#unlike li").to_have_count(0)
    page.get_by_role("button", name="Less like Señora Nocturne (1956)").click()
    expect(page, "#unlike li").to_contain_text("Señora Nocturne (1956)")
    expect_hits(page)
    expect(page, "#name").to_have_text("Your picture")
    assert "Señora Nocturne (1956)" not in page.locator(".hit strong").all_text_contents()


def test_a_search_goes_on_without_the_one_film_that_cannot_be_combined(page: Page) -> None:
    page.goto(f"/?film={LEDGER}&like={CIPHER}&unlike={NOCTURNE}")
    expect_hits(page)
    page.fill("#like-title", "velvet")
    expect(page, "#like-titles li").to_have_text("Velvet Stairwell (1950), without a poster")
    page.press("#like-title", "Enter")
    page.get_by_role("button", name="Search without Velvet Stairwell (1950)").click()
    page.wait_for_url(f"**/?film={LEDGER}&like={CIPHER}&unlike={NOCTURNE}")
    expect_hits(page)


def test_a_film_without_poster_shows_those_of_its_look_alikes(page: Page) -> None:
    page.goto(f"/?film={VELVET}")
    expect(page, "#poster").to_be_hidden()
    expect(page, ".frame img >> nth=0").not_to_have_js_property("naturalWidth", 0)


def test_an_unknown_film_is_reported(page: Page) -> None:
    page.goto("/?film=99")
    expect(page, "#status").to_contain_text("no film has the movie_id 99")
    expect(page, "#film").to_be_hidden()


@pytest.mark.release
@pytest.mark.parametrize("scheme", ["light", "dark"])
@NEEDS_AXE
def test_no_barrier(page: Page, poster: Path, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(f"/?film={LEDGER}")
    page.locator(".hit").first.wait_for()
    assert barriers(page) == []
    page.goto(f"/?film={LEDGER}&like={CIPHER}&like={WHISPER}&unlike={NOCTURNE}&diverse=0.3")
    expect(page, "#unlike li").to_have_count(1)
    expect_hits(page)
    assert barriers(page) == []
    page.set_input_files("#picture", poster)
    expect(page, "#expected").to_contain_text("stars expected")
    page.get_by_text("Describe the film").click()
    assert barriers(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fits_a_phone_without_horizontal_scrolling(
    browser: Any, demo_address: str, request: pytest.FixtureRequest, scheme: str
) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "color_scheme": scheme, "has_touch": True}
    with looking(browser, demo_address, request, **phone) as page:
        page.goto(f"/?film={LEDGER}&like={WHISPER}&unlike={NOCTURNE}")
        expect(page, ".hit >> nth=0").to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator(".hit", has_text="The Umbrella Cipher").tap()
        expect(page, "#name").to_have_text("The Umbrella Cipher (1962)")


@pytest.fixture(scope="module")
def words_address(built_words: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The demo catalog, with an encoder that takes words."""
    with serving(copied(built_words, tmp_path_factory)) as url:
        yield url


def test_words_that_are_no_title_become_a_description(
    browser: Any, words_address: str, request: pytest.FixtureRequest
) -> None:
    with looking(browser, words_address, request) as page:
        page.goto(f"/?film={LEDGER}")
        expect(page, "#title").to_have_attribute("placeholder", "A title, an id, or what a poster shows")
        page.fill("#title", "midnight")
        expect(page, "#suggestions li").to_have_text(
            ["Midnight Ledger (1947)", "Midnight Ledger (2011)", "Posters that look like “midnight”"]
        )
        page.fill("#title", "red moon")
        page.press("#title", "Enter")
        expect(page, "#name").to_have_text("“red moon”")
        expect(page, ".hit strong >> nth=0").to_have_text("Orchard of Crows (2006)")
        assert page.url.endswith("?text=red+moon")
        page.get_by_role("button", name="Why Orchard of Crows (2006) looks alike").click()
        expect(page, "#reasons li >> nth=0").to_contain_text("the most alike of 59 posters")
        expect(page, "#pair").to_be_hidden()
        page.keyboard.press("Escape")
        # Films combine with it, and what is exported is the same question.
        page.get_by_role("button", name="Less like Orchard of Crows (2006)").click()
        expect(page, "#unlike li").to_have_count(1)
        expect(page, "#hits[aria-busy=false] .hit strong >> nth=0").not_to_have_text("Orchard of Crows (2006)")
        exported = page.request.get(page.get_attribute("#json", "href")).json()
        assert exported["query"]["like"][0]["text"] == "red moon"
        page.go_back()
        page.go_back()
        expect(page, "#name").to_have_text("Midnight Ledger (1947)")


def test_a_description_comes_before_titles_that_only_resemble_it(
    browser: Any, words_address: str, request: pytest.FixtureRequest
) -> None:
    with looking(browser, words_address, request) as page:
        page.goto(f"/?film={LEDGER}")
        expect(page, "#title").to_have_attribute("placeholder", "A title, an id, or what a poster shows")
        page.fill("#title", "red umbrella cipher")
        expect(page, "#suggestions li >> nth=0").to_have_text("Posters that look like “red umbrella cipher”")
        expect(page, "#suggestions li >> nth=1").to_have_text("The Umbrella Cipher (1962)")
        page.press("#title", "Enter")
        expect(page, "#name").to_have_text("“red umbrella cipher”")
        long = "red moon " * 30 + "boat"
        page.fill("#title", long)
        page.press("#title", "Enter")
        expect(page, "#name").to_have_text(f"“{long}”")
        page.fill("#title", "umbrela")
        expect(page, "#suggestions li >> nth=0").to_have_text("The Umbrella Cipher (1962)")


def test_an_encoder_without_words_offers_titles_alone(page: Page) -> None:
    page.goto(f"/?film={LEDGER}")
    expect(page, "#name").to_have_text("Midnight Ledger (1947)")
    page.fill("#title", "red moon")
    expect(page, "#status").to_have_text("No film is titled like “red moon”.")
    expect(page, "#title").to_have_attribute("placeholder", "A title or an id")
