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
from cf.coldstart.holdout import N_APART, Draw, Half, Holdout, RatedFilms, hold_out, hold_out_films
from cf.coldstart.intervals import Tally, by_draw_and_user, ratio
from cf.evaluation.metrics import Estimate, FloatArray, ranking_scores

#: What every model is compared to.
BASELINE = "genres-years"
#: In each draw, the model that ranks the validation half best: what choosing a model by its measures is worth.
CHOSEN = "chosen"
CANDIDATES: tuple[Candidates, ...] = ("cold", "all")
Candidates = Literal["cold", "all"]
N_RECALL, N_NDCG = 20, 10
# Where NDCG stands among the measures.
_NDCG = 2
Marks = npt.NDArray[np.bool_]
Models = Mapping[str, Callable[[], ColdStartModel]]


@dataclass(frozen=True)
class AtLength:
    """Recall and NDCG of lists of k films."""

    k: int
    recall: Estimate
    ndcg: Estimate


@dataclass(frozen=True)
class ColdStartScorecard:
    """How well one model ranked hidden films; the detectable gain is found with a power of 80 %, gains in percent."""

    name: str
    candidates: Candidates
    auc: Estimate
    recall: Estimate
    ndcg: Estimate
    difference: Estimate
    gain: Estimate
    detectable_gain: float
    auc_distinct: Estimate
    recall_distinct: Estimate
    ndcg_distinct: Estimate
    ndcg_by_seed: tuple[float, ...]
    at: tuple[AtLength, ...] = ()


@dataclass(frozen=True)
class ColdStartReport:
    """How well models ranked films without ratings, and which model was chosen inside each draw.

    `on` is None where the films to hide were given.
    """

    on: Half | None
    draws: tuple[Draw, ...]
    n_users: int
    cards: tuple[ColdStartScorecard, ...]
    chosen: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Ranked:
    """How well films were ranked for the users who rated some, but not all, of them."""

    users: npt.NDArray[np.intp]
    measures: FloatArray


def evaluate_cold(
    models: Models,
    films: RatedFilms,
    *,
    seeds: Sequence[int] = range(N_APART),
    on: Half = "test",
    candidates: Sequence[Candidates] = CANDIDATES,
    progress: Progress = silent,
) -> ColdStartReport:
    """Fit models without the hidden films, and measure how they rank these.

    Of three models or more, the best on the validation half is chosen in each draw, and reported on the test half.
    """
    _check_baseline(models)
    holdouts = [hold_out(films, seed, on) for seed in seeds]
    is_nested = on == "test" and len(models) > 2
    inner = [hold_out(films, seed, "validation") for seed in seeds] if is_nested else []
    tallies, chosen = _compare(models, films, _Trials(holdouts, inner, candidates), progress)
    return _report(tallies, holdouts, on, chosen)


def evaluate_films(
    models: Models,
    films: RatedFilms,
    movie_ids: npt.NDArray[np.int32],
    *,
    candidates: Sequence[Candidates] = CANDIDATES,
    lengths: Sequence[int] = (),
    progress: Progress = silent,
) -> ColdStartReport:
    """Fit models without the ratings of given films, and measure how they rank these, in lists of some lengths too."""
    _check_baseline(models)
    holdouts = [hold_out_films(films, movie_ids)]
    tallies, _ = _compare(models, films, _Trials(holdouts, [], candidates, lengths), progress)
    return _report(tallies, holdouts, None, (), lengths)


def _check_baseline(models: Models) -> None:
    if BASELINE not in models:
        raise ValueError(f"models are compared to {BASELINE}, which is not among {', '.join(models)}")


@dataclass(frozen=True)
class _Trials:
    """What is ranked: hidden films, those that a model is chosen by in each draw, and among what candidates."""

    holdouts: Sequence[Holdout]
    inner: Sequence[Holdout]
    candidates: Sequence[Candidates]
    lengths: Sequence[int] = ()


def _compare(
    models: Models, films: RatedFilms, trials: _Trials, progress: Progress
) -> tuple[_Tallies, tuple[str, ...]]:
    tallies: _Tallies = {}
    inner_ndcg: list[dict[str, float]] = [{} for _ in trials.inner]
    with progress("evaluate", len(trials.holdouts) * len(models), "fits") as advance:
        for (place, holdout), (name, make) in product(enumerate(trials.holdouts), models.items()):
            advance(0, f"{name}, draw {holdout.draw.seed}")
            model = make().fit(holdout.train, films.content.rows(holdout.warm))
            for kind in trials.candidates:
                whole, distinct = _tallies(model, films, holdout, kind, trials.lengths)
                tallies.setdefault((name, kind, False), []).append(whole)
                tallies.setdefault((name, kind, True), []).append(distinct)
            if trials.inner:
                whole, _ = _tallies(model, films, trials.inner[place], "cold")
                inner_ndcg[place][name] = _mean(whole.measures[_NDCG])
            advance(1)
    chosen = tuple(max(of_draw, key=of_draw.__getitem__) for of_draw in inner_ndcg)
    for kind, is_distinct in product(trials.candidates if chosen else (), (False, True)):
        tallies[CHOSEN, kind, is_distinct] = [
            tallies[name, kind, is_distinct][place] for place, name in enumerate(chosen)
        ]
    return tallies, chosen


def _report(
    tallies: _Tallies,
    holdouts: Sequence[Holdout],
    on: Half | None,
    chosen: tuple[str, ...],
    lengths: Sequence[int] = (),
) -> ColdStartReport:
    names = dict.fromkeys(name for name, _, _ in tallies)
    kinds = dict.fromkeys(kind for _, kind, _ in tallies)
    cards = tuple(_scorecard(name, kind, tallies, lengths) for kind in kinds for name in names)
    user_ids = np.concatenate([tally.user_ids for tally in tallies[BASELINE, next(iter(kinds)), False]])
    return ColdStartReport(on, tuple(holdout.draw for holdout in holdouts), len(np.unique(user_ids)), cards, chosen)


def rank(
    scores: npt.NDArray[np.floating], relevant: Marks, excluded: Marks | None = None, lengths: Sequence[int] = ()
) -> Ranked:
    r"""Measure rankings: AUC, Recall@20 and NDCG@10, then Recall and NDCG of each further length.

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
    ordered = _first(known, max(N_RECALL, N_NDCG, *lengths))
    first = [row[: max(0, known.shape[1] - n)] for row, n in zip(ordered, n_out[users], strict=True)]
    chosen = [np.flatnonzero(row) for row in wanted]
    recall, ndcg = ranking_scores(first, chosen, N_RECALL).recall, ranking_scores(first, chosen, N_NDCG).ndcg
    others = (ranking_scores(first, chosen, k) for k in lengths)
    return Ranked(users, np.stack([auc, recall, ndcg, *(row for of_k in others for row in (of_k.recall, of_k.ndcg))]))


# By the name of a model, what is ranked among, and whether only films of new artwork are.
_Tallies = dict[tuple[str, Candidates, bool], list[Tally]]


def _first(scores: FloatArray, n: int) -> npt.NDArray[np.intp]:
    # A stable sort leaves equal scores in ascending order of movie_id.
    return np.argsort(-scores, axis=1, kind="stable")[:, :n]


def _tallies(
    model: ColdStartModel, films: RatedFilms, holdout: Holdout, kind: Candidates, lengths: Sequence[int] = ()
) -> tuple[Tally, Tally]:
    """Rank the hidden films of a draw: all of them, and those alone whose artwork is new."""
    held_out = np.asarray(holdout.held_out.toarray() > 0)
    if kind == "cold":
        scores = model.preferences(films.content.rows(holdout.cold))
        return _both(holdout, (scores, held_out, np.zeros_like(held_out)), ~holdout.copies, lengths)
    rows = np.concatenate([holdout.warm, holdout.cold])
    nothing = sparse.csr_array(holdout.held_out.shape, dtype=np.float32)
    values: sparse.csr_array = sparse.hstack([holdout.train.values, nothing], format="csr")
    rated = np.asarray(holdout.train.values.toarray() > 0)
    relevant = np.hstack([np.zeros_like(rated), held_out])
    excluded = np.hstack([rated, np.zeros_like(held_out)])
    remaining = np.concatenate([np.ones(len(holdout.warm), bool), ~holdout.copies])
    # By ascending movie_id again, which decides between equal scores.
    order = np.argsort(rows)
    content = films.content.rows(rows)
    rescaled = _on_one_scale(model.preferences(content, values), model.preferences(content), rated)
    return _both(holdout, (rescaled[:, order], relevant[:, order], excluded[:, order]), remaining[order], lengths)


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
    holdout: Holdout,
    ranking: tuple[npt.NDArray[np.floating], Marks, Marks],
    kept: Marks,
    lengths: Sequence[int],
) -> tuple[Tally, Tally]:
    scores, relevant, excluded = ranking
    whole = distinct = rank(scores, relevant, excluded, lengths)
    if not kept.all():
        distinct = rank(scores[:, kept], relevant[:, kept], excluded[:, kept], lengths)
    user_ids = holdout.train.user_ids
    return Tally(user_ids[whole.users], whole.measures), Tally(user_ids[distinct.users], distinct.measures)


def _scorecard(name: str, kind: Candidates, tallies: _Tallies, lengths: Sequence[int]) -> ColdStartScorecard:
    cells, times = by_draw_and_user(tallies[name, kind, False])
    auc, recall, ndcg, *others = (ratio(measure, times, N_APART).estimate for measure in cells)
    distinct, times_distinct = by_draw_and_user(tallies[name, kind, True])
    auc_distinct, recall_distinct, ndcg_distinct = (
        ratio(measure, times_distinct, N_APART).estimate for measure in distinct[:3]
    )
    of_baseline = by_draw_and_user(tallies[BASELINE, kind, False])[0][_NDCG]
    more = cells[_NDCG] - of_baseline
    gain = ratio(100 * more, of_baseline, N_APART)
    return ColdStartScorecard(
        name,
        kind,
        auc,
        recall,
        ndcg,
        difference=ratio(more, times, N_APART).estimate,
        gain=gain.estimate,
        detectable_gain=gain.detectable,
        auc_distinct=auc_distinct,
        recall_distinct=recall_distinct,
        ndcg_distinct=ndcg_distinct,
        ndcg_by_seed=tuple(_mean(tally.measures[_NDCG]) for tally in tallies[name, kind, False]),
        at=tuple(AtLength(k, *others[2 * place : 2 * place + 2]) for place, k in enumerate(lengths)),
    )


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")
