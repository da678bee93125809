"""``keyart build``."""

from __future__ import annotations

from pathlib import Path

import click

from keyart.cli.options import say_notes, workspace_options


@click.command("build")
@click.option(
    "--centre/--no-centre", default=None, help="Subtract the mean of all features.  [default: for random weights only]"
)
@workspace_options
def command(centre: bool | None, home: Path) -> None:
    """Build the index of posters and the item similarities of ratings."""
    from keyart.pipeline import build
    from keyart.progress import bar
    from keyart.workspace import Workspace

    report = build(Workspace.open(home), centre=centre, progress=bar)
    say_notes(report.notes)
    centred = " (mean removed)" if report.centred else ""
    click.echo(f"{report.n_indexed:,} films indexed by looks{centred}, {report.n_similar:,} compared by ratings")
