"""Embeddings: what is made of features before the cosines of films are computed.

Raw features are compared number by number, so a figure further to the left counts as another one, and a few strong
channels decide most cosines. A whitened embedding pools the map of features in several ways, and divides the directions
in which the films of this catalog differ by a power of their variance.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.linalg

from catalog.errors import DataError
from catalog.io.files import atomic_path, open_file
from catalog.text import plural
from index.source import FilmFeatures
from index.vectors import FloatMatrix, Matrix, unit_rows

Similarity = Literal["cosine", "whitened"]
MapShape = tuple[int, int, int]

# Half would make all directions of a part equal, those of noise too.
_EXPONENT = 0.35
# The parts are much alike, so what they share would outweigh what one of them alone sees.
_JOINT_EXPONENT = 0.1
# Of a part, and of the parts together: 768 half floats of a million films are 1.5 GB.
_N_DIRECTIONS, N_DIMENSIONS = 384, 768
_N_SAMPLE = 4096
_BLOCK_ROWS = 512
# Directions of less variance, relative to the largest, are rounding errors.
_NO_VARIANCE = 1e-6
# The squared rounding error of rows of length 1.
_ROUNDING = 1e-13
FEWEST_FILMS = 32
"""The films of fewer differ in so few directions that different posters get the same row (benchmarks/duplicates.py)."""
# The directions of fewer films than this are those of single posters.
_FEW_FILMS = 256
# As many directions as films would fit the sample and nothing else.
_FILMS_PER_DIRECTION = 2
# From this mean cosine on, films differ by little more than noise, which whitening would amplify.
_ALIKE = 0.9


def _spans(size: int) -> list[tuple[int, int]]:
    """Return where the first, middle and last of three overlapping spans begin and end, as 0-3, 2-5, 4-7 of 7."""
    length = max(1, round(size * 3 / 7))
    margin = (size - length) // 2
    return [(0, length), (margin, size - margin), (size - length, size)]


@cache
def pool_weights(pool: str, height: int, width: int) -> FloatMatrix:
    """Return what share each place of a map has in each number that a way of pooling makes of a channel.

    Of shape (n_pools, height * width), each row summing to 1. The ways: ``"whole"`` is the mean of all places;
    ``"columns"``, ``"rows"`` and ``"blocks"``, of three by three overlapping ones, are means over each of them and its
    mirror image, so a mirrored map is pooled as the map is; ``"flat"`` keeps every place.
    """
    y, x = np.indices((height, width))
    if pool == "flat":
        return np.eye(height * width, dtype=np.float32)
    masks = {
        "whole": [y >= 0],
        "columns": [x == column for column in range(-(-width // 2))],
        # Of indexes that were built before blocks took their place.
        "rows": [y == row for row in range(height)],
        "blocks": [
            (top <= y) & (y < bottom) & (left <= x) & (x < right)
            for top, bottom in _spans(height)
            for left, right in _spans(width)[:2]
        ],
    }[pool]
    folded = [(mask / mask.sum() + mask[:, ::-1] / mask.sum()) / 2 for mask in masks]
    return np.array(folded, np.float32).reshape(len(masks), height * width)


@dataclass(frozen=True)
class Part:
    """One way of pooling, and the directions in which films differ once they are pooled so."""

    pool: str
    # What is subtracted from pooled rows, of shape (n_pooled,).
    mean: FloatMatrix
    # Orthonormal columns, of shape (n_pooled, n_directions), in the order of falling variance.
    directions: FloatMatrix
    # What each direction is multiplied by.
    scales: FloatMatrix

    @cached_property
    def projection(self) -> FloatMatrix:
        """The directions, scaled."""
        projection: FloatMatrix = self.directions * self.scales
        return projection

    def centered(self, maps: FloatMatrix) -> FloatMatrix:
        """Pool maps, take square roots and subtract the mean."""
        return np.asarray(pooled(maps, self.pool) - self.mean)

    def units(self, maps: FloatMatrix) -> FloatMatrix:
        """Embed maps as rows of length 1; rows that equal the mean stay 0."""
        return unit_rows(self.centered(maps) @ self.projection, None)[0]

    def residuals(self, maps: FloatMatrix) -> FloatMatrix:
        """Return the share of each row's squared length, in [0, 1], that the directions leave out."""
        units, _ = unit_rows(self.centered(maps), None)
        left_out: FloatMatrix = 1.0 - np.square(units @ self.directions).sum(axis=1)
        return left_out.clip(0.0, 1.0)


def pooled(maps: FloatMatrix, pool: str) -> FloatMatrix:
    """Pool maps, take roots of their numbers, signs kept, and scale rows to length 1."""
    n_films, height, width, channels = maps.shape
    weights = pool_weights(pool, height, width)
    rows = weights @ maps.reshape(n_films, height * width, channels)
    return _rooted(rows.reshape(n_films, len(weights) * channels))


def _rooted(rows: FloatMatrix) -> FloatMatrix:
    return unit_rows(np.sign(rows) * np.sqrt(np.abs(rows)), None)[0]


@dataclass(frozen=True)
class _PartOfCells:
    """What a part makes of maps that are 0 but in some cells: pools without such a cell cost nothing."""

    # Of pools that have such a cell, by cell, of shape (n_pools, n_cells).
    weights: FloatMatrix
    projection: FloatMatrix
    # The mean, projected.
    origin: FloatMatrix

    @classmethod
    def of(cls, part: Part, is_cell: npt.NDArray[np.bool_]) -> _PartOfCells:
        weights = pool_weights(part.pool, *is_cell.shape)[:, is_cell.ravel()]
        in_pool = weights.any(axis=1)
        columns = np.repeat(in_pool, len(part.mean) // len(weights))
        projection = np.ascontiguousarray(part.projection[columns])
        return cls(weights[in_pool], projection, np.asarray(part.mean @ part.projection))

    def units(self, cells: FloatMatrix) -> FloatMatrix:
        rooted = _rooted((self.weights @ cells).reshape(len(cells), len(self.projection)))
        return unit_rows(rooted @ self.projection - self.origin, None)[0]


@dataclass(frozen=True)
class CellsEmbedding:
    """Embeds maps that are 0 but in some cells, as the whole embedding does, in less time."""

    parts: tuple[_PartOfCells, ...]
    rotation: FloatMatrix

    def units(self, cells: Matrix) -> FloatMatrix:
        """Embed cells (n, n_cells, channels) as rows (n, n_dimensions) of length 1."""
        numbers = np.asarray(cells, np.float32)
        joined = np.concatenate([part.units(numbers) for part in self.parts], axis=1)
        return unit_rows(joined @ self.rotation, None)[0]


@dataclass(frozen=True)
class WhitenedEmbedding:
    """Makes of features what a whitened index compares: the parts side by side, whitened again in fewer dimensions.

    References
    ----------
    .. [1] F. Perronnin, J. Sánchez, T. Mensink, "Improving the Fisher kernel for large-scale image classification",
       ECCV 2010: power normalization.
    .. [2] H. Jégou, O. Chum, "Negative evidences and co-occurrences in image retrieval: the benefit of PCA and
       whitening", ECCV 2012. Here variances are divided out with a smaller exponent.
    """

    # (height, width, channels) of a row of features.
    map_shape: MapShape
    parts: tuple[Part, ...]
    # Orthogonal columns that the parts, side by side, are projected on; of shape (directions of all, n_dimensions).
    rotation: FloatMatrix
    n_fitted: int

    @classmethod
    def fit(cls, features: FilmFeatures, map_shape: MapShape | None, rng: np.random.Generator) -> WhitenedEmbedding:
        """Fit an embedding on a sample of films, read a block at a time.

        Features that are no map are whitened as they are. Memory: the pooled rows of 4,096 films, and their products.
        Raises DataError where all films are the same.
        """
        shape = map_shape or (1, 1, features.n_features)
        pools = ("blocks", "columns", "whole") if map_shape else ("flat",)
        numbers = np.sort(rng.choice(len(features), min(_N_SAMPLE, len(features)), replace=False))
        rows: dict[str, list[FloatMatrix]] = {pool: [] for pool in pools}
        for start in range(0, len(numbers), _BLOCK_ROWS):
            maps = _maps(features.read(numbers[start : start + _BLOCK_ROWS]), shape)
            for pool in pools:
                rows[pool].append(pooled(maps, pool))
        fitted, units = zip(*(_fit_part(pool, np.concatenate(rows.pop(pool))) for pool in pools), strict=True)
        variances, directions = _principal_directions(np.concatenate(units, axis=1), N_DIMENSIONS)
        rotation = directions * _scales(variances, _JOINT_EXPONENT)
        return cls(shape, fitted, np.ascontiguousarray(rotation), len(numbers))

    @property
    def n_dimensions(self) -> int:
        """Numbers of an embedded film."""
        return int(self.rotation.shape[1])

    @cached_property
    def sha256(self) -> str:
        """The hash of its numbers, which identifies it."""
        digest = hashlib.sha256()
        for array in self._arrays().values():
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def units(self, features: Matrix) -> FloatMatrix:
        """Embed features (n, n_features) as rows (n, n_dimensions) of length 1.

        A row is 0 where the features are those of the mean film, which is like no other.
        """
        maps = _maps(features, self.map_shape)
        return unit_rows(np.concatenate([part.units(maps) for part in self.parts], axis=1) @ self.rotation, None)[0]

    def of_cells(self, is_cell: npt.NDArray[np.bool_]) -> CellsEmbedding:
        """Return what embeds maps that are 0 but in some cells, of shape (height, width)."""
        return CellsEmbedding(tuple(_PartOfCells.of(part, is_cell) for part in self.parts), self.rotation)

    def embed(self, features: FilmFeatures) -> FilmFeatures:
        """Embed films, a block at a time, as half floats."""
        rows = np.empty((len(features), self.n_dimensions), np.float16)
        precise, start = self._in_double(), 0
        for block in features.blocks():
            rows[start : start + len(block)] = precise.units(block)
            start += len(block)
        return FilmFeatures.of(features.movie_ids, rows, features.poster_sha256s)

    def residuals(self, features: FilmFeatures) -> FloatMatrix:
        """Return what share of each film the directions leave out, on average over the parts; in [0, 1]."""
        blocks = [
            np.mean([part.residuals(_maps(block, self.map_shape)) for part in self.parts], axis=0)
            for block in features.blocks()
        ]
        return np.concatenate(blocks)

    def settings(self) -> dict[str, Any]:
        """Return what ``index.json`` records of it."""
        return {
            "parts": {part.pool: part.directions.shape[1] for part in self.parts},
            "n_dimensions": self.n_dimensions,
            "n_fitted": self.n_fitted,
            "sha256": self.sha256,
        }

    def save(self, path: Path) -> None:
        """Write its arrays as an ``.npz`` file, whole or not at all."""
        with atomic_path(path) as temporary_path, temporary_path.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **self._arrays())

    @classmethod
    def open(cls, path: Path) -> WhitenedEmbedding:
        """Read what `save` wrote; raises ValueError or KeyError where it is damaged."""
        with open_file(path) as stream, np.load(stream, allow_pickle=False) as arrays:
            height, width, channels = arrays["map_shape"].tolist()
            parts = tuple(
                Part(pool, *(arrays[f"{pool}_{name}"] for name in ("mean", "directions", "scales")))
                for pool in arrays["pools"].tolist()
            )
            return cls((height, width, channels), parts, arrays["rotation"], int(arrays["n_fitted"]))

    def _in_double(self) -> WhitenedEmbedding:
        """Copy with matrices of doubles.

        A product sums in an order that depends on the number of rows; in doubles, the difference is too small for two
        films with the same features to get different rows.
        """
        parts = tuple(replace(part, directions=part.directions.astype(np.float64)) for part in self.parts)
        return replace(self, parts=parts, rotation=self.rotation.astype(np.float64))

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        arrays: dict[str, npt.NDArray[Any]] = {
            "map_shape": np.array(self.map_shape),
            "pools": np.array([part.pool for part in self.parts]),
            "rotation": self.rotation,
            "n_fitted": np.array(self.n_fitted),
        }
        for part in self.parts:
            arrays |= {f"{part.pool}_{name}": getattr(part, name) for name in ("mean", "directions", "scales")}
        return arrays


def why_impossible(n_films: int) -> str | None:
    """Return why so many films have no embedding, even if it is asked for; None where they have one."""
    if n_films >= FEWEST_FILMS:
        return None
    films = plural(n_films, "film is", "films are")
    return f"{films} too few for an embedding, which would make different posters the same (from {FEWEST_FILMS} on)"


def why_unsuitable(features: FilmFeatures, n_sample: int = _FEW_FILMS) -> str | None:
    """Return why films of these features are better compared without an embedding; None where they are not."""
    if len(features) < _FEW_FILMS:
        films = plural(len(features), "film is", "films are")
        return f"{films} too few to learn from how they differ (from {_FEW_FILMS} on)"
    numbers = np.linspace(0, len(features) - 1, n_sample).astype(np.int64)
    mean = pooled(unit_rows(features.read(numbers), None)[0].reshape(n_sample, 1, 1, -1), "flat").mean(axis=0)
    if (alike := float(mean @ mean)) > _ALIKE:
        return f"the posters are nearly all alike (a mean cosine of {alike:.2f}), so that their differences are noise"
    return None


def _maps(features: Matrix, shape: MapShape) -> FloatMatrix:
    rows, _ = unit_rows(features, None)
    return rows.reshape(len(rows), *shape)


def _fit_part(pool: str, rows: FloatMatrix) -> tuple[Part, FloatMatrix]:
    """Fit a part on pooled rows, which are centered in place; returns the embedded rows too."""
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    rows -= mean
    n_directions = min(_N_DIRECTIONS, max(1, len(rows) // _FILMS_PER_DIRECTION))
    variances, directions = _principal_directions(rows, n_directions)
    if not len(variances):
        raise DataError("the features of all films are the same, so nothing tells them apart")
    part = Part(pool, mean, directions, _scales(variances, _EXPONENT))
    return part, unit_rows(rows @ part.projection, None)[0]


def _scales(variances: npt.NDArray[np.float64], exponent: float) -> FloatMatrix:
    return np.asarray((variances / variances[0]) ** -exponent, np.float32)


def _principal_directions(rows: FloatMatrix, n_directions: int) -> tuple[npt.NDArray[np.float64], FloatMatrix]:
    """Return the largest mean squares of rows along any direction, falling, and these directions as columns."""
    n_rows, n_columns = rows.shape
    wide = n_columns > n_rows
    # The products of rows and those of columns have the same variances; the smaller matrix is faster.
    gram = (rows @ rows.T if wide else rows.T @ rows).astype(np.float64) / n_rows
    n = min(n_directions, len(gram))
    variances, vectors = scipy.linalg.eigh(gram, subset_by_index=(len(gram) - n, len(gram) - 1))
    remaining = np.flatnonzero(variances > max(variances[-1] * _NO_VARIANCE, _ROUNDING))[::-1]
    variances, vectors = variances[remaining], vectors[:, remaining]
    if wide:
        return variances, rows.T @ (vectors / np.sqrt(variances * n_rows)).astype(np.float32)
    return variances, vectors.astype(np.float32)
