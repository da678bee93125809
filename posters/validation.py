"""The truth of a poster's bytes: an image counts once it has been decoded completely.

A 200 can carry a login page, half a JPEG or a single pixel, and a folder can hold a text file named ``.jpg``. What
an image is called or said to be plays no part here, only what Pillow makes of it. May import `catalog` only.
"""

from __future__ import annotations

import hashlib
import io
import threading
from contextlib import nullcontext
from dataclasses import dataclass

from PIL import Image

from catalog.errors import DataError

MAX_POSTER_BYTES = 64 << 20
"""A file larger than this is not read: the largest posters have a tenth of it."""

MAX_POSTER_PIXELS = 25_000_000
"""What is decoded at most: TMDB's largest have 6 million. A PNG of this many takes 100 MB while it is decoded."""

MIN_POSTER_SIDE = 16
"""Pixels; a placeholder has 1, the smallest thumbnails have about 45."""

# What may take much memory waits for its turn, or the threads of a fetch would fill it together. A JPEG's pixels are
# decoded at an eighth of its size, but a progressive one is held whole before that.
_TURNS = threading.BoundedSemaphore(2)
_SMALL_JPEG_PIXELS = 4_000_000
_JPEG = b"\xff\xd8"

# Of 256 levels, in averages of 8 by 8 pixels: what noise and compression leave of one color. It must stay small, or a
# dark line of letters on black would be taken for noise.
_EVEN = 5
_BLOCK = 8

# MPO is a JPEG with a second picture behind the first; some cameras and scanners write posters so.
_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif"}
_READABLE = ("JPEG", "PNG", "WEBP", "GIF")


@dataclass(frozen=True)
class ImageFacts:
    """What decoding tells of an image."""

    suffix: str
    width: int
    height: int
    n_bytes: int
    sha256: str


def verify_image(content: bytes) -> ImageFacts:
    """Decode an image completely, and tell what it is."""
    if not content:
        raise DataError("expected an image, received an empty file")
    if len(content) > MAX_POSTER_BYTES:
        raise DataError(too_many_bytes(len(content)))
    # Some decoders take their memory when the file is opened already.
    with nullcontext() if content.startswith(_JPEG) else _TURNS:
        suffix, width, height = _decoded(content)
    return ImageFacts(suffix, width, height, len(content), hashlib.sha256(content).hexdigest())


def too_many_bytes(n_bytes: int) -> str:
    """Word that a file is too large to be read."""
    return f"expected a poster of at most {MAX_POSTER_BYTES >> 20} MiB, received {n_bytes / (1 << 20):.0f} MiB"


def _decoded(content: bytes) -> tuple[str, int, int]:
    with _opened(content) as image:
        width, height = image.size
        _check_size(width, height)
        suffix = _SUFFIXES[image.format or "JPEG"]
        # A JPEG is read to its end at any scale, and an eighth of it in gray shows damage as well for half the time.
        image.draft("L", (width // _BLOCK, height // _BLOCK))
        large = content.startswith(_JPEG) and width * height > _SMALL_JPEG_PIXELS
        with _TURNS if large else nullcontext():
            _decode(image)
        # The draft of a JPEG is averaged already.
        _check_contents(image if image.size != (width, height) else _averaged(image))
    return suffix, width, height


def _opened(content: bytes) -> Image.Image:
    """Read an image's header; its pixels stay undecoded."""
    try:
        return Image.open(io.BytesIO(content), formats=_READABLE)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(_bomb()) from error
    except Exception as error:  # a decoder may raise anything when it is fed just anything
        raise DataError(f"expected a JPEG, PNG, WebP or GIF image, received {_kind(content)}") from error


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_POSTER_PIXELS:
        raise DataError(_bomb())
    if min(width, height) < MIN_POSTER_SIDE:
        raise DataError(
            f"expected a poster of at least {MIN_POSTER_SIDE} pixels on each side, "
            f"received {width} x {height}: a placeholder"
        )


def _check_contents(image: Image.Image) -> None:
    """Refuse a picture of nothing, as it is sent where there is no picture."""
    extrema = image.getextrema()
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    if all(highest - lowest <= _EVEN for lowest, highest in bands):
        raise DataError("expected a poster, received one color all over: a placeholder")


def _averaged(image: Image.Image) -> Image.Image:
    if image.mode in ("1", "P"):
        # Neighbors in a palette need not be alike.
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
    """Name what stands in an image's place, as far as its first bytes tell."""
    beginning = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if beginning.startswith((b"<!doctype", b"<html")):
        return "a web page"
    try:
        beginning.decode("ascii")
    except UnicodeDecodeError:
        return "something else"
    return "something else" if b"\0" in beginning else "a text file"
