"""``keyart extract``."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keyart.cli.options import workspace_options
from keyart.cli.output import print_notes

if TYPE_CHECKING:
    from catalog.io.remote import AnyPath
    from features.extraction import ExtractionReport

_N_LISTED = 20


@click.command("extract")
@click.option(
    "--images",
    metavar="DIR",
    help="Any folder of images, in place of the workspace's posters; with --out. With --spark also a Parquet table.",
)
@click.option("--out", metavar="DIR", help="Where the features of --images are written: a folder, or a URI of one.")
@click.option(
    "--backbone",
    default="vgg16",
    show_default=True,
    metavar="NAME|PATH",
    help="vgg16, or a Keras file with input (224, 224, 3).",
)
@click.option(
    "--weights",
    default="imagenet",
    show_default=True,
    metavar="NAME|PATH",
    help="For vgg16: imagenet, random, or a .h5 file without the top.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="For random weights.")
@click.option(
    "--features",
    type=click.Choice(["raw", "gem", "rmac"]),
    default="raw",
    show_default=True,
    help="What is kept: all 25,088 numbers, or a pooled descriptor of 512.",
)
@click.option("--whiten", is_flag=True, help="Whiten pooled descriptors, as learned from 2,000 images.")
@click.option(
    "--resize",
    type=click.Choice(["antialias", "nearest"]),
    default="antialias",
    show_default=True,
    help="How posters become 224 × 224; nearest is the original article's way.",
)
@click.option(
    "--engine",
    type=click.Choice(["keras", "onnx"]),
    default="keras",
    show_default=True,
    help="What runs the network; onnx is faster on many CPUs.",
)
@click.option(
    "--spark",
    is_flag=False,
    flag_value="",
    metavar="[MASTER]",
    help="Compute on Spark; by default on all cores of this machine.",
)
@click.option("--replace", is_flag=True, help="Remove features of another network or choice first.")
@workspace_options
def command(
    images: str | None,
    out: str | None,
    backbone: str,
    weights: str,
    seed: int,
    features: str,
    whiten: bool,
    resize: str,
    engine: str,
    spark: str | None,
    replace: bool,
    home: Path,
) -> int:
    """Turn each poster into 25,088 numbers with VGG16.

    Posters whose features are there already are not computed again, so it may be stopped and started at will, also by
    force. Features whose poster is gone are dropped. A poster that cannot be read is named and passed over; where more
    than half cannot, the exit code is 1.
    """
    from catalog.io.progress import bar
    from catalog.io.remote import as_path
    from features.encoders.keras import BackboneChoice
    from features.images import Resize
    from features.pooling import Pooling
    from features.spark import folder_at, is_table
    from keyart.cli.quiet import import_tensorflow_quietly, spark_session
    from keyart.pipeline.features import Extraction, extract, extract_folder, extract_table
    from keyart.workspace.layout import Workspace

    if (images is None) != (out is None):
        raise click.UsageError("--images DIR and --out DIR go together")
    for name, value in (("--images", images), ("--out", out)):
        # An unset variable in somebody's script; as a path it is the current folder.
        if value is not None and not value.strip():
            raise click.UsageError(f"{name} is blank; name a folder, or leave both out for the workspace's posters.")
    if images and spark is None and is_table(images):
        raise click.UsageError(f"--images {images}: a table or a URI is read by --spark only.")
    if whiten and features == "raw":
        raise click.UsageError("--whiten is for --features gem or rmac")
    # Told before TensorFlow is imported, which takes seconds.
    workspace = Workspace(home) if images else Workspace.open(home)
    choice = BackboneChoice(backbone, weights, seed, engine)
    if choice.is_random:
        print_notes(["random weights see layout and palette only; use ImageNet's for anything but a trial"])
    import_tensorflow_quietly()
    # Of odd but readable files, one line each; what cannot be read is reported anyway.
    warnings.filterwarnings("ignore", module="PIL")
    how = Extraction(choice, Resize(resize), Pooling(features), whiten, replace)
    with nullcontext() if spark is None else spark_session(spark) as session:
        folder = None if out is None else folder_at(session, out) if session else as_path(out)
        if images and folder and session and is_table(images):
            report = extract_table(session, images, folder, how, progress=bar)
        elif images and folder:
            report = extract_folder(Path(images), folder, how, progress=bar, spark=session)
        else:
            report = extract(workspace, how, progress=bar, spark=session)
    _print(report, "images" if images else "posters", folder)
    return 1 if report.mostly_broken else 0


def _print(report: ExtractionReport, unit: str, folder: AnyPath | None) -> None:
    print_notes(f"computed again: {reason}" for reason in report.mended)
    dropped = f", {report.n_dropped:,} dropped" if report.n_dropped else ""
    click.echo(f"features of {report.n_new:,} {unit} computed, {report.n_known:,} already here{dropped}")
    if not report.skipped:
        return
    click.echo(f"{len(report.skipped):,} {unit} could not be read:", err=True)
    name = "movie_id " if folder is None else ""
    for skipped in report.skipped[:_N_LISTED]:
        # A line each, whatever stands in a file's name.
        click.echo("  " + " ".join(f"{name}{skipped.picture_id}: {skipped.reason}".split()), err=True)
    if len(report.skipped) > _N_LISTED:
        where = folder / "skipped.json" if folder else "features/skipped.json in the workspace"
        click.echo(f"  and {len(report.skipped) - _N_LISTED:,} more: see {where}", err=True)
