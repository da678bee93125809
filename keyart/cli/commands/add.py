"""``keyart add``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from catalog.errors import ConfigError, DataError
from catalog.films import Catalog
from catalog.io.progress import bar
from catalog.text import plural
from keyart import cold_start, pipeline
from keyart.cli.groups import renamed
from keyart.cli.interruption import RESUMES, keeps
from keyart.cli.options import IdNumber, content_options, workspace_options
from keyart.cli.output import echo, print_notes
from keyart.workspace.layout import Workspace

if TYPE_CHECKING:
    from catalog.film import Film

_N_LISTED = 20


@click.command("add", cls=renamed(genres="--genre"))
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--title", default="", metavar="TITLE", help="The film's title; the year may follow in parentheses.")
@click.option("--year", type=int, metavar="YEAR", help="The year of release.")
@click.option("--genre", "genres", multiple=True, metavar="GENRE", help="A genre of the catalog; may be repeated.")
@click.option(
    "--movie-id",
    type=IdNumber(),
    metavar="N",
    help="The film's movie_id.  [default: the next from 1000000001 on]",
)
@click.option("--tmdb-id", type=IdNumber(), metavar="N", help="The film's TMDB id.")
@click.option("--imdb-id", default="", metavar="ID", help="The film's IMDb id: tt0113277.")
@content_options
@workspace_options
def command(
    source: Path,
    title: str,
    year: int | None,
    genres: tuple[str, ...],
    directors: tuple[str, ...],
    cast: tuple[str, ...],
    keywords: tuple[str, ...],
    movie_id: int | None,
    tmdb_id: int | None,
    imdb_id: str,
    home: Path,
) -> None:
    """Add films that MovieLens does not have, so that they are found by title and by looks; no rebuild is needed.

    SOURCE is a poster; or a CSV file with the columns path, title and, as far as they are known, year, genres,
    movie_id, tmdb_id, imdb_id, director, cast, keywords; or a folder of posters named as their films are:
    "Heat (1995).jpg". Added films stay through every `keyart load`. The same command again finishes what was
    interrupted.
    """
    if not source.exists():
        raise DataError(f"{source} does not exist; expected a poster, a folder of posters or a CSV file")
    many = source.is_dir() or source.suffix.lower() == ".csv"
    if many and (
        title or year is not None or genres or movie_id or tmdb_id or imdb_id or directors or cast or keywords
    ):
        raise ConfigError(f"{source} describes its films itself; options such as --title are for one poster")
    if not many and not title:
        raise ConfigError('the film needs a title: --title "Heat (1995)"')
    workspace = Workspace.open(home)

    with Catalog.open(workspace.catalog_path) as catalog:
        known_genres = catalog.genres()
    numbers = {"movie_id": movie_id, "tmdb_id": tmdb_id}
    if many:
        films = cold_start.new_film.read_new_films(source, known_genres, titled=True)
    else:
        described = cold_start.new_film.describe(
            source, title, year, "|".join(genres), known_genres=known_genres, imdb_id=imdb_id, **numbers
        )
        films = [replace(described, directors=directors, cast=cast, keywords=keywords)]

    with keeps(RESUMES, lambda: _has_added(workspace)):
        report = pipeline.add(workspace, films, progress=bar)
    print_notes(report.notes)
    _list("added", report.added)
    _list("already here", report.known)
    if report.n_indexed:
        echo(f"{plural(report.n_indexed, 'film')} indexed by looks")


def _has_added(workspace: Workspace) -> bool:
    with Catalog.open(workspace.catalog_path) as catalog:
        return bool(catalog.added())


def _list(what: str, films: tuple[Film, ...]) -> None:
    for film in films[:_N_LISTED]:
        echo(f"{what}: {film.label}  [{film.movie_id}]")
    if len(films) > _N_LISTED:
        echo(f"{what}: {len(films) - _N_LISTED:,} more, up to [{films[-1].movie_id}]")
