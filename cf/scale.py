"""The scale of ratings: predicted stars lie within it, and so do the ends of their intervals."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from cf.ratings import HIGHEST, LOWEST

Stars = TypeVar("Stars", bound=np.floating)


def clip_to_ratings(predicted: npt.NDArray[Stars], ratings: npt.NDArray[np.floating]) -> npt.NDArray[Stars]:
    """Clip predicted stars to the least and the most stars of some ratings; NaN stays."""
    if not len(ratings):
        return predicted.clip(LOWEST, HIGHEST)
    return predicted.clip(ratings.min(), ratings.max())


def star_scale(ratings: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Return the ends of the scale that ratings are on, of which some stars may not have been given yet."""
    if not len(ratings):
        return LOWEST, HIGHEST
    lowest = LOWEST if (ratings % 1).any() else 1.0
    return min(lowest, float(ratings.min())), max(HIGHEST, float(ratings.max()))
