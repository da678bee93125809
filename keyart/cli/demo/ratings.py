"""The ratings of the demonstration's simulated users.

A user belongs to one audience, sees its films more often and likes them better, whatever their posters look like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_USERS = 300
# How much more likely a user of the film's own audience has seen it.
_OWN_WEIGHT = 5.0
_OWN_STARS, _OTHER_STARS = 4.2, 2.6
_USER_STD, _FILM_STD, _RATING_STD = 0.3, 0.2, 0.55
_FIRST_SECOND, _LAST_SECOND = 946_684_800, 1_577_836_800  # 2000 to 2020

Ids = NDArray[np.int64]
Stars = NDArray[np.float64]


@dataclass(frozen=True)
class Ratings:
    """Ratings as columns of shape (n_ratings,), by ascending user and film; timestamps in seconds since 1970."""

    user_ids: Ids
    movie_ids: Ids
    stars: Stars
    timestamps: Ids


def draw_ratings(
    movie_ids: Sequence[int], audiences: Sequence[str], n_ratings: Sequence[int], rng: np.random.Generator
) -> Ratings:
    """Simulate exactly `n_ratings` ratings of each film, at most `N_USERS`."""
    user_audiences = rng.choice(sorted(set(audiences)), N_USERS)
    eagerness = rng.lognormal(0, 0.7, N_USERS)
    leniency = rng.normal(0, _USER_STD, N_USERS)
    users: list[Ids] = []
    stars: list[Stars] = []
    for audience, n in zip(audiences, n_ratings, strict=True):
        own = user_audiences == audience
        weights = eagerness * np.where(own, _OWN_WEIGHT, 1.0)
        raters = rng.choice(N_USERS, n, replace=False, p=weights / weights.sum())
        opinion = np.where(own, _OWN_STARS, _OTHER_STARS) + leniency + rng.normal(0, _FILM_STD)
        users.append(raters + 1)
        stars.append(_halves(opinion[raters] + rng.normal(0, _RATING_STD, n)))
    user_ids, rated_ids = np.concatenate(users), np.repeat(np.asarray(movie_ids, dtype=np.int64), n_ratings)
    order = np.lexsort((rated_ids, user_ids))
    timestamps = rng.integers(_FIRST_SECOND, _LAST_SECOND, len(order))
    return Ratings(user_ids[order], rated_ids[order], np.concatenate(stars)[order], timestamps)


def _halves(stars: Stars) -> Stars:
    return np.clip(np.round(stars * 2) / 2, 0.5, 5.0)
