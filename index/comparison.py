"""Compare one query with all films of a generation: by whole posters, or by one region of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeGuard

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError, QueryError
from index.embedding import MapShape
from index.generation import Generation
from index.region import Region
from index.search import Scan
from index.source import FilmFeatures, Ids
from index.vectors import FloatMatrix, Matrix, check_queries, unit_rows

Item = int | Matrix
"""A movie_id, or features of shape (n_features,) as they came from the network."""

_BLOCK_ROWS = 256
# Embedded regions of more films than this are not kept: 20,000 films take 61 MB.
_MOST_BYTES = 64_000_000
# Of how many films the spread of a query's cosines is estimated.
_N_SAMPLE = 512
# Rounding alone leaves this much of vectors of length 1 that cancel each other out.
_SHORTEST_MIX = 1e-4


class Comparison:
    """Compares whole posters. Safe to use from several threads."""

    # What is compared of the posters, and of how many columns and rows; None for the whole.
    region: Region | None = None
    grid: tuple[int, int] | None = None

    def __init__(self, generation: Generation, n_features: int, backbone: str) -> None:
        self._generation = generation
        self._n_features = n_features
        self._backbone = backbone

    def __contains__(self, movie_id: int) -> bool:
        return self._generation.row_of(movie_id) is not None

    def scan(self, movie_id: int) -> Scan:
        """Compare a film with all others.

        Raises UnknownFilmError where it is not in the index, QueryError where it cannot be compared.
        """
        (own_row,) = self._generation.rows_of([movie_id])
        return self._scan(self._units(np.array([own_row]))[0], int(own_row))

    def scan_features(self, features: Matrix) -> Scan:
        """Compare features of shape (n_features,), as they came from the network, with all films."""
        queries = check_queries(features, self._n_features, self._backbone)
        return self._scan(self._units_of(queries)[0], None)

    def scan_mix(
        self, like: Sequence[Item], unlike: Sequence[Item], unlike_weight: float, scales: FloatMatrix | None = None
    ) -> Scan:
        r"""Compare films and features that are meant together with all films but these; errors as in `scan`.

        The query is that of Rocchio, over rows x of length 1, scaled to length 1 again:

        .. math:: q = \frac{1}{|L|} \sum_{l \in L} x_l - \frac{w}{|U|} \sum_{u \in U} x_u

        `scales` multiply the rows of what is liked and then of what is not; by default they are 1. Raises QueryError
        where they cancel each other out.

        References
        ----------
        .. [1] J. Rocchio, "Relevance feedback in information retrieval", in G. Salton (ed.), The SMART Retrieval
           System, Prentice Hall 1971, pages 313-323.
        """
        items = (*like, *unlike)
        scaled = self._units_of_items(items) * (np.ones(len(items)) if scales is None else scales)[:, None]
        query = scaled[: len(like)].mean(axis=0)
        if unlike:
            query -= unlike_weight * scaled[len(like) :].mean(axis=0)
        length = float(np.linalg.norm(query))
        if length < _SHORTEST_MIX:
            raise QueryError("the posters of these films cancel each other out; name other films")
        scan = self._scan((query / length).astype(np.float32), None)
        return scan.without([item for item in items if is_film(item)])

    def cosines(self, movie_ids: npt.ArrayLike, others: Sequence[Item] | Ids) -> FloatMatrix:
        """Compare films with films and features, of shape (n_films, n_others), exactly.

        NaN for films that are not in the index.
        """
        ids = np.asarray(movie_ids, np.int64)
        rows = np.flatnonzero([movie_id in self for movie_id in ids.tolist()])
        columns = np.flatnonzero([not is_film(other) or other in self for other in others])
        cosines = np.full((len(ids), len(others)), np.nan, np.float32)
        # A block of either side at a time: in memory, a row may take 100 kB.
        for top in range(0, len(rows), _BLOCK_ROWS):
            at = rows[top : top + _BLOCK_ROWS]
            units = self._units(self._generation.rows_of(ids[at].tolist()))
            for left in range(0, len(columns), _BLOCK_ROWS):
                beside = columns[left : left + _BLOCK_ROWS]
                other_units = self._units_of_items([others[column] for column in beside.tolist()])
                cosines[np.ix_(at, beside)] = units @ other_units.T
        return np.clip(cosines, -1.0, 1.0)

    def spreads(self, items: Sequence[Item]) -> FloatMatrix:
        """Return the standard deviation of the cosines of each of several films and features with a sample of films."""
        movie_ids = self._generation.movie_ids
        if self._generation.usable is not None:
            movie_ids = movie_ids[self._generation.usable]
        chosen = np.linspace(0, len(movie_ids) - 1, min(len(movie_ids), _N_SAMPLE)).astype(np.int64)
        # A film is not compared with itself, nor with those that are meant together with it.
        others = np.setdiff1d(movie_ids[chosen], [item for item in items if is_film(item)])
        return self.cosines(others, items).std(axis=0) if len(others) else np.zeros(len(items), np.float32)

    def _units_of_items(self, items: Sequence[Item]) -> FloatMatrix:
        films = [at for at, item in enumerate(items) if is_film(item)]
        features = [at for at, item in enumerate(items) if not is_film(item)]
        parts = []
        if films:
            parts.append(self._units(self._generation.rows_of([int(items[at]) for at in films])))
        if features:
            queries = np.stack([np.asarray(items[at]) for at in features])
            parts.append(self._units_of(check_queries(queries, self._n_features, self._backbone)))
        return np.concatenate(parts)[np.argsort([*films, *features])]

    def _units(self, rows: Ids) -> FloatMatrix:
        return self._generation.rows.units(rows)

    def _units_of(self, features: Matrix) -> FloatMatrix:
        return self._generation.units(features)

    def _scan(self, unit: FloatMatrix, own_row: int | None) -> Scan:
        return Scan.of(self._generation, unit, own_row)


class RegionComparison(Comparison):
    """Compares one region of posters with the same region of the others, read from their features.

    A region is compared as whole posters are, by features or by the embedding of them, with zeros in all other cells.
    Films without features of the poster that was indexed are not returned.
    """

    region: Region
    grid: tuple[int, int]

    def __init__(
        self, generation: Generation, features: FilmFeatures, map_shape: MapShape, region: Region, backbone: str
    ) -> None:
        region.check_within(map_shape)
        films, exists = features.aligned(generation.movie_ids, generation.poster_sha256s)
        self._usable = exists if generation.usable is None else exists & generation.usable
        super().__init__(replace(generation, usable=self._usable), features.n_features, backbone)
        self._films = films
        self._map_shape = map_shape
        self.region = region
        self.grid = map_shape[1], map_shape[0]
        self._remembered: FloatMatrix | None = None
        embedding = generation.embedding
        self._embedding = None if embedding is None else embedding.of_cells(region.mask(map_shape))

    def _units(self, rows: Ids) -> FloatMatrix:
        maps = [self.region.cut(self._films.row(row).reshape(self._map_shape)) for row in rows.tolist()]
        return self._units_of_cells(np.stack(maps))

    def _units_of(self, features: Matrix) -> FloatMatrix:
        return self._units_of_cells(self.region.cut(features.reshape(-1, *self._map_shape)))

    def _units_of_cells(self, cells: Matrix) -> FloatMatrix:
        flat, mean = cells.reshape(len(cells), -1), self._generation.rows.mean
        if self._embedding is None:
            center = None if mean is None else self.region.cut(mean.reshape(self._map_shape)).ravel()
            return unit_rows(flat, center)[0]
        units = self._embedding.units(cells.reshape(len(cells), -1, cells.shape[-1]))
        # The embedding makes something of zeros, too.
        units[~flat.any(axis=1)] = 0
        return units

    def _scan(self, unit: FloatMatrix, own_row: int | None) -> Scan:
        if not unit.any():
            raise ConfigError(f"all features are zero in the region {self.region} of this poster; name another region")
        rows = np.flatnonzero(self._usable)
        # Row by row, so that films with the same features have the same similarity.
        compared = [np.einsum("ij,j->i", units, unit) for units in self._blocks(rows)]
        similarities = np.concatenate([np.empty(0, np.float32), *compared])
        others = rows != own_row
        exact = np.clip(similarities[others], -1.0, 1.0)
        return Scan(
            self._generation.movie_ids[rows[others]],
            exact,
            np.ones(len(exact), bool),
            lambda k: k,
            lambda chosen: exact[chosen],
        )

    def _blocks(self, rows: Ids) -> Iterator[FloatMatrix]:
        """Yield what is compared of all usable films; embedded regions are remembered, which cost most of a query."""
        blocks = (self._units(rows[start : start + _BLOCK_ROWS]) for start in range(0, len(rows), _BLOCK_ROWS))
        embedding = self._generation.embedding
        if embedding is None or not len(rows) or 4 * len(rows) * embedding.n_dimensions > _MOST_BYTES:
            return blocks
        if self._remembered is None:
            self._remembered = np.concatenate(list(blocks))
        return iter([self._remembered])


def is_film(item: Item) -> TypeGuard[int]:
    """Return whether an item is a movie_id."""
    return np.ndim(item) == 0
