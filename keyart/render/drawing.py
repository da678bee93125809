"""Colors, fonts, text layout, posters and files of every sheet, drawn with Pillow."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from catalog.errors import DataError, StoreError
from catalog.io.files import output_path
from features.images import decode_image
from keyart.workspace.outputs import check_output
from posters.store import read_shown

_log = logging.getLogger(__name__)

PAPER, INK, FAINT, EMPTY = "#f6f4ef", "#1d1d1f", "#77736b", "#dcd8cf"
MARGIN = 56

_FONT_PATH = Path(__file__).parent / "fonts" / "Inter-Regular.otf"
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".pdf": "PDF"}

Tint = Callable[[Image.Image], Image.Image]
"""Changes a copy of a poster before it is pasted."""


@dataclass(frozen=True)
class Box:
    """A rectangle on a sheet, in pixels."""

    left: int
    top: int
    width: int
    height: int


def check_sheet_path(path: Path, inputs: Iterable[Path | None] = ()) -> None:
    """Raise ConfigError unless a sheet can be written to a path; call it before any work."""
    check_output(path, _FORMATS, inputs)


def save_sheet(sheet: Image.Image, path: Path, inputs: Iterable[Path | None] = ()) -> None:
    """Write a sheet in the format of the file name's ending."""
    check_sheet_path(path, inputs)
    with output_path(path) as temporary_path:
        sheet.save(temporary_path, _FORMATS[path.suffix.lower()])


def jpeg_of(sheet: Image.Image) -> bytes:
    """Return a sheet as a JPEG file."""
    content = io.BytesIO()
    sheet.save(content, "JPEG", quality=88)
    return content.getvalue()


def paste_poster(
    sheet: Image.Image,
    path: Path | None,
    label: str,
    box: Box,
    tint: Tint | None = None,
) -> None:
    """Fit a poster into a box and apply `tint` to it; without a poster, an empty box with the label."""
    size, corner = (box.width, box.height), (box.left, box.top)
    poster = _read_poster(path)
    if poster is not None:
        fitted = ImageOps.contain(poster, size, Image.Resampling.LANCZOS)
        left, top = (box.width - fitted.width) // 2, (box.height - fitted.height) // 2
        sheet.paste(tint(fitted) if tint else fitted, (box.left + left, box.top + top))
        return
    pen = ImageDraw.Draw(sheet)
    pen.rectangle((*corner, box.left + box.width - 1, box.top + box.height - 1), fill=EMPTY)
    lines = [*wrapped(label, 18, box.width - 32, n_lines=4), "no poster"]
    top = box.top + (box.height - 24 * len(lines)) // 2
    for line in lines:
        pen.text((box.left + box.width // 2, top), line, fill=FAINT, font=font(18), anchor="ma")
        top += 24


def wrapped(text: str, size: int, width: int, n_lines: int, tail: str = "") -> list[str]:
    """Break text into `n_lines` lines of `width` pixels at most; an ellipsis marks what does not fit before `tail`."""
    lines: list[str] = []
    for word in f"{text} {tail}".split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and font(size).getlength(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    if len(lines) > n_lines:
        lines = [*lines[: n_lines - 1], " ".join(lines[n_lines - 1 :])]
    return [_cut(line, size, width, tail if line is lines[-1] else "") for line in lines]


def _cut(line: str, size: int, width: int, tail: str) -> str:
    if font(size).getlength(line) <= width:
        return line
    text, end = line.removesuffix(tail), f"… {tail}".rstrip()
    while text and font(size).getlength(text + end) > width:
        text = text[:-1]
    return text.rstrip() + end


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    # Pillow's own font has no accents, and no system font is on every machine.
    return ImageFont.truetype(_FONT_PATH, size)


def _read_poster(path: Path | None) -> Image.Image | None:
    if path is None:
        return None
    try:
        return decode_image(read_shown(path), str(path))
    except (DataError, StoreError, OSError) as error:
        # One unreadable poster should not cost the whole sheet.
        _log.warning("a poster is left blank: %s", error)
        return None
