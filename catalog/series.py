"""Find the films of one series by their titles: numbers, and what follows a colon, a dash or "and the"."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from catalog.film import Film
from catalog.titles import bare_key, series_key, title_key

# Films of one name further apart are mostly made anew, with other posters.
_MAX_YEARS_APART = 8
_SUBTITLE = re.compile(r"\s*:\s|\s[-–]\s")
_MIN_WORDS_OF_A_HERO = 2


def series_name(title: str) -> str:
    """Return what a title shares with those of its series; the whole key of a title that names no part.

    >>> series_name("Star Trek II: The Wrath of Khan"), series_name("Rocky"), series_name("Apollo 13")
    ('star trek', 'rocky', 'apollo')
    """
    words = series_key(bare_key(title_key(_SUBTITLE.split(title, maxsplit=1)[0]))).split()
    # "Indiana Jones and the Temple of Doom", but not "Beauty and the Beast".
    for place in range(_MIN_WORDS_OF_A_HERO, len(words) - 1):
        if words[place : place + 2] == ["and", "the"]:
            words = words[:place]
            break
    for place, word in enumerate(words):
        if place and word.isdigit():
            words = words[:place]
            break
    return " ".join(words)


def parts_of_series(films: Iterable[Film]) -> dict[int, tuple[int, ...]]:
    """Return the other films of each film's series, at most 8 years older or newer, by movie_id.

    Films of one and the same title are taken for versions of one story and not for parts; films without a year, and
    films that are alone, are left out.
    """
    series: dict[str, list[Film]] = defaultdict(list)
    for film in films:
        if film.year is not None and (name := series_name(film.title)):
            series[name].append(film)
    matches = {
        film.movie_id: tuple(other.movie_id for other in members if _are_parts(film, other))
        for members in series.values()
        for film in members
    }
    return {movie_id: others for movie_id, others in sorted(matches.items()) if others}


def _are_parts(one: Film, other: Film) -> bool:
    if one.year is None or other.year is None or abs(one.year - other.year) > _MAX_YEARS_APART:
        return False
    return bare_key(title_key(one.title)) != bare_key(title_key(other.title))
