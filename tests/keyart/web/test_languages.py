"""The pages in other languages: their files of words, which language a browser gets, and the pages in Chinese."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import requests

from catalog.film import Film
from keyart.web.html import language_choice, page
from keyart.web.routes.first_page import _first
from keyart.web.words import COOKIE, ENGLISH, FOLDER, Words, offered, preferred
from tests.keyart.web.conftest import (
    NEEDS_AXE,
    NEEDS_CHROMIUM,
    Page,
    barriers,
    expect,
    expect_hits,
    looking,
    serving,
)
from tests.keyart.web.page_texts import WEB, all_texts, of_modules, of_scripts, of_templates, untranslated
from tests.keyart.web.test_first_page import parsed

pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.heavy

LANGUAGES = sorted(FOLDER.glob("*.json"))
PLACEHOLDER = re.compile(r"\{\w+\}")
# Text and labels with letters of English words; what is named the same everywhere, films and what is marked are not.
ENGLISH_LEFT = """() => {
  const free = (element) => element.closest("[lang=en], [translate=no], strong, b, .chips, .label");
  const names = new RegExp("#[0-9a-f]{6}|Film \\\\d+|keyart|Shift|Delete|TMDB|API|IMDb|Letterboxd|Trakt|MovieLens|" +
    "HTTP|JSON|CSV|\\\\bease\\\\b|\\\\bals\\\\b", "g");
  const labels = ["aria-label", "title", "placeholder", "alt", "aria-valuetext"];
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  while (walk.nextNode()) {
    const node = walk.currentNode;
    const isText = node.nodeType === Node.TEXT_NODE;
    if (free(isText ? node.parentElement : node)) continue;
    const texts = isText ? [node.data] : labels.map((name) => node.getAttribute(name) ?? "");
    found.push(...texts.filter((text) => /[A-Za-z]{2}/.test(text.replace(names, ""))));
  }
  return found;
}"""


def words_of(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", LANGUAGES, ids=lambda path: path.stem)
def test_a_language_has_every_text_and_no_other(path: Path) -> None:
    words = words_of(path)
    assert words.pop("$language")
    assert words.keys() == all_texts()
    for text, translated in words.items():
        for form in translated.values() if isinstance(translated, dict) else [translated]:
            assert set(PLACEHOLDER.findall(form)) == set(PLACEHOLDER.findall(text)), text


def test_scripts_say_nothing_in_english_alone() -> None:
    assert untranslated() == set()


@pytest.mark.parametrize("path", LANGUAGES, ids=lambda path: path.stem)
def test_only_what_scripts_count_has_plural_forms(path: Path) -> None:
    counted = {many for many, one in of_scripts().items() if many != one} - of_modules() - of_templates()
    assert {text for text, translated in words_of(path).items() if isinstance(translated, dict)} <= counted


def test_pages_in_english_are_the_templates_themselves() -> None:
    for path in (WEB / "static").glob("*.html"):
        names = re.findall(r"\$(\w+)", path.read_text(encoding="utf-8"))
        written = page(path.name, ENGLISH, "", **{name: f"${name}" for name in names if name != "languages"})
        languages = language_choice(ENGLISH, offered(), "")
        assert written == path.read_text(encoding="utf-8").replace("$languages", languages)


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-hans"),
        ("zh", "zh-hans"),
        ("zh-SG", "zh-hans"),
        ("ZH-Hans-CN", "zh-hans"),
        # Another script, which nobody asked for, is better than another language that nobody asked for either.
        ("zh-TW", "zh-hans"),
        ("zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7", "en"),
        ("zh-Hant-HK,en;q=0.1", "en"),
        ("zh-TW,zh-CN;q=0.5,en;q=0.4", "zh-hans"),
        ("fr,en;q=0.1,zh-CN;q=0.5", "zh-hans"),
        ("en;q=0.5,zh;q=0.5", "en"),
        ("zh;q=0", "en"),
        ("de-AT", "de"),
        ("pt", "pt-br"),
        ("fr,*;q=0.5", "en"),
        ("", "en"),
        (";;q=1,,zh;q=x,\x00", "en"),
    ],
)
def test_the_language_is_the_one_that_the_browser_prefers(accepted: str, expected: str) -> None:
    assert preferred(accepted, ["en", "de", "pt-br", "zh-hans"]) == expected


def test_a_file_in_the_folder_is_a_language_that_is_offered(tmp_path: Path) -> None:
    (tmp_path / "de.json").write_text(json.dumps({"$language": "Deutsch", "Grid": "Raster"}), encoding="utf-8")
    languages = offered(tmp_path)
    assert [words.tag for words in languages] == ["en", "de"]
    links = parsed(language_choice(languages[1], languages, "film=22&text=a+b%26c&language=en&empty="))
    assert links.text == "EnglishDeutsch"
    assert [attributes["hreflang"] for name, attributes in links.found if name == "a"] == ["en", "de"]
    kept = "?film=22&text=a+b%26c&empty=&language="
    assert [attributes["href"] for name, attributes in links.found if name == "a"] == [f"{kept}en", f"{kept}de"]
    assert language_choice(ENGLISH, languages[:1], "") == ""
    atlas = page("atlas.html", languages[1], "")
    assert '<button type="button" value="grid" aria-pressed="false">Raster</button>' in atlas
    (tmp_path / "de.json").write_text(json.dumps({"$language": "Deutsch", "Grid": "Kacheln"}), encoding="utf-8")
    assert offered(tmp_path)[1]("Grid") == "Kacheln"


def test_titles_are_not_translated() -> None:
    (chinese,) = offered()[1:]
    shown = parsed(
        _first([Film(movie_id, "Grid {film} $first") for movie_id in range(1, 7)], chinese, takes_text=False)
    )
    assert shown.text.count("Grid {film} $first") == 5
    filled = page("index.html", Words("xx", "", {"Grid": "no"}), "", state="", status="", first="Grid $status")
    assert "Grid $status" in filled


def test_answers_name_their_language(people_address: str) -> None:
    def ask(path: str, **headers: str) -> requests.Response:
        return requests.get(f"{people_address}/{path}", headers=headers, timeout=60)

    for path in ("", "atlas", "user", "shortlist", "docs", "films/22/panel"):
        english, chinese = ask(path), ask(path, **{"Accept-Language": "zh-CN"})
        assert (english.headers["content-language"], chinese.headers["content-language"]) == ("en", "zh-Hans")
        assert {"Accept-Language", "Cookie"} <= set(re.split(r",\s*", chinese.headers["vary"]))
        if path == "films/22/panel":
            continue
        assert '<html lang="zh-Hans">' in chinese.text
        tag = english.headers["etag"]
        assert ask(path, **{"If-None-Match": tag}).status_code == 304
        assert ask(path, **{"If-None-Match": tag, "Accept-Language": "zh"}).status_code == 200
        chosen = ask(path, **{"Accept-Language": "zh", "Cookie": f"{COOKIE}=en"})
        assert chosen.headers["content-language"] == "en"
        assert ask(path, Cookie=f"{COOKIE}=../x").headers["content-language"] == "en"
    missing = ask("nowhere", **{"Accept-Language": "zh", "Accept": "text/html"})
    assert "此网址没有页面。" in missing.text


@NEEDS_CHROMIUM
@NEEDS_AXE
@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("/", "#wall img >> nth=0"),
        ("/?film=22", "#panel h3 >> nth=0"),
        ("/?film=22&like=24&unlike=26", "#like li >> nth=0"),
        ("/user?rated=22-4.5,24-5,26-4", "#shelves h3 >> nth=0"),
        ("/user?user=2", "#best li >> nth=0"),
        ("/shortlist?film=22&film=24", "#hits li >> nth=0"),
        ("/atlas", "#arrange"),
    ],
)
def test_pages_in_chinese_have_no_english_words(
    browser: Any, people_address: str, request: pytest.FixtureRequest, address: str, shown: str
) -> None:
    with looking(browser, people_address, request, locale="zh-CN") as opened:
        opened.goto(address)
        expect(opened, shown).to_be_attached()
        opened.wait_for_load_state("networkidle")
        assert opened.locator("html").get_attribute("lang") == "zh-Hans"
        assert opened.evaluate(ENGLISH_LEFT) == []
        assert barriers(opened) == []


@NEEDS_CHROMIUM
def test_the_search_field_takes_words_in_the_language_of_the_page(
    browser: Any, words_url: str, request: pytest.FixtureRequest
) -> None:
    with looking(browser, words_url, request, locale="zh-CN") as opened:
        opened.goto("/")
        expect(opened, "#title").to_have_attribute("placeholder", "片名、编号或海报上的内容")


@pytest.mark.parametrize("root_path", ["", "/films"])
def test_a_link_chooses_a_language_before_the_scripts_are_there(fitted_home: Path, root_path: str) -> None:
    with serving(fitted_home, root_path=root_path) as url, requests.Session() as browser:
        browser.headers["Accept"] = "text/html"
        for path in ("/?film=22", "/atlas", "/nowhere", "//elsewhere.test/x", "/films/22/panel"):
            join = "&" if "?" in path else "?"
            answer = browser.get(f"{url}{path}{join}language=zh-Hans", timeout=60, allow_redirects=False)
            there = f"/{path.lstrip('/')}"
            assert (answer.status_code, answer.headers["location"]) == (303, f"{root_path}{there}"), path
            assert f"Path={root_path}/;" in answer.headers["set-cookie"]
            answer = browser.get(url + there, headers={"Cookie": f"{COOKIE}=zh-Hans"}, timeout=60)
            assert answer.headers["content-language"] == "zh-Hans"
        # A language that there is not is no choice, and what programs ask is not theirs.
        assert browser.get(f"{url}/atlas?language=tlh", timeout=60, allow_redirects=False).status_code == 200
        refused = requests.get(f"{url}/api/films?query=x&language=zh-Hans", timeout=60)
        assert refused.status_code == 422
        assert "language" in refused.text


@NEEDS_CHROMIUM
def test_a_language_is_chosen_where_the_scripts_are_late(
    browser: Any, people_address: str, request: pytest.FixtureRequest
) -> None:
    with looking(browser, people_address, request, locale="zh-CN") as opened:
        opened.route("**/static/*.js", lambda route: route.abort())
        opened.goto("/shortlist?film=22")
        opened.get_by_role("link", name="English").click()
        expect(opened, "h2").to_have_text("Shortlist")
        assert opened.url.endswith("/shortlist?film=22")


@NEEDS_CHROMIUM
def test_a_language_is_chosen_at_the_foot_of_a_page(people_page: Page) -> None:
    people_page.goto("/?film=22")
    expect_hits(people_page)
    people_page.get_by_role("link", name="简体中文").click()
    expect(people_page, "html").to_have_attribute("lang", "zh-Hans")
    expect_hits(people_page)
    expect(people_page, "#status").to_contain_text("相似影片")
    assert people_page.url.endswith("/?film=22")
    people_page.get_by_role("link", name="片单", exact=True).click()
    expect(people_page, "h2").to_have_text("片单")
    people_page.get_by_role("link", name="English").click()
    expect(people_page, "h2").to_have_text("Shortlist")


@NEEDS_CHROMIUM
def test_plural_forms_and_numbers_are_those_of_the_language(
    browser: Any, people_address: str, request: pytest.FixtureRequest
) -> None:
    polish = {"{n} ratings": {"one": "{n} ocena", "few": "{n} oceny", "many": "{n} ocen", "other": "{n} oceny"}}
    with looking(browser, people_address, request) as opened:
        opened.route("**/words/pl.json", lambda route: route.fulfill(json=polish))
        opened.route("**/shortlist", lambda route: route.fulfill(
            content_type="text/html", body='<html lang="pl"><body></body></html>',
        ))  # fmt: skip
        opened.goto("/shortlist")
        counted = opened.evaluate("""async () => {
          const { ratings } = await import("/static/parts.js");
          const { number, t } = await import("/static/words.js");
          return [...[1, 3, 5, 12345].map(ratings), number(2.5, 2), t("Grid")];
        }""")
    assert counted == ["1 ocena", "3 oceny", "5 ocen", "12\u00a0345 ocen", "2,50", "Grid"]


@NEEDS_CHROMIUM
def test_without_its_words_a_page_is_in_english(
    browser: Any, people_address: str, request: pytest.FixtureRequest
) -> None:
    with looking(browser, people_address, request, locale="zh-CN") as opened:
        opened.route("**/words/*.json", lambda route: route.abort())
        opened.goto("/?film=22")
        expect_hits(opened)
        expect(opened, "#status").to_contain_text("look-alikes of")
