"""Content of films, as features for linear models: genres, years, people and words, and posters.

Unknown content is a row of NaN, or of zeros where something else is known beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from cf.coldstart.terms import TermEncoding

Floats = npt.NDArray[np.float32]
Scalar = TypeVar("Scalar", np.float32, np.float64)
# How far years reach, in years: people rate what came out shortly before they joined, so that decades are too coarse.
YEAR_STEP = 3


@dataclass(frozen=True)
class FilmContent:
    """Genres, years, poster features and terms of films, aligned by position; NaN rows for missing posters.

    `views` are the numbers of columns of kinds of poster features that count equally; none are one kind. `terms` are
    people and words; without any, none are known of any film.
    """

    genres: Sequence[Sequence[str]]
    years: Sequence[int | None]
    posters: Floats
    views: tuple[int, ...] = ()
    terms: Sequence[Sequence[str]] = ()

    def __post_init__(self) -> None:
        """Check that all is of the same films."""
        if self.posters.ndim != 2 or not len(self.genres) == len(self.years) == len(self.posters):
            raise ValueError(
                "expected genres, years and posters of shape (n_films, d), all of the same films; received "
                f"{len(self.genres)} genres, {len(self.years)} years and posters of shape {self.posters.shape}"
            )
        if len(self.terms) not in (0, len(self.posters)):
            raise ValueError(f"expected terms of {len(self.posters)} films or of none, received {len(self.terms)}")
        if self.views and sum(self.views) != self.posters.shape[1]:
            raise ValueError(f"expected views of {self.posters.shape[1]} columns, received {self.views}")

    def __len__(self) -> int:
        return len(self.posters)

    def rows(self, places: slice | Sequence[int] | npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> FilmContent:
        """Take some of the films."""
        chosen = np.arange(len(self))[places].tolist()
        genres, years = [self.genres[row] for row in chosen], [self.years[row] for row in chosen]
        terms = [self.terms[row] for row in chosen] if self.terms else ()
        return FilmContent(genres, years, self.posters[chosen], self.views, terms)


@dataclass(frozen=True)
class Encoding:
    """Encodes what is known of films; make it with `Encoding.fit`.

    A linear model of a year as one number can only say "the later, the better". So a year becomes a few bumps, one
    every `YEAR_STEP` years, as wide as that.
    """

    genres: tuple[str, ...]
    first_year: int
    last_year: int
    n_columns: int
    views: tuple[int, ...]
    terms: TermEncoding

    @classmethod
    def fit(cls, films: FilmContent) -> Encoding:
        """Learn which genres, years and terms there are."""
        years = [year for year in films.years if year is not None] or [2000]
        genres = {genre for of_film in films.genres for genre in of_film}
        terms = TermEncoding.fit(films.terms)
        return cls(tuple(sorted(genres)), min(years), max(years), films.posters.shape[1], films.views, terms)

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Encoding:
        """Restore what `asdict` gave, from JSON."""
        terms = TermEncoding.of_record(record["terms"])
        return cls(**{**record, "genres": tuple(record["genres"]), "views": tuple(record["views"]), "terms": terms})

    def __call__(self, films: FilmContent) -> dict[str, Floats]:
        """Encode films."""
        if films.posters.shape[1] != self.n_columns:
            raise ValueError(f"expected posters of {self.n_columns} columns, received {films.posters.shape[1]}")
        genres, years = self._genres(films.genres), self._years(films.years)
        pairs = np.triu_indices(len(self.genres), 1)
        by_year = (genres[:, :, None] * years[:, None, :]).reshape(len(genres), genres.shape[1] * years.shape[1])
        # A product of two genres stands twice in the square of the genres, hence the root.
        facts = np.hstack([genres, years, by_year, np.sqrt(2) * genres[:, pairs[0]] * genres[:, pairs[1]]])
        encoded = {name: _or_unknown(rows) for name, rows in (("facts", facts), ("genres", genres), ("years", years))}
        terms = self.terms(films.terms or [()] * len(films))
        return {**encoded, "terms": terms, "posters": np.asarray(films.posters, np.float32)}

    def _genres(self, genres: Sequence[Sequence[str]]) -> npt.NDArray[np.float64]:
        places = {genre: place for place, genre in enumerate(self.genres)}
        marks = np.zeros((len(genres), len(places)))
        for row, of_film in zip(marks, genres, strict=True):
            row[[places[genre] for genre in of_film if genre in places]] = 1
        return unit(marks)

    def _years(self, years: Sequence[int | None]) -> npt.NDArray[np.float64]:
        centers = np.arange(self.first_year, self.last_year + YEAR_STEP, YEAR_STEP)
        given = np.array([np.nan if year is None else year for year in years], float)
        known = given.clip(self.first_year, self.last_year)
        bumps = np.exp(-np.square((known[:, None] - centers) / YEAR_STEP) / 2)
        return unit(np.nan_to_num(bumps))


@dataclass(frozen=True)
class Standardization:
    """Brings columns to mean 0 and one spread, as learned from a sample; make it with `Standardization.fit`."""

    center: Floats
    scale: Floats

    @classmethod
    def fit(cls, rows: Floats, *, by_column: bool, views: Sequence[int] = ()) -> Standardization:
        """Learn from a sample; kinds of columns, if there are some, get equal parts of the mean square length of 1."""
        known = rows[np.isfinite(rows).all(axis=1)].astype(np.float64)
        if not known.size:
            return cls(np.zeros(rows.shape[1], np.float32), np.zeros(rows.shape[1], np.float32))
        spreads = known.std(axis=0)
        parts = np.split(spreads, np.cumsum(views)[:-1]) if views else [spreads]
        scale = np.concatenate([_scale(part, by_column=by_column) for part in parts]) / np.sqrt(len(parts))
        return cls(known.mean(axis=0).astype(np.float32), scale.astype(np.float32))

    def __call__(self, rows: Floats) -> Floats:
        """Standardize rows."""
        known = np.isfinite(rows).all(axis=1, keepdims=True)
        return np.asarray(np.where(known, (rows - self.center) * self.scale, 0), np.float32)


def _scale(spreads: npt.NDArray[np.float64], *, by_column: bool) -> npt.NDArray[np.float64]:
    # What hardly ever varies would be blown up to noise.
    varies = spreads > 1e-3 * spreads.max(initial=0)
    size = np.sqrt(varies.sum()) * spreads if by_column else np.full(len(spreads), np.linalg.norm(spreads))
    return np.asarray(np.divide(1, size, out=np.zeros(len(spreads)), where=varies))


def _or_unknown(rows: npt.NDArray[np.float64]) -> Floats:
    return np.where(rows.any(axis=1, keepdims=True), rows, np.nan).astype(np.float32)


def unit(rows: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Bring rows to length 1."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1))
