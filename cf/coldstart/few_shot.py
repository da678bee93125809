"""How many ratings a new film needs until they predict preferences better than its content.

Ratings of hidden films are revealed step by step. The predicted ratings are the same at every step, those that no step
reveals, so that steps are comparable; content alone is then one level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.errors import ConfigError
from catalog.io.progress import Progress, silent
from cf.coldstart.base import ColdStartModel
from cf.coldstart.evaluation import Ranked, rank
from cf.coldstart.holdout import N_APART, Half, Holdout, RatedFilms, hold_out
from cf.coldstart.intervals import Tally, by_draw_and_user, ratio
from cf.evaluation.metrics import Estimate
from cf.evaluation.splits import ranks_in_groups

STEPS = (0, 1, 2, 5, 10, 20, 50)
WAYS = ("content", "ratings", "mixed")
_NDCG = 2


@dataclass(frozen=True)
class FewShotCurve:
    """NDCG@10 of hidden films by the number of their known ratings."""

    model: str
    steps: tuple[int, ...]
    content: tuple[Estimate, ...]
    ratings: tuple[Estimate, ...]
    mixed: tuple[Estimate, ...]
    crossover: float | None
    n_films: int

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values."""
        return asdict(self)


def few_shot(
    model: tuple[str, Callable[[], ColdStartModel]],
    films: RatedFilms,
    *,
    seeds: Sequence[int] = range(N_APART),
    on: Half = "test",
    steps: Sequence[int] = STEPS,
    progress: Progress = silent,
) -> FewShotCurve:
    """Reveal ratings of hidden films step by step, and rank these films among each other."""
    name, make = model
    tallies: dict[tuple[str, int], list[Tally]] = {}
    n_films = 0
    with progress("reveal ratings", len(seeds), "draws") as advance:
        for seed in seeds:
            advance(0, f"draw {seed}")
            holdout = hold_out(films, seed, on)
            remaining = np.flatnonzero(np.bincount(holdout.held_out.indices, minlength=len(holdout.cold)) > steps[-1])
            if len(remaining) >= 2:
                n_films += len(remaining)
                fitted = make().fit(holdout.train, films.content.rows(holdout.warm))
                for key, ranked in _ranked(fitted, films, holdout, remaining, steps).items():
                    tally = Tally(holdout.train.user_ids[ranked.users], ranked.measures[_NDCG : _NDCG + 1])
                    tallies.setdefault(key, []).append(tally)
            advance(1)
    if not tallies:
        raise ConfigError(
            f"the curve needs two hidden films or more with over {steps[-1]} ratings each, and no draw has them; leave "
            "--few-shot out, or load more ratings"
        )
    curves = {way: tuple(_over_draws(tallies.get((way, n), ())) for n in steps) for way in WAYS}
    values = ([estimate.value for estimate in curves[way]] for way in ("content", "ratings"))
    return FewShotCurve(name, tuple(steps), **curves, crossover=crossover(steps, *values), n_films=n_films)


def crossover(steps: Sequence[int], content: Sequence[float], ratings: Sequence[float]) -> float | None:
    """Find the number of ratings from which these alone beat content alone, and go on doing so."""
    pairs = zip(steps, content, ratings, strict=True)
    ahead = [(np.log(n), by_ratings - by_content) for n, by_content, by_ratings in pairs if n]
    behind = [place for place, (_, difference) in enumerate(ahead) if not difference > 0]
    if not behind:
        return float(np.exp(ahead[0][0]))
    if behind[-1] == len(ahead) - 1:
        return None
    (at, below), (then, above) = ahead[behind[-1] : behind[-1] + 2]
    return float(np.exp(at - below * (then - at) / (above - below)))


_UNKNOWN = Estimate(*[float("nan")] * 3)


def _ranked(
    model: ColdStartModel, films: RatedFilms, holdout: Holdout, kept: npt.NDArray[np.intp], steps: Sequence[int]
) -> dict[tuple[str, int], Ranked]:
    content = films.content.rows(holdout.cold[kept])
    cells = sparse.csr_array(holdout.held_out[:, kept]).tocoo()
    places, _ = ranks_in_groups(cells.col, holdout.draw.seed)
    predicted = _marks(cells, places >= steps[-1])
    # Who has given one of the ratings that are given back is not asked about that film, at any step.
    known = _marks(cells, places < steps[-1])
    alone = copy(model)
    alone.half_support = 0.0
    by_content = rank(model.preferences(content), predicted, known)
    matches = {}
    for n in steps:
        given = places < n
        revealed = sparse.coo_array((cells.data[given], (cells.row[given], cells.col[given])), shape=cells.shape)
        matches["content", n] = by_content
        matches["mixed", n] = rank(model.preferences(content, revealed.tocsr()), predicted, known)
        if n:
            matches["ratings", n] = rank(alone.preferences(content, revealed.tocsr()), predicted, known)
    return matches


def _marks(cells: sparse.coo_array, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    marks = np.zeros(cells.shape, bool)
    marks[cells.row[chosen], cells.col[chosen]] = True
    return marks


def _over_draws(tallies: Sequence[Tally]) -> Estimate:
    if not tallies:
        return _UNKNOWN
    cells, times = by_draw_and_user(tallies)
    return ratio(cells[0], times, N_APART).estimate
