"""``keyart load``."""

from __future__ import annotations

from pathlib import Path

import click

from catalog.text import plural
from keyart import pipeline
from keyart.cli.options import file_option, workspace_options
from keyart.cli.output import echo, print_listed, print_notes


def _columns(_context: click.Context, _parameter: click.Parameter, text: str | None) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in (text or "").split(",") if pair.strip()]
    if not all(equals and name.strip() for _, equals, name in pairs):
        raise click.BadParameter(f"expected names such as user=uid,item=film,rating=score; received {text!r}")
    return {key.strip().lower(): name.strip() for key, _, name in pairs}


@click.command("load")
@click.argument("source", type=click.Path(path_type=Path), metavar="[FOLDER|ZIP|CSV]", required=False)
@file_option("--ratings", "Ratings in place of the folder's: CSV, tab-separated, as u.data, or Parquet.")
@click.option(
    "--columns",
    callback=_columns,
    metavar="NAMES",
    help="What your tables call columns: user=uid,item=film,rating=score; also time, title, year, genres, imdb, tmdb.",
)
@click.option(
    "--content",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A CSV file with director, cast and keywords of films, which are loaded already or with FOLDER.",
)
@workspace_options
def command(
    source: Path | None, ratings: Path | None, columns: dict[str, str], content: Path | None, home: Path
) -> None:
    """Load films, links, tags and ratings from a data set, or films from a table of your own.

    FOLDER is a data set, or its zip archive as it was downloaded: MovieLens in all its editions, also as Kaggle has
    them, or The Movies Dataset.

    CSV has the columns movie_id and title and, where known, year, genres ("Comedy|Drama"), imdb_id and tmdb_id. Its
    posters are imported with `keyart import`. Or it is a table of ratings, with user_id, movie_id, rating and, where
    known, timestamp and title.

    --content FILE has a column movie_id, imdb_id or tmdb_id, and any of director, cast and keywords, separated by "|".
    """
    if source is None and (content is None or ratings or columns):
        raise click.UsageError('Missing argument "FOLDER|ZIP|CSV": a data set, or a table of films.')
    if source is not None:
        _load(source, ratings, columns, home)
    if content is not None:
        _load_content(content, home)


def _load(source: Path, ratings: Path | None, columns: dict[str, str], home: Path) -> None:
    report = pipeline.load(home, source, ratings, columns=columns)
    print_notes(report.notes)
    tags = f", {plural(report.n_tags, 'tag')}" if report.n_tags else ""
    n_ratings = f"{plural(report.n_ratings, 'rating')} by {plural(report.n_users, 'user')}"
    echo(f"{plural(report.n_films, 'film')}{tags} and {n_ratings} loaded into {home}")


def _load_content(path: Path, home: Path) -> None:
    report = pipeline.load_content(home, path)
    n = report.n_terms
    echo(
        f"content of {plural(report.n_films, 'film')} loaded: {plural(n['director'], 'director')}, "
        f"{plural(n['cast'], 'actor')} and {plural(n['keyword'], 'keyword')}"
    )
    print_listed("row matches no film", "rows match no film", report.unmatched)
