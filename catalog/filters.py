"""Which films of a catalog are wanted: by year, genre, number of ratings or a list of ids."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from catalog.errors import ConfigError


@dataclass(frozen=True)
class Filter:
    """Which films are wanted; a film has to meet every condition that is set.

    Parameters
    ----------
    years : tuple of (int or None, int or None), default (None, None)
        The first and the last year of release, both included; None leaves that end open. A film of unknown year is
        included only where both ends are open.
    genres : sequence of str, default ()
        A film has to be of one of them; case is ignored, and none means any genre. Stored as a tuple.
    min_ratings : int, default 0
        The least number of ratings of a film.
    movie_ids : collection of int, optional
        Only these films; ids that the catalog does not have are ignored. None means all films, an empty collection
        means none.

    Raises
    ------
    ConfigError
        The first year is later than the last, or `min_ratings` is negative.
    TypeError
        `years` is not a pair, or `genres` is a single string.

    Examples
    --------
    >>> Filter(years=(1990, 1999), genres=["Crime", "Thriller"], min_ratings=20)
    Filter(years=(1990, 1999), genres=('Crime', 'Thriller'), min_ratings=20, movie_ids=None)
    >>> bool(Filter())
    False
    """

    years: tuple[int | None, int | None] = (None, None)
    genres: Collection[str] = ()
    min_ratings: int = 0
    movie_ids: Collection[int] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.years, tuple | list) or len(self.years) != 2:
            raise TypeError(f"years should be a pair such as (1990, 1999) or (1990, None), received {self.years!r}")
        if isinstance(self.genres, str):
            raise TypeError(f"genres should be a sequence such as [{self.genres!r}], received {self.genres!r}")
        first, last = self.years
        if first is not None and last is not None and first > last:
            raise ConfigError(f"the first year should not be later than the last, received {first} and {last}")
        if self.min_ratings < 0:
            raise ConfigError(f"min_ratings should be 0 or more, received {self.min_ratings}")
        # Lists would make two filters differ that mean the same, and a filter unhashable.
        object.__setattr__(self, "years", (first, last))
        object.__setattr__(self, "genres", tuple(self.genres))

    def __bool__(self) -> bool:
        """Return whether any condition is set."""
        return self != Filter()
