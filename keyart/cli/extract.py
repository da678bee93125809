"""``keyart extract``."""

from __future__ import annotations

from pathlib import Path

import click

from keyart.cli.options import say_notes, workspace_options

_N_LISTED = 20


@click.command("extract")
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
@click.option("--seed", default=0, show_default=True, help="For random weights.")
@click.option(
    "--resize",
    type=click.Choice(["antialias", "nearest"]),
    default="antialias",
    show_default=True,
    help="How posters become 224 × 224; nearest is the original article's way.",
)
@click.option("--replace", is_flag=True, help="Remove features of another network first.")
@workspace_options
def command(backbone: str, weights: str, seed: int, resize: str, replace: bool, home: Path) -> None:
    """Turn each poster into 25,088 numbers with VGG16.

    Posters whose features are there already are not computed again, so it may be stopped and started at will. A poster
    that cannot be read is recorded and passed over.
    """
    from features.backbone import BackboneChoice
    from features.images import Resize
    from keyart.cli.quiet import import_tensorflow_quietly
    from keyart.pipeline import extract
    from keyart.progress import bar
    from keyart.workspace import Workspace

    choice = BackboneChoice(backbone, weights, seed)
    if choice.is_random:
        say_notes(["random weights see layout and palette only; use ImageNet's for anything but a trial"])
    import_tensorflow_quietly()
    report = extract(Workspace.open(home), choice, Resize(resize), replace_others=replace, progress=bar)
    click.echo(f"features of {report.n_new:,} posters computed, {report.n_known:,} already here")
    if report.skipped:
        click.echo(f"{len(report.skipped):,} posters could not be read:", err=True)
    for skipped in report.skipped[:_N_LISTED]:
        click.echo(f"  movie_id {skipped.movie_id}: {skipped.reason}", err=True)
