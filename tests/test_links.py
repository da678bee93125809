"""Check, offline, that links between Markdown files lead to existing files and headings, and build the site."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import keyart
from tests.test_layers import PACKAGES, ROOT

FILES = sorted(
    [*ROOT.glob("*.md"), *(path for folder in ("docs", "tests", *PACKAGES) for path in (ROOT / folder).rglob("*.md"))]
)


def prose(text: str) -> str:
    """Remove blocks of code and code in lines, in which nothing is a link or a heading."""
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def anchors(text: str) -> set[str]:
    """List the anchors of headings, as GitHub makes them."""
    without_blocks = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ +(.+?) *$", without_blocks, re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def dead_links(page: Path) -> list[str]:
    text = prose(page.read_text(encoding="utf-8"))
    targets = re.findall(r"\]\(\s*<?([^)\s>]+)", text) + re.findall(r"^\[[^]]+\]: +(\S+)", text, re.MULTILINE)
    dead = []
    for target in targets:
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if re.match(r"(https|mailto):", target):
            continue
        if not file.exists() or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
            dead.append(target)
    return dead


@pytest.mark.parametrize("page", FILES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    assert dead_links(page) == []


def test_dead_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text(
        "# What's new?\n## A `--flag`, twice\n## A `--flag`, twice\n```\n# No heading\n```\n"
    )
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md#whats-new) [b](other.md#a---flag-twice-1) ![c](none.png) [d](other.md#no-heading) [e](#here)\n"
        "[f](http://plain.org) [g](https://keyart.org/none) `[h](none.md)`\n```\n[i](none.md)\n```\n[j]: gone.md\n"
    )
    assert dead_links(page) == ["none.png", "other.md#no-heading", "#here", "http://plain.org", "gone.md"]


@pytest.mark.release
def test_the_site_builds_and_holds_the_public_api(tmp_path: Path) -> None:
    # Dead links and faulty docstrings are warnings.
    words = ["-W", "--keep-going", "-q", "-c", "docs", "-d", tmp_path / "cache", ".", tmp_path / "site"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert 'url=README.html"' in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    reference = (tmp_path / "site" / "docs" / "reference.html").read_text(encoding="utf-8")
    names = {*(f"keyart.{name}" for name in keyart.__all__), *(f"keyart.pipeline.{n}" for n in keyart.pipeline.__all__)}
    assert names - set(re.findall(r'id="(keyart[\w.]*)"', reference)) == {"keyart.pipeline"}
