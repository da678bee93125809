from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from features.framing import Framing, Resize
from features.images import framed


def _poster(width: int, height: int) -> Image.Image:
    """Draw a picture whose red is its column and whose green is its row, both from 0 to 255."""
    down, across = np.mgrid[:height, :width]
    planes = [255 * across / max(width - 1, 1), 255 * down / max(height - 1, 1), np.full(down.shape, 9)]
    return Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))


@pytest.mark.parametrize(
    ("framing", "size", "scaled"),
    [
        (Framing(), (100, 150), (224, 224)),
        (Framing(64, 32), (100, 150), (32, 64)),
        (Framing(fit="crop"), (100, 150), (224, 336)),
        (Framing(fit="crop"), (333, 100), (745, 224)),
        (Framing(fit="crop", edge=256), (100, 150), (256, 384)),
        (Framing(fit="crop"), (50, 50), (224, 224)),
        (Framing(64, 32, fit="crop"), (100, 150), (42, 64)),
        (Framing(fit="pad"), (100, 150), (149, 224)),
        (Framing(fit="pad"), (150, 100), (224, 149)),
        (Framing(fit="stretch", edge=256), (100, 150), (256, 256)),
        (Framing(fit="pad"), (1, 3000), (1, 224)),
    ],
)
def test_pictures_are_scaled_as_libraries_do(framing: Framing, size: tuple[int, int], scaled: tuple[int, int]) -> None:
    assert framing.scaled_size(*size) == scaled
    pixels = framed(_poster(*size), framing)
    assert (pixels.shape, pixels.dtype) == (framing.shape, np.uint8)


def test_a_crop_keeps_the_center() -> None:
    pixels = framed(_poster(200, 300), Framing(100, 100, fit="crop")).astype(int)
    # All columns, and the middle two thirds of the rows.
    assert (pixels[50, 0, 0], pixels[50, -1, 0]) == (pytest.approx(0, abs=2), pytest.approx(255, abs=2))
    assert (pixels[0, 50, 1], pixels[-1, 50, 1]) == (pytest.approx(255 / 6, abs=3), pytest.approx(255 * 5 / 6, abs=3))


def test_a_margin_is_cut_on_all_sides() -> None:
    pixels = framed(_poster(200, 200), Framing(100, 100, edge=125))
    assert pixels[50, 0, 0] == pytest.approx(25, abs=3)
    assert pixels[0, 50, 1] == pytest.approx(25, abs=3)


def test_padding_is_even_and_gray() -> None:
    pixels = framed(_poster(100, 200), Framing(100, 100, fit="pad", fill=77))
    assert (pixels[:, :25] == 77).all()
    assert (pixels[:, 75:] == 77).all()
    assert (pixels[:, 25:75, 2] == 9).all()


def test_a_long_picture_is_not_enlarged_beyond_memory() -> None:
    assert framed(_poster(1, 30_000), Framing(fit="crop")).shape == (224, 224, 3)


def test_nearest_replaces_the_filter() -> None:
    framing = Framing(64, 64, "crop", filter="lanczos")
    assert Resize.NEAREST.applied_to(framing).filter == "nearest"
    assert Resize.ANTIALIAS.applied_to(framing) == framing
