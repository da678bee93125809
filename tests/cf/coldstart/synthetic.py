"""Synthetic films whose genre and poster brightness determine who rates them."""

from __future__ import annotations

import numpy as np

from cf.coldstart.content import FilmContent
from cf.coldstart.holdout import RatedFilms
from tests.contracts import ratings_of

N_USERS, N_FILMS = 60, 120


def rated_films(seed: int = 0, n_films: int = N_FILMS, density: float = 0.6) -> RatedFilms:
    """Draw films, half of them comedies, half of them bright; users like one of the four combinations."""
    rng = np.random.default_rng(seed)
    comedy, bright = rng.integers(0, 2, (2, n_films))
    likes_comedy, likes_bright = np.arange(N_USERS) % 2, np.arange(N_USERS) // 2 % 2
    fits = (likes_comedy[:, None] == comedy).astype(int) + (likes_bright[:, None] == bright)
    rated = rng.random((N_USERS, n_films)) < density * np.array([0.05, 0.4, 1.0])[fits]
    # Every user and every film has a rating.
    rated[np.arange(n_films) % N_USERS, np.arange(n_films)] = True
    ratings = ratings_of(np.where(rated, 2.0 + fits, 0))
    posters = rng.normal(0, 0.3, (n_films, 6)) + np.outer(2 * bright - 1, np.ones(6))
    content = FilmContent(
        [["Comedy"] if funny else ["Drama"] for funny in comedy], [1990] * n_films, posters.astype("f4")
    )
    return RatedFilms(ratings, np.unique(ratings.movie_ids), content, np.arange(n_films))
