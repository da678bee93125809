"""A film, and what belongs to one: tags, and people and words of the plot."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.text import visible


class Titled:
    """Base of records with a title and perhaps a year."""

    title: str
    year: int | None

    @property
    def label(self) -> str:
        """Title and year as people write them: "Heat (1995)"; one line, whatever the title holds."""
        return visible(f"{self.title} ({self.year})" if self.year else self.title)


@dataclass(frozen=True)
class Film(Titled):
    """A film of the catalog.

    Parameters
    ----------
    movie_id : int
        MovieLens' number; added films have numbers from 1,000,000,001 on.
    title : str
        Article first, without the year: "The Matrix".
    year : int, optional
        The year of release, where known.
    imdb_id : str, optional
        Zero-padded to seven digits or more, without ``tt``.
    tmdb_id : int, optional
        TMDB's number.
    genres : tuple of str, default ()
        As the catalog spells them; empty where none is listed.
    alternative_titles : tuple of str, default ()
        Other titles, article first.
    n_ratings : int, default 0
        Number of ratings.
    mean_rating : float, optional
        Their mean, in stars; None without ratings.

    Attributes
    ----------
    label : str
        Title and year: "The Matrix (1999)".
    """

    movie_id: int
    title: str
    year: int | None = None
    imdb_id: str | None = None
    tmdb_id: int | None = None
    genres: tuple[str, ...] = ()
    alternative_titles: tuple[str, ...] = ()
    n_ratings: int = 0
    mean_rating: float | None = None


@dataclass(frozen=True)
class FilmTag:
    """A tag of a film in lower case, with the number of users who gave it."""

    movie_id: int
    tag: str
    n_users: int


TERM_KINDS = ("director", "cast", "keyword")
"""What may be loaded of a film beside what MovieLens has."""


@dataclass(frozen=True)
class FilmTerm:
    """A director, an actor or a word of the plot of a film, as it was given."""

    movie_id: int
    kind: str
    term: str
