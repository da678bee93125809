"""The films of the demonstration, their posters and ratings, written as a MovieLens folder with posters.

It has the files that a user's own folder has, so the demonstration runs the code that users run.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from catalog.io.files import write_bytes
from catalog.titles import parse_title
from keyart.cli.demo.card import Card
from keyart.cli.demo.films import DemoFilm, films
from keyart.cli.demo.ratings import Ratings, draw_ratings
from keyart.cli.demo.styles import STYLES

__all__ = ["LOOKUPS", "DemoFilm", "Lookup", "Ratings", "draw_poster", "films", "movies_csv", "ratings", "write_demo"]


@dataclass(frozen=True)
class Lookup:
    """A film to look up, and why it is of interest."""

    title: str
    reason: str


LOOKUPS = (
    Lookup(
        "The Ninth Moon of Ilex (1979)",
        "the most rated film: by looks and by ratings, others are similar",
    ),
    Lookup("Whisper Cellar (2017)", "nobody has rated it yet, so its poster and its genres count"),
    Lookup("Velvet Stairwell (1950)", "it has no poster, so its ratings and its genres count"),
)


def draw_poster(film: DemoFilm, seed: int = 0) -> Image.Image:
    """Draw the poster of a film, RGB, 342 by 513 pixels; the same seed draws the same, to the last bit."""
    rng = np.random.default_rng([seed, film.movie_id])
    return STYLES[film.style](_card(film, rng), rng).finished()


def _card(film: DemoFilm, rng: np.random.Generator) -> Card:
    design = _design()
    first, last = (rng.choice(design[kind], 4, replace=False) for kind in ("first_names", "surnames"))
    palettes = design["palettes"][film.style]["palettes"]
    return Card(
        title=parse_title(film.title).title,
        year=film.year,
        tagline=design["taglines"][film.movie_id % len(design["taglines"])],
        names=tuple(f"{name} {surname}" for name, surname in zip(first, last, strict=True)),
        palette=tuple(palettes[film.variant % len(palettes)]),
        variant=film.variant,
    )


@cache
def _design() -> dict[str, Any]:
    design: dict[str, Any] = json.loads(files("keyart.cli.demo").joinpath("design.json").read_text(encoding="utf-8"))
    return design


def ratings(seed: int = 0) -> Ratings:
    """Simulate the ratings of all films."""
    listed = films()
    return draw_ratings(
        [film.movie_id for film in listed],
        [film.audience for film in listed],
        [film.n_ratings for film in listed],
        np.random.default_rng(seed),
    )


def write_demo(folder: Path, seed: int = 0) -> None:
    """Write movies.csv, links.csv, ratings.csv and posters/{movieId}.jpg to a folder."""
    listed, rated = films(), ratings(seed)
    columns = (rated.user_ids, rated.movie_ids, rated.stars, rated.timestamps)
    write_bytes(folder / "movies.csv", movies_csv())
    # No ids, so that TMDB is never queried for a film that does not exist.
    write_bytes(folder / "links.csv", _table("movieId imdbId tmdbId", ((f.movie_id, "", "") for f in listed)))
    rows = zip(*(column.tolist() for column in columns), strict=True)
    write_bytes(folder / "ratings.csv", _table("userId movieId rating timestamp", rows))
    for film in listed:
        if film.has_poster:
            write_bytes(folder / "posters" / f"{film.movie_id}.jpg", _jpeg(draw_poster(film, seed)))


def movies_csv() -> bytes:
    """Return the content of movies.csv, which no seed changes."""
    rows = ((film.movie_id, film.title, "|".join(film.genres)) for film in films())
    return _table("movieId title genres", rows)


def _table(header: str, rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header.split())
    writer.writerows(rows)
    return text.getvalue().encode()


def _jpeg(poster: Image.Image) -> bytes:
    content = io.BytesIO()
    poster.save(content, "JPEG", quality=92)
    return content.getvalue()
