"""``keyart export``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from keyart import recommend
from keyart.cli.options import file_option, workspace_options
from keyart.cli.output import echo, print_notes
from keyart.workspace.layout import Workspace


@click.command("export")
@click.argument("name", metavar="MODEL", type=click.Choice(["two-tower", "ranking"]))
@click.option(
    "--format",
    "form",
    required=True,
    type=click.Choice(["savedmodel", "tflite"]),
    help="savedmodel: the two-tower model with its index, a folder; tflite: the ranking model, a file.",
)
@file_option("--out", "The path to write.", required=True, metavar="PATH")
@workspace_options
def command(name: str, form: Literal["savedmodel", "tflite"], out: Path, home: Path) -> None:
    """Write a model that `keyart fit MODEL` has fitted for use without keyart.

    The SavedModel takes user ids and gives scores and titles; the TensorFlow Lite file takes a user id and a movie id
    and gives stars. Both are loaded back and compared with the model before they take their place.
    """
    print_notes(recommend.models.export(Workspace.open(home), name, form, out))
    echo(f"{name} written to {out} ({form})")
