"""One interface for every kind of index: build, save, open, search, add, remove; by movie_id or by features.

An index is a folder: ``index.json``, the record, is written last and names the other files with their checksums, so the
folder changes from one generation to the next at once; ``*.faiss`` holds the rows or their projections, ``*.npz`` and
``*.npy`` are beside them. A generation that is open stays readable.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError, NotBuiltError, UnknownFilmError
from catalog.io.files import read_stable
from catalog.io.progress import Advance, ignore
from catalog.scored_ids import ScoredIds
from index import manifest
from index.backends.exact import ExactRows
from index.build import build_generation, faulty_films
from index.duplicates import duplicate_groups
from index.embedding import MapShape, Similarity, WhitenedEmbedding
from index.generation import Generation
from index.options import IndexOptions
from index.plan import Plan
from index.record import BuildRecord, IndexRecord
from index.search import Scan, Searcher, artwork_groups
from index.source import FilmFeatures, Ids
from index.vectors import FloatMatrix, Matrix, check_queries

_BLOCK_ROWS = 256
# Rounding alone leaves this much of vectors of length 1 that cancel each other out.
_SHORTEST_MIX = 1e-4


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
        except FileNotFoundError as error:
            raise NotBuiltError(f"no index here ({error.filename} is missing); run `keyart build`") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, BadZipFile) as error:
            raise manifest.damaged(folder, error) from error

    def save(self, folder: Path) -> None:
        """Write the index as a new generation; a failure leaves the earlier one untouched.

        One process at a time may write into a folder; see `catalog.io.locks.exclusive`.
        """
        with self._changing:
            generation, before = self._generation, manifest.names_of(folder)
            try:
                names = generation.save(folder, secrets.token_hex(4))
                manifest.write(folder, names, self._record_of(generation).to_dict())
            except BaseException:
                manifest.remove_others(folder, before)
                raise
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
        own_rows = self._rows_of(generation, movie_ids)
        searcher = Searcher(generation, generation.allowed(among, without), duplicate_similarity)
        return searcher.nearest(generation.rows.units(own_rows), k, own_rows) if len(own_rows) else []

    def scan(self, movie_id: int) -> Scan:
        """Compare a film with all others; errors as in `similar`."""
        generation = self._generation
        (own_row,) = self._rows_of(generation, [movie_id])
        return Scan.of(generation, generation.rows.units(np.array([own_row]))[0], int(own_row))

    def scan_features(self, features: Matrix) -> Scan:
        """Compare features of shape (n_features,), as they came from the network, with all films."""
        generation = self._generation
        queries = check_queries(features, self.n_features, self.identity["backbone"])
        return Scan.of(generation, generation.units(queries)[0], None)

    def scan_mix(self, like: Sequence[int], unlike: Sequence[int], unlike_weight: float) -> Scan:
        r"""Compare films that are meant together with all others, and leave them out; errors as in `similar`.

        The query is that of Rocchio, over rows x of length 1, scaled to length 1 again:

        .. math:: q = \frac{1}{|L|} \sum_{l \in L} x_l - \frac{w}{|U|} \sum_{u \in U} x_u

        Raises DataError where the films cancel each other out.

        References
        ----------
        .. [1] J. Rocchio, "Relevance feedback in information retrieval", in G. Salton (ed.), The SMART Retrieval
           System, Prentice Hall 1971, pages 313-323.
        """
        generation = self._generation
        query = generation.rows.units(self._rows_of(generation, like)).mean(axis=0, dtype=np.float64)
        if unlike:
            disliked = generation.rows.units(self._rows_of(generation, unlike))
            query -= unlike_weight * disliked.mean(axis=0, dtype=np.float64)
        length = float(np.linalg.norm(query))
        if length < _SHORTEST_MIX:
            raise DataError("the posters of these films cancel each other out; name other films")
        return Scan.of(generation, (query / length).astype(np.float32), None).without([*like, *unlike])

    def cosines(self, first: npt.ArrayLike, second: npt.ArrayLike) -> FloatMatrix:
        """Compare films with films, of shape (n_first, n_second), exactly; NaN for those that are not in the index."""
        generation = self._generation
        ids = [np.asarray(named, np.int64) for named in (first, second)]
        known = [np.flatnonzero([generation.row_of(movie_id) is not None for movie_id in one.tolist()]) for one in ids]
        rows = [np.searchsorted(generation.movie_ids, one[at]) for one, at in zip(ids, known, strict=True)]
        cosines = np.full((len(ids[0]), len(ids[1])), np.nan, np.float32)
        # A block of either side at a time: in memory, a row may take 100 kB.
        for left in range(0, len(rows[0]), _BLOCK_ROWS):
            at_left, units = (
                known[0][left : left + _BLOCK_ROWS],
                generation.rows.units(rows[0][left : left + _BLOCK_ROWS]),
            )
            for right in range(0, len(rows[1]), _BLOCK_ROWS):
                others = generation.rows.units(rows[1][right : right + _BLOCK_ROWS])
                cosines[np.ix_(at_left, known[1][right : right + _BLOCK_ROWS])] = units @ others.T
        return np.clip(cosines, -1.0, 1.0)

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

    def _rows_of(self, generation: Generation, movie_ids: Sequence[int]) -> Ids:
        rows = []
        for movie_id in movie_ids:
            if movie_id in generation.left_out:
                raise DataError(f"movie_id {movie_id} cannot be compared: {generation.left_out[movie_id]}")
            if (row := generation.row_of(movie_id)) is None:
                raise UnknownFilmError(f"no features of movie_id {movie_id} in this index of {len(self)} films")
            rows.append(row)
        return np.array(rows, np.int64)

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
