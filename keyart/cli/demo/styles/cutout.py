"""Cut paper: flat strong colors, shapes cut by hand and laid askew, type on torn strips."""

from __future__ import annotations

import numpy as np

from keyart.cli.demo.canvas import SCALE, WIDTH, Canvas
from keyart.cli.demo.card import Card, Palette
from keyart.cli.demo.lettering import Face, break_title, rotated, set_block
from keyart.cli.demo.shapes import Point, ragged, ring

_BLOCK = Face(weight=0.03, width=0.72, tracking=0.03)


def draw(card: Card, rng: np.random.Generator) -> Canvas:
    ground, _, _, black, letters = card.palette
    canvas = Canvas(ground)
    card.compose(canvas, _COMPOSITIONS, rng)
    _print_title(canvas, card, black, letters, rng)
    canvas.center(card.billing(210), 479, black)
    canvas.roughen(rng, 3)
    return canvas


def _print_title(canvas: Canvas, card: Card, strip: str, letters: str, rng: np.random.Generator) -> None:
    lines = break_title(card.title, 3 if len(card.title) > 17 else 2)
    pitch = min(44.0, 116 / len(lines))
    for n, line in enumerate(lines):
        type_ = rotated(set_block([line], _BLOCK, WIDTH - 76, pitch * 0.6, rng=rng), rng.uniform(-1.8, 1.8))
        wide, tall = type_.width / SCALE, type_.height / SCALE
        left = (WIDTH - wide) / 2 + rng.uniform(-10, 10)
        middle = 470 - (len(lines) - n - 0.5) * (pitch + 3)
        half = pitch / 2 + 1
        paper = [
            (left - 14, middle - half),
            (left + wide + 14, middle - half),
            (left + wide + 14, middle + half),
            (left - 14, middle + half),
        ]
        canvas.polygon(ragged(paper, rng, 2.2, 40), strip)
        canvas.letter(type_, left, middle - tall / 2, letters)


def _paper(canvas: Canvas, points: list[Point], fill: str, rng: np.random.Generator, amount: float = 3.5) -> None:
    canvas.polygon(ragged(points, rng, amount, 22), fill)


def _hand(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    _, first, second, black, _ = colors
    turn, x, y = rng.choice([-1, 1]), rng.uniform(140, 170), rng.uniform(196, 226)

    def at(across: float, down: float) -> Point:
        return x + turn * across, y + down

    _paper(canvas, [(20, 30), (WIDTH - 24, 22), (WIDTH - 40, 330), (32, 318)], first, rng, 6)
    _paper(canvas, [at(-58, 0), at(52, -6), at(44, 78), at(34, 150), at(-34, 150), at(-46, 84)], black, rng)
    spread = rng.uniform(6, 22)
    for n, (root, reach) in enumerate(((-46, 118), (-17, 150), (12, 142), (40, 108))):
        tip = root + (n - 1.5) * spread + rng.uniform(-6, 6)
        _paper(
            canvas, [at(root - 13, 8), at(tip - 10, -reach), at(tip + 11, -reach + 5), at(root + 13, 8)], black, rng, 2
        )
    _paper(canvas, [at(40, 66), at(98, 4 + rng.uniform(-14, 14)), at(112, 18), at(48, 104)], black, rng, 2)
    eye = at(-2, 48)
    _paper(
        canvas,
        [(eye[0] - 34, eye[1]), (eye[0], eye[1] - 19), (eye[0] + 34, eye[1]), (eye[0], eye[1] + 19)],
        second,
        rng,
        1.5,
    )
    canvas.polygon(ragged(ring(*eye, [12.0] * 10), rng, 1.0), first)
    canvas.polygon(ragged(ring(*eye, [5.0] * 7), rng, 0.8), black)


def _spiral(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    _, first, second, black, _ = colors
    x, y = rng.uniform(160, 182), rng.uniform(175, 195)
    drift = rng.uniform(-2.4, 2.4, 2)
    pitch = rng.uniform(17, 27)
    for n in range(int(158 / pitch)):
        radius = 158 - n * pitch
        center = (x + drift[0] * n * 2.4, y + drift[1] * n * 2.4)
        canvas.polygon(
            ragged(ring(*center, rng.uniform(0.93, 1.05, 13) * radius, rng.uniform(0, 1)), rng, 2.5, 20),
            (black, first)[n % 2],
        )
    fall, turn = rng.uniform(0.3, 0.9), rng.choice([-1, 1])
    _falling_man(canvas, x + turn * 40, y + rng.uniform(10, 60), rng.uniform(56, 76), fall * turn, second)


def _falling_man(canvas: Canvas, x: float, y: float, size: float, angle: float, fill: str) -> None:
    def at(across: float, down: float) -> Point:
        return (
            x + size * (across * float(np.cos(angle)) - down * float(np.sin(angle))),
            y + size * (across * float(np.sin(angle)) + down * float(np.cos(angle))),
        )

    canvas.polygon(ring(*at(0.02, -0.86), [size * 0.19] * 8), fill)
    canvas.polygon([at(-0.26, -0.62), at(0.26, -0.64), at(0.2, 0.12), at(-0.2, 0.12)], fill)
    limbs = (
        ((-0.2, -0.6), (-0.95, -0.85)),
        ((0.2, -0.6), (0.85, -1.05)),
        ((-0.1, 0.1), (-0.6, 0.98)),
        ((0.1, 0.1), (0.7, 0.75)),
    )
    for root, tip in limbs:
        canvas.polygon(
            [
                at(root[0] - 0.09, root[1]),
                at(tip[0] - 0.05, tip[1]),
                at(tip[0] + 0.09, tip[1] + 0.05),
                at(root[0] + 0.1, root[1] + 0.12),
            ],
            fill,
        )


def _stairs(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    _, first, second, black, _ = colors
    side, n_steps = rng.choice([-1, 1]), int(rng.integers(6, 9))

    def at(across: float, down: float) -> Point:
        return WIDTH / 2 + side * (across - WIDTH / 2), down

    _paper(canvas, [at(190, 26), at(WIDTH - 18, 40), at(WIDTH - 26, 200), at(204, 178)], second, rng, 5)
    _paper(canvas, ring(*at(258, 106), [46.0] * 12), first, rng, 2)
    pitch, rise = 300 / n_steps, 240 / n_steps
    for n in range(n_steps):
        left, top = 18 + n * pitch, 318 - n * rise
        _paper(
            canvas,
            [at(left, top), at(left + pitch * 1.02, top - rng.uniform(-5, 5)), at(left + pitch, 344), at(left, 344)],
            (black, first)[n % 2] if n % 3 else black,
            rng,
            2.4,
        )
    _falling_man(canvas, *at(62 + rng.uniform(0, 40), 178), 64, side * rng.uniform(-0.2, 0.3), black)


def _shards(canvas: Canvas, colors: Palette, rng: np.random.Generator) -> None:
    _, first, second, black, _ = colors
    x, y = rng.uniform(130, 212), rng.uniform(150, 200)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 17))
    for n, angle in enumerate(angles):
        near, far, wide = rng.uniform(38, 62), rng.uniform(120, 215), rng.uniform(0.05, 0.13)
        corners = [
            (angle - 0.02, near),
            (angle - wide, far),
            (angle + wide, far * rng.uniform(0.85, 1.1)),
            (angle + 0.02, near),
        ]
        _paper(
            canvas,
            [(float(x + r * np.cos(a)), float(y + r * np.sin(a))) for a, r in corners],
            (black, second, first)[n % 3],
            rng,
            2.5,
        )
    canvas.polygon(ragged(ring(x, y, rng.uniform(42, 62, 11)), rng, 3), black)
    canvas.polygon(ragged(ring(x, y, rng.uniform(20, 32, 9)), rng, 2), second)


_COMPOSITIONS = (_hand, _spiral, _stairs, _shards)
