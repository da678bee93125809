"""``keyart demo``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

import keyart
from catalog.errors import FetchError, StoreError
from catalog.extras import EXTRAS, is_installed, pip_install
from catalog.io.keras import require_keras
from catalog.io.progress import bar
from catalog.text import plural
from features.options import RANDOM, ExtractOptions
from keyart import pipeline
from keyart.cli import demo
from keyart.cli.commands.similar import print_table
from keyart.cli.next_steps import next_steps
from keyart.cli.options import debug_option
from keyart.cli.output import echo
from keyart.workspace.layout import Workspace
from keyart.workspace.settings import keras_models_dir

if TYPE_CHECKING:
    from features.options import ExtractOptions
    from keyart.engine import Engine
    from keyart.workspace.layout import Workspace

# Enough for a fast connection.
_DOWNLOAD_S = 10.0
_K = 5


@click.command("demo")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("keyart-demo"),
    show_default=True,
    metavar="DIR",
    help="A new or empty folder for films, posters, workspace and sheets, or that of an earlier demo.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Random seed of posters and users.",
)
@debug_option
def command(out: Path, seed: int) -> None:
    """Run every step on 60 films that the program draws itself: offline, in about a minute.

    The posters have eight styles of design. The ratings come from simulated users whose tastes do not depend on the
    styles, so similar posters and similar ratings differ.
    """
    require_keras()
    demo.folder.claim_folder(out)
    workspace = _prepare(out, seed)
    extract_and_build(workspace)
    with keyart.Engine.open(workspace.home) as engine:
        _print_precision(engine)
        for number, lookup in enumerate(demo.catalog.LOOKUPS, start=1):
            echo(f"\n{number}. {lookup.title}: {lookup.reason}")
            _look_up(engine, lookup.title, out)
    echo(f"\n{next_steps(out / 'workspace')}")


def _prepare(out: Path, seed: int) -> Workspace:

    echo(f"Drawing 60 posters in eight styles into {out / 'movielens'} …")
    demo.catalog.write_demo(out / "movielens", seed)
    workspace = Workspace(out / "workspace")
    loaded = pipeline.load(workspace.home, out / "movielens")
    imported = pipeline.import_posters(workspace, out / "movielens" / "posters", "movie")
    n_posters = imported.n_imported + imported.n_unchanged
    echo(f"{loaded.n_films} films, {loaded.n_ratings:,} ratings, {n_posters} posters in {workspace.home}")
    return workspace


def extract_and_build(workspace: Workspace) -> None:
    """Compute features by the best encoder at hand, and make it the default beside those of earlier runs."""
    options = choose_options()
    pipeline.extract(workspace, options, progress=bar)
    pipeline.set_default_encoder(workspace, str(options.encoder))
    pipeline.build(workspace, progress=bar)


def choose_options() -> ExtractOptions:
    """Choose a trained network if this machine has one or can get one in time, and print which."""
    from features.encoders.weights import imagenet_weights_path

    try:
        imagenet_weights_path(keras_models_dir(), deadline_s=_DOWNLOAD_S)
    except (FetchError, StoreError):
        return _options_without_download()
    echo("Features: VGG16 with ImageNet weights.")
    return ExtractOptions(rebuild=True)


def _options_without_download() -> ExtractOptions:
    reason = "as VGG16's are not on this machine and could not be downloaded"
    if is_installed("offline"):
        echo(f"Features: EfficientNet-Lite0 with the ImageNet weights of an installed package, {reason}.")
        return ExtractOptions("efficientnet-lite0", rebuild=True)
    echo(
        f"Features: VGG16 with RANDOM weights, the mean removed, {reason}; they capture layout and palette only. For a "
        f"trained network: {pip_install(*EXTRAS['offline'].values())}"
    )
    return ExtractOptions(weights=RANDOM, rebuild=True)


def _print_precision(engine: Engine) -> None:
    """Print how well look-alikes match the styles, which are known here."""
    k, styles = demo.precision.K, demo.precision.measure_styles(engine)
    echo(
        f"Same style among the {k} most similar posters: precision@{k} {styles.precision:.2f}, by chance "
        f"{styles.chance:.2f}." + ("" if styles.beats_chance else " These features do not recognize the styles.")
    )


def _look_up(engine: Engine, title: str, out: Path) -> None:

    result = engine.similar(title, _K)
    print_table(result)
    for note in result.notes:
        echo(f"   ({note})")
    if any(hit.visual is not None and hit.cf is not None for hit in result):
        for alpha, meaning in ((1.0, "by looks alone  "), (0.0, "by ratings alone")):
            hits = engine.similar(title, 3, alpha)
            echo(f"   {meaning} (--alpha {alpha:g}): " + ", ".join(hit.label for hit in hits))
    _print_prediction(engine, title)
    sheet_path = out / f"{_file_name(title)}.png"
    keyart.write_contact_sheet(engine.similar(title, 10), sheet_path)
    echo(f"   sheet: {sheet_path}")


def _print_prediction(engine: Engine, title: str) -> None:
    """Print what is predicted of a film without ratings, by its poster, genres and year."""
    film, path = engine.find(title), engine.similar(title, 1).query.poster_path
    if film.n_ratings or path is None:
        return
    (prediction,) = engine.cold_start([keyart.NewFilm(path, film.title, film.year, film.genres)])
    if prediction.expected:
        expected, fans = prediction.expected, ", ".join(str(fan.user_id) for fan in prediction.audience[:3])
        echo(
            f"   expected mean rating {expected.mean:.1f} ({expected.low:.1f} to {expected.high:.1f}); of "
            f"{plural(len(prediction.audience), 'user')} who would like it, most: {fans}"
        )


def _file_name(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
