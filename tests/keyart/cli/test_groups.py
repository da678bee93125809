"""The groups of commands: their table, suggestions and old spellings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete

from keyart.cli import keyart
from keyart.cli.groups import LazyGroup
from tests.keyart.conftest import Run

_GROUPS = [keyart, *(keyart.get_command(click.Context(keyart), name) for name in ("evaluate", "explore"))]


def _names(group: click.Command | None) -> list[str]:
    assert isinstance(group, click.Group)
    return group.list_commands(click.Context(group))


def test_greets_without_a_command(run: Run) -> None:
    outcome = run()
    assert outcome.code == 0
    for command in ("keyart demo", "keyart load ml-latest-small/", "keyart info", "keyart --help"):
        assert command in outcome.out


@pytest.mark.parametrize("group", _GROUPS, ids=lambda group: group.name)
def test_the_table_says_what_each_command_does(group: click.Group) -> None:
    context = click.Context(group)
    for name in _names(group):
        command = group.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.help


@pytest.mark.parametrize("group", ["evaluate", "explore"])
def test_a_group_without_a_command_prints_its_help(group: str, run: Run) -> None:
    outcome = run(group)
    assert (outcome.code, outcome.err) == (0, "")
    assert f"Usage: keyart {group} [OPTIONS] COMMAND" in outcome.out


def test_the_list_of_commands_imports_none_of_them() -> None:
    code = (
        "import sys\nfrom keyart.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in sys.modules if name.startswith('keyart.cli.commands.')], file=sys.stderr)\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stderr.strip() == "[]"
    assert isinstance(keyart, LazyGroup)
    assert all(f"  {name}  " in shown.stdout for name in _names(keyart))


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["simlar", "heat"], "similar"),
        (["exract"], "extract or export"),
        (["explore", "genre"], "genres"),
        (["explore", "cluster"], "clusters"),
    ],
)
def test_a_mistyped_command_suggests_others(run: Run, words: list[str], names: str) -> None:
    outcome = run(*words)
    assert outcome.code == 2
    assert f"Did you mean {names}?" in outcome.err


def test_a_command_unlike_any_suggests_none(run: Run) -> None:
    outcome = run("zzzz")
    assert outcome.code == 2
    assert "No such command 'zzzz'. See `keyart --help`." in outcome.err


@pytest.mark.parametrize(
    ("old", "note"),
    [
        (["coldstart", "x.jpg"], "keyart coldstart is now keyart cold-start"),
        (["evaluate", "nobody"], "keyart evaluate is now keyart evaluate models"),
        (["evaluate", "nobody", "--cold"], "keyart evaluate --cold is now keyart evaluate cold-start"),
        (["similar", "1", "--fold"], "--fold is now --merge-duplicates"),
        (["neighbors", "--fold"], "--fold is now --merge-duplicates"),
        (["extract", "--replace"], "--replace is now --rebuild"),
        (["extract", "--backbone", "nowhere.keras"], "--backbone is now --encoder"),
        (["atlas", "--anew"], "--anew is now --rebuild"),
        (["add", "x.jpg", "--genres=Drama"], "--genres is now --genre"),
        (["cold-start", "x.jpg", "--genres", "Drama|War"], "--genres is now --genre"),
    ],
    ids=" ".join,
)
def test_old_spellings_work_and_are_noted(tmp_path: Path, run: Run, old: list[str], note: str) -> None:
    outcome = run(*old, "--home", tmp_path / "nowhere")
    assert f"note: {note}; the old spelling works until version 0.3\n" in outcome.err
    assert outcome.code == 1, "the command itself runs, and finds no workspace, model or file"


@pytest.mark.parametrize("words", [["--home", "HOME", "info"], ["info", "--home", "HOME"]], ids=["before", "behind"])
def test_home_stands_before_or_behind_the_command(home: Path, run: Run, words: list[str]) -> None:
    outcome = run(*(str(home) if word == "HOME" else word for word in words))
    assert outcome.code == 0
    assert str(home) in outcome.out


def test_home_behind_the_command_takes_precedence(home: Path, tmp_path: Path, run: Run) -> None:
    assert run("--home", tmp_path / "nowhere", "explore", "best", "--home", home).code == 0
    assert run("--home", home, "explore", "best", "--home", tmp_path / "nowhere").code == 1


def _complete(words: list[str], incomplete: str) -> list[str]:
    completion = BashComplete(keyart, {}, "keyart", "_KEYART_COMPLETE")
    return [item.value for item in completion.get_completions(words, incomplete)]


def test_completes_names_of_models() -> None:
    assert _complete(["fit", "als"], "eas") == ["ease", "ease-plain"]
    assert _complete(["recommend", "3", "--model"], "bas") == ["baseline"]
    assert "genres-years" in _complete(["evaluate", "cold-start"], "gen")


def test_completes_titles_of_the_workspace_that_is_named(home: Path, tmp_path: Path, run: Run) -> None:
    title = json.loads(run("similar", "1", "--json", "--home", home).out)["query"]["title"]
    assert title in _complete(["similar", "--home", str(home)], title[:3].upper())[0]
    assert title in _complete(["--home", str(home), "explain"], title)[0]
    assert _complete(["similar", "--home", str(tmp_path / "nowhere")], title) == []


def test_bash_receives_titles_in_quotes(home: Path, run: Run) -> None:
    title = json.loads(run("similar", "1", "--json", "--home", home).out)["query"]["title"]
    words = f"keyart --home {home} similar {title[:3]}"
    variables = {"_KEYART_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "4"}
    code = "from keyart.cli import main; main()"
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **variables})
    assert shown.stdout.startswith(f"plain,'{title}")


def test_completes_commands_from_the_table() -> None:
    assert _complete([], "ex") == ["extract", "explain", "explore", "export"]
    assert _complete(["evaluate"], "c") == ["cold-start"]
    assert "--years" in _complete(["similar"], "--y")


def test_runs_as_a_module(home: Path) -> None:
    command = [sys.executable, "-m", "keyart", "info", "--home", str(home)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert str(home) in shown.stdout


@pytest.mark.parametrize("words", [["explore"], ["explore", "--help"]])
def test_a_group_alone_lists_its_commands(run: Run, words: list[str]) -> None:
    outcome = run(*words)
    assert (outcome.code, outcome.err) == (0, "")
    assert "most-rated" in outcome.out


def test_options_may_stand_before_a_topic(home: Path, run: Run) -> None:
    words = ["-k", "2", "--home", str(home)]
    assert run("explore", *words, "most-rated").out == run("explore", "most-rated", *words).out != ""


def test_a_mistyped_kind_of_evaluation_is_not_a_model(run: Run) -> None:
    outcome = run("evaluate", "model")
    assert outcome.code == 2
    assert outcome.err == "keyart: No such command 'model'. Did you mean models? See `keyart evaluate --help`.\n"


def test_an_invalid_value_ends_with_a_full_stop(run: Run) -> None:
    assert "received 'abc'. See `keyart similar --help`." in run("similar", "heat", "--years", "abc").err
