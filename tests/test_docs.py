"""Documentation that cannot rot: what it names exists, and what exists is named."""

import ast
import re
import shlex
from pathlib import Path

import click
import pytest

from keyart.cli import keyart
from keyart.workspace import settings
from posters.tmdb import NOTICE
from tests.test_layers import ROOT, modules

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(text: str) -> list[str]:
    """Find the commands in a page: whole lines of code, and `keyart …` in running text."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    lines = [line.split("  #")[0].strip() for line in blocks.splitlines()]
    return [line for line in lines if line.startswith("keyart ")]


@pytest.mark.parametrize(("page", "line"), [(page.name, line) for page in PAGES for line in commands(page.read_text())])
def test_every_command_can_be_typed(page: str, line: str) -> None:
    words = shlex.split(line)[1:]
    command = keyart.get_command(click.Context(keyart), words[0])
    assert command is not None
    # Parses options and arguments without running anything.
    command.make_context(words[0], words[1:])


def test_every_command_is_in_the_readme() -> None:
    for name in keyart.list_commands(click.Context(keyart)):
        assert f"keyart {name}" in README or f"make {name}" in README


def test_every_setting_is_in_the_readme() -> None:
    plain = README.replace("`", "")
    for setting in settings.ALL:
        assert f"| {setting.variable} | {setting.meaning} | {setting.default or ''}".rstrip() in plain


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_readme_shows_what_tmdb_asks_for() -> None:
    assert NOTICE in README
    fetch = keyart.get_command(click.Context(keyart), "fetch")
    assert fetch is not None
    assert NOTICE in (fetch.epilog or "")


def test_every_command_and_option_has_help() -> None:
    for name in keyart.list_commands(click.Context(keyart)):
        command = keyart.get_command(click.Context(keyart), name)
        assert command is not None
        assert command.help
        for parameter in command.params:
            assert isinstance(parameter, click.Argument) or parameter.help, (name, parameter.name)


def public_functions(module: str) -> list[ast.FunctionDef]:
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    bodies = [tree.body, *(node.body for node in classes)]
    found = [node for body in bodies for node in body if isinstance(node, ast.FunctionDef)]
    return [function for function in found if not function.name.startswith("_")]


@pytest.mark.parametrize("module", [module for module in modules() if not module.startswith("keyart/cli/")])
def test_docstrings_name_parameters_and_results(module: str) -> None:
    for function in public_functions(module):
        text = ast.get_docstring(function) or ""
        arguments = [*function.args.args, *function.args.kwonlyargs]
        named = re.findall(r"^([\w, *]+) :", text, re.MULTILINE)
        documented = {name.strip(" *") for names in named for name in names.split(",")}
        wanted = {argument.arg for argument in arguments} - {"self", "cls"}
        place = f"{module}: {function.name}"
        assert wanted <= documented, (place, wanted - documented)
        decorators = {ast.unparse(decorator).split("(")[0] for decorator in function.decorator_list}
        returns = function.returns is not None and ast.unparse(function.returns) != "None"
        if returns and not decorators & {"property", "cached_property"}:
            assert "Returns\n---" in text or "Yields\n---" in text, place
