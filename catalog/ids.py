"""The bound of all ids, checked wherever they enter: of films, of users, IMDb's and TMDB's."""

from __future__ import annotations

from catalog.errors import ConfigError

MAX_ID = 2**31 - 1
"""The greatest id: ratings, models and looks keep ids as int32."""

FIRST_ADDED_ID = 1_000_000_001
"""The movie_id of the first film that is added; the numbers of MovieLens stay far below it."""


def is_id(number: int) -> bool:
    """Return whether a number can be an id."""
    return 1 <= number <= MAX_ID


def check_id(number: int, what: str) -> int:
    """Return a number that can be an id of `what`; ConfigError for any other, TypeError for what is no integer."""
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise TypeError(f"{what} should be an int, received {number!r}")
    if not is_id(int(number)):
        raise ConfigError(f"expected {what} from 1 to {MAX_ID:,}, received {number}")
    return int(number)
