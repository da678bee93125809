"""The API, asked over HTTP as any client would."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import requests
from PIL import Image

from keyart.engine import Engine
from tests.keyart.conftest import Run
from tests.keyart.web.conftest import serving
from tests.posters.pictures import draw_poster

TOKEN = "a-token-of-more-than-sixteen-letters"


def test_a_title_is_suggested_from_its_beginning(address: str) -> None:
    found = requests.get(f"{address}/api/films", {"query": "twi"}, timeout=10).json()
    assert [film["movie_id"] for film in found] == [2, 3]
    assert found[0]["title"] == "Twin"


def test_look_alikes_are_those_of_the_engine(address: str, home: Path) -> None:
    found = requests.get(f"{address}/api/films/1/similar", {"k": 3, "alpha": 0.5}, timeout=10).json()
    expected = Engine.open(home).similar(1, 3, 0.5).as_dict()["results"]
    assert found["results"] == json.loads(json.dumps(expected))


def test_pages_follow_one_another(address: str) -> None:
    def page(**question: int) -> dict:
        return requests.get(f"{address}/api/films/1/similar", question, timeout=10).json()

    whole, first, second = page(k=200), page(k=2), page(k=200, offset=2)
    assert first["results"] + second["results"] == whole["results"]
    assert (first["more"], second["more"]) == (True, False)


def test_a_filter_is_kept_to(address: str) -> None:
    found = requests.get(f"{address}/api/films/1/similar", {"genre": "Comedy", "first_year": 1992}, timeout=10).json()
    assert [hit["movie_id"] for hit in found["results"]] == [3]


def test_csv_holds_the_same_films(address: str) -> None:
    rows = csv.DictReader(io.StringIO(requests.get(f"{address}/api/films/1/similar.csv", timeout=10).text))
    found = requests.get(f"{address}/api/films/1/similar", timeout=10).json()
    assert [int(row["movie_id"]) for row in rows] == [hit["movie_id"] for hit in found["results"]]


def test_a_picture_finds_its_own_film(address: str, poster_folder: Path) -> None:
    answer = requests.post(f"{address}/api/similar", (poster_folder / "2.jpg").read_bytes(), timeout=60)
    assert answer.json()["results"][0]["movie_id"] == 2
    assert answer.json()["results"][0]["score"] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("path", ["api/films/1/sheet.jpg", "api/films/1/why/2.jpg", "posters/1?width=160"])
def test_pictures_are_pictures(address: str, path: str) -> None:
    answer = requests.get(f"{address}/{path}", timeout=10)
    assert answer.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(answer.content)) as picture:
        picture.load()
        assert min(picture.size) > 100


def test_a_poster_that_is_kept_is_not_sent_again(address: str) -> None:
    etag = requests.get(f"{address}/posters/1", timeout=10).headers["etag"]
    assert requests.get(f"{address}/posters/1", headers={"If-None-Match": etag}, timeout=10).status_code == 304


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("api/films/99", 404),
        ("api/films/one", 422),
        ("api/films/1/similar?k=0", 422),
        ("api/films/1/similar?alpha=nan", 422),
        ("api/films/1/similar?genre=Nonsense", 400),
        ("api/films/1/why/4.jpg", 409),
        ("posters/4", 404),
        ("posters/..%2Fcatalog.sqlite", 404),
        ("static/..%2Fapp.py", 404),
        ("nowhere", 404),
    ],
)
def test_errors_have_one_shape(address: str, path: str, status: int) -> None:
    answer = requests.get(f"{address}/{path}", timeout=10)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json().keys() == {"type", "title", "status", "detail"}
    assert answer.json()["status"] == status


@pytest.mark.parametrize(
    ("picture", "status"), [(b"no picture", 422), (draw_poster(1)[:500], 422), (bytes(11 << 20), 413)]
)
def test_bad_pictures_are_refused(address: str, picture: bytes, status: int) -> None:
    # Sent in parts, so that no length is said beforehand.
    answer = requests.post(f"{address}/api/similar", iter([picture]), timeout=30)
    assert answer.status_code == status


def test_requests_are_counted_by_route(address: str) -> None:
    requests.get(f"{address}/api/films/5", timeout=10)
    text = requests.get(f"{address}/metrics", timeout=10).text
    assert 'route="/api/films/{movie_id}"' in text
    assert "/api/films/5" not in text


def test_every_answer_forbids_foreign_script(address: str) -> None:
    for path in ("", "api/genres", "nowhere"):
        policy = requests.get(f"{address}/{path}", timeout=10).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_a_foreign_name_for_this_machine_is_refused(address: str) -> None:
    assert requests.get(f"{address}/api/genres", headers={"Host": "evil.example"}, timeout=10).status_code == 403


def test_a_token_is_demanded(home: Path) -> None:
    with serving(home, TOKEN) as url:
        assert requests.get(f"{url}/api/genres", timeout=10).status_code == 401
        assert requests.get(f"{url}/healthz", timeout=10).status_code == 200
        shown = {"Authorization": f"Bearer {TOKEN}"}
        assert requests.get(f"{url}/api/genres", headers=shown, timeout=10).status_code == 200
        with requests.Session() as browser:
            assert browser.get(f"{url}/?token={TOKEN}", timeout=10).url == f"{url}/"
            assert browser.get(f"{url}/api/genres", timeout=10).status_code == 200


def test_other_machines_are_not_served_without_a_token(run: Run, home: Path) -> None:
    outcome = run("serve", "--home", home, "--host", "0.0.0.0")
    assert outcome.code == 1
    assert "--token" in outcome.err
