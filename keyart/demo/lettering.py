"""Type for the posters, from the one font that Pillow carries.

A single regular sans-serif has to serve eight styles: it is made bold by a stroke, condensed and widened, slanted,
spaced out and shaken. It has no accented letters, so their marks are drawn here. Type is set as a mask ("L") at the
size of `Canvas.image`, cropped to its ink. May import `keyart.demo.canvas` only.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from keyart.demo.canvas import SCALE

# Letters are drawn this tall, in pixels, and scaled to their place.
_EM = 120
# The baseline lies below an em's room for capitals with accents.
_BASELINE = round(1.05 * _EM)
_LINE_HEIGHT = round(1.4 * _EM)
# The font's own stroke, and the height of its capitals and small letters, in em.
_STEM, _CAPITAL, _SMALL = 0.085, 0.7, 0.53
# Marks as strokes, in em, from the middle of the letter and from its upper edge; those that the titles need.
_MARKS = {
    "\N{COMBINING ACUTE ACCENT}": [((-0.04, -0.09), (0.08, -0.2))],
    "\N{COMBINING GRAVE ACCENT}": [((0.04, -0.09), (-0.08, -0.2))],
    "\N{COMBINING CIRCUMFLEX ACCENT}": [((-0.12, -0.09), (0.0, -0.19)), ((0.0, -0.19), (0.12, -0.09))],
    "\N{COMBINING DIAERESIS}": [((-0.13, -0.14), (-0.12, -0.14)), ((0.12, -0.14), (0.13, -0.14))],
    "\N{COMBINING TILDE}": [
        ((-0.14, -0.1), (-0.05, -0.16)),
        ((-0.05, -0.16), (0.05, -0.11)),
        ((0.05, -0.11), (0.14, -0.17)),
    ],
}


@dataclass(frozen=True)
class Face:
    """How letters look."""

    weight: float = 0.0
    width: float = 1.0
    tracking: float = 0.0
    slant: float = 0.0
    capitals: bool = True


def break_title(title: str, n_lines: int) -> list[str]:
    """Break a title into lines that are as even as its words allow."""
    words = title.split()
    n_lines = min(n_lines, len(words))
    breaks = ([0, *inner, len(words)] for inner in combinations(range(1, len(words)), n_lines - 1))
    ways = ([" ".join(words[i:j]) for i, j in pairwise(ends)] for ends in breaks)
    return min(ways, key=lambda lines: sum(len(line) ** 2 for line in lines))


def set_block(
    lines: Sequence[str],
    face: Face,
    width: float,
    height: float,
    *,
    align: Literal["left", "center", "right"] = "center",
    leading: float = 0.95,
    rng: np.random.Generator | None = None,
) -> Image.Image:
    """Set lines of one size, as large as the room allows."""
    set_lines = [_set_line(line, face, rng) for line in lines]
    breadth = max(line.width for line in set_lines)
    step = round(leading * _EM)
    block = Image.new("L", (breadth, _LINE_HEIGHT + step * (len(lines) - 1)))
    for n, line in enumerate(set_lines):
        left = {"left": 0, "center": (breadth - line.width) // 2, "right": breadth - line.width}[align]
        block.paste(255, (left, n * step), line)
    return _fit(block, width, height)


def set_justified(lines: Sequence[str], face: Face, width: float, height: float, gap: float = 6.0) -> Image.Image:
    """Set lines that all fill the same breadth, short ones taller."""
    breadth = round(width * SCALE)
    scaled = [_inked(_set_line(line, face, None)) for line in lines]
    # A short line is widened rather than let tower over the others.
    tallest = min(0.3, 1.6 / max(len(line) for line in lines)) * breadth
    scaled = [line.resize((breadth, round(min(tallest, line.height * breadth / line.width)))) for line in scaled]
    step = round(gap * SCALE)
    block = Image.new("L", (breadth, sum(line.height for line in scaled) + step * (len(lines) - 1)))
    top = 0
    for line in scaled:
        block.paste(line, (0, top))
        top += line.height + step
    return _fit(block, width, height)


def swell(type_: Image.Image, by: float) -> Image.Image:
    """Thicken type all around, for an outline that is printed beneath it."""
    edge = round(by * SCALE)
    larger = Image.new("L", (type_.width + 2 * edge, type_.height + 2 * edge))
    larger.paste(type_, (edge, edge))
    blurred = larger.filter(ImageFilter.GaussianBlur(edge / 2))
    return blurred.point([min(255, max(0, (level - 8) * 14)) for level in range(256)])


def turned(type_: Image.Image, degrees: float) -> Image.Image:
    """Turn type."""
    return _inked(type_.rotate(degrees, Image.Resampling.BICUBIC, expand=True))


def _set_line(text: str, face: Face, rng: np.random.Generator | None) -> Image.Image:
    text = text.upper() if face.capitals else text
    gap = round(face.tracking * _EM)
    glyphs = [_glyph(letter, round(face.weight * _EM)) for letter in unicodedata.normalize("NFC", text)]
    edge = round(0.3 * _EM)
    line = Image.new("L", (2 * edge + sum(advance + gap for _, advance in glyphs), _LINE_HEIGHT))
    pen = edge
    for glyph, advance in glyphs:
        if rng is not None:
            glyph = glyph.rotate(rng.uniform(-7, 7), Image.Resampling.BICUBIC)
        lift = 0 if rng is None else round(rng.uniform(-0.05, 0.05) * _EM)
        line.paste(255, (pen - edge, lift), glyph)
        pen += advance + gap
    return _shaped(line, face)


def _shaped(line: Image.Image, face: Face) -> Image.Image:
    if face.slant:
        lean = abs(round(face.slant * _LINE_HEIGHT))
        # Pillow asks where a pixel comes from; the baseline stays where it is.
        shear = (1, face.slant, -lean / 2 - face.slant * _LINE_HEIGHT / 2, 0, 1, 0)
        size = (line.width + lean, line.height)
        line = line.transform(size, Image.Transform.AFFINE, shear, Image.Resampling.BICUBIC)
    if face.width != 1:
        line = line.resize((round(line.width * face.width), line.height))
    left, _, right, _ = line.getbbox() or (0, 0, 1, 1)
    return line.crop((left, 0, right, line.height))


@lru_cache(maxsize=512)
def _glyph(letter: str, weight: int) -> tuple[Image.Image, int]:
    font = _font()
    decomposed = unicodedata.normalize("NFD", letter)
    base, marks = decomposed[0], decomposed[1:]
    edge = round(0.3 * _EM)
    advance = round(font.getlength(base)) + weight
    glyph = Image.new("L", (advance + 2 * edge, _LINE_HEIGHT))
    draw = ImageDraw.Draw(glyph)
    draw.text((edge + weight // 2, _BASELINE), base, 255, font, anchor="ls", stroke_width=weight)
    middle = edge + advance / 2
    upper = _BASELINE - (_CAPITAL if base.isupper() else _SMALL) * _EM - weight
    for mark in marks:
        for stroke in _MARKS[mark]:
            ends = [(middle + x * _EM, upper + y * _EM) for x, y in stroke]
            _stroke(draw, ends, round(_STEM * _EM + weight))
    return glyph, advance


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(_EM)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("the demo's posters need a Pillow with FreeType, as its wheels from PyPI are")
    return font


def _stroke(draw: ImageDraw.ImageDraw, ends: list[tuple[float, float]], width: int) -> None:
    draw.line(ends, fill=255, width=width)
    for x, y in ends:
        draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)


def _inked(mask: Image.Image) -> Image.Image:
    return mask.crop(mask.getbbox())


def _fit(block: Image.Image, width: float, height: float) -> Image.Image:
    block = _inked(block)
    factor = min(width * SCALE / block.width, height * SCALE / block.height)
    size = (max(1, int(block.width * factor)), max(1, int(block.height * factor)))
    return block.resize(size, Image.Resampling.LANCZOS)
