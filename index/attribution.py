"""Why two rows are similar: how much every cell of the feature map contributes to their cosine.

A row of raw features is a map, flattened in the order height, width, channel. The cosine of two rows is a sum over
their numbers, so it is, exactly, a sum over the cells of the map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Contributions:
    """How much every cell contributes to one cosine."""

    # Of shape (height, width), the top left cell first. Never below 0 for features that are never below 0, as those of
    # VGG16; centered ones may contribute less than 0.
    grid: Floats

    @property
    def similarity(self) -> float:
        """The cosine, in [-1, 1]: the sum of the grid."""
        # Rounding may carry the cosine of a row with itself past 1.
        return min(max(math.fsum(self.grid.flat), -1.0), 1.0)


def contributions(
    first: npt.NDArray[np.floating],
    second: npt.NDArray[np.floating],
    map_shape: tuple[int, int, int],
    mean: npt.NDArray[np.floating] | None = None,
    *,
    names: tuple[str, str] = ("the first row", "the second row"),
) -> Contributions:
    """Decompose the cosine of two rows of features, cell by cell; `map_shape` is (height, width, channels).

    A cell is compared with the same cell only, as in the cosine itself: the same face at the left of one poster and at
    the right of the other adds nothing. Computed in float64, so that the parts add up to the cosine. `mean` is what the
    index subtracts; `names` stand for the rows in messages.
    """
    center = np.zeros(math.prod(map_shape)) if mean is None else _checked(mean, map_shape, "the mean")
    products = np.ones(map_shape)
    for row, name in zip((first, second), names, strict=True):
        products *= _unit(_checked(row, map_shape, name) - center, name, centered=mean is not None).reshape(map_shape)
    return Contributions(products.sum(axis=2))


def _checked(row: npt.NDArray[np.floating], map_shape: tuple[int, int, int], name: str) -> Floats:
    n_features = math.prod(map_shape)
    if row.shape != (n_features,):
        shape = " × ".join(map(str, map_shape))
        raise DataError(f"expected {n_features} numbers ({shape}) of {name}, received the shape {row.shape}")
    n_odd = n_features - int(np.isfinite(row).sum())
    if n_odd:
        raise DataError(f"{n_odd} of the {n_features} numbers of {name} are not finite, so there is no cosine")
    return row.astype(np.float64)


def _unit(row: Floats, name: str, *, centered: bool) -> Floats:
    length = np.linalg.norm(row)
    if length == 0.0:
        value = "those of the mean that is subtracted" if centered else "zero"
        raise DataError(f"all {len(row)} numbers of {name} are {value}, so there is no cosine")
    return np.asarray(row / length)
