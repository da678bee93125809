"""``keyart load``."""

from __future__ import annotations

from pathlib import Path

import click

from catalog.text import plural
from keyart import pipeline
from keyart.cli.options import file_option, workspace_options
from keyart.cli.output import print_notes


@click.command("load")
@click.argument("source", type=click.Path(path_type=Path), metavar="FOLDER|CSV")
@file_option("--ratings", "Ratings in place of the folder's: CSV, tab-separated as u.data, or Parquet.")
@workspace_options
def command(source: Path, ratings: Path | None, home: Path) -> None:
    """Load films, links, tags and ratings from a MovieLens folder, or films from a table of your own.

    FOLDER is an unpacked MovieLens archive: ml-latest-small, ml-25m, ml-32m … with movies.csv, links.csv,
    tags.csv and ratings.csv; or ml-100k with u.item and u.data.

    CSV has the columns movie_id and title and, where known, year, genres ("Comedy|Drama"), imdb_id and tmdb_id. Its
    posters are imported with `keyart import`.
    """
    report = pipeline.load(home, source, ratings)
    print_notes(report.notes)
    tags = f", {plural(report.n_tags, 'tag')}" if report.n_tags else ""
    n_ratings = f"{plural(report.n_ratings, 'rating')} by {plural(report.n_users, 'user')}"
    click.echo(f"{plural(report.n_films, 'film')}{tags} and {n_ratings} loaded into {home}")
