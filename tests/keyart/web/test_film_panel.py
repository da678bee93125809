"""What the page shows of one film beside its poster, and the same over HTTP."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image

from cf.ratings import Ratings
from keyart.render.palette import palette_of
from keyart.web.routes.film_panel import _caption, _panel, _Rows
from keyart.web.schemas.details import AtlasPlace, FilmDetails, Swatch
from keyart.web.services.details import Histograms
from keyart.web.words import ENGLISH, Words
from tests.keyart.web.conftest import NEEDS_CHROMIUM, Page, expect, expect_hits, looking
from tests.keyart.web.test_first_page import HOSTILE, parsed

pytestmark = pytest.mark.heavy


def test_colors_are_listed_by_the_area_that_they_cover() -> None:
    picture = Image.new("RGB", (90, 90), "#c8553d")
    picture.paste("#2f6690", (0, 0, 90, 27))
    assert palette_of(picture) == [("#c8553d", pytest.approx(0.7, abs=0.02)), ("#2f6690", pytest.approx(0.3, abs=0.02))]


def test_ratings_are_counted_by_half_stars() -> None:
    films, stars = np.array([3, 3, 9, 3], np.int32), np.array([0.5, 5, 4, 5], np.float32)
    histograms = Histograms.of(Ratings(np.arange(4, dtype=np.int32), films, stars, np.zeros(4, np.int64)))
    assert [each.n_ratings for each in histograms.of_film(3)] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert histograms.of_film(9)[7].stars == 4
    assert histograms.of_film(5) == histograms.of_film(10) == []
    assert Histograms.of(Ratings.empty()).of_film(3) == []


def test_hostile_tags_and_names_stay_text() -> None:
    film = FilmDetails(
        movie_id=6, title=HOSTILE, year=None, genres=[], n_ratings=0, mean_rating=None, has_poster=True, tags=[HOSTILE],
        stars=[], palette=[Swatch(color=HOSTILE, share=1.0)], tmdb_url=None, imdb_url=None,
        atlas=AtlasPlace(x=0, y=0, cluster=HOSTILE, n_films=2),
    )  # fmt: skip
    panel = parsed(_panel(film, _Rows([], [], []), [(0.0, 1.0)], ENGLISH))
    assert "img" not in {name for name, _ in panel.found}
    assert panel.text.count(HOSTILE) == 3


def test_genres_in_the_name_of_a_cluster_are_in_the_language_of_the_page() -> None:
    words = Words("de", "Deutsch", {"Action": "Aktion", "{cluster}, {n} films": "{cluster}, {n} Filme"})
    assert _caption("Action · space", "7", words) == 'Aktion · <span lang="en">space</span>, 7 Filme'
    assert _caption("Action · space", "7", ENGLISH) == "Action · space, 7 films"


def test_details_of_a_film(people_address: str) -> None:
    film = requests.get(f"{people_address}/api/films/22/details", timeout=60).json()
    assert sum(each["n_ratings"] for each in film["stars"]) == film["n_ratings"] > 0
    assert [each["stars"] for each in film["stars"]] == [n / 2 for n in range(1, 11)]
    assert sum(each["share"] for each in film["palette"]) == pytest.approx(1, abs=0.01)
    assert film["atlas"] is None
    assert requests.get(f"{people_address}/api/films/99999/details", timeout=60).status_code == 404


@NEEDS_CHROMIUM
def test_the_panel_shows_both_sides_before_the_blend(people_page: Page) -> None:
    page = people_page
    page.goto("/?film=22")
    expect_hits(page)
    expect(page, ".looks li").to_have_count(6)
    expect(page, ".liked li").to_have_count(6)
    expect(page, ".histogram g").to_have_count(10)
    # This catalog has no atlas.
    expect(page, "#on-atlas").to_be_hidden()
    label = page.locator(".rows .liked li .label").first.text_content()
    page.locator(".rows .liked li a").first.focus()
    page.keyboard.press("Enter")
    expect(page, "#name").to_have_text(label)
    expect(page, ".liked li").to_have_count(6)


@NEEDS_CHROMIUM
def test_a_legend_says_what_the_bars_of_look_alikes_mean(people_page: Page) -> None:
    page = people_page
    page.goto("/?film=22")
    expect_hits(page)
    expect(page, "#bars").to_be_visible()
    for side in ("looks", "liked", "content"):
        shown = page.locator(f"#bars [data-bar={side}]")
        assert shown.is_visible() == (page.locator(f"#hits meter.{side}").count() > 0)
    page.goto("/")
    expect(page, "#wall li >> nth=0").to_be_visible()
    expect(page, "#bars").to_be_hidden()


@NEEDS_CHROMIUM
def test_a_finger_learns_of_a_bar_what_a_mouse_does(
    browser: Any, people_address: str, request: pytest.FixtureRequest
) -> None:
    with looking(browser, people_address, request, viewport={"width": 390, "height": 844}, has_touch=True) as page:
        page.goto("/?film=22")
        words = page.locator(".histogram g title").nth(2).text_content()
        assert words.startswith("1.5 stars: ")
        # Also where there are no ratings, and so no bar.
        page.locator(".histogram g .column").nth(2).tap()
        expect(page, ".histogram + figcaption").to_have_text(words)


@NEEDS_CHROMIUM
def test_a_phone_shows_all_buttons_of_a_film(browser: Any, people_address: str, request: pytest.FixtureRequest) -> None:
    with looking(browser, people_address, request, viewport={"width": 390, "height": 844}) as page:
        page.goto("/?film=22")
        expect(page, "#part").to_be_visible()
        page.evaluate("""() => {
          document.getElementById("name").textContent = "Saving Private Ryan (1998)";
          document.getElementById("facts").textContent = "Action, Drama, War · 188 ratings · 4.15 stars";
          document.getElementById("on-atlas").hidden = false;
        }""")
        bottoms = "names => names.map((name) => document.querySelector(name).getBoundingClientRect().bottom)"
        button, end = page.evaluate(bottoms, ["#part", "#film .name"])
        assert button <= end


@NEEDS_CHROMIUM
def test_its_films_keep_filters_and_the_page(people_page: Page) -> None:
    page = people_page
    page.goto("/?film=22&genre=Drama&like=24")
    expect(page, ".looks li").to_have_count(6)
    page.evaluate("window.isSame = true")
    link = page.locator(".rows .looks li a").first
    movie_id = link.get_attribute("data-film")
    assert link.get_attribute("href") == f"?film={movie_id}&genre=Drama"
    page.get_by_label("At least").fill("2")
    page.keyboard.press("Tab")
    expect(page, f'.rows a[href="?film={movie_id}&min_ratings=2&genre=Drama"] >> nth=0').to_be_visible()
    link.focus()
    name = link.get_attribute("title")
    page.keyboard.press("Enter")
    expect(page, "#name").to_have_text(name)
    assert sorted(page.url.split("?")[1].split("&")) == [f"film={movie_id}", "genre=Drama", "min_ratings=2"]
    assert page.evaluate("window.isSame")
    expect(page, "#name").to_be_focused()


@NEEDS_CHROMIUM
def test_a_film_without_poster_shows_what_it_has_in_common_with_others(page: Page) -> None:
    page.goto("/?film=15")
    expect(page, ".rows .content li").to_have_count(6)
    expect(page, ".rows .content h3").to_have_text("Alike by genres, tags, year")
    expect(page, ".rows .content .score >> nth=0").to_contain_text(re.compile(r"content 0\.\d\d"))
    assert not page.locator(".rows section:not(:has(li))").count()
    # Nothing is cut off, and on small screens no room is left for what only posters have.
    for width in (1280, 800, 390):
        page.set_viewport_size({"width": width, "height": 900})
        cut = "rows => rows.filter((row) => row.scrollHeight > row.clientHeight).length"
        assert page.locator(".rows section").evaluate_all(cut) == 0
        room = page.locator("#film .charts").bounding_box()["height"]
        assert width > 1024 or room < 160


@NEEDS_CHROMIUM
def test_tags_show_the_whole_of_their_letters(page: Page) -> None:
    page.goto("/?film=9")
    expect(page, ".about .palette").to_be_visible()
    height, room = page.evaluate("""() => {
      const tags = Object.assign(document.createElement("p"), { className: "tags", textContent: "gangs, pity" });
      document.querySelector(".about").prepend(tags);
      return [tags.scrollHeight, tags.clientHeight];
    }""")
    assert height <= room


@NEEDS_CHROMIUM
def test_titles_of_rows_stay_on_one_line(page: Page) -> None:
    page.goto("/?film=9")
    expect(page, ".rows h3 >> nth=0").to_be_visible()
    height = "() => document.querySelector('.rows h3').offsetHeight"
    before = page.evaluate(height)
    page.evaluate("document.querySelector('.rows section').style.width = '3rem'")
    assert page.evaluate(height) == before
