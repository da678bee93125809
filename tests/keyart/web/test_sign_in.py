"""Signing in with a browser: a page in place of an error, and links from elsewhere that lead in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.keyart.web.conftest import (
    NEEDS_AXE,
    NEEDS_CHROMIUM,
    barriers,
    copied,
    expect,
    expect_hits,
    looking,
    serving,
)
from tests.posters.pictures import draw_poster

pytestmark = pytest.mark.heavy

TOKEN = "a-token-of-more-than-sixteen-letters"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def url(_built_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(copied(_built_home, tmp_path_factory), TOKEN) as address:
        yield address


def test_a_browser_gets_a_page_and_a_program_a_problem(url: str) -> None:
    for path in ("", "atlas?film=1", "api/films/1", "nowhere"):
        shown = requests.get(f"{url}/{path}", headers=BROWSER, timeout=60)
        assert (shown.status_code, shown.headers["content-type"]) == (401, "text/html; charset=utf-8")
        assert shown.headers["cache-control"] == "no-store"
        assert 'name="token"' in shown.text
        refused = requests.get(f"{url}/{path}", timeout=60)
        assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")
    for path in ("static/page.css", "static/icon.svg"):
        assert requests.get(f"{url}/{path}", timeout=60).status_code == 200
    assert requests.get(f"{url}/static/page.js", timeout=60).status_code == 401


def test_the_form_leads_to_the_address_that_was_asked_for(url: str) -> None:
    with requests.Session() as browser:
        answer = browser.post(f"{url}/?film=1&alpha=1", {"token": TOKEN}, headers=BROWSER, timeout=60)
        assert (answer.url, answer.status_code) == (f"{url}/?film=1&alpha=1", 200)
        assert "SameSite=lax" in answer.history[0].headers["set-cookie"]
        assert browser.get(f"{url}/api/genres", timeout=60).status_code == 200
        again = browser.post(f"{url}/user", {"token": "x"}, headers=BROWSER, timeout=60)
        assert again.url == f"{url}/user", "who is signed in is sent on"


@pytest.mark.parametrize("form", [{"token": "wrong"}, {"token": "x" * 9000}, {"other": TOKEN}, {}])
def test_another_token_is_refused_on_the_page(url: str, form: dict[str, str]) -> None:
    refused = requests.post(f"{url}/", form, headers=BROWSER, timeout=60)
    assert refused.status_code == 401
    assert 'name="token"' in refused.text
    assert ("This is not the token" in refused.text) is (form.get("token") == "wrong")


def test_pages_of_others_cannot_sign_in(url: str) -> None:
    foreign = BROWSER | {"Origin": "https://elsewhere.example"}
    assert requests.post(f"{url}/", {"token": TOKEN}, headers=foreign, timeout=60).status_code == 403


def test_an_image_that_curl_sends_as_a_form_is_none(url: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/x-www-form-urlencoded"}
    answer = requests.post(f"{url}/api/similar?k=2", draw_poster(7), headers=headers, timeout=60)
    assert len(answer.json()["results"]) == 2


def test_guesses_are_slowed_down_on_the_page_too(home: Path) -> None:
    with serving(home, TOKEN) as address:
        answers = [
            requests.post(f"{address}/", {"token": f"guess {number}"}, headers=BROWSER, timeout=60)
            for number in range(11)
        ]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert "too many wrong tokens came from this address" in answers[-1].text
    assert int(answers[-1].headers["retry-after"]) > 0


@NEEDS_CHROMIUM
def test_signing_in_in_a_browser_and_a_link_from_elsewhere(
    browser: Any, url: str, request: pytest.FixtureRequest
) -> None:
    with looking(browser, url, request) as page:
        page.goto("/?film=1")
        expect(page, "#token").to_be_focused()
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        expect(page, "#problem").to_have_text("This is not the token of this server.")
        page.keyboard.type(TOKEN)
        page.keyboard.press("Enter")
        expect_hits(page)
        assert page.url == f"{url}/?film=1"
        # A page of another site, which sends no cookie that is strict.
        page.route("http://elsewhere.example/", lambda route: route.fulfill(body=f'<a href="{url}/?film=2">film</a>'))
        page.goto("http://elsewhere.example/")
        page.get_by_role("link").click()
        expect_hits(page)
        expect(page, "#name").to_have_text("Twin (1991)")


@pytest.mark.release
@pytest.mark.parametrize("scheme", ["light", "dark"])
@NEEDS_CHROMIUM
@NEEDS_AXE
def test_no_barrier(browser: Any, url: str, request: pytest.FixtureRequest, scheme: str) -> None:
    with looking(browser, url, request, color_scheme=scheme, viewport={"width": 320, "height": 256}) as page:
        page.goto("/")
        page.fill("#token", "wrong")
        page.keyboard.press("Enter")
        expect(page, "#problem").not_to_be_empty()
        assert barriers(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
