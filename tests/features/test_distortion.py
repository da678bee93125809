"""Distorted posters, and perceptual hashes."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from features.distortion import KINDS, STRENGTHS, Kind, distort, strengths_of
from features.images import decode_image
from features.perceptual_hash import hash_distance, perceptual_hash
from tests.posters.pictures import draw_poster

CASES = [(kind, strength) for kind in KINDS for strength in strengths_of(kind)]


@pytest.fixture
def poster() -> Image.Image:
    # A copy, since an image that was read from a file never equals one that was computed.
    return decode_image(draw_poster(1, size=(182, 268))).copy()


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference of two pictures at the size of a network's input."""
    pixels = [np.asarray(image.convert("RGB").resize((224, 224)), np.float64) for image in (one, other)]
    return float(np.abs(pixels[0] - pixels[1]).mean())


@pytest.mark.parametrize(("kind", "strength"), CASES)
def test_distortions_change_the_picture_and_are_seeded(poster: Image.Image, kind: Kind, strength: int) -> None:
    before = poster.copy()
    distorted = distort(poster, kind, strength, seed=3)
    assert difference(poster, distorted) > 0.3
    assert distorted == distort(poster, kind, strength, seed=3)
    assert poster == before
    assert distorted.mode == "RGB"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mirrored"])
def test_greater_strength_changes_more(kind: Kind) -> None:
    posters = [decode_image(draw_poster(seed, size=(182, 268))) for seed in range(6)]
    means = [
        np.mean([difference(poster, distort(poster, kind, strength, seed)) for seed, poster in enumerate(posters)])
        for strength in STRENGTHS
    ]
    assert means == sorted(means)


def test_mirrored_twice_is_the_poster(poster: Image.Image) -> None:
    assert distort(distort(poster, "mirrored", 1), "mirrored", 1) == poster
    with pytest.raises(ValueError, match="strength"):
        distort(poster, "mirrored", 2)


@pytest.mark.parametrize("size", [(16, 16), (16, 300), (300, 16)])
@pytest.mark.parametrize(("kind", "strength"), CASES)
def test_small_and_gray_pictures_are_distorted_too(kind: Kind, strength: int, size: tuple[int, int]) -> None:
    assert min(distort(Image.new("L", size, 90), kind, strength).size) >= 8


def test_a_perceptual_hash_knows_a_copy_and_no_other_poster(poster: Image.Image) -> None:
    own, other = perceptual_hash(poster), perceptual_hash(decode_image(draw_poster(2)))
    stream = io.BytesIO()
    poster.resize((120, 180)).save(stream, "JPEG", quality=50)
    assert own.shape == (64,)
    assert hash_distance(own, own) == 0
    assert hash_distance(own, perceptual_hash(decode_image(stream.getvalue()))) < 0.1
    assert hash_distance(own, other) > 0.2


def test_distances_agree_with_those_that_others_computed(shared: Path) -> None:
    folder = shared / "data"
    with (folder / "posters-alternate" / "pairs.csv").open() as stream:
        rows = list(csv.DictReader(stream))[:20]
    for row in rows:
        paths = folder / "posters-alternate" / f"{row['movie_id']}.jpg", folder / "posters" / f"{row['imdb_id']}.jpg"
        distance = hash_distance(*(perceptual_hash(decode_image(path)) for path in paths))
        assert distance == pytest.approx(float(row["phash_distance"]), abs=0.05)
