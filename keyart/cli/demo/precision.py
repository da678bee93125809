"""How well look-alikes match the styles that the posters were drawn in."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from keyart.cli.demo.films import films
from keyart.engine import Engine

K = 5


@dataclass(frozen=True)
class StylePrecision:
    """Which share of the K most similar posters have the style of the poster asked about.

    `chance` is that share for posters drawn at random, `margin` the half-width of a 95 % interval of the difference
    between both, which varies from film to film.
    """

    precision: float
    chance: float
    margin: float

    @property
    def beats_chance(self) -> bool:
        return self.precision - self.chance > self.margin


def measure_styles(engine: Engine) -> StylePrecision:
    """Ask for the look-alikes of every film with a poster, by looks alone."""
    styles = {film.movie_id: film.style for film in films()}
    queries = [film for film in films() if film.has_poster]
    n_of_style = Counter(film.style for film in queries)
    precisions = [
        np.mean([styles.get(hit.movie_id) == film.style for hit in engine.similar(film.movie_id, K, alpha=1.0)])
        for film in queries
    ]
    chance = [(n_of_style[film.style] - 1) / (len(queries) - 1) for film in queries]
    gain = np.subtract(precisions, chance)
    margin = 1.96 * float(gain.std(ddof=1)) / math.sqrt(len(queries))
    return StylePrecision(float(np.mean(precisions)), float(np.mean(chance)), margin)
