"""Contact sheets: a film and its look-alikes, or films alone, as one image, with titles and scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from catalog.text import plural
from keyart.render.drawing import EMPTY, FAINT, INK, MARGIN, PAPER, Box, Tint, font, paste_poster, save_sheet, wrapped
from keyart.results import Hit, Query, SimilarFilms

_VISUAL_COLOR, _CF_COLOR, _CONTENT_COLOR = "#c8553d", "#2f6690", "#4b7f3f"
_GAP, _COLUMNS, _COLUMNS_OF_FILMS = 28, 5, 7
_HIT_SIZE, _QUERY_SIZE = (208, 312), (400, 600)
_CAPTION_HEIGHT, _FILM_CAPTION_HEIGHT, _HEADING_HEIGHT = 116, 112, 64
MAX_HITS = 50
"""How many films a sheet shows at most."""


def write_contact_sheet(result: SimilarFilms, path: str | Path) -> None:
    """Draw a contact sheet of a result to a file.

    Parameters
    ----------
    result : SimilarFilms
        The result of a query; the first 50 hits are drawn.
    path : str or Path
        The file to write; its ending, .png, .jpg, .webp or .pdf, sets the format. It appears whole or not at all.

    Raises
    ------
    ConfigError
        The file name has another ending, or is that of one of the posters.
    StoreError
        The file cannot be written.
    """
    subjects = (result.query, *result.query.like, *result.query.unlike)
    posters = (*(film.poster_path for film in subjects), *(hit.poster_path for hit in result))
    save_sheet(draw_sheet(result), Path(path), posters)


def draw_sheet(result: SimilarFilms) -> Image.Image:
    """Draw the film at the left and its look-alikes in rows of five, each with its scores; 1,700 pixels wide."""
    hits = result.hits[:MAX_HITS]
    n_rows = max(1, -(-len(hits) // _COLUMNS))
    row_height = _HIT_SIZE[1] + _CAPTION_HEIGHT
    grid_left = 2 * MARGIN + _QUERY_SIZE[0]
    width = grid_left + _COLUMNS * (_HIT_SIZE[0] + _GAP) - _GAP + MARGIN
    height = 2 * MARGIN + max(_QUERY_SIZE[1] + 200, n_rows * row_height + (n_rows - 1) * _GAP)
    sheet = Image.new("RGB", (width, height), PAPER)
    _draw_query(sheet, result)
    for n, hit in enumerate(hits):
        row, column = divmod(n, _COLUMNS)
        corner = (grid_left + column * (_HIT_SIZE[0] + _GAP), MARGIN + row * (row_height + _GAP))
        _draw_hit(sheet, hit, corner, _marker(result))
    return sheet


def draw_film_sheet(films: Sequence[Query], heading: str) -> Image.Image:
    """Draw films in rows of seven below a heading, each with its title, year and number of ratings."""
    shown = films[:MAX_HITS]
    n_columns = max(1, min(len(shown), _COLUMNS_OF_FILMS))
    n_rows, row_height = -(-len(shown) // n_columns), _HIT_SIZE[1] + _FILM_CAPTION_HEIGHT
    width = 2 * MARGIN + n_columns * (_HIT_SIZE[0] + _GAP) - _GAP
    sheet = Image.new("RGB", (width, 2 * MARGIN + _HEADING_HEIGHT + n_rows * row_height), PAPER)
    pen = ImageDraw.Draw(sheet)
    cut = f"The first {MAX_HITS} of {heading}" if len(films) > MAX_HITS else heading
    pen.text((MARGIN, MARGIN), _cut_to(cut, 34, width - 2 * MARGIN), fill=INK, font=font(34))
    for n, film in enumerate(shown):
        row, column = divmod(n, n_columns)
        left, top = MARGIN + column * (_HIT_SIZE[0] + _GAP), MARGIN + _HEADING_HEIGHT + row * row_height
        bottom = _draw_titled_poster(sheet, film, (left, top))
        pen.text((left, bottom), plural(film.n_ratings, "rating"), fill=FAINT, font=font(15))
    return sheet


def _cut_to(text: str, size: int, width: int) -> str:
    return wrapped(text, size, width, n_lines=1)[0]


def _draw_query(sheet: Image.Image, result: SimilarFilms) -> None:
    query, pen = result.query, ImageDraw.Draw(sheet)
    box = Box(MARGIN, MARGIN, *_QUERY_SIZE)
    _paste_query(sheet, result, box)
    top = MARGIN + _QUERY_SIZE[1] + 22
    for line in wrapped(query.title, 34, _QUERY_SIZE[0], n_lines=2, tail=_year(query)):
        pen.text((MARGIN, top), line, fill=INK, font=font(34))
        top += 42
    cut = [f"The first {MAX_HITS} of {len(result)} films"] if len(result) > MAX_HITS else []
    for line in [*(result.notes or (_weights(result),)), *cut]:
        for part in wrapped(line, 18, _QUERY_SIZE[0], n_lines=3):
            pen.text((MARGIN, top + 6), part, fill=FAINT, font=font(18))
            top += 25
    _draw_legend(pen, (MARGIN, top + 18), has_content=result.n_content > 0)


def _paste_query(sheet: Image.Image, result: SimilarFilms, box: Box) -> None:
    """Paste the poster of a film, or those of the first four films that are sought for in a quarter each."""
    query, mark = result.query, _marker(result)
    if len(query.like) < 2:
        film = query.like[0] if query.like else query
        paste_poster(sheet, film.poster_path, film.label, box, mark)
        return
    width, height = (box.width - 8) // 2, (box.height - 8) // 2
    for n, film in enumerate(query.like[:4]):
        row, column = divmod(n, 2)
        left, top = box.left + column * (width + 8), box.top + row * (height + 8)
        paste_poster(sheet, film.poster_path, film.label, Box(left, top, width, height), mark)


def _marker(result: SimilarFilms) -> Tint | None:
    """Return what frames the region that was compared, on a copy of a poster; None for whole posters."""
    if result.region is None or result.grid is None:
        return None
    (x, y, width, height), (columns, rows) = result.region, result.grid

    def framed(poster: Image.Image) -> Image.Image:
        marked = poster.copy()
        across, down = poster.width / columns, poster.height / rows
        left, top, right, bottom = x * across, y * down, (x + width) * across - 1, (y + height) * down - 1
        pen = ImageDraw.Draw(marked)
        # Dark and light side by side are visible on any poster.
        for inset, color in enumerate((INK, INK, PAPER, PAPER)):
            pen.rectangle((left + inset, top + inset, right - inset, bottom - inset), outline=color)
        return marked

    return framed


def _weights(result: SimilarFilms) -> str:
    if result.region:
        return "Posters that look like this one in the frame"
    if result.query.movie_id is None and not result.query.like:
        return "Posters that look like this picture"
    content = result.content if result.n_content else 0.0
    if content == 1.0:
        return "Content alone"
    if result.alpha == "auto":
        others = "Looks, ratings and content" if content else "Looks and ratings"
        fixed = "" if content in ("auto", 0.0) else f"; content {content:.0%}"
        return f"{others}, weighted by number of ratings{fixed}"
    rest = 1.0 if content == "auto" else 1 - content
    looks = float(result.alpha)
    shares = f"Looks {looks * rest:.0%}, ratings {(1 - looks) * rest:.0%}"
    return shares + (f", content {content:.0%}" if content else "")


def _draw_legend(pen: ImageDraw.ImageDraw, corner: tuple[int, int], *, has_content: bool) -> None:
    left, top = corner
    sides = ((_VISUAL_COLOR, "looks"), (_CF_COLOR, "ratings"), (_CONTENT_COLOR, "content"))
    for color, meaning in sides if has_content else sides[:2]:
        pen.rectangle((left, top + 5, left + 22, top + 13), fill=color)
        pen.text((left + 30, top), meaning, fill=FAINT, font=font(16))
        left += 120


def _draw_hit(sheet: Image.Image, hit: Hit, corner: tuple[int, int], mark: Tint | None = None) -> None:
    pen, left = ImageDraw.Draw(sheet), corner[0]
    # Scores are at the same height under every poster, whether the title takes one line or two.
    line_top = _draw_titled_poster(sheet, hit, corner, mark) + 8
    pen.text((left, line_top), f"{hit.score:.3f}", fill=INK, font=font(20))
    ratings = plural(hit.n_ratings, "rating")
    pen.text((left + _HIT_SIZE[0], line_top + 3), ratings, fill=FAINT, font=font(15), anchor="ra")
    bars = [(hit.visual, _VISUAL_COLOR), (hit.cf, _CF_COLOR)]
    if hit.content_share:
        bars.append((hit.content, _CONTENT_COLOR))
    for n, (value, color) in enumerate(bars):
        _draw_bar(pen, Box(left, line_top + 28 + 9 * n, _HIT_SIZE[0], 5), value, color)


def _draw_titled_poster(
    sheet: Image.Image, film: Hit | Query, corner: tuple[int, int], mark: Tint | None = None
) -> int:
    """Draw a poster and below it the title in two lines at most; return where the second line ends."""
    pen, (left, top) = ImageDraw.Draw(sheet), corner
    paste_poster(sheet, film.poster_path, film.label, Box(left, top, *_HIT_SIZE), mark)
    line_top = top + _HIT_SIZE[1] + 10
    for n, line in enumerate(wrapped(film.title, 18, _HIT_SIZE[0], n_lines=2, tail=_year(film))):
        pen.text((left, line_top + 23 * n), line, fill=INK, font=font(18))
    return line_top + 2 * 23


def _draw_bar(pen: ImageDraw.ImageDraw, box: Box, value: float | None, color: str) -> None:
    pen.rectangle((box.left, box.top, box.left + box.width, box.top + box.height), fill=EMPTY)
    if value is not None and value > 0:
        length = round(min(value, 1.0) * box.width)
        pen.rectangle((box.left, box.top, box.left + length, box.top + box.height), fill=color)


def _year(film: Hit | Query) -> str:
    return f"({film.year})" if film.year else ""
