"""What embeddings are measured by: other posters, series, distorted posters, genres, decades, hubs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from catalog.io.progress import Advance
from catalog.lazy import lazy
from catalog.series import parts_of_series
from features.distortion import KINDS, STRENGTHS
from index import measures
from index.measures import FloatArray
from index.source import FilmFeatures, Ids
from index.vectors import FloatMatrix
from keyart.similarity.evaluation.candidates import Candidate
from keyart.similarity.evaluation.gallery import Gallery, Half, LeftOut, in_half
from keyart.similarity.evaluation.questions import Questions

TaskName = Literal["alternate", "series", "distortion", "genre", "decade", "hubness"]
TASKS: tuple[TaskName, ...] = get_args(TaskName)
N_NEAREST = 10
"""The length of the lists."""


@dataclass(frozen=True)
class Outcome:
    """One measure of one embedding: a value for each question, and what its questions are drawn together with."""

    task: TaskName
    measure: str
    values: FloatArray
    # Empty where a measure is of the whole, which is not resampled.
    groups: Sequence[str] = ()
    distortion: str | None = None
    strength: int | None = None


class View:
    """One embedding of all films, and the list of ten of each."""

    def __init__(self, candidate: Candidate, features: FilmFeatures, advance: Advance) -> None:
        self.candidate = candidate
        self.units: FloatMatrix = candidate.embed_all(features)
        self._advance = advance

    @lazy
    def lists(self) -> Ids:
        """Find the rows of the films nearest to each film, itself left out: (n, 10)."""
        return measures.nearest_rows(self.units, N_NEAREST, self._advance)


class Task(Protocol):
    """Measures an embedding."""

    @property
    def left_out(self) -> Sequence[LeftOut]: ...

    def outcomes(self, view: View) -> Iterator[Outcome]: ...


@dataclass(frozen=True)
class AlternateTask:
    """Find a film by another of its posters."""

    questions: Questions

    @property
    def left_out(self) -> Sequence[LeftOut]:
        return self.questions.left_out

    def outcomes(self, view: View) -> Iterator[Outcome]:
        ranks, groups = _ranks(view, self.questions), self.questions.groups
        yield Outcome("alternate", "MRR", 1 / ranks, groups)
        for k in (1, N_NEAREST):
            yield Outcome("alternate", f"recall@{k}", (ranks <= k).astype(np.float64), groups)


@dataclass(frozen=True)
class DistortionTask:
    """Find a poster again that was distorted."""

    questions: Questions

    @property
    def left_out(self) -> Sequence[LeftOut]:
        return self.questions.left_out

    def outcomes(self, view: View) -> Iterator[Outcome]:
        is_first = (_ranks(view, self.questions) == 1).astype(np.float64)
        kinds = np.array([one.kind for one in self.questions.items])
        strengths = np.array([one.strength for one in self.questions.items])
        groups = np.array(self.questions.groups)
        mildest = strengths <= len(STRENGTHS) // 2
        yield Outcome("distortion", "recall@1, mild", is_first[mildest], groups[mildest].tolist())
        yield Outcome("distortion", "recall@1, all", is_first, groups.tolist())
        for kind in KINDS:
            for strength in STRENGTHS:
                chosen = (kinds == kind) & (strengths == strength)
                if chosen.any():
                    yield Outcome("distortion", "recall@1", is_first[chosen], groups[chosen].tolist(), kind, strength)


def _ranks(view: View, questions: Questions) -> FloatArray:
    queries = view.candidate.embed_rows(questions.features)
    return measures.first_ranks(queries, view.units, questions.targets).astype(np.float64)


@dataclass(frozen=True)
class SeriesTask:
    """Find the other films of a series."""

    rows: Ids
    parts: Sequence[Ids]
    groups: Sequence[str]
    left_out: Sequence[LeftOut] = ()

    @classmethod
    def of(cls, gallery: Gallery, half: Half, seed: int) -> SeriesTask:
        """Find the series among films with features; DataError where there is none."""
        if not gallery.films:
            raise DataError("the titles of the films are not known")
        rows = gallery.rows()
        known = [gallery.films[movie_id] for movie_id in rows if movie_id in gallery.films]
        parts = {
            movie_id: np.array([rows[other] for other in others])
            for movie_id, others in parts_of_series(known).items()
            if gallery.is_in(half, movie_id, seed)
        }
        if not parts:
            raise DataError(
                f"no two films of one series are among the {len(known):,} films whose titles are known{in_half(half)}"
            )
        own = np.array([rows[movie_id] for movie_id in parts])
        return cls(own, list(parts.values()), [gallery.group(movie_id) for movie_id in parts])

    def outcomes(self, view: View) -> Iterator[Outcome]:
        result = measures.recall(view.lists[self.rows], self.parts)
        yield Outcome("series", f"recall@{N_NEAREST}", result, self.groups)
        ranks = measures.first_ranks(view.units[self.rows], view.units, self.parts, self.rows)
        yield Outcome("series", "MRR", 1 / ranks, self.groups)


@dataclass(frozen=True)
class LabelTask:
    """Compare labels of films with those of the first ten, as a multiple of chance."""

    name: Literal["genre", "decade"]
    labels: npt.NDArray[np.bool_]
    rows: Ids
    groups: Sequence[str]
    # Their agreement with all other films, on average.
    chance: float
    left_out: Sequence[LeftOut] = ()

    @classmethod
    def of(cls, name: Literal["genre", "decade"], gallery: Gallery, half: Half, seed: int) -> LabelTask:
        """Collect the genres or decades of the films with features; DataError where none is known or shared."""
        labels_of = _LABELS[name]
        sets = [labels_of(gallery, movie_id) for movie_id in gallery.movie_ids]
        columns = {label: column for column, label in enumerate(sorted({one for labels in sets for one in labels}))}
        labels = np.zeros((len(sets), len(columns)), bool)
        for row, names in enumerate(sets):
            labels[row, [columns[one] for one in names]] = True
        queries = [
            row for row, movie_id in enumerate(gallery.movie_ids) if sets[row] and gallery.is_in(half, movie_id, seed)
        ]
        if not queries:
            raise DataError(f"the {name}s of the films are not known{in_half(half)}")
        rows = np.array(queries)
        chance = float(measures.chance_agreement(labels)[rows].mean())
        if not chance:
            raise DataError(f"no two films have a {name} in common{in_half(half)}")
        return cls(name, labels, rows, [gallery.group(gallery.movie_ids[row]) for row in queries], chance)

    def outcomes(self, view: View) -> Iterator[Outcome]:
        in_lists = measures.agreement(self.labels, view.lists)
        yield Outcome(self.name, "agreement, × chance", in_lists[self.rows] / self.chance, self.groups)


def _genres(gallery: Gallery, movie_id: int) -> tuple[str, ...]:
    film = gallery.films.get(movie_id)
    return film.genres if film else ()


def _decade(gallery: Gallery, movie_id: int) -> tuple[str, ...]:
    film = gallery.films.get(movie_id)
    return (f"{film.year // 10}0s",) if film and film.year else ()


_LABELS: dict[str, Callable[[Gallery, int], tuple[str, ...]]] = {"genre": _genres, "decade": _decade}


@dataclass(frozen=True)
class HubnessTask:
    """Count how unevenly films stand in the lists of others."""

    left_out: Sequence[LeftOut] = ()

    def outcomes(self, view: View) -> Iterator[Outcome]:
        result = measures.hubness(view.lists)
        for name, value in (
            ("skewness", result.skewness),
            ("most lists with one", result.most),
            ("share in no list", result.share_in_none),
        ):
            yield Outcome("hubness", name, np.array([value], np.float64))
