"""``benchmarks/cold_start.py`` in small: that each table is printed, and that what it compares differs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.cold_start import main
from keyart.pipeline import load
from tests.keyart.conftest import N_FILMS


def rows_of_table(text: str) -> list[dict[str, str]]:
    """Read the table out of what was printed."""
    lines = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if "|" in line]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def measure(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run the benchmark on two draws of hidden films; return what it printed."""
    monkeypatch.setattr(sys, "argv", ["cold_start.py", "--home", str(home), "--seeds", "2", *words])
    capsys.readouterr()
    main()
    return capsys.readouterr().out


def test_kinds_of_poster_features_are_compared(
    tastes_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = measure(tastes_home, monkeypatch, capsys, "--views", "--on", "validation")
    assert "validation half" in out
    rows = {row["features"]: row for row in rows_of_table(out)}
    assert list(rows) == [
        "raw features",
        "whitened embedding",
        "colors alone",
        "summary without colors",
        "summary, the default",
    ]
    numbers = {name: int(row["numbers"]) for name, row in rows.items()}
    assert numbers["summary, the default"] == numbers["colors alone"] + numbers["summary without colors"]
    assert all(0 <= float(row["learned: AUC"]) <= 1 for row in rows.values())


def test_tags_are_compared_on_films_with_some_and_with_none(
    tastes_home: Path, tastes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tagged"
    folder.mkdir()
    # All are of one genre, and every other pair of films says by its tag whose taste it is.
    (folder / "movies.csv").write_text((tastes / "movies.csv").read_text().replace("Comedy", "Drama"))
    (folder / "ratings.csv").write_bytes((tastes / "ratings.csv").read_bytes())
    tagged = [film for film in range(1, N_FILMS + 1) if film % 4 < 2]
    lines = [f"1,{film},{'sad' if film % 2 == 0 else 'funny'},1" for film in tagged]
    (folder / "tags.csv").write_text("\n".join(["userId,movieId,tag,timestamp", *lines]) + "\n")
    load(tastes_home, folder)
    out = measure(tastes_home, monkeypatch, capsys, "--tags")
    assert f"{len(tagged)} of {N_FILMS} rated films have some" in out
    rows = {(row["hidden films"], row["model"]): row for row in rows_of_table(out)}
    assert {part for part, _ in rows} == {"all", "with tags", "without"}
    tell = rows["with tags", "`genres-years`"]
    before, after = (float(tell[column].split()[0]) for column in ("AUC", "AUC with tags"))
    assert after > before + 0.2
