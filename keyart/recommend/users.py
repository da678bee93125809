"""The users of a workspace: found by their number, with how much they rated and what they liked best."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from catalog.film import Film
from cf.base import rows_of
from cf.ratings import RatingMatrix
from keyart.workspace.changes import Snapshot
from keyart.workspace.contents import list_films, open_rating_matrix
from keyart.workspace.layout import Workspace

# A user_id is an int32, which has ten digits at most.
_MOST_DIGITS = 10


@dataclass(frozen=True)
class Viewer:
    """One user.

    Parameters
    ----------
    user_id : int
        As it stands in the ratings.
    n_ratings : int
        How many films the user rated.
    mean_rating : float
        Their mean, in stars.
    """

    user_id: int
    n_ratings: int
    mean_rating: float


class Viewers:
    """All users with ratings; open them with `open`. May be asked by several threads.

    Parameters
    ----------
    ratings : RatingMatrix
        What they rated.
    films : mapping of int to Film
        The films, by movie_id.
    snapshot : Snapshot
        Of the file that names both.
    """

    def __init__(self, ratings: RatingMatrix, films: Mapping[int, Film], snapshot: Snapshot) -> None:
        self._ratings = ratings
        self._films = films
        self._snapshot = snapshot

    @classmethod
    def open(cls, workspace: Workspace) -> Self:
        """Read who rated what.

        Parameters
        ----------
        workspace : Workspace
            The workspace.

        Returns
        -------
        Viewers
            Its users.

        Raises
        ------
        NotBuiltError
            There are no ratings.
        DataError
            They are damaged.
        """
        snapshot = Snapshot.take([workspace.catalog_path])
        return cls(open_rating_matrix(workspace), {film.movie_id: film for film in list_films(workspace)}, snapshot)

    def is_current(self) -> bool:
        """Tell whether the ratings are still those that were read.

        Returns
        -------
        bool
            False once others were loaded.
        """
        return self._snapshot.is_current()

    def beginning_with(self, digits: str, k: int) -> list[Viewer]:
        """List the users whose number begins with what somebody has typed.

        Parameters
        ----------
        digits : str
            The beginning; nobody's number begins with anything but digits.
        k : int
            How many users at most.

        Returns
        -------
        list of Viewer
            By user_id, so that the very number that was typed stands first.
        """
        if not (digits.isascii() and digits.isdigit()) or digits.startswith("0"):
            return []
        # Numbers that begin alike and are of one length lie side by side: 4, 40 to 49, 400 to 499.
        rows: list[int] = []
        for n_more in range(_MOST_DIGITS + 1 - len(digits)):
            first, end = (number * 10**n_more for number in (int(digits), int(digits) + 1))
            low, high = np.searchsorted(self._ratings.user_ids, [first, end]).tolist()
            rows += range(low, min(high, low + k - len(rows)))
        return [self._viewer(row) for row in rows]

    def find(self, user_id: int) -> Viewer | None:
        """Look a user up.

        Parameters
        ----------
        user_id : int
            The user.

        Returns
        -------
        Viewer or None
            None where nobody of that number rated anything.
        """
        (row,) = rows_of(self._ratings.user_ids, [user_id])
        return self._viewer(int(row)) if row >= 0 else None

    def drawn(self) -> Viewer:
        """Draw any user, anew each time.

        Returns
        -------
        Viewer
            The user.
        """
        return self._viewer(secrets.randbelow(len(self._ratings.user_ids)))

    def best_rated(
        self, user_id: int, k: int, pictured: Callable[[int], bool] = lambda _: False
    ) -> list[tuple[Film, float]]:
        """List what a user liked best.

        Parameters
        ----------
        user_id : int
            A user.
        k : int
            How many films at most.
        pictured : callable, optional
            Tells of a movie_id whether there is a poster to show.

        Returns
        -------
        list of (Film, float)
            The films with the user's stars, the best first; of as many stars, what can be shown and what most people
            know, to tell a stranger something.
        """
        (row,) = rows_of(self._ratings.user_ids, [user_id])
        own = self._ratings.values[[row] if row >= 0 else []]
        pairs = zip(self._ratings.movie_ids[own.indices].tolist(), own.data.tolist(), strict=True)
        rated = [(self._films[movie_id], stars) for movie_id, stars in pairs if movie_id in self._films]

        def rank(pair: tuple[Film, float]) -> tuple[float, bool, int, int]:
            film, stars = pair
            return -stars, not pictured(film.movie_id), -film.n_ratings, film.movie_id

        return sorted(rated, key=rank)[:k]

    def _viewer(self, row: int) -> Viewer:
        own = self._ratings.values[[row]].data
        return Viewer(int(self._ratings.user_ids[row]), len(own), round(float(own.mean()), 4))
