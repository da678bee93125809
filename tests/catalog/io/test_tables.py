"""CSV files for people: read back as they were, and harmless in spreadsheets."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from catalog.io.tables import parse_rows, write_csv

FORMULAS = [
    '=HYPERLINK("http://evil.example")',
    "+cmd|' /C calc'!A0",
    "-2+3+cmd",
    "@SUM(1+1)",
    "-30-",
    "'=already",
    "''=twice",
]
HARMLESS = ["'night, Mother", "Heat", "", "'", "a=b", "-12.5", "+7", "-1e-05"]


@pytest.mark.parametrize("text", [*FORMULAS, *HARMLESS])
def test_texts_are_read_back_as_they_were(text: str) -> None:
    stream = io.StringIO()
    write_csv(stream, ["title", "year"], [{"title": text, "year": 1}])
    ((title, _),) = [(row["title"], row["year"]) for row in parse_rows(stream.getvalue(), Path("x.csv"))]
    assert title == text


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_begins_like_a_formula(text: str) -> None:
    stream = io.StringIO()
    write_csv(stream, ["title"], [{"title": text}])
    assert list(csv.reader(io.StringIO(stream.getvalue())))[1] == [f"'{text}"]


def test_tabs_and_returns_in_front_are_kept_from_hiding_a_formula() -> None:
    stream = io.StringIO()
    write_csv(stream, ["title"], [{"title": "\t=1"}, {"title": "\r=1"}])
    assert [cell for (cell,) in list(csv.reader(io.StringIO(stream.getvalue(), newline="")))[1:]] == ["'\t=1", "'\r=1"]


def test_numbers_and_blanks_are_as_they_were() -> None:
    stream = io.StringIO()
    write_csv(stream, ["a", "b", "c", "d"], [{"a": -0.25, "b": None, "c": True, "d": "-12", "e": "=1"}])
    assert stream.getvalue() == "a,b,c,d\n-0.25,,True,-12\n"
