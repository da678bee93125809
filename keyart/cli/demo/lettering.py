"""Type for the posters: the Inter font made bold, condensed, wide, slanted, spaced out or shaken.

Type is a mask ("L") at the scale of `Canvas.image`, cropped to its ink.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from keyart.cli.demo.canvas import SCALE
from keyart.render.drawing import font

# Letters are drawn at this height, in pixels, and then scaled.
_EM = 120
# Leaves space for accents above capitals.
_BASELINE = round(1.05 * _EM)
_LINE_HEIGHT = round(1.4 * _EM)


@dataclass(frozen=True)
class Face:
    """A variation of the font."""

    weight: float = 0.0  # added around each stroke, in em; 0.03 is bold
    width: float = 1.0  # below 1 condensed, above 1 wide
    tracking: float = 0.0  # added between letters, in em
    slant: float = 0.0  # shift to the right per unit of height
    capitals: bool = True  # all letters as capitals


def break_title(title: str, n_lines: int) -> list[str]:
    """Break a title into `n_lines` lines, or fewer words, as even in length as possible."""
    words = title.split()
    n_lines = min(n_lines, len(words))
    breaks = ([0, *inner, len(words)] for inner in combinations(range(1, len(words)), n_lines - 1))
    choices = ([" ".join(words[i:j]) for i, j in pairwise(ends)] for ends in breaks)
    return min(choices, key=lambda lines: sum(len(line) ** 2 for line in lines))


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
    """Set lines in one size, as large as fits `width` by `height` poster pixels; with `rng`, each letter is shaken."""
    set_lines = [_set_line(line, face, rng) for line in lines]
    breadth = max(line.width for line in set_lines)
    step = round(leading * _EM)
    block = Image.new("L", (breadth, _LINE_HEIGHT + step * (len(lines) - 1)))
    for n, line in enumerate(set_lines):
        left = {"left": 0, "center": (breadth - line.width) // 2, "right": breadth - line.width}[align]
        block.paste(255, (left, n * step), line)
    return _fit(block, width, height)


def set_justified(lines: Sequence[str], face: Face, width: float, height: float, gap: float = 6.0) -> Image.Image:
    """Set lines that all fill the same width, short ones taller, within `width` by `height` poster pixels."""
    breadth = round(width * SCALE)
    scaled = [_inked(_set_line(line, face, None)) for line in lines]
    # A very short line is stretched in width rather than become much taller than the others.
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
    """Thicken type by so many poster pixels on each side, for an outline printed beneath it."""
    edge = round(by * SCALE)
    larger = Image.new("L", (type_.width + 2 * edge, type_.height + 2 * edge))
    larger.paste(type_, (edge, edge))
    blurred = larger.filter(ImageFilter.GaussianBlur(edge / 2))
    return blurred.point([min(255, max(0, (level - 8) * 14)) for level in range(256)])


def rotated(type_: Image.Image, degrees: float) -> Image.Image:
    """Rotate type counterclockwise."""
    return _inked(type_.rotate(degrees, Image.Resampling.BICUBIC, expand=True))


def _set_line(text: str, face: Face, rng: np.random.Generator | None) -> Image.Image:
    text = text.upper() if face.capitals else text
    gap = round(face.tracking * _EM)
    glyphs = [_glyph(letter, round(face.weight * _EM)) for letter in text]
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
        # Pillow maps output pixels to input pixels; the baseline keeps its position.
        shear = (1, face.slant, -lean / 2 - face.slant * _LINE_HEIGHT / 2, 0, 1, 0)
        size = (line.width + lean, line.height)
        line = line.transform(size, Image.Transform.AFFINE, shear, Image.Resampling.BICUBIC)
    if face.width != 1:
        line = line.resize((round(line.width * face.width), line.height))
    left, _, right, _ = line.getbbox() or (0, 0, 1, 1)
    return line.crop((left, 0, right, line.height))


@lru_cache(maxsize=512)
def _glyph(letter: str, weight: int) -> tuple[Image.Image, int]:
    """Draw a letter with strokes thickened by `weight` pixels; also returns its advance."""
    advance = round(font(_EM).getlength(letter)) + weight
    edge = round(0.3 * _EM)
    glyph = Image.new("L", (advance + 2 * edge, _LINE_HEIGHT))
    origin = (edge + weight // 2, _BASELINE)
    ImageDraw.Draw(glyph).text(origin, letter, 255, font(_EM), anchor="ls", stroke_width=weight)
    return glyph, advance


def _inked(mask: Image.Image) -> Image.Image:
    return mask.crop(mask.getbbox())


def _fit(block: Image.Image, width: float, height: float) -> Image.Image:
    block = _inked(block)
    factor = min(width * SCALE / block.width, height * SCALE / block.height)
    size = (max(1, int(block.width * factor)), max(1, int(block.height * factor)))
    return block.resize(size, Image.Resampling.LANCZOS)
