"""How much script the pages load at first, and that what is rarely used waits for its use."""

from __future__ import annotations

import re

import pytest

from benchmarks.page_weight import PAGES, STATIC, first_scripts, n_bytes

ON_USE = {"why.js", "twins.js", "regions.js", "part.js", "newfilm.js", "picture.js", "search.js", "ways.js"}
# Of bytes as they are, and as they are transferred.
MOST = {
    "index.html": (60_000, 25_000),
    "atlas.html": (60_000, 25_000),
    "user.html": (45_000, 19_000),
    "shortlist.html": (20_000, 9_000),
    "docs.html": (20_000, 9_000),
}


@pytest.mark.parametrize("page", MOST)
def test_a_page_loads_little_script_at_first(page: str) -> None:
    raw, transferred = n_bytes(first_scripts(page))
    assert raw <= MOST[page][0]
    assert transferred <= MOST[page][1]


def test_what_is_rarely_used_is_loaded_on_use() -> None:
    assert not ON_USE & {path.name for path in first_scripts("index.html")}
    page = (STATIC / "page.js").read_text(encoding="utf-8")
    imported = set(re.findall(r'import\("\./([^"]+)"\)', page))
    assert imported | {"regions.js"} == ON_USE


def test_the_browser_is_told_of_all_scripts_at_once() -> None:
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    told = re.findall(r'<link rel="modulepreload" href="static/([^"]+)">', html)
    assert sorted(told) == sorted(path.name for path in first_scripts("index.html")[1:])


def test_every_page_is_weighed() -> None:
    # What the server fills in for a refusal has next to nothing of its own.
    assert {path.name for path in STATIC.glob("*.html")} == {*PAGES, "error.html", "sign-in.html"}
