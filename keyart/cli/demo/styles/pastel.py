"""Romantic pastel: a soft sky, sun or moon over still water, light slanted type."""

from __future__ import annotations

import numpy as np

from keyart.cli.demo.canvas import HEIGHT, SCALE, WIDTH, Canvas, mix
from keyart.cli.demo.card import Card, Palette
from keyart.cli.demo.lettering import Face, break_title, set_block
from keyart.cli.demo.shapes import smooth

_SCRIPT = Face(weight=0.0, width=0.82, slant=0.3, tracking=-0.01, capitals=False)


def draw(card: Card, rng: np.random.Generator) -> Canvas:
    colors = card.palette
    above, below, _, land = colors
    canvas = Canvas(above)
    canvas.wash([(0, above), (0.6, below), (1, mix(below, above, 0.5))])
    card.compose(canvas, _COMPOSITIONS, rng)
    dark = mix(land, "#3b2a4a", 0.55)
    title = set_block(break_title(card.title, 2 if len(card.title) < 22 else 3), _SCRIPT, WIDTH - 60, 92, leading=0.98)
    canvas.center(title, 40, dark)
    canvas.center(
        set_block([card.tagline], Face(width=0.9, slant=0.2, capitals=False, tracking=0.02), 230, 10),
        50 + title.height / SCALE,
        dark,
    )
    canvas.haze([(-30, 478), (WIDTH + 30, 478), (WIDTH + 30, 540), (-30, 540)], below, 14, 0.75)
    canvas.center(card.billing(200), 478, dark)
    return canvas


def _clouds(canvas: Canvas, light: str, top: float, bottom: float, rng: np.random.Generator) -> None:
    for _ in range(7):
        x, y, wide = rng.uniform(0, WIDTH), rng.uniform(top, bottom), rng.uniform(50, 120)
        canvas.haze(
            smooth([(x - wide, y), (x - wide * 0.3, y - 9), (x + wide * 0.4, y - 6), (x + wide, y), (x, y + 6)]),
            light,
            5,
            0.55,
        )


def _gulls(canvas: Canvas, fill: str, rng: np.random.Generator) -> None:
    x, y = rng.uniform(60, 240), rng.uniform(190, 230)
    for _ in range(5):
        a, b, s = x + rng.uniform(-40, 60), y + rng.uniform(-24, 24), rng.uniform(5, 9)
        canvas.line(
            smooth(
                [
                    (a - s, b - s * 0.3),
                    (a - s * 0.5, b - s * 0.6),
                    (a, b),
                    (a + s * 0.5, b - s * 0.6),
                    (a + s, b - s * 0.3),
                ],
                closed=False,
            ),
            1.3,
            fill,
        )


def _sun_on_water(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    above, below, light, land = colors
    x, horizon, radius = rng.uniform(110, 232), rng.uniform(318, 345), rng.uniform(50, 66)
    _clouds(canvas, light, 170, 290, rng)
    canvas.glow(x, horizon - 14, 190, light, 0.95)
    canvas.disc(x, horizon - 14, radius, light)
    canvas.wash([(0, mix(below, land, 0.35)), (1, mix(above, land, 0.3))], horizon, HEIGHT)
    for n in range(34):
        y = horizon + 3 + n * 4.6
        half = radius * (1 - 0.012 * n) * rng.uniform(0.3, 1.0)
        shift = rng.uniform(-0.3, 0.3) * half
        canvas.ellipse(x + shift, y, half, 1.2 + n * 0.04, light + "c8")
    _gulls(canvas, land, rng)
    _couple(canvas, WIDTH - x + rng.uniform(-20, 20), 470, 84, mix(land, "#3b2a4a", 0.5))


def _couple(canvas: Canvas, x: float, foot: float, tall: float, fill: str) -> None:
    for side, size in ((-1, 1.0), (1, 0.9)):
        a, height = x + side * tall * 0.11, tall * size
        canvas.disc(a - side * tall * 0.02, foot - height * 0.92, height * 0.075, fill)
        skirt = 0.16 if side > 0 else 0.085
        canvas.polygon(
            smooth(
                [
                    (a - height * 0.09, foot - height * 0.8),
                    (a + height * 0.09, foot - height * 0.8),
                    (a + height * 0.07, foot - height * 0.5),
                    (a + height * skirt, foot),
                    (a - height * skirt, foot),
                    (a - height * 0.07, foot - height * 0.5),
                ]
            ),
            fill,
        )


def _misty_hills(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    _, below, light, land = colors
    x = rng.uniform(90, 250)
    canvas.glow(x, 235, 170, light, 0.9)
    canvas.disc(x, 235, rng.uniform(34, 46), light)
    for row in range(6):
        y = 268 + row * 34
        ridge = [(float(a), y + float(rng.uniform(-24, 18))) for a in np.linspace(-40, WIDTH + 40, 7)]
        canvas.polygon(
            [*smooth(ridge, closed=False), (WIDTH + 40, HEIGHT), (-40, HEIGHT)], mix(below, land, 0.18 + row * 0.14)
        )
        canvas.haze([(-40, y + 34), (WIDTH + 40, y + 34), (WIDTH + 40, y + 52), (-40, y + 52)], light, 10, 0.5)
    tree = rng.choice([70.0, 268.0])
    canvas.line([(tree, 470), (tree + 4, 372)], 4, mix(land, "#3b2a4a", 0.4))
    for _ in range(26):
        canvas.disc(
            tree + 4 + rng.normal(0, 21),
            352 + rng.normal(0, 15),
            rng.uniform(8, 14),
            mix(land, light, float(rng.uniform(0.1, 0.6))) + "c0",
        )
    _couple(canvas, WIDTH - tree, 470, 74, mix(land, "#3b2a4a", 0.5))


def _boat(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    above, below, light, land = colors
    horizon, x, moon = rng.uniform(300, 330), rng.uniform(120, 222), rng.uniform(80, 262)
    canvas.glow(moon, 210, 120, light, 0.8)
    canvas.disc(moon, 210, 30, light)
    for row in range(2):
        hills = [
            (float(a), horizon - 22 + row * 14 + float(rng.uniform(-16, 12))) for a in np.linspace(-40, WIDTH + 40, 6)
        ]
        canvas.polygon(
            [*smooth(hills, closed=False), (WIDTH + 40, horizon + 4), (-40, horizon + 4)],
            mix(below, land, 0.25 + row * 0.2),
        )
    canvas.wash([(0, mix(below, light, 0.3)), (1, mix(above, land, 0.25))], horizon, HEIGHT)
    for _ in range(40):
        a, b = rng.uniform(0, WIDTH), rng.uniform(horizon + 6, 470)
        canvas.ellipse(a, b, rng.uniform(8, 30), 0.9, light + "90")
    y, dark = 408.0, mix(land, "#3b2a4a", 0.4)
    canvas.polygon(smooth([(x - 60, y), (x - 40, y + 20), (x + 40, y + 20), (x + 62, y - 2)], closed=False), dark)
    canvas.polygon(smooth([(x - 2, y - 4), (x - 2, y - 126), (x + 52, y - 20)]), light)
    canvas.polygon(smooth([(x - 8, y - 4), (x - 8, y - 104), (x - 40, y - 14)]), mix(light, below, 0.7))
    canvas.line([(x - 5, y + 4), (x - 5, y - 132)], 2.2, dark)
    canvas.haze([(x - 50, y + 22), (x + 50, y + 22), (x + 24, y + 60), (x - 24, y + 60)], dark, 5, 0.35)


def _petals(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    above, _, light, land = colors
    for _ in range(16):
        canvas.disc(rng.uniform(0, WIDTH), rng.uniform(150, 470), rng.uniform(10, 44), light + "38")
    stem = rng.uniform(140, 200)
    for n in range(5):
        x, y, size = (
            stem + (n - 2) * 52 + rng.uniform(-14, 14),
            285 + rng.uniform(-60, 60) + abs(n - 2) * 22,
            rng.uniform(26, 40),
        )
        canvas.line(
            smooth([(x, y), (x + (stem - x) * 0.3, y + 90), (stem + (n - 2) * 6, 466)], closed=False),
            2.4,
            mix(land, "#4f7f5a", 0.55),
        )
        turn = rng.uniform(0, 1)
        for k in range(6):
            angle = turn + k * np.pi / 3
            across = np.array([np.cos(angle), np.sin(angle)])
            side = np.array([-across[1], across[0]]) * size * 0.42
            tip, waist = across * size, across * size * 0.55
            petal = [
                (x, y),
                (x + waist[0] + side[0], y + waist[1] + side[1]),
                (x + tip[0], y + tip[1]),
                (x + waist[0] - side[0], y + waist[1] - side[1]),
            ]
            canvas.polygon(
                smooth([(float(a), float(b)) for a, b in petal]),
                mix(mix(above, land, 0.25), light, float(rng.uniform(0.1, 0.55))) + "d8",
            )
        canvas.disc(x, y, size * 0.2, mix("#ffd36e", light, 0.3))


_COMPOSITIONS = (_sun_on_water, _misty_hills, _boat, _petals)
