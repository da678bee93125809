"""Errors of ``keyart evaluate cold-start``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.keyart.conftest import Run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nobody"], "no model of the cold start is called 'nobody'"),
        (["--json", "--csv"], "--json and --csv both write to standard output"),
        (["--csv", "--few-shot"], "--csv holds the ranking alone"),
        (["--plot", "curve.svg"], "--plot draws the curve of --few-shot"),
        (["--few-shot", "--plot", "curve.txt"], "curve.txt: expected a name ending in .png, .svg, .pdf"),
        ([], "no workspace at"),
    ],
)
def test_invalid_options_fail_with_one_line(tmp_path: Path, run: Run, words: list[str], message: str) -> None:
    outcome = run("evaluate", "cold-start", *words, "--home", tmp_path / "nowhere")
    assert outcome.code == 1
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_catalog_without_posters_is_an_error(movielens: Path, tmp_path: Path, run: Run) -> None:
    run("load", movielens, "--home", tmp_path / "home")
    outcome = run("evaluate", "cold-start", "--home", tmp_path / "home")
    assert outcome.code == 1
    assert "no film with ratings has features of one; run `keyart fetch" in outcome.err


def test_catalog_without_ratings_is_an_error(movielens: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "films").mkdir()
    for name in ("movies.csv", "links.csv"):
        (tmp_path / "films" / name).write_bytes((movielens / name).read_bytes())
    run("load", tmp_path / "films", "--home", tmp_path / "home")
    outcome = run("evaluate", "cold-start", "--home", tmp_path / "home")
    assert outcome.code == 1
    assert "there are none; load them with `keyart load DIR" in outcome.err
