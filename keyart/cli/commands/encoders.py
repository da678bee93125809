"""``keyart encoders``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from catalog.errors import NotBuiltError
from catalog.text import plural
from features.encoders.pairs import PAIRS
from features.encoders.registry import ENCODERS
from keyart import pipeline
from keyart.cli.encoders import complete_encoder
from keyart.cli.groups import Group
from keyart.cli.options import debug_option, group_home_option, json_option, workspace_home, workspace_options
from keyart.cli.output import echo, print_json, table
from keyart.workspace.layout import Workspace

if TYPE_CHECKING:
    from keyart.pipeline.status import EncoderStatus

_HEADER = ("encoder", "in this workspace", "input", "numbers", "download", "texts", "license of the weights")


@click.group("encoders", cls=Group, invoke_without_command=True)
@json_option
@group_home_option
@debug_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the encoders of the workspace and those known by name, choose the default, or remove one.

    An encoder turns a poster into numbers. A workspace keeps the features and the index of each of its encoders side by
    side: `keyart extract --encoder NAME` adds one, and --encoder of other commands chooses one.
    """
    if context.invoked_subcommand is None:
        _list(Path(workspace_home(context)), as_json=as_json)


@command.command("default")
@click.argument("name", shell_complete=complete_encoder)
@workspace_options
def default(name: str, home: Path) -> None:
    """Compare posters by this encoder where a command names none."""
    pipeline.set_default_encoder(home, name)
    echo(f"posters are compared by {name} from now on")


@command.command("remove")
@click.argument("name", shell_complete=complete_encoder)
@workspace_options
def remove(name: str, home: Path) -> None:
    """Remove the features and the index of an encoder, and its atlas.

    Posters, ratings and other encoders stay. If interrupted, the same command finishes.
    """
    pipeline.remove_encoder(home, name)
    echo(f"{name} is removed")


def _list(home: Path, *, as_json: bool) -> None:
    present = {one.name: one for one in _present(home)}
    others = [name for name in (*ENCODERS, *PAIRS) if name not in present]
    if as_json:
        records = [_record(name, present.get(name)) for name in (*present, *others)]
        print_json({"encoders": records})
        return
    rows = [_row(name, present.get(name)) for name in (*present, *others)]
    echo(table(_HEADER, rows, left=(0, 1, 6)))


def _present(home: Path) -> tuple[EncoderStatus, ...]:
    try:
        return pipeline.status.read_status(Workspace.open(home)).encoders
    except NotBuiltError:
        return ()


def _record(name: str, present: EncoderStatus | None) -> dict[str, Any]:
    """Return what is known of an encoder, and what the workspace has of it; null where unknown."""
    known = ENCODERS.get(name) or PAIRS.get(name)
    return {
        "name": name,
        "width": present.width if present else known.side if known else None,
        "height": present.height if present else known.side if known else None,
        "n_columns": present.n_columns if present else known.n_features if known else None,
        "n_bytes": known.n_bytes if known else None,
        "license": known.license if known else None,
        "has_text": present.has_text if present else name in PAIRS if known else None,
        "present": asdict(present) if present else None,
    }


def _row(name: str, present: EncoderStatus | None) -> tuple[str, ...]:
    record, info = _record(name, present), ENCODERS.get(name)
    known, by_pip = info or PAIRS.get(name), " by pip" if info and info.packaged else ""
    n_columns, width = record["n_columns"], record["width"]
    return (
        name,
        _here(present) if present else "–",
        f"{width} × {record['height']}" if width else "–",
        f"{n_columns:,}" if n_columns else "–",
        f"{known.n_bytes / 1e6:.0f} MB{by_pip}" if known else "–",
        {True: "yes", False: "no", None: "–"}[record["has_text"]],
        known.license if known else "–",
    )


def _here(one: EncoderStatus) -> str:
    if one.backbone is None:
        return "damaged or without features: see `keyart info`"
    index = "" if one.index else ", no index"
    return f"{plural(one.n_features, 'film')}{index}{', the default' if one.is_default else ''}"
