"""Linocut: black ink on cream paper, one more color, all tones as gouge marks, heavy uneven capitals."""

from __future__ import annotations

import numpy as np

from keyart.cli.demo.canvas import HEIGHT, SCALE, WIDTH, Canvas
from keyart.cli.demo.card import Card, Palette
from keyart.cli.demo.lettering import Face, break_title, set_justified
from keyart.cli.demo.shapes import Point, outline, ragged, smooth

_FRAME = (18.0, 18.0, WIDTH - 18.0, 392.0)
_BODY = outline("-128,70 -70,10 -20,-40 20,-82 56,-92 80,-74 70,-40 62,10 20,60 -40,66")
_HEAVY = Face(weight=0.045, width=0.9, tracking=0.03)


def draw(card: Card, rng: np.random.Generator) -> Canvas:
    paper, ink, _ = card.palette
    canvas = Canvas(paper)
    left, top, right, bottom = _FRAME
    canvas.polygon(ragged([(left, top), (right, top), (right, bottom), (left, bottom)], rng, 1.6), ink)
    card.compose(canvas, _COMPOSITIONS, rng)
    _trim(canvas, paper, rng)
    lines = break_title(card.title, 2 if len(card.title) > 9 else 1)
    title = set_justified(lines, _HEAVY, WIDTH - 36, 66, 5)
    canvas.center(title, 402 + (68 - title.height / SCALE) / 2, ink)
    canvas.center(card.billing(220), 477, ink)
    canvas.roughen(rng, 5)
    return canvas


def _trim(canvas: Canvas, paper: str, rng: np.random.Generator) -> None:
    # What was carved beyond the block is cut away by hand, never quite straight.
    left, top, right, bottom = _FRAME
    for box in (
        (-9, -9, WIDTH + 9, top),
        (-9, bottom, WIDTH + 9, HEIGHT + 9),
        (-9, -9, left, HEIGHT + 9),
        (right, -9, WIDTH + 9, HEIGHT + 9),
    ):
        canvas.polygon(
            ragged([(box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3])], rng, 1.3), paper
        )


def _gouge(canvas: Canvas, x: float, y: float, angle: float, length: float, width: float, fill: str) -> None:
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    offsets = ((-0.5, 0), (-0.1, 0.5), (0.5, 0), (-0.1, -0.5))
    canvas.polygon(
        [
            (
                x + float((along * a * length + across * b * width)[0]),
                y + float((along * a * length + across * b * width)[1]),
            )
            for a, b in offsets
        ],
        fill,
    )


def _rays(canvas: Canvas, x: float, y: float, near: float, fill: str, rng: np.random.Generator) -> None:
    for angle in np.linspace(0, 2 * np.pi, 56, endpoint=False):
        start = near
        while start < 420:
            length = rng.uniform(24, 52)
            turn = angle + rng.uniform(-0.02, 0.02)
            middle = start + length / 2
            _gouge(
                canvas, x + middle * np.cos(turn), y + middle * np.sin(turn), turn, length, 1.5 + start * 0.021, fill
            )
            start += length + rng.uniform(1, 6)


def _hatch(canvas: Canvas, ridge: list[Point], fill: str, lean: float, rng: np.random.Generator) -> None:
    for (x, y), n in zip(ridge, range(len(ridge)), strict=True):
        for row in range(7):
            reach = 20 + row * 6
            drop = 12 + row * 24 + 5 * (n % 3) + rng.uniform(-3, 3)
            _gouge(
                canvas, x + lean * drop * 0.4, y + drop, np.pi / 2 - lean * 0.5, reach * 0.55, 1.7 + row * 0.25, fill
            )


def _mountains(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    paper, ink, second = colors
    x, y = rng.uniform(110, 232), rng.uniform(110, 150)
    _rays(canvas, x, y, 58, paper, rng)
    canvas.disc(x, y, 48, second)
    for row in range(3):
        ridge = [(float(a), 225 + row * 52 + float(rng.uniform(-42, 42))) for a in np.linspace(-20, WIDTH + 20, 7)]
        xs, ys = [x for x, _ in ridge], [y for _, y in ridge]
        fine = [(float(a), float(np.interp(a, xs, ys))) for a in np.arange(0, WIDTH, 7.5)]
        canvas.polygon([*ridge, (WIDTH + 20, 400), (-20, 400)], second if row == 1 else ink)
        canvas.line(ridge, 3, paper)
        _hatch(canvas, fine, paper, (-1, 1)[row % 2] * 0.7, rng)


def _sea(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    paper, ink, second = colors
    moon, boat, deck = rng.uniform(90, 250), rng.uniform(110, 230), rng.uniform(228, 248)
    canvas.disc(moon, 100, 44, paper)
    for y in np.arange(30, 215, 9.5):
        for x in np.arange(20, WIDTH - 10, 38):
            if np.hypot(x - moon, y - 100) > 62:
                _gouge(
                    canvas, x + rng.uniform(-12, 12), y + rng.uniform(-2, 2), rng.uniform(-0.08, 0.08), 34, 2.2, paper
                )
    canvas.polygon([(boat - 64, deck), (boat + 70, deck - 6), (boat + 44, deck + 34), (boat - 42, deck + 34)], second)
    canvas.polygon([(boat - 4, deck - 8), (boat - 4, deck - 122), (boat + 58, deck - 16)], paper)
    canvas.polygon([(boat - 10, deck - 8), (boat - 10, deck - 104), (boat - 50, deck - 10)], second)
    for row in range(9):
        y = 262 + row * 16
        swell = [
            (float(x), y + 7 * float(np.sin(x / (17 + row * 2) + row * 1.9))) for x in np.arange(-10, WIDTH + 20, 6)
        ]
        canvas.polygon([*swell, (WIDTH + 20, 410), (-10, 410)], second if row % 3 == 1 else ink)
        canvas.line(swell, 2.2, paper)
        for a, b in swell[row % 3 :: 3]:
            _gouge(canvas, a, b + 8, 0.25, 13, 2.4, paper)


def _forest(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    paper, ink, second = colors
    x, y = rng.uniform(110, 232), rng.uniform(120, 170)
    for radius in np.arange(70, 400, 12.5):
        for angle in np.linspace(0, 2 * np.pi, int(radius / 6), endpoint=False):
            turn = angle + rng.uniform(0, 0.1)
            _gouge(canvas, x + radius * np.cos(turn), y + radius * np.sin(turn), turn + np.pi / 2, 30, 3.4, paper)
    canvas.disc(x, y, 58, second)
    for trunk in np.linspace(34, 308, int(rng.integers(5, 8))) + rng.uniform(-12, 12):
        half, lean = rng.uniform(6, 15), rng.uniform(-16, 16)
        for cut, fill in ((3.5, paper), (0.0, ink)):
            foot, head = half + cut, half * 0.45 + cut
            canvas.polygon(
                [(trunk - foot, 400), (trunk + lean - head, 0), (trunk + lean + head, 0), (trunk + foot, 400)], fill
            )
        for bark in range(26, 390, 15):
            _gouge(
                canvas,
                trunk + lean * (1 - bark / 400),
                bark,
                np.pi / 2 + rng.uniform(-0.2, 0.2),
                12,
                half * 0.34,
                paper,
            )
        _boughs(canvas, trunk, lean, (paper, ink), rng)
    canvas.polygon(
        smooth([(-20, 372), (90, 352), (200, 366), (WIDTH + 20, 346), (WIDTH + 20, 420), (-20, 420)]), second
    )


def _boughs(canvas: Canvas, trunk: float, lean: float, colors: tuple[str, str], rng: np.random.Generator) -> None:
    for bough in np.arange(70, 300, 58) + rng.uniform(-16, 16):
        side, reach = rng.choice([-1, 1]), rng.uniform(26, 54)
        root = trunk + lean * (1 - bough / 400)
        for cut, fill in zip((2.6, 0.0), colors, strict=True):
            tip = (root + side * (reach + cut), bough - reach * 0.75 - cut)
            canvas.polygon([(root, bough + 7 + cut), tip, (root, bough - 3 - cut)], fill)


def _raven(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    paper, ink, second = colors
    turn, x, y = rng.choice([-1, 1]), rng.uniform(150, 190), rng.uniform(195, 215)

    def at(across: float, down: float) -> Point:
        return x + turn * across, y + down

    _rays(canvas, x, y, 20, paper, rng)
    canvas.disc(x, y, 122, second)
    canvas.polygon(smooth([at(*corner) for corner in _BODY]), ink)
    canvas.polygon([at(74, -86), at(124, -62), at(72, -56)], ink)
    canvas.disc(*at(58, -74), 6, paper)
    canvas.disc(*at(59, -74), 2.6, ink)
    for row in range(5):
        for n in range(7 - row):
            a, b = at(-92 + n * 20 + row * 15, 48 - n * 12 - row * 4 + row * 6)
            _gouge(canvas, a, b, (np.pi - 0.6) if turn > 0 else 0.6, 21, 4.4, paper)
    for leg in (-16, 14):
        canvas.line([at(leg, 50), at(leg + 4, 116)], 5, ink)
    canvas.polygon(ragged([(0, y + 110), (WIDTH, y + 96), (WIDTH, y + 124), (0, y + 132)], rng, 3), ink)
    for n in range(12):
        _gouge(canvas, 20 + n * 28, y + 119 - n, rng.uniform(-0.2, 0.1), 24, 2.4, paper)


_COMPOSITIONS = (_mountains, _sea, _forest, _raven)
