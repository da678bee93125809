"""The embeddings that are compared: each turns features into rows of length 1, whose products are similarities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from catalog.errors import ConfigError, DataError
from index.embedding import WhitenedEmbedding, why_impossible
from index.source import FilmFeatures
from index.vectors import FloatMatrix, Matrix, mean_row, unit_rows

_LENGTH_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Candidate:
    """An embedding to compare with others, by name.

    Parameters
    ----------
    name : str
        What the report calls it.
    embed : callable
        Takes features, float32 of shape (n, n_features), and returns rows of shape (n, d) and of length 1.
    is_blend : bool, default False
        Whether rows may be shorter than 1, as where a film is the mean film of one of several encoders.
    """

    name: str
    embed: Callable[[Matrix], FloatMatrix]
    is_blend: bool = False

    def embed_all(self, features: FilmFeatures) -> FloatMatrix:
        """Embed all films, a block at a time; what comes of it is all that is held in memory.

        Parameters
        ----------
        features : FilmFeatures
            Those of n films.

        Returns
        -------
        ndarray of shape (n, d), float32
            The rows.
        """
        units, start = np.empty((0, 0), np.float32), 0
        for block in features.blocks():
            rows = self.embed_rows(block)
            if not start:
                units = np.empty((len(features), rows.shape[1]), np.float32)
            units[start : start + len(rows)] = rows
            start += len(rows)
        return units

    def embed_rows(self, features: Matrix) -> FloatMatrix:
        """Embed features, and check the rows.

        Parameters
        ----------
        features : ndarray of shape (n, n_features), float32
            Those of some films.

        Returns
        -------
        ndarray of shape (n, d), float32
            The rows.

        Raises
        ------
        DataError
            They are of another shape or length, or not finite.
        """
        rows = np.asarray(self.embed(features), np.float32)
        if rows.ndim != 2 or len(rows) != len(features) or not np.isfinite(rows).all():
            raise DataError(
                f"the embedding {self.name} should give {len(features)} rows of finite numbers, received an array of "
                f"shape {rows.shape}" + ("" if np.isfinite(rows).all() else " with numbers that are not finite")
            )
        lengths = np.linalg.norm(rows, axis=1)
        odd = np.flatnonzero((lengths > 0) & (np.abs(lengths - 1) > _LENGTH_TOLERANCE))
        if len(odd) and not self.is_blend:
            raise DataError(
                f"the embedding {self.name} should give rows of length 1 (or 0), whose products are cosines; received "
                f"one of length {lengths[odd[0]]:.3g}: divide rows by their length"
            )
        return rows


MapShape = tuple[int, ...]


def _cosine(_features: FilmFeatures, _map_shape: MapShape | None) -> Candidate:
    return Candidate("cosine", lambda features: unit_rows(features, None)[0])


def _centered(features: FilmFeatures, _map_shape: MapShape | None) -> Candidate:
    mean = mean_row(features)
    return Candidate("centered", lambda rows: unit_rows(rows, mean)[0])


def _whitened(features: FilmFeatures, map_shape: MapShape | None) -> Candidate:
    if reason := why_impossible(len(features)):
        raise DataError(reason)
    shape = map_shape if map_shape is not None and len(map_shape) == 3 else None
    embedding = WhitenedEmbedding.fit(features, shape, np.random.default_rng(0))
    return Candidate("whitened", embedding.units)


CANDIDATES: Mapping[str, Callable[[FilmFeatures, MapShape | None], Candidate]] = {
    "cosine": _cosine,
    "centered": _centered,
    "whitened": _whitened,
}
"""The embeddings by name, each fitted to features and, if they are maps, their shape; the first is the baseline."""


def check_candidates(wanted: Sequence[str | Candidate]) -> None:
    """Raise ConfigError where there is none, a name is unknown or appears twice; TypeError for anything else."""
    if isinstance(wanted, str) or not all(isinstance(one, str | Candidate) for one in wanted):
        raise TypeError(f"embeddings: expected a sequence of names and Candidates, received {wanted!r}")
    if not wanted:
        raise ConfigError(f"no embedding to measure; there are {', '.join(CANDIDATES)}")
    names = [one if isinstance(one, str) else one.name for one in wanted]
    unknown = [one for one in wanted if isinstance(one, str) and one not in CANDIDATES]
    if unknown:
        raise ConfigError(f"no embedding named {unknown[0]!r}; there are {', '.join(CANDIDATES)}")
    if len(set(names)) < len(names):
        raise ConfigError(f"each embedding should be named once, received {', '.join(names)}")


def fit_candidate(wanted: str | Candidate, features: FilmFeatures, map_shape: MapShape | None = None) -> Candidate:
    """Fit the embedding of a name to features; one that is given is returned as it is."""
    return CANDIDATES[wanted](features, map_shape) if isinstance(wanted, str) else wanted
