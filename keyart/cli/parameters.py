"""Parameters of models on the command line: ``--set als.rank=20``."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def set_option(command: Command) -> Command:
    """Add ``--set`` to a command.

    Parameters
    ----------
    command : callable
        The command's function; receives `parameters`: by model, by name.

    Returns
    -------
    callable
        The same, with the option.
    """
    return click.option(
        "--set",
        "parameters",
        multiple=True,
        callback=_parse,
        metavar="MODEL.NAME=VALUE",
        help="A parameter of a model, as in als.n_factors=20; may be repeated.",
    )(command)


def _parse(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        place, equals, value = text.partition("=")
        model, dot, name = place.strip().partition(".")
        if not (equals and dot and model and name and value.strip()):
            raise click.BadParameter(f"expected MODEL.NAME=VALUE, as in als.n_factors=20; received {text!r}")
        found.setdefault(model, {})[name] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    """Read a number, true, false or none; anything else is text."""
    if text.lower() in ("true", "false", "none"):
        return {"true": True, "false": False}.get(text.lower())
    try:
        number = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return number if isinstance(number, int | float) else text
