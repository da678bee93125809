"""Questions that cannot be answered: the page says why and how to go on; commands are for whoever runs the server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.keyart.web.conftest import NEEDS_CHROMIUM, Page, expect, expect_hits, serving
from tests.posters.pictures import draw_poster

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [NEEDS_CHROMIUM, pytest.mark.heavy]

# Of the demo catalog; Velvet Stairwell has no poster.
LEDGER, CIPHER, VELVET = 9, 13, 15
NOTES = {
    "by als, as ease is not fitted; it ranks better: `keyart fit ease`.": "by als, as ease is not fitted.",
    "Heat (1995) has no poster; run `keyart fetch --home a.b` or `keyart import`, then `keyart extract`": (
        "Heat (1995) has no poster"
    ),
    "2 posters are gone, so these films are left out (movie_id 1, 2); run `keyart fetch`. ": (
        "2 posters are gone, so these films are left out (movie_id 1, 2). "
    ),
    "no features of 'a' here; this workspace has 'b': add it with `keyart extract`": "no features of 'a' here",
    "Heat (1995) has no ratings: compared by looks alone.": "Heat (1995) has no ratings: compared by looks alone.",
}
QUESTIONS = {
    "part": (f"film={VELVET}&region=0,0,3,3", "Velvet Stairwell (1950) has no poster here", "Search without this part"),
    "outside": (f"film={LEDGER}&region=0,0,99,99", "reaches beyond the grid", "Search without this part"),
    "mix": (f"film={LEDGER}&like={VELVET}", "cannot be combined", "Search without Velvet Stairwell (1950)"),
    "looks": (f"film={VELVET}&alpha=1", "cannot be compared by looks", "Search without filters and settings"),
    "genre": (f"film={LEDGER}&genre=Westen", "no film is of the genre", "Search without filters and settings"),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_that_cannot_be_answered_leads_to_one_that_can(page: Page, name: str) -> None:
    question, words, way = QUESTIONS[name]
    page.goto(f"/?{question}")
    expect(page, "#status").to_contain_text(words)
    assert "keyart " not in page.locator("main").inner_text()
    page.get_by_role("button", name=way).click()
    expect(page, "#name").to_be_focused()
    expect_hits(page)
    assert page.url.endswith(f"?{question.partition('&')[0]}")
    page.go_back()
    expect(page, "#status").to_contain_text(words)


@pytest.mark.parametrize("question", ["film=99", "text=rain"])
def test_a_question_without_another_one_leads_to_the_first_page(page: Page, question: str) -> None:
    page.goto(f"/?{question}")
    page.get_by_role("link", name="Search anew").click()
    expect(page, "#wall li >> nth=0").to_be_visible()


def test_commands_are_for_whoever_runs_the_server(page: Page) -> None:
    page.goto("/?text=rain")
    command = re.compile("such as `keyart extract --encoder .* --home ")
    expect(page, "#status details").not_to_have_attribute("open", "")
    page.get_by_text("For whoever runs this server").click()
    playwright.expect(page.get_by_text(command)).to_be_visible()
    english = page.evaluate(
        "async texts => { const { english } = await import('/static/words.js'); return texts.map(english); }",
        list(NOTES),
    )
    assert english == list(NOTES.values())


def test_recommendations_name_no_command(browser: Any, tastes_home: Path) -> None:
    with serving(tastes_home) as url:
        page = browser.new_page()
        page.goto(f"{url}/user?user=2")
        expect(page, "#status").to_have_text(re.compile("films by item-cosine, as ease is not fitted.$"))
        assert "keyart fit" not in page.locator("main").inner_text()
        page.close()


def test_a_picture_that_is_lost_leads_on(page: Page) -> None:
    page.goto(f"/?film={LEDGER}")
    expect_hits(page)
    page.set_input_files("#picture", {"name": "p.jpg", "mimeType": "image/jpeg", "buffer": draw_poster(1)})
    expect(page, "#name").to_have_text("Your picture")
    expect_hits(page)
    page.go_back()
    expect(page, "#name").to_have_text("Midnight Ledger (1947)")
    page.reload()
    expect_hits(page)
    page.go_forward()
    expect(page, "#status").to_contain_text("The picture was not kept; choose it again.")
    page.get_by_role("link", name="Search anew").click()
    expect(page, "#wall li >> nth=0").to_be_visible()


def test_an_address_with_a_blank_question_shows_the_first_page(page: Page) -> None:
    page.goto("/?film=")
    expect(page, "#wall li >> nth=0").to_be_visible()
