"""What the pages say in English, as it stands in templates, scripts and the modules that write pages."""

from __future__ import annotations

import ast
import json
import re
from html.parser import HTMLParser
from pathlib import Path

from tests.test_layers import ROOT

WEB = ROOT / "keyart" / "web"
NAMES = {"keyart", "TMDB", "IMDb", "JSON", "CSV"}
"""What is called the same in every language."""

GENRES = {
    "Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama", "Fantasy", "Film-Noir",
    "Horror", "IMAX", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
}  # fmt: skip
"""Those of MovieLens, which scripts translate wherever a genre is one of them."""

_ATTRIBUTES = {"aria-label", "placeholder", "title", "alt"}
_STRING = r'"((?:[^"\\]|\\.)*)"'
_TRANSLATED = re.compile(rf"\bt\(\s*{_STRING}")
# What scripts set as text or label, and what is a sentence.
_SET = re.compile(
    r'(?:\b(?:placeholder|textContent|title|alt|label)\s*[=:]|setAttribute\("(?:aria-label|placeholder|title|alt)",|'
    rf"\b(?:say|append|prepend|replaceChildren)\()\s*{_STRING}"
)
_SENTENCE = re.compile(r'["`]([A-Z][^"`]*[a-z] [^"`]*[a-z][^"`]*)["`]')
_COUNTED = re.compile(rf"\bcount\([^\"]*?{_STRING},\s*{_STRING}")


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {value or "" for name, value in attrs if name in _ATTRIBUTES}

    def handle_data(self, data: str) -> None:
        self.found.add(" ".join(data.split()))


def of_templates() -> set[str]:
    parser = _Texts()
    for path in (WEB / "static").glob("*.html"):
        parser.feed(path.read_text(encoding="utf-8"))
    return {text for text in parser.found if re.search("[A-Za-z]", text) and "$" not in text} - NAMES


def _scripts() -> dict[str, str]:
    """Return the code of scripts without its comments, by their paths."""
    return {
        path.relative_to(WEB / "static").as_posix(): "\n".join(
            line.partition("// ")[0] for line in path.read_text(encoding="utf-8").splitlines()
        )
        for path in (WEB / "static").rglob("*.js")
    }


def untranslated() -> set[tuple[str, str]]:
    """Return the files and texts of what scripts say in English whatever the language; the API is described so."""
    written = {
        (name, text)
        for name, code in _scripts().items()
        for text in (*_SET.findall(code), *_SENTENCE.findall(code))
        if re.search("[A-Za-z]", text) and name != "docs.js"
    }
    return {(name, text) for name, text in written if text not in all_texts() | set(of_scripts().values()) | NAMES}


def of_scripts() -> dict[str, str]:
    """Return the keys of scripts, with the form for one thing where they count, or else the key itself."""
    found: dict[str, str] = {}
    for code in _scripts().values():
        found |= {json.loads(f'"{text}"'): json.loads(f'"{text}"') for text in _TRANSLATED.findall(code)}
        found |= {json.loads(f'"{many}"'): json.loads(f'"{one}"') for one, many in _COUNTED.findall(code)}
    return found


def of_modules() -> set[str]:
    calls = (
        node
        for path in WEB.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
    )
    return {str(call.args[0].value) for call in calls if ast.unparse(call.func) in ("words", "words.markup")}


def all_texts() -> set[str]:
    return of_templates() | of_scripts().keys() | of_modules() | GENRES


def missing(language: Path) -> set[str]:
    return all_texts() - json.loads(language.read_text(encoding="utf-8")).keys()
