"""What long commands show while they work: a bar on a terminal, a line a model elsewhere."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pytest

from cf.models.ease import EASE
from keyart.cold_start.evaluation import ColdStartOptions, expected_s
from keyart.workspace.contents import open_ratings
from keyart.workspace.layout import Workspace
from tests.keyart.conftest import Run

pytestmark = pytest.mark.heavy

KEYART = [sys.executable, "-c", "from keyart.cli import main; main()"]
EVALUATE = ("evaluate", "models", "baseline", "most-rated", "--json")


def on_a_terminal(*words: object) -> tuple[str, str]:
    """Run a command whose standard error is a terminal; return its output and what the terminal received."""
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (24, 100))
    received: list[bytes] = []

    def receive() -> None:
        # On Linux reading fails once nobody holds the other end.
        try:
            while chunk := os.read(terminal, 65536):
                received.append(chunk)
        except OSError:
            pass

    reader = threading.Thread(target=receive)
    reader.start()
    done = subprocess.run([*KEYART, *map(str, words)], stdout=subprocess.PIPE, stderr=end, check=True, text=True)
    os.close(end)
    reader.join()
    os.close(terminal)
    return done.stdout, b"".join(received).decode()


def test_evaluate_writes_a_line_for_each_model_where_there_is_no_terminal(tastes_home: Path, run: Run) -> None:
    outcome = run(*EVALUATE, "--home", tastes_home)
    first, *lines = outcome.err.splitlines()
    assert first == "20% of each user, seed 0: 2 models"
    assert [re.sub(r"\d+\.\d s", "T", line) for line in lines] == [
        "20% of each user, seed 0: baseline in T (1 of 2 models)",
        "20% of each user, seed 0: most-rated in T (2 of 2 models)",
    ]
    assert len(json.loads(outcome.out)["models"]) == 2


def test_evaluate_shows_a_bar_on_a_terminal(tastes_home: Path) -> None:
    out, screen = on_a_terminal(*EVALUATE, "--home", tastes_home)
    assert len(json.loads(out)["models"]) == 2
    assert "20% of each user, seed 0: 100%" in screen
    assert "2/2" in screen
    assert "most-rated" in screen


def test_fit_writes_progress_to_standard_error_and_results_to_standard_output(tastes_home: Path, run: Run) -> None:
    outcome = run("fit", "baseline", "most-rated", "--home", tastes_home)
    assert [line.split(" in ")[0] for line in outcome.err.splitlines()] == [
        "fit: 2 models",
        "fit: baseline",
        "fit: most-rated",
    ]
    assert [line.split(":")[0] for line in outcome.out.splitlines()] == ["baseline", "most-rated"]


def test_fit_shows_a_bar_on_a_terminal(tastes_home: Path) -> None:
    out, screen = on_a_terminal("fit", "baseline", "most-rated", "--home", tastes_home)
    assert [line.split(":")[0] for line in out.splitlines()] == ["baseline", "most-rated"]
    assert "fit: 100%" in screen
    assert "in 0." not in screen


def test_fit_announces_what_takes_long(tastes_home: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyart.cli.output._LONG_S", 0.0)
    outcome = run("fit", "ease", "baseline", "--home", tastes_home)
    about, *_ = outcome.err.splitlines()
    assert re.fullmatch(r"ease: about \d+ s", about)
    assert "baseline: about" not in outcome.err


def test_evaluation_announces_the_time_of_its_fits(
    tastes_home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyart.cli.output._LONG_S", 0.0)
    words = ("evaluate", "models", "als", "baseline", "--split", "folds", "--folds", "2", "--home", tastes_home)
    first, *_ = run(*words).err.splitlines()
    assert re.fullmatch(r"evaluate: about \d+ s to fit the models; ranking takes some more", first)


def test_evaluation_of_the_cold_start_announces_its_time(
    tastes_home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyart.cli.output._LONG_S", 0.0)
    words = ("evaluate", "cold-start", "random", "--candidates", "cold", "--home", tastes_home)
    first, *_ = run(*words, "--seeds", 2).err.splitlines()
    assert re.fullmatch(r"evaluate: about \d+ s", first)
    n_ratings = len(open_ratings(Workspace.open(tastes_home)))
    one, many = (ColdStartOptions(("random",), n_seeds) for n_seeds in (1, 6))
    assert expected_s(Workspace.open(tastes_home), one) == pytest.approx(2 * 13 * n_ratings / 100_000)
    assert expected_s(Workspace.open(tastes_home), many) == pytest.approx(6 * 2 * 13 * n_ratings / 100_000)


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (("explore", "map", "--min-ratings", 1), r"explore: about \d+ s to lay out \d+ films"),
        (("atlas",), r"atlas: about \d+ s"),
    ],
)
def test_layouts_announce_their_time(
    words: tuple[str | int, ...], first: str, tastes_home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyart.cli.output._LONG_S", 0.0)
    run("fit", "als", "--home", tastes_home)
    assert re.fullmatch(first, run(*map(str, words), "--home", tastes_home).err.splitlines()[0])
    if words == ("atlas",):
        assert "about" not in run("atlas", "--home", tastes_home).err


def test_steps_without_a_terminal_say_how_long_the_rest_takes(
    tastes_home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.io.progress._LONG_S", 0.0)
    lines = run("fit", "baseline", "most-rated", "--home", tastes_home).err.splitlines()
    assert re.fullmatch(r"fit: baseline in \d+\.\d s \(1 of 2 models, about \d+ s left\)", lines[1])


def test_the_expected_time_grows_with_the_work() -> None:
    small, large, few_users = (EASE().expected_fit_s(*size) for size in ((9000, 500), (9000, 20_000), (500, 20_000)))
    assert small is not None
    assert large is not None
    assert few_users is not None
    assert small < few_users < large


def test_evaluation_of_cold_start_writes_a_line_for_each_fit(tastes_home: Path, run: Run) -> None:
    words = ("evaluate", "cold-start", "content", "--seeds", "2", "--ratings-prior", "--json", "--home", tastes_home)
    outcome = run(*words)
    lines = [line.split(" in ")[0] for line in outcome.err.splitlines()]
    assert lines[:5] == [
        "evaluate: 4 fits",
        *(f"evaluate: {model}, draw {seed}" for seed in (0, 1) for model in ("content", "genres-years")),
    ]
    assert "evaluate the prior: none, draw 1" in lines
    assert json.loads(outcome.out)["cards"]


def test_many_new_films_are_counted(
    tastes_home: Path, run: Run, poster_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.io.progress._LINE_S", 0.0)
    monkeypatch.setattr("keyart.cold_start.predictor._BATCH_FILMS", 2)
    many = run("cold-start", poster_folder, "--json", "--home", tastes_home)
    lines = [line.partition(", about ")[0] for line in many.err.splitlines()]
    counted = [line for line in lines if line.endswith(" films")]
    n_films = len(list(poster_folder.iterdir()))
    assert counted[0] == f"cold start: 2 of {n_films} films"
    assert counted[-1] == f"cold start: {n_films} of {n_films} films"
    one = run("cold-start", next(poster_folder.iterdir()), "--json", "--home", tastes_home)
    assert " films" not in one.err


def test_clusters_and_maps_say_what_they_took(tastes_home: Path, run: Run) -> None:
    run("fit", "als", "--home", tastes_home)
    outcome = run("explore", "clusters", "--clusters", "2", "--min-ratings", "1", "--json", "--home", tastes_home)
    assert re.fullmatch(r"explore: clusters in \d+\.\d s\n", outcome.err)
    assert json.loads(outcome.out)["results"]
