"""Decode image files to the pixels of a network's input.

JPEG, PNG, WebP and GIF files of all kinds become 8-bit RGB: turned upright as EXIF says, transparent parts on white,
16 bits scaled, the first frame of several.
"""

from __future__ import annotations

import io
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from catalog.errors import DataError

SIDE = 224
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif"})
"""The suffixes of image files, in lower case."""

# Pillow reads many more formats, some by starting other programs, which an uploaded file must not choose.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_MOST_PIXELS = 89_478_485


class Resize(StrEnum):
    """How an image of any size becomes 224 × 224; the aspect ratio is not kept."""

    ANTIALIAS = "antialias"
    """Bicubic with a low-pass filter as wide as the reduction: every pixel of the poster counts."""

    NEAREST = "nearest"
    """One pixel out of many, as in ``keras.utils.load_img`` and the original article."""


_FILTERS = {Resize.ANTIALIAS: Image.Resampling.BICUBIC, Resize.NEAREST: Image.Resampling.NEAREST}


def read_image(
    source: Path | bytes, resize: Resize = Resize.ANTIALIAS, name: str | None = None
) -> tuple[npt.NDArray[np.uint8], tuple[int, int]]:
    """Read a file or its content: RGB pixels (224, 224, 3), uint8, and the upright image's width and height.

    `name` replaces the path in messages.
    """
    upright = decode_image(source, name)
    return np.asarray(upright.resize((SIDE, SIDE), _FILTERS[resize]), np.uint8), upright.size


def decode_image(source: Path | bytes, name: str | None = None) -> Image.Image:
    """Decode a file or its content as people see it: upright, 8-bit RGB, transparent parts white."""
    name = name or ("this" if isinstance(source, bytes) else str(source))
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=_FORMATS) as image:
            _check_size(image, name)
            image.load()
            return _as_rgb(_turned_upright(image))
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"no such picture: {name}") from error
    except IsADirectoryError as error:
        raise DataError(f"{name} is a folder; name an image: JPEG, PNG, WebP or GIF") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{name} is not a picture; expected JPEG, PNG, WebP or GIF") from error
    except Exception as error:
        # Pillow's decoders raise almost anything for a damaged file: OSError, ValueError, SyntaxError,
        # struct.error, EOFError, IndexError, MemoryError and its own bomb warnings have all been seen.
        raise DataError(f"{name} cannot be decoded: {error or type(error).__name__}") from error


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    # Pillow itself refuses only twice this bound, and warns below that.
    if width * height > _MOST_PIXELS:
        raise DataError(f"{name} unpacks to {width} × {height} pixels; expected at most {_MOST_PIXELS:,}")


def _turned_upright(image: Image.Image) -> Image.Image:
    # The image may be valid even if its EXIF block is damaged.
    with suppress(Exception):
        return ImageOps.exif_transpose(image)
    return image


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Pillow would clip 16 bits to 255, that is to white.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")
