"""The films of the demonstration, their posters, and the MovieLens folder made of both.

Owns nothing on the disk but the folder that `write_demo` is told: ``movies.csv``, ``links.csv``, ``ratings.csv`` and
``posters/{movieId}.jpg``, as a user's own would be, so that the demonstration runs the very code that a user runs.
May import `catalog` and `keyart.demo` only.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from catalog.io.files import write_bytes
from catalog.titles import parse_title
from keyart.demo.card import Card
from keyart.demo.films import DemoFilm, films
from keyart.demo.ratings import Ratings, draw_ratings
from keyart.demo.styles import STYLES

__all__ = ["LOOKUPS", "DemoFilm", "Lookup", "Ratings", "draw_poster", "films", "ratings", "write_demo"]

_TAGLINES = (
    "Nobody leaves the way they came.",
    "Some doors remember you.",
    "The truth was never in the room.",
    "It began with a small kindness.",
    "Every hour has its price.",
    "They were only meant to wait.",
    "Tonight, the map is wrong.",
    "A story in three weathers.",
    "What the water kept.",
    "Listen twice.",
    "Bring your own courage.",
    "The long way round is shorter.",
)
_FIRST_NAMES = (
    *("Anna", "Ilse", "Marcel", "Tomas", "Ingrid", "Rafael", "Noor", "Edith"),
    *("Jonas", "Mirela", "Oskar", "Petra", "Wanda", "Cyril", "Amara", "Teodor"),
)
_SURNAMES = (
    *("Kovács", "Lindqvist", "Marchetti", "Oyelaran", "Brandt", "Duval"),
    *("Sörensen", "Vásquez", "Whitlock", "Nakata", "Ferreira", "Aldous"),
)


@dataclass(frozen=True)
class Lookup:
    """A look-up worth showing."""

    title: str
    reason: str


LOOKUPS = (
    Lookup("The Ninth Moon of Ilex (1979)", "the most rated film: its look and its audience point different ways"),
    Lookup("Whisper Cellar (2017)", "nobody has rated it yet: only its poster speaks"),
    Lookup("Velvet Stairwell (1950)", "it has no poster: only its ratings speak"),
)


def draw_poster(film: DemoFilm, seed: int = 0) -> Image.Image:
    """Draw the poster of a film."""
    rng = np.random.default_rng([seed, film.movie_id])
    return STYLES[film.style](_card(film, rng), rng).finished()


def _card(film: DemoFilm, rng: np.random.Generator) -> Card:
    first, last = rng.choice(_FIRST_NAMES, 4, replace=False), rng.choice(_SURNAMES, 4, replace=False)
    names = tuple(f"{name} {surname}" for name, surname in zip(first, last, strict=True))
    return Card(parse_title(film.title).title, film.year, _TAGLINES[film.movie_id % len(_TAGLINES)], names, film.take)


def ratings(seed: int = 0) -> Ratings:
    """Let the made-up users rate the films."""
    listed = films()
    return draw_ratings(
        [film.movie_id for film in listed],
        [film.audience for film in listed],
        [film.n_ratings for film in listed],
        np.random.default_rng(seed),
    )


def write_demo(folder: Path, seed: int = 0) -> None:
    """Write the demonstration as a MovieLens folder with posters in it."""
    listed, rated = films(), ratings(seed)
    columns = (rated.user_ids, rated.movie_ids, rated.stars, rated.timestamps)
    _write_table(
        folder / "movies.csv", "movieId title genres", ((f.movie_id, f.title, "|".join(f.genres)) for f in listed)
    )
    # No ids, so that nobody ever asks TMDB for a film that does not exist.
    _write_table(folder / "links.csv", "movieId imdbId tmdbId", ((f.movie_id, "", "") for f in listed))
    _write_table(
        folder / "ratings.csv", "userId movieId rating timestamp", zip(*(c.tolist() for c in columns), strict=True)
    )
    for film in listed:
        if film.has_poster:
            write_bytes(folder / "posters" / f"{film.movie_id}.jpg", _jpeg(draw_poster(film, seed)))


def _write_table(path: Path, header: str, rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header.split())
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())


def _jpeg(poster: Image.Image) -> bytes:
    content = io.BytesIO()
    poster.save(content, "JPEG", quality=92)
    return content.getvalue()
