"""Evaluate recommenders on the same splits by the same measures: rating, ranking and cost.

Models trained to predict ratings often rank poorly and the reverse, so both are always measured:

- **Rating**: RMSE and MAE over all test ratings, predictions clipped to the scale. What a model cannot predict is
  imputed by the baseline (mean, user, film), and the share that it could predict is reported. Scores of a model that
  predicts no stars are mapped to stars by a straight line, fitted on ratings that it was trained on.
- **Ranking**: Recall, NDCG, reciprocal rank among all films of the training ratings, without those that the user rated.
- **Cost**: seconds to fit, milliseconds to recommend to one user, megabytes beyond the memory used before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from catalog.io.progress import Progress, silent
from cf.base import BLOCK_CELLS, Recommender, rows_of
from cf.evaluation.metrics import Estimate, FloatArray, bootstrap, item_coverage, novelty, ranking_scores
from cf.evaluation.splits import Split
from cf.models.baseline import fit_biases
from cf.ratings import Ratings
from cf.scale import clip_to_ratings

_N_PAIRS_FOR_STARS = 50_000
_SAMPLE_S = 0.01
# A model rates well if its RMSE is this near to the best, badly if it is beyond; the same for NDCG.
_WELL_RMSE, _BADLY_RMSE = 1.05, 1.10
_WELL_NDCG, _BADLY_NDCG = 0.8, 0.5


@dataclass(frozen=True)
class Scorecard:
    """The results of one model: means over users, and costs per split."""

    name: str
    rmse: Estimate
    mae: Estimate
    predicted: float  # share of the test ratings that it could predict by itself
    gives_stars: bool
    recall: Estimate
    ndcg: Estimate
    mrr: Estimate
    item_coverage: float
    novelty: float
    fit_s: float
    recommend_ms: float
    memory_mb: float
    remark: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values."""
        return asdict(self)


@dataclass
class _Tally:
    """The measures of one model, user by user, over all splits."""

    user_ids: list[npt.NDArray[np.int32]] = field(default_factory=list)
    squares: list[FloatArray] = field(default_factory=list)
    distances: list[FloatArray] = field(default_factory=list)
    n_ratings: list[FloatArray] = field(default_factory=list)
    ranked_for: list[npt.NDArray[np.int32]] = field(default_factory=list)
    rankings: list[FloatArray] = field(default_factory=list)
    n_predicted: int = 0
    per_split: list[tuple[float, float, float, float, float]] = field(default_factory=list)


def evaluate(
    models: Mapping[str, Callable[[], Recommender]],
    splits: Iterable[Split],
    *,
    k: int = 10,
    relevant_from: float = 0.0,
    n_resamples: int = 1000,
    progress: Progress = silent,
) -> list[Scorecard]:
    """Fit models on the training ratings of each split and measure them on the test ratings."""
    tallies = {name: _Tally() for name in models}
    gives_stars = {}
    for split in splits:
        with progress(split.name, len(models), "models") as advance:
            for name, make in models.items():
                advance(0, name)
                model = make()
                gives_stars[name] = model.predicts_stars
                _measure(model, split, tallies[name], k, relevant_from)
                advance(1)
    cards = [_scorecard(name, tally, gives_stars[name], n_resamples) for name, tally in tallies.items()]
    return _with_remarks(cards)


def predict_stars(model: Recommender, train: Ratings, test: Ratings) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Predict test ratings in stars, clipped to the scale; and which of them the model could predict by itself."""
    predicted = model.predict(test.user_ids, test.movie_ids).astype(np.float64)
    by_itself = ~np.isnan(predicted)
    if not model.predicts_stars:
        slope, level = _line_to_stars(model, train)
        predicted = level + slope * predicted
    stars = np.where(by_itself, predicted, _baseline_stars(train, test))
    return clip_to_ratings(stars, train.values), by_itself


def _measure(model: Recommender, split: Split, tally: _Tally, k: int, relevant_from: float) -> None:
    matrix = split.train.matrix()
    with _peak_memory() as peak:
        started = time.perf_counter()
        model.fit(matrix)
        fit_s = time.perf_counter() - started
    stars, by_itself = predict_stars(model, split.train, split.test)
    tally.n_predicted += int(by_itself.sum())
    user_ids, rows = np.unique(split.test.user_ids, return_inverse=True)
    errors = stars - split.test.values
    tally.user_ids.append(user_ids)
    weights: tuple[FloatArray, ...] = (errors**2, np.abs(errors), np.ones(len(errors)))
    for part, weight in zip((tally.squares, tally.distances, tally.n_ratings), weights, strict=True):
        part.append(np.asarray(np.bincount(rows, weights=weight), np.float64))
    relevant = _relevant(split, user_ids, rows, relevant_from)
    chosen = [user_id for user_id in user_ids.tolist() if user_id in relevant]
    started = time.perf_counter()
    first = model.recommend(chosen, k)
    recommend_ms = 1000 * (time.perf_counter() - started) / max(1, len(chosen))
    tally.ranked_for.append(np.array(chosen, np.int32))
    tally.rankings.append(_rank(model, chosen, relevant, k))
    movie_ids, n_ratings, _ = split.train.film_statistics()
    popularity = dict(zip(movie_ids.tolist(), n_ratings.tolist(), strict=True))
    shown = [films.ids for films in first]
    covered = item_coverage(shown, k, len(movie_ids))
    tally.per_split.append(
        (covered, novelty(shown, k, popularity, len(matrix.user_ids)), fit_s, recommend_ms, peak.megabytes)
    )


def _rank(model: Recommender, user_ids: list[int], relevant: Mapping[int, npt.NDArray[np.int32]], k: int) -> FloatArray:
    """Score the whole ranking of each user: recall, NDCG and reciprocal rank, (3, n_users)."""
    n_films = max(1, len(model.movie_ids_))
    # All rankings at once would take the memory of a dense matrix of ratings.
    size = max(1, BLOCK_CELLS // n_films)
    parts = [np.zeros((3, 0))]
    for start in range(0, len(user_ids), size):
        block = user_ids[start : start + size]
        ranked = [films.ids for films in model.recommend(block, n_films)]
        scores = ranking_scores(ranked, [relevant[user_id] for user_id in block], k)
        parts.append(np.stack([scores.recall, scores.ndcg, scores.reciprocal_rank]))
    return np.concatenate(parts, axis=1)


def _relevant(
    split: Split, user_ids: npt.NDArray[np.int32], rows: npt.NDArray[np.intp], relevant_from: float
) -> dict[int, npt.NDArray[np.int32]]:
    """List the relevant test films of each user: users and films of the training ratings only."""
    known = np.isin(split.test.movie_ids, split.train.movie_ids) & np.isin(split.test.user_ids, split.train.user_ids)
    counts = known & (split.test.values >= relevant_from)
    order = np.argsort(rows[counts], kind="stable")
    films, owners = split.test.movie_ids[counts][order], rows[counts][order]
    starts = np.searchsorted(owners, np.arange(len(user_ids) + 1))
    lists = {
        int(user_id): films[start:stop] for user_id, start, stop in zip(user_ids, starts[:-1], starts[1:], strict=True)
    }
    return {user_id: wanted for user_id, wanted in lists.items() if len(wanted)}


def _line_to_stars(model: Recommender, train: Ratings) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    sample = train.where(rng.permutation(len(train))[:_N_PAIRS_FOR_STARS])
    scores = model.predict(sample.user_ids, sample.movie_ids).astype(np.float64)
    known = ~np.isnan(scores)
    if not known.any() or np.ptp(scores[known]) == 0:
        return 0.0, float(train.values.mean())
    slope, level = np.polynomial.polynomial.polyfit(scores[known], sample.values[known], 1)[::-1]
    return float(slope), float(level)


def _baseline_stars(train: Ratings, test: Ratings) -> FloatArray:
    matrix = train.matrix()
    biases = fit_biases(matrix.values)
    users, films = rows_of(matrix.user_ids, test.user_ids), rows_of(matrix.movie_ids, test.movie_ids)
    # Row -1, which stands for an unknown user or film, has the bias 0.
    of_users, of_films = np.append(biases.users, 0.0), np.append(biases.films, 0.0)
    return np.asarray(biases.mean + of_users[users] + of_films[films])


def _scorecard(name: str, tally: _Tally, gives_stars: bool, n_resamples: int) -> Scorecard:
    user_ids, rows = np.unique(np.concatenate(tally.user_ids), return_inverse=True)
    squares, distances, n_ratings = (
        np.asarray(np.bincount(rows, weights=np.concatenate(parts), minlength=len(user_ids)), np.float64)
        for parts in (tally.squares, tally.distances, tally.n_ratings)
    )
    # A user of several folds is resampled as one user, with all their rankings.
    ranked_for, rows = np.unique(np.concatenate(tally.ranked_for), return_inverse=True)
    times = np.bincount(rows, minlength=len(ranked_for)).astype(np.float64)
    recall, ndcg, reciprocal_rank = (
        np.asarray(np.bincount(rows, weights=measured, minlength=len(ranked_for)), np.float64)
        for measured in np.concatenate(tally.rankings, axis=1)
    )
    covered, surprise, fit_s, recommend_ms, memory_mb = np.array(tally.per_split).T
    return Scorecard(
        name,
        rmse=bootstrap(squares, n_ratings, root=True, n=n_resamples),
        mae=bootstrap(distances, n_ratings, n=n_resamples),
        predicted=tally.n_predicted / max(1.0, float(n_ratings.sum())),
        gives_stars=gives_stars,
        recall=bootstrap(recall, times, n=n_resamples),
        ndcg=bootstrap(ndcg, times, n=n_resamples),
        mrr=bootstrap(reciprocal_rank, times, n=n_resamples),
        item_coverage=float(covered.mean()),
        novelty=float(surprise.mean()),
        fit_s=float(fit_s.mean()),
        recommend_ms=float(recommend_ms.mean()),
        memory_mb=float(memory_mb.max()),
    )


def _with_remarks(cards: list[Scorecard]) -> list[Scorecard]:
    if len(cards) < 2:
        return cards
    best_rmse = min(card.rmse.value for card in cards)
    best_ndcg = max(card.ndcg.value for card in cards)
    return [replace(card, remark=_remark(card, best_rmse, best_ndcg)) for card in cards]


def _remark(card: Scorecard, best_rmse: float, best_ndcg: float) -> str:
    rmse, ndcg = card.rmse.value, card.ndcg.value
    if rmse <= _WELL_RMSE * best_rmse and ndcg < _BADLY_NDCG * best_ndcg:
        return "rates well, ranks badly"
    if ndcg >= _WELL_NDCG * best_ndcg and rmse > _BADLY_RMSE * best_rmse:
        return "ranks well, rates badly"
    return ""


class _Peak:
    megabytes = 0.0


@contextmanager
def _peak_memory() -> Iterator[_Peak]:
    """Sample how far the memory of the process grows, as BLAS and TensorFlow do not report theirs."""
    process, peak, over = psutil.Process(), _Peak(), threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        while not over.wait(_SAMPLE_S):
            peak.megabytes = max(peak.megabytes, (process.memory_info().rss - before) / 1e6)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()
