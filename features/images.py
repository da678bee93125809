"""Decode image files to the pixels of a network's input.

Files of all kinds become 8-bit RGB: turned upright as EXIF says, transparent parts on white,
16 bits scaled, the first frame of several.
"""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from catalog.errors import DataError
from catalog.image_formats import MAX_IMAGE_BYTES, NAMED, heif_hint, is_unread_heif, open_image
from catalog.io.files import read_bytes
from features.framing import Framing, Resize

_MOST_PIXELS = 89_478_485
_MOST_OBLONG = 8
_STRIP_HEIGHT = 256


def read_image(
    source: Path | bytes, how: Resize | Framing = Resize.ANTIALIAS, name: str | None = None
) -> tuple[npt.NDArray[np.uint8], tuple[int, int]]:
    """Read a file or its content: RGB pixels (height, width, 3), uint8, and the upright image's width and height.

    By default, and for a `Resize`, they are stretched to 224 × 224. `name` replaces the path in messages.
    """
    upright = decode_image(source, name)
    return framed(upright, how.applied_to(Framing()) if isinstance(how, Resize) else how), upright.size


def framed(upright: Image.Image, framing: Framing) -> npt.NDArray[np.uint8]:
    """Resize an image, and crop or pad it around its center: pixels (height, width, 3)."""
    size = width, height = framing.width, framing.height
    if framing.fit == "crop":
        upright = _without_far_ends(upright)
    scaled = upright.resize(framing.scaled_size(*upright.size), Image.Resampling[framing.filter.upper()])
    if scaled.size != size:
        # Spare pixels of both sides; negative where the picture is smaller.
        left, top = (scaled.width - width) // 2, (scaled.height - height) // 2
        canvas = Image.new("RGB", size, (framing.fill,) * 3)
        canvas.paste(scaled, (-left, -top))
        scaled = canvas
    return np.asarray(scaled, np.uint8)


def _without_far_ends(upright: Image.Image) -> Image.Image:
    """Cut the ends of a picture that is so long that it would be enlarged beyond memory before it is cropped."""
    width, height = (min(side, _MOST_OBLONG * min(upright.size)) for side in upright.size)
    left, top = (upright.width - width) // 2, (upright.height - height) // 2
    return upright.crop((left, top, left + width, top + height))


def decode_image(source: Path | bytes, name: str | None = None) -> Image.Image:
    """Decode a file or its content as people see it: upright, 8-bit RGB, transparent parts white."""
    name = name or ("this" if isinstance(source, bytes) else str(source))
    try:
        content = source if isinstance(source, bytes) else read_bytes(source, MAX_IMAGE_BYTES)
        with open_image(io.BytesIO(content)) as image:
            _check_size(image, name)
            image.load()
            return _as_rgb(_turned_upright(image))
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"no such picture: {name}") from error
    except UnidentifiedImageError as error:
        hint = f"; {heif_hint()}" if is_unread_heif(content) else ""
        raise DataError(f"{name} is not a picture; expected {NAMED}{hint}") from error
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
        # A copy of a large image takes a hundred megabytes.
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Pillow would clip 16 bits to 255, that is to white.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """Lay an image on white, a strip at a time: whole, it would be held four times over."""
    canvas = Image.new("RGB", image.size)
    for top in range(0, image.height, _STRIP_HEIGHT):
        bottom = min(top + _STRIP_HEIGHT, image.height)
        layer = image.crop((0, top, image.width, bottom)).convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        canvas.paste(Image.alpha_composite(white, layer).convert("RGB"), (0, top))
    return canvas
