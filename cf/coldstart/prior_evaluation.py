"""What films' content is worth as the prior of their factors: RMSE with and without it, by films' support.

Every draw predicts ratings of the same films, so that draws tell nothing of other films. Intervals are over users and
over films instead, which are crossed as users and draws are elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.errors import ConfigError
from catalog.io.progress import Advance, Progress, silent
from cf.base import rows_of
from cf.coldstart.content_prior import SOURCES, PriorALS
from cf.coldstart.holdout import N_APART, Half, RatedFilms, have_posters
from cf.coldstart.intervals import ratio
from cf.coldstart.support import by_support
from cf.evaluation.metrics import Estimate, FloatArray
from cf.evaluation.splits import random_split
from cf.ratings import RatingMatrix, Ratings

_SHARE = 0.2


@dataclass(frozen=True)
class PriorScore:
    """How stars are predicted for films of about one support."""

    source: str
    support: str
    n_ratings: int
    rmse: Estimate
    difference: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values."""
        return asdict(self)


def evaluate_prior(
    films: RatedFilms,
    *,
    seeds: Sequence[int] = range(N_APART),
    on: Half = "test",
    progress: Progress = silent,
) -> list[PriorScore]:
    """Fit factors to four fifths of the ratings, and predict those of the others that are of films with posters."""
    chosen = np.flatnonzero(have_posters(films))
    chosen = chosen[np.random.default_rng(0).permutation(len(chosen)) % 2 == (on == "test")]
    with progress("evaluate the prior", len(seeds) * len(SOURCES), "fits") as advance:
        draws = [_draw(films, films.movie_ids[chosen], seed, advance) for seed in seeds]
    user_ids = np.concatenate([draw.user_ids for draw in draws])
    movie_ids = np.concatenate([draw.movie_ids for draw in draws])
    support = np.concatenate([draw.support for draw in draws])
    errors = {source: np.concatenate([draw.squares[source] for draw in draws]) for source in SOURCES}
    return [
        _score(source, name, errors[source][rows], errors["none"][rows], (movie_ids[rows], user_ids[rows]))
        for source in SOURCES
        for name, rows in by_support(support)
    ]


@dataclass(frozen=True)
class _Draw:
    """Test ratings of one draw: whose and of what they are, their films' training ratings, squared errors by source."""

    user_ids: npt.NDArray[np.int32]
    movie_ids: npt.NDArray[np.int32]
    support: npt.NDArray[np.intp]
    squares: dict[str, FloatArray]


def _draw(films: RatedFilms, movie_ids: npt.NDArray[np.int32], seed: int, advance: Advance) -> _Draw:
    split = random_split(films.ratings, _SHARE, seed)
    test = split.test.of_films(movie_ids)
    test = test.where(np.isin(test.user_ids, split.train.user_ids))
    if not len(test):
        raise ConfigError("no rating of a film with a poster was held out; load more ratings")
    matrix = _matrix(split.train, films.movie_ids)
    support = np.bincount(matrix.values.indices, minlength=len(films.movie_ids))
    squares = {}
    for source, parts in SOURCES.items():
        advance(0, f"{source}, draw {seed}")
        predicted = PriorALS(films.content, parts, seed=seed).fit(matrix).predict(test.user_ids, test.movie_ids)
        stars = np.clip(predicted, split.train.values.min(), split.train.values.max())
        squares[source] = np.square(stars.astype(np.float64) - test.values)
        advance(1)
    return _Draw(test.user_ids, test.movie_ids, support[rows_of(films.movie_ids, test.movie_ids)], squares)


def _matrix(train: Ratings, movie_ids: npt.NDArray[np.int32]) -> RatingMatrix:
    """Arrange ratings with a column for every film, those that nobody rates here too."""
    user_ids, users = np.unique(train.user_ids, return_inverse=True)
    cells = (train.values, (users, rows_of(movie_ids, train.movie_ids)))
    return RatingMatrix(user_ids, movie_ids, sparse.coo_array(cells, shape=(len(user_ids), len(movie_ids))).tocsr())


def _score(
    source: str, support: str, squares: FloatArray, without: FloatArray, ids: tuple[npt.NDArray[np.int32], ...]
) -> PriorScore:
    rmse = Estimate(*(float(np.sqrt(max(end, 0.0))) for end in _mean(squares, ids)))
    # A difference of squares over the sum of the roots is the difference of the roots.
    both = rmse.value + float(np.sqrt(without.mean())) if len(without) else float("nan")
    difference = Estimate(*(end / max(both, 1e-12) for end in _mean(squares - without, ids)))
    return PriorScore(source, support, len(squares), rmse, difference)


def _mean(values: FloatArray, ids: tuple[npt.NDArray[np.int32], ...]) -> tuple[float, float, float]:
    """Average over ratings, with an interval over the films and users that they are of."""
    (film_ids, films), (user_ids, users) = (np.unique(of_one, return_inverse=True) for of_one in ids)
    shape = len(film_ids), len(user_ids)
    totals, times = (
        sparse.coo_array((of_one, (films, users)), shape).toarray() for of_one in (values, np.ones(len(values)))
    )
    estimate = ratio(totals, times, len(film_ids)).estimate
    return estimate.value, estimate.low, estimate.high
