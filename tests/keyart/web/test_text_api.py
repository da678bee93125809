"""Descriptions over HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from features.options import ExtractOptions
from keyart.engine import Engine
from keyart.pipeline.features import extract
from keyart.pipeline.index import build
from keyart.pipeline.movielens import load
from keyart.pipeline.posters import import_posters
from keyart.similarity.query import Image, Mix, Text
from keyart.similarity.reasons import reasons
from keyart.workspace.layout import Workspace
from tests.keyart.web.conftest import serving

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def home_without_network(
    movielens: Path,
    poster_folder: Path,
    backbone_path: Path,
    pair_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A workspace of two encoders: the default takes no words, and its network is gone; the other is a pair."""
    folder = tmp_path_factory.mktemp("two-kinds")
    network, home = folder / "tiny.keras", folder / "workspace"
    shutil.copy(backbone_path, network)
    load(home, movielens)
    import_posters(Workspace.open(home), poster_folder, "movie")
    extract(home, ExtractOptions(str(network), preprocessing="caffe"))
    extract(home, ExtractOptions(pair_folder))
    build(home)
    network.unlink()
    return home


@pytest.fixture(scope="module")
def two_kinds_url(home_without_network: Path) -> Iterator[str]:
    with serving(home_without_network) as url:
        yield url


def _get(address: str, **question: Any) -> dict[str, Any]:
    answer = requests.get(address, question, timeout=60)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_description_is_answered_as_by_the_engine(words_url: str, built_words: Path) -> None:
    found = _get(f"{words_url}/api/similar", text="red moon", k=3)
    with Engine.open(built_words) as engine:
        expected = engine.similar(Text("red moon"), 3)
    assert (found["query"]["title"], found["query"]["text"]) == ("“red moon”", "red moon")
    assert [hit["movie_id"] for hit in found["results"]] == [hit.movie_id for hit in expected]
    assert [hit["why"] for hit in found["results"]] == [list(reasons(expected, hit)) for hit in expected]


def test_descriptions_go_with_films_and_filters(words_url: str, built_words: Path) -> None:
    question = {"text": ["red moon", "boat"], "unlike_text": "house", "like": 9, "unlike": 14}
    found = _get(f"{words_url}/api/similar", **question, k=4, first_year=1980)
    with Engine.open(built_words) as engine:
        expected = engine.similar(Mix([9, Text("red moon"), Text("boat")], [14, Text("house")]), 60)
    later = [hit.movie_id for hit in expected if (hit.year or 0) >= 1980]
    assert [hit["movie_id"] for hit in found["results"]] == later[:4]


def test_pages_of_a_description_follow_one_another(words_url: str) -> None:
    whole, second = (_get(f"{words_url}/api/similar", text="horror", k=k, offset=10 - k) for k in (10, 5))
    assert whole["results"][5:] == second["results"]


def test_files_hold_the_same(words_url: str) -> None:
    rows = requests.get(f"{words_url}/api/similar.csv", {"text": "red moon", "k": 1}, timeout=60).text.splitlines()
    assert rows[1].startswith("1,30,Orchard of Crows,2006")
    sheet = requests.get(f"{words_url}/api/sheet.jpg", {"text": "red moon", "k": 2}, timeout=60)
    assert sheet.headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize("question", [{}, {"text": ""}, {"text": "  "}, {"text": "a\x00b"}, {"text": "a" * 1001}])
def test_what_is_no_description_is_refused(question: dict[str, str], words_url: str) -> None:
    assert requests.get(f"{words_url}/api/similar", question, timeout=60).status_code == 422


def test_whether_words_are_taken_is_known(words_url: str, address: str) -> None:
    assert _get(f"{words_url}/api/text") == {"available": True}
    assert _get(f"{address}/api/text") == {"available": False}
    refused = requests.get(f"{address}/api/similar", {"text": "moon"}, timeout=60)
    assert refused.status_code in (400, 422)
    assert "takes pictures but no words" in refused.json()["detail"]


def test_the_visual_share_of_a_description_is_that_of_its_looks(words_url: str) -> None:
    for question in ({"text": "moon"}, {"text": "moon", "unlike_text": "red"}):
        assert _get(f"{words_url}/api/similar", **question)["alpha"] == 1.0
        refused = requests.get(f"{words_url}/api/similar", {**question, "alpha": "0"}, timeout=60)
        assert refused.status_code == 400
        assert "descriptions are compared by looks, which alpha 0 leaves out" in refused.json()["detail"]


def test_an_image_with_words_needs_only_the_network_that_takes_words(
    two_kinds_url: str, home_without_network: Path
) -> None:
    poster = (home_without_network / "posters" / "2.jpg").read_bytes()
    answer = requests.post(f"{two_kinds_url}/api/similar", poster, params={"text": "red moon", "k": 3}, timeout=60)
    assert answer.status_code == 200, answer.text
    with Engine.open(home_without_network) as engine:
        expected = engine.similar(Mix([Image(poster), Text("red moon")]), 3)
    assert [hit["movie_id"] for hit in answer.json()["results"]] == [hit.movie_id for hit in expected]
    alone = requests.post(f"{two_kinds_url}/api/similar", poster, timeout=60)
    assert alone.status_code == 500


def test_answers_name_the_encoder_that_takes_words(two_kinds_url: str, home_without_network: Path) -> None:
    found = _get(f"{two_kinds_url}/api/similar", text="red moon", k=3)
    with Engine.open(home_without_network) as engine:
        assert found["notes"] == list(engine.similar(Text("red moon"), 3).notes)
    assert "compared by pair, as tiny takes no words" in found["notes"]
