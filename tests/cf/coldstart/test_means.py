from __future__ import annotations

import numpy as np
import pytest

from cf.coldstart.content import FilmContent
from cf.coldstart.holdout import RatedFilms
from cf.coldstart.means import evaluate_means
from tests.contracts import ratings_of


def films_of_known_means(n_films: int = 400, n_users: int = 200, seed: int = 0) -> RatedFilms:
    """Draw films whose means differ by genre and by more than that; films have from 3 to all users' ratings."""
    rng = np.random.default_rng(seed)
    genre = rng.integers(0, 2, n_films)
    means = 3 + 0.4 * genre + rng.normal(0, 0.4, n_films)
    stars = np.rint(2 * (means + rng.normal(0, 1, (n_users, n_films)))).clip(1, 10) / 2
    rated = np.arange(n_users)[:, None] < rng.choice([3, 10, 40, n_users], n_films)
    ratings = ratings_of(np.where(rated, stars, 0))
    content = FilmContent(
        [["Comedy"] if funny else ["Drama"] for funny in genre],
        [1990] * n_films,
        rng.normal(size=(n_films, 3)).astype(np.float32),
    )
    return RatedFilms(ratings, np.unique(ratings.movie_ids), content, np.arange(n_films))


def test_intervals_hold_the_means_of_hidden_films() -> None:
    scores = {score.support: score for score in evaluate_means(films_of_known_means(), seeds=range(5))}
    assert list(scores) == ["1–4", "5–19", "20–99", "100+", "all"]
    assert scores["all"].n_films == 200
    assert sum(score.n_films for score in scores.values()) == 400
    assert scores["all"].with_sampling.low < 95 < scores["all"].with_sampling.high
    # Three ratings say little of a mean, and their mean is often outside; two hundred are nearly the mean itself.
    assert scores["1–4"].as_printed.value < scores["1–4"].with_sampling.value - 5
    assert scores["100+"].as_printed.value == pytest.approx(scores["100+"].with_sampling.value, abs=3)
    assert scores["1–4"].rmse > scores["100+"].rmse > 0.3
