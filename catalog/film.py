"""A film, and a tag of one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Film:
    """One film.

    Parameters
    ----------
    movie_id : int
        MovieLens' number.
    title : str
        As a reader expects it: "The Matrix".
    year : int or None
        The year of release, where known.
    imdb_id : str or None
        Zero-padded to seven digits or more, without ``tt``.
    tmdb_id : int or None
        TMDB's number.
    genres : tuple of str
        Empty where none is listed.
    alternative_titles : tuple of str
        Other titles, article first.
    n_ratings : int
        The film's support: how many users rated it.
    mean_rating : float or None
        Their mean, in stars; None without ratings.
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

    @property
    def label(self) -> str:
        """Title and year as people write them: "Heat (1995)"."""
        return f"{self.title} ({self.year})" if self.year else self.title


@dataclass(frozen=True)
class FilmTag:
    """A word or two that users tagged a film with.

    Parameters
    ----------
    movie_id : int
        The film.
    tag : str
        In lower case: users do not agree on capitals.
    n_users : int
        How many users chose it.
    """

    movie_id: int
    tag: str
    n_users: int
