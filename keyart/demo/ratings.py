"""The made-up users of the demonstration, and what they think of the films.

A user belongs to one audience. She sees the films of her own audience more often and likes them better, whatever
their posters look like. Imports nothing of the project.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_USERS = 300
# A user of the film's own audience is this much more likely to have seen it than another user.
_OWN_PULL = 5.0
_OWN_STARS, _OTHER_STARS = 4.2, 2.6
_SPREAD_OF_USERS, _SPREAD_OF_FILMS, _SPREAD_OF_MOODS = 0.3, 0.2, 0.55
_FIRST_SECOND, _LAST_SECOND = 946_684_800, 1_577_836_800  # 2000 to 2020

Ids = NDArray[np.int64]
Stars = NDArray[np.float64]


@dataclass(frozen=True)
class Ratings:
    """Ratings as columns, by ascending user and film."""

    user_ids: Ids
    movie_ids: Ids
    stars: Stars
    timestamps: Ids


def draw_ratings(
    movie_ids: Sequence[int], audiences: Sequence[str], n_ratings: Sequence[int], rng: np.random.Generator
) -> Ratings:
    """Let the made-up users rate films."""
    user_audiences = rng.choice(sorted(set(audiences)), N_USERS)
    eagerness = rng.lognormal(0, 0.7, N_USERS)
    leniency = rng.normal(0, _SPREAD_OF_USERS, N_USERS)
    users: list[Ids] = []
    stars: list[Stars] = []
    for audience, n in zip(audiences, n_ratings, strict=True):
        own = user_audiences == audience
        pull = eagerness * np.where(own, _OWN_PULL, 1.0)
        raters = rng.choice(N_USERS, n, replace=False, p=pull / pull.sum())
        opinion = np.where(own, _OWN_STARS, _OTHER_STARS) + leniency + rng.normal(0, _SPREAD_OF_FILMS)
        users.append(raters + 1)
        stars.append(_halves(opinion[raters] + rng.normal(0, _SPREAD_OF_MOODS, n)))
    user_ids, rated_ids = np.concatenate(users), np.repeat(np.asarray(movie_ids, dtype=np.int64), n_ratings)
    order = np.lexsort((rated_ids, user_ids))
    timestamps = rng.integers(_FIRST_SECOND, _LAST_SECOND, len(order))
    return Ratings(user_ids[order], rated_ids[order], np.concatenate(stars)[order], timestamps)


def _halves(stars: Stars) -> Stars:
    return np.clip(np.round(stars * 2) / 2, 0.5, 5.0)
