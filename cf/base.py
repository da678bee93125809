"""The contract that every recommender keeps.

What ``fit`` learns ends in ``_``; results come as ids and scores, in this order; a film is never its own neighbour;
ties stand in ascending movie_id; fewer results than k are a shorter list, never padding. Nothing is pickled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from cf.ratings import RatingMatrix


class Neighbors(NamedTuple):
    """The films nearest to one film.

    Parameters
    ----------
    movie_ids : ndarray of shape (n,), int32
        Nearest first; n is k or less.
    similarities : ndarray of shape (n,), float32
        Higher is nearer.
    """

    movie_ids: npt.NDArray[np.int32]
    similarities: npt.NDArray[np.float32]


class Recommender(ABC):
    """What a model of ratings can be asked."""

    @abstractmethod
    def fit(self, ratings: RatingMatrix) -> Self:
        """Learn from ratings.

        Parameters
        ----------
        ratings : RatingMatrix
            Users × films; it is not changed.

        Returns
        -------
        Recommender
            Itself.
        """

    @abstractmethod
    def similar_items(self, movie_ids: Sequence[int], k: int) -> list[Neighbors]:
        """Find the films nearest to each of some films.

        Parameters
        ----------
        movie_ids : sequence of int
            The films asked about.
        k : int
            How many neighbours at most.

        Returns
        -------
        list of Neighbors
            One for each film asked about; empty for a film of which nothing is known.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what was learnt.

        Parameters
        ----------
        folder : Path
            A folder of this model's own.

        Raises
        ------
        StoreError
            The files cannot be written; what was there before is untouched.
        """

    @classmethod
    @abstractmethod
    def open(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        folder : Path
            The model's folder.

        Returns
        -------
        Recommender
            A model that answers as the saved one did.

        Raises
        ------
        NotBuiltError
            Nothing was saved there.
        DataError
            It is of another kind or version, or damaged.
        """
