"""Heat maps: what each region of two posters contributes to their similarity, drawn over both.

The network receives each poster resized to a square, so its grid of regions covers the whole poster, whatever its
shape. The poster is drawn in gray and a region's contribution as a hue: orange if positive, blue if negative. People
with red-green color blindness can tell orange from blue, and over an image hue reads better than brightness.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from keyart.render.drawing import FAINT, INK, MARGIN, PAPER, Box, font, paste_poster, save_sheet, wrapped
from keyart.results import Explanation, Query

Floats = npt.NDArray[np.floating]

_FOR, _AGAINST = (255, 106, 0), (0, 110, 255)
# Neither black nor white would show a color.
_DARKEST, _BRIGHTEST = 60, 235
_STRONGEST = 0.8
_POSTER_SIZE, _THUMB_SIZE, _GAP = (480, 720), (120, 180), 40
_SECOND_LEFT = MARGIN + _POSTER_SIZE[0] + _GAP
_WIDTH = _SECOND_LEFT + _POSTER_SIZE[0] + MARGIN


def write_heat_map(explanation: Explanation, path: str | Path) -> None:
    """Draw a heat map of an explanation to a file.

    Parameters
    ----------
    explanation : Explanation
        The result of `Engine.explain`.
    path : str or Path
        The file to write; its ending, .png, .jpg, .webp or .pdf, sets the format. It appears whole or not at all.

    Raises
    ------
    ConfigError
        The file name has another ending, or is that of one of the posters.
    StoreError
        The file cannot be written.
    """
    posters = (film.poster_path for film in explanation.films)
    save_sheet(draw_heat_sheet(explanation), Path(path), posters)


def draw_heat_sheet(explanation: Explanation) -> Image.Image:
    """Draw both posters under the heat map, both as they are, the similarity and the scale; 1,112 pixels wide."""
    caption_top = MARGIN + _POSTER_SIZE[1] + 24
    legend_top = caption_top + _THUMB_SIZE[1] + 36
    sheet = Image.new("RGB", (_WIDTH, legend_top + 96 + MARGIN), PAPER)
    limit = max(map(_limit, explanation.grids))
    for film, grid, left in zip(explanation.films, explanation.grids, (MARGIN, _SECOND_LEFT), strict=True):
        tint = partial(heated, grid=grid, limit=limit)
        paste_poster(sheet, film.poster_path, film.label, Box(left, MARGIN, *_POSTER_SIZE), tint)
        _draw_caption(sheet, film, (left, caption_top))
    _draw_similarity(ImageDraw.Draw(sheet), explanation, legend_top)
    lowest = min(float(grid.min()) for grid in explanation.grids)
    _draw_scale(sheet, limit, Box(_SECOND_LEFT, legend_top + 8, _POSTER_SIZE[0], 36), signed=lowest < 0)
    return sheet


def heated(poster: Image.Image, grid: npt.NDArray[np.float64], limit: float | None = None) -> Image.Image:
    """Draw the contributions of a grid of regions over a copy of a poster.

    Those of the size `limit`, by default the largest, have the strongest color.
    """
    smooth = Image.fromarray(grid.astype(np.float32)).resize(poster.size, Image.Resampling.BICUBIC)
    # Bicubic interpolation overshoots at steep slopes, even below 0 where no region is.
    values = np.clip(np.asarray(smooth), grid.min(), grid.max())
    return _colored(np.asarray(poster.convert("L")) / 255, values / (limit or _limit(grid)))


def _limit(grid: npt.NDArray[np.float64]) -> float:
    # Two posters may have nothing in common.
    return float(np.abs(grid).max()) or 1.0


def _colored(brightness: Floats, strength: Floats) -> Image.Image:
    """Color a gray image; `brightness` in [0, 1] and `strength` in [-1, 1] have the shape (height, width)."""
    share = (_STRONGEST * np.abs(strength)).astype(np.float32)
    gray = (1 - share) * (_DARKEST + (_BRIGHTEST - _DARKEST) * brightness).astype(np.float32)
    # Channel by channel, which takes less than half the time that arrays of three channels take.
    channels = [
        gray + share * np.where(strength > 0, np.float32(one), np.float32(other))
        for one, other in zip(_FOR, _AGAINST, strict=True)
    ]
    return Image.fromarray(np.rint(np.stack(channels, axis=-1)).astype(np.uint8))


def _draw_caption(sheet: Image.Image, film: Query, corner: tuple[int, int]) -> None:
    """Draw a small poster beside the film's title."""
    pen, (left, top) = ImageDraw.Draw(sheet), corner
    paste_poster(sheet, film.poster_path, "", Box(left, top, *_THUMB_SIZE))
    text_left = left + _THUMB_SIZE[0] + 24
    width = _POSTER_SIZE[0] - _THUMB_SIZE[0] - 24
    for line in wrapped(film.title, 30, width, n_lines=4, tail=f"({film.year})" if film.year else ""):
        pen.text((text_left, top), line, fill=INK, font=font(30))
        top += 38


def _draw_similarity(pen: ImageDraw.ImageDraw, explanation: Explanation, top: int) -> None:
    pen.text((MARGIN, top), _number(explanation.similarity), fill=INK, font=font(48))
    lines = [f"similarity of looks, the sum over {explanation.grid.size} regions"]
    if explanation.centered:
        lines.append("without what all posters have in common")
    for n, line in enumerate(lines):
        pen.text((MARGIN, top + 58 + 24 * n), line, fill=FAINT, font=font(18))


def _draw_scale(sheet: Image.Image, limit: float, box: Box, *, signed: bool) -> None:
    """Draw the colors over black at the top to white at the bottom: over dark and over bright parts of a poster."""
    pen = ImageDraw.Draw(sheet)
    lowest = -limit if signed else 0.0
    brightness, strength = np.meshgrid(
        np.linspace(0.0, 1.0, box.height), np.linspace(lowest / limit, 1.0, box.width), indexing="ij"
    )
    sheet.paste(_colored(brightness, strength), (box.left, box.top))
    middle, below = box.left + box.width // 2, box.top + box.height + 6
    ticks = ((box.left, lowest, "la"), (middle, (lowest + limit) / 2, "ma"), (box.left + box.width, limit, "ra"))
    for left, value, anchor in ticks:
        pen.text((left, below), _number(value), fill=FAINT, font=font(16), anchor=anchor)
    meaning = "lowers  –  similarity per region  –  raises" if lowest else "similarity per region"
    pen.text((middle, below + 24), meaning, fill=FAINT, font=font(16), anchor="ma")


def _number(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")
