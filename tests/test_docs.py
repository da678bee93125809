"""Check that the documentation names existing commands, settings and files, and names all of them."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import click
import pytest

import keyart
import keyart.pipeline
from cf.evaluation.evaluation import Scorecard
from index.neighbors import SCHEMA
from keyart.cli import keyart as command_line
from keyart.pipeline.duplicates import COLUMNS
from keyart.pipeline.status import Status
from keyart.results import HIT_COLUMNS
from keyart.workspace import settings
from posters.database import Record
from posters.fetch import FetchReport
from posters.tmdb import NOTICE
from tests.test_layers import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "ARCHITECTURE", "CHANGELOG", "CONTRIBUTING", "SECURITY")),
    *sorted((ROOT / "docs").glob("*.md")),
]


def test_every_command_is_in_the_readme() -> None:
    for name in command_line.list_commands(click.Context(command_line)):
        assert f"keyart {name}" in README or f"make {name}" in README


def test_every_setting_is_in_the_readme() -> None:
    plain = README.replace("`", "")
    for setting in settings.ALL:
        assert f"| {setting.variable} | {setting.meaning} | {setting.default or ''}".rstrip() in plain


def test_readme_shows_the_notice_of_tmdb() -> None:
    assert NOTICE in README
    fetch = command_line.get_command(click.Context(command_line), "fetch")
    assert fetch is not None
    assert NOTICE in (fetch.epilog or "")


def test_every_command_and_option_has_help() -> None:
    for name in command_line.list_commands(click.Context(command_line)):
        command = command_line.get_command(click.Context(command_line), name)
        assert command is not None
        assert command.help
        for parameter in command.params:
            assert isinstance(parameter, click.Argument) or parameter.help, (name, parameter.name)


def public_objects() -> Iterator[tuple[str, Any]]:
    """List what users import: the names of `keyart` and `keyart.pipeline`, with the public methods of classes."""
    for module in (keyart, keyart.pipeline):
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, type) or inspect.isfunction(value):
                yield f"{module.__name__}.{name}", value
            if isinstance(value, type):
                yield from _public_methods(f"{module.__name__}.{name}", value)


def _public_methods(name: str, owner: type) -> Iterator[tuple[str, Any]]:
    for attribute, value in vars(owner).items():
        method = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if not attribute.startswith("_") and inspect.isfunction(method):
            yield f"{name}.{attribute}", method


@pytest.mark.parametrize(("name", "value"), list(public_objects()))
def test_docstrings_of_the_public_api_name_parameters_and_results(name: str, value: Any) -> None:
    text = inspect.getdoc(value) or ""
    assert text, name
    if isinstance(value, type) and issubclass(value, Exception):
        return
    signature = inspect.signature(value)
    named = re.findall(r"^([\w, *]+) :", text, re.MULTILINE)
    documented = {one.strip(" *") for names in named for one in names.split(",")}
    assert set(signature.parameters) - {"self", "cls"} <= documented, name
    if inspect.isfunction(value) and signature.return_annotation not in ("None", None):
        assert "Returns\n---" in text or "Yields\n---" in text, name


def rows_below(heading: str) -> list[str]:
    """Return the first cells of the tables of the API page below a heading, and above the next one like it."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    return re.findall(r"^\| ([^|]*) \|", section, re.MULTILINE)


@pytest.mark.parametrize(
    ("heading", "names"), [("All names", keyart.__all__), ("Fill a workspace", keyart.pipeline.__all__)]
)
def test_every_public_name_is_on_the_api_page(heading: str, names: list[str]) -> None:
    cells = " ".join(rows_below(heading))
    errors = {name for name in keyart.__all__ if isinstance(getattr(keyart, name), type) and name.endswith("Error")}
    assert [name for name in names if name not in errors and not re.search(rf"`{name}\b", cells)] == []
    assert errors - {"KeyartError"} <= set(re.findall(r"`(\w+)`", " ".join(rows_below("Errors"))))


def test_steps_of_the_pipeline_have_the_parameters_that_the_api_page_names() -> None:
    shown = [call for cell in rows_below("Fill a workspace") for call in re.findall(r"`(\w+)\(([^)]*)\)`", cell)]
    assert len(shown) > 15
    for name, listed in shown:
        named = {word.partition("=")[0].strip() for word in listed.split(",")} - {"…"}
        assert named <= set(inspect.signature(getattr(keyart.pipeline, name)).parameters), name


def test_the_api_page_lists_what_an_engine_has() -> None:
    cells = " ".join(rows_below("Open a workspace"))
    public = [name for name in vars(keyart.Engine) if not name.startswith("_") and name != "open"]
    assert [name for name in public if not re.search(rf"`{name}\b", cells)] == []


@pytest.mark.parametrize("value", [one for _, one in public_objects() if is_dataclass(one)], ids=lambda one: str(one))
def test_the_api_page_lists_the_fields_of_every_result_and_option(value: type) -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `{value.__name__}` \|.*$", page, re.MULTILINE)
    assert {field.name for field in fields(value)} <= set(re.findall(r"`(\w+)`", row))


SCHEMAS = {
    "similar": HIT_COLUMNS,
    "neighbors": SCHEMA.names,
    "duplicates": COLUMNS,
    "recommend": [field.name for field in fields(keyart.RecommendedFilm)],
    "evaluate": [field.name for field in fields(Scorecard)],
    "info": [field.name for field in fields(Status)],
    "Fetch report": [field.name for field in fields(FetchReport)],
    "Poster states": [field.name for field in fields(Record)],
    "New films": [field.name for field in fields(keyart.NewFilm) if field.name not in ("poster", "alternative_titles")],
}


@pytest.mark.parametrize("section", SCHEMAS)
def test_the_page_of_files_lists_all_columns(section: str) -> None:
    page = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    (text,) = re.findall(rf"^### {section}\n(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE)
    assert set(SCHEMAS[section]) <= set(re.findall(r"`(\w+)`", text))


def test_every_test_that_proves_a_promise_exists() -> None:
    page = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert named
    for path, test in named:
        assert re.search(rf"^(async )?def {test}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), test
    rows = [line for line in page.splitlines() if line.startswith("| ") and "proved by" not in line]
    assert [row for row in rows if "`tests/" not in row] == []
