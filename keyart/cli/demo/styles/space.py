"""Science fiction: a starry sky, planets in gradients, a grid to the horizon, wide thin type."""

from __future__ import annotations

import numpy as np

from keyart.cli.demo.canvas import HEIGHT, SCALE, WIDTH, Canvas, mix
from keyart.cli.demo.card import Card, Palette
from keyart.cli.demo.lettering import Face, break_title, set_block
from keyart.cli.demo.shapes import Point

_WIDE = Face(weight=0.004, width=1.25, tracking=0.22)


def draw(card: Card, rng: np.random.Generator) -> Canvas:
    deep, haze, lit, second = card.palette
    canvas = Canvas(deep)
    canvas.wash([(0, deep), (0.55, mix(deep, haze, 0.45)), (1, deep)])
    _nebula(canvas, haze, second, rng)
    _stars(canvas, lit, rng)
    card.compose(canvas, _COMPOSITIONS, rng)
    title = set_block(break_title(card.title, 2 if len(card.title) < 20 else 3), _WIDE, WIDTH - 56, 74, leading=1.15)
    canvas.center(title, 34, "#ffffff")
    canvas.center(set_block([card.tagline], Face(width=0.95, tracking=0.12), 240, 8), 46 + title.height / SCALE, second)
    canvas.haze([(-20, 476), (WIDTH + 20, 476), (WIDTH + 20, 550), (-20, 550)], deep, 10)
    canvas.center(card.billing(200), 475, "#e6ecff")
    return canvas


def _nebula(canvas: Canvas, haze: str, second: str, rng: np.random.Generator) -> None:
    x, y, drift = rng.uniform(0, WIDTH), rng.uniform(80, 200), rng.uniform(-0.9, 0.9)
    for n in range(9):
        color = mix(haze, second, rng.uniform(0, 0.5))
        canvas.glow(x + (n - 4) * 38, y + (n - 4) * 38 * drift + rng.uniform(-30, 30), rng.uniform(60, 120), color, 0.4)


def _stars(canvas: Canvas, lit: str, rng: np.random.Generator) -> None:
    # Small ones only behind the title: it is of thin letters.
    for x, y, size in zip(rng.uniform(0, WIDTH, 260), rng.uniform(0, HEIGHT, 260), rng.pareto(3, 260), strict=True):
        canvas.disc(
            x, y, min(1.6 if y > 150 else 0.5, 0.35 + size * 0.6), mix("#ffffff", lit, float(rng.uniform(0, 0.6)))
        )
    for _ in range(5):
        x, y, reach = rng.uniform(10, WIDTH - 10), rng.uniform(160, 400), rng.uniform(5, 10)
        canvas.glow(x, y, reach * 1.4, "#ffffff", 0.5)
        canvas.polygon([(x - reach, y), (x, y - 0.9), (x + reach, y), (x, y + 0.9)], "#ffffff")
        canvas.polygon([(x, y - reach), (x + 0.9, y), (x, y + reach), (x - 0.9, y)], "#ffffff")


def _rising_world(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    deep, haze, lit, second = colors
    x, radius = rng.uniform(40, 302), rng.uniform(150, 290)
    y = rng.uniform(285, 325) + radius
    canvas.glow(x, y, radius * 1.28, lit, 0.95)
    canvas.sphere(x, y, radius, mix(lit, haze, 0.2), deep, (rng.uniform(-0.5, 0.5), -0.95), 0.1)
    canvas.arc(x, y, radius + 1, (190, 350), 2, mix(lit, "#ffffff", 0.6))
    moon = rng.uniform(60, 282)
    canvas.sphere(moon, rng.uniform(190, 225), rng.uniform(24, 40), second, mix(deep, haze, 0.4), (-0.6, -0.5))
    _rocket(canvas, WIDTH - moon, 272, lit)


def _grid_horizon(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    deep, haze, lit, second = colors
    horizon, x, radius = rng.uniform(318, 345), rng.uniform(130, 212), rng.uniform(86, 104)
    canvas.glow(x, horizon - 40, radius * 1.9, second, 0.8)
    canvas.sphere(x, horizon - 46, radius, lit, second, (0, -0.8))
    for n in range(7):
        top = horizon - 46 - radius * 0.25 + n * n * 2.2 + n * 9
        canvas.rectangle((x - radius, top, x + radius, top + 1 + n * 0.95), mix(deep, haze, 0.55))
    canvas.wash([(0, mix(deep, haze, 0.6)), (1, deep)], horizon, HEIGHT)
    for n in range(12):
        y = horizon + 2 + 1.7 * n**2
        canvas.line([(0, y), (WIDTH, y)], 0.8 + n * 0.12, second)
    for n in range(-14, 15):
        canvas.line([(x + n * 13, horizon), (x + n * 78, HEIGHT)], 1.1, second)


def _ringed_world(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    deep, haze, lit, second = colors
    x, y, radius, tilt = rng.uniform(140, 200), rng.uniform(285, 320), rng.uniform(78, 94), rng.uniform(-0.55, 0.55)
    canvas.glow(x, y, radius * 2.0, haze, 0.9)
    for front in (False, True):
        if front:
            canvas.sphere(x, y, radius, lit, deep, (-0.65, -0.4))
        for n, inner in enumerate(np.linspace(1.3, 1.95, 9)):
            band = _half_ring(x, y, radius * inner, radius * (inner + (0.05 if n == 5 else 0.085)), tilt, front)
            canvas.polygon(band, mix(lit, second, n / 8) + "e0")
    canvas.sphere(WIDTH - x + rng.uniform(-60, 60), 430, rng.uniform(16, 26), second, deep, (-0.6, -0.4))


def _half_ring(x: float, y: float, inner: float, outer: float, tilt: float, front: bool) -> list[Point]:
    angles = np.linspace(0, np.pi, 60) + (0 if front else np.pi)
    radii = np.repeat([inner, outer], 60)
    angles = np.concatenate([angles, angles[::-1]])
    across, down = np.cos(angles) * radii, np.sin(angles) * radii * 0.27
    points = zip(
        x + across * np.cos(tilt) - down * np.sin(tilt), y + across * np.sin(tilt) + down * np.cos(tilt), strict=True
    )
    return [(float(a), float(b)) for a, b in points]


def _procession(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    deep, haze, lit, second = colors
    side = rng.choice([-1, 1])
    for n in range(6):
        share = n / 5
        x = WIDTH / 2 + side * (150 * share - 95) * (1 - 0.2 * share) + rng.uniform(-8, 8)
        y, radius = 445 - 265 * share**0.8, 92 * (1 - share) ** 1.3 + 7
        canvas.glow(x, y, radius * 1.35, mix(lit, second, share), 0.5)
        canvas.sphere(x, y, radius, mix(lit, second, share), mix(deep, haze, 0.25), (-0.55 * side, -0.55))
    _rocket(canvas, WIDTH / 2 + side * 105, 395, lit)


def _rocket(canvas: Canvas, x: float, y: float, lit: str) -> None:
    for n in range(14):
        canvas.glow(x - n * 3.4, y + n * 5.6, 5 + n * 0.9, mix("#ffffff", lit, n / 13), 0.8 - n * 0.05)
    canvas.polygon([(x + 11, y - 19), (x + 5, y + 5), (x - 6, y - 1)], "#ffffff")


_COMPOSITIONS = (_rising_world, _grid_horizon, _ringed_world, _procession)
