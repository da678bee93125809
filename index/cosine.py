"""One interface for every kind of index: build, save, open, search, add, remove; by movie_id or by features.

An index is a folder: ``index.json``, the record, is written last and names the other files with their checksums, so the
folder changes from one generation to the next at once; ``*.faiss`` holds the rows or their projections, ``*.npz`` and
``*.npy`` are beside them. A generation that is open stays readable.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from catalog.io.files import FORMAT_ERRORS, read_stable
from catalog.io.progress import Advance, ignore
from catalog.scored_ids import ScoredIds
from index import manifest
from index.alternates import BestComparison
from index.backends.exact import ExactRows
from index.build import build_beside, build_generation, faulty_films
from index.comparison import Comparison, RegionComparison
from index.duplicates import duplicate_groups
from index.embedding import MapShape, Similarity, WhitenedEmbedding
from index.generation import Generation
from index.options import IndexOptions
from index.plan import Plan
from index.record import BuildRecord, IndexRecord
from index.region import Region
from index.search import Searcher, artwork_groups
from index.source import FilmFeatures, Ids
from index.vectors import FloatMatrix, Matrix, check_queries


class CosineIndex:
    """Films by the cosine of their features; make it with `build` or `open`.

    Safe to use from several threads, also while films are added or removed.
    """

    def __init__(
        self, generation: Generation, identity: Mapping[str, Any], fingerprint: str, build_record: BuildRecord
    ) -> None:
        self.identity = dict(identity)
        self.fingerprint = fingerprint
        self._build_record = build_record
        self._current: Generation | None = generation
        self._changing = threading.Lock()

    @classmethod
    def build(
        cls,
        features: FilmFeatures,
        identity: Mapping[str, Any],
        options: IndexOptions | None = None,
        *,
        map_shape: MapShape | None = None,
        plan: Plan | None = None,
        fingerprint: str = "",
        seed: int = 0,
        advance: Advance = ignore,
    ) -> CosineIndex:
        """Build an index in memory, and measure it; a shortlist reads `features` whenever it is searched.

        Films whose features are all zero or not finite are left out; `left_out` holds the reasons. `identity` says
        what the features are of: ``backbone``, ``n_features`` and whatever else distinguishes them. `map_shape` is
        (height, width, channels) where a row of features is a map, which an embedding pools. `plan` replaces the one
        that follows from `options`. `advance` receives numbers of films that are done, in total all of them.
        """
        if features.n_features != int(identity["n_features"]):
            raise DataError(f"expected features of {identity['n_features']} columns, received {features.n_features}")
        rng = np.random.default_rng(seed)
        generation, record = build_generation(features, options or IndexOptions(), map_shape, plan, rng, advance)
        return cls(generation, identity, fingerprint, record)

    def build_beside(self, features: FilmFeatures, fingerprint: str = "", seed: int = 0) -> CosineIndex:
        """Build an index of further posters in the space of this one; see `index.alternates`.

        Raises DataError where none of them can be compared.
        """
        if features.n_features != self.n_features:
            raise DataError(f"expected features of {self.n_features} columns, received {features.n_features}")
        rng = np.random.default_rng(seed)
        generation, record = build_beside(features, self._generation, self._build_record.target, rng)
        return CosineIndex(generation, self.identity | self.space(), fingerprint, record)

    def space(self) -> dict[str, Any]:
        """Return what rows of further posters have to agree in with those of this index, beside the identity."""
        embedding, mean = self.embedding, self.mean
        return {
            "embedding": None if embedding is None else embedding.settings(),
            "mean": None if mean is None else hashlib.sha256(np.ascontiguousarray(mean).tobytes()).hexdigest(),
        }

    @classmethod
    def open(cls, folder: Path, features: FilmFeatures | None = None) -> CosineIndex:
        """Memory-map a saved index; a shortlist needs the features it was built from.

        Films whose features are missing, or of another poster than when the index was built, are not returned any more.
        Raises NotBuiltError where there is no index or no features, DataError where it is damaged.
        """
        return read_stable(lambda: cls._open(folder, features), lambda: manifest.read(folder))

    @classmethod
    def _open(cls, folder: Path, features: FilmFeatures | None) -> CosineIndex:
        content = manifest.read(folder)
        try:
            record, names = IndexRecord.from_dict(content), manifest.check(folder, content["files"])
            generation = Generation.open(folder, names, record, features)
            return cls(generation, record.identity, record.fingerprint, record.build)
        except FORMAT_ERRORS as error:
            raise manifest.damaged(folder, error) from error

    def save(self, folder: Path) -> None:
        """Write the index as a new generation; a failure leaves the earlier one untouched.

        One process at a time may write into a folder; see `catalog.io.locks.exclusive`.
        """
        with self._changing:
            generation = self._generation
            with manifest.removing_on_failure(folder):
                names = generation.save(folder, secrets.token_hex(4))
                manifest.write(folder, names, self._record_of(generation).to_dict())
            manifest.remove_others(folder, names.values())

    def close(self) -> None:
        """Release the files of the index and the features; searches that are running finish."""
        self._current = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _generation(self) -> Generation:
        if (generation := self._current) is None:
            raise ValueError("the index is closed")
        return generation

    def __len__(self) -> int:
        return len(self.movie_ids)

    def __contains__(self, movie_id: int) -> bool:
        return self._generation.row_of(movie_id) is not None

    @property
    def movie_ids(self) -> Ids:
        """The films that a search may return, ascending."""
        generation = self._generation
        return generation.movie_ids if generation.usable is None else generation.movie_ids[generation.usable]

    @property
    def kind(self) -> str:
        """``"exact"`` or ``"shortlist"``."""
        return self._generation.rows.kind

    @property
    def similarity(self) -> Similarity:
        """What is compared: ``"cosine"`` of features, or ``"whitened"`` ones."""
        return self._generation.similarity

    @property
    def duplicate_similarity(self) -> float:
        """From this similarity on, two posters count as the same artwork."""
        return self._generation.duplicate_similarity

    @property
    def embedding(self) -> WhitenedEmbedding | None:
        """What features pass through before they are compared; None where they are compared as they are."""
        return self._generation.embedding

    @property
    def mean(self) -> FloatMatrix | None:
        """What is subtracted from features before they are compared, of shape (n_features,)."""
        return self._generation.rows.mean

    @property
    def centered(self) -> bool:
        """Whether the mean of all features is subtracted before they are compared."""
        return self.mean is not None

    @property
    def n_features(self) -> int:
        """The number of columns."""
        return int(self.identity["n_features"])

    @property
    def left_out(self) -> dict[int, str]:
        """Why films cannot be compared, by movie_id."""
        return dict(self._generation.left_out)

    @property
    def n_stale(self) -> int:
        """Films whose features are missing or of another poster than when the index was built."""
        return len(self._generation.movie_ids) - len(self)

    @property
    def poster_sha256s(self) -> dict[int, str]:
        """The hash of the poster that each film was indexed by; empty where unknown."""
        generation = self._generation
        return dict(zip(generation.movie_ids.tolist(), generation.poster_sha256s, strict=True))

    @property
    def needs_refit(self) -> bool:
        """Whether so many films were added, or such different ones, that the index should be built anew."""
        # Without an embedding, a basis or a mean there is nothing to fit.
        fitted = self.similarity != "cosine" or self.kind != ExactRows.kind or self.centered
        return self._generation.growth.is_too_much and fitted

    @property
    def record(self) -> IndexRecord:
        """What ``index.json`` records: what was measured when the index was built, and how it has grown since."""
        return self._record_of(self._generation)

    @property
    def origin(self) -> dict[str, Any]:
        """What results depend on, without measurements: built again from the same films, an index gives the same."""
        names = ("type", "settings", "centred", "fingerprint", "identity")
        record = self.record.to_dict()
        return {"n_films": len(self), **{name: record[name] for name in names}}

    def search(
        self,
        features: Matrix,
        k: int,
        *,
        among: npt.ArrayLike | None = None,
        without: npt.ArrayLike | None = None,
        duplicate_similarity: float | None = None,
    ) -> list[ScoredIds]:
        """Find the k films nearest to each row of features, as they came from the network.

        Scores are exact cosines, nearest first, ties in ascending movie_id; fewer than k where there are fewer films.
        `among` are the movie_ids that may be returned, `without` those that may not. With `duplicate_similarity`, only
        the first is returned of films with the same poster, or with posters whose cosine reaches it.
        """
        _check_k(k)
        generation = self._generation
        queries = check_queries(features, self.n_features, self.identity["backbone"])
        units = generation.units(queries)
        searcher = Searcher(generation, generation.allowed(among, without), duplicate_similarity)
        return searcher.nearest(units, k, np.full(len(units), -1))

    def similar(
        self,
        movie_ids: Sequence[int],
        k: int,
        *,
        among: npt.ArrayLike | None = None,
        without: npt.ArrayLike | None = None,
        duplicate_similarity: float | None = None,
    ) -> list[ScoredIds]:
        """Find the k films nearest to each film of the index, itself left out; options as in `search`.

        Raises UnknownFilmError where a film is not in the index, DataError where it cannot be compared.
        """
        _check_k(k)
        generation = self._generation
        own_rows = generation.rows_of(movie_ids)
        searcher = Searcher(generation, generation.allowed(among, without), duplicate_similarity)
        return searcher.nearest(generation.rows.units(own_rows), k, own_rows) if len(own_rows) else []

    def comparison(self, alternates: CosineIndex | None = None) -> Comparison:
        """Return what compares one query with all films, as they are now.

        With an index of further posters, which `build_beside` made, it takes the best posters of each film.
        """
        generation, backbone = self._generation, self.identity["backbone"]
        if alternates is None:
            return Comparison(generation, self.n_features, backbone)
        return BestComparison(generation, self.n_features, backbone, alternates._generation)

    def region_comparison(self, region: Region, features: FilmFeatures, map_shape: MapShape) -> RegionComparison:
        """Return what compares a region of posters, read from the features that the index was built from.

        Raises ConfigError where the region reaches beyond the grid of `map_shape`, (height, width, channels).
        """
        if features.n_features != self.n_features:
            raise DataError(f"expected features of {self.n_features} columns, received {features.n_features}")
        return RegionComparison(self._generation, features, map_shape, region, self.identity["backbone"])

    def artwork_groups(self, movie_ids: npt.ArrayLike, bound: float | None = None) -> Ids:
        """Group films that show the same artwork: the same poster, or posters whose similarity reaches `bound`.

        Returns for each film the position of the first one of its group. Films without features form their own groups.
        `bound` is `duplicate_similarity` by default.
        """
        bound = self.duplicate_similarity if bound is None else bound
        generation, named = self._generation, np.asarray(movie_ids, np.int64)
        groups = np.arange(len(named))
        positions = np.flatnonzero([generation.row_of(movie_id) is not None for movie_id in named.tolist()])
        rows = np.searchsorted(generation.movie_ids, named[positions])
        groups[positions] = positions[artwork_groups(generation, rows, bound)]
        return groups

    def duplicates(self, bound: float | None = None, advance: Advance = ignore) -> list[ScoredIds]:
        """Find all groups of films with the same artwork, as in `artwork_groups`, the first found first.

        Each begins with the film that most others of it were like; scores are similarities with that one.
        """
        return duplicate_groups(self._generation, self.duplicate_similarity if bound is None else bound, advance)

    def add(self, features: FilmFeatures) -> None:
        """Add films, replacing those that exist; they can be found at once, and `save` keeps them."""
        if features.n_features != self.n_features:
            raise DataError(f"expected features of {self.n_features} columns, received {features.n_features}")
        faulty = faulty_films(features)
        good = np.flatnonzero(~np.isin(features.movie_ids, list(faulty)))
        with self._changing:
            self._current = self._generation.with_films(features.take(good) if len(good) else None, faulty)

    def remove(self, movie_ids: npt.ArrayLike) -> None:
        """Remove films; unknown ones are ignored. Raises DataError if none would be left."""
        with self._changing:
            self._current = self._generation.without_films(np.asarray(movie_ids, np.int64))

    def _record_of(self, generation: Generation) -> IndexRecord:
        return IndexRecord(
            kind=generation.rows.kind,
            n_films=len(generation.movie_ids),
            n_features=self.n_features,
            centered=generation.rows.mean is not None,
            settings=generation.rows.settings(),
            growth=generation.growth,
            left_out=dict(generation.left_out),
            fingerprint=self.fingerprint,
            identity=self.identity,
            build=self._build_record,
            similarity=self.similarity,
            embedding=None if generation.embedding is None else generation.embedding.settings(),
        )


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k should be 1 or more, received {k}")
