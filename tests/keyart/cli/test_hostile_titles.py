"""Titles that a terminal or a spreadsheet would obey: cleaned when they are read, escaped when they are printed."""

from __future__ import annotations

import ast
import csv
import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.film import Film
from catalog.films import Catalog
from catalog.text import UNSAFE_SIGN, is_clean
from keyart.cold_start.new_film import NewFilm
from keyart.pipeline.additions import add
from keyart.pipeline.movielens import load
from tests.keyart.conftest import Run
from tests.posters.pictures import draw_poster
from tests.test_layers import ROOT

HOSTILE = "\x1b]0;owned\x07He\u202eat\x9b31m\u200b\nkeyart: nothing to see"


@pytest.fixture
def hostile(home: Path) -> Path:
    """A workspace whose film 2 was loaded by a version that took titles as they are; 3 begins like a formula."""
    with Catalog.open(home / "catalog.sqlite") as catalog:
        films = {film.movie_id: film for film in catalog}
        facts = {name: catalog.fact(name) or "" for name in ("numbering", "ratings", "source")}
    films[2] = Film(2, HOSTILE, 1991, "0000012", 102, ("Drama\x1b[2J",), n_ratings=40, mean_rating=3.0)
    films[3] = Film(3, "=1+1", 1992, "0000013", 103, ("Comedy",), n_ratings=40, mean_rating=3.0)
    Catalog.create(home / "catalog.sqlite", films.values(), facts)
    return home


@pytest.mark.parametrize(
    "words",
    [
        ("similar", "1"),
        ("similar", "2"),
        ("similar", "1", "--explain"),
        ("similar", "1", "--json"),
        ("explain", "1", "2"),
        ("recommend", "1", "--model", "item-cosine"),
        ("duplicates",),
        ("explore", "best"),
        ("remove", "2"),
        ("similar", f"no such {HOSTILE}"),
        ("similar", "1", "--genre", "\x9bwestern"),
        ("import", "--csv", "\x1b[2J.csv"),
    ],
)
def test_nothing_reaches_the_terminal_that_it_would_obey(hostile: Path, run: Run, words: tuple[str, ...]) -> None:
    outcome = run(*words, "--home", hostile)
    text = outcome.out + outcome.err
    assert text
    assert is_clean(text.replace("\n", "")), sorted(map(ascii, set(UNSAFE_SIGN.findall(text.replace("\n", "")))))
    assert "\nkeyart: nothing to see" not in text


def test_json_keeps_the_title(hostile: Path, run: Run) -> None:
    outcome = run("similar", "1", "--json", "--home", hostile)
    assert {hit["title"] for hit in json.loads(outcome.out)["results"]} >= {HOSTILE, "=1+1"}


def test_csv_is_harmless_in_spreadsheets_and_escaped_on_a_terminal(hostile: Path, run: Run) -> None:
    rows = list(csv.DictReader(run("similar", "1", "--csv", "--home", hostile).out.splitlines(keepends=True)))
    assert {row["title"] for row in rows} >= {HOSTILE, "'=1+1"}
    assert all(float(row["score"]) <= 1 for row in rows)
    primary, secondary = pty.openpty()
    command = [sys.executable, "-m", "keyart", "similar", "1", "--csv", "--home", str(hostile)]
    subprocess.run(command, stdout=secondary, stderr=subprocess.DEVNULL, check=True, cwd=ROOT)
    shown = os.read(primary, 1 << 16).decode()
    os.close(primary)
    os.close(secondary)
    assert is_clean(shown.replace("\r\n", ""))


def test_files_of_csv_are_harmless_in_spreadsheets(hostile: Path, run: Run, tmp_path: Path) -> None:
    assert run("explore", "ratings", "--out", tmp_path / "all.csv", "--home", hostile).code == 0
    with (tmp_path / "all.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["movie_id"] == "3"]
    assert {row["title"] for row in rows} == {"'=1+1"}
    (tmp_path / "own.csv").write_text("title,year,rating\n@SUM(1),1990,5\n'=1+1,1992,4\n", "utf-8")
    report = tmp_path / "report.csv"
    words = ("recommend", "--ratings", tmp_path / "own.csv", "--report", report, "--model", "item-cosine")
    run(*words, "--home", hostile)
    with report.open(newline="", encoding="utf-8") as stream:
        reported = list(csv.DictReader(stream))
    assert [(row["title"], row["status"]) for row in reported] == [("'@SUM(1)", "unknown"), ("'=1+1", "matched")]
    assert reported[1]["films"] == "'=1+1 (1992)"


def test_titles_are_cleaned_when_they_are_loaded(home: Path, movielens: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(movielens, tmp_path / "hostile"))
    text = (folder / "movies.csv").read_text(encoding="utf-8")
    (folder / "movies.csv").write_text(text.replace("2,Twin (1991),Drama", f'2,"{HOSTILE} (1991)",Dr\x9bama'), "utf-8")
    (folder / "tags.csv").write_text("userId,movieId,tag,timestamp\n1,2,\x1b[2Jred,1\n", "utf-8")
    assert "1 title with control or invisible characters, which were left out" in load(home, folder).notes
    with Catalog.open(home / "catalog.sqlite") as catalog:
        film = catalog.film(2)
        assert (film.title, film.year, film.genres) == ("]0;ownedHeat31m keyart: nothing to see", 1991, ("Drama",))
        assert [tag.tag for tag in catalog.tags()] == ["[2jred"]


def test_titles_are_cleaned_when_films_are_added(home: Path, tmp_path: Path) -> None:
    (tmp_path / "new.jpg").write_bytes(draw_poster(7))
    report = add(home, [NewFilm(tmp_path / "new.jpg", "He\u202eat\nAgain (2029)", alternative_titles=["\x9bHeat"])])
    assert (report.added[0].title, report.added[0].alternative_titles) == ("Heat Again", ("Heat",))
    assert "1 title with control or invisible characters, which were left out" in report.notes


def test_says_that_a_title_was_cleaned(home: Path, run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "new.jpg").write_bytes(draw_poster(7))
    outcome = run("add", tmp_path / "new.jpg", "--title", "He\u202eat\x07", "--home", home)
    assert outcome.out.startswith("added: Heat  [")
    assert r"the title 'He\u202eat\x07' has control or invisible characters, which are left out" in caplog.text


def _calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            yield ast.unparse(node.func), node.lineno


def test_commands_print_by_one_function() -> None:
    direct = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in (ROOT / "keyart" / "cli").rglob("*.py")
        for name, line in _calls(ast.parse(path.read_text(encoding="utf-8")))
        if name in ("click.echo", "click.secho", "print", "sys.stdout.write", "sys.stderr.write")
        and path.name != "output.py"
    ]
    assert direct == []
