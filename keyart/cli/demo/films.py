"""The films of the demonstration."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from catalog.titles import parse_title

_WITHOUT_POSTER = "Velvet Stairwell (1950)"


@dataclass(frozen=True)
class DemoFilm:
    """An invented film.

    `style` is a key of `styles.STYLES`. `audience` is the group of users who like it; styles and audiences are crossed,
    so similar posters do not mean similar ratings. `variant` numbers the films of a style from 0.
    """

    movie_id: int
    title: str  # as MovieLens writes it: "Glass Harbour, The (1987)"
    year: int
    genres: tuple[str, ...]
    style: str
    audience: str
    n_ratings: int
    has_poster: bool
    variant: int


@cache
def films() -> tuple[DemoFilm, ...]:
    """Return the films by ascending movie_id, the films of a style together."""
    text = files("keyart.cli.demo").joinpath("films.csv").read_text(encoding="utf-8")
    n_of_style: Counter[str] = Counter()
    listed = []
    for movie_id, row in enumerate(csv.DictReader(text.splitlines()), start=1):
        title, style = row["title"], row["style"]
        listed.append(
            DemoFilm(
                movie_id=movie_id,
                title=title,
                year=parse_title(title).year or 0,
                genres=tuple(row["genres"].split("|")),
                style=style,
                audience=row["audience"],
                n_ratings=int(row["n_ratings"]),
                has_poster=title != _WITHOUT_POSTER,
                variant=n_of_style[style],
            )
        )
        n_of_style[style] += 1
    return tuple(listed)
