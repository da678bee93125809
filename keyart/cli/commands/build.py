"""``keyart build``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from catalog.io.progress import bar
from catalog.text import plural
from index.options import IndexOptions
from keyart import pipeline
from keyart.cli.encoders import encoder_option
from keyart.cli.options import workspace_options
from keyart.cli.output import echo, print_notes
from keyart.workspace.layout import Workspace

if TYPE_CHECKING:
    from index.plan import Plan
    from index.record import IndexRecord

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
# An exact index that takes less is done before a forecast is read.
_LONG_S = 30.0


def _bytes(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?I?B?)", value.strip().upper())
    if not match or match[2] not in _UNITS or not (n_bytes := int(float(match[1]) * _UNITS[match[2]])):
        raise click.BadParameter(f"expected a size such as 500MB or 2GB, received {value!r}")
    return n_bytes


@click.command("build")
@click.option(
    "--index",
    "kind",
    type=click.Choice(["auto", "exact", "shortlist"]),
    help="Search all films, or a shortlist.  [default: as built before, else by size]",
)
@click.option(
    "--target-recall",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="0..1",
    help="The share of the truly nearest films that a shortlist finds.  [default: as built before, else 0.99]",
)
@click.option(
    "--max-memory",
    "max_memory_bytes",
    callback=_bytes,
    metavar="SIZE",
    help="Memory that a query may use, such as 500MB.  [default: a quarter of the machine's memory]",
)
@click.option(
    "--center/--no-center", default=None, help="Subtract the mean of all features.  [default: for random weights only]"
)
@click.option(
    "--similarity",
    type=click.Choice(["cosine", "whitened", "auto"]),
    help="Compare features, or an embedding of them.  [default: as built before, else auto]",
)
@click.option("--rebuild", is_flag=True, help="Build from scratch, even if adding and removing films is enough.")
@encoder_option()
@workspace_options
def command(
    kind: Any,
    target_recall: float | None,
    max_memory_bytes: int | None,
    center: bool | None,
    similarity: Any,
    rebuild: bool,
    encoder: str | None,
    home: Path,
) -> None:
    """Build the index of posters and the item similarities of ratings, or bring them up to date.

    Each encoder of the workspace has an index; --encoder builds one alone. Recall and latency are measured, and
    recorded in index.json beside the index.
    """
    if similarity == "whitened" and center is not None:
        raise click.UsageError("--similarity whitened subtracts a mean of its own; leave --center out")
    Workspace.open(home)

    options = IndexOptions(kind, center, target_recall, max_memory_bytes, rebuild, similarity)
    report = pipeline.build(home, options, encoder=encoder, progress=bar, on_plan=_print_plan)
    print_notes(report.notes)
    echo(f"{_describe(report.index, report.change)}, {report.n_similar:,} compared by ratings")
    if report.n_alternates:
        echo(f"{plural(report.n_alternates, 'further poster')} of these films indexed")
    for name, other in report.others.items():
        echo(f"{name}: {_describe(other.record, other.change)}")


def _print_plan(plan: Plan) -> None:
    if plan.kind != "exact" or plan.build_s > _LONG_S:
        echo(f"index: {plan}", err=True)


def _describe(record: IndexRecord | None, change: str) -> str:
    films = f"{plural(record.n_films if record else 0, 'film')} indexed by looks"
    if record is None:
        return films
    whitened = [record.similarity] if record.similarity != "cosine" else []
    centered = ["mean removed"] if record.centered else []
    kind = [record.kind, *whitened, *centered, change]
    recall = record.build.quality.recall
    if record.kind == "shortlist" and 10 in recall:
        kind.append(f"recall@10 {recall[10]:.3f}")
    return f"{films} ({', '.join(kind)})"
