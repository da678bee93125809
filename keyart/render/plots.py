"""Plots with Matplotlib, an optional dependency that is imported when something is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from catalog.extras import require
from catalog.io.files import output_path
from keyart.render.plot_labels import PlotLabels
from keyart.workspace.outputs import check_output

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cf.analysis import FilmMap
    from cf.coldstart.few_shot import FewShotCurve
    from cf.evaluation.evaluation import Scorecard
    from cf.evaluation.metrics import Estimate

_DPI = 150
# More than fit, on a map of any size.
_N_LABELED = 1500
_SUFFIXES = (".png", ".svg", ".pdf")


def check_plot_path(path: Path) -> None:
    """Raise ConfigError unless a plot can be written to a path; call it before any work."""
    check_output(path, _SUFFIXES)
    require("plots", "a plot")


def draw_scorecards(cards: Sequence[Scorecard], k: int, path: Path) -> None:
    """Plot the rating error of models against their ranking quality; the top left is best.

    Models whose error is far from that of the others stand at the right border, with their error.
    """
    figure = _figure(9, 6.5)
    axes = figure.add_subplot()
    cards = [card for card in cards if np.isfinite([card.rmse.value, card.ndcg.value]).all()]
    most = _most_typical([card.rmse.value for card in cards])
    typical = [card for card in cards if card.rmse.value <= most]
    least = min((_ends(card.rmse)[0] for card in typical), default=0.0)
    greatest = max((_ends(card.rmse)[1] for card in typical), default=1.0)
    margin = max(greatest - least, 0.01) * 0.15
    axes.set_xlim(least - margin, greatest + 2 * margin)
    points = [(min(card.rmse.value, greatest + 1.7 * margin), card.ndcg.value) for card in cards]
    for card, point in zip(cards, points, strict=True):
        _draw_card(axes, card, point, is_typical=card.rmse.value <= most)
    bars = [(x, y) for card, (x, _) in zip(cards, points, strict=True) for y in _along(card.ndcg)]
    bars += [(x, card.ndcg.value) for card in typical for x in _along(card.rmse)]
    labels = PlotLabels(axes, [*points, *bars])
    for card, point in zip(cards, points, strict=True):
        labels.add_beside(card.name if card.rmse.value <= most else f"{card.name}: {card.rmse.value:.2f}", point, 8)
    beyond = "" if len(typical) == len(cards) else "; ▸ beyond, with its RMSE"
    axes.set_xlabel(f"RMSE in stars (left is better; hollow: stars by a linear fit{beyond})")
    axes.set_ylabel(f"NDCG@{k} (up is better)")
    axes.grid(alpha=0.3)
    write_figure(figure, path)


def _along(measured: Estimate) -> list[float]:
    """Return points along an error bar, close enough that no label fits between two."""
    return [float(value) for value in np.linspace(*_ends(measured), 15)]


def _ends(measured: Estimate) -> tuple[float, float]:
    """Return the ends of an error bar, which has no length where there is no interval."""
    if measured.low != measured.low:
        return measured.value, measured.value
    return measured.low, measured.high


def _bars(measured: Estimate) -> list[list[float]]:
    low, high = _ends(measured)
    return [[measured.value - low], [high - measured.value]]


def _draw_card(axes: Axes, card: Scorecard, point: tuple[float, float], *, is_typical: bool) -> None:
    x, y = card.rmse, card.ndcg
    axes.errorbar(
        *point,
        xerr=_bars(x) if is_typical else None,
        yerr=_bars(y),
        fmt="o" if is_typical else ">",
        # Hollow: its scores were mapped to stars by a linear fit.
        fillstyle="full" if card.gives_stars else "none",
        elinewidth=0.8,
        capsize=2,
    )


def _most_typical(values: Sequence[float]) -> float:
    """Return the greatest value that does not squash the others, by their median absolute deviation."""
    if not values:
        return np.inf
    median = np.median(values)
    deviation = np.median(np.abs(np.asarray(values) - median))
    return float(median + 6 * max(deviation, 0.05 * median))


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


def draw_measures(measures: Mapping[str, Mapping[str, Estimate]], axis: str, zero: bool, path: Path) -> None:
    """Plot estimates by measure and, in each, by what was measured; `zero` marks what they are compared with."""
    figure = _figure(8, 1.5 + 0.5 * max(1, len(measures)))
    axes = figure.add_subplot()
    names = list(next(iter(measures.values()), {}))
    for number, name in enumerate(names):
        estimates = [of_names[name] for of_names in measures.values()]
        # Side by side within the line of a measure.
        heights = np.arange(len(estimates)) + (number - (len(names) - 1) / 2) * 0.6 / len(names)
        ends = np.array([(one.value - one.low, one.high - one.value) for one in estimates])
        bars = np.maximum(np.nan_to_num(ends), 0).T
        values = [one.value for one in estimates]
        axes.errorbar(values, heights, xerr=bars, fmt="o", capsize=2, elinewidth=0.8, label=name)
    axes.set_yticks(range(len(measures)), list(measures))
    axes.invert_yaxis()
    axes.set_xlabel(f"{axis}, with 95 % intervals")
    if zero:
        axes.axvline(0, color="gray", linestyle=":")
    if names:
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
    labels = PlotLabels(axes)
    for row in np.argsort(-n_ratings, kind="stable")[:_N_LABELED].tolist():
        labels.add_above(laid_out.titles[row], tuple(laid_out.positions[row].tolist()), 6)
    write_figure(figure, path)


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the file name's ending."""
    check_output(path, _SUFFIXES)
    with output_path(path) as temporary_path:
        figure.savefig(temporary_path, format=path.suffix.lower().removeprefix("."), bbox_inches="tight")


def _figure(width_in: float, height_in: float) -> Figure:
    require("plots", "a plot")
    # Not pyplot, which looks for a display and keeps every figure in memory.
    from matplotlib.figure import Figure

    return Figure((width_in, height_in), dpi=_DPI)
