"""Evaluate the cold start on films of ml-latest-small that are hidden with all their ratings.

    python benchmarks/cold_start.py --home DIR [--curve docs/cold-start-crossover.svg] [--seeds 5]

DIR is a workspace with ratings, features and an index. Prints the tables of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

# benchmarks/index.py is not the package of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.tables import print_header, print_row  # noqa: E402 - needs the path

if TYPE_CHECKING:
    from cf.coldstart.evaluation import ColdStartReport
    from cf.coldstart.few_shot import FewShotCurve
    from cf.coldstart.prior_evaluation import PriorScore


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="the workspace")
    parser.add_argument("--curve", type=Path, help="where the curve is drawn: .png, .svg, .pdf")
    parser.add_argument("--seeds", type=int, default=5, help="draws of hidden films")
    arguments = parser.parse_args()
    from keyart.cold_start.evaluation import ColdStartOptions, evaluate_cold_start
    from keyart.render.plots import check_plot_path, draw_crossover
    from keyart.workspace.layout import Workspace

    if arguments.curve:
        check_plot_path(arguments.curve)
    options = ColdStartOptions(n_seeds=arguments.seeds, few_shot=True, ratings_prior=True)
    evaluation = evaluate_cold_start(Workspace.open(arguments.home), options)
    for kind in options.candidates:
        print_ranking(evaluation.report, kind)
    print_draws(evaluation.report)
    assert evaluation.curve is not None
    print_curve(evaluation.curve)
    print_prior(evaluation.prior or [])
    if arguments.curve:
        draw_crossover(evaluation.curve, arguments.curve)


def print_ranking(report: ColdStartReport, kind: str) -> None:
    from cf.coldstart.evaluation import BASELINE
    from keyart.cli.estimates import estimate

    print_header(f"Candidates: {kind}", "model", "AUC", "Recall@20", "NDCG@10", f"over {BASELINE}", "by draw")
    for card in report.cards:
        if card.candidates == kind:
            gain = "" if card.name == BASELINE else estimate(card.gain, "+.1f", " %")
            by_draw = " ".join(f"{value:.3f}" for value in card.ndcg_by_seed)
            measures = (estimate(measure) for measure in (card.auc, card.recall, card.ndcg))
            print_row(f"`{card.name}`", *measures, gain, by_draw)


def print_draws(report: ColdStartReport) -> None:
    print(f"\n{report.n_users} users")
    print_header("Draws", "draw", "hidden", "ranked", "copies", "leaks", "strangers")
    for draw in report.draws:
        print_row(draw.seed, draw.n_hidden, draw.n_cold, draw.n_copies, draw.n_leaks, draw.n_strangers)


def print_curve(curve: FewShotCurve) -> None:
    from keyart.cli.commands.evaluate.cold_start import crossover_line
    from keyart.cli.estimates import estimate

    print_header("Few ratings", "ratings", "content alone", "ratings alone", "both")
    for step, n in enumerate(curve.steps):
        print_row(n, *(estimate(way[step]) for way in (curve.content, curve.ratings, curve.mixed)))
    print(f"\n{crossover_line(curve)}")


def print_prior(scores: list[PriorScore]) -> None:
    from keyart.cli.estimates import estimate

    print_header("Content as a prior", "prior", "ratings of the film", "predicted", "RMSE", "over none")
    for score in scores:
        difference = "" if score.source == "none" else estimate(score.difference, "+.4f")
        print_row(score.source, score.support, f"{score.n_ratings:,}", estimate(score.rmse, ".4f"), difference)


if __name__ == "__main__":
    main()
