"""A file that a command replaces is noted on standard error."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.keyart.conftest import Run


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("similar", 1, "--json", "--sheet"), "sheet.png"),
        (("explain", 1, 3, "--sheet"), "why.png"),
        (("neighbors", "-k", 2, "--out"), "near.parquet"),
        (("explore", "ratings", "--out"), "ratings.csv"),
    ],
)
def test_a_replaced_file_is_noted(words: tuple[str, ...], name: str, home: Path, tmp_path: Path, run: Run) -> None:
    path = tmp_path / name
    assert "note: replaced" not in run(*words, path, "--home", home).err
    outcome = run(*words, path, "--home", home)
    assert outcome.code == 0
    assert f"note: replaced {path}\n" in outcome.err


def test_a_file_that_stays_is_not_noted(home: Path, poster_folder: Path, tmp_path: Path, run: Run) -> None:
    assert "note: replaced" not in run("similar", "--image", poster_folder / "2.jpg", "--home", home).err
    sheet = tmp_path / "sheet.png"
    sheet.write_bytes(b"mine")
    outcome = run("similar", "nothing like this", "--sheet", sheet, "--home", home)
    assert (outcome.code, sheet.read_bytes()) == (1, b"mine")
    assert "note: replaced" not in outcome.err
