"""The ratings of one person, as recommenders take them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from cf.base import Ids
from cf.ratings import RatingMatrix


def history_of(movie_ids: Ids, stars: Sequence[float] | npt.NDArray[np.floating]) -> RatingMatrix:
    """Arrange one person's ratings as a matrix of one row; movie_ids are distinct."""
    order = np.argsort(np.asarray(movie_ids, np.int32))
    ids, values = np.asarray(movie_ids, np.int32)[order], np.asarray(stars, np.float32)[order]
    row = sparse.csr_array((values, np.arange(len(ids)), [0, len(ids)]), shape=(1, len(ids)))
    return RatingMatrix(np.ones(1, np.int32), ids, row)


def select(history: RatingMatrix, mask: npt.NDArray[np.bool_]) -> RatingMatrix:
    """Select some of the ratings by a mask."""
    return history_of(history.movie_ids[history.values.indices[mask]], history.values.data[mask])
