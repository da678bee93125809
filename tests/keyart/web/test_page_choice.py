"""Which films the page shows and how they are ranked: the slider's real share, filters, and pictures of any size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import requests
from PIL import Image

from tests.keyart.web.conftest import NEEDS_CHROMIUM, Page, expect, expect_hits, looking

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [NEEDS_CHROMIUM, pytest.mark.heavy]

NO_POSTER, NO_RATINGS = 4, 6


@pytest.fixture
def page(people_page: Page) -> Page:
    people_page.goto("/?film=22")
    expect_hits(people_page)
    return people_page


@pytest.fixture
def small_page(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page of the small catalog, one of whose films has no poster, and one no ratings."""
    with looking(browser, address, request) as opened:
        yield opened


def test_the_slider_shows_the_share_of_looks(page: Page, people_address: str) -> None:
    hits = requests.get(f"{people_address}/api/films/22/similar", timeout=60).json()["results"]
    shares = [hit["alpha"] for hit in hits]
    low, high = (round(100 * share) for share in (min(shares), max(shares)))
    assert low < high
    expect(page, "#share").to_have_text(f"looks {low} to {high} %")
    mean = sum(shares) / len(shares)
    assert float(page.locator("#alpha").input_value()) == pytest.approx(mean, abs=0.026)
    page.locator("#alpha").focus()
    page.keyboard.press("End")
    expect(page, "#share").to_have_text("looks 100 %")
    expect(page, "#auto").not_to_be_checked()
    page.wait_for_url("**alpha=1")
    page.get_by_role("checkbox", name="Automatic: looks alike or liked alike").check()
    expect(page, "#share").to_have_text(f"looks {low} to {high} %")


@pytest.mark.parametrize(
    ("film", "words"), [(NO_POSTER, "by ratings, not by looks"), (NO_RATINGS, "by looks, not by ratings")]
)
def test_a_film_that_is_compared_by_one_side_has_no_slider(small_page: Page, film: int, words: str) -> None:
    small_page.goto("/?film=1")
    expect_hits(small_page)
    expect(small_page, "#alpha").to_be_enabled()
    small_page.goto(f"/?film={film}")
    expect_hits(small_page)
    expect(small_page, "#share").to_have_text(words)
    expect(small_page, "#alpha").to_be_disabled()
    expect(small_page, "#auto").to_be_disabled()


def set_field(page: Page, label: str, value: str) -> None:
    page.get_by_label(label, exact=True).fill(value)
    page.keyboard.press("Tab")


@pytest.mark.parametrize(
    ("first", "last", "wrong", "words"),
    [
        ("1980", "1970", {"first_year", "last_year"}, "The first year is later than the last."),
        ("99", "", {"first_year"}, "A year has four digits, such as 1995."),
        ("", "20000", {"last_year"}, "A year has four digits, such as 1995."),
    ],
)
def test_years_that_cannot_be_are_said_beside_the_fields(
    page: Page, first: str, last: str, wrong: set[str], words: str
) -> None:
    before = page.locator("#hits").text_content()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/similar" in request.url else None)
    set_field(page, "to", last)
    set_field(page, "From", first)
    expect(page, "#choice-fault").to_have_text(words)
    for name in ("first_year", "last_year", "min_ratings"):
        expect(page, f"#{name}").to_have_attribute("aria-invalid", str(name in wrong).lower())
    if not last:
        assert asked == []
        assert page.locator("#hits").text_content() == before
    set_field(page, "From", "1965")
    set_field(page, "to", "1975")
    expect(page, "#choice-fault").to_be_empty()
    page.wait_for_url("**first_year=1965*last_year=1975")


def test_several_genres_are_chosen_and_all_filters_cleared(page: Page) -> None:
    page.locator("#genres summary").press("Enter")
    page.get_by_label("Comedy").and_(page.locator("#genre-list input")).check()
    page.wait_for_url("**genre=Comedy")
    expect(page, "#genres-chosen").to_have_text("Comedy")
    page.get_by_label("Drama").and_(page.locator("#genre-list input")).check()
    page.wait_for_url("**genre=Comedy&genre=Drama")
    expect(page, "#genres-chosen").to_have_text("Comedy or Drama")
    page.keyboard.press("Escape")
    expect(page, "#genre-list").to_be_hidden()
    expect(page, "#genres summary").to_be_focused()
    set_field(page, "From", "1970")
    page.wait_for_url("**first_year=1970*")
    page.get_by_role("button", name="Clear filters").click()
    page.wait_for_url("**/?film=22")
    expect(page, "#genres-chosen").to_have_text("all")
    expect(page, "#first_year").to_have_value("")
    expect(page, "#clear").to_be_disabled()
    expect(page, "#genres summary").to_be_focused()
    page.go_back()
    expect(page, "#genres-chosen").to_have_text("Comedy or Drama")
    expect(page, "#first_year").to_have_value("1970")


def gradient(size: tuple[int, int]) -> Image.Image:
    return Image.linear_gradient("L").resize(size).convert("RGB")


def noise(size: tuple[int, int]) -> Image.Image:
    return Image.frombytes("RGB", size, Random(0).randbytes(3 * size[0] * size[1]))


@pytest.mark.parametrize("image", [gradient((5100, 5000)), noise((2000, 1900))], ids=["pixels", "bytes"])
def test_a_picture_over_the_limit_is_made_smaller(
    page: Page, tmp_path: Path, people_address: str, image: Image.Image
) -> None:
    image.save(tmp_path / "large.png", compress_level=1)
    refused = requests.post(f"{people_address}/api/similar", (tmp_path / "large.png").read_bytes(), timeout=60)
    assert refused.status_code in (413, 422)
    page.set_input_files("#picture", tmp_path / "large.png")
    expect(page, "#status").to_contain_text("look-alikes of your picture")


def test_a_picture_within_the_limit_is_sent_as_it_is(page: Page) -> None:
    fit = """async (maxPixels) => {
      const { fitted } = await import("/static/picture.js");
      const canvas = new OffscreenCanvas(30, 20);
      canvas.getContext("2d").fillRect(0, 0, 15, 20);
      const file = await canvas.convertToBlob();
      return (await fitted(file, { max_bytes: 10000, max_pixels: maxPixels })) === file;
    }"""
    assert page.evaluate(fit, 600)
    assert not page.evaluate(fit, 599)
