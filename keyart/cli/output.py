"""What commands print: JSON, CSV and tables on standard output, notes on standard error.

Text has the encoding of the locale, or that of PYTHONIOENCODING; a sign that it lacks becomes
an ASCII one, as – becomes -, and any other character a question mark.
ASCII, which means that no locale is set, is taken for UTF-8. JSON escapes characters that the encoding lacks, and CSV
in a file or pipe is always UTF-8, so that both stay complete.
"""

from __future__ import annotations

import codecs
import io
import json
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import click

from catalog.io.tables import write_csv
from catalog.text import UNSAFE_SIGN, plural, visible
from keyart.cli.hints import HINTS
from keyart.workspace.api_keys import redact

_GAP = "  "
# Signs in messages and tables, for terminals that lack them.
_SIGNS = {"–": "-", "−": "-", "×": "x", "·": "*", "…": "...", "≥": ">=", "≤": "<=", "→": "->", "’": "'"}
_MIN_TEXT = 20
_N_LISTED = 20
# What takes less is done before a forecast is read.
_LONG_S = 3.0
_REMARKS = re.compile(r"(\s+\([^()]{1,6}\))+$")


def set_output_encoding() -> None:
    """Replace characters that the encoding of standard output and standard error lacks."""
    for stream, others in ((sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            codecs.register_error(f"keyart.{others}", partial(_plain, codecs.lookup_error(others)))
            is_ascii = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding="utf-8" if is_ascii else None, errors=f"keyart.{others}")


def _plain(others: Callable[[UnicodeError], tuple[str | bytes, int]], error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace one sign by ASCII; `others` replaces any other character."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    sign = _SIGNS.get(error.object[error.start])
    if sign is not None:
        return sign, error.start + 1
    return others(UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason))


def echo(text: str, *, err: bool = False) -> None:
    """Print lines, on standard error if `err`, without control characters that data or names of files bring."""
    click.echo(visible(text, lines=True), err=err)


def print_json(record: dict[str, Any]) -> None:
    """Print one JSON object as one line."""
    text = json.dumps(HINTS.complete_record(record), ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        text = json.dumps(HINTS.complete_record(record))
    # In JSON these characters are in texts only, which may have them escaped.
    click.echo(UNSAFE_SIGN.sub(lambda found: _in_json(found[0]), text))


def _in_json(letter: str) -> str:
    return json.dumps(letter)[1:-1] if ord(letter) > 0xFFFF else f"\\u{ord(letter):04x}"


def print_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows under a header; None is an empty cell. On a terminal, control characters are escaped."""
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8")
    write_csv(sys.stdout, columns, rows, visible if sys.stdout.isatty() else str)


def print_notes(notes: Iterable[str]) -> None:
    """Print notes to standard error, so that they do not mix with results."""
    for note in notes:
        echo(redact(f"note: {visible(HINTS.complete(note))}"), err=True)


def print_listed(one: str, many: str, lines: Sequence[str]) -> None:
    """Print what is wrong with how many things, and the first of them, on standard error; nothing if there are none."""
    if lines:
        echo(f"{plural(len(lines), one, many)}:", err=True)
    for line in lines[:_N_LISTED]:
        echo(f"  {line}", err=True)
    if len(lines) > _N_LISTED:
        echo(f"  … and {len(lines) - _N_LISTED:,} more", err=True)


def announce(work: str, expected_s: float, remark: str = "") -> None:
    """Print to standard error how long work will take, if that is long."""
    if expected_s > _LONG_S:
        echo(f"{work}: about {expected_s:,.0f} s{remark}", err=True)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int] = ()) -> str:
    """Align rows in columns as wide as their widest cell: to the right, the texts in the columns `left` to the left.

    On a terminal the table fits its width: texts are shortened, and if that is not enough, columns continue below.
    """
    lines = [[visible(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    most = _terminal_width()
    if most is None or _total(widths) <= most:
        blocks = [_Block(range(len(header)), widths)]
    else:
        blocks = _fitted(widths, [_width(name) for name in header], sorted(left), most)
    return "\n\n".join("\n".join(block.line(line, left) for line in lines) for block in blocks)


def definitions(header: tuple[str, str], rows: Sequence[tuple[str, str]]) -> str:
    """Align names with their descriptions, which are wrapped on a terminal."""
    most = _terminal_width()
    if most is None:
        return table(header, rows, left=(0, 1))
    formatter = click.HelpFormatter(width=most)
    formatter.write_dl([header, *rows])
    return formatter.getvalue().rstrip("\n")


@dataclass(frozen=True)
class _Block:
    """Columns that stand side by side, and their widths."""

    columns: Sequence[int]
    widths: Sequence[int]

    def line(self, row: Sequence[str], left: Collection[int]) -> str:
        cells = []
        for column, width in zip(self.columns, self.widths, strict=True):
            cell = _shortened(row[column], width)
            gap = " " * (width - _width(cell))
            cells.append(cell + gap if column in left else gap + cell)
        return _GAP.join(cells).rstrip()


def _fitted(widths: Sequence[int], least: Sequence[int], left: Sequence[int], most: int) -> list[_Block]:
    """Shorten the widest texts; where that does not suffice, repeat the first columns above each other."""
    shrunk, excess = list(widths), _total(widths) - most
    # Always the widest, so that none is cut to a few letters beside another that is whole.
    while excess > 0 and (wide := [one for one in left if shrunk[one] > max(_MIN_TEXT, least[one])]):
        shrunk[max(wide, key=lambda one: shrunk[one])] -= 1
        excess -= 1
    if excess <= 0:
        return [_Block(range(len(widths)), shrunk)]
    # Up to the first text, which names the row.
    keys = list(range((left[0] if left else 0) + 1))
    key_widths = [min(widths[column], most // 2) for column in keys]
    blocks = [_Block(keys, key_widths)]
    for column in range(len(keys), len(widths)):
        width = min(widths[column], max(1, most - _total(key_widths) - len(_GAP)))
        last = blocks[-1]
        if len(last.columns) > len(keys) and _total([*last.widths, width]) > most:
            last = _Block(keys, key_widths)
            blocks.append(last)
        blocks[-1] = _Block([*last.columns, column], [*last.widths, width])
    return blocks


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _terminal_width() -> int | None:
    """Return the width of the terminal that standard output is; None if it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _shortened(text: str, width: int) -> str:
    """Cut a text to a number of terminal cells; a year in parentheses at its end stays if there is room."""
    if _width(text) <= width:
        return text
    end = _REMARKS.search(text)
    tail = end[0] if end and _width(end[0]) <= width // 2 else ""
    head = text.removesuffix(tail)
    while head and _width(head) + 1 + _width(tail) > width:
        head = head[:-1]
    return f"{head.rstrip()}{_ellipsis()}{tail}"


def _ellipsis() -> str:
    try:
        "…".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "~"
    return "…"


def _width(text: str) -> int:
    """Count terminal cells: Chinese, Japanese and Korean characters take two, combining accents none."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)
