"""Ids with a score each: the one type for neighbors, recommendations and audiences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class ScoredIds:
    """Ids with a score each, aligned by position."""

    # movie_ids or user_ids, shape (n,), int32 or int64.
    ids: npt.NDArray[Any]
    # A similarity, predicted stars or a preference, higher is better; shape (n,), float32 or float64.
    scores: npt.NDArray[Any]

    def __post_init__(self) -> None:
        if self.ids.ndim != 1 or self.ids.shape != self.scores.shape:
            raise ValueError(
                f"expected as many scores as ids, received shapes {self.scores.shape} and {self.ids.shape}"
            )

    @classmethod
    def empty(cls) -> Self:
        """Return no ids."""
        return cls(np.empty(0, np.int32), np.empty(0, np.float32))

    @classmethod
    def ranked(cls, ids: npt.NDArray[Any], scores: npt.NDArray[Any], k: int | None = None) -> Self:
        """Order ids by score, best first; ties by ascending id."""
        rows = np.arange(len(ids)) if k is None else rows_of_largest(scores, k)
        order = rows[np.lexsort((ids[rows], -scores[rows]))[:k]]
        return cls(ids[order], scores[order])

    def take(self, rows: npt.NDArray[Any] | slice) -> Self:
        """Select by position or by a boolean mask."""
        return type(self)(self.ids[rows], self.scores[rows])

    def __len__(self) -> int:
        return len(self.ids)


def rows_of_largest(scores: npt.NDArray[Any], n: int) -> npt.NDArray[np.intp]:
    """Return the rows of the n highest scores and of all that equal the last of them, ascending.

    It takes far less than sorting all scores.
    """
    if n >= len(scores):
        return np.arange(len(scores))
    return np.flatnonzero(scores >= np.partition(scores, -n)[-n])
