"""``keyart fetch``."""

from __future__ import annotations

from pathlib import Path

import click

from catalog.errors import ConfigError
from keyart.cli.options import workspace_options
from keyart.settings import TMDB_API_KEY, TMDB_URL


@click.command("fetch")
@click.option(
    "--size",
    default="w342",
    show_default=True,
    help="TMDB's poster size; w342 is the smallest that needs no enlarging.",
)
@click.option("--language", default="en-US", show_default=True, help="Which poster of a film is wanted.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Ask for at most N films.")
@workspace_options
def command(size: str, language: str, limit: int | None, home: Path) -> None:
    """Fetch the posters that are missing from TMDB.

    The key is read from TMDB_API_KEY: 32 hexadecimal digits, or a read access token (eyJ…). Run it again at any time:
    it asks only for what is missing or failed.
    """
    from keyart.pipeline import fetch
    from keyart.progress import bar
    from keyart.workspace import Workspace
    from posters.tmdb import TmdbClient

    workspace = Workspace.open(home)
    key = TMDB_API_KEY.value()
    if not key:
        raise ConfigError(
            f"no TMDB key: set {TMDB_API_KEY.variable} to yours (free at https://www.themoviedb.org/settings/api), or "
            "import posters that you have with `keyart import FOLDER`"
        )
    with TmdbClient(key, TMDB_URL.value() or "", language) as client:
        report = fetch(workspace, client, size=size, limit=limit, progress=bar)
    click.echo(f"{report.n_ok:,} posters came ({report.n_bytes / 1e6:,.1f} MB in {report.elapsed_s:,.0f} s)")
    for state, n_films in report.counts.items():
        click.echo(f"  {state.value:<10} {n_films:>7,} films")
