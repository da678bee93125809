"""What the engine returns: frozen records that convert to plain values and to data frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from catalog.film import Film, Titled

if TYPE_CHECKING:
    import pandas as pd

Alpha = float | Literal["auto"]
"""The visual share of a score, or "auto": by the number of ratings."""

ContentShare = float | Literal["auto"]
"""The share of content in a score, or "auto": more of it where ratings are few."""

HIT_COLUMNS = (
    *("rank", "movie_id", "title", "year", "imdb_id", "tmdb_id"),
    *("score", "visual", "cf", "content", "alpha", "content_share", "n_ratings", "in_common"),
    *("same_artwork", "nearest_to"),
)
"""What JSON, CSV and data frames show of a hit, in this order."""


@dataclass(frozen=True)
class Query(Titled):
    """The film, image, description or embedding that was asked about.

    Parameters
    ----------
    movie_id : int or None
        The film; None for an image, a description or an embedding.
    title : str
        Its title, or the image's file name.
    year : int or None
        Its year of release, where known.
    poster_path : Path or None
        Its poster, where there is one.
    n_ratings : int
        How many users rated it.
    imdb_id : str or None
        IMDb's number, zero-padded, without ``tt``.
    tmdb_id : int or None
        TMDB's number.
    like, unlike : tuple of Query
        The films, images and descriptions of a `Mix`; empty for any other query.
    text : str or None
        The words of a description; its title are the same in quotation marks.
    """

    movie_id: int | None
    title: str
    year: int | None
    poster_path: Path | None = None
    n_ratings: int = 0
    imdb_id: str | None = None
    tmdb_id: int | None = None
    like: tuple[Query, ...] = ()
    unlike: tuple[Query, ...] = ()
    text: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values, ready for JSON.

        Returns
        -------
        dict
            movie_id, title, year, imdb_id, tmdb_id; of a `Mix` also like and unlike, a list of the same for each; of a
            description also text.
        """
        facts = {name: getattr(self, name) for name in ("movie_id", "title", "year", "imdb_id", "tmdb_id")}
        if self.text is not None:
            facts["text"] = self.text
        if not self.like:
            return facts
        sides = {"like": self.like, "unlike": self.unlike}
        return facts | {name: [film.to_dict() for film in films] for name, films in sides.items()}


def query_of(film: Film, poster_path: Path | None) -> Query:
    """Describe a film that is asked about."""
    return Query(film.movie_id, film.title, film.year, poster_path, film.n_ratings, film.imdb_id, film.tmdb_id)


def query_of_image(name: str, path: Path | None) -> Query:
    """Describe an image that is asked about; without a name, an embedding."""
    return Query(None, name, None, path)


def query_of_text(words: str) -> Query:
    """Describe a description that is asked about."""
    return Query(None, f"“{words}”", None, text=words)


@dataclass(frozen=True)
class Hit(Titled):
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
        (1 - content_share) · (alpha · visual + (1 - alpha) · cf) + content_share · content, on the scale of the visual
        similarity. What is not known counts as for a typical film.
    visual : float or None
        The cosine of the posters' features, in [-1, 1], or of those of a region; None where the film has no poster.
    cf : float or None
        The item similarity of the ratings, calibrated onto the scale of the visual one; None where it is not known.
    n_ratings : int
        How many users rated the film.
    alpha : float
        The visual share of what looks and ratings count, in [0, 1].
    poster_path : Path or None
        Its poster, where there is one.
    same_artwork : tuple of int
        The movie_ids of films with the same artwork that this hit stands for, where duplicates are merged.
    visual_rank, cf_rank : int or None
        Its rank, from 1, among all films by each similarity alone; None where that similarity is not known.
    imdb_id : str or None
        IMDb's number, zero-padded, without ``tt``.
    tmdb_id : int or None
        TMDB's number.
    nearest_to : int or None
        For a `Mix`, the movie_id of the liked film that it is nearest to, by looks where both have posters, else by
        ratings, else by content; None where that is an image or a description.
    to_each : tuple of (float or None)
        For a `Mix`, its cosine with each liked and then each unliked part, in the order of `Query`; None where it is
        not known.
    to_earlier : float or None
        For a diverse result, its largest cosine with a film of a better rank; None for the first, and where it is not
        known.
    content : float or None
        The agreement of genres, tags, years, titles and people, calibrated onto the scale of the visual similarity;
        None where content does not count.
    content_share : float
        The share of content that was used, in [0, 1].
    content_rank : int or None
        Its rank, from 1, among all films by content alone.
    in_common : tuple of str
        What it has in common with the film that was asked about, as "Horror", "directed by Wes Craven" or "1990s".
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
    imdb_id: str | None = None
    tmdb_id: int | None = None
    nearest_to: int | None = None
    to_each: tuple[float | None, ...] = ()
    to_earlier: float | None = None
    content: float | None = None
    content_share: float = 0.0
    content_rank: int | None = None
    in_common: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values, ready for JSON.

        Returns
        -------
        dict
            rank, movie_id, title, year, imdb_id, tmdb_id, score, visual, cf, content, alpha, content_share, n_ratings,
            in_common, same_artwork, nearest_to.
        """
        lists = {"in_common": list(self.in_common), "same_artwork": list(self.same_artwork)}
        return {name: getattr(self, name) for name in HIT_COLUMNS} | lists


def hit_cells(record: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the record of a hit to cells of a table: lists to text."""
    texts = {"in_common": "; ".join(record["in_common"]), "same_artwork": " ".join(map(str, record["same_artwork"]))}
    return {**record, **texts}


@dataclass(frozen=True)
class SimilarFilms:
    """The films that look like a film, an image, a description or an embedding. Iterating gives the hits.

    Parameters
    ----------
    query : Query
        What was asked about.
    alpha : float or "auto"
        The visual share that was asked for.
    hits : tuple of Hit
        Best first, ties by ascending movie_id; in a diverse result in the order of their choice.
    notes : tuple of str
        What a reader of the result should know, a sentence each.
    n_visual, n_cf : int
        How many films have a visual similarity, and an item similarity, to the query.
    diverse : float
        The weight of variety that was asked for, in [0, 1].
    region : tuple of (int, int, int, int) or None
        The region of the posters that was compared: x, y, width and height in cells of the grid; None for the whole.
    grid : tuple of (int, int) or None
        The columns and rows of the grid that the region is of.
    content : float or "auto"
        The share of content that was asked for; 0 where content does not count.
    n_content : int
        How many films were compared by content.
    """

    query: Query
    alpha: Alpha
    hits: tuple[Hit, ...]
    notes: tuple[str, ...] = ()
    n_visual: int = 0
    n_cf: int = 0
    diverse: float = 0.0
    region: tuple[int, int, int, int] | None = None
    grid: tuple[int, int] | None = None
    content: ContentShare = 0.0
    n_content: int = 0

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, row: int) -> Hit:
        return self.hits[row]

    def nearest(self, hit: Hit) -> Query | None:
        """Return which of the liked films, images and descriptions of a `Mix` a hit is nearest to.

        Parameters
        ----------
        hit : Hit
            One of the hits.

        Returns
        -------
        Query or None
            None for any other query, and where nothing is known.
        """
        likeness = [-2.0 if cosine is None else cosine for cosine in hit.to_each[: len(self.query.like)]]
        if likeness and max(likeness) > -2.0:
            return self.query.like[likeness.index(max(likeness))]
        return next((film for film in self.query.like if film.movie_id == hit.nearest_to is not None), None)

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values, as ``keyart similar --json`` prints them.

        Returns
        -------
        dict
            query (movie_id, title, year, imdb_id, tmdb_id), alpha, content, region, grid, results: a list of hits,
            notes.
        """
        return {
            "query": self.query.to_dict(),
            "alpha": self.alpha,
            "content": self.content,
            "region": None if self.region is None else list(self.region),
            "grid": None if self.grid is None else list(self.grid),
            "results": [hit.to_dict() for hit in self.hits],
            "notes": list(self.notes),
        }

    def to_frame(self) -> pd.DataFrame:
        """Convert to a data frame.

        Returns
        -------
        pandas.DataFrame
            One row per hit, the columns of `Hit.to_dict`.
        """
        return _frame([hit.to_dict() for hit in self.hits], HIT_COLUMNS)


@dataclass(frozen=True)
class PairScore:
    """How alike two films are: the score that `similar` ranks by, the same in both directions.

    Parameters
    ----------
    films : tuple of (Query, Query)
        The two films.
    score : float
        The mean of the score of the second among the films like the first, and of the first among those like the
        second. Scores of any pairs can be compared; what is not known of a pair counts as for a typical one.
    visual : float or None
        The cosine of the posters' features, in [-1, 1]; None where one of the films has no poster.
    cf, content : float or None
        The similarity by ratings and the agreement of content, calibrated onto the scale of the visual one; None where
        neither film is among those nearest to the other by ratings, and where content does not count.
    in_common : tuple of str
        What the two have in common, as "Horror", "directed by Wes Craven" or "1990s".
    """

    films: tuple[Query, Query]
    score: float
    visual: float | None
    cf: float | None
    content: float | None
    in_common: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values.

        Returns
        -------
        dict
            films, score, visual, cf, content, in_common.
        """
        facts = {name: getattr(self, name) for name in ("score", "visual", "cf", "content")}
        return {"films": [film.to_dict() for film in self.films], **facts, "in_common": list(self.in_common)}


@dataclass(frozen=True, eq=False)
class Explanation:
    """What each region of two posters contributes to their similarity.

    Parameters
    ----------
    films : tuple of (Query, Query)
        The two films, with their posters, or images.
    similarity : float
        The cosine of the posters' features, in [-1, 1].
    grid : ndarray of shape (height, width), float64
        The contribution of each region, 7 × 7 for VGG16, from the top left of the poster to its bottom right. It adds
        up to the similarity.
    centered : bool
        Whether the mean of all features was subtracted, so that regions may also count against the similarity.
    second_grid : ndarray of shape (height, width), float64, optional
        The contribution of each region of the second poster, which adds up to the similarity, too; None where a region
        is compared with the same region of the other poster, so that one grid describes both.
    notes : tuple of str
        What a reader should know, a sentence each.
    pairs : ndarray of shape (height · width, height · width), float64, optional
        The contribution of each region of the first poster, in the order of rows, with each region of the second. Its
        sums over columns and over rows are the two grids. None where a region is compared with the same one only.
    """

    films: tuple[Query, Query]
    similarity: float
    grid: npt.NDArray[np.float64]
    centered: bool
    second_grid: npt.NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()
    pairs: npt.NDArray[np.float64] | None = None

    @property
    def grids(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The contributions of each region of the first poster, and of the second."""
        return self.grid, self.grid if self.second_grid is None else self.second_grid

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values, as ``keyart explain --json`` prints them.

        Returns
        -------
        dict
            films, similarity, centered, grid: a list of rows, the top one first, second_grid: likewise or None, notes.
            Nothing is rounded. The pairs of regions are left out.
        """
        return {
            "films": [film.to_dict() for film in self.films],
            "similarity": self.similarity,
            "centered": self.centered,
            "grid": self.grid.tolist(),
            "second_grid": None if self.second_grid is None else self.second_grid.tolist(),
            "notes": list(self.notes),
        }

    def to_frame(self) -> pd.DataFrame:
        """Convert to a data frame.

        Returns
        -------
        pandas.DataFrame
            One row per region, with the columns row, column (both from 0, the top left) and contribution.
        """
        rows, columns = np.indices(self.grid.shape)
        cells = zip(rows.ravel().tolist(), columns.ravel().tolist(), self.grid.ravel().tolist(), strict=True)
        names = ("row", "column", "contribution")
        return _frame([dict(zip(names, cell, strict=True)) for cell in cells], names)


@dataclass(frozen=True)
class ExpectedRating:
    """The mean rating that a film is expected to get, in stars.

    Parameters
    ----------
    mean : float
        The most likely mean.
    low, high : float
        The bounds of a 95 % interval.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class LikelyFan:
    """A user who is likely to like a film.

    Parameters
    ----------
    user_id : int
        The user.
    score : float
        By how many standard deviations they prefer the film to the average film of the catalog; above 0.
    """

    user_id: int
    score: float


@dataclass(frozen=True)
class ColdStartResult:
    """What is predicted of a film that nobody has rated.

    Parameters
    ----------
    look_alikes : SimilarFilms
        The films whose posters look like its own, and the film itself as the query.
    expected : ExpectedRating or None
        Its mean rating; None without ratings to learn from.
    audience : tuple of LikelyFan
        Who would like it most, best first; never those who would like it less than their average film.
    notes : tuple of str
        What a reader should know, a sentence each.
    """

    look_alikes: SimilarFilms
    expected: ExpectedRating | None
    audience: tuple[LikelyFan, ...]
    notes: tuple[str, ...] = ()

    @property
    def query(self) -> Query:
        """The film that was asked about."""
        return self.look_alikes.query

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values, as ``keyart cold-start --json`` prints them.

        Returns
        -------
        dict
            poster, title, year, expected (mean, low, high), look_alikes, audience, notes.
        """
        return {
            "poster": str(self.query.poster_path),
            "title": self.query.title,
            "year": self.query.year,
            "expected": asdict(self.expected) if self.expected else None,
            "look_alikes": self.look_alikes.to_dict()["results"],
            "audience": [asdict(fan) for fan in self.audience],
            "notes": list(self.notes),
        }

    def to_frame(self) -> pd.DataFrame:
        """Convert the audience to a data frame; `look_alikes` has a frame of its own.

        Returns
        -------
        pandas.DataFrame
            One row per user, best first, with the columns user_id and score.
        """
        return _frame([asdict(fan) for fan in self.audience], ("user_id", "score"))


def _frame(records: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    # pandas takes half a second to import, which only those wait for who want a frame.
    import pandas as pd

    frame = pd.DataFrame(records, columns=list(columns))
    # Whole numbers even where some are missing, which pandas would turn into floats.
    return frame.astype(dict.fromkeys({"tmdb_id", "nearest_to"} & set(columns), "Int64"))
