"""``keyart evaluate cold-start``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

import cf
from catalog.errors import ConfigError
from catalog.io.progress import bar
from catalog.text import plural
from keyart import cold_start, render
from keyart.cli.completion import complete_cold_start_model
from keyart.cli.estimates import cells, estimate, nulled, number
from keyart.cli.options import check_one_format, csv_option, file_option, json_option, workspace_options
from keyart.cli.output import announce, echo, print_csv, print_json, table
from keyart.workspace.layout import Workspace

if TYPE_CHECKING:
    from cf.coldstart.evaluation import ColdStartReport
    from cf.coldstart.few_shot import FewShotCurve
    from cf.coldstart.means import MeanScore
    from cf.coldstart.prior_evaluation import PriorScore
    from keyart.cold_start.evaluation import ColdStartEvaluation

_MEASURES = ("auc", "recall", "ndcg", "difference", "gain", "auc_distinct", "recall_distinct", "ndcg_distinct")
_AMONG = {"cold": "Among the hidden films alone", "all": "Among all films that the user has not rated"}


@click.command("cold-start")
@click.argument("names", nargs=-1, metavar="[MODEL]...", shell_complete=complete_cold_start_model)
@click.option(
    "--seeds", "n_seeds", default=5, show_default=True, type=click.IntRange(min=1), help="Number of random draws."
)
@click.option(
    "--on",
    type=click.Choice(["test", "validation"]),
    default="test",
    show_default=True,
    help="Which half of the hidden films; validation is for choosing.",
)
@click.option(
    "--candidates",
    type=click.Choice(["cold", "all", "both"]),
    default="both",
    show_default=True,
    help="Rank a user's hidden films among the hidden films, or among all.",
)
@click.option("--few-shot", is_flag=True, help="Also rank by the first few ratings of a film, and by both.")
@click.option("--ratings-prior", is_flag=True, help="Also predict stars with content as the prior.")
@click.option("--means", is_flag=True, help="Also count how many intervals of the mean hold the means of hidden films.")
@file_option("--test-items", "Hide the films of this file, in place of draws: a CSV file with movieId, or ratings.")
@file_option("--ratings", "With --test-items: learn from these ratings, not the workspace's.")
@click.option(
    "-k",
    "lengths",
    multiple=True,
    type=click.IntRange(min=1),
    help="With --test-items: also Recall and NDCG of lists of K films; may be repeated.",
)
@json_option
@csv_option
@file_option("--plot", "Plot the curve of --few-shot (.png, .svg, .pdf).")
@workspace_options
def command(
    names: tuple[str, ...],
    candidates: str,
    as_json: bool,
    as_csv: bool,
    plot: Path | None,
    home: Path,
    **others: Any,
) -> None:
    """Compare models of the cold start, all of them by default.

    A fifth of the films with posters is hidden with all ratings, and half of it is ranked for each user by content:
    AUC, Recall@20 and NDCG@10, beside genres and years alone. --test-items hides the films of a published split.
    (`evaluate models --split cold` hides films from recommenders, which
    know nothing else of them.)
    """
    check_one_format(as_json=as_json, as_csv=as_csv)
    extras = [f"--{name.replace('_', '-')}" for name in ("few_shot", "ratings_prior", "means") if others[name]]
    if as_csv and extras:
        raise ConfigError(f"--csv holds the ranking alone; take --json with {' or '.join(extras)}")
    _check_split(others, extras)
    if plot and not others["few_shot"]:
        raise ConfigError("--plot draws the curve of --few-shot; add it")

    if plot:
        render.plots.check_plot_path(plot)
    chosen = () if names == ("all",) else names
    for name in chosen:
        cf.coldstart.registry.make_cold_start(name)
    workspace = Workspace.open(home)

    kinds = [kind for kind in cf.coldstart.evaluation.CANDIDATES if candidates in (kind, "both")]
    options = cold_start.evaluation.ColdStartOptions(chosen, candidates=kinds, **others)
    more = f"; {' and '.join(extras)} {'takes' if len(extras) == 1 else 'take'} some more" if extras else ""
    announce("evaluate", cold_start.evaluation.expected_s(workspace, options), more)
    evaluation = cold_start.evaluation.evaluate_cold_start(workspace, options, progress=bar)
    if as_json:
        print_json(nulled(evaluation.to_dict()) | {"notes": list(_notes(evaluation.report))})
    elif as_csv:
        _print_csv(evaluation)
    else:
        _print_tables(evaluation)
    if plot and evaluation.curve:
        render.plots.draw_crossover(evaluation.curve, plot)
        echo(f"plot: {plot}", err=True)


def _check_split(options: dict[str, Any], extras: list[str]) -> None:
    """Raise ConfigError for options that a published split has no use for, or that only such a split has."""
    given = click.get_current_context().get_parameter_source
    of_splits = {"--ratings": "ratings", "-k": "lengths"}
    of_draws = {"--seeds": "n_seeds", "--on": "on"}
    others = of_draws if options["test_items"] else of_splits
    needless = [name for name, key in others.items() if given(key) is ParameterSource.COMMANDLINE]
    if not options["test_items"] and needless:
        raise ConfigError(f"{' and '.join(needless)} is for a split of your own; add --test-items FILE")
    if options["test_items"] and (needless := [*needless, *extras]):
        raise ConfigError(f"--test-items names the films, so that none are drawn; leave out {', '.join(needless)}")


def _print_tables(evaluation: ColdStartEvaluation) -> None:
    report = evaluation.report
    for kind in dict.fromkeys(card.candidates for card in report.cards):
        echo(f"{_AMONG[kind]}:\n{_ranking_table(report, kind)}\n")
    for note in _notes(report):
        echo(note)
    if evaluation.curve:
        echo(f"\n{_curve_table(evaluation.curve)}")
    if evaluation.prior is not None:
        echo(f"\n{_prior_table(evaluation.prior)}")
    if evaluation.means is not None:
        echo(f"\n{_means_table(evaluation.means)}")


def _ranking_table(report: ColdStartReport, kind: str) -> str:
    baseline = cf.coldstart.evaluation.BASELINE

    rows = [
        (
            card.name,
            *(estimate(measure) for measure in (card.auc, card.recall, card.ndcg)),
            "" if card.name == baseline else estimate(card.gain, "+.1f", " %"),
            *(estimate(measure) for of_k in card.at for measure in (of_k.recall, of_k.ndcg)),
            number(card.ndcg_distinct.value),
        )
        for card in report.cards
        if card.candidates == kind
    ]
    lengths = [of_k.k for of_k in report.cards[0].at]
    header = (
        "model",
        "AUC",
        "Recall@20",
        "NDCG@10",
        f"NDCG over {baseline}",
        *(f"{measure}@{k}" for k in lengths for measure in ("Recall", "NDCG")),
        "NDCG@10, new artwork",
    )
    return table(header, rows, left=(0,))


def _notes(report: ColdStartReport) -> Iterable[str]:
    draws = report.draws
    hidden, ranked = _range([draw.n_hidden for draw in draws]), _range([draw.n_cold for draw in draws])
    copies, n_strangers = _range([draw.n_copies for draw in draws]), sum(draw.n_strangers for draw in draws)
    if report.on is None:
        yield f"{ranked} given films were hidden, and ranked for {plural(report.n_users, 'user')}."
    else:
        yield (
            f"{plural(len(draws), 'draw')}; of {hidden} hidden films, the {ranked} of the {report.on} half were ranked "
            f"for {plural(report.n_users, 'user')}."
        )
    yield from power_notes(report)
    if report.chosen:
        counts = [f"{name} in {plural(n, 'draw')}" for name, n in Counter(report.chosen).most_common()]
        yield f"Chosen on the validation half: {', '.join(counts)}."
    yield f"Ratings of hidden films that were learned from: {sum(draw.n_leaks for draw in draws)}."
    yield f"Ranked films with nearly the artwork of a film that was learned from: {copies}; the last column is without."
    if n_strangers:
        yield f"Ratings of users who had rated nothing else, passed over: {n_strangers}."


def power_notes(report: ColdStartReport) -> Iterable[str]:
    """Yield what intervals cover, and the smallest gains that the evaluation could have found."""
    yield f"Intervals cover users{' and draws' if len(report.draws) > 1 else ' only'}."
    baseline = cf.coldstart.evaluation.BASELINE
    smallest = [
        f"{card.name} {card.detectable_gain:.1f} %"
        for card in report.cards
        if card.candidates == "cold" and card.name != baseline and card.detectable_gain == card.detectable_gain
    ]
    if smallest:
        yield f"Smallest gains that would be found in 80 of 100 such evaluations: {', '.join(smallest)}."


def _curve_table(curve: FewShotCurve) -> str:
    rows = [
        (str(n), *(estimate(estimates[step]) for estimates in (curve.content, curve.ratings, curve.mixed)))
        for step, n in enumerate(curve.steps)
    ]
    header = ("ratings", "NDCG@10 by content", "by ratings", "by both")
    return f"{table(header, rows)}\n{crossover_line(curve)}"


def crossover_line(curve: FewShotCurve) -> str:
    """Describe the number of ratings from which they rank better than content."""
    first = next((n for n in curve.steps if n), 0)
    if curve.crossover is None:
        sentence = f"Ratings alone never beat content alone within {curve.steps[-1]}"
    elif curve.crossover <= first:
        sentence = f"Ratings alone beat content alone from the first step, {first}, on"
    else:
        sentence = f"Ratings alone beat content alone from {curve.crossover:.0f} on"
    return f"{sentence} ({curve.model}, {plural(curve.n_films, 'film')})."


def _prior_table(scores: list[PriorScore]) -> str:
    rows = [
        (
            score.source,
            score.support,
            f"{score.n_ratings:,}",
            estimate(score.rmse),
            "" if score.source == "none" else estimate(score.difference, "+.4f"),
        )
        for score in scores
    ]
    header = ("prior", "ratings of the film", "predicted", "RMSE", "RMSE over none")
    return f"{table(header, rows, left=(0,))}\nIntervals of stars cover users and films."


def _means_table(scores: list[MeanScore]) -> str:
    rows = [
        (
            score.support,
            f"{score.n_films:,}",
            number(score.rmse),
            number(score.half_width),
            estimate(score.as_printed, ".1f", " %"),
            estimate(score.with_sampling, ".1f", " %"),
        )
        for score in scores
    ]
    header = ("ratings of the film", "films", "RMSE of its mean", "half interval", "mean inside", "with sampling error")
    return table(header, rows, left=(0,))


def _print_csv(evaluation: ColdStartEvaluation) -> None:
    at = [f"{name}_{of_k.k}" for of_k in evaluation.report.cards[0].at for name in ("recall", "ndcg")]
    bounded = [f"{name}{end}" for name in (*_MEASURES, *at) for end in ("", "_low", "_high")]
    columns = ["candidates", "model", *bounded, "detectable_gain"]
    rows = []
    for card in evaluation.report.cards:
        row: dict[str, Any] = {"candidates": card.candidates, "model": card.name}
        for name in _MEASURES:
            row |= cells(name, getattr(card, name))
        row["detectable_gain"] = card.detectable_gain
        for of_k in card.at:
            row |= cells(f"recall_{of_k.k}", of_k.recall) | cells(f"ndcg_{of_k.k}", of_k.ndcg)
        rows.append(row)
    print_csv(columns, rows)


def _range(counts: list[int]) -> str:
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
