"""Why two rows are similar: how much every cell of the feature map contributes to their cosine.

A row of raw features is a map, flattened in the order height, width, channel. The cosine of two rows is a sum over
their numbers, so it is, exactly, a sum over the cells of the map. That of two embedded rows is a sum over the numbers
of one film's pools; each of these is split among the cells that it was pooled from, by their share of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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
) -> tuple[Contributions, Contributions]:
    """Decompose the cosine of two embedded rows of features, once by the cells of the first and once of the second.

    Both add up to the cosine. Computed in float64.
    """
    names = ("the first row", "the second row")
    rows = [_checked(row, embedding.map_shape, name) for row, name in zip((first, second), names, strict=True)]
    passes = [_Pass.of(embedding, row) for row in rows]
    return passes[0].contributions(passes[1]), passes[1].contributions(passes[0])


@dataclass(frozen=True)
class _Pass:
    """One row on its way through an embedding."""

    embedding: WhitenedEmbedding
    # What pools were made from, of the embedding's map shape.
    cells: Floats
    # For each part, the pooled numbers less their mean, and the length of what the directions make of them.
    centered: tuple[Floats, ...]
    lengths: tuple[float, ...]
    # The embedded row before it is scaled to length 1.
    embedded: Floats

    @classmethod
    def of(cls, embedding: WhitenedEmbedding, row: Floats) -> _Pass:
        cells = row.reshape(embedding.map_shape)
        centered = tuple(
            part.centered(cells[None].astype(np.float32))[0].astype(np.float64) for part in embedding.parts
        )
        projected = [numbers @ part.projection for numbers, part in zip(centered, embedding.parts, strict=True)]
        lengths = tuple(float(np.linalg.norm(numbers)) or 1.0 for numbers in projected)
        units = [numbers / length for numbers, length in zip(projected, lengths, strict=True)]
        return cls(embedding, cells, centered, lengths, np.concatenate(units) @ embedding.rotation)

    @property
    def length(self) -> float:
        return float(np.linalg.norm(self.embedded)) or 1.0

    def contributions(self, other: _Pass) -> Contributions:
        weights = self.embedding.rotation @ other.embedded / (self.length * other.length)
        grid, start = np.zeros(self.cells.shape[:2]), 0
        for part, numbers, length in zip(self.embedding.parts, self.centered, self.lengths, strict=True):
            of_part = weights[start : start + part.directions.shape[1]]
            start += len(of_part)
            products = numbers * (part.projection @ of_part) / length
            grid += _split(products, np.abs(self.cells), part.pool)
        return Contributions(grid)


def _split(products: Floats, sizes: Floats, pool: str) -> Floats:
    """Split the products of pooled numbers among the cells that were pooled, by the share of each."""
    height, width, channels = sizes.shape
    weights = pool_weights(pool, height, width).astype(np.float64)
    grid = np.zeros(height * width)
    for of_pool, of_cells in zip(products.reshape(len(weights), channels), weights, strict=True):
        parts = of_cells[:, None] * sizes.reshape(height * width, channels)
        totals = parts.sum(axis=0)
        # A pool of zeros is split as it was weighted.
        shares = np.divide(parts, totals, out=np.repeat(of_cells[:, None], channels, axis=1), where=totals > 0)
        grid += shares @ of_pool
    return grid.reshape(height, width)


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
