"""Shapes as lists of points: curves, rings, cut paper."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]


def smooth(points: Sequence[Point], closed: bool = True) -> list[Point]:
    """Return a curve through three or more points (Catmull-Rom), twelve points for each of them."""
    at = np.array([points[-1], *points, *points[:2]] if closed else [points[0], *points, points[-1]], dtype=float)
    before, start, end, after = at[:-3, None], at[1:-2, None], at[2:-1, None], at[3:, None]
    t = np.linspace(0, 1, 12, endpoint=False)[None, :, None]
    curve = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    return _points(curve.reshape(-1, 2)) + ([] if closed else [points[-1]])


def outline(corners: str) -> list[Point]:
    """Parse points written as in SVG: "0,0 10,0 10,5"."""
    pairs = (corner.split(",") for corner in corners.split())
    return [(float(x), float(y)) for x, y in pairs]


def ring(x: float, y: float, radii: Sequence[float] | NDArray[np.float64], turn: float = 0.0) -> list[Point]:
    """Return points around a center at equal angles, the first at `turn` radians clockwise from three o'clock."""
    angles = turn + np.arange(len(radii)) * 2 * np.pi / len(radii)
    return _points(np.stack([x + np.cos(angles) * radii, y + np.sin(angles) * radii], axis=1))


def ragged(points: Sequence[Point], rng: np.random.Generator, amount: float, step: float = 14.0) -> list[Point]:
    """Make a polygon look cut by hand: split its edges into cuts of length `step` that stray by up to `amount`."""
    cuts: list[NDArray[np.float64]] = []
    corners = np.array([*points, points[0]], dtype=float)
    for start, end in pairwise(corners):
        n_cuts = max(1, round(float(np.hypot(*(end - start))) / step))
        along = np.arange(n_cuts)[:, None] / n_cuts
        cuts.append(start + (end - start) * along + rng.uniform(-amount, amount, (n_cuts, 2)))
    return _points(np.concatenate(cuts))


def _points(array: NDArray[np.float64]) -> list[Point]:
    return [(float(x), float(y)) for x, y in array]
