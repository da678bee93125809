"""The search field of the page: which text a key means, how often it asks, and what it says when nothing comes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.keyart.web.conftest import NEEDS_CHROMIUM, Page, expect, expect_hits

pytest.importorskip("playwright.sync_api")
pytestmark = [NEEDS_CHROMIUM, pytest.mark.heavy]

TYPE = """texts => {
  const field = document.getElementById("title");
  field.focus();
  for (const text of texts) {
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}"""


@pytest.fixture
def page(people_page: Page) -> Page:
    people_page.goto("/?film=22")
    expect_hits(people_page)
    return people_page


def test_texts_in_quick_succession_are_one_request(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "api/films?query=" in request.url else None)
    page.evaluate(TYPE, ["f", "fi", "film", "film 1", "film 12"])
    expect(page, "#suggestions li >> nth=0").to_have_text("Film 12 (1972)")
    assert [url.partition("query=")[2] for url in asked] == ["film+12"]


def test_enter_at_once_after_a_paste_opens_the_film(page: Page) -> None:
    page.evaluate(TYPE, ["film 12"])
    page.keyboard.press("Enter")
    expect(page, "#name").to_have_text("Film 12 (1972)")


def test_enter_means_the_longer_text_though_the_list_is_of_the_shorter(page: Page) -> None:
    page.evaluate(TYPE, ["film 1"])
    expect(page, "#suggestions li >> nth=0").to_have_text("Film 1 (1961)")
    page.evaluate(TYPE, ["film 12"])
    page.keyboard.press("Enter")
    expect(page, "#name").to_have_text("Film 12 (1972)")


@pytest.mark.parametrize("key", ["Tab", "Escape"])
def test_keys_mean_the_text_that_was_left_in_the_field(page: Page, key: str) -> None:
    page.evaluate(TYPE, ["film 12"])
    expect(page, "#suggestions li >> nth=0").to_be_visible()
    page.keyboard.press(key)
    expect(page, "#suggestions").to_be_hidden()
    page.locator("#title").focus()
    page.keyboard.press("ArrowDown")
    expect(page, "#suggestions li >> nth=0").to_have_attribute("aria-selected", "true")
    page.keyboard.press(key)
    page.locator("#title").focus()
    page.keyboard.press("Enter")
    expect(page, "#name").to_have_text("Film 12 (1972)")


def test_enter_opens_no_film_that_the_text_does_not_name(page: Page) -> None:
    page.evaluate(TYPE, ["fiml"])
    page.keyboard.press("Enter")
    expect(page, "#status").to_have_text("No film is called “fiml”: choose one of the titles that are near.")
    expect(page, "#name").to_have_text("Film 22 (1982)")
    title = page.locator("#suggestions li >> nth=1").text_content()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page, "#name").to_have_text(title or "")


@pytest.mark.parametrize("text", ["drama", "DRAMA"])
def test_a_genre_leads_to_its_best_known_films(page: Page, text: str) -> None:
    page.evaluate(TYPE, [text])
    # Even films are dramas.
    expect(page, "#suggestions li >> nth=0").to_have_text("Well-known films: Drama (21 films)")
    page.keyboard.press("Enter")
    expect(page, "#first h2").to_have_text("Well-known films: Drama")
    expect(page, "#first p").to_contain_text("21 of 21 films of this genre: those with a poster first")
    labels = page.locator("#wall a").all_inner_texts()
    titles = {item.get_attribute("title") or "" for item in page.locator("#wall li").all()}
    assert len(titles) == 21
    assert set(labels) == titles
    assert all(int(title.split()[1]) % 2 == 0 or title.startswith("Film 41") for title in titles)
    page.evaluate(TYPE, ["film 12"])
    page.keyboard.press("Enter")
    expect(page, "#name").to_have_text("Film 12 (1972)")
    assert page.url.endswith("/?film=12")


def test_a_genre_is_not_beside_titles_that_are_only_spelled_alike(page: Page) -> None:
    alike = [{"movie_id": 1, "title": "Dream", "year": 1994, "is_named": False}]
    named = [
        {"movie_id": 2, "title": "Drama Queen", "year": 2004, "is_named": True},
        {"movie_id": 3, "title": "The Drama", "year": 2012, "is_named": True},
    ]
    page.route("**/api/films?query=drama", lambda route: route.fulfill(json=[*named, *alike]))
    page.evaluate(TYPE, ["drama"])
    expect(page, "#suggestions li").to_have_text(
        ["The Drama (2012)", "Well-known films: Drama (21 films)", "Drama Queen (2004)"]
    )


def test_enter_ends_a_composition_and_opens_nothing(page: Page) -> None:
    page.evaluate(TYPE, ["film 12"])
    expect(page, "#suggestions li >> nth=0").to_be_visible()
    compose = """document.activeElement.dispatchEvent(
      new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true, cancelable: true }))"""
    assert page.evaluate(compose), "the input method takes the key, not the page"
    expect(page, "#suggestions li >> nth=0").to_be_visible()
    expect(page, "#name").to_have_text("Film 22 (1982)")


def test_a_search_that_fails_is_reported(page: Page) -> None:
    page.route("**/api/films?query=*", lambda route: route.abort())
    page.fill("#title", "film 12")
    expect(page, "#status").to_have_text("The server cannot be reached.")
    page.unroute("**/api/films?query=*")
    busy: list[Any] = []

    def answer(route: Any) -> None:
        busy.append(route)
        if len(busy) > 1:
            route.continue_()
        else:
            route.fulfill(status=503, headers={"Retry-After": "0"}, json={"detail": "the server is busy"})

    page.route("**/api/films?query=*", answer)
    page.fill("#title", "film 13")
    expect(page, "#suggestions li >> nth=0").to_have_text("Film 13 (1973)")
