"""Evaluate cold-start models on the same hidden films, compared with genres and years alone.

Hidden films that a user rated are relevant, whatever the stars. Candidates are the hidden films alone, or all films
that the user has not rated in training. Rankings are full; ties by ascending movie_id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.stats import rankdata

from catalog.io.progress import Progress, silent
from cf.coldstart.base import ColdStartModel, scores_by_rank
from cf.coldstart.holdout import Draw, Half, Holdout, RatedFilms, hold_out
from cf.evaluation.metrics import Estimate, FloatArray, bootstrap, ranking_scores

#: What every model is compared to.
BASELINE = "genres-years"
CANDIDATES: tuple[Candidates, ...] = ("cold", "all")
Candidates = Literal["cold", "all"]
N_RECALL, N_NDCG = 20, 10
# Where NDCG stands among the measures.
_NDCG = 2
Marks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ColdStartScorecard:
    """How well one model ranked hidden films."""

    name: str
    candidates: Candidates
    auc: Estimate
    recall: Estimate
    ndcg: Estimate
    difference: Estimate
    gain: Estimate
    auc_distinct: Estimate
    recall_distinct: Estimate
    ndcg_distinct: Estimate
    ndcg_by_seed: tuple[float, ...]


@dataclass(frozen=True)
class ColdStartReport:
    """How well models ranked films without ratings."""

    on: Half
    draws: tuple[Draw, ...]
    n_users: int
    cards: tuple[ColdStartScorecard, ...]

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Ranked:
    """How well films were ranked for the users who rated some, but not all, of them."""

    users: npt.NDArray[np.intp]
    measures: FloatArray


def evaluate_cold(
    models: Mapping[str, Callable[[], ColdStartModel]],
    films: RatedFilms,
    *,
    seeds: Sequence[int] = range(5),
    on: Half = "test",
    candidates: Sequence[Candidates] = CANDIDATES,
    progress: Progress = silent,
) -> ColdStartReport:
    """Fit models without the hidden films, and measure how they rank these."""
    if BASELINE not in models:
        raise ValueError(f"models are compared to {BASELINE}, which is not among {', '.join(models)}")
    holdouts = [hold_out(films, seed, on) for seed in seeds]
    ranked: dict[tuple[str, Candidates, bool], list[_Tally]] = {}
    with progress("evaluate", len(holdouts) * len(models), "fits") as advance:
        for holdout, (name, make) in product(holdouts, models.items()):
            advance(0, f"{name}, draw {holdout.draw.seed}")
            model = make().fit(holdout.train, films.content.rows(holdout.warm))
            for kind in candidates:
                whole, distinct = _tallies(model, films, holdout, kind)
                ranked.setdefault((name, kind, False), []).append(whole)
                ranked.setdefault((name, kind, True), []).append(distinct)
            advance(1)
    cards = [_scorecard(name, kind, ranked) for kind in candidates for name in models]
    user_ids = np.concatenate([tally.user_ids for tally in ranked[BASELINE, candidates[0], False]])
    draws = tuple(holdout.draw for holdout in holdouts)
    return ColdStartReport(on, draws, n_users=len(np.unique(user_ids)), cards=tuple(cards))


def rank(scores: npt.NDArray[np.floating], relevant: Marks, excluded: Marks | None = None) -> Ranked:
    r"""Measure rankings.

    The AUC of a user is the chance that a film they rated stands before one they did not, ties counting half.


    References
    ----------
    .. [1] H. B. Mann and D. R. Whitney, "On a test of whether one of two random variables is stochastically larger than
       the other", Annals of Mathematical Statistics 18(1), 1947: the AUC from ranks.
    """
    out = np.zeros_like(relevant) if excluded is None else excluded
    n_relevant, n_out = relevant.sum(axis=1), out.sum(axis=1)
    n_others = relevant.shape[1] - n_relevant - n_out
    users = np.flatnonzero((n_relevant > 0) & (n_others > 0))
    known = np.nan_to_num(scores[users].astype(np.float64), nan=np.finfo(np.float64).min)
    known[out[users]] = -np.inf
    wanted, n_wanted = relevant[users], n_relevant[users]
    # Ranks count from the last film; those that are no candidates stand below all others.
    ranks = np.where(wanted, rankdata(known, axis=1), 0).sum(axis=1) if len(users) else np.zeros(0)
    before = ranks - n_wanted * (n_wanted + 1) / 2 - n_wanted * n_out[users]
    auc = before / (n_wanted * n_others[users])
    first = [row[: max(0, known.shape[1] - n)] for row, n in zip(_first(known), n_out[users], strict=True)]
    chosen = [np.flatnonzero(row) for row in wanted]
    recall, ndcg = ranking_scores(first, chosen, N_RECALL).recall, ranking_scores(first, chosen, N_NDCG).ndcg
    return Ranked(users, np.stack([auc, recall, ndcg]))


@dataclass(frozen=True)
class _Tally:
    user_ids: npt.NDArray[np.int32]
    measures: FloatArray


def _first(scores: FloatArray) -> npt.NDArray[np.intp]:
    # A stable sort leaves equal scores in ascending order of movie_id.
    return np.argsort(-scores, axis=1, kind="stable")[:, : max(N_RECALL, N_NDCG)]


def _tallies(model: ColdStartModel, films: RatedFilms, holdout: Holdout, kind: Candidates) -> tuple[_Tally, _Tally]:
    """Rank the hidden films of a draw: all of them, and those alone whose artwork is new."""
    held_out = np.asarray(holdout.held_out.toarray() > 0)
    if kind == "cold":
        scores = model.preferences(films.content.rows(holdout.cold))
        return _both(holdout, scores, held_out, np.zeros_like(held_out), ~holdout.copies)
    rows = np.concatenate([holdout.warm, holdout.cold])
    nothing = sparse.csr_array(holdout.held_out.shape, dtype=np.float32)
    values: sparse.csr_array = sparse.hstack([holdout.train.values, nothing], format="csr")
    rated = np.asarray(holdout.train.values.toarray() > 0)
    relevant = np.hstack([np.zeros_like(rated), held_out])
    excluded = np.hstack([rated, np.zeros_like(held_out)])
    kept = np.concatenate([np.ones(len(holdout.warm), bool), ~holdout.copies])
    # By ascending movie_id again, which decides between equal scores.
    order = np.argsort(rows)
    content = films.content.rows(rows)
    rescaled = _on_one_scale(model.preferences(content, values), model.preferences(content), rated)
    return _both(holdout, rescaled[:, order], relevant[:, order], excluded[:, order], kept[order])


def _on_one_scale(scores: npt.NDArray[np.floating], by_content: npt.NDArray[np.floating], rated: Marks) -> FloatArray:
    """Bring the scores of new films, the last columns, onto the scale of the known ones, user by user."""
    n_known = rated.shape[1]
    rescaled = scores.astype(np.float64)
    for row, seen in enumerate(rated):
        unseen = np.flatnonzero(~seen & np.isfinite(scores[row, :n_known]))
        rescaled[row, n_known:] = scores_by_rank(
            scores[row, unseen], by_content[row, unseen], by_content[row, n_known:]
        )
    return rescaled


def _both(
    holdout: Holdout, scores: npt.NDArray[np.floating], relevant: Marks, excluded: Marks, kept: Marks
) -> tuple[_Tally, _Tally]:
    whole = rank(scores, relevant, excluded)
    distinct = whole if kept.all() else rank(scores[:, kept], relevant[:, kept], excluded[:, kept])
    user_ids = holdout.train.user_ids
    return _Tally(user_ids[whole.users], whole.measures), _Tally(user_ids[distinct.users], distinct.measures)


def _scorecard(
    name: str, kind: Candidates, ranked: Mapping[tuple[str, Candidates, bool], Sequence[_Tally]]
) -> ColdStartScorecard:
    totals, times = _pooled(ranked[name, kind, False])
    of_baseline, _ = _pooled(ranked[BASELINE, kind, False])
    distinct, times_distinct = _pooled(ranked[name, kind, True])
    auc, recall, ndcg = (bootstrap(measure, times) for measure in totals)
    auc_distinct, recall_distinct, ndcg_distinct = (bootstrap(measure, times_distinct) for measure in distinct)
    more = totals[_NDCG] - of_baseline[_NDCG]
    return ColdStartScorecard(
        name,
        kind,
        auc,
        recall,
        ndcg,
        difference=bootstrap(more, times),
        # The ratio of both means in every resample.
        gain=bootstrap(100 * more, of_baseline[_NDCG]),
        auc_distinct=auc_distinct,
        recall_distinct=recall_distinct,
        ndcg_distinct=ndcg_distinct,
        ndcg_by_seed=tuple(_mean(tally.measures[_NDCG]) for tally in ranked[name, kind, False]),
    )


def _pooled(tallies: Sequence[_Tally]) -> tuple[FloatArray, FloatArray]:
    """Add up what each user contributes over all draws, and how often: (3, n_users) and (n_users,)."""
    user_ids, rows = np.unique(np.concatenate([tally.user_ids for tally in tallies]), return_inverse=True)
    measures = np.concatenate([tally.measures for tally in tallies], axis=1)
    totals = [np.bincount(rows, weights=measure, minlength=len(user_ids)) for measure in measures]
    return np.asarray(totals, np.float64), np.bincount(rows, minlength=len(user_ids)).astype(np.float64)


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")
