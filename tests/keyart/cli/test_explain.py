"""``keyart explain``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keyart.engine import Engine
from tests.keyart.conftest import Run
from tests.keyart.similarity.test_attribution import replace_features, top_right


def test_a_similarity_at_the_top_right_is_named_and_drawn_there(home: Path, run: Run, tmp_path: Path) -> None:
    replace_features(home, {1: top_right(), 2: top_right()})
    outcome = run("explain", "1", "2", "--sheet", tmp_path / "why.png", "--home", home)
    assert "\nmost: top right (row 1, column 7)\n" in outcome.out
    assert f"heat map: {tmp_path / 'why.png'}" in outcome.err
    with Image.open(tmp_path / "why.png") as sheet:
        pixels = np.asarray(sheet, int)
    for left in (56, 576):
        heat = pixels[56:776, left : left + 480, 0] - pixels[56:776, left : left + 480, 2]
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        assert row < 720 / 7
        assert column > 480 * 6 / 7


def test_prints_contributions_in_thousandths(home: Path, run: Run) -> None:
    replace_features(home, {1: top_right(), 2: top_right() + top_right()[::-1]})
    outcome = run("explain", "the harbour", "2", "--home", home)
    lines = outcome.out.splitlines()
    assert lines[:4] == ["The Harbour (1990)  [1]", "Twin (1991)  [2]", "", "similarity of looks: 0.707"]
    assert [line.split() for line in lines[6:9]] == [
        ["1", "2", "3", "4", "5", "6", "7"],
        ["1", "0", "0", "0", "0", "0", "0", "707"],
        ["2", "0", "0", "0", "0", "0", "0", "0"],
    ]


def test_json_is_one_object(engine: Engine, home: Path, run: Run) -> None:
    outcome = run("explain", "1", "Café Zürich", "--json", "--home", home)
    assert outcome.out.count("\n") == 1
    result = json.loads(outcome.out)
    assert list(result) == ["films", "similarity", "centered", "grid", "second_grid", "notes"]
    assert result["films"][1] == {
        **{"movie_id": 6, "title": "Café Zürich", "year": 1995},
        **{"imdb_id": "0000016", "tmdb_id": 106},
    }
    assert [len(row) for row in result["grid"]] == [7] * 7
    assert np.sum(result["grid"]) == pytest.approx(result["similarity"], abs=1e-14)
    assert result == engine.explain(1, 6).to_dict()


@pytest.mark.parametrize("words", [[], ["1"], ["The", "Harbour", "Twin"]])
def test_any_other_number_of_films_is_a_usage_error(words: list[str], home: Path, run: Run) -> None:
    outcome = run("explain", *words, "--home", home)
    assert outcome.code == 2
    assert f"Expected two films, received {len(words)}; put titles in quotes" in outcome.err


def test_an_unknown_file_type_is_an_error_before_any_work(home: Path, run: Run) -> None:
    outcome = run("explain", "1", "2", "--sheet", home / "why.gif", "--home", home)
    assert (outcome.code, outcome.out) == (1, "")
    assert "expected a name ending in .png" in outcome.err
