"""Split genres, and match what people type to the genres of a catalog."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from catalog.errors import ConfigError
from catalog.film import Film
from catalog.text import clean, plural

NO_GENRES = "(no genres listed)"
"""What MovieLens writes for a film without a genre."""

# The least similarity of spelling, of 100, that is worth suggesting.
_MIN_SIMILARITY = 60


def split_genres(text: str) -> tuple[str, ...]:
    """Split genres as MovieLens writes them, ``"Comedy|Drama"``, without duplicates."""
    named = (genre.strip() for genre in clean(text).split("|"))
    return tuple(dict.fromkeys(genre for genre in named if genre and genre != NO_GENRES))


def notes_on_genres(films: Iterable[Film]) -> Iterator[str]:
    """Yield a note on genres that were probably meant as several, separated otherwise than by |."""
    joined = [genre for film in films for genre in film.genres if "," in genre or ";" in genre]
    if joined:
        yield (
            f"{plural(len(joined), 'genre')} with a comma or a semicolon, such as {joined[0]!r}, taken as one; genres "
            "are separated by |"
        )


def match_genres(genres: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return genres in the spelling of a catalog, ignoring case; ConfigError names the nearest if one is unknown."""
    spellings = {genre.lower(): genre for genre in known}
    matched = []
    for genre in genres:
        if genre.lower() not in spellings:
            raise ConfigError(_unknown(genre, known))
        matched.append(spellings[genre.lower()])
    return tuple(matched)


def _unknown(genre: str, known: Sequence[str]) -> str:
    # Imported here: only an unknown genre needs it.
    from rapidfuzz import fuzz, process

    spellings = [name.lower() for name in known]
    near = process.extractOne(genre.lower(), spellings, scorer=fuzz.ratio, score_cutoff=_MIN_SIMILARITY)
    hint = f" (did you mean {known[near[2]]}?)" if near else ""
    return f"no film is of the genre {genre!r}{hint}; there are {', '.join(known) or 'none'}"
