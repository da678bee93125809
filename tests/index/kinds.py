"""Every kind of index that there is, and the plain computation that all of them are held to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.scored_ids import ScoredIds
from index.cosine import CosineIndex
from index.options import IndexOptions
from index.plan import Codec, Plan
from index.source import FilmFeatures

IDENTITY = {"backbone": "vgg16", "weights_sha256": "f00d"}


@dataclass(frozen=True)
class Kind:
    """How an index is built."""

    center: bool = False
    rank: int = 0
    codec: Codec = "SQfp16"
    n_lists: int = 0
    dtype: type[np.floating] = np.float32

    def plan(self, n_films: int) -> Plan:
        if not self.rank:
            return Plan("exact", "to be tested", 0, 0.0)
        return Plan("shortlist", "to be tested", 0, 0.0, self.rank, self.codec, min(self.n_lists, n_films // 2))

    @property
    def recall(self) -> float:
        """The share of the nearest films that it finds at least."""
        if not self.rank:
            return 1.0
        # Of so few lists, no more than a quarter of them is looked into: too few for any promise.
        return 0.5 if self.n_lists else 0.96

    def build(self, films: FilmFeatures, target_recall: float | None = None, **options: Any) -> CosineIndex:
        identity = {**IDENTITY, "n_features": films.n_features}
        wanted = IndexOptions(center=self.center, target_recall=target_recall)
        return CosineIndex.build(films, identity, wanted, plan=self.plan(len(films)), **options)


KINDS = {
    "exact": Kind(),
    "exact, centered": Kind(center=True),
    "whole basis": Kind(rank=512),
    "short basis": Kind(rank=12),
    "short basis, centered, half floats": Kind(center=True, rank=12, dtype=np.float16),
    "inverted lists": Kind(rank=16, n_lists=8),
    "bytes in inverted lists, centered, half floats": Kind(True, 16, "SQ8", 8, np.float16),
}
# Of each sort one, for what takes long.
SOME = {
    name: KINDS[name]
    for name in ("exact, centered", "short basis", "inverted lists", "bytes in inverted lists, centered, half floats")
}
SHORTLISTS = {name: kind for name, kind in KINDS.items() if kind.rank}


def dense_cosines(
    features: npt.NDArray[np.floating], queries: npt.NDArray[np.floating], *, center: bool = False
) -> npt.NDArray[np.float64]:
    """Compute all cosines the plain way."""
    rows, asked = features.astype(np.float64), queries.astype(np.float64)
    if center:
        rows, asked = rows - rows.mean(axis=0), asked - rows.mean(axis=0)
    lengths = np.linalg.norm(asked, axis=1)[:, None] * np.linalg.norm(rows, axis=1)[None]
    cosines: npt.NDArray[np.float64] = np.divide(
        asked @ rows.T, lengths, out=np.zeros(lengths.shape), where=lengths > 0
    )
    return cosines


def n_nearest(
    found: ScoredIds, movie_ids: npt.NDArray[np.int64], cosines: npt.NDArray[np.float64], k: int, atol: float = 2e-6
) -> int:
    """Hold one answer to the true cosines of the films that it may name; tell how many of the k nearest it has."""
    assert len(found) == len(np.unique(found.ids)) == min(k, len(movie_ids))
    if not len(found):
        return 0
    rows = np.searchsorted(movie_ids, found.ids)
    np.testing.assert_array_equal(movie_ids[np.minimum(rows, len(movie_ids) - 1)], found.ids)
    np.testing.assert_allclose(found.scores, cosines[rows], atol=atol)
    pairs = list(zip(-found.scores, found.ids, strict=True))
    assert pairs == sorted(pairs)
    return int((cosines[rows] >= np.sort(cosines)[-len(found)] - atol).sum())
