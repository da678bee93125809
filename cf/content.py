"""What is known of a film without any ratings, as numbers that a linear model can use. Plain arrays in and out.

Unknown content is a row of NaN, or of zeros where something else is known beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError

Floats = npt.NDArray[np.float32]
# How far years reach, in years: people rate what came out shortly before they joined, so that decades are too coarse.
YEAR_STEP = 3


@dataclass(frozen=True)
class GenresAndYears:
    """Encodes genres, pairs of genres, years, and genres by year; make it with `GenresAndYears.fit`.

    A linear model of a year as one number can only say "the later, the better". So a year becomes a few bumps, one
    every `YEAR_STEP` years, as wide as that.

    Parameters
    ----------
    genres : tuple of str
        Those that are known.
    first_year, last_year : int
        The years that are known; a year beyond counts as the nearest.
    """

    genres: tuple[str, ...]
    first_year: int
    last_year: int

    @classmethod
    def fit(cls, genres: Iterable[Sequence[str]], years: Iterable[int | None]) -> GenresAndYears:
        """Learn which genres and years there are; from films with ratings only, or a test is no test.

        Parameters
        ----------
        genres : iterable of sequence of str
            Of each film.
        years : iterable of int or None
            Of each film, None where it is not known.

        Returns
        -------
        GenresAndYears
            The encoding.
        """
        known_years = [year for year in years if year is not None] or [2000]
        return cls(
            tuple(sorted({genre for of_film in genres for genre in of_film})), min(known_years), max(known_years)
        )

    def __call__(self, genres: Sequence[Sequence[str]], years: Sequence[int | None]) -> Floats:
        """Encode films.

        Parameters
        ----------
        genres : sequence of sequence of str, of length n
            Of each film; none where they are not known.
        years : sequence of int or None, of length n
            Of each film.

        Returns
        -------
        ndarray of shape (n, d), float32
            Genres, year and genres by year each of length 1 or, where unknown, 0; NaN where nothing is known.

        Raises
        ------
        DataError
            A genre is not among those that are known.
        """
        kinds, moments = self._genres(genres), self._years(years)
        pairs = np.triu_indices(len(self.genres), 1)
        by_year = (kinds[:, :, None] * moments[:, None, :]).reshape(len(kinds), -1)
        # A product of two genres stands twice in the square of the genres, hence the root.
        rows = np.hstack([kinds, moments, by_year, np.sqrt(2) * kinds[:, pairs[0]] * kinds[:, pairs[1]]])
        rows[~rows.any(axis=1)] = np.nan
        return rows.astype(np.float32)

    def _genres(self, genres: Sequence[Sequence[str]]) -> npt.NDArray[np.float64]:
        places = {genre: place for place, genre in enumerate(self.genres)}
        marks = np.zeros((len(genres), len(places)))
        for row, of_film in zip(marks, genres, strict=True):
            if strangers := [genre for genre in of_film if genre not in places]:
                raise DataError(f"no film is of the genre {strangers[0]!r}; expected one of {', '.join(self.genres)}")
            row[[places[genre] for genre in of_film]] = 1
        return _unit(marks)

    def _years(self, years: Sequence[int | None]) -> npt.NDArray[np.float64]:
        centres = np.arange(self.first_year, self.last_year + YEAR_STEP, YEAR_STEP)
        given = np.array([np.nan if year is None else year for year in years], float)
        known = given.clip(self.first_year, self.last_year)
        bumps = np.exp(-np.square((known[:, None] - centres) / YEAR_STEP) / 2)
        return _unit(np.nan_to_num(bumps))


@dataclass(frozen=True)
class Standardisation:
    """Brings columns to mean 0 and one spread, as learnt from a sample; make it with `Standardisation.fit`.

    Parameters
    ----------
    centre, scale : ndarray of shape (d,), float32
        What is taken off a row, and what it is then multiplied by; 0 for a column that does not vary.
    """

    centre: Floats
    scale: Floats

    @classmethod
    def fit(cls, rows: Floats, *, by_column: bool) -> Standardisation:
        """Learn from a sample.

        Parameters
        ----------
        rows : ndarray of shape (n, d), float32
            The sample; rows of NaN are passed over.
        by_column : bool
            Bring every column to the same spread; else the columns keep their proportions, for numbers of one make.

        Returns
        -------
        Standardisation
            It brings the sample's rows to a mean square length of 1.
        """
        known = rows[np.isfinite(rows).all(axis=1)].astype(np.float64)
        if not len(known):
            return cls(np.zeros(rows.shape[1], np.float32), np.zeros(rows.shape[1], np.float32))
        spreads = known.std(axis=0)
        # What hardly ever varies would be blown up to noise.
        varies = spreads > 1e-3 * spreads.max()
        size = np.sqrt(varies.sum()) * spreads if by_column else np.full(len(spreads), np.linalg.norm(spreads))
        scale = np.divide(1, size, out=np.zeros(len(spreads)), where=varies)
        return cls(known.mean(axis=0).astype(np.float32), scale.astype(np.float32))

    def __call__(self, rows: Floats) -> Floats:
        """Standardise rows.

        Parameters
        ----------
        rows : ndarray of shape (n, d), float32
            As the sample's.

        Returns
        -------
        ndarray of shape (n, d), float32
            A row of which nothing, or not all, is known becomes 0: it says nothing.
        """
        known = np.isfinite(rows).all(axis=1, keepdims=True)
        return np.asarray(np.where(known, (rows - self.centre) * self.scale, 0), np.float32)


def by_name(content: Mapping[str, npt.ArrayLike], names: Iterable[str]) -> dict[str, Floats]:
    """Check that content is of one number of films and all there.

    Parameters
    ----------
    content : mapping of str to array_like of shape (n_films, d)
        What is known of films.
    names : iterable of str
        What is expected.

    Returns
    -------
    dict of str to ndarray of shape (n_films, d), float32
        The arrays that are expected.

    Raises
    ------
    ValueError
        One is missing, or they are not of the same films.
    """
    wanted = tuple(names)
    if missing := [name for name in wanted if name not in content]:
        raise ValueError(f"expected content named {', '.join(wanted)}; {', '.join(missing)} missing")
    arrays = {name: np.asarray(content[name], np.float32) for name in wanted}
    shapes = {name: array.shape for name, array in arrays.items()}
    if any(len(shape) != 2 for shape in shapes.values()) or len({shape[0] for shape in shapes.values()}) > 1:
        raise ValueError(f"expected content of shape (n_films, d), all of the same films, received {shapes}")
    return arrays


def _unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1))
