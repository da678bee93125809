"""All kinds of indexes, and the dense computation that they are checked against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import index.plan
from catalog.scored_ids import ScoredIds
from index.cosine import CosineIndex
from index.embedding import Similarity
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
    similarity: Similarity = "cosine"

    def plan(self, n_films: int) -> Plan:
        kind: index.plan.Kind = "shortlist" if self.rank else "exact"
        n_lists = min(self.n_lists, n_films // 2)
        return Plan(kind, "to be tested", 0, 0.0, self.rank, self.codec, n_lists, self.similarity)

    @property
    def recall(self) -> float:
        """The least share of the nearest films that the index must return."""
        if not self.rank:
            return 1.0
        # At most a quarter of so few lists is searched, which limits recall.
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
# They compare embeddings, so `dense_cosines` of features does not describe them.
EMBEDDED = {
    "exact": Kind(similarity="whitened"),
    "shortlist": Kind(rank=12, similarity="whitened"),
    "inverted lists": Kind(rank=16, codec="SQ8", n_lists=8, similarity="whitened"),
}
# One of each sort, for slow tests.
SOME = {
    name: KINDS[name]
    for name in ("exact, centered", "short basis", "inverted lists", "bytes in inverted lists, centered, half floats")
}
SHORTLISTS = {name: kind for name, kind in KINDS.items() if kind.rank}


def dense_cosines(
    features: npt.NDArray[np.floating], queries: npt.NDArray[np.floating], *, center: bool = False
) -> npt.NDArray[np.float64]:
    """Compute all cosines from dense arrays of doubles."""
    rows, targets = features.astype(np.float64), queries.astype(np.float64)
    if center:
        rows, targets = rows - rows.mean(axis=0), targets - rows.mean(axis=0)
    lengths = np.linalg.norm(targets, axis=1)[:, None] * np.linalg.norm(rows, axis=1)[None]
    cosines: npt.NDArray[np.float64] = np.divide(
        targets @ rows.T, lengths, out=np.zeros(lengths.shape), where=lengths > 0
    )
    return cosines


def n_nearest(
    found: ScoredIds, movie_ids: npt.NDArray[np.int64], cosines: npt.NDArray[np.float64], k: int, atol: float = 2e-6
) -> int:
    """Check hits against the true cosines of the candidates and return how many of the k nearest they contain."""
    assert len(found) == len(np.unique(found.ids)) == min(k, len(movie_ids))
    if not len(found):
        return 0
    rows = np.searchsorted(movie_ids, found.ids)
    np.testing.assert_array_equal(movie_ids[np.minimum(rows, len(movie_ids) - 1)], found.ids)
    np.testing.assert_allclose(found.scores, cosines[rows], atol=atol)
    pairs = list(zip(-found.scores, found.ids, strict=True))
    assert pairs == sorted(pairs)
    return int((cosines[rows] >= np.sort(cosines)[-len(found)] - atol).sum())
