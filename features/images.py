"""Image files to arrays: what the network's first layer is given, before preprocessing.

May import `catalog` only.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from catalog.errors import DataError

SIDE = 224
_MOST_PIXELS = 89_478_485


class Resize(StrEnum):
    """How a picture of any size becomes 224 × 224; the aspect ratio is not kept either way."""

    ANTIALIAS = "antialias"
    """Bicubic with a low-pass filter as wide as the reduction: every pixel of the poster counts."""

    NEAREST = "nearest"
    """One pixel out of many, as ``keras.utils.load_img`` does: the original article's way."""


_FILTERS = {Resize.ANTIALIAS: Image.Resampling.BICUBIC, Resize.NEAREST: Image.Resampling.NEAREST}


def read_image(path: Path, resize: Resize = Resize.ANTIALIAS) -> tuple[npt.NDArray[np.uint8], tuple[int, int]]:
    """Read a picture for the network.

    Parameters
    ----------
    path : Path
        A JPEG, PNG, WebP or GIF file.
    resize : Resize, default antialias
        How it is brought to 224 × 224.

    Returns
    -------
    pixels : ndarray of shape (224, 224, 3), uint8
        Red, green, blue.
    size : tuple of (int, int)
        Width and height of the file's picture, in pixels.

    Raises
    ------
    DataError
        The file is missing, is no picture, is cut short, or unpacks to an absurd size.
    """
    try:
        with Image.open(path) as image:
            size = image.size
            # Pillow itself refuses only twice this bound, and warns below that.
            if size[0] * size[1] > _MOST_PIXELS:
                raise DataError(f"{path} unpacks to {size[0]} × {size[1]} pixels; expected at most {_MOST_PIXELS:,}")
            image.load()
            # The network sees no transparency, and Pillow warns of the kind that some palettes have.
            image.info.pop("transparency", None)
            resized = image.convert("RGB").resize((SIDE, SIDE), _FILTERS[resize])
    except FileNotFoundError as error:
        raise DataError(f"no such picture: {path}") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{path} is not a picture; expected JPEG, PNG, WebP or GIF") from error
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombWarning,
        Image.DecompressionBombError,
    ) as error:
        raise DataError(f"{path} cannot be decoded: {error}") from error
    return np.asarray(resized, np.uint8), size
