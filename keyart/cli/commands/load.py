"""``keyart load``."""

from __future__ import annotations

from pathlib import Path

import click

from keyart.cli.options import workspace_options
from keyart.cli.output import print_notes


@click.command("load")
@click.argument("folder", type=click.Path(path_type=Path))
@workspace_options
def command(folder: Path, home: Path) -> None:
    """Load films, links, tags and ratings from a MovieLens folder.

    FOLDER is an unpacked MovieLens archive: ml-latest-small, ml-25m, ml-32m … with movies.csv, links.csv,
    tags.csv and ratings.csv; or ml-100k with u.item and u.data.
    """
    from keyart.pipeline.movielens import load

    report = load(home, folder)
    print_notes(report.notes)
    tags = f", {report.n_tags:,} tags" if report.n_tags else ""
    ratings = f"{report.n_ratings:,} ratings by {report.n_users:,} users"
    click.echo(f"{report.n_films:,} films{tags} and {ratings} loaded into {home}")
