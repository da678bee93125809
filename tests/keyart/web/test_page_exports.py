"""The results as files: all that are shown, under a name that says of what; of an image too."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import requests
from PIL import Image

from keyart.render.contact_sheet import MAX_HITS
from keyart.web.file_names import named
from keyart.web.schemas.films import QueryFacts
from tests.keyart.web.conftest import NEEDS_CHROMIUM, Page, expect, expect_hits
from tests.posters.pictures import draw_poster

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize(
    ("query", "name"),
    [
        (QueryFacts(movie_id=6, title="Heat", year=1995), "heat-1995-look-alikes.csv"),
        (QueryFacts(movie_id=4973, title="Amélie: Part II", year=None), "amelie-part-ii-look-alikes.csv"),
        (QueryFacts(movie_id=7, title="東京物語", year=None), "film-7-look-alikes.csv"),
        (QueryFacts(movie_id=None, title="“red ‘moon’”", year=None), "red-moon-look-alikes.csv"),
        (QueryFacts(movie_id=None, title="", year=None), "look-alikes.csv"),
        (QueryFacts(movie_id=1, title="x" * 300, year=2000), f"{'x' * 80}-look-alikes.csv"),
    ],
)
def test_files_are_named_after_the_query(query: QueryFacts, name: str) -> None:
    assert named(query, "csv") == {"Content-Disposition": f'inline; filename="{name}"'}


@NEEDS_CHROMIUM
def test_a_contact_sheet_says_how_many_films_it_has(people_page: Page) -> None:
    people_page.goto("/?film=22")
    expect_hits(people_page)
    labels = people_page.evaluate(
        "async () => { const { sheetLabel } = await import('/static/parts.js'); return [50, 51].map(sheetLabel); }"
    )
    assert labels == ["Contact sheet", f"Contact sheet of the first {MAX_HITS}"]
    assert people_page.locator("#sheet").inner_text() == "Contact sheet"


def test_every_file_has_a_name(people_address: str) -> None:
    def name_of(answer: requests.Response) -> str:
        assert answer.ok, answer.text
        return answer.headers["content-disposition"].partition("filename=")[2]

    for path, ending in (("similar", "json"), ("similar.csv", "csv"), ("sheet.jpg", "jpg")):
        one = requests.get(f"{people_address}/api/films/22/{path}", timeout=60)
        assert name_of(one) == f'"film-22-1982-look-alikes.{ending}"'
        mix = requests.get(f"{people_address}/api/{path}", {"like": [22, 24], "unlike": 23}, timeout=60)
        assert name_of(mix) == f'"film-22-1982-film-24-1984-unlike-film-23-1983-look-alikes.{ending}"'
        image = requests.post(f"{people_address}/api/{path}?k=5", draw_poster(7), timeout=60)
        assert name_of(image) == f'"image-look-alikes.{ending}"'


def test_files_of_an_image_hold_what_its_page_does(people_address: str) -> None:
    question = {"k": 5, "unlike": 23}
    answers = {
        path: requests.post(f"{people_address}/api/{path}", draw_poster(7), params=question, timeout=60)
        for path in ("similar", "similar.csv", "sheet.jpg")
    }
    rows = list(csv.DictReader(io.StringIO(answers["similar.csv"].text)))
    assert [int(row["movie_id"]) for row in rows] == [hit["movie_id"] for hit in answers["similar"].json()["results"]]
    sheet = Image.open(io.BytesIO(answers["sheet.jpg"].content))
    # The image itself is drawn at the left, where a film without a poster has an empty box.
    colors = sheet.crop((80, 80, 400, 500)).convert("RGB").getcolors(1 << 20)
    assert colors is not None
    assert len(colors) > 100


def test_a_thousand_films_may_be_exported(people_address: str) -> None:
    answer = requests.get(f"{people_address}/api/films/22/similar", {"k": 1000}, timeout=60)
    assert len(answer.json()["results"]) == 40
    assert requests.get(f"{people_address}/api/films/22/similar", {"k": 1001}, timeout=60).status_code == 422


@NEEDS_CHROMIUM
def test_links_hold_all_that_is_shown(people_page: Page) -> None:
    page = people_page
    page.goto("/?film=22&alpha=1")
    expect_hits(page)
    expect(page, "#n-exported").to_have_text("These 30 films as")
    page.locator("footer").scroll_into_view_if_needed()
    expect(page, "#n-exported").to_have_text("These 40 films as")
    with page.expect_download() as handed:
        page.get_by_role("link", name="JSON").click()
    assert handed.value.suggested_filename == "film-22-1982-look-alikes.json"
    titles = [f"{hit['title']} ({hit['year']})" for hit in json.loads(handed.value.path().read_text())["results"]]
    assert titles == page.locator(".hit strong").all_text_contents()
    with page.expect_download() as handed:
        page.get_by_role("link", name="Contact sheet").click()
    assert handed.value.suggested_filename == "film-22-1982-look-alikes.jpg"


@NEEDS_CHROMIUM
def test_results_of_an_image_are_saved_by_buttons(people_page: Page, tmp_path: Path) -> None:
    page = people_page
    (tmp_path / "poster.jpg").write_bytes(draw_poster(7))
    page.goto("/?film=22")
    expect_hits(page)
    page.set_input_files("#picture", tmp_path / "poster.jpg")
    expect(page, "#status").to_contain_text("look-alikes of your picture")
    for name, ending in (("JSON", "json"), ("CSV", "csv"), ("Contact sheet", "jpg")):
        with page.expect_download() as handed:
            page.get_by_role("button", name=name).click()
        assert handed.value.suggested_filename == f"image-look-alikes.{ending}"
    page.go_back()
    expect(page, "#csv").to_be_visible()
    expect(page, "#save-csv").to_be_hidden()
