"""Why films are recommended: by what, and which of the films that the person liked speak for them most.

A recommender's score of a film is a sum over the rated films, or nearly so; a new film's is a product of the person's
factors, themselves such a sum, and of what each kind of content adds to the film's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalog.film import Film, Titled
from cf.base import BLOCK_CELLS, Recommender
from cf.ratings import RatingMatrix
from keyart.recommend.history import liked
from keyart.recommend.new_films import Entry, Floats, UnratedFilms

YOU, THEY = "you", "they"
TASTE, EVERYBODY, EXPECTED_MEAN = "taste", "everybody", "expected mean"
# What the sources of the cold start are called.
_SOURCES = {"posters": "looks", "facts": "genres and year", "terms": "people and words"}
_PHRASES = {EVERYBODY: "the ratings of everybody", EXPECTED_MEAN: "the mean rating that is expected of it"}
# A second film or a further kind of content is named if it says so much of what the first one says.
_SHARE_OF_FIRST = 0.5


@dataclass(frozen=True)
class LikedFilm(Titled):
    """A film that somebody liked, which speaks for another.

    Parameters
    ----------
    movie_id : int
        MovieLens id.
    title : str
        As in MovieLens, without the year.
    year : int or None
        Year of release, where known.
    rating : float
        The stars that they gave it.
    """

    movie_id: int
    title: str
    year: int | None
    rating: float


@dataclass(frozen=True)
class Reason:
    """By what a film is recommended, the most important first, and because of which liked films, at most two."""

    by: tuple[str, ...]
    because: tuple[LikedFilm, ...] = ()
    pronoun: str = YOU

    @property
    def sentence(self) -> str:
        """Return the reason in words; an empty string where nothing speaks for the film."""
        films = _listed([film.label for film in self.because])
        parts = [f"by {_listed([_PHRASES.get(one, one) for one in self.by])}"] if self.by else []
        parts += [f"because {self.pronoun} liked {films}"] if films else []
        text = ", ".join(parts)
        return f"{text[:1].upper()}{text[1:]}." if text else ""


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


@dataclass(frozen=True)
class Person:
    """Whom films are recommended to: their ratings, one row, their factors in the cold start, and a pronoun."""

    history: RatingMatrix
    factors: Floats | None
    pronoun: str


@dataclass(frozen=True)
class Reasoner:
    """Finds the reasons of recommendations."""

    model: Recommender
    unrated: UnratedFilms | None
    films: Mapping[int, Film]

    def reasons(self, entries: Sequence[Entry], person: Person) -> dict[int, Reason]:
        """Return the reasons for films, by movie_id."""
        known = [entry.movie_id for entry in entries if not entry.new]
        new = [entry.movie_id for entry in entries if entry.new]
        return dict((*self._of_known(known, person), *self._of_new(new, person)))

    def _of_known(self, movie_ids: Sequence[int], person: Person) -> Iterator[tuple[int, Reason]]:
        by = (TASTE if self.model.is_personal else EVERYBODY,)
        size = max(1, BLOCK_CELLS // max(1, len(self.model.movie_ids_), len(person.history.movie_ids)))
        for start in range(0, len(movie_ids), size):
            block = movie_ids[start : start + size]
            speaking = self._speaking(self.model.contributions(person.history, block), person.history)
            for movie_id, because in zip(block, speaking, strict=True):
                yield movie_id, Reason(by, because if self.model.is_personal else (), person.pronoun)

    def _of_new(self, movie_ids: Sequence[int], person: Person) -> Iterator[tuple[int, Reason]]:
        if self.unrated is None or person.factors is None or not movie_ids:
            return
        speaking = self._speaking(self.unrated.contributions(person.history.movie_ids, movie_ids), person.history)
        parts = self.unrated.preferences(person.factors, movie_ids)
        for row, (movie_id, because) in enumerate(zip(movie_ids, speaking, strict=True)):
            by = _largest({_SOURCES[name]: float(part[row]) for name, part in parts.items()})
            yield movie_id, Reason(by, because, person.pronoun)

    def _speaking(self, contributions: Floats, history: RatingMatrix) -> Iterator[tuple[LikedFilm, ...]]:
        """Yield the one or two liked films that speak most for each film."""
        is_present = np.array([movie_id in self.films for movie_id in history.movie_ids.tolist()], bool)
        counts = (liked(history) & is_present)[:, None] & (contributions > 0)
        for column in np.where(counts, contributions, 0).T:
            yield tuple(self._liked(history, row) for row in _first_two(column))

    def _liked(self, history: RatingMatrix, row: int) -> LikedFilm:
        film = self.films[int(history.movie_ids[row])]
        return LikedFilm(film.movie_id, film.title, film.year, round(float(history.values.data[row]), 4))


def reasons_of_means(entries: Iterable[Entry]) -> dict[int, Reason]:
    """Return the reasons for films that are ranked alike for everybody, by movie_id."""
    return {entry.movie_id: Reason((EXPECTED_MEAN if entry.new else EVERYBODY,)) for entry in entries}


def _first_two(values: npt.NDArray[np.floating]) -> list[int]:
    if not len(values):
        return []
    first = int(np.argmax(values))
    others = values.copy()
    others[first] = 0
    second = int(np.argmax(others))
    least = max(_SHARE_OF_FIRST * values[first], np.finfo(np.float32).tiny)
    return [row for row, value in ((first, values[first]), (second, others[second])) if value >= least]


def _largest(parts: Mapping[str, float]) -> tuple[str, ...]:
    """Name the parts that speak for a film, the largest first."""
    most = max(parts.values(), default=0.0)
    ranked = sorted(parts, key=lambda name: -parts[name])
    return tuple(name for name in ranked if parts[name] > 0 and parts[name] >= _SHARE_OF_FIRST * most)
