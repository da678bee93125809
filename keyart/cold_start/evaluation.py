"""How well the cold start does on the films of a workspace, which are hidden for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.io.progress import Progress, silent
from cf.coldstart.evaluation import BASELINE, CANDIDATES, Candidates, ColdStartReport, evaluate_cold
from cf.coldstart.few_shot import FewShotCurve, few_shot
from cf.coldstart.holdout import Half, RatedFilms, have_posters
from cf.coldstart.prior_evaluation import PriorScore, evaluate_prior
from cf.coldstart.registry import COLD_START_MODELS, make_cold_start
from keyart.cold_start.content import content_of, open_looks
from keyart.workspace.contents import list_films, open_ratings
from keyart.workspace.index import open_index
from keyart.workspace.layout import Workspace

#: Which model's curve is drawn where none is named.
_CURVE_OF = "content"


@dataclass(frozen=True)
class ColdQuestion:
    """What is to be measured.

    Parameters
    ----------
    models : sequence of str
        Which models; the baseline comes along. All where none is named.
    n_seeds : int
        How many draws of hidden films.
    on : {'test', 'validation'}
        Which half of them: validation for choosing, test for what is reported.
    candidates : sequence of {'cold', 'all'}
        Among which films the hidden ones are looked for.
    few_shot : bool
        Whether the hidden films are given ratings back, too; by the first model named, else by content.
    ratings_prior : bool
        Whether content is tried as the prior of a factorization, too.
    """

    models: Sequence[str] = ()
    n_seeds: int = 5
    on: Half = "test"
    candidates: Sequence[Candidates] = CANDIDATES
    few_shot: bool = False
    ratings_prior: bool = False

    @property
    def names(self) -> list[str]:
        """The models to be measured, the baseline among them."""
        return list(dict.fromkeys([*self.models, BASELINE])) if self.models else list(COLD_START_MODELS)


@dataclass(frozen=True)
class ColdAnswer:
    """What was measured.

    Parameters
    ----------
    report : ColdStartReport
        How models ranked films without ratings.
    curve : FewShotCurve or None
        How that goes on as ratings come in, if asked for.
    prior : list of PriorScore or None
        What content is worth for predicting stars, if asked for.
    """

    report: ColdStartReport
    curve: FewShotCurve | None = None
    prior: list[PriorScore] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Write the answer as plain values.

        Returns
        -------
        dict
            The report's fields, and ``few_shot`` and ``ratings_prior`` where they were asked for.
        """
        values = self.report.to_dict()
        if self.curve:
            values["few_shot"] = self.curve.to_dict()
        if self.prior is not None:
            values["ratings_prior"] = [score.to_dict() for score in self.prior]
        return values


def measure_cold_start(
    workspace: Workspace,
    question: ColdQuestion,
    *,
    progress: Progress = silent,
    on_fit: Callable[[str, int], None] = lambda _model, _seed: None,
) -> ColdAnswer:
    """Hide films of a workspace and tell how well models do on them; nothing in the workspace's models changes.

    Parameters
    ----------
    workspace : Workspace
        Films, ratings, features and an index.
    question : ColdQuestion
        What is to be measured.
    progress : Progress, optional
        Shows how far it is, where posters have to be summed up.
    on_fit : callable, optional
        Is told which model is about to be fitted on which draw.

    Returns
    -------
    ColdAnswer
        What came out.

    Raises
    ------
    ConfigError
        There is no such model, or there are too few films with posters and ratings.
    NotBuiltError
        There are no ratings, no posters with features, or no index.
    DataError
        A part of the workspace is damaged.
    """
    models = {name: partial(make_cold_start, name) for name in question.names}
    films = open_rated_films(workspace, progress=progress)
    seeds = range(question.n_seeds)
    report = evaluate_cold(models, films, seeds=seeds, on=question.on, candidates=question.candidates, on_fit=on_fit)
    curve = prior = None
    if question.few_shot:
        name = question.models[0] if question.models else _CURVE_OF
        curve = few_shot((name, models[name]), films, seeds=seeds, on=question.on)
    if question.ratings_prior:
        prior = evaluate_prior(films, seeds=seeds, on=question.on, on_fit=on_fit)
    return ColdAnswer(report, curve, prior)


def open_rated_films(workspace: Workspace, *, progress: Progress = silent) -> RatedFilms:
    """Gather what is known of the films of a workspace that have ratings.

    Parameters
    ----------
    workspace : Workspace
        Films, ratings, features and an index.
    progress : Progress, optional
        Shows how far it is, where posters have to be summed up.

    Returns
    -------
    RatedFilms
        Ratings of films that are not in the catalog are left out.

    Raises
    ------
    NotBuiltError
        There are no ratings, no posters with features, or no index.
    DataError
        A part of the workspace is damaged.
    """
    by_id = {film.movie_id: film for film in list_films(workspace)}
    ratings = open_ratings(workspace).of_films(list(by_id))
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
    groups = open_index(workspace).artwork_groups(movie_ids[with_poster])
    return np.asarray(with_poster[groups])
