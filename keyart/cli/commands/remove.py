"""``keyart remove``."""

from __future__ import annotations

from pathlib import Path

import click

from catalog.io.progress import bar
from catalog.text import plural
from keyart import pipeline
from keyart.cli.completion import complete_film
from keyart.cli.interruption import RESUMES, keeps
from keyart.cli.options import workspace_options
from keyart.cli.output import echo, print_notes


@click.command("remove")
@click.argument("films", nargs=-1, required=True, metavar="FILM...", shell_complete=complete_film)
@workspace_options
def command(films: tuple[str, ...], home: Path) -> None:
    """Remove films from the workspace: the opposite of `keyart add`.

    A FILM is a title, with or without year, or an id: 1000000001, tt0113277, tmdb:949. Its links, tags, posters and
    features go with it, and its places in the indexes and on the maps of all encoders. A film that came with
    `keyart load` comes back when it is loaded again; its ratings are left out until then. All films are found before
    any is removed. The same command again finishes what was interrupted.
    """
    with keeps(RESUMES):
        report = pipeline.remove(home, films, progress=bar)
    print_notes(report.notes)
    for film in report.removed:
        echo(f"removed: {film.label}  [{film.movie_id}]")
    if report.n_indexed:
        echo(f"{plural(report.n_indexed, 'film')} indexed by looks")
