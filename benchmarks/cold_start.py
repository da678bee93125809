"""Evaluate the cold start on films that are hidden with all their ratings.

    python benchmarks/cold_start.py --home DIR --means                      # every model
    python benchmarks/cold_start.py --home DIR --models content --candidates cold --curve docs/cold-start-crossover.svg
    python benchmarks/cold_start.py --home DIR --views [--second lite0]     # what each kind of poster features is worth
    python benchmarks/cold_start.py --home DIR --tags                       # what tags would add, where films have some
    python benchmarks/cold_start.py --home DIR --test-items test.csv.gz --ratings train.csv.gz

DIR is a workspace with ratings, features and an index. Prints the tables of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

# benchmarks/index.py is not the package of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.tables import print_header, print_row  # noqa: E402 - needs the path

if TYPE_CHECKING:
    import numpy.typing as npt

    from cf.coldstart.content import FilmContent
    from cf.coldstart.evaluation import ColdStartReport
    from cf.coldstart.few_shot import FewShotCurve
    from cf.coldstart.holdout import RatedFilms
    from cf.coldstart.intervals import Tally
    from cf.coldstart.means import MeanScore
    from cf.coldstart.prior_evaluation import PriorScore
    from keyart.workspace.layout import Workspace

# The lengths of Zhu et al., "Fairness among new items in cold start recommender systems", SIGIR 2021.
LENGTHS = (15, 30, 50)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="the workspace")
    parser.add_argument("--models", nargs="*", default=[], help="these models and genres-years alone")
    parser.add_argument("--candidates", nargs="*", default=["cold", "all"], choices=["cold", "all"])
    parser.add_argument("--on", default="test", choices=["test", "validation"], help="the half that is ranked")
    parser.add_argument("--curve", type=Path, help="where the curve of few ratings is drawn: .png, .svg, .pdf")
    parser.add_argument("--prior", action="store_true", help="also content as a prior of stars")
    parser.add_argument("--means", action="store_true", help="also intervals of mean ratings")
    parser.add_argument("--views", action="store_true", help="compare kinds of poster features instead")
    parser.add_argument("--second", help="with --views: another encoder of the workspace")
    parser.add_argument("--tags", action="store_true", help="compare with and without tags as content instead")
    parser.add_argument("--test-items", type=Path, help="hide the films of a published split instead")
    parser.add_argument("--ratings", type=Path, help="with --test-items: learn from these ratings")
    parser.add_argument("--seeds", type=int, default=5, help="draws of hidden films")
    arguments = parser.parse_args()
    from keyart.cold_start.evaluation import ColdStartOptions, evaluate_cold_start
    from keyart.render.plots import check_plot_path, draw_crossover
    from keyart.workspace.layout import Workspace

    if arguments.curve:
        check_plot_path(arguments.curve)
    workspace = Workspace.open(arguments.home)
    if arguments.views:
        print_views(workspace, arguments.second, arguments.seeds, arguments.on)
        return
    if arguments.tags:
        print_tags(workspace, arguments.seeds, arguments.on)
        return
    options = ColdStartOptions(
        models=arguments.models,
        n_seeds=arguments.seeds,
        on=arguments.on,
        candidates=arguments.candidates,
        few_shot=arguments.curve is not None,
        ratings_prior=arguments.prior,
        means=arguments.means,
        test_items=arguments.test_items,
        ratings=arguments.ratings,
        lengths=LENGTHS if arguments.test_items else (),
    )
    evaluation = evaluate_cold_start(workspace, options)
    for kind in options.candidates:
        print_ranking(evaluation.report, kind)
    print_draws(evaluation.report)
    print_means(evaluation.means or [])
    if evaluation.curve:
        print_curve(evaluation.curve)
        draw_crossover(evaluation.curve, arguments.curve)
    print_prior(evaluation.prior or [])


def print_ranking(report: ColdStartReport, kind: str) -> None:
    from cf.coldstart.evaluation import BASELINE
    from keyart.cli.estimates import estimate, number

    lengths = [f"{measure}@{of_k.k}" for of_k in report.cards[0].at for measure in ("Recall", "NDCG")]
    columns = ("model", "AUC", "Recall@20", "NDCG@10", *lengths)
    print_header(f"Candidates: {kind}", *columns, f"over {BASELINE}", "detectable", "by draw")
    for card in report.cards:
        if card.candidates == kind:
            gain = "" if card.name == BASELINE else estimate(card.gain, "+.1f", " %")
            detectable = "" if card.name == BASELINE else number(card.detectable_gain, ".1f") + " %"
            by_draw = " ".join(f"{value:.3f}" for value in card.ndcg_by_seed)
            at = (measure for of_k in card.at for measure in (of_k.recall, of_k.ndcg))
            measures = (estimate(measure) for measure in (card.auc, card.recall, card.ndcg, *at))
            print_row(f"`{card.name}`", *measures, gain, detectable, by_draw)


def print_draws(report: ColdStartReport) -> None:
    print(f"\n{report.n_users} users; chosen inside: {', '.join(report.chosen) or 'nothing'}")
    print_header("Draws", "draw", "hidden", "ranked", "copies", "leaks", "strangers")
    for draw in report.draws:
        print_row(draw.seed, draw.n_hidden, draw.n_cold, draw.n_copies, draw.n_leaks, draw.n_strangers)


def print_views(workspace: Workspace, second: str | None, n_seeds: int, on: str) -> None:
    """Compare kinds of poster features: by nearest posters, by a projection learned from ratings, beside the rest."""
    from cf.coldstart.evaluation import evaluate_cold
    from cf.coldstart.registry import make_cold_start
    from keyart.cli.estimates import estimate, number
    from keyart.cold_start.evaluation import open_rated_films

    films = open_rated_films(workspace)
    names = ("nearest-posters", "posters", "content", "genres-years")
    columns = (
        "nearest: AUC",
        "NDCG@10",
        "learned: AUC",
        "NDCG@10",
        "with genres and years",
        "gain",
        "detectable",
        "by draw",
    )
    print_header(f"Kinds of poster features, {on} half", "features", "numbers", *columns)
    for name, content in view_contents(workspace, second, films):
        models = {model: partial(make_cold_start, model) for model in names}
        seeds = range(n_seeds)
        report = evaluate_cold(models, replace(films, content=content), seeds=seeds, on=on, candidates=["cold"])  # type: ignore[arg-type]
        cards = {card.name: card for card in report.cards}
        nearest, learned, both = (cards[model] for model in names[:3])
        alone = (number(measure.value) for card in (nearest, learned) for measure in (card.auc, card.ndcg))
        gain, detectable = estimate(both.gain, "+.1f", " %"), f"{both.detectable_gain:.1f} %"
        by_draw = " ".join(f"{value:.3f}" for value in both.ndcg_by_seed)
        print_row(name, content.posters.shape[1], *alone, number(both.ndcg.value), gain, detectable, by_draw)


def view_contents(workspace: Workspace, second: str | None, films: RatedFilms) -> Iterator[tuple[str, FilmContent]]:
    """Yield the content of films with each kind of poster features in place of the workspace's."""
    from cf.base import rows_of
    from features.summary import N_COLORS
    from index.embedding import WhitenedEmbedding
    from keyart.cold_start.content import open_looks
    from keyart.workspace.index import map_shape_of, needed_film_features

    content = films.content

    def of_features(movie_ids: npt.NDArray[np.int32], rows: npt.NDArray[np.float32]) -> FilmContent:
        unknown = np.full((1, rows.shape[1]), np.nan, np.float32)
        return replace(content, posters=np.vstack([rows, unknown])[rows_of(movie_ids, films.movie_ids)], views=())

    store, features = needed_film_features(workspace)
    movie_ids = np.asarray(features.movie_ids, np.int32)
    whole = np.stack([np.asarray(features.row(row), np.float32) for row in range(len(features))])
    yield "raw features", of_features(movie_ids, whole)
    embedding = WhitenedEmbedding.fit(features, map_shape_of(store), np.random.default_rng(0))
    yield "whitened embedding", of_features(movie_ids, embedding.units(whole))
    yield "colors alone", replace(content, posters=content.posters[:, -N_COLORS:], views=())
    yield "summary without colors", replace(content, posters=content.posters[:, :-N_COLORS], views=())
    yield "summary, the default", content
    if second:
        other = open_looks(workspace.with_encoder(second)).of(films.movie_ids.tolist())[:, :-N_COLORS]
        network, colors = content.posters[:, :-N_COLORS], content.posters[:, -N_COLORS:]
        views = (network.shape[1], other.shape[1], N_COLORS)
        yield f"summaries with {second}", replace(content, posters=np.hstack([network, other, colors]), views=views)


def print_tags(workspace: Workspace, n_seeds: int, on: str) -> None:
    """Compare models with and without tags as content, on hidden films that have some and on those that have none."""
    from cf.coldstart.evaluation import rank
    from cf.coldstart.holdout import hold_out
    from cf.coldstart.intervals import Tally
    from cf.coldstart.registry import make_cold_start
    from keyart.cold_start.evaluation import open_rated_films

    films = open_rated_films(workspace)
    tagged = with_tags(workspace, films)
    has_tags = np.array([any(term.startswith("tag: ") for term in of_film) for of_film in tagged.terms])
    tallies: dict[tuple[str, str, bool], list[Tally]] = {}
    for draw in (hold_out(films, seed, on) for seed in range(n_seeds)):  # type: ignore[arg-type]
        relevant = np.asarray(draw.held_out.toarray() > 0)
        own = has_tags[draw.cold]
        for name, content in product(("genres-years", "content"), (films.content, tagged)):
            model = make_cold_start(name).fit(draw.train, content.rows(draw.warm))
            scores = model.preferences(content.rows(draw.cold))
            for part, kept in (("all", own | ~own), ("with tags", own), ("without", ~own)):
                ranked = rank(scores[:, kept], relevant[:, kept])
                tally = Tally(draw.train.user_ids[ranked.users], ranked.measures)
                tallies.setdefault((part, name, content is tagged), []).append(tally)
    columns = (
        "hidden films",
        "model",
        "AUC",
        "NDCG@10",
        "AUC with tags",
        "NDCG@10 with tags",
        "gain of tags",
        "detectable",
    )
    print_header(f"Tags as content, {on} half: {has_tags.sum():,} of {len(has_tags):,} rated films have some", *columns)
    for part, name in product(("all", "with tags", "without"), ("genres-years", "content")):
        print_row(part, f"`{name}`", *compared(tallies[part, name, False], tallies[part, name, True]))


def with_tags(workspace: Workspace, films: RatedFilms) -> FilmContent:
    """Add tags to the terms of films."""
    from catalog.films import Catalog

    terms = [list(of_film) for of_film in films.content.terms or [()] * len(films.movie_ids)]
    rows = {movie_id: row for row, movie_id in enumerate(films.movie_ids.tolist())}
    with Catalog.open(workspace.catalog_path) as catalog:
        for tag in catalog.tags():
            if tag.movie_id in rows:
                terms[rows[tag.movie_id]].append(f"tag: {tag.tag.casefold()}")
    return replace(films.content, terms=terms)


def compared(without: list[Tally], tagged: list[Tally]) -> Iterator[str]:
    """Yield AUC and NDCG@10 of both, the gain in NDCG@10 and the smallest gain that would mostly be found."""
    from cf.coldstart.holdout import N_APART
    from cf.coldstart.intervals import by_draw_and_user, ratio
    from keyart.cli.estimates import estimate, number

    (before, times), (after, _) = by_draw_and_user(without), by_draw_and_user(tagged)
    for cells in (before, after):
        yield from (estimate(ratio(cells[measure], times, N_APART).estimate) for measure in (0, 2))
    gain = ratio(100 * (after[2] - before[2]), before[2], N_APART)
    yield estimate(gain.estimate, "+.1f", " %")
    yield f"{number(gain.detectable, '.1f')} %"


def print_means(scores: list[MeanScore]) -> None:
    from keyart.cli.estimates import estimate

    columns = ("films", "RMSE of the mean", "half interval", "mean inside", "with sampling error")
    print_header("Intervals of the mean", "ratings of the film", *columns)
    for score in scores:
        inside = (estimate(share, ".1f", " %") for share in (score.as_printed, score.with_sampling))
        print_row(score.support, f"{score.n_films:,}", f"{score.rmse:.3f}", f"{score.half_width:.3f}", *inside)


def print_curve(curve: FewShotCurve) -> None:
    from keyart.cli.commands.evaluate.cold_start import crossover_line
    from keyart.cli.estimates import estimate

    print_header("Few ratings", "ratings", "content alone", "ratings alone", "both")
    for step, n in enumerate(curve.steps):
        print_row(n, *(estimate(way[step]) for way in (curve.content, curve.ratings, curve.mixed)))
    print(f"\n{crossover_line(curve)}")


def print_prior(scores: list[PriorScore]) -> None:
    from keyart.cli.estimates import estimate

    if not scores:
        return
    print_header("Content as a prior", "prior", "ratings of the film", "predicted", "RMSE", "over none")
    for score in scores:
        difference = "" if score.source == "none" else estimate(score.difference, "+.4f")
        print_row(score.source, score.support, f"{score.n_ratings:,}", estimate(score.rmse, ".4f"), difference)


if __name__ == "__main__":
    main()
