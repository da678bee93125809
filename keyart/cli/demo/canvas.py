"""A canvas for one poster: drawn at twice its size and averaged down, for smooth edges.

Coordinates and lengths are in poster pixels. Colors are ``"#rrggbb"``, or ``"#rrggbbaa"`` with opacity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFilter

from keyart.cli.demo.shapes import Point

WIDTH = 342
HEIGHT = 513
SCALE = 2
# Least distance of type to the edge.
MARGIN = 8.0

Box = tuple[float, float, float, float]
Stops = Sequence[tuple[float, str]]


class Canvas:
    """A poster being drawn; `type_boxes` has the left, top, right and bottom of all type."""

    def __init__(self, paper: str) -> None:
        self.image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), paper)
        self.type_boxes: list[Box] = []
        # "RGBA" on an RGB image draws with opacity.
        self._draw = ImageDraw.Draw(self.image, "RGBA")

    def polygon(self, points: Sequence[Point], fill: str) -> None:
        self._draw.polygon(_scaled(points), fill=fill)

    def rectangle(self, box: Box, fill: str) -> None:
        """Fill a rectangle of left, top, right and bottom."""
        left, top, right, bottom = box
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], fill)

    def ellipse(self, x: float, y: float, radius_x: float, radius_y: float, fill: str) -> None:
        self._draw.ellipse(_bounds(x, y, radius_x, radius_y), fill=fill)

    def disc(self, x: float, y: float, radius: float, fill: str) -> None:
        self.ellipse(x, y, radius, radius, fill)

    def arc(self, x: float, y: float, radius: float, angles: Point, width: float, fill: str) -> None:
        """Draw part of a circle's outline, inside `radius`; angles in degrees, clockwise from three o'clock."""
        self._draw.arc(_bounds(x, y, radius, radius), *angles, fill=fill, width=max(1, round(width * SCALE)))

    def line(self, points: Sequence[Point], width: float, fill: str) -> None:
        """Draw a line with rounded joints."""
        self._draw.line(_scaled(points), fill=fill, width=max(1, round(width * SCALE)), joint="curve")

    def wash(self, stops: Stops, top: float = 0.0, bottom: float = HEIGHT) -> None:
        """Fill the whole width with a gradient; a stop is a position from 0 (top) to 1 (bottom) and a color."""
        first, last = round(top * SCALE), round(bottom * SCALE)
        positions = [position for position, _ in stops]
        colors = np.array([ImageColor.getrgb(color)[:3] for _, color in stops], dtype=float)
        heights = np.linspace(0, 1, last - first)
        column = np.stack([np.interp(heights, positions, channel) for channel in colors.T], axis=1)
        # Fixed noise of half a level hides the bands of a slow gradient.
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, (last - first, WIDTH * SCALE, 1))
        self.image.paste(_image(column[:, None, :] + noise), (0, first))

    def glow(self, x: float, y: float, radius: float, fill: str, strength: float = 1.0) -> None:
        """Draw a light at a point; `strength` is its opacity at the center, at most 1."""
        side = round(2 * radius * SCALE)
        away = np.linspace(-1, 1, side) ** 2
        light = np.clip(1 - np.sqrt(away[:, None] + away[None, :]), 0, 1) ** 2 * strength * 255
        corner = (round((x - radius) * SCALE), round((y - radius) * SCALE))
        self.image.paste(_solid((side, side), fill), corner, Image.fromarray(light.astype(np.uint8)))

    def sphere(
        self, x: float, y: float, radius: float, lit: str, dark: str, light: Point, ambient: float = 0.45
    ) -> None:
        """Draw a ball lit from the direction `light`, plus `ambient` light from the front."""
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
        """Fill a polygon with edges blurred over `softness` pixels; `strength` is its opacity, at most 1."""
        mask = Image.new("L", self.image.size)
        ImageDraw.Draw(mask).polygon(_scaled(points), fill=round(255 * strength))
        mask = mask.filter(ImageFilter.GaussianBlur(softness * SCALE))
        self.image.paste(_solid(self.image.size, fill), (0, 0), mask)

    def letter(self, type_: Image.Image, left: float, top: float, fill: str) -> None:
        """Print a mask made by `keyart.cli.demo.lettering`; raise ValueError if it is too near the edge."""
        width, height = type_.width / SCALE, type_.height / SCALE
        box = (left, top, left + width, top + height)
        # Masks have whole pixels, positions do not.
        if min(box[0], box[1], WIDTH - box[2], HEIGHT - box[3]) < MARGIN - 0.5:
            raise ValueError(f"type at {box} leaves less than {MARGIN} to the edge of a {WIDTH} x {HEIGHT} poster")
        self.type_boxes.append(box)
        corner = (round(left * SCALE), round(top * SCALE))
        self.image.paste(_solid(type_.size, fill), corner, type_)

    def center(self, type_: Image.Image, top: float, fill: str) -> None:
        """Print type centered horizontally."""
        self.letter(type_, (WIDTH - type_.width / SCALE) / 2, top, fill)

    def mirror(self) -> None:
        """Flip the drawing left to right; call it before printing type."""
        self.image.paste(self.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))

    def roughen(self, rng: np.random.Generator, amount: float) -> None:
        """Add grain with a standard deviation of `amount` levels of 255."""
        grain = rng.standard_normal((HEIGHT * SCALE, WIDTH * SCALE, 1), dtype=np.float32) * amount
        self.image.paste(_image(np.asarray(self.image) + grain))

    def finished(self) -> Image.Image:
        """Return the poster, RGB, `WIDTH` by `HEIGHT`."""
        return self.image.reduce(SCALE)


def mix(first: str, second: str, share: float) -> str:
    """Mix two colors; `share` is that of the second."""
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
