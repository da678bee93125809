"""The option that chooses by which of a workspace's encoders posters are compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from catalog.errors import KeyartError
from keyart.cli.options import Command, workspace_home
from keyart.workspace.layout import Workspace


def complete_encoder(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the encoders of the workspace whose names begin with what was typed."""
    from keyart.workspace.encoders import list_encoders, name_of

    try:
        names = [name_of(view) for view in list_encoders(Workspace.open(Path(workspace_home(context))))]
    except KeyartError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def encoder_option(*, takes_blends: bool = False) -> Callable[[Command], Command]:
    """Add ``--encoder``, by default None, which means the workspace's default."""
    blend = "; A+B compares by the mean of two" if takes_blends else ""
    return click.option(
        "--encoder",
        metavar="NAME[+NAME]" if takes_blends else "NAME",
        shell_complete=complete_encoder,
        help=f"An encoder of the workspace, as `keyart encoders` lists them{blend}.  [default: its default]",
    )
