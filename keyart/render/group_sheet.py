"""Sheets of groups of posters, a row each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw

from catalog.text import plural
from keyart.render.drawing import FAINT, INK, MARGIN, PAPER, Box, font, paste_poster, save_sheet, wrapped

_POSTER = (160, 240)
_GAP, _TITLE_HEIGHT, _FRAME = 16, 56, 4
_N_SHOWN, _LEAST_COLUMNS = 8, 3
_KEPT_COLOR = "#2f6690"
MAX_GROUPS = 50
"""How many groups a sheet shows at most."""


class Shown(NamedTuple):
    """A film's label and its poster, which is framed if it is to be kept."""

    label: str
    poster: Path | None
    keep: bool


def write_group_sheet(groups: Sequence[Sequence[Shown]], path: Path) -> None:
    """Draw groups as rows, the largest groups cut."""
    posters = [film.poster for group in groups for film in group]
    save_sheet(draw_group_sheet(groups[:MAX_GROUPS]), path, posters)


def draw_group_sheet(groups: Sequence[Sequence[Shown]]) -> Image.Image:
    """Draw a row of up to eight posters for each group, and how many more there are."""
    # The last column says how many more there are.
    n_columns = max(_LEAST_COLUMNS, *(min(len(group), _N_SHOWN + 1) for group in groups), 0)
    width = 2 * MARGIN + n_columns * (_POSTER[0] + _GAP) - _GAP
    height = _POSTER[1] + _TITLE_HEIGHT + _GAP
    sheet = Image.new("RGB", (width, 2 * MARGIN + max(1, len(groups)) * height), PAPER)
    for number, group in enumerate(groups):
        _draw_group(sheet, group, MARGIN + number * height)
    if not groups:
        ImageDraw.Draw(sheet).text((MARGIN, MARGIN), "No films with the same artwork", fill=FAINT, font=font(20))
    return sheet


def _draw_group(sheet: Image.Image, group: Sequence[Shown], top: int) -> None:
    pen = ImageDraw.Draw(sheet)
    # The poster to keep is drawn even where the row is cut.
    films = sorted(group, key=lambda film: not film.keep)
    for number, film in enumerate(films[:_N_SHOWN]):
        box = Box(MARGIN + number * (_POSTER[0] + _GAP), top, *_POSTER)
        if film.keep:
            corners = (box.left - _FRAME, top - _FRAME, box.left + box.width + _FRAME, top + box.height + _FRAME)
            pen.rectangle(corners, outline=_KEPT_COLOR, width=_FRAME)
        paste_poster(sheet, film.poster, film.label, box)
        for line, text in enumerate(wrapped(film.label, 16, box.width, n_lines=2)):
            pen.text((box.left, top + box.height + 6 + 20 * line), text, fill=INK, font=font(16))
    if len(films) > _N_SHOWN:
        corner = (MARGIN + _N_SHOWN * (_POSTER[0] + _GAP), top + _POSTER[1] // 2)
        pen.text(corner, plural(len(films) - _N_SHOWN, "more", "more"), fill=FAINT, font=font(20))
