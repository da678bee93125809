"""What clients may expect of an HTTP API: compression, validation, links, descriptions, and pages for people."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.keyart.web.conftest import NEEDS_AXE, NEEDS_CHROMIUM, Page, barriers, eventually, expect, serving

pytestmark = pytest.mark.heavy

TOKEN = "a-token-of-more-than-sixteen-letters"
BROWSER = {"Accept": "text/html,*/*;q=0.8"}
PLAIN = {"Accept-Encoding": "identity"}


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(
        url, headers=PLAIN | {name.replace("_", "-"): value for name, value in headers.items()}, timeout=60
    )


@pytest.mark.parametrize(
    ("path", "takes"),
    [
        ("api/films?query=film&limit=3", "it takes k, query"),
        ("api/genres?k=3", "it takes none"),
        ("api/films/22?k=3", "it takes none"),
        ("api/films/22/similar?count=3", "it takes alpha"),
        ("api/films/to-rate?page=2", "it takes k, offset, seed"),
        ("api/users/2/recommendations?stars=5", "it takes fresh, k, model"),
        ("api/atlas?x=1", "it takes none"),
        ("posters/22?height=160", "it takes width"),
    ],
)
def test_a_parameter_that_an_address_does_not_take_is_refused(people_address: str, path: str, takes: str) -> None:
    refused = get(f"{people_address}/{path}")
    name = path.replace("&", "?").rpartition("?")[2].partition("=")[0]
    assert refused.status_code == 422
    assert refused.json()["detail"].startswith(f"{name}: this address has no such parameter; {takes}")


def test_old_names_of_parameters_and_any_at_pages_are_taken(people_address: str) -> None:
    for path in ("api/films/22/similar?min_support=1&fold=true", "?utm_source=x", "user?utm_source=x", "healthz?x=1"):
        assert get(f"{people_address}/{path}").status_code == 200


@pytest.mark.parametrize(
    "path", ["api/films/22/similar", "static/page.js", "static/page.css", "", "api/similar.csv?like=22"]
)
def test_text_is_compressed_for_who_takes_it(people_address: str, path: str) -> None:
    plain, packed = get(f"{people_address}/{path}"), get(f"{people_address}/{path}", Accept_Encoding="gzip")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert 0 < int(packed.headers["content-length"]) < len(plain.content)
    for answer in (plain, packed):
        assert "accept-encoding" in answer.headers["vary"].lower()


def test_small_and_compressed_answers_are_sent_as_they_are(people_address: str) -> None:
    for path in ("api/genres", "posters/22", "api/films/22/sheet.jpg?k=5"):
        assert "content-encoding" not in get(f"{people_address}/{path}", Accept_Encoding="gzip").headers


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("path", ["static/page.js", "posters/22", ""])
def test_what_a_client_has_is_not_sent_again(people_address: str, path: str, encoding: str) -> None:
    first = get(f"{people_address}/{path}", Accept_Encoding=encoding)
    again = get(f"{people_address}/{path}", Accept_Encoding=encoding, If_None_Match=f'"other", {first.headers["etag"]}')
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert "private" in first.headers["cache-control"]


ANSWERS = (
    *("api/films?query=film", "api/films/22", "api/films/22/details", "api/films/22/similar?k=5&genre=Drama"),
    *("api/similar?like=22&unlike=3", "api/similar.csv?like=22", "api/films/22/why/3", "api/films/22/embedding"),
    *("api/genres", "api/encoders", "api/text", "api/server", "api/models", "api/shortlist.json?film=22"),
    *("api/films/to-rate?k=3", "api/users?query=2", "api/users/2", "api/users/2/recommendations?k=3"),
)


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("path", ANSWERS)
def test_an_answer_that_a_client_has_is_not_sent_again(people_address: str, path: str, encoding: str) -> None:
    def ask() -> tuple[requests.Response, requests.Response]:
        first = get(f"{people_address}/{path}", Accept_Encoding=encoding)
        return first, get(f"{people_address}/{path}", Accept_Encoding=encoding, If_None_Match=first.headers["etag"])

    # A part that is opened late, such as a network, changes all tags.
    first, again = eventually(ask, lambda both: both[1].status_code == 304)
    assert (first.status_code, again.content) == (200, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["cache-control"] == first.headers["cache-control"] == "private, no-cache"


def test_a_tag_holds_for_its_own_question_only(people_address: str) -> None:
    etag = get(f"{people_address}/api/films/22/similar?k=5").headers["etag"]
    for path in ("api/films/22/similar?k=6", "api/films/3/similar?k=5", "api/films/22/similar.csv?k=5"):
        assert get(f"{people_address}/{path}", If_None_Match=etag).status_code == 200
    for path, status in (("api/films/99999", 404), ("api/films/22?x=1", 422)):
        refused = get(f"{people_address}/{path}", If_None_Match="*")
        assert (refused.status_code, "etag" in refused.headers) == (status, False)
    assert "etag" not in get(f"{people_address}/api/films/random").headers


def test_scripts_of_an_earlier_version_are_asked_about(people_address: str) -> None:
    for path in ("", "static/page.js", "api/films/22"):
        assert get(f"{people_address}/{path}").headers["cache-control"] == "private, no-cache"


def test_links_lead_through_all_pages(people_address: str) -> None:
    found, address = list[int](), f"{people_address}/api/films/22/similar?k=15&genre=Drama&genre=Comedy"
    while address:
        answer = get(address)
        found += [hit["movie_id"] for hit in answer.json()["results"]]
        following = answer.links.get("next")
        address = requests.compat.urljoin(address, following["url"]) if following else ""
    whole = get(f"{people_address}/api/films/22/similar?k=100").json()["results"]
    assert found == [hit["movie_id"] for hit in whole]
    assert "link" in get(f"{people_address}/api/similar?like=22&k=5").headers
    assert "link" not in get(f"{people_address}/api/similar?like=22&k=5&diverse=0.3").headers


def test_links_lead_through_the_films_to_rate(people_address: str) -> None:
    whole = get(f"{people_address}/api/films/to-rate?k=50&seed=3").json()
    found, address = list[int](), f"{people_address}/api/films/to-rate?k={len(whole) // 2}&seed=3"
    while address:
        answer = get(address)
        found += [film["movie_id"] for film in answer.json()]
        following = answer.links.get("next")
        address = requests.compat.urljoin(address, following["url"]) if following else ""
    assert len(found) > 2
    assert found == [film["movie_id"] for film in whole]


def test_a_missing_page_is_a_page_for_people(people_address: str) -> None:
    missing = get(f"{people_address}/nowhere", **BROWSER)
    assert (missing.status_code, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no page at this address." in missing.text
    assert "no poster" in get(f"{people_address}/posters/41000", **BROWSER).text
    for address, headers in (("nowhere", {}), ("api/films/99999", BROWSER), ("api/nowhere", BROWSER)):
        answer = get(f"{people_address}/{address}", **headers)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_a_browser_is_told_in_a_page_what_the_workspace_lacks(people_address: str) -> None:
    address = f"{people_address}/posters/tt0000099"
    shown = requests.get(address, headers=BROWSER, timeout=60)
    assert (shown.status_code, shown.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "No film has the IMDb id tt0000099" in shown.text
    assert requests.get(address, timeout=60).headers["content-type"] == "application/problem+json"


@pytest.fixture(scope="module")
def described(people_address: str) -> dict[str, dict[str, Any]]:
    return dict(get(f"{people_address}/openapi.json").json()["paths"])


def test_every_operation_has_a_tag_and_a_name_of_its_own(described: dict[str, dict[str, Any]]) -> None:
    operations = [operation for path in described.values() for operation in path.values()]
    assert all(operation.get("tags") for operation in operations)
    names = Counter(str(operation["operationId"]) for operation in operations)
    assert [name for name, n in names.items() if n > 1] == []
    assert all(name.isidentifier() for name in names)


def test_every_operation_and_parameter_is_described(described: dict[str, dict[str, Any]]) -> None:
    operations = [(path, operation) for path, methods in described.items() for operation in methods.values()]
    described_ones = [*operations, *((path, one) for path, each in operations for one in each.get("parameters", ()))]
    lacking = [
        (path, one.get("name", one.get("summary"))) for path, one in described_ones if not one.get("description")
    ]
    assert lacking == []
    assert all(operation["summary"] for _, operation in operations)


def test_every_address_of_the_api_refuses_a_parameter_that_it_does_not_take(
    people_address: str, described: dict[str, dict[str, Any]]
) -> None:
    # Probes and scrapers add parameters of their own.
    taking = {"/healthz", "/readyz", "/metrics"}
    for path, methods in described.items():
        address = f"{people_address}{re.sub('{[^}]*}', '2', path)}?no-such=1"
        for method in methods:
            answer = requests.request(method, address, timeout=60)
            if path in taking:
                assert answer.ok
            else:
                assert (answer.status_code, "no-such: this address" in answer.text) == (422, True), (method, path)


def test_every_page_leads_to_the_description(people_address: str) -> None:
    for path in ("", "user", "atlas", "shortlist"):
        assert '<a href="docs">HTTP API</a>' in get(f"{people_address}/{path}").text
    assert get(f"{people_address}/docs").status_code == 200


@NEEDS_CHROMIUM
@NEEDS_AXE
def test_the_description_is_a_page_too(people_page: Page, described: dict[str, dict[str, Any]]) -> None:
    page = people_page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/docs")
    for path, methods in described.items():
        for method in methods:
            expect(page, f"summary code:text-is('{method.upper()} {path}')").to_be_visible()
    page.locator("summary", has_text="GET /api/films/{movie_id}/similar Films").click()
    row = page.locator("details[open] tr", has=page.locator("code:text-is('min_ratings')"))
    assert "Only films with at least so many ratings" in row.text_content()
    assert barriers(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_token_is_described_where_there_is_one(home: Path, people_address: str) -> None:
    with serving(home, TOKEN) as url:
        one = get(f"{url}/openapi.json", Authorization=f"Bearer {TOKEN}").json()
    assert one["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    assert one["paths"]["/api/genres"]["get"]["security"] == [{"token": []}]
    assert {"401", "403", "413", "429", "500", "504"} <= one["paths"]["/api/similar"]["post"]["responses"].keys()
    assert "securitySchemes" not in get(f"{people_address}/openapi.json").json()["components"]
