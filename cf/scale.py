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


def star_scale(least: float, most: float) -> tuple[float, float]:
    """Return the ends of the scale of ratings, of which some stars may not have been given yet.

    Half a star is among them where somebody gave it: some data sets have whole stars alone.
    """
    return min(1.0, least), max(HIGHEST, most)
