"""Sheets of films whose look-alikes differ between two embeddings, one above the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from keyart.render.drawing import FAINT, INK, MARGIN, PAPER, Box, font, paste_poster, save_sheet, wrapped

_FILM, _HIT = (200, 300), (92, 138)
_GAP, _TITLE_HEIGHT, _NAME_WIDTH = 12, 56, 110
_N_HITS = 10
Shown = tuple[str, Path | None]
"""A film's label and its poster."""


@dataclass(frozen=True)
class Difference:
    """A film, and its look-alikes by either of two embeddings."""

    film: Shown
    first: Sequence[Shown]
    second: Sequence[Shown]


def write_difference_sheet(names: tuple[str, str], differences: Sequence[Difference], path: Path) -> None:
    """Draw films at the left, each beside its look-alikes by two embeddings."""
    posters = [poster for one in differences for _, poster in (one.film, *one.first, *one.second)]
    save_sheet(draw_difference_sheet(names, differences), path, posters)


def draw_difference_sheet(names: tuple[str, str], differences: Sequence[Difference]) -> Image.Image:
    """Draw a row of two lines for each film."""
    left = MARGIN + _FILM[0] + 2 * _GAP + _NAME_WIDTH
    width = left + _N_HITS * (_HIT[0] + _GAP) - _GAP + MARGIN
    height = _FILM[1] + _TITLE_HEIGHT
    sheet = Image.new("RGB", (width, 2 * MARGIN + len(differences) * (height + _GAP) - _GAP), PAPER)
    for number, one in enumerate(differences):
        top = MARGIN + number * (height + _GAP)
        _draw_film(sheet, one.film, top)
        for line, (name, hits) in enumerate(zip(names, (one.first, one.second), strict=True)):
            _draw_hits(sheet, name, hits[:_N_HITS], (left, top + line * (_FILM[1] - _HIT[1])))
    return sheet


def _draw_film(sheet: Image.Image, film: Shown, top: int) -> None:
    label, poster = film
    pen = ImageDraw.Draw(sheet)
    paste_poster(sheet, poster, label, Box(MARGIN, top, *_FILM))
    for number, line in enumerate(wrapped(label, 16, _FILM[0], n_lines=2)):
        pen.text((MARGIN, top + _FILM[1] + 6 + 20 * number), line, fill=INK, font=font(16))


def _draw_hits(sheet: Image.Image, name: str, hits: Sequence[Shown], corner: tuple[int, int]) -> None:
    left, top = corner
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(wrapped(name, 16, _NAME_WIDTH, n_lines=2)):
        pen.text((left - _NAME_WIDTH - _GAP, top + 20 * number), line, fill=FAINT, font=font(16))
    for number, (label, poster) in enumerate(hits):
        paste_poster(sheet, poster, label, Box(left + number * (_HIT[0] + _GAP), top, *_HIT))
