"""Complete the commands that messages propose by ``--home``, where keyart would not find the workspace without it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

from catalog.errors import KeyartError
from keyart.workspace.settings import HOME

# Commands stand in backticks. The demo makes a workspace of its own, and help needs none.
_COMMAND = re.compile(r"`(keyart (?!demo\b)[a-z](?:(?!--home|--help)[^`])*)`")

Function = TypeVar("Function", bound=Callable[..., Any])


def home_option(home: Path) -> str:
    """Return the option that names a workspace; empty for the one that keyart finds anyway."""
    is_default = home.absolute() == Path(HOME.value() or "").absolute()
    return "" if is_default else f" --home {shlex.quote(str(home))}"


def complete(text: str, option: str) -> str:
    """Add what `home_option` returned to the commands in a message that do not name a workspace."""
    return _COMMAND.sub(lambda match: f"`{match[1]}{option}`", text) if option else text


@contextmanager
def complete_errors(home: Path) -> Iterator[None]:
    """Complete the messages of errors that leave the block."""
    try:
        yield
    except KeyartError as error:
        error.args = (complete(str(error), home_option(home)),)
        raise


def names_workspace(function: Function) -> Function:
    """Complete the errors and the notes of a function whose first argument is a workspace or an engine."""

    @wraps(function)
    def completed(*args: Any, **kwargs: Any) -> Any:
        first = args[0] if args else kwargs["home"]
        home = Path(first if isinstance(first, str | Path) else first.home)
        with complete_errors(home):
            return _with_notes(function(*args, **kwargs), home)

    return cast(Function, completed)


def _with_notes(result: Any, home: Path) -> Any:
    """Complete the field `notes` of a result, or of each of a list of results."""
    if isinstance(result, list):
        return [_with_notes(one, home) for one in result]
    if not is_dataclass(result) or isinstance(result, type) or "notes" not in {one.name for one in fields(result)}:
        return result
    option = home_option(home)
    notes: tuple[str, ...] = result.notes  # type: ignore[attr-defined]
    return replace(result, notes=tuple(complete(note, option) for note in notes)) if option and notes else result
