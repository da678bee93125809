"""Validate poster files by decoding them completely, whatever their name or content type.

A response with status 200 may be a login page, half a JPEG or a single pixel, and a folder may hold a text file named
``.jpg``.
"""

from __future__ import annotations

import hashlib
import io
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from catalog.errors import DataError
from catalog.image_formats import (
    MAX_IMAGE_BYTES,
    NAMED,
    SUFFIX_BY_FORMAT,
    heif_hint,
    is_unread_heif,
    open_image,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_POSTER_BYTES = MAX_IMAGE_BYTES
"""Larger files are not read; the largest posters have a tenth of it."""

MAX_POSTER_PIXELS = 25_000_000
"""Larger images are not decoded; TMDB's largest have 6 million. Decoding a PNG of this many takes 100 MB."""

MIN_POSTER_SIDE = 16
"""In pixels; a placeholder has 1, the smallest thumbnails have about 45."""

# Limits the images decoded at a time that may take much memory. A JPEG is decoded at an eighth of its size, but a
# progressive one is held whole before that.
_LARGE = threading.BoundedSemaphore(2)
_SMALL_JPEG_PIXELS = 4_000_000
_JPEG = b"\xff\xd8"

# Of 256 levels, in averages of 8 by 8 pixels: the variation that noise and compression leave of a single color. It has
# to stay small, or a dark line of letters on black would pass for noise.
_MAX_NOISE = 5
_BLOCK = 8
# Of pixels as networks take them, 224 a side or more: in images of this side or more, a cell covers more than a block.
# What varies by so many levels between cells varies by more than noise between blocks, however it was resized.
_CELL, _SMALLEST_TO_TELL, _SURELY_VARIED = 32, 64, 4 * _MAX_NOISE


@dataclass(frozen=True)
class ImageFacts:
    """Format, size and checksum of an image; `suffix` is by content, such as ``.jpg``."""

    suffix: str
    width: int
    height: int
    n_bytes: int
    sha256: str


def verify_image(content: bytes) -> ImageFacts:
    """Decode an image completely; DataError, with a bare reason, if it is invalid or no poster."""
    with _memory_to_open(content):
        suffix, width, height = _decoded(content)
    return ImageFacts(suffix, width, height, len(content), hashlib.sha256(content).hexdigest())


def verify_header(content: bytes) -> tuple[int, int]:
    """Return the width and height of an image; DataError where `verify_image` need not decode it to refuse it."""
    with _memory_to_open(content), _opened(content) as image:
        _check_size(*image.size)
        return image.size


def is_surely_varied(pixels: npt.NDArray[np.uint8], size: tuple[int, int]) -> bool:
    """Return whether `verify_image` would find more than one color, by pixels that were made of an image of this size.

    Their shape is (height, width, 3). False means that it has to look.
    """
    rows, columns = (side // _CELL for side in pixels.shape[:2])
    if min(size) < _SMALLEST_TO_TELL or not rows or not columns:
        return False
    # Whole cells, which are larger than the blocks that `verify_image` averages.
    cells = Image.fromarray(pixels).reduce(_CELL).crop((0, 0, columns, rows))
    lowest, highest = cells.convert("L").getextrema()
    return int(highest) - int(lowest) > _SURELY_VARIED  # type: ignore[arg-type]  # of one band


def _memory_to_open(content: bytes) -> AbstractContextManager[object]:
    """Wait for the memory to open a file; DataError where it is empty or too large."""
    if not content:
        raise DataError("expected an image, received an empty file")
    if len(content) > MAX_POSTER_BYTES:
        raise DataError(too_many_bytes(len(content)))
    # Some decoders allocate their memory when the file is opened.
    return nullcontext() if content.startswith(_JPEG) else _LARGE


def too_many_bytes(n_bytes: int) -> str:
    """Return the reason for rejecting a file by its size."""
    return f"expected a poster of at most {MAX_POSTER_BYTES >> 20} MiB, received {n_bytes / (1 << 20):.0f} MiB"


def _decoded(content: bytes) -> tuple[str, int, int]:
    with _opened(content) as image:
        width, height = image.size
        _check_size(width, height)
        suffix = SUFFIX_BY_FORMAT[image.format or "JPEG"]
        # At any scale a JPEG is read to its end; an eighth in gray reveals damage in half the time.
        image.draft("L", (width // _BLOCK, height // _BLOCK))
        large = content.startswith(_JPEG) and width * height > _SMALL_JPEG_PIXELS
        with _LARGE if large else nullcontext():
            _decode(image)
        # A JPEG at an eighth of its size is averaged already.
        _check_contents(image if image.size != (width, height) else _averaged(image))
    return suffix, width, height


def _opened(content: bytes) -> Image.Image:
    """Read an image's header without decoding pixels."""
    try:
        return open_image(io.BytesIO(content))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(_bomb()) from error
    except Exception as error:  # decoders raise all kinds of exceptions for invalid data
        raise DataError(f"expected an image ({NAMED}), received {_kind(content)}") from error


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_POSTER_PIXELS:
        raise DataError(_bomb())
    if min(width, height) < MIN_POSTER_SIDE:
        raise DataError(
            f"expected a poster of at least {MIN_POSTER_SIDE} pixels on each side, "
            f"received {width} x {height}: a placeholder"
        )


def _check_contents(image: Image.Image) -> None:
    """Refuse a picture of a single color, which servers send as a placeholder."""
    extrema = image.getextrema()
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    if all(highest - lowest <= _MAX_NOISE for lowest, highest in bands):
        raise DataError("expected a poster, received one color all over: a placeholder")


def _averaged(image: Image.Image) -> Image.Image:
    if image.mode in ("1", "P"):
        # Averages of palette indices mean nothing.
        image = image.convert("RGBA")
    return image if image.mode.startswith("I;16") else image.reduce(_BLOCK)


def _decode(image: Image.Image) -> None:
    try:
        image.load()
    except Exception as error:  # as above
        raise DataError(f"expected a whole image, received one that is cut off or damaged ({error})") from error


def _bomb() -> str:
    return f"expected at most {MAX_POSTER_PIXELS // 1_000_000} million pixels, received a decompression bomb"


def _kind(content: bytes) -> str:
    """Describe what is not an image, by its first bytes."""
    if is_unread_heif(content):
        return f"a HEIC image; {heif_hint()}"
    beginning = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if beginning.startswith((b"<!doctype", b"<html")):
        return "a web page"
    try:
        beginning.decode("ascii")
    except UnicodeDecodeError:
        return "something else"
    return "something else" if b"\0" in beginning else "a text file"
