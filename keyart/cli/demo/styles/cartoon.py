"""Children's cartoon: bright flat colors, round creatures with large eyes, bouncing type."""

from __future__ import annotations

import numpy as np

from keyart.cli.demo.canvas import HEIGHT, SCALE, WIDTH, Canvas, mix
from keyart.cli.demo.card import Card, Palette
from keyart.cli.demo.lettering import Face, break_title, set_block, swell
from keyart.cli.demo.shapes import ring, smooth

_INK = "#2b2140"
_ROUND = Face(weight=0.06, tracking=0.04, width=0.95)


def draw(card: Card, rng: np.random.Generator) -> Canvas:
    colors = card.palette
    canvas = Canvas(colors[0])
    canvas.wash([(0, colors[0]), (1, mix(colors[0], "#ffffff", 0.55))], 0, 400)
    card.compose(canvas, _COMPOSITIONS, rng)
    lines = break_title(card.title, 2 if len(card.title) < 18 else 3)
    title = set_block(lines, _ROUND, WIDTH - 52, 106, leading=1.02, rng=rng)
    left = (WIDTH - title.width / SCALE) / 2
    canvas.letter(swell(title, 6), left - 6, 26 - 6 + 3, _INK)
    canvas.letter(swell(title, 3.5), left - 3.5, 26 - 3.5, "#ffffff")
    canvas.letter(title, left, 26, colors[4])
    canvas.center(card.billing(200), 477, _INK)
    return canvas


def _eye(canvas: Canvas, x: float, y: float, radius: float, look: tuple[float, float]) -> None:
    canvas.disc(x, y, radius + 1.6, _INK)
    canvas.disc(x, y, radius, "#ffffff")
    canvas.disc(x + look[0] * radius * 0.4, y + look[1] * radius * 0.4, radius * 0.52, _INK)
    canvas.disc(
        x + look[0] * radius * 0.4 - radius * 0.16, y + look[1] * radius * 0.4 - radius * 0.2, radius * 0.17, "#ffffff"
    )


def _creature(canvas: Canvas, x: float, y: float, size: float, fill: str, rng: np.random.Generator) -> None:
    for side in (-1, 1):
        foot = x + side * size * 0.4
        canvas.ellipse(foot, y + size * 1.05, size * 0.27, size * 0.14, mix(fill, _INK, 0.35))
        hand = (x + side * size * 1.25, y - size * rng.uniform(-0.2, 0.5))
        canvas.line([(x + side * size * 0.7, y + size * 0.2), hand], size * 0.17, mix(fill, _INK, 0.12))
        canvas.disc(*hand, size * 0.16, mix(fill, _INK, 0.12))
        _ear(canvas, x, y, size, side, fill, int(size * 10) % 3)
    outline = smooth(ring(x, y, rng.uniform(0.9, 1.06, 9) * size, rng.uniform(0, 1)))
    canvas.polygon(outline, fill)
    canvas.ellipse(x, y + size * 0.5, size * 0.52, size * 0.42, mix(fill, "#ffffff", 0.45))
    look = (float(rng.uniform(-0.8, 0.8)), float(rng.uniform(-0.5, 0.6)))
    n_eyes = int(rng.choice([1, 2, 2, 3]))
    for n in range(n_eyes):
        _eye(
            canvas,
            x + (n - (n_eyes - 1) / 2) * size * 0.56,
            y - size * 0.28,
            size * (0.36 if n_eyes == 1 else 0.25),
            look,
        )
    canvas.ellipse(x, y + size * 0.24, size * 0.3, size * 0.17, _INK)
    canvas.ellipse(x, y + size * 0.17, size * 0.34, size * 0.12, fill)
    canvas.ellipse(x, y + size * 0.36, size * 0.14, size * 0.06, "#ff7d8d")
    for side in (-1, 1):
        canvas.ellipse(x + side * size * 0.6, y + size * 0.08, size * 0.15, size * 0.09, "#ff5f7a70")


def _ear(canvas: Canvas, x: float, y: float, size: float, side: int, fill: str, kind: int) -> None:
    shade = mix(fill, _INK, 0.12)
    if kind == 0:
        canvas.disc(x + side * size * 0.65, y - size * 0.82, size * 0.3, shade)
    elif kind == 1:
        tip = (x + side * size * 0.8, y - size * 1.4)
        canvas.polygon([(x + side * size * 0.2, y - size * 0.85), tip, (x + side * size * 0.85, y - size * 0.5)], shade)
    else:
        tip = (x + side * size * 0.55, y - size * 1.35)
        canvas.line([(x + side * size * 0.3, y - size * 0.8), tip], size * 0.08, shade)
        canvas.disc(*tip, size * 0.14, shade)


def _cloud(canvas: Canvas, x: float, y: float, size: float) -> None:
    for across, up, radius in ((-1.0, 0.0, 0.55), (-0.3, 0.35, 0.75), (0.5, 0.2, 0.65), (1.05, 0.0, 0.45)):
        canvas.disc(x + across * size, y - up * size, radius * size, "#ffffffe0")


def _hill(canvas: Canvas, y: float, fill: str, rng: np.random.Generator) -> None:
    top = [(float(x), y + float(rng.uniform(-22, 22))) for x in np.linspace(-40, WIDTH + 40, 6)]
    canvas.polygon([*smooth(top, closed=False), (WIDTH + 40, HEIGHT), (-40, HEIGHT)], fill)


def _meadow(canvas: Canvas, fill: str, rng: np.random.Generator) -> None:
    _hill(canvas, 350, mix(fill, "#ffffff", 0.3), rng)
    _hill(canvas, 400, fill, rng)
    for x, y in zip(rng.uniform(8, WIDTH - 8, 24), rng.uniform(425, 470, 24), strict=True):
        petal = str(rng.choice(["#ffffff", "#ffec6e", "#ff8fb8"]))
        for a, b in ring(float(x), float(y), [3.2] * 5):
            canvas.disc(a, b, 2.3, petal)
        canvas.disc(float(x), float(y), 2, "#ffb300")


def _giant(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    for _ in range(3):
        _cloud(canvas, rng.uniform(20, WIDTH - 20), rng.uniform(140, 220), rng.uniform(18, 30))
    _meadow(canvas, colors[1], rng)
    _creature(canvas, rng.uniform(150, 192), 320, rng.uniform(104, 116), colors[2], rng)
    _creature(canvas, rng.choice([52.0, 290.0]), 430, 26, colors[3], rng)


def _friends(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    x = rng.choice([70.0, 272.0])
    for a, b in ring(x, 190, [64.0] * 14, rng.uniform(0, 1)):
        canvas.line([(x, 190), (a, b)], 7, "#fff2a0")
    canvas.disc(x, 190, 44, "#ffe45c")
    _meadow(canvas, colors[1], rng)
    _creature(canvas, 112 + rng.uniform(-8, 8), 352, rng.uniform(62, 74), colors[2], rng)
    _creature(canvas, 240 + rng.uniform(-8, 8), 382, rng.uniform(44, 56), colors[3], rng)


def _balloons(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    _meadow(canvas, colors[1], rng)
    for n, (x, y) in enumerate(((88, 240), (250, 222), (172, 330))):
        at, up, size = x + rng.uniform(-12, 12), y + rng.uniform(-12, 12), rng.uniform(44, 56)
        fill = colors[2 + n % 2] if n < 2 else mix(colors[2], colors[3], 0.5)
        canvas.line([(at - 8, up + size * 0.9), (at - 8, up + size * 1.55)], 1.4, _INK)
        canvas.line([(at + 8, up + size * 0.9), (at + 8, up + size * 1.55)], 1.4, _INK)
        canvas.disc(at, up, size, fill)
        for share in (0.68, 0.32):
            canvas.ellipse(at, up, size * share, size, mix(fill, "#ffffff", 0.28 if share > 0.5 else 0.5))
        canvas.rectangle((at - 14, up + size * 1.5, at + 14, up + size * 1.5 + 19), "#a8672f")
        _eye(canvas, at - 8, up + size * 1.42, 7, (float(rng.uniform(-1, 1)), 0.3))
        _eye(canvas, at + 8, up + size * 1.42, 7, (float(rng.uniform(-1, 1)), 0.3))
    for _ in range(3):
        _cloud(canvas, rng.uniform(20, WIDTH - 20), rng.uniform(150, 380), rng.uniform(13, 22))


def _sea(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    _cloud(canvas, rng.uniform(40, 120), 180, 24)
    _cloud(canvas, rng.uniform(220, 300), 215, 18)
    boat = rng.uniform(150, 190)
    canvas.line([(boat + 44, 372), (boat + 44, 190)], 6, "#8a5a2b")
    canvas.polygon([(boat + 50, 196), (boat + 50, 300), (boat + 122, 286)], colors[3])
    _creature(canvas, boat - 24, 312, rng.uniform(58, 66), colors[2], rng)
    hull = [(boat - 112, 352), (boat + 118, 352), (boat + 84, 432), (boat - 78, 432)]
    canvas.polygon(hull, "#b5652a")
    canvas.rectangle((boat - 100, 366, boat + 106, 376), "#ffe9c9")
    for row in range(3):
        crest = [
            (float(x), 400 + row * 24 + 8 * float(np.sin(x / 15 + row * 2 + boat)))
            for x in np.arange(-10, WIDTH + 20, 4)
        ]
        canvas.polygon([*crest, (WIDTH + 20, HEIGHT), (-10, HEIGHT)], mix("#2d8fe0", "#bfe8ff", 0.15 + row * 0.3))


_COMPOSITIONS = (_giant, _friends, _balloons, _sea)
