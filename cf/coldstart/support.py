"""Films by their numbers of ratings, for tables that show where a model helps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

#: Least numbers of ratings of the films of each bucket.
BUCKETS = (0, 1, 5, 20, 100)


def by_support(n_ratings: npt.NDArray[Any]) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """Mark what is in each bucket, by its name, and all of it last."""
    names = [*(_span(low, after - 1) for low, after in pairwise(BUCKETS)), f"{BUCKETS[-1]}+"]
    places = np.searchsorted(BUCKETS, n_ratings, side="right") - 1
    return [*((name, places == place) for place, name in enumerate(names)), ("all", np.ones(len(n_ratings), bool))]


def _span(least: int, most: int) -> str:
    return f"{least}" if least == most else f"{least}–{most}"
