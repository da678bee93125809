"""The words of the pages in other languages than English: a file each, in which the English texts are the keys."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fastapi import Request

from keyart.web.markup import Markup, element, joined

FOLDER = Path(__file__).parent / "static" / "words"
COOKIE = "keyart-language"
"""Holds the language that was chosen on a page."""
PARAMETER = "language"
"""Chooses a language in the address of any page, such as `?film=22&language=zh-Hans`."""

_NAME = "$language"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_TRADITIONAL = "zh-hant"
_SCRIPTS = {
    "zh-cn": "zh-hans", "zh-sg": "zh-hans", "zh-my": "zh-hans",
    "zh-tw": _TRADITIONAL, "zh-hk": _TRADITIONAL, "zh-mo": _TRADITIONAL,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Words:
    """The texts of one language; calling it translates one."""

    tag: str
    """The language after BCP 47, such as `zh-Hans`."""

    name: str
    """What the language calls itself."""

    texts: Mapping[str, str]

    def __call__(self, text: str, /, **values: str) -> str:
        """Translate a text, and fill its placeholders in; one that is not known stays English."""
        return "".join(self._pieces(text, values))

    def markup(self, text: str, /, **values: str) -> Markup:
        """Translate a text whose values may be markup."""
        return joined(*self._pieces(text, values))

    def english(self, text: str) -> Markup:
        """Mark a text that is in English on any page."""
        return joined(text) if self is ENGLISH else element("span", text, lang=ENGLISH.tag)

    def _pieces(self, text: str, values: Mapping[str, str]) -> list[str]:
        pieces = _PLACEHOLDER.split(self.texts.get(text, text))
        return [values[piece] if number % 2 else piece for number, piece in enumerate(pieces)]


ENGLISH = Words("en", "English", {})


def offered(folder: Path = FOLDER) -> tuple[Words, ...]:
    """Return the languages that there are words of, English first."""
    files = sorted(folder.glob("*.json"))
    return ENGLISH, *(_load(file, file.stat().st_mtime_ns) for file in files)


@lru_cache(maxsize=64)
def _load(file: Path, _modified: int) -> Words:
    texts = json.loads(file.read_text(encoding="utf-8"))
    # What is counted is written by scripts, which know the plural forms.
    return Words(file.stem, texts.pop(_NAME), {key: text for key, text in texts.items() if isinstance(text, str)})


def words_for(request: Request, folder: Path = FOLDER) -> Words:
    """Return the words in the language that was chosen on a page, or else that the browser prefers."""
    languages = {words.tag.lower(): words for words in offered(folder)}
    chosen = languages.get(request.cookies.get(COOKIE, "").lower())
    return chosen or languages[preferred(request.headers.get("accept-language", ""), list(languages))]


def preferred(accepted: str, tags: list[str]) -> str:
    """Return which of several languages is preferred, by the header `Accept-Language`; the first where none matches.

    Parameters
    ----------
    accepted : str
        The header, such as `zh-CN,zh;q=0.9,en;q=0.8`.
    tags : list of str
        The languages, in lower case.

    Returns
    -------
    str
        One of `tags`: after RFC 4647, section 3.4 (lookup). Of two scripts of a language, one stands for the other only
        where no other language is accepted.
    """
    wanted = _ranges(accepted)
    matches = (tag for one in wanted if (tag := _lookup(one, tags)))
    others = (tag for one in wanted for tag in tags if tag.split("-")[0] == one.split("-")[0])
    return next(matches, None) or next(others, tags[0])


def _ranges(accepted: str) -> list[str]:
    """List what is accepted, the most wanted first, with the scripts of Chinese."""
    weighted = [(_weight(parameters), tag) for tag, _, parameters in map(_split, accepted.lower().split(","))]
    tags = [tag for weight, tag in sorted(weighted, key=lambda each: -each[0]) if weight > 0]
    scripts = [_SCRIPTS.get(tag, tag) for tag in tags]
    # Browsers add the language itself to one of its regions.
    plain = next((script for script in scripts if script.startswith("zh-")), "zh-hans")
    return [plain if script == "zh" else script for script in scripts]


def _split(accepted: str) -> tuple[str, str, str]:
    tag, mark, parameters = accepted.partition(";")
    return tag.strip(), mark, parameters.strip()


def _weight(parameters: str) -> float:
    match = re.fullmatch(r"q=([01](?:\.\d{0,3})?)", parameters)
    return float(match[1]) if match else 0.0 if parameters else 1.0


def _lookup(wanted: str, tags: list[str]) -> str | None:
    parts = wanted.split("-")
    shorter = ["-".join(parts[:n]) for n in range(len(parts), 0, -1)]
    # A language without a region is also any region of it, but Chinese has its script by now.
    wider = [tag for tag in tags if len(parts) == 1 and tag.startswith(f"{wanted}-")]
    return next((tag for tag in [*shorter, *wider] if tag in tags), None)
