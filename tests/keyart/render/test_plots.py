"""Labels and limits of plots."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from cf.evaluation.evaluation import Scorecard
from cf.evaluation.metrics import Estimate
from keyart.render.plots import _most_typical, draw_scorecards

pytest.importorskip("matplotlib")


def test_labels_overlap_neither_each_other_nor_points() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from keyart.render.plot_labels import PlotLabels

    figure = Figure((8, 6))
    axes = figure.add_subplot()
    rng = np.random.default_rng(0)
    # Two dense groups, as models that differ little.
    points = [tuple(row) for row in np.vstack([rng.normal(0, 0.05, (6, 2)), rng.normal(1, 0.05, (5, 2))]).tolist()]
    axes.plot(*zip(*points, strict=True), "o")
    labels = PlotLabels(axes, points)
    for number, point in enumerate(points):
        labels.add_beside(f"implicit-model-{number}", point, 8)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    boxes = [Text.get_window_extent(text, renderer) for text in axes.texts]
    assert len(boxes) == len(points)
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    assert not [box for box in boxes for point in points if box.contains(*axes.transData.transform(point))]
    whole = axes.get_window_extent(renderer)
    assert all(whole.contains(box.x0, box.y0) and whole.contains(box.x1, box.y1) for box in boxes)


def test_a_label_above_a_point_is_left_out_where_another_stands() -> None:
    from matplotlib.figure import Figure

    from keyart.render.plot_labels import PlotLabels

    axes = Figure().add_subplot()
    labels = PlotLabels(axes)
    assert labels.add_above("Heat", (0.5, 0.5), 6)
    assert not labels.add_above("Ronin", (0.51, 0.5), 6)
    assert labels.add_above("Ronin", (0.51, 0.6), 6)


def test_values_far_from_the_others_do_not_set_the_limits() -> None:
    usual = [0.83, 0.84, 0.85, 0.86, 0.97, 1.01, 1.03]
    assert max(usual) < _most_typical([*usual, 2.98, 3.09]) < 2.9
    assert max(usual) < _most_typical(usual)
    assert _most_typical([0.85]) > 0.85


def _card(name: str, rmse: float, ndcg: float) -> Scorecard:
    # Of one user, who has no interval, and of several.
    exact, none = Estimate(rmse, float("nan"), float("nan")), Estimate(0.0, 0.0, 0.0)
    ranked = Estimate(ndcg, ndcg, ndcg)
    return Scorecard(name, exact, none, 1.0, True, none, ranked, none, 0.1, 2.0, 0.1, 0.1, 1.0)


@pytest.mark.parametrize("errors", [[], [0.9], [0.85, 0.86, 3.0], [float("nan"), 0.9]])
def test_any_models_can_be_drawn(tmp_path: Path, errors: list[float]) -> None:
    cards = [_card(f"model-{number}", error, 0.1) for number, error in enumerate(errors)]
    draw_scorecards(cards, 10, tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").stat().st_size > 1000
