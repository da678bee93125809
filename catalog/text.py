"""Text for people."""

from __future__ import annotations

import os
import re
from pathlib import Path

# Control characters of all kinds, and characters that are not seen but move or hide others: marks of direction, blanks
# of no width, tags. Those that join letters (U+200C, U+200D) belong to words of some scripts, and to emoji.
_UNSAFE = (
    "\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e0fff"
)
UNSAFE_SIGN = re.compile(f"[{_UNSAFE}]")
_UNSAFE_IN_LINES = re.compile(f"(?![\t\n])[{_UNSAFE}]")
_BREAKS = re.compile("[\t\n\x0b\x0c\r\x1c-\x1f\x85\u2028\u2029]+")


def is_clean(text: str) -> bool:
    """Return whether a text has neither line ends nor control or invisible characters."""
    return UNSAFE_SIGN.search(text) is None


def clean(text: str) -> str:
    """Make a text one line without control and invisible characters; all titles, genres and tags come through here."""
    return text if is_clean(text) else UNSAFE_SIGN.sub("", _BREAKS.sub(" ", text)).strip()


def visible(text: str, *, lines: bool = False) -> str:
    r"""Escape what a terminal would obey or hide, as in ``\x1b``; with `lines`, line ends and tabs stay.

    Whatever is printed that is not the program's own text passes through here.
    """
    pattern = _UNSAFE_IN_LINES if lines else UNSAFE_SIGN
    return pattern.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


def printable(path: Path | str) -> str:
    r"""Replace what is not UTF-8 in a path by escapes, for tables, databases and terminals."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def plural(n: int, one: str, many: str = "") -> str:
    """Return a number with its noun, and a verb where it has one: "1 film", "2,345 films", "1 film has"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def first_line(error: BaseException, n_most: int = 300) -> str:
    """Return the first line of what an error of another library says, cut where it is long."""
    line = " ".join(str(error).strip().partition("\n")[0].split())
    return line if len(line) <= n_most else f"{line[: n_most - 2].rstrip()} …"
