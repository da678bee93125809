"""Questions about several films and pictures: over HTTP, and as chips on the page."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from keyart.engine import Engine
from keyart.similarity.query import Mix
from tests.keyart.web.conftest import NEEDS_CHROMIUM, Page, expect, expect_hits
from tests.posters.pictures import draw_poster

pytestmark = pytest.mark.heavy


def files(n_liked: int, n_avoided: int) -> list[tuple[str, tuple[str, bytes]]]:
    names = [*["image"] * n_liked, *["unlike_image"] * n_avoided]
    return [(name, (f"{n}.jpg", draw_poster(n + 7))) for n, name in enumerate(names)]


def test_pictures_and_films_are_one_question(address: str, home: Path) -> None:
    asked = files(2, 1)
    answer = requests.post(f"{address}/api/similar?like=1&k=3", files=asked, timeout=60).json()
    pictures = [content for _, (_, content) in asked]
    expected = Engine.open(home).similar(Mix([*pictures[:2], 1], [pictures[2]]), 3)
    assert [hit["movie_id"] for hit in answer["results"]] == [hit.movie_id for hit in expected]
    assert [hit["score"] for hit in answer["results"]] == pytest.approx([hit.score for hit in expected], abs=1e-5)
    table = requests.post(f"{address}/api/similar.csv?like=1&k=3", files=asked, timeout=60).text
    assert [int(row["movie_id"]) for row in csv.DictReader(io.StringIO(table))] == [hit.movie_id for hit in expected]


def test_a_sheet_shows_every_picture_that_is_sought_for(address: str) -> None:
    sheet = requests.post(f"{address}/api/sheet.jpg?like=1&k=1", files=files(2, 0), timeout=60)
    drawn = Image.open(io.BytesIO(sheet.content)).convert("RGB")
    # The first two quarters are of the pictures, the third of the film.
    for left, top in ((60, 60), (264, 60), (60, 364)):
        colors = drawn.crop((left, top, left + 180, top + 280)).getcolors(1 << 20)
        assert colors is not None
        assert len(colors) > 100


@pytest.mark.parametrize(
    ("sent", "words"),
    [(files(9, 0), "expected 1 to 8 files"), (files(0, 1), "something that is sought for: image, like or text")],
)
def test_too_many_pictures_and_nothing_that_is_sought_for_are_refused(
    address: str, sent: list[Any], words: str
) -> None:
    answer = requests.post(f"{address}/api/similar", files=sent, timeout=60)
    assert (answer.status_code, words in answer.json()["detail"]) == (422, True), answer.text


def chips(page: Page) -> dict[str, list[str]]:
    return {name: page.locator(f"#{name} li").all_inner_texts() for name in ("pivot", "like", "unlike")}


@NEEDS_CHROMIUM
def test_films_and_pictures_are_collected_as_chips(people_page: Page, tmp_path: Path) -> None:
    page = people_page
    for n in range(3):
        (tmp_path / f"{n}.jpg").write_bytes(draw_poster(n + 7))
    page.goto("/?film=22")
    expect_hits(page)
    other = page.locator(".hit strong").first.text_content()
    page.get_by_role("button", name=f"More like {other}").click()
    expect(page, "#like li").to_have_count(1)
    expect(page, "#pivot li").to_contain_text("Film 22 (1982)")
    # A picture joins the films, and changes sides by its sign.
    page.set_input_files("#unlike-picture", tmp_path / "0.jpg")
    expect(page, "#unlike li").to_contain_text("0.jpg")
    expect(page, "#status").to_contain_text("look-alikes of Film 22 (1982) and 1 more")
    expect(page, "#tab-only").to_be_visible()
    with page.expect_request(lambda request: "/api/similar?" in request.url and "like=" in request.url) as sent:
        page.get_by_role("button", name="More like 0.jpg instead").press("Enter")
    assert sent.value.method == "POST"
    expect(page, "#like li").to_have_count(2)
    expect(page, "[data-part] .sign:focus").to_have_text("+")
    expect_hits(page)
    with page.expect_download() as handed:
        page.get_by_role("button", name="CSV").click()
    assert handed.value.suggested_filename.endswith("look-alikes.csv")
    # The next film takes the place of the one that the page is about.
    page.get_by_role("button", name="Remove Film 22 (1982)").click()
    expect(page, "#name").to_have_text(other)
    expect(page, "#pivot li").to_contain_text(other)
    page.get_by_role("button", name=f"Remove {other}").click()
    expect(page, "#name").to_have_text("Your picture")
    expect(page, "#expected").to_contain_text("stars expected")
    expect(page, ".chips li").to_have_count(0)

    # One that is dropped is a question of its own, beside the one before it.
    page.go_back()
    expect(page, "#name").to_have_text(other)
    expect(page, "#like li").to_contain_text("0.jpg")
    page.set_input_files("#picture", tmp_path / "1.jpg")
    expect(page, "#before-name").to_have_text(f"{other} and 1 more")
    page.get_by_role("button", name="Less like this").click()
    expect(page, "#unlike li").to_contain_text("1.jpg")
    assert [len(each) for each in chips(page).values()] == [1, 1, 1]
    expect(page, "#name").to_have_text(other)
    page.go_back()
    expect(page, "#name").to_have_text("Your picture")
    page.go_forward()
    expect(page, "#unlike li").to_contain_text("1.jpg")

    # An address holds films alone; without the one that the page was about, the first is.
    page.reload()
    expect(page, "#status").to_contain_text("2 pictures were not kept; choose them again.")
    expect_hits(page)
    page.goto("/?like=22&like=23&unlike=24")
    expect(page, "#name").to_have_text("Film 22 (1982)")
    assert [len(each) for each in chips(page).values()] == [1, 1, 1]
    page.wait_for_url("**/?unlike=24&film=22&like=23")
    # What is sought for alone cannot be removed, nor avoided.
    page.goto("/?film=22&unlike=24")
    expect(page, "#unlike li").to_have_count(1)
    expect(page, "#pivot button").to_have_count(0)
