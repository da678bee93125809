"""Several indexes of the same films, by other encoders, as one: the mean of their cosines over films that all have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from catalog.scored_ids import ScoredIds
from index.comparison import Comparison, Item, is_film
from index.cosine import CosineIndex
from index.region import Region
from index.search import Scan
from index.source import Ids
from index.vectors import FloatMatrix, Matrix


class BlendedComparison:
    """Compares films by the mean of several comparisons. Features are those of the encoders, one after the other."""

    region: Region | None = None
    grid: tuple[int, int] | None = None

    def __init__(self, parts: Sequence[Comparison], movie_ids: Ids, n_features: Sequence[int]) -> None:
        self._parts = parts
        self._movie_ids = movie_ids
        self._n_features = n_features

    def __contains__(self, movie_id: int) -> bool:
        return all(movie_id in part for part in self._parts)

    def scan(self, movie_id: int) -> Scan:
        """Compare a film with all others; errors as of `Comparison`."""
        return self._mean([part.scan(movie_id) for part in self._parts])

    def scan_features(self, features: Matrix) -> Scan:
        """Compare features of shape (n_features,) with all films."""
        return self._mean(
            [part.scan_features(own) for part, own in zip(self._parts, self._split(features), strict=True)]
        )

    def scan_mix(self, like: Sequence[Item], unlike: Sequence[Item], unlike_weight: float) -> Scan:
        """Compare films and features that are meant together, combined for each encoder alone, with all films."""
        likes, unlikes = self._items(like), self._items(unlike)
        parts = zip(self._parts, likes, unlikes, strict=True)
        return self._mean([part.scan_mix(own_like, own_unlike, unlike_weight) for part, own_like, own_unlike in parts])

    def cosines(self, movie_ids: npt.ArrayLike, others: Sequence[Item] | Ids) -> FloatMatrix:
        """Compare films with films and features, of shape (n_films, n_others), exactly; NaN where one is unknown."""
        pairs = zip(self._parts, self._items(others), strict=True)
        return _mean([part.cosines(movie_ids, own) for part, own in pairs])

    def _items(self, items: Sequence[Item] | Ids) -> list[list[Item]]:
        """Return the items as each encoder sees them."""
        columns: list[list[Item]] = [[] for _ in self._parts]
        for item in items:
            each: Sequence[Item] = [item] * len(columns) if is_film(item) else self._split(np.asarray(item))
            for column, own in zip(columns, each, strict=True):
                column.append(own)
        return columns

    def _split(self, features: Matrix) -> list[Matrix]:
        if features.shape[-1] != sum(self._n_features):
            raise DataError(f"expected features of {sum(self._n_features)} columns, received {features.shape[-1]}")
        return np.split(features, np.cumsum(self._n_features)[:-1], axis=-1)

    def _mean(self, scans: Sequence[Scan]) -> Scan:
        shared = self._movie_ids
        for scan in scans:
            shared = shared[np.isin(shared, scan.movie_ids, assume_unique=True)]
        rows = [np.searchsorted(scan.movie_ids, shared) for scan in scans]

        def exact(chosen: Ids) -> FloatMatrix:
            matches = []
            for scan, own in zip(scans, rows, strict=True):
                scan.settle(shared[chosen])
                matches.append(scan.similarities[own[chosen]])
            return _mean(matches)

        pairs = list(zip(scans, rows, strict=True))
        return Scan(
            shared,
            _mean([scan.similarities[own] for scan, own in pairs]),
            np.all([scan.is_exact[own] for scan, own in pairs], axis=0),
            lambda k: max(scan.n_listed(k) for scan in scans),
            exact,
        )


class BlendedIndex:
    """Films by the mean of their cosines in several indexes; answers as a `CosineIndex` does. It cannot be changed.

    Same artwork is recognized by the first index alone, whose bound was calibrated for that.
    """

    similarity = "blended"
    embedding = None
    mean = None
    centered = False
    left_out: Mapping[int, str] = {}

    def __init__(self, parts: Mapping[str, CosineIndex]) -> None:
        self.parts = dict(parts)
        self._indexes = list(self.parts.values())
        movie_ids = self._indexes[0].movie_ids
        for index in self._indexes[1:]:
            movie_ids = movie_ids[np.isin(movie_ids, index.movie_ids, assume_unique=True)]
        self.movie_ids: Ids = movie_ids

    def close(self) -> None:
        """Release the files of all indexes."""
        for index in self._indexes:
            index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.movie_ids)

    def __contains__(self, movie_id: int) -> bool:
        return all(movie_id in index for index in self._indexes)

    @property
    def identity(self) -> dict[str, Any]:
        """What the features of each encoder are of."""
        return {name: index.identity for name, index in self.parts.items()}

    @property
    def n_features(self) -> int:
        """The number of columns of all encoders together."""
        return sum(index.n_features for index in self._indexes)

    @property
    def duplicate_similarity(self) -> float:
        """From this similarity on, two posters count as the same artwork, by the first encoder."""
        return self._indexes[0].duplicate_similarity

    @property
    def origin(self) -> dict[str, Any]:
        """What results depend on."""
        fingerprint = "+".join(index.fingerprint for index in self._indexes)
        parts = {name: index.origin for name, index in self.parts.items()}
        return {"n_films": len(self), "fingerprint": fingerprint, "parts": parts}

    def comparison(self) -> BlendedComparison:
        """Return what compares one query with all films, as they are now."""
        parts, columns = zip(*((index.comparison(), index.n_features) for index in self._indexes), strict=True)
        return BlendedComparison(parts, self.movie_ids, columns)

    def search(self, features: Matrix, k: int) -> list[ScoredIds]:
        """Find the k films nearest to each row of features, those of the encoders one after the other."""
        comparison = self.comparison()
        return [_nearest(comparison.scan_features(row), k) for row in np.atleast_2d(features)]

    def similar(
        self,
        movie_ids: Sequence[int],
        k: int,
        *,
        without: npt.ArrayLike | None = None,
        duplicate_similarity: float | None = None,
    ) -> list[ScoredIds]:
        """Find the k films nearest to each film, itself left out; options as of `CosineIndex.similar`."""
        comparison, others = self.comparison(), np.asarray([] if without is None else without, np.int64)
        scans = (comparison.scan(movie_id).without(others) for movie_id in movie_ids)
        return [self._settled(scan, k, duplicate_similarity) for scan in scans]

    def artwork_groups(self, movie_ids: npt.ArrayLike, bound: float | None = None) -> Ids:
        """Group films that show the same artwork, by the first encoder; as `CosineIndex.artwork_groups`."""
        return self._indexes[0].artwork_groups(movie_ids, bound)

    def _settled(self, scan: Scan, k: int, bound: float | None) -> ScoredIds:
        n = k
        while True:
            nearest = _nearest(scan, n)
            firsts = slice(None)
            if bound is not None:
                groups = self.artwork_groups(nearest.ids, bound)
                firsts = np.flatnonzero(groups == np.arange(len(groups)))  # type: ignore[assignment]
            distinct = nearest.take(firsts)
            if len(distinct) >= k or len(nearest) < n:
                return distinct.take(slice(0, k))
            n *= 2


Index = CosineIndex | BlendedIndex
"""One index, or several as one."""
AnyComparison = Comparison | BlendedComparison


def _mean(parts: Sequence[FloatMatrix]) -> FloatMatrix:
    mean: FloatMatrix = np.mean(parts, axis=0, dtype=np.float32)
    return mean


def _nearest(scan: Scan, k: int) -> ScoredIds:
    """Return the first k films of a scan, all exact."""
    while True:
        ranked = ScoredIds.ranked(scan.movie_ids, scan.similarities)
        if not scan.settle(ranked.ids[: scan.n_listed(k)]):
            return ranked.take(slice(0, k))
