"""Contact sheets, checked by their pixels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catalog.errors import ConfigError
from keyart.render.contact_sheet import MAX_HITS, draw_film_sheet, draw_sheet, write_contact_sheet
from keyart.render.drawing import check_sheet_path
from keyart.results import Hit, Query, SimilarFilms

RED = (200, 30, 40)


@pytest.fixture
def poster_path(tmp_path: Path) -> Path:
    path = tmp_path / "poster.png"
    Image.new("RGB", (342, 513), RED).save(path)
    return path


def result(n_hits: int, poster_path: Path | None, title: str = "Amélie") -> SimilarFilms:
    hits = tuple(
        Hit(rank, rank, title, 2001, 0.5, 0.5, None if rank % 2 else 0.25, rank, 0.7, poster_path)
        for rank in range(1, n_hits + 1)
    )
    return SimilarFilms(Query(99, title, 2001, poster_path), "auto", hits)


def n_red(sheet: Image.Image) -> int:
    return int((np.asarray(sheet) == RED).all(axis=2).sum())


@pytest.mark.parametrize("n_hits", [0, 1, 5, 6, 12])
def test_every_poster_is_drawn_whole(n_hits: int, poster_path: Path) -> None:
    assert n_red(draw_sheet(result(n_hits, poster_path))) == 400 * 600 + n_hits * 208 * 312


@pytest.mark.parametrize("n_films", [1, 7, 8, MAX_HITS + 9])
def test_films_without_a_query_are_drawn_whole(n_films: int, poster_path: Path) -> None:
    sheet = draw_film_sheet([Query(1, "Amélie" * 9, 2001, poster_path)] * n_films, f"{n_films} films " * 9)
    assert n_red(sheet) == min(n_films, MAX_HITS) * 208 * 312


def test_posters_keep_their_aspect_ratio(tmp_path: Path) -> None:
    path = tmp_path / "square.png"
    Image.new("RGB", (50, 50), RED).save(path)
    assert n_red(draw_sheet(result(1, path))) == 400 * 400 + 208 * 208


@pytest.mark.parametrize("path", [None, Path("nowhere.jpg"), Path(__file__)])
def test_a_missing_or_broken_poster_leaves_a_marked_box(path: Path | None) -> None:
    sheet = draw_sheet(result(3, path))
    colors = {color for _, color in sheet.getcolors(1 << 20) or []}
    assert (0xDC, 0xD8, 0xCF) in colors


@pytest.mark.parametrize("title", ["", "A", "word " * 60, "unbreakable" * 20, "Amélie – Ωmega Ж½…", "千と千尋の神隠し"])
def test_any_title_can_be_drawn(title: str, poster_path: Path) -> None:
    assert draw_sheet(result(2, poster_path, title)).size == draw_sheet(result(2, poster_path)).size


def test_accented_letters_are_in_the_font(poster_path: Path) -> None:
    drawn = {title: draw_sheet(result(0, poster_path, title)).tobytes() for title in ("é", "ñ", "ő", "Ж", "\uffff")}
    assert len(set(drawn.values())) == 5


def test_a_region_is_framed_on_every_poster(poster_path: Path) -> None:
    whole = result(3, poster_path)
    sheet = draw_sheet(replace(whole, region=(0, 0, 7, 3), grid=(7, 7)))
    is_red = (np.asarray(sheet) == RED).all(axis=2)
    # The large poster is 400 × 600 pixels from (56, 56) on, and three sevenths of its height are 257.
    assert [row for row in range(56, 656) if not is_red[row, 250]] == [*range(56, 60), *range(309, 313)]
    assert [column for column in range(56, 456) if not is_red[100, column]] == [*range(56, 60), *range(452, 456)]
    n_framed = sum(2 * 4 * (width + height) - 4 * 16 for width, height in ((400, 257), *3 * [(208, 134)]))
    assert n_red(draw_sheet(whole)) - is_red.sum() == pytest.approx(n_framed, abs=100)


def test_long_results_are_cut_at_fifty(poster_path: Path) -> None:
    assert draw_sheet(result(70, poster_path)).size == draw_sheet(result(50, poster_path)).size


def test_an_unknown_file_type_is_an_error_and_writes_nothing(poster_path: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected a name ending in \.png"):
        check_sheet_path(tmp_path / "sheet")
    with pytest.raises(ConfigError):
        write_contact_sheet(result(1, poster_path), tmp_path / "sheet.gif")
    assert not (tmp_path / "sheet.gif").exists()
