"""The users of a workspace: search by number, and the films that they rated best."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from catalog.film import Film
from cf.base import rows_of
from cf.ratings import RatingMatrix
from keyart.workspace.contents import open_films_and_ratings, rating_matrix
from keyart.workspace.layout import Workspace

# An int32 has ten digits at most.
_MOST_DIGITS = 10


@dataclass(frozen=True)
class User:
    """A user, and the number and mean of their ratings."""

    user_id: int
    n_ratings: int
    mean_rating: float


class Users:
    """All users with ratings; create it with `open`. Safe from several threads."""

    def __init__(self, ratings: RatingMatrix, films: Mapping[int, Film]) -> None:
        self._ratings = ratings
        self._films = films

    @classmethod
    def open(cls, workspace: Workspace) -> Self:
        """Open the ratings of a workspace."""
        films, ratings = open_films_and_ratings(workspace)
        return cls(rating_matrix(ratings), films)

    def beginning_with(self, digits: str, k: int) -> list[User]:
        """List users whose number begins with some digits, by user_id."""
        if not (digits.isascii() and digits.isdigit()) or digits.startswith("0"):
            return []
        # Numbers of one length with the same beginning are adjacent: 4, 40 to 49, 400 to 499.
        rows: list[int] = []
        for n_more in range(_MOST_DIGITS + 1 - len(digits)):
            first, end = (number * 10**n_more for number in (int(digits), int(digits) + 1))
            low, high = np.searchsorted(self._ratings.user_ids, [first, end]).tolist()
            rows += range(low, min(high, low + k - len(rows)))
        return [self._user(row) for row in rows]

    def find(self, user_id: int) -> User | None:
        """Return a user, None if unknown."""
        (row,) = rows_of(self._ratings.user_ids, [user_id])
        return self._user(int(row)) if row >= 0 else None

    def drawn(self) -> User:
        """Return a random user."""
        return self._user(secrets.randbelow(len(self._ratings.user_ids)))

    def best_rated(
        self, user_id: int, k: int, has_poster: Callable[[int], bool] = lambda _: False
    ) -> list[tuple[Film, float]]:
        """List the films that a user rated best; at equal stars, those with a poster and many ratings first."""
        (row,) = rows_of(self._ratings.user_ids, [user_id])
        own = self._ratings.values[[row] if row >= 0 else []]
        pairs = zip(self._ratings.movie_ids[own.indices].tolist(), own.data.tolist(), strict=True)
        rated = [(self._films[movie_id], stars) for movie_id, stars in pairs if movie_id in self._films]

        def rank(pair: tuple[Film, float]) -> tuple[float, bool, int, int]:
            film, stars = pair
            return -stars, not has_poster(film.movie_id), -film.n_ratings, film.movie_id

        return sorted(rated, key=rank)[:k]

    def _user(self, row: int) -> User:
        own = self._ratings.values[[row]].data
        return User(int(self._ratings.user_ids[row]), len(own), round(float(own.mean()), 4))
