"""The option that chooses by which of a workspace's encoders posters are compared."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from catalog.errors import KeyartError
from keyart.cli.options import workspace_home
from keyart.workspace.layout import Workspace


def complete_encoder(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the encoders of the workspace whose names begin with what was typed."""
    from keyart.workspace.encoders import list_encoders, name_of

    try:
        names = [name_of(view) for view in list_encoders(Workspace.open(Path(workspace_home(context))))]
    except KeyartError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def encoder_option(*, takes_blends: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--encoder``, by default None, which means the workspace's default.

    One that the workspace does not have is refused before the command, which may import what takes seconds.
    """
    blend = "; A+B compares by the mean of two" if takes_blends else ""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.option(
            "--encoder",
            metavar="NAME[+NAME]" if takes_blends else "NAME",
            shell_complete=complete_encoder,
            help=f"An encoder of the workspace, as `keyart encoders` lists them{blend}.  [default: its default]",
        )
        @wraps(command)
        def checked(encoder: str | None, home: Path, **others: Any) -> Any:
            if encoder is not None:
                _check(home, encoder, takes_blends=takes_blends)
            return command(encoder=encoder, home=home, **others)

        return checked

    return add


def require_runtimes(home: Path, encoder: str | None) -> None:
    """Raise ConfigError unless what runs an encoder of the workspace is installed, before any work."""
    from keyart.workspace import encoder as of_workspace

    of_workspace.require_runtimes(home, encoder)


def _check(home: Path, encoder: str, *, takes_blends: bool) -> None:
    from keyart.workspace.encoders import open_view, open_views

    (open_views if takes_blends else open_view)(home, encoder)
