"""Genres as people type them, brought to the spelling of a catalog. May import `catalog.errors` only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from catalog.errors import ConfigError

NO_GENRES = "(no genres listed)"
"""What MovieLens writes for a film of no genre."""

# The least likeness of spelling, of 100, that is worth suggesting.
_ALIKE = 60


def split_genres(text: str) -> tuple[str, ...]:
    """Split genres as MovieLens writes them.

    Parameters
    ----------
    text : str
        Such as ``"Comedy|Drama"``.

    Returns
    -------
    tuple of str
        Each once, in their order; empty where none is listed.
    """
    named = (genre.strip() for genre in text.split("|"))
    return tuple(dict.fromkeys(genre for genre in named if genre and genre != NO_GENRES))


def match_genres(genres: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """Spell genres as a catalog does; capitals do not matter.

    Parameters
    ----------
    genres : iterable of str
        As typed.
    known : sequence of str
        The genres of the catalog.

    Returns
    -------
    tuple of str
        In their order.

    Raises
    ------
    ConfigError
        A genre is none of the catalog's; the message names the nearest.
    """
    spellings = {genre.lower(): genre for genre in known}
    spelt = []
    for genre in genres:
        if genre.lower() not in spellings:
            raise ConfigError(_unknown(genre, known))
        spelt.append(spellings[genre.lower()])
    return tuple(spelt)


def _unknown(genre: str, known: Sequence[str]) -> str:
    # Imported here: only a miss needs it.
    from rapidfuzz import fuzz, process

    spellings = [name.lower() for name in known]
    near = process.extractOne(genre.lower(), spellings, scorer=fuzz.ratio, score_cutoff=_ALIKE)
    hint = f" (did you mean {known[near[2]]}?)" if near else ""
    return f"no film is of the genre {genre!r}{hint}; there are {', '.join(known) or 'none'}"
