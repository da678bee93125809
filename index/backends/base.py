"""The contract of every kind of index: rows of length 1 without ids, searched by vectors of length 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from catalog.scored_ids import ScoredIds
from index.source import FilmFeatures, Ids
from index.vectors import FloatMatrix

Allowed = npt.NDArray[np.bool_] | None
"""Which rows a search may return, of shape (n_rows,); None for all of them."""


class Rows(Protocol):
    """The rows of one generation of an index. They never change: adding or removing makes new ones.

    Queries are float32, of length 1, less the mean. In a `ScoredIds`, the ids are row numbers and the scores are
    exact cosines in [-1, 1].
    """

    kind: ClassVar[str]

    @property
    def mean(self) -> FloatMatrix | None:
        """What is subtracted from features before they are compared, of shape (n_features,)."""

    def __len__(self) -> int: ...

    def search(
        self, unit_queries: FloatMatrix, k: int, allowed: Allowed, own_rows: Ids | None = None
    ) -> list[ScoredIds]:
        """Find the nearest rows of each query, nearest first; fewer than k where fewer are allowed.

        Where the queries are rows of the index, `own_rows` are their numbers; they may be returned too.
        """

    def n_listed(self, k: int) -> int:
        """Return how many rows must be compared exactly for k hits; at most the number of rows."""

    def scan(
        self, unit_query: FloatMatrix, allowed: Allowed = None, own_row: int | None = None
    ) -> tuple[FloatMatrix, npt.NDArray[np.bool_]]:
        """Return every row's cosine, and which of them are exact; cosines of rows not allowed mean nothing."""

    def cosines(self, unit_query: FloatMatrix, rows: Ids) -> FloatMatrix:
        """Compute the exact cosines of some rows."""

    def units(self, rows: Ids) -> FloatMatrix:
        """Return rows, less the mean and of length 1, of shape (n, n_features)."""

    def merged(self, kept: Ids, added: FilmFeatures | None, order: Ids) -> Rows:
        """Make the rows of the next generation: the kept ones followed by the added ones, reordered by `order`."""

    def save(self, folder: Path, generation: str) -> dict[str, str]:
        """Write files whose names begin with the generation's; returns their names by what they hold."""

    def settings(self) -> dict[str, Any]:
        """Return what `open` needs beside the files; becomes JSON."""
