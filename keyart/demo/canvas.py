"""A sheet to draw a poster on: measured in poster pixels, drawn larger, made smaller once at the end.

Drawing at twice the size and averaging down gives smooth edges, which Pillow's own drawing does not. Colors are
hexadecimal text, ``"#rrggbb"``, or ``"#rrggbbaa"`` where a shape shall let through what lies below it. May import
`keyart.demo.shapes` only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFilter

from keyart.demo.shapes import Point

WIDTH = 342
HEIGHT = 513
SCALE = 2
# Type stays this far from the edge of the sheet.
MARGIN = 8.0

Box = tuple[float, float, float, float]
Stops = Sequence[tuple[float, str]]


class Canvas:
    """A poster in the making."""

    def __init__(self, paper: str) -> None:
        self.image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), paper)
        self.lettered: list[Box] = []
        # "RGBA" on an RGB image: a color's fourth pair is its opacity.
        self._draw = ImageDraw.Draw(self.image, "RGBA")

    def polygon(self, points: Sequence[Point], fill: str) -> None:
        """Fill a polygon."""
        self._draw.polygon(_scaled(points), fill=fill)

    def rectangle(self, box: Box, fill: str) -> None:
        """Fill an upright rectangle."""
        left, top, right, bottom = box
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], fill)

    def ellipse(self, x: float, y: float, radius_x: float, radius_y: float, fill: str) -> None:
        """Fill an ellipse."""
        self._draw.ellipse(_bounds(x, y, radius_x, radius_y), fill=fill)

    def disc(self, x: float, y: float, radius: float, fill: str) -> None:
        """Fill a circle."""
        self.ellipse(x, y, radius, radius, fill)

    def arc(self, x: float, y: float, radius: float, angles: Point, width: float, fill: str) -> None:
        """Draw a part of a circle's line."""
        self._draw.arc(_bounds(x, y, radius, radius), *angles, fill=fill, width=max(1, round(width * SCALE)))

    def line(self, points: Sequence[Point], width: float, fill: str) -> None:
        """Draw a line with rounded joints."""
        self._draw.line(_scaled(points), fill=fill, width=max(1, round(width * SCALE)), joint="curve")

    def wash(self, stops: Stops, top: float = 0.0, bottom: float = HEIGHT) -> None:
        """Lay a gradient over the whole breadth of the sheet."""
        first, last = round(top * SCALE), round(bottom * SCALE)
        places = [place for place, _ in stops]
        colors = np.array([ImageColor.getrgb(color)[:3] for _, color in stops], dtype=float)
        heights = np.linspace(0, 1, last - first)
        column = np.stack([np.interp(heights, places, channel) for channel in colors.T], axis=1)
        # Half a level of fixed noise: without it the wide bands of a slow gradient show.
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, (last - first, WIDTH * SCALE, 1))
        self.image.paste(_image(column[:, None, :] + noise), (0, first))

    def glow(self, x: float, y: float, radius: float, fill: str, strength: float = 1.0) -> None:
        """Let a light shine from a point."""
        side = round(2 * radius * SCALE)
        away = np.linspace(-1, 1, side) ** 2
        light = np.clip(1 - np.sqrt(away[:, None] + away[None, :]), 0, 1) ** 2 * strength * 255
        corner = (round((x - radius) * SCALE), round((y - radius) * SCALE))
        self.image.paste(_solid((side, side), fill), corner, Image.fromarray(light.astype(np.uint8)))

    def sphere(
        self, x: float, y: float, radius: float, lit: str, dark: str, light: Point, ambient: float = 0.45
    ) -> None:
        """Draw a ball that is lit from one side."""
        side = round(2 * radius * SCALE)
        across = np.linspace(-1, 1, side)
        towards = np.sqrt(np.clip(1 - across[:, None] ** 2 - across[None, :] ** 2, 0, 1))
        lambert = across[None, :] * light[0] + across[:, None] * light[1] + ambient * towards
        bright = np.clip(lambert, 0, 1)[:, :, None] ** 0.8
        low, high = (np.array(ImageColor.getrgb(color)[:3]) for color in (dark, lit))
        mask = Image.new("L", (side, side))
        ImageDraw.Draw(mask).ellipse((0, 0, side - 1, side - 1), fill=255)
        corner = (round((x - radius) * SCALE), round((y - radius) * SCALE))
        self.image.paste(_image(low + (high - low) * bright), corner, mask)

    def haze(self, points: Sequence[Point], fill: str, softness: float, strength: float = 1.0) -> None:
        """Fill a polygon with soft edges."""
        mask = Image.new("L", self.image.size)
        ImageDraw.Draw(mask).polygon(_scaled(points), fill=round(255 * strength))
        mask = mask.filter(ImageFilter.GaussianBlur(softness * SCALE))
        self.image.paste(_solid(self.image.size, fill), (0, 0), mask)

    def letter(self, type_: Image.Image, left: float, top: float, fill: str) -> None:
        """Print type."""
        width, height = type_.width / SCALE, type_.height / SCALE
        box = (left, top, left + width, top + height)
        # Half a pixel of grace: masks have whole pixels, places do not.
        if min(box[0], box[1], WIDTH - box[2], HEIGHT - box[3]) < MARGIN - 0.5:
            raise ValueError(f"type at {box} leaves less than {MARGIN} to the edge of a {WIDTH} x {HEIGHT} sheet")
        self.lettered.append(box)
        corner = (round(left * SCALE), round(top * SCALE))
        self.image.paste(_solid(type_.size, fill), corner, type_)

    def center(self, type_: Image.Image, top: float, fill: str) -> None:
        """Print type in the middle of the sheet's breadth."""
        self.letter(type_, (WIDTH - type_.width / SCALE) / 2, top, fill)

    def mirror(self) -> None:
        """Turn what has been drawn so far left to right; do it before any type is printed."""
        self.image.paste(self.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))

    def roughen(self, rng: np.random.Generator, amount: float) -> None:
        """Strew the grain of film or of paper over the whole sheet."""
        grain = rng.standard_normal((HEIGHT * SCALE, WIDTH * SCALE, 1), dtype=np.float32) * amount
        self.image.paste(_image(np.asarray(self.image) + grain))

    def finished(self) -> Image.Image:
        """Make the poster from the sheet."""
        return self.image.reduce(SCALE)


def mix(first: str, second: str, share: float) -> str:
    """Mix two colors."""
    pairs = zip(ImageColor.getrgb(first)[:3], ImageColor.getrgb(second)[:3], strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _scaled(points: Sequence[Point]) -> list[Point]:
    return [(x * SCALE, y * SCALE) for x, y in points]


def _bounds(x: float, y: float, radius_x: float, radius_y: float) -> Box:
    return ((x - radius_x) * SCALE, (y - radius_y) * SCALE, (x + radius_x) * SCALE, (y + radius_y) * SCALE)


def _image(levels: NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(np.clip(levels + 0.5, 0, 255).astype(np.uint8))


def _solid(size: tuple[int, int], fill: str) -> Image.Image:
    return Image.new("RGB", size, fill)
