"""Horror: black and blood red, something that looks back, dripping type."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from keyart.cli.demo.canvas import SCALE, WIDTH, Canvas, mix
from keyart.cli.demo.card import Card, Palette
from keyart.cli.demo.lettering import Face, break_title, set_justified
from keyart.cli.demo.shapes import outline, ragged, smooth

_BAT = outline("0,0 -1,-.6 -2,.2 -1,0 0,.6 1,0 2,.2 1,-.6")
_NARROW = Face(weight=0.02, width=0.7, tracking=0.02)


def draw(card: Card, rng: np.random.Generator) -> Canvas:
    black, blood, pale = card.palette
    canvas = Canvas(black)
    card.compose(canvas, _COMPOSITIONS, rng)
    _drip_from_above(canvas, black, rng)
    canvas.haze([(-40, 420), (WIDTH + 40, 420), (WIDTH + 40, 560), (-40, 560)], black, 22, 0.95)
    canvas.roughen(rng, 8)
    title = set_justified(break_title(card.title, 2 if len(card.title) > 9 else 1), _NARROW, WIDTH - 48, 72, 6)
    canvas.center(_dripping(title, rng), 388, mix(blood, "#ff4a2e", 0.55))
    canvas.center(card.billing(200), 479, mix(black, pale, 0.75))
    return canvas


def _dripping(type_: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Add drops that run down from the lower edge of type."""
    depth = 16 * SCALE
    wet = Image.new("L", (type_.width, type_.height + depth))
    wet.paste(type_, (0, 0))
    inked = np.asarray(type_) > 200
    drops = Image.new("L", wet.size)
    draw = ImageDraw.Draw(drops)
    for x in rng.choice(np.flatnonzero(inked.any(axis=0)), 16, replace=False):
        foot, half = int(np.flatnonzero(inked[:, x])[-1]), int(rng.integers(2, 4))
        length = int(rng.uniform(0.25, 0.92) * depth)
        span = (max(half, min(int(x), type_.width - half - 1)) - half, foot - 4)
        draw.rounded_rectangle((*span, span[0] + 2 * half, min(foot + length, wet.height - 1)), half, fill=255)
    return ImageChops.lighter(wet, drops)


def _drip_from_above(canvas: Canvas, black: str, rng: np.random.Generator) -> None:
    canvas.rectangle((0, 0, WIDTH, 16), black)
    x = 0.0
    while x < WIDTH:
        half, length = rng.uniform(3, 8), 12 + rng.exponential(24)
        canvas.rectangle((x - half, 0, x + half, length), black)
        canvas.ellipse(x, length, half, half * 1.3, black)
        canvas.polygon([(x - half - 7, 15), (x - half, 26), (x + half, 26), (x + half + 7, 15)], black)
        x += rng.uniform(13, 26)


def _eye(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    black, blood, pale = colors
    x, y, half = rng.uniform(155, 187), rng.uniform(175, 235), rng.uniform(96, 146)
    canvas.wash([(0, mix(black, blood, 0.55)), (0.5, blood), (1, black)], 0, 420)
    for n in range(5):
        lid = half + 12 + n * 13
        canvas.haze(
            smooth([(x - lid, y), (x, y - lid * (0.62 + n * 0.04)), (x + lid, y), (x, y + lid * 0.6)]), black, 2, 0.28
        )
    almond = smooth(
        [
            (x - half, y),
            (x - half * 0.5, y - half * 0.46),
            (x + half * 0.1, y - half * 0.58),
            (x + half * 0.62, y - half * 0.4),
            (x + half, y),
            (x + half * 0.5, y + half * 0.4),
            (x - half * 0.4, y + half * 0.44),
        ]
    )
    canvas.polygon(almond, pale)
    for angle in rng.uniform(0, 2 * np.pi, 26):
        reach, bend = rng.uniform(0.55, 0.95), rng.uniform(-0.2, 0.2)
        path = [
            (x + half * r * np.cos(angle + bend * r) * 0.98, y + half * r * 0.42 * np.sin(angle + bend * r))
            for r in (1.0, 0.8, reach * 0.6)
        ]
        canvas.line([(float(a), float(b)) for a, b in path], rng.uniform(0.6, 1.4), blood)
    radius = half * 0.43
    canvas.disc(x, y - 4, radius, mix(blood, black, 0.2))
    for angle in np.linspace(0, 2 * np.pi, 60):
        tip = (x + radius * 0.93 * np.cos(angle), y - 4 + radius * 0.93 * np.sin(angle))
        canvas.line([(x, y - 4), tip], 1.2, mix(blood, pale, float(rng.uniform(0.1, 0.6))))
    canvas.ellipse(x, y - 4, radius * rng.uniform(0.18, 0.5), radius * 0.72, black)
    canvas.disc(x - radius * 0.4, y - 4 - radius * 0.45, radius * 0.15, "#ffffff")


def _claws(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    black, blood, pale = colors
    canvas.wash([(0, mix(black, blood, 0.35)), (0.6, mix(black, blood, 0.75)), (1, black)], 0, 430)
    n_claws, lean = int(rng.integers(3, 6)), rng.uniform(0.05, 0.4)
    pitch = 220 / n_claws
    left = WIDTH / 2 - pitch * (n_claws - 1) / 2
    for n in range(n_claws):
        x, top, bottom = left + n * pitch, 60 + abs(n - 1.5) * 26 + rng.uniform(-10, 10), 388 - abs(n - 1.3) * 32
        middle, half = (top + bottom) / 2, rng.uniform(11, 15)
        gash = [
            (x - lean * 150, top),
            (x + half, middle - 30),
            (x + half * 0.8, middle + 50),
            (x + lean * 150, bottom),
            (x - half * 0.9, middle + 20),
            (x - half, middle - 60),
        ]
        canvas.haze(gash, "#ff7a3a", 12, 0.4)
        canvas.polygon(ragged(gash, rng, 3, 11), black)
        inner = [(x + (a - x) * 0.62, middle + (b - middle) * 0.9) for a, b in gash]
        canvas.polygon(ragged(inner, rng, 1.5, 12), mix(blood, "#ff8a4a", 0.6))
    y = rng.uniform(150, 230)
    for x in (left + pitch / 2, left + pitch * (n_claws - 1.5)):
        canvas.glow(x, y, 26, pale, 0.9)
        canvas.ellipse(x, y, 11, 8, pale)
        canvas.ellipse(x, y, 2.4, 8, black)


def _house(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    black, blood, pale = colors
    moon, far = rng.uniform(70, 272), rng.uniform(52, 96)
    canvas.wash([(0, mix(black, blood, 0.4)), (0.7, blood), (1, mix(black, blood, 0.3))], 0, 430)
    canvas.glow(moon, 150, 190, mix(blood, pale, 0.4), 0.8)
    canvas.disc(moon, 150, far, mix(pale, blood, 0.15))
    x, top = WIDTH / 2 + rng.uniform(-40, 40), 330.0
    hill = [(-30, 420), (60, 378), (x - 60, top + 20), (x + 70, top + 18), (290, 372), (WIDTH + 30, 430)]
    canvas.polygon(smooth([*hill, (WIDTH + 30, 470), (-30, 470)]), black)
    for across, wide, tall in ((-52, 34, 96), (-8, 62, 72), (44, 28, 130)):
        left, ridge = x + across - wide / 2, top - tall + 10
        canvas.rectangle((left, ridge, left + wide, top + 40), black)
        tip = (left + wide / 2 + rng.uniform(-4, 4), ridge - wide * 0.9)
        canvas.polygon([(left - 6, ridge + 2), tip, (left + wide + 6, ridge + 2)], black)
        canvas.rectangle((left + wide / 2 - 4, ridge + 16, left + wide / 2 + 4, ridge + 32), mix(pale, "#ffb020", 0.5))
    for side in (-1, 1):
        _bare_tree(canvas, WIDTH / 2 + side * rng.uniform(130, 150), 420, 62, -np.pi / 2 - side * 0.12, black, rng)
    for _ in range(7):
        _bat(canvas, rng.uniform(40, 300), rng.uniform(80, 230), rng.uniform(5, 10), black)


def _bat(canvas: Canvas, x: float, y: float, size: float, fill: str) -> None:
    canvas.polygon([(x + across * size, y + down * size) for across, down in _BAT], fill)


def _bare_tree(
    canvas: Canvas, x: float, y: float, reach: float, angle: float, fill: str, rng: np.random.Generator
) -> None:
    if reach < 7:
        return
    tip = (x + reach * np.cos(angle), y + reach * np.sin(angle))
    canvas.line([(x, y), tip], reach * 0.14, fill)
    for turn in (rng.uniform(-0.75, -0.2), rng.uniform(0.2, 0.75)):
        _bare_tree(canvas, *tip, reach * rng.uniform(0.64, 0.8), angle + turn, fill, rng)


def _maw(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    black, blood, pale = colors
    x, y = rng.uniform(155, 187), rng.uniform(205, 225)
    canvas.wash([(0, black), (0.5, blood), (1, black)], 0, 430)
    wide, tall = rng.uniform(128, 142), rng.uniform(104, 124)
    lips = smooth(
        [
            (x - wide, y - 12),
            (x - wide * 0.4, y - tall),
            (x, y - tall * 0.86),
            (x + wide * 0.4, y - tall),
            (x + wide, y - 12),
            (x + wide * 0.5, y + tall * 0.86),
            (x, y + tall),
            (x - wide * 0.5, y + tall * 0.86),
        ]
    )
    canvas.haze(lips, mix(blood, "#ff5a3c", 0.5), 9, 0.9)
    canvas.polygon(lips, black)
    canvas.haze(smooth([(x - 56, y + tall * 0.8), (x, y + tall * 0.28), (x + 56, y + tall * 0.8)]), blood, 5, 0.9)
    n_teeth = int(rng.integers(7, 12))
    for n in range(n_teeth):
        share = (n + 0.5) / n_teeth
        a = x - wide * 0.84 + share * wide * 1.68
        drop = np.sin(np.pi * share)
        long = rng.uniform(0.55, 1.0)
        up, down = y - 4 - (tall * 0.92) * drop**0.6, y - 4 + (tall * 0.92) * drop**0.6
        canvas.polygon(
            [(a - 14, up - 6), (a + 14, up - 6), (a + rng.uniform(-5, 5), up + (26 + 50 * drop) * long)], pale
        )
        canvas.polygon(
            [(a - 12, down + 6), (a + 12, down + 6), (a + rng.uniform(-5, 5), down - (18 + 34 * drop) * long)],
            mix(pale, blood, 0.18),
        )


_COMPOSITIONS = (_eye, _house, _claws, _maw)
