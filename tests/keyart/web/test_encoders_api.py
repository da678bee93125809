"""Requests that name an encoder, or a blend of two."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from keyart.engine import Engine
from keyart.pipeline.encoders import remove_encoder, set_default_encoder
from keyart.web.schemas.films import FilmQuery
from keyart.web.services.films import FilmService
from tests.keyart.web.conftest import serving

SPECS = (None, "tiny", "other-one", "tiny+other-one")


@pytest.fixture
def address(home_of_two: Path) -> Iterator[str]:
    with serving(home_of_two) as url:
        yield url


def similarities(response: requests.Response) -> dict[int, float]:
    assert response.status_code == 200, response.text
    return {hit["movie_id"]: hit["visual"] for hit in response.json()["results"]}


def test_requests_choose_an_encoder(address: str, home_of_two: Path) -> None:
    poster = (home_of_two / "posters" / "2.jpg").read_bytes()
    for spec in SPECS:
        chosen = {} if spec is None else {"encoder": spec}
        with Engine.open(home_of_two, spec) as engine:
            of_film, of_image = engine.similar(1, alpha=1), engine.similar(poster)
        answer = requests.get(f"{address}/api/films/1/similar", {"alpha": 1, **chosen}, timeout=60)
        assert similarities(answer) == {hit.movie_id: hit.visual for hit in of_film}
        answer = requests.get(f"{address}/api/similar", {"like": 1, "alpha": 1, **chosen}, timeout=60)
        assert similarities(answer) == {hit.movie_id: hit.visual for hit in of_film}
        answer = requests.post(f"{address}/api/similar", poster, params=chosen, timeout=60)
        assert similarities(answer) == pytest.approx({hit.movie_id: hit.visual for hit in of_image}, abs=1e-5)


def test_encoders_are_listed(address: str) -> None:
    assert requests.get(f"{address}/api/encoders", timeout=60).json() == [
        {"name": "tiny", "default": True, "has_index": True},
        {"name": "other-one", "default": False, "has_index": True},
    ]


@pytest.mark.parametrize("path", ["films/1/similar", "films/1/why/2.jpg", "films/1/sheet.jpg"])
def test_an_unknown_encoder_is_a_bad_request(address: str, path: str) -> None:
    answer = requests.get(f"{address}/api/{path}", {"encoder": "resnet50"}, timeout=60)
    assert answer.status_code == 400
    assert "this workspace has tiny, other-one" in answer.json()["detail"]


def test_likeness_is_shown_by_one_encoder(address: str) -> None:
    shown = [
        requests.get(f"{address}/api/films/1/why/2.jpg", {"encoder": name}, timeout=60)
        for name in ("tiny", "other-one", "tiny+other-one")
    ]
    assert [answer.status_code for answer in shown] == [200, 200, 400]
    assert shown[0].content != shown[1].content


def test_few_engines_stay_open(home_of_two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyart.web.services.films._MAX_OPEN_ENGINES", 1)
    service = FilmService.open(home_of_two)
    pages = [service.similar(1, FilmQuery(encoder=spec)).results for spec in ("other-one", "tiny+other-one") * 2]
    assert pages[:2] == pages[2:]
    assert list(service._others) == ["tiny+other-one"]
    service.close()


def test_a_server_follows_the_default_and_removals(home_of_two: Path) -> None:
    query = FilmQuery(alpha=1.0)
    service = FilmService.open(home_of_two)
    by_other = service.similar(1, FilmQuery(alpha=1.0, encoder="other-one"))
    set_default_encoder(home_of_two, "other-one")
    remove_encoder(home_of_two, "tiny")
    service._engine.refresh()
    assert service.similar(1, query).results == by_other.results
    assert [one.name for one in service.encoders()] == ["other-one"]
    service.close()
