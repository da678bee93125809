"""``keyart info``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from keyart.cli.options import workspace_options


@click.command("info", short_help="Tell what is in the workspace, and which command comes next.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@workspace_options
def command(as_json: bool, home: Path) -> None:
    """Tell what is in the workspace, what is missing, and which command comes next."""
    from keyart.pipeline.status import read_status
    from keyart.workspace.layout import Workspace

    found = read_status(Workspace.open(home))
    if as_json:
        click.echo(json.dumps(found.to_dict(), ensure_ascii=False))
        return
    others = ", ".join(f"{n:,} {state}" for state, n in found.posters.items() if n and state != "ok")
    stale = " (out of date)"
    skipped = f", {found.n_skipped:,} could not be read" if found.n_skipped else ""
    added = f", {found.n_added:,} added" if found.n_added else ""
    lines = {
        "workspace": found.home,
        "films": f"{found.n_films - found.n_added:,} from {found.source}" + added,
        "ratings": f"{found.n_ratings:,} of {found.n_rated:,} films",
        "posters": f"{found.n_posters:,}" + (f"; {others}" if others else ""),
        "features": f"{found.n_features:,}" + (f" of {found.backbone}" if found.backbone else "") + skipped,
        "index": f"{found.n_indexed:,} films"
        + (f" ({found.index})" if found.index else "")
        + (stale if found.n_indexed and not found.index_is_current else ""),
        "atlas": f"{found.n_mapped:,} films",
        "similarities": f"{found.n_similar:,} films by ratings"
        + (stale if found.n_similar and not found.similarities_are_current else ""),
    }
    for name, value in lines.items():
        click.echo(f"{name:<13} {value}")
    for reason in found.damaged:
        click.echo(f"damaged       {reason}")
    click.echo(f"next          {found.next_step()}")
