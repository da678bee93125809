"""Pictures whose right answer is known: other posters of a film, and distorted ones."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from catalog.errors import DataError, StoreError
from catalog.film_ids import movie_id_in
from catalog.image_formats import SUFFIXES
from catalog.io.progress import Progress, silent
from catalog.io.tables import read_rows
from features.distortion import KINDS, Kind, distort, strengths_of
from features.images import decode_image
from features.perceptual_hash import hash_distance, perceptual_hash
from features.pipeline import Broken, Computed, Picture
from index.source import Ids
from index.vectors import Matrix
from keyart.similarity.evaluation.gallery import Gallery, Half, LeftOut, left_out
from posters.store import read_shown

MIN_HASH_DISTANCE = 0.15
"""The share of bits of the perceptual hash from which two posters of a film count as different pictures."""


@dataclass(frozen=True)
class Pair:
    """Another poster of a film."""

    movie_id: int
    path: Path


@dataclass(frozen=True)
class Question:
    """A picture of a film; of a distorted one, how it was distorted."""

    movie_id: int
    kind: Kind | None = None
    strength: int | None = None


@dataclass(frozen=True)
class Questions:
    """Features (n, n_features) of pictures, and the rows that each should find first: films with the same poster."""

    items: Sequence[Question]
    features: Matrix
    targets: Sequence[Ids]
    groups: Sequence[str]
    left_out: tuple[LeftOut, ...]


def read_pairs(path: Path) -> list[Pair]:
    """Read pairs from a CSV with movie_id and path, relative to the CSV; without path, 6.jpg beside it is of film 6."""
    folder = path.absolute().parent
    named = None
    pairs = []
    for row in read_rows(path, ("movie_id",), ("path",)):
        movie_id = movie_id_in(row, "movie_id", "a whole number above 0")
        if "path" in row.values:
            if not row["path"]:
                raise row.error("path", "the file of a poster")
            pairs.append(Pair(movie_id, folder / row["path"]))
            continue
        named = named or {one.stem: one for one in sorted(folder.iterdir()) if one.suffix.lower() in SUFFIXES}
        pairs.append(Pair(movie_id, named.get(str(movie_id), folder / f"{movie_id}.jpg")))
    return pairs


def alternate_questions(
    gallery: Gallery, pairs: Iterable[Pair], half: Half = "all", seed: int = 0, progress: Progress = silent
) -> Questions:
    """Compute features of other posters of films with features, except of those that show the same picture."""
    reasons: list[tuple[str, object]] = []
    questions: list[Question] = []
    pictures: list[Picture] = []
    rows, known = gallery.rows(), set()
    for pair in pairs:
        if not gallery.is_in(half, pair.movie_id, seed):
            continue
        again = "the same pair again" if pair in known else None
        known.add(pair)
        if reason := again or _fault(gallery, pair, rows):
            reasons.append((reason, pair.movie_id))
            continue
        pictures.append(Picture(len(questions), pair.path))
        questions.append(Question(pair.movie_id))
    items, features = _computed(gallery, questions, pictures, len(pictures), reasons, progress)
    return _questions(gallery, items, features, left_out("pair", reasons))


def _fault(gallery: Gallery, pair: Pair, rows: dict[int, int]) -> str | None:
    """Return why a pair cannot be asked, if so."""
    if pair.movie_id not in rows:
        return "no features of this film"
    if pair.movie_id not in gallery.posters:
        return "no poster of this film to compare the other one with"
    paths = pair.path, gallery.posters[pair.movie_id]
    if not all(path.exists() for path in paths):
        return "a picture is missing"
    try:
        hashes = [perceptual_hash(decode_image(read_shown(path), str(path))) for path in paths]
    except (DataError, StoreError, OSError):
        return "a picture cannot be read"
    if hash_distance(*hashes) < MIN_HASH_DISTANCE:
        return "both show the same picture, by their perceptual hashes"
    return None


def distorted_questions(
    gallery: Gallery, n_posters: int, half: Half = "all", seed: int = 0, progress: Progress = silent
) -> Questions:
    """Compute features of distorted posters: `n_posters` drawn ones, in every way and strength."""
    rows = gallery.rows()
    candidates = [one for one in gallery.posters if one in rows and gallery.is_in(half, one, seed)]
    rng = np.random.default_rng(seed)
    drawn = rng.choice(sorted(candidates), min(n_posters, len(candidates)), replace=False).tolist()
    ways = [(kind, strength) for kind in KINDS for strength in strengths_of(kind)]
    questions = [Question(movie_id, *way) for movie_id in drawn for way in ways]
    reasons: list[tuple[str, object]] = []
    pictures = _distorted(gallery, questions, seed, reasons)
    items, features = _computed(gallery, questions, pictures, len(questions), reasons, progress)
    return _questions(gallery, items, features, left_out("poster", reasons))


def _distorted(
    gallery: Gallery, questions: Sequence[Question], seed: int, reasons: list[tuple[str, object]]
) -> Iterator[Picture]:
    image, of_film = None, -1
    for number, question in enumerate(questions):
        if question.movie_id != of_film:
            of_film = question.movie_id
            try:
                image = decode_image(read_shown(gallery.posters[of_film]))
            except (DataError, StoreError, OSError):
                image = None
                reasons.append(("it cannot be read", of_film))
        if image is not None and question.kind is not None and question.strength is not None:
            stream = io.BytesIO()
            distorted = distort(image, question.kind, question.strength, seed + of_film)
            distorted.save(stream, "PNG", compress_level=1)
            yield Picture(number, stream.getvalue())


def _computed(
    gallery: Gallery,
    questions: Sequence[Question],
    pictures: Sequence[Picture] | Iterator[Picture],
    n_pictures: int,
    reasons: list[tuple[str, object]],
    progress: Progress,
) -> tuple[list[Question], Matrix]:
    """Compute the features of the questions' pictures; those that cannot be read are added to the reasons."""
    if gallery.encode is None:
        raise DataError("the network that the features are of is not known, so other pictures cannot be compared")
    items: list[Question] = []
    parts: list[Matrix] = []
    with progress("extract", n_pictures, "images") as advance:
        for event in gallery.encode(pictures, n_pictures) if n_pictures else ():
            if isinstance(event, Computed):
                items += [questions[int(row.picture_id)] for row in event.rows]
                parts.append(event.features)
                advance(len(event.rows))
            elif isinstance(event, Broken):
                reasons.append(("a picture cannot be read", questions[int(event.picture_id)].movie_id))
                advance(1)
    features = np.concatenate(parts) if parts else np.empty((0, gallery.features.n_features), np.float16)
    return items, features


def _questions(gallery: Gallery, items: list[Question], features: Matrix, faults: list[LeftOut]) -> Questions:
    rows, copies = gallery.rows(), gallery.copies()
    targets = [copies[rows[one.movie_id]] for one in items]
    return Questions(items, features, targets, [gallery.group(one.movie_id) for one in items], tuple(faults))
