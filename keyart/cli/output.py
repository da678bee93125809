"""What commands print: JSON, CSV and tables on standard output, notes on standard error."""

from __future__ import annotations

import csv
import json
import sys
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import click

from keyart.cli.hints import HINTS
from keyart.workspace.api_keys import redact


def print_json(record: dict[str, Any]) -> None:
    """Print one JSON object as one line."""
    click.echo(json.dumps(HINTS.complete_record(record), ensure_ascii=False))


def print_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows under a header; None is an empty cell."""
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def print_notes(notes: Iterable[str]) -> None:
    """Print notes to standard error, so that they do not mix with results."""
    for note in notes:
        click.echo(redact(f"note: {HINTS.complete(note)}"), err=True)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int] = ()) -> str:
    """Align rows in columns as wide as their widest cell: to the right, the columns `left` to the left."""
    widths = [max(_width(row[column]) for row in (header, *rows)) for column in range(len(header))]
    return "\n".join(_line(row, widths, left) for row in (header, *rows))


def _line(row: Sequence[str], widths: Sequence[int], left: Collection[int]) -> str:
    cells = []
    for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
        gap = " " * (width - _width(cell))
        cells.append(cell + gap if column in left else gap + cell)
    return "  ".join(cells).rstrip()


def _width(text: str) -> int:
    """Count terminal cells: Chinese, Japanese and Korean characters take two, combining accents none."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)
