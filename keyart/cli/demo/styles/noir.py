"""Film noir: night, one hard light, the silhouette of a man in a hat, slanted type."""

from __future__ import annotations

import numpy as np

from keyart.cli.demo.canvas import HEIGHT, SCALE, WIDTH, Canvas, mix
from keyart.cli.demo.card import Card, Palette
from keyart.cli.demo.lettering import Face, break_title, set_block
from keyart.cli.demo.shapes import Point, outline, smooth

_SLANTED = Face(weight=0.022, width=0.66, slant=0.2, tracking=0.03)
_THIN = Face(width=0.8, tracking=0.14)
_COAT = outline("-.06,.82 -.19,.76 -.23,.45 -.2,.16 .2,.16 .23,.45 .19,.76 .06,.82")
# A man in profile behind a window, around a point between his eyes and his hat.
_FACE = outline("-46,190 -52,240 -30,300 6,322 44,312 52,286 58,268 54,254 70,240 54,212 48,186")
_SHOULDERS = outline("-30,280 -40,335 -150,380 -170,450 150,450 120,376 36,335 30,300")
_CROWN = outline("-66,180 -58,120 -10,108 10,120 44,112 56,174")
_BRIM = outline("-112,196 -60,164 60,160 122,194 50,206 -50,210")
_SMOKE = outline("98,300 110,250 92,200 120,120 128,205 120,260")


def draw(card: Card, rng: np.random.Generator) -> Canvas:
    night, light, accent = card.palette
    canvas = Canvas(night)
    card.compose(canvas, _COMPOSITIONS, rng)
    canvas.wash([(0, night), (1, night)], 420, HEIGHT)
    canvas.haze([(-40, 392), (WIDTH + 40, 392), (WIDTH + 40, 460), (-40, 460)], night, 12)
    canvas.haze([(-40, -40), (WIDTH + 40, -40), (WIDTH + 40, 34), (-40, 34)], night, 8)
    canvas.roughen(rng, 9)
    title = set_block(break_title(card.title, 2), _SLANTED, WIDTH - 44, 84, leading=0.86, align="left")
    canvas.center(title, 468 - title.height / SCALE, accent)
    canvas.center(set_block([f"{card.names[1]}   {card.names[2]}"], _THIN, 250, 9), 18, light)
    canvas.center(card.billing(210), 479, mix(night, light, 0.7))
    return canvas


def _man_in_hat(canvas: Canvas, x: float, foot: float, tall: float, fill: str) -> None:
    def at(across: float, up: float) -> Point:
        return x + across * tall, foot - up * tall

    canvas.polygon([at(-0.2, 0.97), at(0.2, 0.93), at(0.19, 0.9), at(-0.2, 0.94)], fill)
    canvas.polygon(smooth([at(-0.11, 0.94), at(-0.09, 1.04), at(0.02, 1.02), at(0.1, 1.03), at(0.11, 0.92)]), fill)
    canvas.ellipse(*at(0, 0.88), 0.075 * tall, 0.09 * tall, fill)
    canvas.polygon([at(*corner) for corner in _COAT], fill)
    for side in (-1, 1):
        canvas.polygon([at(side * 0.02, 0.2), at(side * 0.16, 0.2), at(side * 0.14, 0), at(side * 0.04, 0)], fill)


def _city(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    night, light, _ = colors
    canvas.wash([(0, night), (0.75, mix(night, light, 0.32)), (1, mix(night, light, 0.5))], 0, 420)
    for _ in range(3):
        foot, head = rng.uniform(20, WIDTH - 20), rng.uniform(-60, WIDTH + 60)
        canvas.haze([(foot - 4, 380), (head - 38, -60), (head + 38, -60), (foot + 4, 380)], light, 3, 0.35)
    for row in range(3):
        fill = mix(night, light, 0.2 - row * 0.1)
        left = -10.0
        while left < WIDTH:
            breadth, top = rng.uniform(24, 54), rng.uniform(180, 300) + row * 42
            canvas.rectangle((left, top, left + breadth, 470), fill)
            if rng.random() < 0.3:
                canvas.rectangle((left + breadth / 2 - 1.5, top - 34, left + breadth / 2 + 1.5, top), fill)
            for n in range(int(rng.integers(2, 7)) if row else 0):
                x, y = left + rng.uniform(4, breadth - 8), top + 8 + 13 * (n % 9) + rng.integers(3) * 13
                canvas.rectangle((x, y, x + 4, y + 6.5), light)
            left += breadth + rng.uniform(-2, 5)
    man = rng.uniform(90, 250)
    canvas.glow(man, 330, 150, light, 0.75)
    _man_in_hat(canvas, man, 470, 225, night)


def _street_lamp(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    night, light, _ = colors
    side = rng.choice([-1, 1])
    lamp, man = WIDTH / 2 + side * rng.uniform(40, 90), WIDTH / 2 - side * rng.uniform(10, 60)
    canvas.wash([(0, night), (1, mix(night, light, 0.16))], 0, 400)
    canvas.haze([(lamp - 10, 96), (lamp + 10, 96), (lamp + 150, 400), (lamp - 150, 400)], light, 7, 0.62)
    canvas.ellipse(lamp, 402, 160, 22, mix(night, light, 0.72))
    canvas.polygon(
        [(man - 14, 398), (man + 14, 398), (man - side * 120 + 34, 440), (man - side * 120 - 34, 440)], night
    )
    canvas.line([(lamp + side * 44, 420), (lamp + side * 44, 90), (lamp + side * 30, 78), (lamp, 80)], 5, night)
    canvas.glow(lamp, 94, 90, light, 0.9)
    canvas.ellipse(lamp, 94, 13, 7, "#fffdf2")
    canvas.polygon([(lamp - 18, 90), (lamp + 18, 90), (lamp + 7, 76), (lamp - 7, 76)], night)
    _man_in_hat(canvas, man, 404, rng.uniform(210, 245), night)


def _doorway(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    night, light, _ = colors
    x, half, top = rng.uniform(100, 172), rng.uniform(36, 64), rng.uniform(64, 120)
    lean = (WIDTH / 2 - x) * 0.8 + rng.uniform(-60, 60)
    canvas.wash([(0, night), (1, mix(night, light, 0.14))], 0, 330)
    canvas.haze([(x - half, 300), (x + half, 300), (x + lean + 130, 450), (x + lean - 130, 450)], light, 4, 0.8)
    canvas.glow(x, 210, 190, light, 0.35)
    canvas.rectangle((x - half, top, x + half, 302), mix(light, "#ffffff", 0.4))
    canvas.polygon([(x - 10, 298), (x + 10, 298), (x + lean + 44, 446), (x + lean - 44, 446)], night)
    _man_in_hat(canvas, x, 304, rng.uniform(0.6, 0.88) * (302 - top), night)
    for n in range(9):
        y = 40 + n * 46 + rng.uniform(-4, 4)
        canvas.line([(0, y), (x - half - 14, 200 + (y - 200) * 0.62)], 1.2, mix(night, light, 0.22))
        canvas.line([(WIDTH, y), (x + half + 14, 200 + (y - 200) * 0.62)], 1.2, mix(night, light, 0.22))


def _blinds(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    night, light, _ = colors
    lean, pitch = rng.uniform(-0.3, 0.3), rng.uniform(27, 34)
    canvas.glow(WIDTH / 2 + lean * 200, 200, 330, mix(night, light, 0.5), 0.7)
    for n in range(-3, 19):
        top = n * pitch
        bar = [(0, top), (WIDTH, top + lean * WIDTH), (WIDTH, top + lean * WIDTH + pitch * 0.5), (0, top + pitch * 0.5)]
        canvas.haze(bar, light, 1.2, 0.85)
    x, turn = rng.uniform(130, 212), rng.choice([-1, 1])

    def at(across: float, down: float) -> Point:
        return x + turn * across, down

    for shape in (_FACE, _CROWN, _BRIM):
        canvas.polygon(smooth([at(*corner) for corner in shape]), night)
    canvas.polygon([at(*corner) for corner in _SHOULDERS], night)
    canvas.line([at(60, 292), at(98, 300)], 3.4, mix(night, light, 0.75))
    canvas.haze(smooth([at(*corner) for corner in _SMOKE]), light, 5, 0.5)


_COMPOSITIONS = (_city, _street_lamp, _doorway, _blinds)
