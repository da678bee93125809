"""The commands that messages propose: complete, quoted, and such that they work in the workspace at hand."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import keyart
from catalog.errors import DataError, NotBuiltError
from features.options import ExtractOptions
from keyart.cli.hints import Hints
from keyart.pipeline.features import extract
from keyart.pipeline.index import build
from keyart.pipeline.movielens import load
from keyart.pipeline.posters import import_posters
from tests.keyart.conftest import Run


def test_proposed_commands_name_the_workspace(home: Path, tmp_path: Path, run: Run) -> None:
    spaced = tmp_path / "my films"
    shutil.move(home, spaced)
    option = f"--home {shlex.quote(str(spaced))}`"
    assert f"`keyart fit ease {option}" in run("recommend", 1, "--home", spaced).err
    assert f"`keyart serve {option}" in run("info", "--home", spaced).out
    assert f"`keyart serve {option}" in json.loads(run("info", "--json", "--home", spaced).out)["next"]
    (spaced / "hybrid.json").write_text('{"kind": "keyart-hybrid", "version": 1}')
    assert f"`keyart tune {option}" in run("similar", 1, "--home", spaced).err
    assert f"`keyart tune {option}" in run("info", "--home", spaced).out
    assert f"`keyart load DIR --home {tmp_path / 'none'}`" in run("info", "--home", tmp_path / "none").err


def test_notes_name_the_workspace(home: Path, run: Run) -> None:
    run("build", "--home", home)
    for path in home.glob("ratings-*.parquet"):
        path.rename(home / "ratings-other.parquet")
    with sqlite3.connect(home / "catalog.sqlite") as connection:
        connection.execute("UPDATE facts SET value = 'ratings-other.parquet' WHERE name = 'ratings'")
    assert f"run `keyart build --home {home}`" in run("similar", 1, "--home", home).err


def test_errors_and_notes_of_the_python_api_name_the_workspace(home: Path, tmp_path: Path) -> None:
    with keyart.open(home) as engine, pytest.raises(NotBuiltError) as raised:
        engine.recommend(1, model="ease")
    assert f"`keyart fit ease --home {home}`" in str(raised.value)
    with pytest.raises(NotBuiltError) as raised:
        keyart.open(tmp_path / "none")
    assert f"`keyart load DIR --home {tmp_path / 'none'}`" in str(raised.value)
    (home / "hybrid.json").write_text('{"kind": "keyart-hybrid", "version": 1}')
    with pytest.raises(DataError) as damaged:
        keyart.open(home)
    assert f"`keyart tune --reset --home {home}`" in str(damaged.value)
    (home / "hybrid.json").unlink()
    shutil.rmtree(home / "index")
    with keyart.open(home) as engine, pytest.raises(NotBuiltError) as raised:
        engine.explain(1, 2)
    assert f"`keyart build --home {home}`" in str(raised.value)
    shutil.rmtree(home / "features")
    assert any(f"`keyart extract --home {home}`" in note for note in build(home).notes)


def test_the_python_api_does_not_name_the_default_workspace(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYART_HOME", str(home))
    with keyart.open(home) as engine, pytest.raises(NotBuiltError, match="`keyart fit ease`"):
        engine.recommend(1, model="ease")


def test_default_workspace_is_not_named(home: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYART_HOME", str(home))
    assert "`keyart fit ease`" in run("recommend", 1).err
    assert "`keyart fit ease`" in run("recommend", 1, "--home", home).err
    monkeypatch.delenv("KEYART_HOME")
    monkeypatch.chdir(home.parent)
    home.rename("keyart-data")
    assert "`keyart fit ease`" in run("recommend", 1, "--home", "keyart-data").err


def test_a_command_does_not_inherit_the_workspace_of_another(home: Path, run: Run) -> None:
    run("info", "--home", home)
    assert "--home" not in run("demo", "--seed", "x").err


@pytest.mark.parametrize("text", ["`keyart demo`", "`keyart fit --help`", "`keyart info --home X`", "keyart: wrong"])
def test_other_text_stays(text: str) -> None:
    hints = Hints()
    hints.name_workspace(Path("elsewhere"))
    assert hints.complete(text) == text
    assert hints.complete("run `keyart build`") == "run `keyart build --home elsewhere`"


def interrupt_after(n_calls: int, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send Ctrl-C at the n-th step of a command's progress."""
    steps = iter(range(1, n_calls + 1))

    @contextmanager
    def interrupting(_description: str, _total: int, _unit: str) -> Iterator[Callable[[int], None]]:
        def advance(_n_units: int) -> None:
            if next(steps) == n_calls:
                signal.raise_signal(signal.SIGINT)

        yield advance

    monkeypatch.setattr(f"keyart.cli.commands.{module}.bar", interrupting)


def test_an_interrupted_import_resumes(
    movielens: Path, poster_folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "new"
    run("load", movielens, "--home", home)
    with monkeypatch.context() as patched:
        interrupt_after(2, "import_posters", patched)
        outcome = run("import", poster_folder, "--by", "movie", "--home", home)
    assert outcome.code == 130
    assert "interrupted; finished work is kept, run the same command again to resume" in outcome.err
    assert "3 posters imported, 2 already here" in run("import", poster_folder, "--by", "movie", "--home", home).out


def test_an_interruption_before_anything_is_finished_promises_nothing(
    home: Path, poster_folder: Path, backbone_path: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)

    steps = ("features.extraction.load_encoder", "index.neighbors._write_part", "keyart.pipeline.additions._verified")
    for name in steps:
        monkeypatch.setattr(name, interrupt)
    for words in (
        ("extract", "--images", poster_folder, "--out", tmp_path / "features", "--encoder", backbone_path),
        ("neighbors", "--out", tmp_path / "n.parquet", "--home", home),
        ("add", poster_folder / "1.jpg", "--title", "Another (2020)", "--home", home),
    ):
        outcome = run(*words)
        assert (outcome.code, outcome.err.strip()) == (130, "keyart: interrupted"), words


def test_an_interruption_while_the_program_is_imported_is_quiet() -> None:
    code = """
import signal, sys

class Finder:
    def find_spec(self, name, path, target=None):
        if name == "keyart.cli":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Finder())
from keyart.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "keyart: interrupted\n")


def test_an_interrupted_build_promises_nothing(home: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_after(1, "build", monkeypatch)
    outcome = run("build", "--rebuild", "--home", home)
    assert (outcome.code, outcome.err.strip()) == (130, "keyart: interrupted")


def test_an_interrupted_fit_names_the_fitted_models(home: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cf.models.sgd.SGD.fit", lambda *_: signal.raise_signal(signal.SIGINT))
    outcome = run("fit", "baseline", "sgd", "--home", home)
    assert "interrupted; fitted and kept: baseline" in outcome.err
    assert run("recommend", 1, "--model", "baseline", "--home", home).code == 0


def test_proposed_steps_are_those_that_are_missing(
    movielens: Path, poster_folder: Path, backbone_path: Path, tmp_path: Path, run: Run
) -> None:
    home = tmp_path / "new"
    load(home, movielens)

    def hint(*words: str | int) -> str:
        return run(*map(str, words), "--out", tmp_path / "n.parquet", "--home", home).err

    at = f" --home {home}`"
    fetch = f"`keyart fetch{at} or `keyart import FOLDER --by imdb{at}"
    assert f"run {fetch}, then `keyart extract{at}, then `keyart build{at}\n" in hint("neighbors")
    assert f"run {fetch}\n" in run("extract", "--home", home).err
    assert f"for their looks, run {fetch}, then `keyart extract{at}\n" in run("build", "--home", home).err
    assert f"run {fetch}, then `keyart extract{at}\n" in run("atlas", "--home", home).err
    import_posters(home, poster_folder, "movie")
    assert f"run `keyart extract{at}, then `keyart build{at}\n" in run("tune", "--home", home).err
    extract(home, ExtractOptions(str(backbone_path)))
    for outcome in (run("tune", "--home", home), run("explain", 1, 2, "--home", home)):
        assert f"here yet; run `keyart build{at}\n" in outcome.err
    with keyart.open(home) as engine, pytest.raises(NotBuiltError, match=r"here yet; run `keyart build --home \S*`$"):
        engine.similar(poster_folder / "1.jpg")
    build(home)
    # Film 4 has no poster.
    steps = f"run {fetch}, then `keyart extract{at}, then `keyart build{at}\n"
    assert steps in run("explain", 1, 4, "--home", home).err


def test_films_without_ids_are_not_to_be_fetched(movielens: Path, tmp_path: Path, run: Run) -> None:
    folder, home = Path(shutil.copytree(movielens, tmp_path / "movielens")), tmp_path / "new"
    (folder / "links.csv").write_text("movieId,imdbId,tmdbId\n")
    assert f"`keyart import FOLDER --by movie --home {home}`" in run("load", folder, "--home", home).err
    for outcome in (run("extract", "--home", home), run("info", "--home", home), run("neighbors", "--home", home)):
        assert "`keyart import FOLDER --by movie --home" in outcome.out + outcome.err
        assert "keyart fetch" not in outcome.out + outcome.err
