"""The ratings of one person, as recommenders take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.ids import MAX_ID, is_id
from cf.base import Ids
from cf.ratings import HIGHEST, LOWEST, RatingMatrix

LIKED_FROM = 3.0
"""Films of so many stars are liked by everybody who gives them."""


def history_of(movie_ids: Ids, stars: Sequence[float] | npt.NDArray[np.floating]) -> RatingMatrix:
    """Arrange one person's ratings as a matrix of one row; movie_ids are distinct."""
    order = np.argsort(np.asarray(movie_ids, np.int32))
    ids, values = np.asarray(movie_ids, np.int32)[order], np.asarray(stars, np.float32)[order]
    row = sparse.csr_array((values, np.arange(len(ids)), [0, len(ids)]), shape=(1, len(ids)))
    return RatingMatrix(np.ones(1, np.int32), ids, row)


def liked(history: RatingMatrix) -> npt.NDArray[np.bool_]:
    """Return which ratings of one person are of films that they liked: of `LIKED_FROM` stars, or above their mean.

    Models of choices take these alone: users of a data set chose all films that they rated, a person who brings ratings
    or is shown films to rate did not. Somebody who gives few stars likes what is above their mean.
    """
    stars = history.values.data
    own_mean = stars.mean(dtype=np.float64) if len(stars) else 0.0
    return np.asarray((stars >= LIKED_FROM) | (stars > own_mean))


def select(history: RatingMatrix, mask: npt.NDArray[np.bool_]) -> RatingMatrix:
    """Select some of the ratings by a mask."""
    return history_of(history.movie_ids[history.values.indices[mask]], history.values.data[mask])


def check_stars(ratings: Mapping[int, float]) -> None:
    """Raise TypeError or ValueError unless ratings are of movie_ids, in the scale of stars."""
    for movie_id, stars in ratings.items():
        if not isinstance(movie_id, int | np.integer):
            raise TypeError(f"expected ratings by movie_id, received the key {movie_id!r}")
        if not is_id(int(movie_id)):
            raise ValueError(f"expected movie_ids from 1 to {MAX_ID:,}, received {movie_id}")
        if isinstance(stars, bool) or not isinstance(stars, int | float | np.number):
            raise TypeError(f"expected a number of stars for the film {movie_id}, received {stars!r}")
        if not LOWEST <= stars <= HIGHEST:
            raise ValueError(
                f"expected a rating from {LOWEST:g} to {HIGHEST:g}, received {stars} for the film {movie_id}"
            )
