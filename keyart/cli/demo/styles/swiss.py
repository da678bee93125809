"""Swiss minimal: one geometric shape on light paper, a grid, heavy lower-case type, much empty space."""

from __future__ import annotations

import numpy as np

from keyart.cli.demo.canvas import HEIGHT, SCALE, WIDTH, Canvas
from keyart.cli.demo.card import Card, Palette
from keyart.cli.demo.lettering import Face, break_title, set_block

_EDGE = 24.0
_HEAVY = Face(weight=0.026, tracking=-0.02, capitals=False)
_LIGHT = Face(tracking=0.0, capitals=False)


def draw(card: Card, rng: np.random.Generator) -> Canvas:
    paper, _, _, ink = card.palette
    canvas = Canvas(paper)
    card.compose(canvas, _COMPOSITIONS, rng)
    _print_title(canvas, card, ink)
    return canvas


def _print_title(canvas: Canvas, card: Card, ink: str) -> None:
    canvas.rectangle((_EDGE, _EDGE, WIDTH - _EDGE, _EDGE + 2), ink)
    for left, text in ((_EDGE, str(card.year)), (WIDTH * 0.36, f"{card.names[0]}\n{card.names[1]}")):
        canvas.letter(
            set_block(text.split("\n"), _LIGHT, 150, 11.0 * (1 + text.count("\n") * 1.15), align="left"),
            left,
            _EDGE + 9,
            ink,
        )
    lines = break_title(card.title.lower(), 3 if len(card.title) > 14 else 2)
    title = set_block(lines, _HEAVY, WIDTH - 2 * _EDGE - 40, 27.0 * len(lines), align="left", leading=0.98)
    canvas.letter(title, _EDGE, HEIGHT - 58 - title.height / SCALE, ink)
    canvas.letter(card.billing(190, "left"), _EDGE, HEIGHT - 47, ink)


def _eclipse(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    _, first, second, _ = colors
    x, y, radius = rng.uniform(140, 200), rng.uniform(195, 225), rng.uniform(100, 118)
    canvas.disc(x, y, radius, first)
    angle, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 0.6)
    canvas.disc(x + radius * 0.6 * np.cos(angle), y + radius * 0.6 * np.sin(angle), radius * size, second)


def _tiles(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    _, first, second, _ = colors
    side = (WIDTH - 2 * _EDGE) / 3
    for n in range(9):
        left, top = _EDGE + n % 3 * side, 66 + n // 3 * side
        color = (first, second, first)[int(rng.integers(3))]
        turn = int(rng.integers(4))
        if rng.random() < 0.16:
            canvas.disc(left + side / 2, top + side / 2, side * 0.28, color)
            continue
        x, y = left + side * (turn in (1, 2)), top + side * (turn in (2, 3))
        canvas.arc(x, y, side, (90.0 * turn, 90.0 * turn + 90), side if rng.random() < 0.7 else side / 3, color)


def _bars(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    _, first, second, _ = colors
    lean, n_bars = rng.uniform(0.35, 0.7), int(rng.integers(6, 9))
    pitch = (WIDTH - 2 * _EDGE) / n_bars
    accent = int(rng.integers(1, n_bars - 1))
    for n in range(n_bars):
        left, thick = _EDGE + n * pitch, pitch * (0.25 + 0.6 * n / n_bars)
        top, bottom = 70 + lean * 14 * n, 352 - lean * 22 * (n_bars - n)
        color = second if n == accent else first
        canvas.polygon(
            [(left, top + pitch * lean), (left + thick, top), (left + thick, bottom - pitch * lean), (left, bottom)],
            color,
        )


def _arcs(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    _, first, second, _ = colors
    n_arcs, x = int(rng.integers(5, 8)), rng.choice([_EDGE, WIDTH - _EDGE])
    angles = (270.0, 360.0) if x == _EDGE else (180.0, 270.0)
    reach = WIDTH - 2 * _EDGE
    accent = int(rng.integers(1, n_arcs))
    for n in range(n_arcs):
        canvas.arc(
            float(x), 362, reach * (1 - n / n_arcs), angles, reach / n_arcs * 0.55, second if n == accent else first
        )


_COMPOSITIONS = (_eclipse, _tiles, _arcs, _bars)
