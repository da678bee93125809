"""``keyart tune``."""

from __future__ import annotations

from pathlib import Path

import click

import cf
from catalog.io.progress import bar
from keyart import pipeline
from keyart.cli.completion import complete_model
from keyart.cli.encoders import encoder_option
from keyart.cli.estimates import estimate, nulled
from keyart.cli.hints import HINTS
from keyart.cli.options import Share, json_option, workspace_options
from keyart.cli.output import echo, print_json, table


@click.command("tune")
@click.option(
    "--model",
    default="item-cosine",
    show_default=True,
    metavar="MODEL",
    shell_complete=complete_model,
    help="The recommender that supplies similarities of ratings.",
)
@click.option(
    "--calibration",
    type=click.Choice(["percentile", "z-score", "min-max", "reciprocal-rank"]),
    default="percentile",
    show_default=True,
    help="How similarities of ratings and content are calibrated to those of looks.",
)
@click.option(
    "--min-alpha",
    type=Share(),
    default=0.5,
    show_default=True,
    help="Ratings count at most 1 less this; 0 allows ratings alone.",
)
@click.option("--reset", is_flag=True, help="Return to the defaults instead.")
@click.option(
    "--films",
    "n_films",
    default=200,
    show_default=True,
    type=click.IntRange(min=1),
    help="Number of films in each bucket of numbers of ratings.",
)
@click.option("--seed", default=0, show_default=True, type=int, help="Random seed of the held-out ratings.")
@json_option
@encoder_option()
@workspace_options
def command(
    model: str,
    calibration: str,
    min_alpha: float,
    reset: bool,
    n_films: int,
    seed: int,
    as_json: bool,
    encoder: str | None,
    home: Path,
) -> None:
    """Fit how much ratings and content count beside looks, and keep it: `keyart similar` uses it from then on.

    Three tenths of each user's ratings are held out; a blend is good if it puts first what the same users liked there.
    """
    from keyart.workspace.encoders import open_view

    workspace = open_view(home, encoder)
    cf.registry.model_class(model)

    if reset:
        was_tuned = pipeline.reset_tuning(workspace)
        note = "the blend is back to its defaults" if was_tuned else "nothing was tuned"
        if as_json:
            print_json({"was_tuned": was_tuned, "notes": [note]})
        else:
            echo(note)
        return
    report = pipeline.tune(
        workspace, model, calibration=calibration, min_alpha=min_alpha, n_films=n_films, seed=seed, progress=bar
    )
    tuning = report.tuning
    if as_json:
        print_json(nulled(report.to_dict()))
        return
    blending = tuning.blending
    echo(f"ratings = {blending.cf_share:g} · n / (n + {blending.n_ratings_at_half:g}), by {model}")
    echo(f"content = {blending.content_share:g} · (1 − ratings); looks are the rest")
    for note in report.notes:
        echo(HINTS.complete(note))
    rows = [
        (
            _bucket(one.least, one.most),
            str(one.n_films),
            *(f"{value:.3f}" for value in (one.visual, one.cf, one.content, one.blended)),
            estimate(one.gain, "+.3f"),
        )
        for one in tuning.buckets
    ]
    echo(table(("ratings", "films", "looks", "ratings alone", "content", "blended", "gain over ratings alone"), rows))


def _bucket(least: int, most: int) -> str:
    if most >= cf.hybrid.tuning.BUCKETS[-1][1]:
        return f"{least}+"
    return f"{least}" if least == most else f"{least}–{most}"
