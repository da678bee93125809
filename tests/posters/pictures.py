"""Posters for tests, drawn from a seed."""

from __future__ import annotations

import io
import random
import struct
import zlib

from PIL import Image, ImageDraw


def draw_poster(seed: int = 0, image_format: str = "JPEG", size: tuple[int, int] = (92, 138)) -> bytes:
    """Draw a poster; another seed gives another picture."""
    rng = random.Random(seed)
    image = Image.new("RGB", size, _color(rng))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        corner = (rng.randrange(size[0]), rng.randrange(size[1]))
        draw.ellipse((*corner, corner[0] + size[0] // 2, corner[1] + size[1] // 3), fill=_color(rng))
    stream = io.BytesIO()
    image.save(stream, image_format)
    return stream.getvalue()


def draw_blank(size: tuple[int, int] = (92, 138)) -> bytes:
    """Draw a single color, as some hosts send for a missing image."""
    stream = io.BytesIO()
    Image.new("RGB", size, (219, 219, 219)).save(stream, "JPEG")
    return stream.getvalue()


def declare_png(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes whose header declares any size: a decompression bomb."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _color(rng: random.Random) -> tuple[int, int, int]:
    return rng.randrange(256), rng.randrange(256), rng.randrange(256)
