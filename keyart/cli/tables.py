"""Tables for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int] = ()) -> str:
    """Set rows in columns as wide as their widest cell.

    Parameters
    ----------
    header : sequence of str
        The columns' names.
    rows : sequence of sequence of str
        As many cells each as the header.
    left : collection of int
        The columns set flush left; numbers stand flush right.

    Returns
    -------
    str
        Lines without a final line break.
    """
    widths = [max(_width(row[column]) for row in (header, *rows)) for column in range(len(header))]
    return "\n".join(_line(row, widths, left) for row in (header, *rows))


def _line(row: Sequence[str], widths: Sequence[int], left: Collection[int]) -> str:
    cells = []
    for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
        gap = " " * (width - _width(cell))
        cells.append(cell + gap if column in left else gap + cell)
    return "  ".join(cells).rstrip()


def _width(text: str) -> int:
    """Count terminal cells: Chinese, Japanese and Korean letters take two, combining accents none."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)
