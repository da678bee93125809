"""``keyart evaluate models``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import cf
from catalog.errors import ConfigError
from catalog.io.progress import bar_of
from keyart import recommend, render
from keyart.cli.completion import complete_model
from keyart.cli.estimates import cells, estimate, nulled, number
from keyart.cli.options import (
    check_one_format,
    csv_option,
    file_option,
    json_option,
    k_option,
    set_option,
    workspace_options,
)
from keyart.cli.output import announce, echo, print_csv, print_json, table
from keyart.workspace.layout import Workspace

if TYPE_CHECKING:
    from cf.evaluation.evaluation import Scorecard
    from cf.evaluation.splits import Split
    from cf.ratings import Ratings

_COSTS = ("item_coverage", "novelty", "fit_s", "recommend_ms", "memory_mb")
# Seconds to rank for 100,000 ratings, and to fit a model of which nothing is expected.
_OTHER_S = 1.0
_ESTIMATES = ("rmse", "mae", "recall", "ndcg", "mrr")


@click.command("models")
@click.argument("names", nargs=-1, metavar="[MODEL]...", shell_complete=complete_model)
@click.option(
    "--split",
    "kind",
    type=click.Choice(["user", "random", "time", "folds", "cold"]),
    default="user",
    show_default=True,
    help="What to hold out: a share of each user's ratings (user), of all ratings (random), the latest (time), each "
    "fold in turn (folds), whole films (cold).",
)
@click.option(
    "--share",
    default=0.2,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="The share that is held out.",
)
@click.option(
    "--held-out", type=click.IntRange(min=1), metavar="N", help="Hold out N ratings of each user instead of a share."
)
@click.option("--folds", default=5, show_default=True, type=click.IntRange(min=2), help="Number of folds.")
@click.option("--seed", default=0, show_default=True, type=int, help="Random seed of the split.")
@file_option(
    "--ratings", "Ratings in place of the workspace's: CSV, tab-separated as u.data, or Parquet.", "ratings_path"
)
@file_option("--train", "Training ratings of your own split; with --test.")
@file_option("--test", "Test ratings of your own split; with --train.")
@k_option(10, "Length of the ranked lists.")
@click.option(
    "--relevant-from",
    default=0.0,
    type=click.FloatRange(0, 5),
    metavar="STARS",
    help="The least rating that makes a film relevant.  [default: any rating]",
)
@set_option
@json_option
@csv_option
@file_option("--plot", "Plot rating accuracy against ranking accuracy (.png, .svg, .pdf).")
@workspace_options
def command(
    names: tuple[str, ...],
    ratings_path: Path | None,
    train: Path | None,
    test: Path | None,
    k: int,
    relevant_from: float,
    parameters: dict[str, dict[str, Any]],
    as_json: bool,
    as_csv: bool,
    plot: Path | None,
    home: Path,
    **split: Any,
) -> None:
    """Compare recommenders on the same splits: RMSE and MAE, Recall, NDCG and MRR, coverage and cost.

    MODEL is a name that `keyart fit` lists, or all. Without any, all models are compared that need neither TensorFlow
    nor Spark. Rankings are full, films already rated are left out, and intervals are 95% intervals of a bootstrap
    over users.
    """
    check_one_format(as_json=as_json, as_csv=as_csv)
    if (train is None) != (test is None):
        raise ConfigError("--train and --test go together: name both files of your split")

    chosen = list(cf.registry.MODELS) if names == ("all",) else list(names) or recommend.models.light_models()
    for name in chosen:
        cf.registry.make(name)
    if plot:
        render.plots.check_plot_path(plot)
    if train and test:
        own_split = cf.evaluation.splits.read_split(train, test)
        splits: Iterable[Split] = [own_split]
        expected_s = _announce(chosen, own_split.train, 1, parameters)
    else:
        ratings = _ratings(ratings_path, home)
        splits = _splits(ratings, **split)
        expected_s = _announce(chosen, ratings, split["folds"] if split["kind"] == "folds" else 1, parameters)
    progress = bar_of(expected_s)
    cards = recommend.models.compare(chosen, splits, parameters, k=k, relevant_from=relevant_from, progress=progress)
    _print(cards, k, as_json=as_json, as_csv=as_csv)
    if plot:
        render.plots.draw_scorecards(cards, k, plot)
        echo(f"plot: {plot}", err=True)


def _announce(
    names: list[str], ratings: Ratings, n_splits: int, parameters: dict[str, dict[str, Any]]
) -> dict[str, float]:
    """Print the expected time of the fits, if it is long; return that of each model with its ranking."""
    fits_s = {name: recommend.models.expected_fit_s(name, ratings, parameters.get(name)) or 0.0 for name in names}
    announce("evaluate", n_splits * sum(fits_s.values()), " to fit the models; ranking takes some more")
    return {name: fit_s + _OTHER_S * len(ratings) / 100_000 for name, fit_s in fits_s.items()}


def _print(cards: list[Scorecard], k: int, *, as_json: bool, as_csv: bool) -> None:
    if as_json:
        models = [nulled(card.to_dict()) for card in cards]
        print_json({"k": k, "models": models, "notes": list(recommend.models.notes_on(cards))})
    elif as_csv:
        _print_csv(cards)
    else:
        _print_table(cards, k)


def _ratings(path: Path | None, home: Path) -> Ratings:
    from keyart.workspace.contents import open_ratings

    return cf.ratings.read_ratings(path) if path else open_ratings(Workspace.open(home))


def _splits(ratings: Ratings, kind: str, share: float, held_out: int | None, folds: int, seed: int) -> Iterable[Split]:

    if held_out and kind != "user":
        raise ConfigError(f"--held-out goes with --split user, not with --split {kind}")
    if kind == "folds":
        return cf.evaluation.splits.k_fold(ratings, folds, seed)
    one = {
        "user": lambda: cf.evaluation.splits.by_user(ratings, held_out or share, seed),
        "random": lambda: cf.evaluation.splits.random_split(ratings, share, seed),
        "time": lambda: cf.evaluation.splits.by_time(ratings, share),
        "cold": lambda: cf.evaluation.splits.item_cold(ratings, share, seed),
    }
    return [one[kind]()]


def _print_table(cards: list[Scorecard], k: int) -> None:
    measures = ("RMSE", "MAE", "predicted", f"Recall@{k}", f"NDCG@{k}", "MRR", "films", "novelty")
    header = ("model", *measures, "fit", "a user", "memory", "")
    rows = [
        (
            card.name,
            estimate(card.rmse) + ("" if card.gives_stars else "*"),
            number(card.mae.value),
            f"{card.predicted:.1%}",
            number(card.recall.value),
            estimate(card.ndcg),
            number(card.mrr.value),
            f"{card.item_coverage:.1%}",
            number(card.novelty, ".1f"),
            f"{card.fit_s:.1f} s",
            f"{card.recommend_ms:.2f} ms",
            f"{card.memory_mb:,.0f} MB",
            card.remark,
        )
        for card in cards
    ]
    echo(table(header, rows, left=(0, 12)))
    if not all(card.gives_stars for card in cards):
        echo("* predicts no stars; its scores are mapped to stars by a straight line")


def _print_csv(cards: list[Scorecard]) -> None:
    columns = ["model", "gives_stars", "predicted"]
    columns += [f"{name}{end}" for name in _ESTIMATES for end in ("", "_low", "_high")]
    print_csv([*columns, *_COSTS, "remark"], map(_csv_row, cards))


def _csv_row(card: Scorecard) -> dict[str, Any]:
    row: dict[str, Any] = {"model": card.name, "gives_stars": card.gives_stars, "predicted": card.predicted}
    for name in _ESTIMATES:
        row |= cells(name, getattr(card, name))
    return row | {name: getattr(card, name) for name in (*_COSTS, "remark")}
