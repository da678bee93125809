"""The page for a user, in a real Chromium."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.keyart.conftest import N_FILMS
from tests.keyart.web.conftest import NEEDS_AXE, NEEDS_CHROMIUM, Page, barriers, expect, looking

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [NEEDS_CHROMIUM, pytest.mark.heavy]

NEW = N_FILMS + 1
DRAMAS = "22-4.5,24-5,26-4"


@pytest.fixture
def page(browser: Any, people_address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """An empty page of the workspace of two tastes."""
    with looking(browser, people_address, request) as opened:
        yield opened


def slider(page: Page, movie_id: int) -> Any:
    return page.get_by_role("slider", name=f"Your stars for Film {movie_id} (")


def test_a_user_is_picked_by_keyboard(page: Page) -> None:
    page.goto("/user")
    page.get_by_role("combobox", name="Show a user").focus()
    page.keyboard.type("3")
    expect(page, "#numbers li >> nth=0").to_contain_text("User 3:")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page, "#user-name").to_have_text("User 3")
    expect(page, "#best li >> nth=0").to_contain_text("4.5 stars")
    expect(page, "#hits-name").to_have_text("Recommended to user 3")
    expect(page, "#hits li >> nth=0").to_be_visible()
    assert page.url.endswith("/user?user=3")


def test_any_user_will_do_and_back_returns(page: Page) -> None:
    page.goto("/user")
    page.get_by_role("button", name="Any user").click()
    expect(page, "#user-name").to_have_text(re.compile(r"User \d+"))
    expect(page, "#rating").to_be_hidden()
    page.go_back()
    expect(page, "#rating").to_be_visible()
    expect(page, "#user").to_be_hidden()


def test_films_are_rated_by_keyboard_alone(page: Page) -> None:
    page.goto("/user")
    expect(page, "#films li").to_have_count(10)
    expect(page, "#status").to_contain_text("Rate 3 films")
    page.locator("#films input").first.focus()
    for n_rated in (1, 2, 3):
        page.keyboard.press("End")
        page.keyboard.press("ArrowLeft")
        expect(page, "#count").to_have_text(f"{n_rated} of 10")
        # The film's own "Not seen" goes once it is rated, so the next stop is the next film.
        page.keyboard.press("Tab")
    expect(page, "#films input >> nth=2").to_have_attribute("aria-valuetext", "4.5 stars")
    expect(page, "#hits li >> nth=0").to_be_visible()
    assert page.url.count("-4.5") == 3


def test_stars_are_given_by_pointing_at_them(page: Page) -> None:
    page.goto("/user")
    drawn = page.locator(".drawn").first
    for star, share, stars in (
        (3, 0.25, "2.5 stars"),
        (3, 0.75, "3 stars"),
        (1, 0.25, "0.5 stars"),
        (5, 0.9, "5 stars"),
    ):
        box = drawn.bounding_box()
        page.mouse.click(box["x"] + box["width"] * (star - 1 + share) / 5, box["y"] + box["height"] / 2)
        expect(page, ".words >> nth=0").to_have_text(stars)


def test_a_link_shows_the_same_and_back_takes_a_rating_off(page: Page, browser: Any) -> None:
    page.goto(f"/user?rated={DRAMAS}")
    expect(page, "#count").to_have_text("3 of 10")
    playwright.expect(slider(page, 24)).to_have_value("5")
    page.locator("#films input[aria-valuetext='not rated']").first.press("End")
    expect(page, "#count").to_have_text("4 of 10")
    page.wait_for_function("document.querySelectorAll('#hits li').length")
    assert f"rated={DRAMAS}," in page.url
    linked = browser.new_page()
    linked.goto(page.url)
    expect(linked, "#count").to_have_text("4 of 10")
    expect(linked, "#hits li >> nth=0").to_be_visible()
    playwright.expect(page.locator("#hits")).to_have_text(linked.locator("#hits").text_content())
    linked.close()
    page.go_back()
    expect(page, "#count").to_have_text("3 of 10")


def test_an_unseen_film_is_kept_for_later(page: Page) -> None:
    page.goto("/user")
    page.locator("#films").get_by_role("button", name="Keep ").first.click()
    expect(page, "#to-shortlist").to_have_text("Shortlist (1)")
    # One that is rated has been seen.
    page.locator("#films input").first.press("End")
    expect(page, "#films [data-keep] >> nth=0").to_be_hidden()


def test_an_unseen_film_is_replaced_by_another(page: Page) -> None:
    page.goto("/user")
    expect(page, "#films li").to_have_count(10)
    before = page.locator("#films strong").all_inner_texts()
    page.get_by_role("button", name=f"Not seen: {before[0]}").click()
    expect(page, "#films strong >> nth=0").not_to_have_text(before[0])
    expect(page, "#films input >> nth=0").to_be_focused()
    after = page.locator("#films strong").all_inner_texts()
    assert after[0] not in before
    assert after[1:] == before[1:]


def test_another_film_is_found_by_title_and_rated(page: Page) -> None:
    page.goto("/user")
    expect(page, "#films li").to_have_count(10)
    page.get_by_role("combobox", name="Search a film to rate").fill(f"Film {NEW}")
    page.locator("#titles li", has_text=f"Film {NEW} ").click()
    playwright.expect(slider(page, NEW)).to_be_focused()
    page.keyboard.press("End")
    expect(page, "#count").to_have_text("1 of 10")
    assert page.url.endswith(f"rated={NEW}-5")


def test_new_films_are_marked_with_a_word_of_why_and_can_be_left_out(page: Page) -> None:
    page.goto(f"/user?rated={DRAMAS}&fresh=0.1")
    hit = page.locator("#hits li", has=page.locator(f"a[href='./?film={NEW}']"))
    playwright.expect(hit).to_contain_text("new")
    playwright.expect(hit).to_contain_text("Nobody has rated it yet")
    expect(page, "#hits .new").to_have_count(1)
    page.locator("#fresh").focus()
    page.keyboard.press("Home")
    page.wait_for_url("**fresh=0")
    expect(page, "#hits .new").to_have_count(0)
    page.get_by_label("Automatic").check()
    page.wait_for_url(f"**/user?rated={DRAMAS}")


def test_a_preference_that_is_none_is_no_number(page: Page) -> None:
    film = {"movie_id": NEW, "title": "Film", "year": 1990, "has_poster": False, "n_ratings": 0, "rank": 1}
    film |= {"score": -0.0001, "new": True, "by": [], "because": []}
    answer = json.dumps({"model": "ease", "gives_stars": False, "notes": [], "results": [film]})
    page.route("**/api/recommendations", lambda route: route.fulfill(body=answer, content_type="application/json"))
    page.goto(f"/user?rated={DRAMAS}")
    expect(page, "#hits .numbers").to_have_text("")
    expect(page, "#hits small").to_have_text("Nobody has rated it yet, and little speaks for it or against it.")
    expect(page, "#status").to_have_text("1 film.")


def test_rows_go_by_liked_films_and_by_what_is_new(page: Page) -> None:
    page.goto(f"/user?rated={DRAMAS},28-1")
    expect(page, "#hits li >> nth=0").to_contain_text(re.compile(r"By taste, because you liked Film 2[246]"))
    rows = page.locator("#shelves h3")
    playwright.expect(rows.first).to_have_text(re.compile(r"^Because you liked Film 2[246] \("))
    playwright.expect(rows.last).to_have_text("New: nobody has rated them yet")
    names = page.locator("#shelves .shelf").first.locator("strong").all_inner_texts()
    assert len(names) >= 5
    new = page.locator("#shelves .shelf").last.locator("li")
    playwright.expect(new).to_have_count(1)
    playwright.expect(new).to_contain_text(
        re.compile(rf"new Film {NEW} .*Nobody has rated it yet. By genres", re.IGNORECASE | re.DOTALL)
    )
    page.locator("#fresh").focus()
    page.keyboard.press("Home")
    playwright.expect(page.get_by_role("heading", name="New: nobody")).to_have_count(0)


def test_a_row_scrolls_by_buttons_and_arrow_keys_and_opens_as_a_whole(page: Page) -> None:
    page.set_viewport_size({"width": 1024, "height": 900})
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"/user?rated={DRAMAS}&fresh=0")
    back, on = (page.get_by_role("button", name=f"{way} in recommendations") for way in ("Back", "On"))
    expect(page, "#hits").to_have_attribute("data-more", "after")
    playwright.expect(back).to_have_attribute("aria-disabled", "true")
    on.click()
    expect(page, "#hits").to_have_attribute("data-more", "before after")
    back.click()
    expect(page, "#hits").to_have_attribute("data-more", "after")
    page.locator("#hits a").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page, "#hits a >> nth=1").to_be_focused()
    page.keyboard.press("End")
    playwright.expect(page.locator("#hits a").last).to_be_focused()
    expect(page, "#hits").to_have_attribute("data-more", "before")
    playwright.expect(on).to_have_attribute("aria-disabled", "true")
    page.keyboard.press("Home")
    expect(page, "#hits a >> nth=0").to_be_focused()
    whole = page.get_by_role("button", name="All of recommendations")
    whole.click()
    playwright.expect(whole).to_have_attribute("aria-expanded", "true")
    assert page.locator("#hits li").last.bounding_box()["x"] < 1024
    assert page.evaluate("document.documentElement.scrollWidth") == 1024


def test_a_model_that_predicts_stars_is_labeled(page: Page) -> None:
    page.goto(f"/user?rated={DRAMAS}")
    expect(page, "#meaning").to_contain_text("only the order counts")
    page.get_by_label("Model").select_option("als")
    expect(page, "#meaning").to_contain_text("how many stars, of 5, you are expected to give")
    expect(page, "#hits .numbers >> nth=0").to_contain_text("stars")
    assert page.url.endswith("&model=als")


def test_a_click_leads_to_the_look_alikes(page: Page) -> None:
    page.goto("/user?user=2")
    first = page.locator("#hits a").first
    title = first.locator("strong").inner_text()
    first.click()
    expect(page, "#name").to_have_text(title)


def test_starting_again_forgets_all(page: Page) -> None:
    page.goto(f"/user?rated={DRAMAS}")
    expect(page, "#count").to_have_text("3 of 10")
    page.get_by_role("button", name="Start again").click()
    expect(page, "#count").to_have_text("0 of 10")
    expect(page, "#hits li").to_have_count(0)
    playwright.expect(slider(page, 24)).to_have_attribute("aria-valuetext", "not rated")


@pytest.mark.parametrize("rated", ["nonsense,22-9,-1-3,22", "22-4.7,,x", "999-5,998-5,997-5"])
def test_invalid_parameters_in_the_address_are_ignored(page: Page, rated: str) -> None:
    page.goto(f"/user?rated={rated}")
    expect(page, "#films li").to_have_count(10)
    expect(page, "#status").not_to_be_empty()


def test_an_unknown_user_is_reported(page: Page) -> None:
    page.goto("/user?user=999")
    expect(page, "#status").to_have_text("user 999 has rated nothing here")


@pytest.mark.release
@pytest.mark.parametrize(("query", "width"), [("user=2", 390), (f"rated={DRAMAS}&fresh=0.2", 1280)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@NEEDS_AXE
def test_no_barrier(page: Page, scheme: str, query: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme)
    page.goto(f"/user?{query}")
    page.locator("#hits .hit").first.wait_for()
    assert not barriers(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_file_of_ratings_is_chosen_or_dropped(page: Page) -> None:
    rows = "".join(f",Film {movie_id},,x,{stars}\n" for movie_id, stars in ((22, 4.5), (24, 5), (26, 4)))
    content = f"Date,Name,Year,Letterboxd URI,Rating\n{rows},Nowhere,1999,x,4\n"
    page.goto("/user")
    page.set_input_files("#file", {"name": "ratings.csv", "mimeType": "text/csv", "buffer": content.encode()})
    expect(page, "#imported").to_have_text("ratings.csv: Letterboxd, 3 films matched, 0 ambiguous, 1 unknown.")
    expect(page, "#count").to_have_text("3 of 10")
    expect(page, "#hits li >> nth=0").to_be_visible()
    expect(page, "#others summary").to_have_text("1 row was left out")
    expect(page, "#rows li").to_have_text(["Nowhere (1999): unknown"])
    playwright.expect(slider(page, 24)).to_have_value("5")
    # What was imported is first, not behind the films that were there; one of these stays where it is.
    assert page.locator("#films strong").all_inner_texts()[:2] == ["Film 22 (1982)", "Film 24 (1984)"]
    assert f"rated={DRAMAS}" in page.url
    drop = """content => {
      const data = new DataTransfer();
      data.items.add(new File([content], "more.csv"));
      dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
    }"""
    page.evaluate(drop, "movieId,rating\n28,2.5\n")
    expect(page, "#count").to_have_text("4 of 10")
    page.evaluate(drop, "no ratings")
    expect(page, "#imported").to_contain_text("more.csv")
    expect(page, "#count").to_have_text("4 of 10")


def test_rated_films_are_asked_for_at_once(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/user?rated=" + ",".join(f"{movie_id}-4" for movie_id in range(1, 31)) + ",999-4")
    expect(page, "#films li").to_have_count(33)
    assert sum("/api/shortlist.json?" in url for url in asked) == 1
    assert not [url for url in asked if re.search(r"/api/films/\d", url)]


def test_more_ratings_than_an_address_takes_are_kept_beside_it(page: Page) -> None:
    page.goto("/user")
    many = [[movie_id, 4.5] for movie_id in range(1, 1001)]
    page.evaluate("rated => history.replaceState({ rated }, '')", many)
    page.reload()
    expect(page, "#count").to_have_text("1,000 ratings count.")
    page.get_by_role("button", name="Start again").click()
    expect(page, "#count").to_have_text("0 of 10")
    expect(page, "#films").to_be_visible()
    page.go_back()
    expect(page, "#count").to_have_text("1,000 ratings count.")


def test_after_an_import_of_enough_ratings_the_recommendations_are_in_view(page: Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto("/user")
    content = "movieId,rating\n" + "".join(f"{movie_id},4\n" for movie_id in range(1, 13))
    page.set_input_files("#file", {"name": "ratings.csv", "mimeType": "text/csv", "buffer": content.encode()})
    expect(page, "#count").to_have_text("12 ratings count.")
    expect(page, "#rating-name").to_have_text("Your ratings")
    expect(page, "#hits li >> nth=0").to_be_visible()
    assert page.locator("#hits .frame").first.bounding_box()["y"] < 600
    page.get_by_text("Films to rate").click()
    playwright.expect(slider(page, 1)).to_have_value("4")


@pytest.mark.parametrize(("scheme", "is_light"), [("light", True), ("dark", False)])
def test_a_film_without_a_poster_is_shown_in_the_colors_of_the_scheme(
    page: Page, scheme: str, *, is_light: bool
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto("/user")
    expect(page, "#films li").to_have_count(10)
    expect(page, "#status").to_contain_text("Rate 3 films")
    red, whole = page.evaluate("""() => {
      document.body.innerHTML = "<div><span class=frame><span class=plain><b>The Professional</b>";
      document.querySelector("div").style.width = "160px";
      const text = document.querySelector("b").firstChild;
      const word = document.createRange();
      word.setStart(text, 4);
      word.setEnd(text, text.length);
      const { backgroundColor } = getComputedStyle(document.querySelector(".plain"));
      return [Number(backgroundColor.match(/\\d+/)[0]), word.getClientRects().length === 1];
    }""")
    assert (red > 200) is is_light
    assert whole
