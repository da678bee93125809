"""Evaluate cold-start models on hidden films of a workspace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError
from catalog.film import Film
from catalog.io.archives import unpacked
from catalog.io.progress import Progress, silent
from catalog.io.tables import read_rows
from catalog.text import plural
from cf.coldstart.evaluation import (
    BASELINE,
    CANDIDATES,
    Candidates,
    ColdStartReport,
    Models,
    evaluate_cold,
    evaluate_films,
)
from cf.coldstart.few_shot import FewShotCurve, few_shot
from cf.coldstart.holdout import FewPostersError, Half, RatedFilms, have_posters
from cf.coldstart.means import MeanScore, evaluate_means
from cf.coldstart.prior_evaluation import PriorScore, evaluate_prior
from cf.coldstart.registry import COLD_START_MODELS, make_cold_start
from cf.ratings import Ratings, is_table_of_ratings, read_ratings
from keyart.cold_start.content import content_of, open_looks, open_terms
from keyart.workspace.contents import open_films_and_ratings, open_ratings
from keyart.workspace.index import open_built_index
from keyart.workspace.layout import Workspace
from keyart.workspace.steps import more_feature_steps

# The model whose curve is computed where none is named.
_CURVE_MODEL = "content"
# Seconds that a model takes in a draw for 100,000 ratings on two cores, as measured in docs/durations.md. The time goes
# into the rankings, which are as many for every model.
_DRAW_S = 13.0


@dataclass(frozen=True)
class ColdStartOptions:
    """The options of an evaluation."""

    models: Sequence[str] = ()
    n_seeds: int = 5
    on: Half = "test"
    candidates: Sequence[Candidates] = CANDIDATES
    few_shot: bool = False
    ratings_prior: bool = False
    means: bool = False
    # A published split: the films to hide, or their ratings, and the ratings to learn from.
    test_items: Path | None = None
    ratings: Path | None = None
    lengths: Sequence[int] = ()

    @property
    def names(self) -> list[str]:
        """The models to evaluate, with the baseline."""
        return list(dict.fromkeys([*self.models, BASELINE])) if self.models else list(COLD_START_MODELS)


@dataclass(frozen=True)
class ColdStartEvaluation:
    """The results of an evaluation."""

    report: ColdStartReport
    curve: FewShotCurve | None = None
    prior: list[PriorScore] | None = None
    means: list[MeanScore] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values, ready for JSON."""
        values = self.report.to_dict()
        if self.curve:
            values["few_shot"] = self.curve.to_dict()
        if self.prior is not None:
            values["ratings_prior"] = [score.to_dict() for score in self.prior]
        if self.means is not None:
            values["means"] = [score.to_dict() for score in self.means]
        return values


def evaluate_cold_start(
    workspace: Workspace,
    options: ColdStartOptions,
    *,
    progress: Progress = silent,
) -> ColdStartEvaluation:
    """Hide films of a workspace and evaluate models on them; the workspace's own models stay as they are."""
    try:
        return _evaluate(workspace, options, progress)
    except FewPostersError as error:
        raise FewPostersError(f"{error}; run {more_feature_steps(workspace)}") from error


def _evaluate(workspace: Workspace, options: ColdStartOptions, progress: Progress) -> ColdStartEvaluation:
    models = {name: partial(make_cold_start, name) for name in options.names}
    if options.test_items:
        report = _evaluate_split(workspace, models, options.test_items, options, progress)
        return ColdStartEvaluation(report)
    films = open_rated_films(workspace, progress=progress)
    seeds = range(options.n_seeds)
    report = evaluate_cold(models, films, seeds=seeds, on=options.on, candidates=options.candidates, progress=progress)
    curve = prior = means = None
    if options.few_shot:
        name = options.models[0] if options.models else _CURVE_MODEL
        curve = few_shot((name, models[name]), films, seeds=seeds, on=options.on, progress=progress)
    if options.ratings_prior:
        prior = evaluate_prior(films, seeds=seeds, on=options.on, progress=progress)
    if options.means:
        means = evaluate_means(films, seeds=seeds, on=options.on, progress=progress)
    return ColdStartEvaluation(report, curve, prior, means)


def _evaluate_split(
    workspace: Workspace, models: Models, test_items: Path, options: ColdStartOptions, progress: Progress
) -> ColdStartReport:
    by_id, ratings = open_films_and_ratings(workspace)
    known = _read_ratings(options.ratings) if options.ratings else ratings
    hidden = _ratings_of_items(test_items, ratings)
    movie_ids = np.unique(hidden.movie_ids)
    both = _joined(known.where(~np.isin(known.movie_ids, movie_ids)), hidden)
    if unknown := sorted(set(np.unique(both.movie_ids).tolist()) - set(by_id)):
        raise ConfigError(
            f"{plural(len(unknown), 'film')} of the split {'is' if len(unknown) == 1 else 'are'} not in the catalog, "
            f"the first of them {unknown[0]}; load the films that the split is of"
        )
    films = _rated_films(workspace, by_id, both, progress)
    return evaluate_films(
        models, films, movie_ids, candidates=options.candidates, lengths=options.lengths, progress=progress
    )


def _read_ratings(path: Path) -> Ratings:
    """Read a file of ratings, compressed by gzip or not."""
    with unpacked(path, ()) as opened:
        return read_ratings(opened)


def _ratings_of_items(path: Path, ratings: Ratings) -> Ratings:
    """Read the ratings of films to hide, or select those of the films that a file lists."""
    with unpacked(path, ()) as opened:
        if opened.suffix.lower() == ".parquet" or is_table_of_ratings(opened):
            return read_ratings(opened)
        movie_ids = [row.integer("movieId", "a film's number, above 0") for row in read_rows(opened, ("movieId",))]
    return ratings.of_films(movie_ids)


def _joined(one: Ratings, other: Ratings) -> Ratings:
    columns = ("user_ids", "movie_ids", "values", "timestamps")
    return Ratings(*(np.concatenate([getattr(one, name), getattr(other, name)]) for name in columns)).in_order()


def expected_s(workspace: Workspace, options: ColdStartOptions) -> float:
    """Estimate how many seconds the comparison takes."""
    n_draws = 1 if options.test_items else options.n_seeds
    return _DRAW_S * n_draws * len(options.names) * len(open_ratings(workspace)) / 100_000


def open_rated_films(workspace: Workspace, *, progress: Progress = silent) -> RatedFilms:
    """Open the films of a workspace that have ratings, with their content."""
    by_id, ratings = open_films_and_ratings(workspace)
    return _rated_films(workspace, by_id, ratings.of_films(list(by_id)), progress)


def _rated_films(workspace: Workspace, by_id: Mapping[int, Film], ratings: Ratings, progress: Progress) -> RatedFilms:
    movie_ids = np.unique(ratings.movie_ids)
    looks = open_looks(workspace, progress=progress).of(movie_ids.tolist())
    content = content_of((by_id[i] for i in movie_ids.tolist()), looks, open_terms(workspace))
    films = RatedFilms(ratings, movie_ids, content, np.arange(len(movie_ids)))
    with_poster = np.flatnonzero(have_posters(films))
    films.artwork[with_poster] = _artwork(workspace, movie_ids, with_poster)
    return films


def _artwork(
    workspace: Workspace, movie_ids: npt.NDArray[np.int32], with_poster: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp]:
    groups = open_built_index(workspace).artwork_groups(movie_ids[with_poster])
    return np.asarray(with_poster[groups])
