"""``keyart extract``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource

from catalog.io.locks import check_free
from catalog.io.progress import bar
from catalog.io.remote import as_path
from catalog.text import plural
from features.encoders.pairs import PAIRS
from features.encoders.registry import ENCODERS
from features.options import ExtractOptions
from features.preprocessing_files import preprocessing_from
from keyart import pipeline
from keyart.cli.groups import renamed
from keyart.cli.interruption import RESUMES, keeps
from keyart.cli.options import workspace_options
from keyart.cli.output import echo, print_notes
from keyart.cli.quiet import spark_session
from keyart.workspace.layout import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from features.extraction import ExtractReport
    from features.options import Engine

_N_LISTED = 20
# By the parameters that choose them.
_FIELDS = {
    "encoder": "encoder",
    "preprocessing": "preprocessing",
    "weights": "weights",
    "seed": "seed",
    "features": "pooling",
    "whiten": "whiten",
    "resize": "resize",
    "engine": "engine",
}


def _checked_preprocessing(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    try:
        if text is not None:
            preprocessing_from(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return text


@click.command("extract", cls=renamed(backbone="--encoder", replace="--rebuild"))
@click.option(
    "--images",
    metavar="DIR",
    help="Any folder of images, in place of the workspace's posters; with --out. With --spark also a Parquet table.",
)
@click.option("--out", metavar="DIR", help="The folder for the features of --images: new or empty, or a URI.")
@click.option(
    "--encoder",
    default="vgg16",
    metavar="NAME|PATH",
    help=f"{', '.join((*ENCODERS, *PAIRS))}, a Keras or ONNX file, or a pair that knows words: its folder or "
    "hf:OWNER/REPOSITORY@REVISION.  [default: every encoder of the workspace, else vgg16]",
)
@click.option(
    "--as",
    "name",
    metavar="NAME",
    help="What the workspace calls the encoder.  [default: its name, or that of its file]",
)
@click.option(
    "--preprocessing",
    default=None,
    metavar="TEXT|FILE",
    callback=_checked_preprocessing,
    help="For a file: caffe, tf, torch, ORDER,MEAN,STD as in rgb,127,128, or a JSON file.  [default: that beside it]",
)
@click.option(
    "--weights",
    default="imagenet",
    show_default=True,
    metavar="NAME|PATH",
    help="For an encoder by name: imagenet, random, or a .h5 file without the top.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Seed of random weights.")
@click.option(
    "--features",
    type=click.Choice(["raw", "gem", "rmac"]),
    default="raw",
    show_default=True,
    help="What to store: all numbers (25,088 of vgg16), or a pooled descriptor (512).",
)
@click.option("--whiten", is_flag=True, help="Whiten pooled descriptors, as learned from 2,000 images.")
@click.option(
    "--resize",
    type=click.Choice(["antialias", "nearest"]),
    default="antialias",
    show_default=True,
    help="How posters are resized to the network's input; nearest reproduces the original article.",
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
@click.option("--rebuild", is_flag=True, help="Replace features that another network or other options computed.")
@workspace_options
def command(
    images: str | None,
    out: str | None,
    encoder: str,
    name: str | None,
    preprocessing: str | None,
    weights: str,
    seed: int,
    features: Literal["raw", "gem", "rmac"],
    whiten: bool,
    resize: Literal["antialias", "nearest"],
    engine: Literal["keras", "onnx"],
    spark: str | None,
    rebuild: bool,
    home: Path,
) -> int:
    """Turn each poster into a row of numbers: 25,088 with VGG16, or those of another encoder.

    Features of several encoders stay side by side; without options, those that are missing are computed for each.
    Resumes if interrupted: posters whose features are there already are not computed again. Features whose poster is
    gone are dropped. Posters that cannot be read are listed and skipped; if more than half cannot, the exit code is 1.
    """
    from features.encoders.loading import check_files
    from features.store import with_recorded_preprocessing

    _check(images, out, spark)
    if images and name is not None:
        raise click.UsageError("--as names an encoder of a workspace; leave it out with --images")
    if whiten and features == "raw":
        raise click.UsageError("--whiten is for --features gem or rmac")
    source = images or Workspace.open(home)
    options = ExtractOptions(
        encoder, weights, seed, engine, resize, features, whiten, rebuild=rebuild, preprocessing=preprocessing
    )
    if isinstance(source, Workspace):
        given = {field: getattr(options, field) for option, field in _FIELDS.items() if _is_given(option)}
        if not given.keys() - {"engine"} and name is None:
            return _fill(source, given.get("engine"), spark, rebuild=rebuild)
        view = _recorded_view(source, given) if name is None else None
        if view is not None:
            name, options = view.encoder, _recorded_options(view, given, rebuild=rebuild)
        source = _view(source, options, name)
    # Spark takes seconds to start. A URI is opened by its settings, so what that folder records is read there.
    if spark is None or "://" not in (out or ""):
        folder = source.features_dir if isinstance(source, Workspace) else as_path(out or "")
        check_files(with_recorded_preprocessing(options, folder))
    if isinstance(source, Workspace):
        check_free(source.features_dir)
    with keeps(RESUMES, lambda: _has_features(source, out)):
        report = _run(source, name, out, options, spark)
    _print(report, out)
    if isinstance(source, Workspace) and not report.n_known:
        print_notes(_notes_on_place(source))
    return 1 if report.mostly_broken else 0


def _is_given(parameter: str) -> bool:
    return click.get_current_context().get_parameter_source(parameter) is not ParameterSource.DEFAULT


def _recorded_view(workspace: Workspace, given: Mapping[str, Any]) -> Workspace | None:
    """Return the view whose recorded network is meant: that of a name that no other network has, or the default."""
    from keyart.workspace.encoders import find_encoder

    if "encoder" in given:
        encoder = given["encoder"]
        return None if encoder in ENCODERS or Path(encoder).exists() else find_encoder(workspace, encoder)
    # These are of a network, so they are for the one that is named, or VGG16.
    return None if given.keys() & {"weights", "seed", "preprocessing"} else workspace


def _recorded_options(view: Workspace, given: Mapping[str, Any], *, rebuild: bool) -> ExtractOptions:
    """Return the options of the features of an encoder, with those that are given in their place."""
    recorded = pipeline.features.recorded_options(view, rebuild=rebuild)
    # A whitening is of pooled features.
    changed: dict[str, Any] = {} if "pooling" not in given else {"whiten": None}
    changed |= {field: value for field, value in given.items() if field != "encoder"}
    return replace(recorded, **changed)


def _view(workspace: Workspace, options: ExtractOptions, name: str | None) -> Workspace:
    from keyart.workspace.encoders import place_of

    return place_of(workspace, options.encoder, name)


def _notes_on_place(view: Workspace) -> list[str]:
    from keyart.workspace.encoders import name_of

    default, name = view.default(), name_of(view)
    if view.encoder == default.encoder:
        return []
    return [
        f"{name_of(default)} stays the default; run `keyart build`, then compare by these with --encoder {name}, or "
        f"make them the default: `keyart encoders default {name}`"
    ]


def _fill(workspace: Workspace, engine: Engine | None, spark: str | None, *, rebuild: bool) -> int:
    """Compute what is missing for every encoder of the workspace."""
    with keeps(RESUMES, lambda: _has_features(workspace, None)), _session(spark) as session:
        result = pipeline.extract_missing(
            workspace, engine=engine, rebuild=rebuild, progress=bar, spark=session, on_encoder=_note_random
        )
    for name, report in result.reports.items():
        _print(report, None, f"{name}: " if len(result.reports) + len(result.failed) > 1 else "")
    print_notes(f"{name}: {error}" for name, error in result.failed.items())
    return 1 if result.failed or any(report.mostly_broken for report in result.reports.values()) else 0


def _note_random(options: ExtractOptions) -> None:
    if options.is_random:
        print_notes(["random weights capture layout and palette only; use them for trials"])


@contextmanager
def _session(spark: str | None) -> Iterator[SparkSession | None]:
    # Pillow warns of odd but readable files; what cannot be read is reported anyway.
    warnings.filterwarnings("ignore", module="PIL")
    with nullcontext() if spark is None else spark_session(spark) as session:
        yield session


def _check(images: str | None, out: str | None, spark: str | None) -> None:
    from features.spark import is_table

    if (images is None) != (out is None):
        raise click.UsageError("--images DIR and --out DIR go together")
    for name, value in (("--images", images), ("--out", out)):
        # An unset variable in a script; as a path it is the current folder.
        if value is not None and not value.strip():
            raise click.UsageError(f"{name} is blank; name a folder, or leave both out for the workspace's posters.")
    if images and spark is None and is_table(images):
        raise click.UsageError(f"--images {images}: a table or a URI is read by --spark only.")


def _has_features(source: str | Workspace, out: str | None) -> bool:
    folder = source.features_dir if isinstance(source, Workspace) else as_path(out or "")
    return any(folder.glob("features-*.json"))


def _run(
    source: str | Workspace, name: str | None, out: str | None, options: ExtractOptions, spark: str | None
) -> ExtractReport:
    from features.spark import is_table, read_table

    _note_random(options)
    with _session(spark) as session:
        if not isinstance(source, str) or out is None:
            return pipeline.extract(source, options, name=name, progress=bar, spark=session)
        if session and is_table(source):
            table = read_table(session, source)
            return pipeline.extract_table(table, out, options, drop_missing=True, progress=bar)
        return pipeline.extract_images(source, out, options, drop_missing=True, progress=bar, spark=session)


def _print(report: ExtractReport, out: str | None, by: str = "") -> None:
    unit = "poster" if out is None else "image"
    print_notes(f"computed again: {reason}" for reason in report.damaged)
    dropped = f", {report.n_dropped:,} dropped" if report.n_dropped else ""
    echo(f"{by}features of {plural(report.n_new, unit)} computed, {report.n_known:,} already here{dropped}")
    if report.passed_over:
        from catalog.image_formats import listed_endings

        n_others = plural(sum(report.passed_over.values()), "file")
        print_notes([f"{n_others} passed over, no images by their names: {listed_endings(report.passed_over)}"])
    if report.alternates:
        _print_alternates(report.alternates, by)
    if not report.skipped:
        return
    echo(f"{by}{plural(len(report.skipped), unit)} could not be read:", err=True)
    name = "movie_id " if out is None else ""
    for skipped in report.skipped[:_N_LISTED]:
        # One line each, even if a file's name has line ends.
        echo("  " + " ".join(f"{name}{skipped.picture_id}: {skipped.reason}".split()), err=True)
    if len(report.skipped) > _N_LISTED:
        where = "features/skipped.json in the workspace" if out is None else f"{out.rstrip('/')}/skipped.json"
        echo(f"  and {len(report.skipped) - _N_LISTED:,} more: see {where}", err=True)


def _print_alternates(report: ExtractReport, by: str) -> None:
    computed = f"features of {plural(report.n_new, 'further poster')} computed, {report.n_known:,} already here"
    echo(f"{by}{computed}{f', {report.n_dropped:,} dropped' if report.n_dropped else ''}")
    print_notes(
        f"{by}further poster {one.picture_id} could not be read: {one.reason}" for one in report.skipped[:_N_LISTED]
    )
