"""``keyart info``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from catalog.text import plural
from keyart import pipeline
from keyart.cli.hints import HINTS
from keyart.cli.options import json_option, workspace_options
from keyart.cli.output import echo, print_json
from keyart.workspace.layout import Workspace

if TYPE_CHECKING:
    from keyart.pipeline.status import EncoderStatus, Status


@click.command("info")
@json_option
@workspace_options
def command(as_json: bool, home: Path) -> None:
    """Show what is in the workspace, what is missing, and which command comes next."""
    workspace = Workspace.open(home)
    status = pipeline.status.read_status(workspace)
    if as_json:
        print_json(status.to_dict())
        return
    for name, value in _summary(status).items():
        echo(f"{name:<13} {HINTS.complete(value)}")
    if len(status.encoders) > 1:
        for one in status.encoders:
            echo(f"encoder       {_of_encoder(one)}")
    if status.waiting_alternates:
        echo(f"posters       {HINTS.complete(status.waiting_alternates)}")
    for reason in status.damaged:
        echo(f"damaged       {HINTS.complete(reason)}")
    echo(f"next          {HINTS.complete(status.next_step())}")


def _summary(status: Status) -> dict[str, str]:
    others = ", ".join(f"{n:,} {state}" for state, n in status.posters.items() if n and state != "ok")
    skipped = f", {status.n_skipped:,} could not be read" if status.n_skipped else ""
    added = f", {status.n_added:,} added" if status.n_added else ""
    return {
        "workspace": str(status.home),
        "films": f"{status.n_films - status.n_added:,} from {status.source}" + added,
        "ratings": f"{status.n_ratings:,} of {plural(status.n_rated, 'film')}",
        "posters": f"{status.n_posters:,}" + (f"; {others}" if others else ""),
        "features": f"{status.n_features:,}" + (f" of {status.backbone}" if status.backbone else "") + skipped,
        "index": plural(status.n_indexed, "film")
        + (f" ({status.index})" if status.index else "")
        + _stale(bool(status.index), status.index_is_current),
        "atlas": plural(status.n_mapped, "film") + _stale(status.n_mapped > 0, status.atlas_is_current, "atlas"),
        "similarities": f"{plural(status.n_similar, 'film')} by ratings"
        + _stale(status.n_similar > 0, status.similarities_are_current),
        "blend": status.blend,
    }


def _of_encoder(one: EncoderStatus) -> str:
    if one.is_default:
        return f"{one.name}, the default"
    features = f"{one.n_features:,} features" + (f" of {one.backbone}" if one.backbone else "")
    skipped = f", {one.n_skipped:,} could not be read" if one.n_skipped else ""
    index = f"{plural(one.n_indexed, 'film')} indexed" + (f" ({one.index})" if one.index else "")
    return HINTS.complete(f"{one.name}: {features}{skipped}; {index}{_stale(bool(one.index), one.index_is_current)}")


def _stale(exists: bool, is_current: bool, command: str = "build") -> str:
    return f", {pipeline.status.outdated(command)}" if exists and not is_current else ""
