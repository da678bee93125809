"""Tables on terminals of any width, and characters that an encoding lacks."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from keyart.cli import main
from keyart.cli.output import _width
from keyart.recommend.models import fit_model
from keyart.workspace.contents import open_ratings
from keyart.workspace.layout import Workspace
from tests.keyart.conftest import Run
from tests.posters.pictures import draw_poster

pytestmark = pytest.mark.heavy

_LONG = "The Assassination of the Harbour Master by the Coward Whose Name Fills a Whole Poster"
_WIDE = "千と千尋の神隠しと港町の長い長い夏休みの物語、そしてその後の静かな冬"
_TERMINAL = Callable[..., list[str]]


@pytest.fixture
def titled(home: Path, movielens: Path, run: Run, tmp_path: Path) -> Path:
    """The workspace with a long, a wide and an accented title, and fitted models."""
    folder = Path(shutil.copytree(movielens, tmp_path / "movielens"))
    text = (folder / "movies.csv").read_text(encoding="utf-8")
    text = text.replace("Twin (1991)", f"{_LONG} (1991)").replace("Twin (1992)", f"{_WIDE} (1992)")
    (folder / "movies.csv").write_text(text, encoding="utf-8")
    assert run("load", folder, "--home", home).code == 0
    assert run("build", "--home", home).code == 0
    workspace = Workspace.open(home)
    for name in ("als", "ease"):
        fit_model(workspace, name, open_ratings(workspace))
    return home


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> _TERMINAL:
    """Run commands in this process with standard output on a pseudo-terminal; returns the lines."""

    def typed(width: int, *words: str | Path) -> list[str]:
        terminal, end = pty.openpty()
        received: list[bytes] = []
        reader = threading.Thread(target=_read_all, args=(terminal, received))
        reader.start()
        with io.TextIOWrapper(os.fdopen(end, "wb"), encoding="utf-8") as stdout, monkeypatch.context() as patched:
            patched.setenv("COLUMNS", str(width))
            patched.setattr(sys, "stdout", stdout)
            with pytest.raises(SystemExit) as left:
                main([str(word) for word in words])
        reader.join()
        os.close(terminal)
        assert not left.value.code
        return b"".join(received).decode().splitlines()

    return typed


def _read_all(terminal: int, received: list[bytes]) -> None:
    try:
        while part := os.read(terminal, 65536):
            received.append(part)
    except OSError:
        # How Linux ends a terminal whose other end is closed.
        return


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize(
    "words",
    [
        ["similar", "1"],
        ["similar", "2", "--merge-duplicates"],
        ["recommend", "1", "--model", "als"],
        ["evaluate", "models", "baseline", "damped-mean"],
        ["explore", "best", "--min-ratings", "1"],
        ["explore", "clusters", "--clusters", "2"],
        ["explore", "map"],
        ["fit"],
        ["cold-start", "poster.jpg"],
    ],
    ids=" ".join,
)
def test_a_table_fits_the_terminal(
    titled: Path, on_terminal: _TERMINAL, monkeypatch: pytest.MonkeyPatch, width: int, words: list[str]
) -> None:
    monkeypatch.chdir(titled.parent)
    Path("poster.jpg").write_bytes(draw_poster())
    where = [] if words == ["fit"] else ["--home", titled]
    lines = on_terminal(width, *words, *where)
    # Sentences above and below a table are wrapped by the terminal itself.
    rows = [line for line in lines if re.search(r"\S {2,}[^ \[]", line)]
    assert len(rows) > 1
    assert max(map(_width, rows)) <= width


def test_a_shortened_title_keeps_its_year(titled: Path, on_terminal: _TERMINAL) -> None:
    lines = on_terminal(100, "similar", "1", "--home", titled)
    assert any(re.search(r"The Assassin\w*… \(1991\)  ", line) for line in lines)
    assert any(re.search(r"千と千\w*… \(1992\)  ", line) for line in lines)


def test_on_80_columns_titles_can_be_told_apart(titled: Path, on_terminal: _TERMINAL) -> None:
    text = "\n".join(on_terminal(80, "similar", "1", "--home", titled))
    assert re.search(r"The Assassination of .*… \(1991\)  ", text)


def test_columns_that_do_not_fit_continue_below(titled: Path, on_terminal: _TERMINAL) -> None:
    text = "\n".join(on_terminal(60, "evaluate", "models", "baseline", "damped-mean", "--home", titled))
    assert text.count("damped-mean  ") > 1
    assert {"RMSE", "MAE", "Recall@10", "NDCG@10", "novelty", "memory"} <= set(text.split())


def test_a_pipe_gets_titles_whole(titled: Path, run: Run) -> None:
    shown = run("similar", "1", "--home", titled).out
    assert f"{_LONG} (1991)" in shown
    assert f"{_WIDE} (1992)" in shown


def _keyart(encoding: str, *words: str | Path) -> bytes:
    code = "from keyart.cli import main; main()"
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-c", code, *map(str, words)]
    run = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert b"Unicode" not in run.stderr
    return run.stdout


def test_a_character_that_the_encoding_lacks_is_a_question_mark(titled: Path) -> None:
    shown = _keyart("latin-1", "similar", "6", "--home", titled).decode("latin-1")
    assert shown.startswith("Café Zürich (1995)")
    assert f"{'?' * len(_WIDE)} (1992)" in shown


def test_signs_that_the_encoding_lacks_become_ascii(titled: Path) -> None:
    code = """
import sys
from keyart.cli.output import set_output_encoding

set_output_encoding()
for stream in (sys.stdout, sys.stderr):
    stream.write("1–2 × 3 − 4 ≥ 5 · … 千")
"""
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    assert run.stdout.decode("latin-1") == "1-2 × 3 - 4 >= 5 · ... ?"
    assert run.stderr.decode("latin-1") == "1-2 × 3 - 4 >= 5 · ... \\u5343"
    assert "  -  " in _keyart("latin-1", "similar", "6", "--home", titled).decode("latin-1")


def test_json_stays_complete_in_any_encoding(titled: Path) -> None:
    record = json.loads(_keyart("latin-1", "similar", "1", "--json", "--home", titled).decode("latin-1"))
    assert {_LONG, _WIDE} <= {hit["title"] for hit in record["results"]}


def test_csv_in_a_pipe_is_utf_8(titled: Path) -> None:
    text = _keyart("latin-1", "similar", "1", "--csv", "--home", titled).decode()
    assert {_LONG, _WIDE} <= {row["title"] for row in csv.DictReader(io.StringIO(text))}


def test_ascii_is_taken_for_utf_8(titled: Path) -> None:
    assert f"{_WIDE} (1992)" in _keyart("ascii", "similar", "1", "--home", titled).decode()
    assert "Café" in _keyart("ascii", "similar", "1", "--csv", "--home", titled).decode()
