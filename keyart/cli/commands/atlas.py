"""``keyart atlas``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from catalog.extras import is_installed
from catalog.io.progress import bar
from catalog.text import plural
from keyart import atlas
from keyart.cli.encoders import encoder_option
from keyart.cli.groups import renamed
from keyart.cli.hints import HINTS
from keyart.cli.options import workspace_options
from keyart.cli.output import announce, echo, print_notes, table

if TYPE_CHECKING:
    from keyart.atlas.build import AtlasReport


@click.command("atlas", cls=renamed(anew="--rebuild"))
@click.option(
    "--method",
    type=click.Choice(["tsne", "umap"]),
    help="t-SNE, or UMAP where umap-learn is installed.  [default: that of the existing atlas, else tsne]",
)
@click.option(
    "--clusters",
    "n_clusters",
    type=click.IntRange(1, 200),
    metavar="N",
    help="Number of clusters.  [default: that of the existing atlas, else by the number of films]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    help="Random seed of the layout.  [default: that of the existing atlas, else 0]",
)
@click.option("--rebuild", is_flag=True, help="Compute everything from scratch, even if placing new films is enough.")
@encoder_option()
@workspace_options
def command(
    method: str | None, n_clusters: int | None, seed: int | None, rebuild: bool, encoder: str | None, home: Path
) -> None:
    """Lay all posters out on one map, those that look alike near each other, in clusters named by genres and tags.

    Run it again after posters came or went: films that stay keep their places.
    """
    from keyart.workspace.encoders import open_view

    workspace = open_view(home, encoder)
    started = time.monotonic()
    wanted = atlas.build.AtlasOptions(atlas.layout.Method(method) if method else None, n_clusters, seed, rebuild)
    announce("atlas", atlas.build.expected_s(workspace, wanted))
    report = atlas.build.make_atlas(workspace, wanted, progress=bar)
    print_notes(report.notes)
    _print(report, time.monotonic() - started)


def _print(report: AtlasReport, lasted_s: float) -> None:

    clusters = report.atlas.clusters
    cells = [(str(number), cluster.name, f"{cluster.n_films:,}") for number, cluster in enumerate(clusters, start=1)]
    echo(table(("", "cluster", "films"), cells, left=[1]))
    sheets = f"{report.n_drawn} of {plural(len(report.atlas.sheets), 'sheet')} of small posters drawn"
    echo(f"{plural(len(report.atlas), 'film')} on the map ({report.how}), {sheets}, in {lasted_s:.1f} s")
    if is_installed("web"):
        echo(HINTS.complete("next: `keyart serve`, then the page /atlas"), err=True)
