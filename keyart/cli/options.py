"""What several commands share: the workspace option, --debug, notes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import click

from catalog.errors import ConfigError
from keyart.workspace.api_keys import redact
from keyart.workspace.settings import HOME

Command = TypeVar("Command", bound=Callable[..., Any])

DEBUG = Event()
"""Set by --debug, wherever on the line it stands."""


class Share(click.FloatRange):
    """A number from 0 to 1."""

    name = "0..1"

    def __init__(self) -> None:
        super().__init__(0, 1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read what was typed.

        Parameters
        ----------
        value : str or float
            What was typed.
        param, ctx
            For messages.

        Returns
        -------
        float
            The share.
        """
        number: float = super().convert(value, param, ctx)
        # Not a number passes every comparison.
        return number if number == number else self.fail(f"expected a number from 0 to 1, received {value}", param, ctx)


def debug_option(command: Command) -> Command:
    """Add ``--debug`` to a command.

    Parameters
    ----------
    command : callable
        The command's function.

    Returns
    -------
    callable
        The same, with the option.
    """

    def remember(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value:
            DEBUG.set()

    return click.option(
        "--debug", is_flag=True, expose_value=False, callback=remember, help="Show the traceback of an error."
    )(command)


def workspace_options(command: Command) -> Command:
    """Add ``--home`` and ``--debug`` to a command.

    Parameters
    ----------
    command : callable
        The command's function; receives `home`, a Path.

    Returns
    -------
    callable
        The same, with the options.
    """
    home_option = click.option(
        "--home",
        default=HOME.value,
        callback=_folder,
        metavar="DIR",
        help=f"The workspace folder.  [default: ${HOME.variable}, else {HOME.default}]",
    )
    return home_option(debug_option(command))


def _folder(_context: click.Context, _parameter: click.Parameter, value: str) -> Path:
    # Blank is an unset variable in somebody's script, not the current folder.
    if not value.strip():
        raise ConfigError("--home is blank; name the workspace folder, or leave the option out")
    return Path(value)


def say_notes(notes: Iterable[str]) -> None:
    """Write notes to standard error, where they do not mix with results.

    Parameters
    ----------
    notes : iterable of str
        One line each.
    """
    for note in notes:
        click.echo(redact(f"note: {note}"), err=True)
