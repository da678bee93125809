"""Parts of posters on the page: which ones match, and films that look like one part."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image

from tests.keyart.web.conftest import NEEDS_AXE, NEEDS_CHROMIUM, Page, barriers, expect, expect_hits, looking

pytestmark = pytest.mark.heavy


def test_regions_add_up_to_the_similarity(people_address: str) -> None:
    answer = requests.get(f"{people_address}/api/films/22/why/24", timeout=60).json()
    for name in ("grid", "second_grid"):
        rows, columns = len(answer[name]), len(answer[name][0])
        assert [columns, rows] == requests.get(f"{people_address}/api/server", timeout=60).json()["grid"]
        assert sum(map(sum, answer[name])) == pytest.approx(answer["similarity"], abs=1e-3)
    hits = requests.get(f"{people_address}/api/films/22/similar", {"alpha": 1, "k": 40}, timeout=60).json()["results"]
    (visual,) = [hit["visual"] for hit in hits if hit["movie_id"] == 24]
    assert answer["similarity"] == pytest.approx(visual, abs=1e-4)
    assert requests.get(f"{people_address}/api/films/22/why/999", timeout=60).status_code == 404


@pytest.fixture(scope="module")
def picture(fitted_home: Path) -> Path:
    """A picture of no film: the poster of one, as another file."""
    return fitted_home / "posters" / "22.jpg"


def test_regions_of_a_picture_are_those_of_its_poster(people_address: str, picture: Path) -> None:
    expected = requests.get(f"{people_address}/api/films/22/why/24", timeout=60).json()
    asked = f"{people_address}/api/why"
    for body in ({"data": picture.read_bytes()}, {"files": {"image": picture.read_bytes()}}):
        answer = requests.post(asked, params={"film": 24}, timeout=60, **body).json()  # type: ignore[arg-type]
        assert answer["similarity"] == pytest.approx(expected["similarity"], abs=2e-3)
        for name in ("grid", "second_grid"):
            assert sum(map(sum, answer[name])) == pytest.approx(answer["similarity"], abs=1e-3)
            assert np.array(answer[name]) == pytest.approx(np.array(expected[name]), abs=2e-3)
    assert requests.post(asked, picture.read_bytes(), params={"film": 999}, timeout=60).status_code == 404
    assert requests.post(asked, picture.read_bytes(), timeout=60).status_code == 422
    assert requests.post(asked, b"no picture", params={"film": 24}, timeout=60).status_code == 422
    assert requests.post(asked, bytes((10 << 20) + 1), params={"film": 24}, timeout=60).status_code == 413


def test_the_heat_map_of_a_picture_is_that_of_its_poster(people_address: str, picture: Path) -> None:
    content = requests.get(f"{people_address}/api/films/22/why/24.jpg", timeout=60).content
    answer = requests.post(f"{people_address}/api/why.jpg", picture.read_bytes(), params={"film": 24}, timeout=60)
    assert answer.headers["content-type"] == "image/jpeg"
    # Below the posters are titles, which are others.
    posters = [
        np.asarray(Image.open(io.BytesIO(each)).convert("RGB"), np.int16)[:720] for each in (answer.content, content)
    ]
    assert np.abs(posters[0] - posters[1]).mean() < 3


@pytest.fixture
def page(people_page: Page) -> Page:
    people_page.goto("/?film=22")
    expect_hits(people_page)
    # What compares parts is loaded after the films.
    expect(people_page, "#part").to_be_visible()
    return people_page


def drag(page: Page, selector: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag from one place of an element to another, in shares of its size."""
    box = page.locator(selector).bounding_box()
    assert box is not None
    places = [(box["x"] + right * box["width"], box["y"] + down * box["height"]) for right, down in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1])
    page.mouse.up()


@NEEDS_CHROMIUM
def test_a_box_is_dragged_on_the_poster(page: Page, people_address: str) -> None:
    drag(page, "#poster", (0.05, 0.05), (0.95, 0.4))
    page.wait_for_url("**/?film=22&region=0%2C0%2C7%2C3")
    expect_hits(page)
    expect(page, "#part-name").to_have_text("Only columns 1–7, rows 1–3")
    expect(page, "#share").to_have_text("by looks alone")
    asked = f"{people_address}/api/films/22/similar"
    hits = requests.get(asked, {"region": "0,0,7,3", "k": 30}, timeout=60).json()["results"]
    labels = [f"{hit['title']} ({hit['year']})" for hit in hits]
    expect(page, "#hits[aria-busy=false] .hit strong").to_have_text(labels)
    assert "region=0%2C0%2C7%2C3" in page.locator("#csv").get_attribute("href")
    page.get_by_role("button", name="Whole poster").click()
    page.wait_for_url("**/?film=22")
    page.go_back()
    expect(page, "#part-name").to_have_text("Only columns 1–7, rows 1–3")
    expect_hits(page)
    # Another film is asked about whole.
    page.locator(".hit").first.click()
    expect(page, "#part-name").to_be_empty()
    assert "region" not in page.url


@NEEDS_CHROMIUM
def test_a_click_on_the_poster_is_no_box(page: Page) -> None:
    page.locator("#poster").click()
    expect(page, "#pane i").to_be_hidden()
    assert page.url.endswith("?film=22")


@NEEDS_CHROMIUM
def test_a_box_is_moved_and_resized_by_keys(page: Page) -> None:
    page.get_by_role("button", name="Search by a part").press("Enter")
    page.wait_for_url("**region=2%2C2%2C3%2C3")
    expect_hits(page)
    expect(page, "#pane").to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_url("**region=2%2C1%2C4%2C3")
    expect(page, "#pane").to_have_attribute("aria-label", "Part of the poster: columns 3–6, rows 2–4 of 7 × 7")
    expect_hits(page)
    expect(page, "#pane").to_be_focused()
    page.keyboard.press("Delete")
    page.wait_for_url("**/?film=22")


@NEEDS_CHROMIUM
def test_both_posters_show_which_parts_match(page: Page) -> None:
    page.mouse.move(0, 0)
    link = page.locator(".hit").first
    link.locator(".frame").hover()
    expect(page, ".tinted canvas").to_have_count(2)
    expect(page, ".hit .tinted i").to_be_visible()
    page.mouse.move(2, 2)
    expect(page, ".tinted").to_have_count(0)
    # Where the poster at the top is out of sight, a copy is beside the film.
    page.locator("footer").scroll_into_view_if_needed()
    page.locator("#hits button").last.focus()
    page.keyboard.press("Shift+Tab")
    page.locator(".hit").last.focus()
    expect(page, ".twin canvas").to_be_visible()
    expect(page, ".hit .tinted canvas").to_be_visible()
    page.keyboard.press("Tab")
    expect(page, ".twin").to_have_count(0)


@NEEDS_CHROMIUM
def test_a_dropped_picture_shows_which_parts_match(page: Page, picture: Path) -> None:
    page.set_input_files("#picture", picture)
    expect(page, "#name").to_have_text("Your picture")
    expect_hits(page)
    page.mouse.move(0, 0)
    page.locator(".hit .frame").nth(1).hover()
    expect(page, ".tinted canvas").to_have_count(2)
    # The picture at the top is out of sight.
    expect(page, ".twin img").to_have_attribute("src", re.compile("^blob:"))
    page.locator("#hits button", has_text="Why").nth(1).click()
    expect(page, "#pair canvas").to_have_count(2)
    expect(page, "#pair figcaption >> nth=0").to_have_text("22.jpg")
    expect(page, "#pair img >> nth=0").to_have_attribute("src", re.compile("^blob:"))
    expect(page, "#why-status").to_contain_text("Similarity of looks")
    with page.expect_download() as saved, page.expect_request("**/api/why.jpg?film=*"):
        page.get_by_role("button", name="Save as an image").click()
    assert re.fullmatch(r"why-\d+\.jpg", saved.value.suggested_filename)
    # A part of the picture is asked about as a part of a poster is.
    drag(page, "#pair .pane >> nth=0", (0.05, 0.05), (0.4, 0.4))
    page.get_by_role("button", name="Search by this part").click()
    page.wait_for_url("**region=0%2C0%2C3%2C3")
    expect(page, "#name").to_have_text("Your picture")
    expect(page, "#part-name").to_have_text("Only columns 1–3, rows 1–3")


@NEEDS_CHROMIUM
def test_a_large_picture_is_compared_by_a_smaller_one(page: Page, tmp_path: Path) -> None:
    noise = Image.frombytes("RGB", (1000, 1500), Random(0).randbytes(3 * 1000 * 1500))
    noise.save(tmp_path / "large.png", compress_level=1)
    page.set_input_files("#picture", tmp_path / "large.png")
    expect(page, "#name").to_have_text("Your picture")
    expect_hits(page)
    page.mouse.move(0, 0)
    with page.expect_request("**/api/why?film=*") as asked:
        page.locator(".hit .frame").first.hover()
    expect(page, ".tinted canvas").to_have_count(2)
    assert int(asked.value.all_headers()["content-length"]) < 4 << 20 < (tmp_path / "large.png").stat().st_size


@NEEDS_CHROMIUM
def test_the_nearest_of_several_pictures_is_compared(page: Page, picture: Path) -> None:
    page.set_input_files("#picture", picture)
    expect(page, "#name").to_have_text("Your picture")
    expect_hits(page)
    page.set_input_files("#like-picture", picture.with_name("24.jpg"))
    expect(page, "#like li").to_have_count(1)
    expect_hits(page)
    # Each is nearest to the film whose poster it is.
    for movie_id in (22, 24):
        page.locator(f"#hits li:has([data-film='{movie_id}'])").get_by_text("Why").click()
        expect(page, "#why-status").to_contain_text(f"Of your pictures, {movie_id}.jpg looks most like it.")
        expect(page, "#pair figcaption >> nth=0").to_have_text(f"{movie_id}.jpg")
        expect(page, "#reasons li >> nth=0").to_be_visible()
        page.keyboard.press("Escape")


LINKED = """async () => {
  const { linked } = await import("/static/regions.js");
  const pairs = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]];
  const found = { grid: [[10, 26], [42, 58]], second_grid: [[28, 32], [36, 40]], pairs };
  const same = { ...found, pairs: null };
  return [linked(found, [0, 0, 2, 1], true), linked(found, [1, 1, 1, 1], false), linked(same, [1, 0, 1, 2], true)];
}"""


@NEEDS_CHROMIUM
def test_a_box_is_linked_with_regions_of_the_other_poster(page: Page) -> None:
    assert page.evaluate(LINKED) == [[[6, 8], [10, 12]], [[4, 8], [12, 16]], [[0, 26], [0, 58]]]
    page.locator("#hits button", has_text="Why").first.click()
    expect(page, "#pair canvas").to_have_count(2)
    drag(page, "#pair .pane >> nth=1", (0.05, 0.05), (0.4, 0.4))
    expect(page, "#why-status").to_contain_text("columns 1–3, rows 1–3 of ")
    page.keyboard.press("Escape")
    page.locator("#hits button", has_text="Why").first.click()
    pane = page.locator("#pair .pane").nth(1)
    pane.press("ArrowRight")
    pane.press("ArrowRight")
    pane.press("Shift+ArrowDown")
    expect(page, "#why-status").to_contain_text("column 5, rows 4–5 of ")
    expect(page, "#pair i").to_have_count(2)
    title = page.locator("#pair figcaption").nth(1).text_content()
    page.get_by_role("button", name="Search by this part").click()
    expect(page, "#name").to_have_text(title)
    page.wait_for_url("**region=4%2C3%2C1%2C2")


@pytest.fixture
def phone(browser: Any, people_address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    options = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
    with looking(browser, people_address, request, **options) as opened:
        yield opened


@NEEDS_CHROMIUM
@NEEDS_AXE
@pytest.mark.parametrize("media", [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"forced_colors": "active"}])
def test_parts_fit_a_phone_without_barriers(phone: Page, media: dict[str, Any]) -> None:
    phone.emulate_media(**media)
    phone.goto("/?film=22&region=0,0,7,3")
    expect_hits(phone)
    expect(phone, "#pane i").to_be_visible()
    assert barriers(phone) == []
    phone.locator("#hits button", has_text="Why").first.tap()
    expect(phone, "#pair canvas").to_have_count(2)
    assert barriers(phone) == []
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")


@NEEDS_CHROMIUM
def test_a_phone_shows_the_whole_help_on_parts(people_page: Page) -> None:
    page = people_page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/?film=22")
    page.get_by_role("button", name="Search by a part").click()
    expect(page, "#part-help").to_be_visible()
    assert page.evaluate(
        """() => {
            const help = document.querySelector("#part-help").getBoundingClientRect();
            const { bottom } = document.querySelector("#film .name").getBoundingClientRect();
            const { top } = document.querySelector("#panel > *").getBoundingClientRect();
            return help.bottom <= bottom && help.bottom <= top;
        }"""
    )
