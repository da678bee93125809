"""Heat maps, checked by their pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from catalog.errors import ConfigError
from keyart.render.heat_map import draw_heat_sheet, heated, write_heat_map
from keyart.results import Explanation, Query

# Where both posters are on the sheet.
LEFTS, TOP, SIZE = (56, 576), 56, (480, 720)
GRAY = Image.new("RGB", SIZE, (128, 128, 128))


def only(row: int, column: int, value: float = 0.4) -> npt.NDArray[np.float64]:
    grid = np.zeros((7, 7))
    grid[row, column] = value
    return grid


def orange(picture: Image.Image) -> npt.NDArray[np.int64]:
    """Return red minus blue of every pixel."""
    pixels = np.asarray(picture, np.int64)
    return pixels[..., 0] - pixels[..., 2]


def hottest(picture: Image.Image) -> tuple[float, float]:
    """Return the center of the hottest pixels, as shares of height and width."""
    heat = orange(picture)
    rows, columns = np.nonzero(heat == heat.max())
    return rows.mean() / heat.shape[0], columns.mean() / heat.shape[1]


@pytest.fixture
def poster_path(tmp_path: Path) -> Path:
    path = tmp_path / "poster.png"
    GRAY.save(path)
    return path


def explanation(grid: npt.NDArray[np.float64], poster_path: Path | None, *, centered: bool = False) -> Explanation:
    films = Query(1, "Amélie", 2001, poster_path), Query(2, "千と千尋の神隠し " * 9, None, poster_path)
    return Explanation(films, float(grid.sum()), grid, centered)


def test_contribution_is_drawn_at_its_position_on_both_posters(poster_path: Path) -> None:
    sheet = draw_heat_sheet(explanation(only(0, 6), poster_path))
    for left in LEFTS:
        row, column = hottest(sheet.crop((left, TOP, left + SIZE[0], TOP + SIZE[1])))
        assert (row, column) == pytest.approx((0.5 / 7, 6.5 / 7), abs=0.5 / 7)


@pytest.mark.parametrize("size", [(480, 720), (700, 300), (90, 91)])
@pytest.mark.parametrize("region", [(0, 0), (2, 5), (6, 3)])
def test_the_map_covers_posters_of_any_shape(size: tuple[int, int], region: tuple[int, int]) -> None:
    row, column = hottest(heated(GRAY.resize(size), only(*region)))
    assert (7 * row, 7 * column) == pytest.approx((region[0] + 0.5, region[1] + 0.5), abs=0.5)


def test_the_map_is_smooth() -> None:
    heat = orange(heated(GRAY, only(3, 3)))
    assert np.abs(np.diff(heat, axis=0)).max() <= 8
    assert np.abs(np.diff(heat, axis=1)).max() <= 8


def test_nothing_is_blue_without_negative_contributions() -> None:
    grid = np.random.default_rng(0).exponential(size=(7, 7)) * only(3, 3, 1) + only(3, 4, 0.5)
    assert orange(heated(GRAY, grid)).min() == 0


def test_negative_contributions_are_blue() -> None:
    heat = orange(heated(GRAY, only(3, 1, 0.2) - only(3, 5, 0.4)))
    assert heat[360, 103] > 50
    assert heat[360, 377] < -100


def test_a_poster_without_contributions_is_gray() -> None:
    assert not orange(heated(Image.new("RGB", (50, 70), "red"), np.zeros((7, 7)))).any()


def test_the_poster_shows_through_its_hottest_region() -> None:
    striped = Image.new("RGB", SIZE)
    striped.paste("white", (0, 0, SIZE[0], 51))
    pixels = np.asarray(heated(striped, only(0, 6)), int)
    assert pixels[45, 445].sum() - pixels[57, 445].sum() > 60


def test_the_posters_are_not_changed() -> None:
    poster = GRAY.copy()
    heated(poster, only(0, 0))
    assert poster.tobytes() == GRAY.tobytes()


@pytest.mark.parametrize("poster_path", [None, Path("nowhere.jpg")])
@pytest.mark.parametrize("grid", [only(1, 1), -only(1, 1), np.zeros((1, 1)), np.full((14, 9), 1e-9)])
def test_any_explanation_can_be_drawn(grid: npt.NDArray[np.float64], poster_path: Path | None) -> None:
    for centered in (False, True):
        assert draw_heat_sheet(explanation(grid, poster_path, centered=centered)).mode == "RGB"


def test_the_scale_has_blue_only_if_the_map_may_have_it(poster_path: Path) -> None:
    for grid, centered in ((only(1, 1), False), (only(1, 1) - only(2, 2), True)):
        sheet = draw_heat_sheet(explanation(grid, poster_path, centered=centered))
        scale = orange(sheet.crop((LEFTS[1], TOP + SIZE[1] + 200, LEFTS[1] + SIZE[0], sheet.height)))
        assert scale.max() > 150
        assert (scale.min() < -100) == centered


def test_the_file_type_follows_the_name(poster_path: Path, tmp_path: Path) -> None:
    for name, kind in (("why.png", "PNG"), ("why.jpg", "JPEG"), ("why.webp", "WEBP")):
        write_heat_map(explanation(only(0, 6), poster_path), tmp_path / name)
        with Image.open(tmp_path / name) as sheet:
            assert (sheet.format, sheet.mode) == (kind, "RGB")
    with pytest.raises(ConfigError, match=r"expected a name ending in \.png"):
        write_heat_map(explanation(only(0, 6), poster_path), tmp_path / "why.gif")
