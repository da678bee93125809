"""Plots with Matplotlib, an optional dependency that is imported when something is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from catalog.extras import require
from catalog.io.files import atomic_path
from keyart.workspace.outputs import check_output

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cf.analysis import FilmMap
    from cf.coldstart.few_shot import FewShotCurve
    from cf.evaluation.evaluation import Scorecard

_SUFFIXES = (".png", ".svg", ".pdf")


def check_plot_path(path: Path) -> None:
    """Raise ConfigError unless a plot can be written to a path; call it before any work."""
    check_output(path, _SUFFIXES)
    require("plots", "a plot")


def draw_scorecards(cards: Sequence[Scorecard], k: int, path: Path) -> None:
    """Plot the rating error of models against their ranking quality; the top left is best."""
    figure = _figure(8, 6)
    axes = figure.add_subplot()
    for card in cards:
        x, y = card.rmse, card.ndcg
        spread: dict[str, Any] = {
            "xerr": [[x.value - x.low], [x.high - x.value]],
            "yerr": [[y.value - y.low], [y.high - y.value]],
        }
        # Hollow: its scores were mapped to stars by a linear fit.
        fill = "full" if card.gives_stars else "none"
        axes.errorbar(x.value, y.value, **spread, fmt="o", fillstyle=fill, elinewidth=0.8, capsize=2)
        axes.annotate(card.name, (x.value, y.value), xytext=(6, 5), textcoords="offset points", fontsize=8)
    axes.set_xlabel("RMSE in stars (left is better; hollow: stars by a linear fit)")
    axes.set_ylabel(f"NDCG@{k} (up is better)")
    axes.grid(alpha=0.3)
    write_figure(figure, path)


def draw_crossover(curve: FewShotCurve, path: Path) -> None:
    """Plot the ranking quality of content, ratings and both by the number of ratings known of a new film."""
    figure = _figure(8, 5)
    axes = figure.add_subplot()
    series = (("content alone", curve.content), ("ratings alone", curve.ratings), ("both", curve.mixed))
    for name, estimates in series:
        line = axes.plot(curve.steps, [estimate.value for estimate in estimates], marker="o", markersize=4, label=name)
        ends = [estimate.low for estimate in estimates], [estimate.high for estimate in estimates]
        axes.fill_between(curve.steps, *ends, alpha=0.15, color=line[0].get_color(), linewidth=0)
    if curve.crossover is not None:
        axes.axvline(curve.crossover, color="gray", linestyle=":")
    # Logarithmic from 1, so that 0 can be shown.
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(left=-0.3)
    axes.set_xticks(curve.steps, [str(n) for n in curve.steps])
    axes.set_xlabel("ratings known of the film")
    axes.set_ylabel("NDCG@10, with 95 % intervals")
    axes.legend()
    axes.grid(alpha=0.3)
    write_figure(figure, path)


def draw_map(laid_out: FilmMap, n_ratings: npt.NDArray[np.intp], path: Path) -> None:
    """Plot films at their positions; a dot's area is the number of ratings, the most rated nearby are labeled."""
    figure = _figure(16, 12)
    axes = figure.add_subplot()
    x, y = laid_out.positions.T
    axes.scatter(x, y, s=2 + n_ratings / 8, alpha=0.35, linewidths=0)
    axes.set_axis_off()
    for row in _labeled(laid_out.positions, n_ratings):
        title = laid_out.titles[row]
        axes.annotate(title, laid_out.positions[row], fontsize=6, ha="center", va="bottom", parse_math=False)
    write_figure(figure, path)


def _labeled(positions: npt.NDArray[np.float32], n_ratings: npt.NDArray[np.intp]) -> list[int]:
    """Choose films whose labels do not overlap, the most rated first."""
    width, height = np.ptp(positions, axis=0) * (0.09, 0.012) if len(positions) else (0, 0)
    chosen: list[int] = []
    for row in np.argsort(-n_ratings, kind="stable").tolist():
        gaps = np.abs(positions[chosen] - positions[row])
        if not ((gaps[:, 0] < width) & (gaps[:, 1] < height)).any():
            chosen.append(row)
    return chosen


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the file name's ending."""
    check_output(path, _SUFFIXES)
    with atomic_path(path) as temporary_path:
        figure.savefig(temporary_path, format=path.suffix.lower().removeprefix("."), bbox_inches="tight", dpi=150)


def _figure(width_in: float, height_in: float) -> Figure:
    require("plots", "a plot")
    # Not pyplot, which looks for a display and keeps every figure in memory.
    from matplotlib.figure import Figure

    return Figure((width_in, height_in))
