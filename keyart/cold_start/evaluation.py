"""Evaluate cold-start models on hidden films of a workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.io.progress import Progress, silent
from cf.coldstart.evaluation import BASELINE, CANDIDATES, Candidates, ColdStartReport, evaluate_cold
from cf.coldstart.few_shot import FewShotCurve, few_shot
from cf.coldstart.holdout import FewPostersError, Half, RatedFilms, have_posters
from cf.coldstart.prior_evaluation import PriorScore, evaluate_prior
from cf.coldstart.registry import COLD_START_MODELS, make_cold_start
from keyart.cold_start.content import content_of, open_looks
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

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values, ready for JSON."""
        values = self.report.to_dict()
        if self.curve:
            values["few_shot"] = self.curve.to_dict()
        if self.prior is not None:
            values["ratings_prior"] = [score.to_dict() for score in self.prior]
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
    films = open_rated_films(workspace, progress=progress)
    seeds = range(options.n_seeds)
    report = evaluate_cold(models, films, seeds=seeds, on=options.on, candidates=options.candidates, progress=progress)
    curve = prior = None
    if options.few_shot:
        name = options.models[0] if options.models else _CURVE_MODEL
        curve = few_shot((name, models[name]), films, seeds=seeds, on=options.on, progress=progress)
    if options.ratings_prior:
        prior = evaluate_prior(films, seeds=seeds, on=options.on, progress=progress)
    return ColdStartEvaluation(report, curve, prior)


def expected_s(workspace: Workspace, options: ColdStartOptions) -> float:
    """Estimate how many seconds the comparison takes."""
    return _DRAW_S * options.n_seeds * len(options.names) * len(open_ratings(workspace)) / 100_000


def open_rated_films(workspace: Workspace, *, progress: Progress = silent) -> RatedFilms:
    """Open the films of a workspace that have ratings, with their content."""
    by_id, ratings = open_films_and_ratings(workspace)
    ratings = ratings.of_films(list(by_id))
    movie_ids = np.unique(ratings.movie_ids)
    content = content_of(
        (by_id[i] for i in movie_ids.tolist()), open_looks(workspace, progress=progress).of(movie_ids.tolist())
    )
    films = RatedFilms(ratings, movie_ids, content, np.arange(len(movie_ids)))
    with_poster = np.flatnonzero(have_posters(films))
    films.artwork[with_poster] = _artwork(workspace, movie_ids, with_poster)
    return films


def _artwork(
    workspace: Workspace, movie_ids: npt.NDArray[np.int32], with_poster: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp]:
    groups = open_built_index(workspace).artwork_groups(movie_ids[with_poster])
    return np.asarray(with_poster[groups])
