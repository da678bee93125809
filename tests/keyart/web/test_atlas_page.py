"""The page of the atlas, in a real Chromium."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from benchmarks.page_weight import STATIC, first_scripts
from keyart.atlas.build import AtlasOptions, make_atlas
from keyart.pipeline.index import build
from keyart.workspace.layout import Workspace
from tests.keyart.groups import N_FILMS, arrange, list_films, make_groups, poster_of
from tests.keyart.web.conftest import (
    NEEDS_AXE,
    NEEDS_CHROMIUM,
    Page,
    barriers,
    copied,
    expect,
    looking,
    serving,
)

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [NEEDS_CHROMIUM, pytest.mark.heavy]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    workspace = make_groups(tmp_path_factory.mktemp("groups") / "workspace")
    build(workspace)
    make_atlas(workspace, AtlasOptions(n_clusters=3))
    arrange(workspace)
    with serving(workspace.home) as address:
        yield address


@pytest.fixture(scope="module")
def compared_url(_built_tastes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An atlas whose posters a network saw, so that it can compare pictures with them."""
    home = copied(_built_tastes, tmp_path_factory)
    make_atlas(Workspace.open(home), AtlasOptions(n_clusters=3))
    with serving(home) as address:
        yield address


@pytest.fixture
def page(browser: Any, url: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    with looking(browser, url, request, viewport={"width": 1280, "height": 900}, reduced_motion="reduce") as opened:
        yield opened


def look(page: Page, address: str = "/atlas") -> None:
    page.goto(address)
    expect(page, "#legend button >> nth=0").to_be_visible()
    # The legend comes last, and the map takes its final size in the frame after.
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def state(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def until(page: Page, reached: Callable[[dict[str, str]], bool]) -> None:
    """Wait for the address; the page's own policy forbids to wait for an expression."""
    page.wait_for_url(lambda url: reached({name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}))


def middle(page: Page) -> tuple[float, float]:
    frame = page.locator("#canvas").bounding_box()
    return frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=5)
    page.mouse.up()


def box_all(page: Page) -> None:
    frame = page.locator("#canvas").bounding_box()
    # Within its round corners.
    left, top, right, bottom = 10, 10, frame["width"] - 10, frame["height"] - 10
    drag(page, (frame["x"] + left, frame["y"] + top), (frame["x"] + right, frame["y"] + bottom))


def colors(page: Page) -> int:
    """Count the colors that the canvas shows; one where nothing is drawn."""
    script = """() => {
      const canvas = document.getElementById("canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return new Set(new Uint32Array(data.buffer)).size;
    }"""
    return int(page.evaluate(script))


def test_posters_are_drawn_in_the_colors_of_the_legend(page: Page) -> None:
    look(page)
    expect(page, "#status").to_have_text(f"{N_FILMS} films in 3 clusters.")
    playwright.expect(page.locator("#legend .name")).to_have_count(3)
    assert set(page.locator("#legend .name").all_inner_texts()) == {"Horror · creepy", "Comedy", "Western"}
    # Sheets are decoded one by one.
    assert any(colors(page) > N_FILMS or page.wait_for_timeout(50) for _ in range(1000))


def test_large_posters_come_when_they_are_looked_at(browser: Any, url: str) -> None:
    page = browser.new_page(base_url=url, viewport={"width": 320, "height": 400})
    sheets: list[str] = []
    page.on("request", lambda request: sheets.append(request.url) if "/sheets/" in request.url else None)
    look(page, "/atlas?x=0&y=0&z=0.5")
    page.wait_for_load_state("networkidle")
    assert len(sheets) == 1
    assert sheets[0].endswith("?size=small")
    with page.expect_request(lambda request: request.url.endswith(".webp")):
        page.get_by_role("button", name="Nearer").click(click_count=3)
    page.close()


def test_a_film_is_pointed_at_and_pressed(page: Page) -> None:
    look(page, "/atlas?film=7")
    x, y = middle(page)
    # Film 8 is nearer, but film 7 is drawn over it.
    page.mouse.move(x + 12, y)
    expect(page, "#card").to_be_visible()
    expect(page, "#card strong").to_have_text("Film 7 (1957)")
    expect(page, "#card").to_contain_text("Comedy")
    page.mouse.click(x + 12, y)
    page.wait_for_url("**/?film=7")
    expect(page, "#name").to_have_text("Film 7 (1957)")
    page.go_back()
    page.wait_for_url("**/atlas?film=7*")


def test_a_link_shows_the_same_and_back_returns(page: Page) -> None:
    look(page, "/atlas?x=0.2000&y=-0.1000&z=3.000&color=genre")
    expect(page, "#color").to_have_value("genre")
    page.locator("#color").select_option("decade")
    playwright.expect(page.locator("#legend .name").first).to_have_text("1950s")
    assert state(page) == {"x": "0.2000", "y": "-0.1000", "z": "3.000", "color": "decade"}
    page.go_back()
    expect(page, "#color").to_have_value("genre")


def test_dragging_and_the_wheel_move_the_map_and_the_address(page: Page) -> None:
    look(page, "/atlas?x=0&y=0&z=2")
    x, y = middle(page)
    drag(page, (x, y), (x - 120, y - 60))
    until(page, lambda state: float(state["x"]) > 0.05)
    page.mouse.wheel(0, -300)
    until(page, lambda state: float(state["z"]) > 2.2)
    assert float(state(page)["y"]) > 0


def test_a_pinch_zooms(page: Page) -> None:
    look(page, "/atlas?x=0&y=0&z=1")
    page.evaluate(
        """() => {
      const canvas = document.getElementById("canvas");
      // Fingers that no screen felt cannot be captured.
      canvas.setPointerCapture = () => {};
      const frame = canvas.getBoundingClientRect();
      const finger = (kind, pointerId, left) => canvas.dispatchEvent(new PointerEvent(kind, {
        pointerId, pointerType: "touch", button: kind === "pointermove" ? -1 : 0, bubbles: true,
        clientX: frame.left + left, clientY: frame.top + 200 }));
      finger("pointerdown", 11, 200); finger("pointerdown", 12, 300);
      finger("pointermove", 11, 100); finger("pointermove", 12, 400);
      finger("pointerup", 11, 100); finger("pointerup", 12, 400);
    }"""
    )
    until(page, lambda state: state.get("z") == "3.000")


def test_a_finger_shows_the_card_first(browser: Any, url: str) -> None:
    context = browser.new_context(base_url=url, viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    look(page, "/atlas?film=7")
    page.locator("#canvas").focus()
    page.keyboard.press("Escape")
    expect(page, "#card").to_be_hidden()
    page.touchscreen.tap(*middle(page))
    expect(page, "#card").to_be_visible()
    assert "/atlas" in page.url
    page.touchscreen.tap(*middle(page))
    page.wait_for_url("**/?film=7")
    context.close()


def test_the_map_is_used_by_keyboard_alone(page: Page) -> None:
    look(page)
    page.get_by_role("application", name="Map of all posters").focus()
    page.keyboard.press("+")
    until(page, lambda state: state.get("z") == "1.600")
    page.keyboard.press("-")
    page.keyboard.press("ArrowRight")
    until(page, lambda state: float(state["x"]) > 0)
    page.keyboard.press("0")
    page.keyboard.press("Shift+ArrowLeft")
    expect(page, "#card").to_be_visible()
    first = page.locator("#card strong").inner_text()
    page.keyboard.press("Shift+ArrowDown")
    expect(page, "#card strong").not_to_have_text(first)
    title = page.locator("#card strong").inner_text()
    expect(page, "#status").to_contain_text(title)
    page.keyboard.press("Enter")
    page.wait_for_url("**/?film=*")
    expect(page, "#name").to_have_text(title)


def test_a_search_flies_to_the_film_and_back_returns(page: Page) -> None:
    look(page, "/atlas?x=0.3000&y=0.1000&z=2.000")
    page.get_by_role("combobox", name="Find a film on the map").fill("film 23")
    page.locator("#suggestions li", has_text="Film 23").click()
    expect(page, "#card strong").to_have_text("Film 23 (1973)")
    assert state(page)["film"] == "23"
    assert state(page)["x"] != "0.3000"
    page.go_back()
    expect(page, "#card").to_be_hidden()
    assert state(page) == {"x": "0.3000", "y": "0.1000", "z": "2.000"}


def test_the_page_loads_what_it_is_weighed_by_and_its_tools_on_use(page: Page) -> None:
    loaded = """() => performance.getEntriesByType("resource").map(({ name }) => name)
      .filter((name) => name.endsWith(".js")).map((name) => name.split("/static/")[1])"""
    look(page)
    page.wait_for_load_state("networkidle")
    first = {path.relative_to(STATIC).as_posix() for path in first_scripts("atlas.html")}
    assert set(page.evaluate(loaded)) == first
    page.locator("#title").focus()
    with page.expect_request("**/api/films?*"):
        page.keyboard.type("film")
    assert {"combobox.js", "atlas/search.js"} <= set(page.evaluate(loaded))


def test_what_is_searched_before_the_search_is_there_is_found(page: Page) -> None:
    held: list[Any] = []
    page.route("**/atlas/search.js", lambda route: held.append(route))
    look(page)
    with page.expect_request("**/atlas/search.js"):
        page.locator("#title").focus()
    page.keyboard.type("Film 7")
    page.keyboard.press("Enter")
    held[0].continue_()
    until(page, lambda state: "film" in state)
    expect(page, "#card strong").to_contain_text("Film 7 ")


def test_a_film_without_a_poster_on_the_map_is_reported(page: Page) -> None:
    look(page, "/atlas?film=999")
    expect(page, "#status").to_contain_text("999 is not on the map")


def test_tools_of_signs_alone_say_what_they_do_when_pointed_at(page: Page) -> None:
    look(page)
    for button in page.locator("#tools button").all():
        playwright.expect(button).to_have_attribute("title", button.get_attribute("aria-label") or "missing")


def test_a_box_selection_can_be_exported(page: Page) -> None:
    look(page)
    page.get_by_role("button", name="Select films with a box").click()
    box_all(page)
    expect(page, "#count").to_contain_text(f"{N_FILMS} films are selected")
    playwright.expect(page.locator("#titles li")).to_have_count(N_FILMS)
    with page.expect_download() as handed:
        page.get_by_role("button", name="CSV").click()
    with handed.value.path().open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {int(row["movie_id"]) for row in rows} == set(range(1, N_FILMS + 1))
    assert next(row for row in rows if row["movie_id"] == "9") == {
        "movie_id": "9", "title": "Film 9", "year": "1959", "genres": "Horror", "cluster": "Horror · creepy",
    }  # fmt: skip
    with page.expect_download() as handed:
        page.get_by_role("button", name="JSON").click()
    films = json.loads(handed.value.path().read_text(encoding="utf-8"))
    assert {"movie_id": 9, "title": "Film 9", "year": 1959, "genres": ["Horror"], "cluster": "Horror · creepy"} in films
    page.get_by_role("button", name="Clear").click()
    expect(page, "#titles").to_be_hidden()


def test_a_lasso_selects_what_it_encloses_and_a_link_shows_it(page: Page, browser: Any) -> None:
    look(page)
    page.get_by_role("button", name="Select films with a lasso").click()
    frame = page.locator("#canvas").bounding_box()
    # A triangle over the upper left half: the groups lie in three blocks side by side.
    corners = [(0.02, 0.96), (0.96, 0.02), (0.02, 0.02), (0.02, 0.9)]
    points = [(frame["x"] + left * frame["width"], frame["y"] + top * frame["height"]) for left, top in corners]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=4)
    page.mouse.up()
    until(page, lambda state: "selected" in state)
    selected = state(page)["selected"].split(",")
    assert 10 < len(selected) < N_FILMS - 10
    expect(page, "#count").to_contain_text(f"{len(selected)} films are selected")
    assert page.locator("#lasso").get_attribute("aria-pressed") == "false"
    linked = browser.new_page()
    linked.goto(page.url)
    expect(linked, "#count").to_contain_text(f"{len(selected)} films are selected")
    linked.close()


def test_films_of_the_map_are_kept_one_by_one_or_all_that_are_selected(page: Page) -> None:
    look(page, "/atlas?film=7")
    page.get_by_role("button", name="Keep Film 7 (1957)").click()
    expect(page, "#to-shortlist").to_have_text("Shortlist (1)")
    page.get_by_role("button", name="Select all in view").click()
    page.get_by_role("button", name="Keep all").click()
    expect(page, "#status").to_have_text("All are on your shortlist.")
    n_selected = len(page.url.partition("selected=")[2].partition("&")[0].split(","))
    expect(page, "#to-shortlist").to_have_text(f"Shortlist ({n_selected})")
    page.locator("#titles").get_by_role("button", name="Keep Film 8 (1958)").click()
    expect(page, "#to-shortlist").to_have_text(f"Shortlist ({n_selected - 1})")


def test_the_space_bar_selects_the_film(page: Page) -> None:
    look(page, "/atlas?film=7")
    page.locator("#canvas").focus()
    page.keyboard.press("Space")
    expect(page, "#count").to_contain_text("1 film is selected")
    assert state(page)["selected"] == "7"
    page.keyboard.press("Space")
    expect(page, "#count").to_contain_text("No film is selected")
    assert "selected" not in state(page)


def test_a_picture_lands_beside_the_film_whose_poster_it_is(
    browser: Any, compared_url: str, tastes: Path, request: pytest.FixtureRequest
) -> None:
    with looking(browser, compared_url, request, reduced_motion="reduce") as page:
        map_of = page.request.get("/api/atlas").json()
        row = map_of["movie_ids"].index(9)
        other = (map_of["cluster"][row] + 1) % len(map_of["clusters"])
        look(page, f"/atlas?only={other}")
        page.locator("#picture").set_input_files(tastes / "posters" / "9.jpg")
        expect(page, "#status").to_contain_text("The picture lands beside Film 9 (1969), ")
        expect(page, "#count").to_contain_text("10 films are selected")
        until(page, lambda state: state.get("selected", "").startswith("9,") and state.get("z") == "3.000")
        assert float(state(page)["x"]) == pytest.approx(map_of["x"][row], abs=1e-3)
        assert float(state(page)["y"]) == pytest.approx(map_of["y"][row], abs=1e-3)
        expect(page, "#titles li >> nth=0").to_contain_text("Film 9 ")
        # The legend shows another cluster, and does not dim this film.
        page.locator("#canvas").hover()
        expect(page, "#card strong").to_contain_text("Film 9 ")


def test_a_picture_like_no_film_in_particular_lands_among_those_near_its_place(
    browser: Any, compared_url: str, request: pytest.FixtureRequest
) -> None:
    answer = json.dumps({"results": [{"movie_id": movie_id, "score": 0.4} for movie_id in (9, 24, 3, 28)]})
    with looking(browser, compared_url, request, reduced_motion="reduce") as page:
        page.route("**/api/similar?*", lambda route: route.fulfill(body=answer, content_type="application/json"))
        look(page)
        picture = {"name": "poster.png", "mimeType": "image/png", "buffer": poster_of(9)}
        page.locator("#picture").set_input_files(picture)
        until(page, lambda state: state.get("selected") == "9,24,3,28" and state.get("z") == "3.000")
        map_of = page.request.get("/api/atlas").json()
        place = [float(state(page)[axis]) for axis in "xy"]
        far = [math.dist(place, at) for at in zip(map_of["x"], map_of["y"], strict=True)]
        nearest = map_of["title"][far.index(min(far))]
        expect(page, "#status").to_contain_text(f"The picture lands among {nearest} (")


def test_a_picture_that_cannot_be_compared_is_reported(page: Page) -> None:
    look(page)
    page.locator("#picture").set_input_files({"name": "poster.png", "mimeType": "image/png", "buffer": poster_of(9)})
    expect(page, "#status").to_contain_text("no encoder")


def test_shift_and_drag_selects_what_the_legend_shows(page: Page) -> None:
    look(page, "/atlas?color=genre")
    page.locator("#legend button", has_text="Western").click()
    page.keyboard.down("Shift")
    box_all(page)
    page.keyboard.up("Shift")
    expect(page, "#count").to_contain_text("20 films are selected")
    assert "z" not in state(page)


def test_the_legend_shows_its_films(page: Page) -> None:
    look(page)
    entry = page.locator("#legend button").first
    entry.click()
    assert entry.get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Select all in view").click()
    expect(page, "#count").to_contain_text("20 films are selected")
    entry.click()
    assert entry.get_attribute("aria-pressed") == "false"


def test_the_legend_shows_the_most_typical_posters_of_a_cluster(page: Page) -> None:
    look(page)
    typical = {each["name"]: each["typical"][:5] for each in page.request.get("/api/atlas").json()["clusters"]}
    western = page.locator("#legend button", has_text="Western").locator("img")
    playwright.expect(western).to_have_count(5)
    sources = [image.get_attribute("src") for image in western.all()]
    assert sources == [f"posters/{movie_id}?width=160" for movie_id in typical["Western"]]
    page.locator("#color").select_option("genre")
    playwright.expect(page.locator("#legend img")).to_have_count(0)


@pytest.fixture
def drawn_words(page: Page) -> Callable[[], list[str]]:
    """Return what was written on the canvas since the last call."""
    page.add_init_script("""
        window.written = [];
        const { fillText } = CanvasRenderingContext2D.prototype;
        CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
          written.push(text);
          fillText.call(this, text, ...place);
        };
    """)
    return lambda: list(page.evaluate("written.splice(0)"))


def change_map(page: Page, change: Callable[[dict[str, Any]], None]) -> None:
    """Let the server answer with another map."""

    def answer(route: Any) -> None:
        content = route.fetch().json()
        change(content)
        route.fulfill(json=content)

    page.route("**/api/atlas", answer)


def test_the_words_of_clusters_are_on_the_map_from_afar(page: Page, drawn_words: Callable[[], list[str]]) -> None:
    look(page)
    assert set(drawn_words()) == {"Horror · creepy", "Comedy", "Western"}
    look(page, "/atlas?x=0&y=0&z=4")
    assert drawn_words() == []
    look(page, "/atlas?arrange=grid")
    # Until films are in rows, they are on the map.
    drawn_words()
    page.get_by_role("button", name="Whole map").click()
    assert drawn_words() == []


def test_a_cluster_without_words_has_none_on_the_map(page: Page, drawn_words: Callable[[], list[str]]) -> None:
    def change(content: dict[str, Any]) -> None:
        unnamed = next(cluster for cluster in content["clusters"] if cluster["name"] == "Comedy")
        unnamed["named"] = False
        next(cluster for cluster in content["clusters"] if cluster["name"] == "Western")["name"] = "Western (2)"

    change_map(page, change)
    look(page)
    assert set(drawn_words()) == {"Horror · creepy", "Western"}


def test_words_on_the_map_cover_no_other_words(page: Page, drawn_words: Callable[[], list[str]]) -> None:
    def change(content: dict[str, Any]) -> None:
        content["x"] = [0] * N_FILMS
        content["y"] = [0.001 * cluster for cluster in content["cluster"]]
        # The largest has its words.
        content["cluster"][content["cluster"].index(0)] = 1

    change_map(page, change)
    look(page)
    names = page.locator("#legend .name").all_inner_texts()
    assert set(drawn_words()) == {names[1]}


@pytest.mark.parametrize("width", [390, 1024])
def test_buttons_cover_none_of_the_map(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 768})
    look(page, "/atlas?arrange=grid")
    canvas = page.locator("#canvas").bounding_box()
    for button in page.locator("#tools button, #arrange button").all():
        assert button.bounding_box()["y"] >= canvas["y"] + canvas["height"]
    # Nor does the selection lie on what is below it.
    end = page.locator("#view").bounding_box()
    assert width < 800 or end["y"] + end["height"] <= page.locator("#help").bounding_box()["y"]
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_back_returns_to_the_selection_and_the_pressed_entry(page: Page, browser: Any) -> None:
    look(page, "/atlas?color=genre")
    page.locator("#legend button", has_text="Western").click()
    page.get_by_role("button", name="Select all in view").click()
    expect(page, "#count").to_contain_text("20 films are selected")
    page.locator("#titles a").first.click()
    page.wait_for_url("**/?film=*")
    page.go_back()
    expect(page, "#legend button[aria-pressed=true]").to_contain_text("Western")
    expect(page, "#count").to_contain_text("20 films are selected")
    playwright.expect(page.locator("#titles li")).to_have_count(20)
    # A link shows the entry too; the selection is this visitor's.
    linked = browser.new_page()
    linked.goto(page.url)
    expect(linked, "#legend button[aria-pressed=true]").to_contain_text("Western")
    linked.close()


def pointed(page: Page, left: float, top: float) -> str:
    frame = page.locator("#canvas").bounding_box()
    page.mouse.move(frame["x"] + left * frame["width"], frame["y"] + top * frame["height"])
    expect(page, "#card").to_be_visible()
    return str(page.locator("#card strong").inner_text())


def test_films_are_arranged_by_year_and_back_returns(page: Page) -> None:
    look(page, "/atlas?x=0.1000&y=0.1000&z=2.000")
    page.get_by_role("button", name="Years").click()
    until(page, lambda state: state.get("arrange") == "years" and state["z"] == "1.000")
    page.locator("#canvas").focus()
    page.keyboard.press("Shift+ArrowRight")
    # What goes from film to film is loaded on use.
    expect(page, "#card").to_be_visible()
    years = []
    for _ in range(5):
        title = page.locator("#card strong").inner_text()
        years.append(int(title[-5:-1]))
        page.keyboard.press("Shift+ArrowRight")
        expect(page, "#card strong").not_to_have_text(title)
    assert years == list(range(years[0], years[0] + 5))
    page.go_back()
    playwright.expect(page.get_by_role("button", name="Looks")).to_have_attribute("aria-pressed", "true")
    assert state(page) == {"x": "0.1000", "y": "0.1000", "z": "2.000"}


@pytest.mark.parametrize("name", ["grid", "colors"])
def test_a_link_opens_an_arrangement_in_which_no_film_covers_another(page: Page, name: str) -> None:
    look(page, f"/atlas?arrange={name}")
    playwright.expect(page.get_by_role("button", name=name.capitalize())).to_have_attribute("aria-pressed", "true")
    page.wait_for_load_state("networkidle")
    # Of 60 films, 11 are in a row.
    assert len({pointed(page, 0.5 + (column - 2) * 0.08, 0.58) for column in range(5)}) == 5
    page.get_by_role("button", name="Select all in view").click()
    expect(page, "#count").to_contain_text(f"{N_FILMS} films are selected")


def test_another_arrangement_moves_films_there(browser: Any, url: str) -> None:
    page = browser.new_page(base_url=url)
    look(page)
    page.get_by_role("button", name="Grid").click()
    # A press while they move is not lost.
    page.get_by_role("button", name="Colors").click()
    until(page, lambda state: state.get("arrange") == "colors" and "z" in state)
    page.get_by_role("button", name="Select all in view").click()
    expect(page, "#count").to_contain_text(f"{N_FILMS} films are selected")
    page.close()


def test_dimmed_posters_do_not_answer(page: Page) -> None:
    # Film 13 and its neighbors are comedies.
    look(page, "/atlas?x=0&y=-0.45&z=4")
    x, y = middle(page)
    page.mouse.move(x, y)
    expect(page, "#card strong").to_have_text("Film 13 (1963)")
    page.mouse.move(1, 1)
    page.locator("#legend button", has_text="Western").click()
    page.mouse.move(x, y)
    page.mouse.click(x, y)
    expect(page, "#card").to_be_hidden()
    assert "/atlas" in page.url
    page.locator("#canvas").focus()
    page.keyboard.press("0")
    page.keyboard.press("Shift+ArrowRight")
    expect(page, "#card").to_contain_text("Western")


def test_only_films_on_the_map_are_suggested(browser: Any, tmp_path: Path) -> None:
    workspace = make_groups(tmp_path / "workspace")
    build(workspace)
    make_atlas(workspace, AtlasOptions(n_clusters=3))
    list_films(workspace, range(1, 300))
    with serving(workspace.home) as url:
        page = browser.new_page(base_url=url)
        look(page)
        page.fill("#title", "film 23")
        expect(page, "#suggestions li >> nth=0").to_have_text("Film 23 (1973)")
        assert "Film 230 (2180)" not in page.locator("#suggestions li").all_text_contents()
        page.fill("#title", "film 230")
        expect(page, "#status").to_contain_text("Film 230 (2180) is not on the map")
        assert "Film 230 (2180)" not in page.locator("#suggestions li").all_text_contents()
        page.fill("#title", "flim 230")
        expect(page, "#status").to_have_text("No film on the map is called “flim 230”.")
        # Of the eight titles that are most alike, those on the map.
        expect(page, "#suggestions li").to_have_text(["Film 20 (1970)", "Film 23 (1973)", "Film 30 (1980)"])
        look(page, "/atlas?film=230")
        expect(page, "#status").to_contain_text("Film 230 (2180) is not on the map")
        page.close()


def test_the_clusters_are_a_list_too(page: Page) -> None:
    look(page)
    playwright.expect(page.locator("#clusters li")).to_have_count(3)
    item = page.locator("#clusters li", has_text="Western")
    playwright.expect(item).to_contain_text("20 films")
    item.get_by_role("link").first.click()
    page.wait_for_url("**/?film=*")


def test_without_an_atlas_the_page_names_the_command(browser: Any, home: Path) -> None:
    with serving(home) as url:
        page = browser.new_page()
        page.goto(f"{url}/atlas")
        expect(page, "#status").to_have_text(re.compile("run `keyart atlas --home"))
        for selector in ("#map", "#tools", "#legend", "#view", "#help", "#clusters", "#title", "header .button"):
            expect(page, selector).to_be_hidden()
        page.close()


def test_a_map_that_does_not_come_can_be_tried_again(page: Page) -> None:
    page.route("**/api/atlas", lambda route: route.abort())
    page.goto("/atlas")
    expect(page, "#status").to_contain_text("The server cannot be reached.")
    expect(page, "#tools").to_be_hidden()
    page.unroute("**/api/atlas")
    page.get_by_role("button", name="Retry").click()
    expect(page, "#legend button >> nth=0").to_be_visible()
    expect(page, "#tools").to_be_visible()


@pytest.mark.release
@pytest.mark.parametrize("scheme", ["light", "dark"])
@NEEDS_AXE
def test_no_barrier(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    look(page)
    page.get_by_role("button", name="Select all in view").click()
    assert not barriers(page)


def test_no_cell_of_the_csv_file_is_a_formula(page: Page) -> None:
    page.goto("/atlas")
    texts = ["=1+1", "+HYPERLINK()", "-2+3", "@SUM", "'=1", "-2", "Heat"]
    written = page.evaluate('async (texts) => texts.map((await import("/static/atlas/selection.js")).cell)', texts)
    assert written == ["'=1+1", "'+HYPERLINK()", "'-2+3", "'@SUM", "''=1", "-2", "Heat"]
