"""Validate poster files by decoding them completely, whatever their name or content type.

A response with status 200 may be a login page, half a JPEG or a single pixel, and a folder may hold a text file named
``.jpg``.
"""

from __future__ import annotations

import hashlib
import io
import threading
from contextlib import nullcontext
from dataclasses import dataclass

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
    if not content:
        raise DataError("expected an image, received an empty file")
    if len(content) > MAX_POSTER_BYTES:
        raise DataError(too_many_bytes(len(content)))
    # Some decoders allocate their memory when the file is opened.
    with nullcontext() if content.startswith(_JPEG) else _LARGE:
        suffix, width, height = _decoded(content)
    return ImageFacts(suffix, width, height, len(content), hashlib.sha256(content).hexdigest())


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
