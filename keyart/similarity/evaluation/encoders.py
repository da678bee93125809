"""Several encoders on the same questions: films that all have, features side by side, and blends of encoders."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import islice

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from features.pipeline import Broken, Computed, Known, Picture
from features.shards import PictureId, Row
from index.source import FilmFeatures, Ids
from index.vectors import FloatMatrix, Matrix
from keyart.similarity.evaluation.candidates import Candidate, MapShape, fit_candidate
from keyart.similarity.evaluation.gallery import Encode, Gallery, LeftOut, workspace_gallery
from keyart.workspace.encoders import name_of
from keyart.workspace.layout import Workspace
from keyart.workspace.steps import more_feature_steps

# Distorted posters are made one by one, and each encoder takes all of these.
_CHUNK_PICTURES = 64


@dataclass(frozen=True)
class EncoderColumns:
    """The features of one encoder, the shape of the map that a row is, and which columns of all features they are."""

    features: FilmFeatures
    map_shape: MapShape | None
    columns: slice


class SideBySide(FilmFeatures):
    """The features of the same films by several encoders, as the columns of one table; nothing is copied."""

    def __init__(self, parts: Sequence[FilmFeatures]) -> None:
        fields = {name: getattr(parts[0], name) for name in FilmFeatures.__dataclass_fields__}
        for name, value in {**fields, "parts": tuple(parts)}.items():
            object.__setattr__(self, name, value)

    parts: tuple[FilmFeatures, ...]

    @property
    def n_features(self) -> int:
        """The number of columns of all encoders together."""
        return sum(part.n_features for part in self.parts)

    def row(self, number: int) -> npt.NDArray[np.floating]:
        """Copy one film's features."""
        return np.concatenate([part.row(number) for part in self.parts])

    def read(self, numbers: Ids) -> npt.NDArray[np.floating]:
        """Copy films' features."""
        return np.concatenate([part.read(numbers) for part in self.parts], axis=1)

    def take(self, numbers: Ids) -> SideBySide:
        """Select films."""
        return SideBySide([part.take(numbers) for part in self.parts])


def encoders_gallery(views: Sequence[Workspace]) -> tuple[Gallery, dict[str, EncoderColumns]]:
    """Open the films whose features are current by all of several encoders; also the columns of each, by its name."""
    galleries = {name_of(view): workspace_gallery(view) for view in views}
    movie_ids = reduce(np.intersect1d, (one.features.movie_ids for one in galleries.values()))
    if len(movie_ids) < 2:
        raise DataError(
            f"look-alikes need two films with features by each of {', '.join(galleries)}, received {len(movie_ids)}; "
            f"run {more_feature_steps(views[0])}"
        )
    columns: dict[str, EncoderColumns] = {}
    start = 0
    for name, one in galleries.items():
        features = one.features.take(np.flatnonzero(np.isin(one.features.movie_ids, movie_ids)))
        end = start + features.n_features
        columns[name] = EncoderColumns(features, one.map_shape, slice(start, end))
        start = end
    first = next(iter(galleries.values()))
    encodes = [one.encode for one in galleries.values() if one.encode is not None]
    left_out = (*(one for gallery in galleries.values() for one in gallery.left_out), *_lacking(galleries, movie_ids))
    features = SideBySide([one.features for one in columns.values()])
    return Gallery(features, first.films, first.posters, _encode_by_all(encodes), left_out), columns


def blended_candidate(name: str, wanted: str | Candidate, parts: Sequence[EncoderColumns]) -> Candidate:
    """Fit an embedding to the features of each of some encoders: its cosines are the mean of theirs."""
    fitted = [(part.columns, fit_candidate(wanted, part.features, part.map_shape)) for part in parts]

    def embed(features: Matrix) -> FloatMatrix:
        units = [candidate.embed_rows(features[:, columns]) for columns, candidate in fitted]
        return np.concatenate(units, axis=1) / np.float32(math.sqrt(len(units)))

    return Candidate(name, embed, is_blend=len(fitted) > 1)


def _lacking(galleries: Mapping[str, Gallery], shared: Ids) -> Iterator[LeftOut]:
    for name, one in galleries.items():
        if len(alone := np.setdiff1d(one.features.movie_ids, shared)):
            yield LeftOut("film", f"{name} has its features, but not all encoders do", tuple(map(str, alone.tolist())))


def _encode_by_all(encodes: Sequence[Encode]) -> Encode:
    def encode(pictures: Sequence[Picture] | Iterator[Picture], n_pictures: int) -> Iterator[Computed | Known | Broken]:
        rest = iter(pictures)
        while chunk := list(islice(rest, _CHUNK_PICTURES)):
            yield from _joined([one(chunk, n_pictures) for one in encodes])

    return encode


def _joined(events: Sequence[Iterable[Computed | Known | Broken]]) -> Iterator[Computed | Broken]:
    """Join what several encoders computed of the same pictures."""
    rows: dict[PictureId, Row] = {}
    features: dict[PictureId, list[npt.NDArray[np.float16]]] = {}
    broken: dict[PictureId, Broken] = {}
    for one in events:
        for event in one:
            if isinstance(event, Broken):
                broken[event.picture_id] = event
            elif isinstance(event, Computed):
                for row, own in zip(event.rows, event.features, strict=True):
                    rows[row.picture_id] = row
                    features.setdefault(row.picture_id, []).append(own)
    yield from broken.values()
    if whole := [picture_id for picture_id in features if picture_id not in broken]:
        joined = np.stack([np.concatenate(features[picture_id]) for picture_id in whole])
        yield Computed(tuple(rows[picture_id] for picture_id in whole), joined)
