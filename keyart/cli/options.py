"""Options that several commands share."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from catalog.errors import ConfigError
from catalog.film_ids import Imdb, parse_film_id, read_film_ids
from catalog.films import Catalog
from catalog.ids import MAX_ID
from catalog.text import plural
from keyart.cli.hints import HINTS
from keyart.cli.output import print_notes
from keyart.workspace.changes import Snapshot
from keyart.workspace.layout import Workspace
from keyart.workspace.settings import HOME, Secret

Command = TypeVar("Command", bound=Callable[..., Any])

DEBUG = Event()
"""Set by --debug, before or after the command's name."""

_HOME = "keyart.home"


class Share(click.FloatRange):
    """A number from 0 to 1."""

    name = "0..1"

    def __init__(self) -> None:
        super().__init__(0, 1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        # NaN passes every comparison.
        return number if number == number else self.fail(f"expected a number from 0 to 1, received {value}", param, ctx)


class IdNumber(click.IntRange):
    """A movie_id or a TMDB id; an IMDb id, padded with zeros, would be read as another film's."""

    name = "N"

    def __init__(self) -> None:
        super().__init__(1, MAX_ID)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, str) and isinstance(parse_film_id(value), Imdb):
            self.fail(f"{value} is an IMDb id; give it as --imdb-id", param, ctx)
        number: int = super().convert(value, param, ctx)
        return number


def debug_option(command: Command) -> Command:
    """Add ``--debug`` to a command; it sets `DEBUG`."""

    def remember(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value:
            DEBUG.set()

    return click.option(
        "--debug", is_flag=True, expose_value=False, callback=remember, help="Show the traceback of an error."
    )(command)


def workspace_options(command: Command) -> Command:
    """Add ``--home`` (the parameter `home`, a Path) and ``--debug`` to a command."""
    return _home_option(_home_of_root)(debug_option(command))


def root_home_option(command: Command) -> Command:
    """Add ``--home`` in front of a command's name; the command's own ``--home`` takes precedence."""
    return _home_option(HOME.value, expose_value=False, callback=_remember_home)(command)


def group_home_option(command: Command) -> Command:
    """Add ``--home`` to a group of commands, between its name and theirs; see `workspace_home`."""
    return _home_option(_home_of_root, expose_value=False, callback=_remember_home)(command)


def _home_option(default: Callable[[], str | None], **settings: Any) -> Callable[[Command], Command]:
    return click.option(
        "--home",
        default=default,
        metavar="DIR",
        help=f"The workspace folder.  [default: ${HOME.variable}, else {HOME.default}]",
        **{"callback": _folder, **settings},
    )


def workspace_home(context: click.Context) -> str:
    """Return the workspace folder of a command, as far as its words are known."""
    home: Path | None = context.params.get("home") or context.meta.get(_HOME)
    return str(home) if home else HOME.value() or ""


def is_home_given() -> bool:
    """Return whether the workspace of this command was named on the command line, not by the environment."""
    sources, context = [], click.get_current_context(silent=True)
    while context is not None:
        sources.append(context.get_parameter_source("home"))
        context = context.parent
    return ParameterSource.COMMANDLINE in sources


def _home_of_root() -> str:
    return workspace_home(click.get_current_context())


def _remember_home(context: click.Context, parameter: click.Parameter, value: str) -> None:
    context.meta[_HOME] = _folder(context, parameter, value)


def _folder(_context: click.Context, _parameter: click.Parameter, value: str) -> Path:
    # Blank is an unset variable in a script, not the current folder.
    if not value.strip():
        raise ConfigError("--home is blank; name the workspace folder, or leave the option out")
    HINTS.name_workspace(Path(value))
    return Path(value)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
csv_option = click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")


def refused_option(secret: Secret, *names: str) -> Callable[[Command], Command]:
    """Add hidden options that refuse a secret and explain where to put it."""

    def refuse(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
        if value is not None:
            raise ConfigError(secret.refusal)

    # Eager, so that no other option's error quotes what follows.
    meaning = f"Refused: set {secret.setting.variable}."
    return click.option(*names, hidden=True, is_eager=True, expose_value=False, callback=refuse, help=meaning)


def check_one_format(*, as_json: bool, as_csv: bool) -> None:
    """Raise ConfigError if both ``--json`` and ``--csv`` are set."""
    if as_json and as_csv:
        raise ConfigError("--json and --csv both write to standard output; choose one")


def k_option(default: int, meaning: str = "Number of films.") -> Callable[[Command], Command]:
    """Add ``-k``, the length of a result."""
    return click.option("-k", default=default, show_default=True, type=click.IntRange(min=1), help=meaning)


def content_options(command: Command) -> Command:
    """Add ``--director``, ``--cast`` and ``--keyword`` (`directors`, `cast`, `keywords`), which describe one film."""
    options = (
        click.option("--director", "directors", multiple=True, metavar="NAME", help="A director; may be repeated."),
        click.option("--cast", multiple=True, metavar="NAME", help="An actor; may be repeated."),
        click.option(
            "--keyword", "keywords", multiple=True, metavar="WORDS", help="A keyword of the plot; may be repeated."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def notes_on_fewer(n_found: int) -> list[str]:
    """Return a note where the option ``-k`` of the command in progress asks for more films than were found."""
    context = click.get_current_context()
    k = context.params["k"]
    is_default = context.get_parameter_source("k") is ParameterSource.DEFAULT
    # An empty answer has reasons of its own.
    if is_default or not 0 < n_found < k:
        return []
    return [f"-k asks for {k:,} films; {plural(n_found, 'was', 'were')} found"]


def file_option(name: str, meaning: str, *parameter: str, **settings: Any) -> Callable[[Command], Command]:
    """Add an option that takes the path of a file; `parameter` is its name in the command, if it is another.

    A file that was there and that the command replaces is noted at the end.
    """
    form = {"type": click.Path(path_type=Path), "metavar": "FILE", "callback": _note_replaced, **settings}
    return click.option(name, *parameter, help=meaning, **form)


def _note_replaced(context: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and path.is_file():
        before = Snapshot.take([path])
        context.call_on_close(lambda: print_notes([] if before.is_current() else [f"replaced {path}"]))
    return path


def read_movie_ids(workspace: Workspace, path: Path) -> frozenset[int]:
    """Read a list of films, one id a line, and note the ids that belong to no film."""
    with Catalog.open(workspace.catalog_path) as catalog:
        movie_ids, unknown = catalog.with_ids(read_film_ids(path))
    if unknown:
        print_notes([f"of {path}, {plural(len(unknown), 'id')} belong to no film, such as the {unknown[0]}"])
    return movie_ids


def set_option(command: Command) -> Command:
    """Add ``--set als.n_factors=20``; the parameter `parameters` maps model and name to a value."""
    return click.option(
        "--set",
        "parameters",
        multiple=True,
        callback=_parse_parameters,
        metavar="MODEL.NAME=VALUE",
        help="A parameter of a model, as in als.n_factors=20; may be repeated.",
    )(command)


def _parse_parameters(
    _context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    parameters: dict[str, dict[str, Any]] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        model, dot, name = path.strip().partition(".")
        if not (equals and dot and model and name and value.strip()):
            raise click.BadParameter(f"expected MODEL.NAME=VALUE, as in als.n_factors=20; received {text!r}")
        parameters.setdefault(model, {})[name] = _value(value.strip())
    return parameters


def _value(text: str) -> Any:
    """Read a number, true, false or none; anything else is text."""
    if text.lower() in ("true", "false", "none"):
        return {"true": True, "false": False}.get(text.lower())
    try:
        number = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return number if isinstance(number, int | float) else text
