"""Contact sheets: a film and its look-alikes as one picture, with titles and scores; drawn with Pillow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from catalog.errors import ConfigError, DataError
from catalog.storage import atomic_path
from features.images import decode_image
from keyart.engine import Hit, Query, SimilarFilms

_FONT_PATH = Path(__file__).parent / "fonts" / "Inter-Regular.otf"
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".pdf": "PDF"}
_PAPER, _INK, _FAINT, _EMPTY = "#f6f4ef", "#1d1d1f", "#77736b", "#dcd8cf"
_VISUAL_COLOUR, _CF_COLOUR = "#c8553d", "#2f6690"
_MARGIN, _GAP, _COLUMNS = 56, 28, 5
_HIT_SIZE, _QUERY_SIZE = (208, 312), (400, 600)
_CAPTION_HEIGHT = 116
_MOST_HITS = 50


@dataclass(frozen=True)
class _Box:
    left: int
    top: int
    width: int
    height: int


def check_sheet_path(path: Path) -> None:
    """Refuse a sheet of a kind that cannot be drawn, before any work is done.

    Parameters
    ----------
    path : Path
        Where the sheet shall stand.

    Raises
    ------
    ConfigError
        The name ends in none of the known ways, or is a folder's.
    """
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(f"--sheet {path}: expected a name ending in {', '.join(_FORMATS)}")
    if path.is_dir():
        raise ConfigError(f"--sheet {path} is a folder; expected the name of a file")


def write_sheet(result: SimilarFilms, path: Path) -> None:
    """Draw a result and write it.

    Parameters
    ----------
    result : SimilarFilms
        What was asked and what was found; the first 50 hits are drawn.
    path : Path
        Where the sheet shall stand; its ending names the format.

    Raises
    ------
    ConfigError
        The name ends in none of the known ways.
    StoreError
        The file cannot be written.
    """
    check_sheet_path(path)
    sheet = draw_sheet(result)
    with atomic_path(path) as temporary_path:
        sheet.save(temporary_path, _FORMATS[path.suffix.lower()])


def draw_sheet(result: SimilarFilms) -> Image.Image:
    """Draw a result: the film at the left, its look-alikes in rows of five, each with its scores.

    Parameters
    ----------
    result : SimilarFilms
        What was asked and what was found.

    Returns
    -------
    PIL.Image.Image
        RGB, 1,700 pixels wide.
    """
    hits = result.hits[:_MOST_HITS]
    n_rows = max(1, -(-len(hits) // _COLUMNS))
    row_height = _HIT_SIZE[1] + _CAPTION_HEIGHT
    grid_left = 2 * _MARGIN + _QUERY_SIZE[0]
    width = grid_left + _COLUMNS * (_HIT_SIZE[0] + _GAP) - _GAP + _MARGIN
    height = 2 * _MARGIN + max(_QUERY_SIZE[1] + 200, n_rows * row_height + (n_rows - 1) * _GAP)
    sheet = Image.new("RGB", (width, height), _PAPER)
    _draw_query(sheet, result)
    for place, hit in enumerate(hits):
        row, column = divmod(place, _COLUMNS)
        corner = (grid_left + column * (_HIT_SIZE[0] + _GAP), _MARGIN + row * (row_height + _GAP))
        _draw_hit(sheet, hit, corner)
    return sheet


def _draw_query(sheet: Image.Image, result: SimilarFilms) -> None:
    query, pen = result.query, ImageDraw.Draw(sheet)
    box = _Box(_MARGIN, _MARGIN, *_QUERY_SIZE)
    _paste_poster(sheet, query.poster_path, query.label, box)
    top = _MARGIN + _QUERY_SIZE[1] + 22
    for line in _wrapped(query.title, 34, _QUERY_SIZE[0], n_lines=2, tail=_year(query)):
        pen.text((_MARGIN, top), line, fill=_INK, font=_font(34))
        top += 42
    for line in result.notes or (_what_was_asked(result),):
        for part in _wrapped(line, 18, _QUERY_SIZE[0], n_lines=3):
            pen.text((_MARGIN, top + 6), part, fill=_FAINT, font=_font(18))
            top += 25
    _draw_legend(pen, (_MARGIN, top + 18))


def _what_was_asked(result: SimilarFilms) -> str:
    if result.query.movie_id is None:
        return "Posters that look like this picture"
    if result.alpha == "auto":
        return "Looks alike and liked alike, by support"
    return f"Looks {float(result.alpha):.0%}, ratings {1 - float(result.alpha):.0%}"


def _draw_legend(pen: ImageDraw.ImageDraw, corner: tuple[int, int]) -> None:
    left, top = corner
    for colour, meaning in ((_VISUAL_COLOUR, "looks"), (_CF_COLOUR, "ratings")):
        pen.rectangle((left, top + 5, left + 22, top + 13), fill=colour)
        pen.text((left + 30, top), meaning, fill=_FAINT, font=_font(16))
        left += 120


def _draw_hit(sheet: Image.Image, hit: Hit, corner: tuple[int, int]) -> None:
    pen, (left, top) = ImageDraw.Draw(sheet), corner
    _paste_poster(sheet, hit.poster_path, hit.label, _Box(left, top, *_HIT_SIZE))
    line_top = top + _HIT_SIZE[1] + 10
    for line in _wrapped(hit.title, 18, _HIT_SIZE[0], n_lines=2, tail=_year(hit)):
        pen.text((left, line_top), line, fill=_INK, font=_font(18))
        line_top += 23
    # Scores stand at the same height under every poster, whether the title takes one line or two.
    line_top = top + _HIT_SIZE[1] + 10 + 2 * 23 + 8
    pen.text((left, line_top), f"{hit.score:.3f}", fill=_INK, font=_font(20))
    ratings = "1 rating" if hit.support == 1 else f"{hit.support} ratings"
    pen.text((left + _HIT_SIZE[0], line_top + 3), ratings, fill=_FAINT, font=_font(15), anchor="ra")
    for place, (value, colour) in enumerate(((hit.visual, _VISUAL_COLOUR), (hit.cf, _CF_COLOUR))):
        _draw_bar(pen, _Box(left, line_top + 28 + 9 * place, _HIT_SIZE[0], 5), value, colour)


def _draw_bar(pen: ImageDraw.ImageDraw, box: _Box, value: float | None, colour: str) -> None:
    pen.rectangle((box.left, box.top, box.left + box.width, box.top + box.height), fill=_EMPTY)
    if value is not None and value > 0:
        length = round(min(value, 1.0) * box.width)
        pen.rectangle((box.left, box.top, box.left + length, box.top + box.height), fill=colour)


def _paste_poster(sheet: Image.Image, path: Path | None, label: str, box: _Box) -> None:
    """Fit the whole poster into its place; where there is none, an empty place with the title."""
    size, corner = (box.width, box.height), (box.left, box.top)
    poster = _read_poster(path)
    if poster is not None:
        fitted = ImageOps.contain(poster, size, Image.Resampling.LANCZOS)
        left, top = (box.width - fitted.width) // 2, (box.height - fitted.height) // 2
        sheet.paste(fitted, (box.left + left, box.top + top))
        return
    pen = ImageDraw.Draw(sheet)
    pen.rectangle((*corner, box.left + box.width - 1, box.top + box.height - 1), fill=_EMPTY)
    lines = [*_wrapped(label, 18, box.width - 32, n_lines=4), "no poster"]
    top = box.top + (box.height - 24 * len(lines)) // 2
    for line in lines:
        pen.text((box.left + box.width // 2, top), line, fill=_FAINT, font=_font(18), anchor="ma")
        top += 24


def _read_poster(path: Path | None) -> Image.Image | None:
    if path is None:
        return None
    try:
        return decode_image(path)
    except DataError:
        # A sheet with a gap is worth more than no sheet.
        return None


def _year(film: Hit | Query) -> str:
    return f"({film.year})" if film.year else ""


def _wrapped(text: str, size: int, width: int, n_lines: int, tail: str = "") -> list[str]:
    """Break a text and its tail into lines that fit; what does not fit is cut before the tail, with an ellipsis."""
    lines: list[str] = []
    for word in f"{text} {tail}".split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and _font(size).getlength(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    if len(lines) > n_lines:
        lines = [*lines[: n_lines - 1], " ".join(lines[n_lines - 1 :])]
    return [_cut(line, size, width, tail if line is lines[-1] else "") for line in lines]


def _cut(line: str, size: int, width: int, tail: str) -> str:
    if _font(size).getlength(line) <= width:
        return line
    kept, end = line.removesuffix(tail), f"… {tail}".rstrip()
    while kept and _font(size).getlength(kept + end) > width:
        kept = kept[:-1]
    return kept.rstrip() + end


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    # Pillow's own font has no accents, and no system font is on every machine.
    return ImageFont.truetype(_FONT_PATH, size)
