"""Why two rows are similar: how much every cell of the feature map contributes to their cosine.

A row of raw features is a map, flattened in the order height, width, channel. The cosine of two rows is a sum over
their numbers, so it is, exactly, a sum over the cells of the map. That of two embedded rows is a sum over the numbers
of one film's pools; each of these is split among the cells that it was pooled from, by their share of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError, QueryError
from index.embedding import WhitenedEmbedding, pool_weights

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Contributions:
    """How much every cell contributes to one cosine."""

    # Of shape (height, width), the top left cell first. Never below 0 for features that are never below 0, as those of
    # VGG16; centered and embedded ones may contribute less than 0.
    grid: Floats

    @property
    def similarity(self) -> float:
        """The cosine, in [-1, 1]: the sum of the grid."""
        # Rounding may carry the cosine of a row with itself past 1.
        return min(max(math.fsum(self.grid.flat), -1.0), 1.0)


class PairedContributions(NamedTuple):
    """How much the cells of two maps contribute to their cosine: those of each, and every pair of one with another."""

    first: Contributions
    second: Contributions
    # Of shape (cells of the first, cells of the second), cells in the order of rows.
    pairs: Floats


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


def embedded_contributions(
    first: npt.NDArray[np.floating], second: npt.NDArray[np.floating], embedding: WhitenedEmbedding
) -> PairedContributions:
    """Decompose the cosine of two embedded rows of features by pairs of cells.

    They add up to the cosine, and so do those of the cells of each. Computed in float64.
    """
    names = ("the first row", "the second row")
    rows = [_checked(row, embedding.map_shape, name) for row, name in zip((first, second), names, strict=True)]
    of_first, of_second = (_embedded_cells(embedding, row) for row in rows)
    pairs = of_first @ of_second.T
    shape = embedding.map_shape[:2]
    of_each = [Contributions(pairs.sum(axis=axis).reshape(shape)) for axis in (1, 0)]
    return PairedContributions(of_each[0], of_each[1], pairs)


def _embedded_cells(embedding: WhitenedEmbedding, row: Floats) -> Floats:
    """Split an embedded row of length 1 among the cells of its map: (cells, n_dimensions), which add up to it."""
    cells, parts = row.reshape(embedding.map_shape), []
    for part in embedding.parts:
        numbers = part.centered(cells[None].astype(np.float32))[0].astype(np.float64)
        projected = _split(numbers, np.abs(cells), part.pool) @ part.projection
        parts.append(projected / _length(projected))
    embedded = np.concatenate(parts, axis=1) @ embedding.rotation
    return np.asarray(embedded / _length(embedded))


def _length(rows: Floats) -> float:
    return float(np.linalg.norm(rows.sum(axis=0))) or 1.0


def _split(numbers: Floats, sizes: Floats, pool: str) -> Floats:
    """Split pooled numbers among the cells that were pooled, by the share of each: (cells, numbers)."""
    height, width, channels = sizes.shape
    weights = pool_weights(pool, height, width).astype(np.float64)
    split = np.empty((height * width, len(weights), channels))
    for number, of_cells in enumerate(weights):
        parts = of_cells[:, None] * sizes.reshape(height * width, channels)
        totals = parts.sum(axis=0)
        # A pool of zeros is split as it was weighted.
        split[:, number] = np.divide(
            parts, totals, out=np.repeat(of_cells[:, None], channels, axis=1), where=totals > 0
        )
    return (split * numbers.reshape(len(weights), channels)).reshape(height * width, -1)


def _checked(row: npt.NDArray[np.floating], map_shape: tuple[int, int, int], name: str) -> Floats:
    n_features = math.prod(map_shape)
    if row.shape != (n_features,):
        shape = " × ".join(map(str, map_shape))
        raise DataError(f"expected {n_features} numbers ({shape}) of {name}, received the shape {row.shape}")
    n_odd = n_features - int(np.isfinite(row).sum())
    if n_odd:
        raise QueryError(f"{n_odd} of the {n_features} numbers of {name} are not finite, so there is no cosine")
    return row.astype(np.float64)


def _unit(row: Floats, name: str, *, centered: bool) -> Floats:
    length = np.linalg.norm(row)
    if length == 0.0:
        value = "those of the mean that is subtracted" if centered else "zero"
        raise QueryError(f"all {len(row)} numbers of {name} are {value}, so there is no cosine")
    return np.asarray(row / length)
