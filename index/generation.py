"""One state of an index. It never changes: a search sees one generation from beginning to end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError, NotBuiltError, QueryError, UnknownFilmError
from catalog.io.files import atomic_path, open_file
from index.artwork import DUPLICATE_SIMILARITIES, MOST_FILMS, duplicate_similarity
from index.backends.base import Allowed, Rows
from index.backends.exact import ExactRows
from index.backends.projection import residuals
from index.backends.shortlist import ShortlistRows
from index.embedding import Similarity, WhitenedEmbedding
from index.record import Growth, IndexRecord
from index.source import FilmFeatures, Ids, write_rows
from index.vectors import FloatMatrix, Matrix, unit_rows


@dataclass(frozen=True)
class Generation:
    """All that changes when films are added or removed."""

    # The film of each row, ascending.
    movie_ids: Ids
    # The poster each film was indexed by; empty texts where unknown.
    poster_sha256s: tuple[str, ...]
    rows: Rows
    growth: Growth
    # Why films are not in the index, by movie_id.
    left_out: Mapping[int, str] = field(default_factory=dict)
    # What features pass through before they become rows; None where they are compared as they are.
    embedding: WhitenedEmbedding | None = None
    # The file that holds it, where it was saved before.
    embedding_name: str | None = None
    # Which rows still have their features; None for all.
    usable: Allowed = None

    @classmethod
    def open(
        cls, folder: Path, names: Mapping[str, str], record: IndexRecord, features: FilmFeatures | None
    ) -> Generation:
        """Memory-map files by their names; films without features of the same poster are not usable."""
        # Opened here: NumPy leaves the handle of a damaged file open if it opened the file itself.
        with open_file(folder / names["films"]) as stream, np.load(stream, allow_pickle=False) as arrays:
            movie_ids, mean = arrays["movie_ids"], arrays["mean"] if record.centered else None
            hashes = tuple("" if not row.any() else row.tobytes().hex() for row in arrays["poster_sha256s"])
        embedding = WhitenedEmbedding.open(folder / names["embedding"]) if "embedding" in names else None
        usable: Allowed = None
        rows: Rows
        if record.kind == ExactRows.kind:
            rows = ExactRows.open(folder, names, mean)
        elif embedding is not None:
            embedded = np.load(folder / names["embedded"], mmap_mode="r", allow_pickle=False)
            own = FilmFeatures.of(movie_ids, np.asarray(embedded), hashes)
            rows = ShortlistRows.open(folder, names, record.settings, own, None)
        elif features is None:
            raise NotBuiltError(f"the index in {folder} reads features, and there are none; run `keyart extract`")
        else:
            n_features = int(record.identity["n_features"])
            if features.n_features != n_features:
                raise ValueError(f"it is of {n_features} columns, not {features.n_features}")
            aligned, exists = features.aligned(movie_ids, hashes)
            usable = None if exists.all() else exists
            rows = ShortlistRows.open(folder, names, record.settings, aligned, mean)
        if len(rows) != len(movie_ids):
            raise ValueError(f"{len(rows)} rows for {len(movie_ids)} films")
        embedding_name = names.get("embedding")
        return cls(movie_ids, hashes, rows, record.growth, record.left_out, embedding, embedding_name, usable)

    def save(self, folder: Path, prefix: str) -> dict[str, str]:
        """Write files whose names begin with a prefix; returns their names by what they hold."""
        names = {"films": f"{prefix}.npz", **self.rows.save(folder, prefix)}
        with atomic_path(folder / names["films"]) as temporary_path, temporary_path.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **self._arrays())
        return names if self.embedding is None else names | self._save_embedding(self.embedding, folder, prefix)

    def _save_embedding(self, embedding: WhitenedEmbedding, folder: Path, prefix: str) -> dict[str, str]:
        """Write the embedding unless the folder has it already, and the embedded films where rows do not hold them."""
        names = {"embedding": self.embedding_name or ""}
        if self.embedding_name is None or not (folder / self.embedding_name).is_file():
            names["embedding"] = f"{prefix}-embedding.npz"
            embedding.save(folder / names["embedding"])
        if isinstance(self.rows, ShortlistRows):
            names["embedded"] = f"{prefix}-embedded.npy"
            write_rows(folder / names["embedded"], self.rows.features)
        return names

    @property
    def similarity(self) -> Similarity:
        """What is compared."""
        return "cosine" if self.embedding is None else "whitened"

    @cached_property
    def duplicate_similarity(self) -> float:
        """From this similarity on, two posters count as the same artwork."""
        if self.similarity == "cosine":
            # No row has to be read for it.
            return DUPLICATE_SIMILARITIES["cosine"]
        rows = np.flatnonzero(np.ones(len(self.movie_ids), bool) if self.usable is None else self.usable)
        some = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_FILMS)).astype(np.int64)]
        return duplicate_similarity(self.similarity, self.rows.units(some))

    def units(self, features: Matrix) -> FloatMatrix:
        """Make of features, as they came from the network, what rows are compared with."""
        if self.embedding is not None:
            return self.embedding.units(features)
        return unit_rows(features, self.rows.mean)[0]

    def with_films(self, added: FilmFeatures | None, faulty: Mapping[int, str]) -> Generation:
        """Add films, replacing those of the same movie_id; `faulty` are films that cannot be compared, and why."""
        named = [*(added.movie_ids.tolist() if added else ()), *faulty]
        return self._with_left_out(named, faulty)._merged(~np.isin(self.movie_ids, named), added)

    def without_films(self, movie_ids: Ids) -> Generation:
        """Remove films; unknown ones are ignored. Raises DataError if none would be left."""
        return self._with_left_out(movie_ids.tolist(), {})._merged(~np.isin(self.movie_ids, movie_ids), None)

    def row_of(self, movie_id: int) -> int | None:
        """Return a film's row; None where it cannot be returned by a search."""
        row = int(np.searchsorted(self.movie_ids, movie_id))
        exists = row < len(self.movie_ids) and int(self.movie_ids[row]) == movie_id
        return row if exists and (self.usable is None or bool(self.usable[row])) else None

    def rows_of(self, movie_ids: Sequence[int]) -> Ids:
        """Return films' rows.

        Raises UnknownFilmError where a film is not in the index, QueryError where it cannot be compared.
        """
        rows = []
        for movie_id in movie_ids:
            if movie_id in self.left_out:
                raise QueryError(f"movie_id {movie_id} cannot be compared: {self.left_out[movie_id]}")
            if (row := self.row_of(movie_id)) is None:
                n_films = len(self.movie_ids) if self.usable is None else int(self.usable.sum())
                raise UnknownFilmError(f"no features of movie_id {movie_id} in this index of {n_films} films")
            rows.append(row)
        return np.array(rows, np.int64)

    def allowed(self, among: npt.ArrayLike | None, without: npt.ArrayLike | None) -> Allowed:
        """Return which rows a search may return, by the movie_ids that may and may not; None for no such rule."""
        rules = [] if self.usable is None else [self.usable]
        if among is not None:
            rules.append(np.isin(self.movie_ids, np.asarray(among, np.int64)))
        if without is not None:
            rules.append(~np.isin(self.movie_ids, np.asarray(without, np.int64)))
        return np.logical_and.reduce(rules) if rules else None

    def _with_left_out(self, named: list[int], faulty: Mapping[int, str]) -> Generation:
        replaced = set(named)
        others = {film: reason for film, reason in self.left_out.items() if film not in replaced}
        return replace(self, left_out={**others, **faulty})

    def _merged(self, is_kept: npt.NDArray[np.bool_], added: FilmFeatures | None) -> Generation:
        remaining = np.flatnonzero(is_kept if self.usable is None else is_kept & self.usable)
        if not len(remaining) and added is None:
            raise DataError("no film would be left in the index; remove its folder instead")
        if added is None and len(remaining) == len(self.movie_ids):
            return self
        movie_ids = np.concatenate([self.movie_ids[remaining], added.movie_ids if added else np.empty(0, np.int64)])
        hashes = [*(self.poster_sha256s[row] for row in remaining.tolist()), *(added.poster_sha256s if added else ())]
        order = np.argsort(movie_ids)
        embedded = self.embedding.embed(added) if self.embedding and added else added
        rows, growth = self.rows.merged(remaining, embedded, order), self.growth
        if added and self.embedding:
            growth = growth.after(self.embedding.residuals(added))
        elif added:
            growth = growth.after(_residuals_of(rows, np.flatnonzero(order >= len(remaining))))
        ordered = tuple(hashes[position] for position in order.tolist())
        return Generation(movie_ids[order], ordered, rows, growth, self.left_out, self.embedding, self.embedding_name)

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        hashes = b"".join(bytes.fromhex(sha256) if sha256 else bytes(32) for sha256 in self.poster_sha256s)
        return {
            "movie_ids": self.movie_ids,
            "poster_sha256s": np.frombuffer(hashes, np.uint8).reshape(len(self.movie_ids), 32),
            "mean": np.empty(0, np.float32) if self.rows.mean is None else self.rows.mean,
        }


def _residuals_of(rows: Rows, positions: Ids) -> npt.NDArray[np.floating]:
    if not isinstance(rows, ShortlistRows):
        return np.zeros(len(positions))
    return residuals(rows.projected(positions))
