"""Place labels in a plot so that they overlap neither each other nor the points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point = tuple[float, float]

# Around a point: to the right first, where labels are looked for.
_DIRECTIONS = ((1, 0), (1, 1), (1, -1), (-1, 0), (-1, 1), (-1, -1), (0, 1), (0, -1))
_DISTANCES_PT = (7, 16, 28, 42, 60)
_POINT_PX, _GAP_PX = 9, 4


class PlotLabels:
    """Places labels one after the other, and fixes the limits of the axes; `points` are kept free."""

    def __init__(self, axes: Axes, points: Sequence[Point] = ()) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        self._axes = axes
        self._figure: Figure = axes.get_figure(root=True)  # type: ignore[assignment]  # never None here
        self._renderer = FigureCanvasAgg(self._figure).get_renderer()  # type: ignore[no-untyped-call]
        # Matplotlib computes the limits when they are asked for.
        axes.set_xlim(axes.get_xlim())
        axes.set_ylim(axes.get_ylim())
        centers = axes.transData.transform(np.reshape(points, (-1, 2)))
        self._taken = np.hstack([centers - _POINT_PX, centers + _POINT_PX])

    def add_beside(self, text: str, point: Point, size_pt: float) -> None:
        """Label a point at the nearest free place, with a line where that is not beside it."""
        choices = [(distance, direction) for distance in _DISTANCES_PT for direction in _DIRECTIONS]
        boxes = [self._box(text, point, size_pt, distance, direction) for distance, direction in choices]
        chosen = next((number for number, box in enumerate(boxes) if self._is_free(box)), 0)
        distance, direction = choices[chosen]
        self._taken = np.vstack([self._taken, boxes[chosen]])
        self._axes.annotate(
            text,
            point,
            xytext=(distance * direction[0], distance * direction[1]),
            textcoords="offset points",
            ha=("right", "center", "left")[direction[0] + 1],
            va=("top", "center", "bottom")[direction[1] + 1],
            fontsize=size_pt,
            arrowprops={"arrowstyle": "-", "lw": 0.5, "color": "gray"} if distance > _DISTANCES_PT[0] else None,
            parse_math=False,
        )

    def add_above(self, text: str, point: Point, size_pt: float) -> bool:
        """Label a point just above it; return whether that was free."""
        box = self._box(text, point, size_pt, 1, (0, 1))
        if self._overlaps(box):
            return False
        self._taken = np.vstack([self._taken, box])
        self._axes.annotate(text, point, xytext=(0, 1), textcoords="offset points", ha="center", va="bottom",
                            fontsize=size_pt, parse_math=False)  # fmt: skip
        return True

    def _box(
        self, text: str, point: Point, size_pt: float, distance_pt: float, direction: tuple[int, int]
    ) -> npt.NDArray[np.float64]:
        """Return left, bottom, right and top in pixels."""
        drawn = self._figure.text(0, 0, text, fontsize=size_pt, parse_math=False)
        extent = drawn.get_window_extent(self._renderer)
        drawn.remove()
        size, sides = np.array([extent.width, extent.height]), np.array(direction)
        anchor = self._axes.transData.transform(point) + distance_pt * self._figure.dpi / 72 * sides
        corner = anchor + size * (sides - 1) / 2
        return np.concatenate([corner, corner + size])

    def _is_free(self, box: npt.NDArray[np.float64]) -> bool:
        whole = self._axes.get_window_extent(self._renderer)
        inside = box[0] > whole.x0 and box[1] > whole.y0 and box[2] < whole.x1 and box[3] < whole.y1
        return bool(inside) and not self._overlaps(box)

    def _overlaps(self, box: npt.NDArray[np.float64]) -> bool:
        taken, box = self._taken, np.add(box, (-_GAP_PX, 0, _GAP_PX, 0))
        apart = (taken[:, 0] >= box[2]) | (taken[:, 2] <= box[0]) | (taken[:, 1] >= box[3]) | (taken[:, 3] <= box[1])
        return not apart.all()
