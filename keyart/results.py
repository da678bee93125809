"""What the engine answers with: plain, frozen, ready to be printed, drawn or sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Alpha = float | Literal["auto"]
"""The visual share, or that it shall go by the ratings there are."""


@dataclass(frozen=True)
class Query:
    """What was asked about.

    Parameters
    ----------
    movie_id : int or None
        The film; None where a picture was given.
    title : str
        Its title, or the picture's file name.
    year : int or None
        Its year of release, where known.
    poster_path : Path or None
        Its poster, where there is one.
    n_ratings : int
        How many users rated it.
    """

    movie_id: int | None
    title: str
    year: int | None
    poster_path: Path | None = None
    n_ratings: int = 0

    @property
    def label(self) -> str:
        """Title and year as people write them."""
        return f"{self.title} ({self.year})" if self.year else self.title


@dataclass(frozen=True)
class Hit:
    """One film of a result.

    Parameters
    ----------
    rank : int
        From 1.
    movie_id : int
        The film.
    title : str
        Its title.
    year : int or None
        Its year of release, where known.
    score : float
        alpha · visual + (1 - alpha) · cf, on the scale of the visual similarity.
    visual : float or None
        The cosine of the posters' features, in [-1, 1]; None where the film has no poster.
    cf : float or None
        The item similarity of the ratings, calibrated onto the scale of the visual one; None where nothing is known.
    n_ratings : int
        How many users rated the film.
    alpha : float
        The visual share that was used.
    poster_path : Path or None
        Its poster, where there is one.
    same_artwork : tuple of int
        The movie_ids of films with the same artwork that it stands for, where such were to be folded.
    visual_rank, cf_rank : int or None
        Its place, from 1, among all films by each side alone; None where that side knows nothing of it.
    """

    rank: int
    movie_id: int
    title: str
    year: int | None
    score: float
    visual: float | None
    cf: float | None
    n_ratings: int
    alpha: float
    poster_path: Path | None
    same_artwork: tuple[int, ...] = ()
    visual_rank: int | None = None
    cf_rank: int | None = None

    @property
    def label(self) -> str:
        """Title and year as people write them."""
        return f"{self.title} ({self.year})" if self.year else self.title


@dataclass(frozen=True)
class SimilarFilms:
    """The answer to one question; iterating over it gives its hits.

    Parameters
    ----------
    query : Query
        What was asked about.
    alpha : float or "auto"
        The visual share that was asked for.
    hits : tuple of Hit
        Best first.
    notes : tuple of str
        What a reader of the result should know.
    n_visual, n_cf : int
        Of how many films each side knew something.
    """

    query: Query
    alpha: Alpha
    hits: tuple[Hit, ...]
    notes: tuple[str, ...] = ()
    n_visual: int = 0
    n_cf: int = 0

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def as_dict(self) -> dict[str, Any]:
        """Write the result as plain values, as ``keyart similar --json`` prints it.

        Returns
        -------
        dict
            query, alpha, results.
        """
        names = ("rank", "movie_id", "title", "year", "score", "visual", "cf", "alpha", "n_ratings", "same_artwork")
        return {
            "query": {"movie_id": self.query.movie_id, "title": self.query.title, "year": self.query.year},
            "alpha": self.alpha,
            "results": [{name: getattr(hit, name) for name in names} for hit in self.hits],
        }


@dataclass(frozen=True)
class Explanation:
    """Why two films' posters look alike: what every place of them contributes to the similarity.

    Parameters
    ----------
    films : tuple of (Query, Query)
        The two films, with their posters.
    similarity : float
        The cosine of the posters' features, in [-1, 1].
    grid : ndarray of shape (height, width), float64
        What each place contributes; 7 × 7 for VGG16, from the top left of the whole poster to its bottom right. Adds
        up to the similarity.
    centered : bool
        Whether the mean of all features was subtracted, so that places may also speak against the similarity.
    """

    films: tuple[Query, Query]
    similarity: float
    grid: npt.NDArray[np.float64]
    centered: bool

    def as_dict(self) -> dict[str, Any]:
        """Write the explanation as plain values, as ``keyart explain --json`` prints it.

        Returns
        -------
        dict
            films, similarity, centered, grid: a list of rows, the top one first. Nothing is rounded.
        """
        films = [{"movie_id": film.movie_id, "title": film.title, "year": film.year} for film in self.films]
        return {
            "films": films,
            "similarity": self.similarity,
            "centred": self.centered,
            "grid": self.grid.tolist(),
        }


@dataclass(frozen=True)
class Expected:
    """The mean rating that a film is expected to get, in stars.

    Parameters
    ----------
    mean : float
        The likeliest.
    low, high : float
        Between them it lies with 95 % probability.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Fan:
    """Somebody who would like a film.

    Parameters
    ----------
    user_id : int
        Who.
    score : float
        By how many standard deviations they prefer the film to the films of the catalog on average; above 0.
    """

    user_id: int
    score: float


@dataclass(frozen=True)
class ColdStartAnswer:
    """What can be told of a film that nobody has rated.

    Parameters
    ----------
    look_alikes : SimilarFilms
        The films whose posters look like its own, and what was asked about.
    expected : Expected or None
        Its mean rating; None where there are no ratings to learn from.
    audience : tuple of Fan
        Who would like it most, keenest first; never those to whom it is below their own average.
    notes : tuple of str
        What a reader should know.
    """

    look_alikes: SimilarFilms
    expected: Expected | None
    audience: tuple[Fan, ...]
    notes: tuple[str, ...] = ()

    @property
    def query(self) -> Query:
        """What was asked about."""
        return self.look_alikes.query

    def as_dict(self) -> dict[str, Any]:
        """Write the answer as plain values, as ``keyart coldstart --json`` prints it.

        Returns
        -------
        dict
            poster, title, year, expected, look_alikes, audience.
        """
        return {
            "poster": str(self.query.poster_path),
            "title": self.query.title,
            "year": self.query.year,
            "expected": asdict(self.expected) if self.expected else None,
            "look_alikes": self.look_alikes.as_dict()["results"],
            "audience": [asdict(fan) for fan in self.audience],
        }
