"""The API, asked over HTTP as any client would."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

from catalog.io.locks import exclusive
from features.options import ExtractOptions
from index.options import IndexOptions
from keyart.cold_start.new_film import NewFilm
from keyart.engine import Engine
from keyart.pipeline import build
from keyart.pipeline.features import extract
from keyart.similarity.query import Mix
from keyart.similarity.reasons import reasons
from keyart.web.schemas.films import FilmQuery
from keyart.web.services.films import FilmService
from tests.keyart.web.conftest import eventually, serving, stopper
from tests.posters.pictures import draw_poster

TOKEN = "a-token-of-more-than-sixteen-letters"


def test_a_title_is_suggested_from_its_beginning(address: str) -> None:
    found = requests.get(f"{address}/api/films", {"query": "twi"}, timeout=60).json()
    assert [film["movie_id"] for film in found] == [2, 3]
    assert found[0]["title"] == "Twin"


def test_look_alikes_are_those_of_the_engine(address: str, home: Path) -> None:
    found = requests.get(f"{address}/api/films/1/similar", {"k": 3, "alpha": 0.5}, timeout=60).json()
    expected = Engine.open(home).similar(1, 3, 0.5).to_dict()["results"]
    assert [hit.pop("has_poster") for hit in found["results"]] == [True, True, True]
    assert [hit.pop("why") for hit in found["results"]] == [[], [], []]
    assert found["results"] == json.loads(json.dumps(expected))


def test_pages_follow_one_another(address: str) -> None:
    def page(**question: int) -> dict:
        return requests.get(f"{address}/api/films/1/similar", question, timeout=60).json()

    whole, first, second = page(k=200), page(k=2), page(k=200, offset=2)
    assert first["results"] + second["results"] == whole["results"]
    assert (first["more"], second["more"]) == (True, False)


@pytest.mark.parametrize(
    ("question", "detail"),
    [
        ({"like": 1, "diverse": 0.5, "offset": 3}, "diverse results are one page"),
        ({"like": 1, "region": "0,0,7,3", "alpha": 0.5}, "a region"),
        ({"like": 1, "region": f"{'1' * 32},0,1,1"}, "region: expected x,y,width,height"),
        ({"like": 1, "k": 0}, "k: Input should be"),
    ],
)
def test_refusals_begin_with_the_parameter_or_the_reason(address: str, question: dict, detail: str) -> None:
    answer = requests.get(f"{address}/api/similar", question, timeout=60)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(detail)
    assert "***" not in answer.text


def test_films_that_cancel_each_other_out_are_the_fault_of_the_question(home: Path) -> None:
    for poster in (home / "posters").glob("*.jpg"):
        if poster.stem not in ("1", "2"):
            poster.unlink()
    build(home, IndexOptions(center=True, rebuild=True))
    with serving(home) as url:
        answer = requests.get(f"{url}/api/similar", {"like": [1, 2]}, timeout=60)
        assert answer.status_code == 422
        assert "cancel each other out; name other films" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("api/similar", "GET, HEAD, POST"),
        ("api/similar/embedding", "POST"),
        ("api/films/1", "DELETE, GET, HEAD"),
        ("atlas", "GET, HEAD"),
    ],
)
def test_all_methods_of_a_path_are_allowed(address: str, path: str, methods: str) -> None:
    refused = requests.put(f"{address}/{path}", timeout=60)
    assert (refused.status_code, refused.headers["allow"]) == (405, methods)
    assert refused.json()["detail"] == f"expected {methods} here, received PUT"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("api/films/similar", {"films": [1], "diverse": False}),
        ("api/films/similar", {"films": [1], "k": "5"}),
        ("api/films/similar", {"films": [1], "merge_duplicates": 1}),
        ("api/similar/embedding", {"embedding": [True]}),
        ("api/recommendations", {"ratings": [{"movie_id": 1, "rating": True}]}),
        ("api/recommendations", {"ratings": [{"movie_id": True, "rating": 1}]}),
    ],
)
def test_values_of_json_have_the_types_that_are_described(address: str, path: str, body: dict) -> None:
    assert requests.post(f"{address}/{path}", json=body, timeout=60).status_code == 422


def test_filters_are_applied(address: str) -> None:
    found = requests.get(f"{address}/api/films/1/similar", {"genre": "Comedy", "first_year": 1992}, timeout=60).json()
    assert [hit["movie_id"] for hit in found["results"]] == [3]


def test_parameters_of_version_0_1_are_accepted(address: str) -> None:
    def movie_ids(**question: str) -> list[int]:
        found = requests.get(f"{address}/api/films/1/similar", {**question, "k": "200"}, timeout=60)
        assert found.status_code == 200, found.text
        return [hit["movie_id"] for hit in found.json()["results"]]

    assert movie_ids(min_support="3") == movie_ids(min_ratings="3") != movie_ids()
    assert movie_ids(fold="true") == movie_ids(merge_duplicates="true")
    assert FilmQuery.model_validate({"fold": True}).merge_duplicates


def test_several_films_are_one_question(address: str, home: Path) -> None:
    question = {"like": [1, 2], "unlike": [5], "diverse": 0.3, "k": 2}
    answer = requests.get(f"{address}/api/similar", question, timeout=60)
    assert answer.status_code == 200, answer.text
    found, expected = answer.json(), Engine.open(home).similar(Mix([1, 2], [5]), 2, diverse=0.3)
    assert [hit["movie_id"] for hit in found["results"]] == [hit.movie_id for hit in expected]
    assert [hit["nearest_to"] for hit in found["results"]] == [hit.nearest_to for hit in expected]
    for hit, same in zip(found["results"], expected, strict=True):
        assert hit["why"] == list(reasons(expected, same))
    assert [film["movie_id"] for film in found["query"]["like"]] == [1, 2]
    assert [film["movie_id"] for film in found["query"]["unlike"]] == [5]


def test_each_of_several_films_is_answered(address: str) -> None:
    options = {"k": 3, "alpha": 0.5, "genre": ["Drama"]}
    asked = {"films": [1, "tt0000012", 99, "tmdb:101", 1], **options}
    answer = requests.post(f"{address}/api/films/similar", json=asked, timeout=60)
    assert answer.status_code == 200, answer.text
    answers = answer.json()["answers"]
    assert [one["film"] for one in answers] == asked["films"]
    for one in answers:
        single = requests.get(f"{address}/api/films/{one['film']}/similar", options, timeout=60).json()
        assert (one["problem"] if one["film"] == 99 else one["similar"]) == single
        assert (one["similar"] is None) == (one["problem"] is not None) == (one["film"] == 99)


@pytest.mark.parametrize(
    ("asked", "detail"),
    [
        ({"films": []}, "films: List should have at least 1 item"),
        ({"films": [1] * 201}, "films: List should have at most 200 items"),
        ({"films": [1] * 41, "k": 100}, "expected at most 4,000 results (films times k), received 4,100"),
        ({"films": ["Twin"]}, "films.0: expected a movie_id such as 6"),
        ({"films": [1], "alpha": 2}, "alpha should be auto or a number from 0 to 1"),
    ],
)
def test_too_many_films_are_refused(address: str, asked: dict, detail: str) -> None:
    answer = requests.post(f"{address}/api/films/similar", json=asked, timeout=60)
    assert (answer.status_code, answer.json()["detail"][: len(detail)]) == (422, detail)


def test_pages_of_several_films_follow_one_another(address: str) -> None:
    def page(**question: int) -> dict:
        return requests.get(f"{address}/api/similar", {"like": [1, 5], **question}, timeout=60).json()

    whole, first, second = page(k=200), page(k=1), page(k=200, offset=1)
    assert first["results"] + second["results"] == whole["results"]
    assert (first["more"], second["more"]) == (True, False)


def test_a_region_of_a_poster_is_asked_about(address: str, home: Path, poster_folder: Path) -> None:
    region = {"region": "0,0,7,3"}
    found = requests.get(f"{address}/api/films/1/similar", region, timeout=60).json()
    expected = Engine.open(home).similar(1, 30, region=(0, 0, 7, 3))
    assert [hit["movie_id"] for hit in found["results"]] == [hit.movie_id for hit in expected]
    assert [hit["why"] for hit in found["results"]] == [list(reasons(expected, hit)) for hit in expected]
    assert (found["region"], found["grid"], found["alpha"]) == ([0, 0, 7, 3], [7, 7], 1)
    rows = csv.DictReader(io.StringIO(requests.get(f"{address}/api/films/1/similar.csv", region, timeout=60).text))
    assert [row["score"] for row in rows] == [str(hit["score"]) for hit in found["results"]]
    mixed = requests.get(f"{address}/api/similar", {"like": [1, 2], **region}, timeout=60).json()
    assert mixed["region"] == [0, 0, 7, 3]
    picture = (poster_folder / "1.jpg").read_bytes()
    of_picture = requests.post(f"{address}/api/similar", picture, params=region, timeout=60).json()
    assert [hit["movie_id"] for hit in of_picture["results"]] == [1, *(hit.movie_id for hit in expected)]


def test_a_film_is_named_by_any_of_its_ids(address: str) -> None:
    expected = requests.get(f"{address}/api/films/1/similar", timeout=60).json()
    for name in ("tt0000011", "0000011", "tmdb:101", "movie:1"):
        assert requests.get(f"{address}/api/films/{name}/similar", timeout=60).json() == expected
        found = requests.get(f"{address}/api/films", {"query": name}, timeout=60).json()
        assert [film["movie_id"] for film in found] == [1]
        poster = requests.get(f"{address}/posters/{name}", timeout=60)
        assert poster.content == requests.get(f"{address}/posters/1", timeout=60).content
    mix = requests.get(f"{address}/api/similar", {"like": ["tt0000011", "tmdb:102"]}, timeout=60).json()
    assert [film["movie_id"] for film in mix["query"]["like"]] == [1, 2]


@pytest.mark.parametrize(("name", "status"), [("0000001", 404), ("tmdb:1", 404), ("Twin", 422), ("0", 422)])
def test_an_id_of_no_film_is_no_other_film(address: str, name: str, status: int) -> None:
    for path in ("/api/films/{}", "/api/films/{}/similar", "/posters/{}"):
        assert requests.get(address + path.format(name), timeout=60).status_code == status
    assert requests.get(f"{address}/api/similar", {"like": name}, timeout=60).status_code == status


def test_content_is_weighed_as_asked(address: str) -> None:
    by_default = requests.get(f"{address}/api/films/1/similar", timeout=60).json()
    assert (by_default["content"], by_default["sides"]) == ("auto", ["visual", "cf", "content"])
    assert by_default["results"][0]["in_common"]
    alone = requests.get(f"{address}/api/films/1/similar", {"content": 1}, timeout=60).json()
    assert {hit["content_share"] for hit in alone["results"]} == {1}
    without = requests.get(f"{address}/api/films/1/similar", {"content": 0}, timeout=60).json()
    assert {hit["content"] for hit in without["results"]} == {None}
    assert without["sides"] == ["visual", "cf"]
    assert requests.get(f"{address}/api/films/1/similar", {"content": 2}, timeout=60).status_code == 422
    region = {"content": 0.5, "region": "0,0,7,3"}
    assert requests.get(f"{address}/api/films/1/similar", region, timeout=60).status_code == 422


def test_csv_holds_the_same_films(address: str) -> None:
    rows = csv.DictReader(io.StringIO(requests.get(f"{address}/api/films/1/similar.csv", timeout=60).text))
    found = requests.get(f"{address}/api/films/1/similar", timeout=60).json()
    assert [int(row["movie_id"]) for row in rows] == [hit["movie_id"] for hit in found["results"]]
    mix = {"like": [1, 2], "unlike": [5]}
    rows = csv.DictReader(io.StringIO(requests.get(f"{address}/api/similar.csv", mix, timeout=60).text))
    found = requests.get(f"{address}/api/similar", mix, timeout=60).json()
    assert [int(row["nearest_to"]) for row in rows] == [hit["nearest_to"] for hit in found["results"]]


def test_a_picture_finds_its_own_film(address: str, poster_folder: Path) -> None:
    answer = requests.post(f"{address}/api/similar", (poster_folder / "2.jpg").read_bytes(), timeout=60)
    assert answer.json()["results"][0]["movie_id"] == 2
    assert answer.json()["results"][0]["score"] == pytest.approx(1.0, abs=1e-3)


def test_an_embedding_is_returned_and_taken(address: str, home: Path, poster_folder: Path) -> None:
    picture = (poster_folder / "2.jpg").read_bytes()
    facts = requests.post(f"{address}/api/embeddings", picture, timeout=60).json()
    (expected,) = Engine.open(home).embed([picture])
    assert facts["n_features"] == len(expected) == len(facts["embedding"])
    assert np.array(facts["embedding"], np.float32) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    named = requests.post(f"{address}/api/embeddings", picture, params={"encoder": facts["encoder"]}, timeout=60)
    assert named.json()["encoder"] == facts["encoder"]
    options = {"k": 3, "genre": ["Drama"]}
    asked = {"embedding": facts["embedding"], "encoder": facts["encoder"], **options}
    found = requests.post(f"{address}/api/similar/embedding", json=asked, timeout=60).json()
    by_image = requests.post(f"{address}/api/similar", picture, params=options, timeout=60).json()
    assert found["results"] == by_image["results"] != []


def test_the_embedding_of_a_films_poster_is_returned(address: str, home: Path, poster_folder: Path) -> None:
    facts = requests.get(f"{address}/api/films/2/embedding", timeout=60).json()
    by_id = requests.get(f"{address}/api/films/tt0000012/embedding", {"encoder": facts["encoder"]}, timeout=60)
    assert by_id.json() == facts
    with Engine.open(home) as engine:
        stored, (expected,) = engine.embedding("Twin (1991)"), engine.embed([(poster_folder / "2.jpg").read_bytes()])
    assert np.array(facts["embedding"], np.float32).tolist() == stored.tolist()
    assert stored == pytest.approx(expected, rel=1e-3, abs=1e-3)
    asked = {"embedding": facts["embedding"], "k": 1}
    found = requests.post(f"{address}/api/similar/embedding", json=asked, timeout=60).json()
    assert found["results"][0]["movie_id"] == 2
    unknown = requests.get(f"{address}/api/films/4/embedding", timeout=60)
    assert unknown.status_code == 404
    assert "No Poster (1993) has no features of its poster; run `keyart fetch" in unknown.json()["detail"]


@pytest.mark.parametrize(
    ("embedding", "detail"),
    [
        ([1.0, 2.0], "expected an embedding of 392 numbers by tiny, received 2"),
        ([0.0] * 392, "row 0 of 1 cannot be compared: its features are all zero"),
        ([1e300], "embedding.0: Input should be less than"),
        ([], "embedding: List should have at least 1 item"),
    ],
)
def test_an_embedding_that_cannot_be_compared_is_refused(address: str, embedding: list[float], detail: str) -> None:
    answer = requests.post(f"{address}/api/similar/embedding", json={"embedding": embedding}, timeout=60)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(detail)


def test_a_large_body_is_no_embedding(address: str) -> None:
    answer = requests.post(f"{address}/api/similar/embedding", iter([b" " * (5 << 20)]), timeout=60)
    assert (answer.status_code, answer.json()["detail"]) == (413, "expected a body of at most 4 MiB")


def test_a_picture_is_asked_about_with_films(address: str, home: Path, poster_folder: Path) -> None:
    picture = (poster_folder / "2.jpg").read_bytes()
    question = {"like": 1, "unlike": [5], "k": 3}
    found = requests.post(f"{address}/api/similar", picture, params=question, timeout=60).json()
    expected = Engine.open(home).similar(Mix([picture, 1], [5]), 3)
    assert [hit["movie_id"] for hit in found["results"]] == [hit.movie_id for hit in expected]
    assert [hit["score"] for hit in found["results"]] == pytest.approx([hit.score for hit in expected], abs=1e-4)
    assert found["results"][0]["why"][0].startswith("Nearest to ")
    assert [film["movie_id"] for film in found["query"]["like"]] == [None, 1]
    unknown = requests.post(f"{address}/api/similar", picture, params={"like": 99}, timeout=60)
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    "path", ["api/films/1/sheet.jpg", "api/sheet.jpg?like=1&like=2", "api/films/1/why/2.jpg", "posters/1?width=160"]
)
def test_posters_and_drawings_are_jpeg_files(address: str, path: str) -> None:
    answer = requests.get(f"{address}/{path}", timeout=60)
    assert answer.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(answer.content)) as picture:
        picture.load()
        assert min(picture.size) > 100


def test_a_cached_poster_is_not_sent_again(address: str) -> None:
    etag = requests.get(f"{address}/posters/1", timeout=60).headers["etag"]
    assert requests.get(f"{address}/posters/1", headers={"If-None-Match": etag}, timeout=60).status_code == 304


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("api/films/99", 404),
        ("api/films/one", 422),
        ("api/films/1/similar?k=0", 422),
        ("api/films/1/similar?alpha=nan", 422),
        ("api/films/1/similar?genre=Nonsense", 400),
        ("api/films/1/similar?diverse=2", 422),
        ("api/films/1/similar?diverse=nan", 422),
        ("api/films/1/similar?diverse=0.3&offset=10", 422),
        ("api/films/1/similar?region=0,0,7", 422),
        ("api/films/1/similar?region=0,0,0,7", 422),
        ("api/films/1/similar?region=0,0,8,7", 400),
        ("api/films/1/similar?region=0,0,7,3&alpha=0.5", 422),
        ("api/films/4/similar?region=0,0,7,3", 400),
        ("api/similar", 422),
        ("api/similar?like=0", 422),
        ("api/similar?like=1&alpha=7", 422),
        ("api/similar?like=99", 404),
        ("api/similar?like=1&like=4", 400),
        ("api/similar?like=1&unlike=1", 400),
        ("api/films/1/why/4.jpg", 409),
        ("posters/4", 404),
        ("posters/..%2Fcatalog.sqlite", 404),
        ("static/..%2Fapp.py", 404),
        ("nowhere", 404),
    ],
)
def test_errors_have_one_shape(address: str, path: str, status: int) -> None:
    answer = requests.get(f"{address}/{path}", timeout=60)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json().keys() == {"type", "title", "status", "detail"}
    assert answer.json()["status"] == status


@pytest.mark.parametrize(
    ("picture", "status"), [(b"no picture", 422), (draw_poster(1)[:500], 422), (bytes(11 << 20), 413)]
)
@pytest.mark.parametrize("path", ["api/similar", "api/cold-start", "api/films?title=New"])
def test_bad_pictures_are_refused(address: str, picture: bytes, status: int, path: str) -> None:
    # Sent in parts, so that no length is said beforehand.
    answer = requests.post(f"{address}/{path}", iter([picture]), timeout=60)
    assert answer.status_code == status


def png_of(width: int, height: int) -> bytes:
    """A picture of one color, small as a file and large once it is unpacked."""
    drawn = io.BytesIO()
    Image.new("RGB", (width, height)).save(drawn, "PNG")
    return drawn.getvalue()


def test_a_picture_that_unpacks_to_too_many_pixels_is_refused(address: str) -> None:
    answer = requests.post(f"{address}/api/similar", png_of(5_001, 5_000), timeout=60)
    assert answer.status_code == 422
    assert "pixels" in answer.json()["detail"]


def test_cold_start_is_that_of_the_engine(address: str, home: Path, poster_folder: Path) -> None:
    path = poster_folder / "6.jpg"
    question = {"title": "New One (2001)", "genre": ["Drama"], "k": 3, "n_users": 5}
    found = requests.post(f"{address}/api/cold-start", path.read_bytes(), params=question, timeout=60).json()
    film = NewFilm(path, "New One", 2001, ("Drama",))
    expected = Engine.open(home).cold_start([film], 3, 5)[0].to_dict()
    assert (found["title"], found["year"]) == ("New One", 2001)
    assert found["expected"] == pytest.approx(expected["expected"])
    assert found["audience"] == expected["audience"]
    assert [hit["movie_id"] for hit in found["look_alikes"]] == [hit["movie_id"] for hit in expected["look_alikes"]]


@pytest.mark.parametrize(
    ("question", "status"), [({"genre": "Nonsense"}, 400), ({"year": 1}, 400), ({"n_users": -1}, 422)]
)
def test_rejects_implausible_fields_of_a_new_film(
    address: str, poster_folder: Path, question: dict[str, str], status: int
) -> None:
    picture = (poster_folder / "6.jpg").read_bytes()
    assert requests.post(f"{address}/api/cold-start", picture, params=question, timeout=60).status_code == status


def test_a_film_that_is_added_is_found_at_once(home: Path) -> None:
    told = {"title": "Brand New (2020)", "genre": "Drama", "tmdb_id": 4711}
    with serving(home) as url:
        picture = draw_poster(77)
        added = requests.post(f"{url}/api/films", picture, params=told, timeout=60)
        assert added.status_code == 201
        film = added.json()["film"]
        assert (film["title"], film["year"], film["has_poster"]) == ("Brand New", 2020, True)
        movie_id = film["movie_id"]
        assert requests.get(f"{url}/api/films", {"query": "brand"}, timeout=60).json() == [film | {"is_named": True}]
        assert requests.get(f"{url}/posters/{movie_id}", timeout=60).status_code == 200
        assert requests.post(f"{url}/api/similar", picture, timeout=60).json()["results"][0]["movie_id"] == movie_id
        assert requests.get(f"{url}/api/films/{movie_id}/similar", timeout=60).json()["results"]
        again = requests.post(f"{url}/api/films", picture, params=told, timeout=60)
        assert (again.status_code, again.json()["new"]) == (200, False)
        refused = requests.post(f"{url}/api/films", draw_poster(5), params=told, timeout=60)
        assert refused.status_code == 422
        assert refused.json()["detail"].startswith("this poster: the tmdb_id 4711 is in the catalog already")


def test_a_film_that_is_removed_is_unknown_at_once(home: Path) -> None:
    with serving(home) as url:
        picture = draw_poster(77)
        before = requests.get(f"{url}/api/films/1/similar", timeout=60).json()
        added = requests.post(f"{url}/api/films", picture, params={"title": "Brand New (2020)"}, timeout=60).json()
        movie_id = added["film"]["movie_id"]
        removed = requests.delete(f"{url}/api/films/{movie_id}", timeout=60)
        assert removed.status_code == 200
        assert removed.json() == {"film": added["film"] | {"has_poster": False}, "notes": []}
        for path in (f"api/films/{movie_id}", f"posters/{movie_id}"):
            assert requests.get(f"{url}/{path}", timeout=60).status_code == 404
        assert requests.get(f"{url}/api/films/1/similar", timeout=60).json() == before
        assert requests.delete(f"{url}/api/films/{movie_id}", timeout=60).status_code == 404
        assert requests.delete(f"{url}/api/films/Brand New", timeout=60).status_code == 422
        assert 'method="DELETE",route="/api/films/{movie_id}"' in requests.get(f"{url}/metrics", timeout=60).text


@pytest.mark.parametrize("title", [" ", "(2001)", "a\x00b", "a\x9bb", "a\u202eb", "a\u200bb"])
def test_a_film_without_a_title_is_not_added(address: str, title: str) -> None:
    refused = requests.post(f"{address}/api/films", draw_poster(7), params={"title": title}, timeout=60)
    assert refused.status_code in (400, 422)
    assert "/tmp" not in refused.json()["detail"]


def test_a_sheet_respects_its_offset(address: str) -> None:
    def height(**question: int) -> int:
        content = requests.get(f"{address}/api/films/1/sheet.jpg", question, timeout=60).content
        with Image.open(io.BytesIO(content)) as sheet:
            return sheet.height

    assert height(k=4, offset=3) <= height(k=1)


def test_a_mistake_is_answered_with_headers_and_counted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FilmService, "genres", lambda self: 1 // 0)
    with serving(home) as url:
        answer = requests.get(f"{url}/api/genres", timeout=60)
        assert (answer.status_code, answer.json()["status"]) == (500, 500)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert 'route="/api/genres",status="500"' in requests.get(f"{url}/metrics", timeout=60).text


def test_a_locked_workspace_is_reported(home: Path) -> None:
    with serving(home) as url, exclusive(home):
        refused = requests.post(f"{url}/api/films", draw_poster(7), params={"title": "Waiting"}, timeout=60)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
        assert str(home) not in refused.text


@pytest.mark.parametrize(
    ("damage", "status", "detail"),
    [
        (Path.unlink, 404, "the poster of film 5 is missing; import or fetch it again"),
        (lambda path: path.write_bytes(path.read_bytes()[:300]), 500, "a part of the workspace cannot be read"),
    ],
)
def test_a_lost_poster_is_reported(
    home: Path, damage: Callable[[Path], object], status: int, detail: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = home / "posters" / "5.jpg"
    with serving(home) as url:
        damage(path)
        answer = requests.get(f"{url}/posters/5", timeout=60)
        assert answer.status_code == status
        assert answer.json()["detail"].startswith(detail)
        assert str(path) in caplog.text
        assert requests.get(f"{url}/api/films/1/sheet.jpg", timeout=60).status_code == 200


def test_features_of_another_network_wait_for_an_index(home: Path, backbone_path: Path) -> None:
    with serving(home) as url:
        why = f"{url}/api/films/1/why/2.jpg"
        assert requests.get(why, timeout=60).status_code == 200
        extract(home, ExtractOptions(str(backbone_path), resize="nearest", rebuild=True))
        refused = requests.get(why, timeout=60)
        assert refused.status_code == 409
        assert "run `keyart build" in refused.json()["detail"]
        build(home)
        eventually(lambda: requests.get(why, timeout=60).status_code, lambda status: status == 200)


def test_a_server_that_only_reads_adds_and_removes_nothing(home: Path) -> None:
    with serving(home, read_only=True) as url:
        assert requests.delete(f"{url}/api/films/1", timeout=60).status_code == 403
        assert requests.get(f"{url}/api/films/1", timeout=60).status_code == 200
        refused = requests.post(f"{url}/api/films", draw_poster(7), params={"title": "X"}, timeout=60)
        assert refused.status_code == 403
        assert "--read-only" in refused.json()["detail"]


def test_the_pages_of_others_may_not_ask(address: str) -> None:
    foreign = {"Origin": "http://evil.example"}
    sent = requests.post(f"{address}/api/films", draw_poster(7), params={"title": "X"}, headers=foreign, timeout=60)
    assert sent.status_code == 403
    assert requests.delete(f"{address}/api/films/6", headers=foreign, timeout=60).status_code == 403
    assert requests.get(f"{address}/api/films/6", timeout=60).status_code == 200
    own = requests.post(f"{address}/api/similar", draw_poster(7), headers={"Origin": address}, timeout=60)
    assert own.status_code == 200


def test_it_is_ready_once_the_network_is_loaded(address: str) -> None:
    # Each refusal is a request of its own, so this does not turn in vain.
    states = iter(lambda: requests.get(f"{address}/readyz", timeout=60).status_code, 200)
    assert set(states) <= {503}
    assert requests.get(f"{address}/readyz", timeout=60).json() == {"status": "ok"}


def test_the_description_has_an_example_of_every_answer(address: str) -> None:
    described = requests.get(f"{address}/openapi.json", timeout=60).json()
    assert described["openapi"].startswith("3.1")
    schemas = described["components"]["schemas"]
    for name in ("FilmFacts", "Hit", "ExpectedRating", "FanFacts"):
        fields = schemas[name]["properties"]
        assert [
            field for field, facts in fields.items() if "examples" not in facts and facts["type"] != "boolean"
        ] == []
    for path, methods in described["paths"].items():
        for method in methods.values():
            if path.startswith("/api"):
                assert "application/problem+json" in method["responses"]["422"]["content"], path


def test_shutdown_answers_requests_in_progress(home: Path, poster_folder: Path) -> None:
    picture = (poster_folder / "2.jpg").read_bytes()

    def parts() -> Iterator[bytes]:
        yield picture[:100]
        # The server is told to stop, and lets nobody in any more, while this very request is on its way.
        stop()
        yield picture[100:]

    with serving(home) as url, requests.Session() as client:
        stop = stopper(url)
        assert client.post(f"{url}/api/similar", parts(), timeout=60).json()["results"][0]["movie_id"] == 2


def test_requests_are_counted_by_route(address: str) -> None:
    requests.get(f"{address}/api/films/5", timeout=60)
    text = requests.get(f"{address}/metrics", timeout=60).text
    assert 'route="/api/films/{movie_id}"' in text
    assert "/api/films/5" not in text


def test_every_answer_forbids_foreign_script(address: str) -> None:
    for path in ("", "api/genres", "nowhere"):
        policy = requests.get(f"{address}/{path}", timeout=60).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_head_has_the_headers_of_get_and_no_body(address: str) -> None:
    paths = ("", "api/films/1", "api/films/1/similar.csv", "posters/1", "static/page.css", "openapi.json", "nowhere")
    for path in paths:
        got = requests.get(f"{address}/{path}", headers={"Accept-Encoding": "identity"}, timeout=60)
        head = requests.head(f"{address}/{path}", headers={"Accept-Encoding": "identity"}, timeout=60)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert int(head.headers["content-length"]) == len(got.content), path
        for headers in (head.headers, got.headers):
            headers.pop("date")
        assert head.headers == got.headers, path
    assert requests.head(f"{address}/api/cold-start", timeout=60).status_code == 405
    counts = requests.get(f"{address}/metrics", timeout=60).text
    assert 'keyart_requests_total{method="HEAD",route="/api/films/{movie_id}",status="200"}' in counts


def test_a_foreign_name_for_this_machine_is_refused(address: str) -> None:
    assert requests.get(f"{address}/api/genres", headers={"Host": "evil.example"}, timeout=60).status_code == 403
    for host, status in (("[::1]:8000", 200), ("[::1]", 200), ("127.0.0.2:8000", 200), ("[::2]:8000", 403)):
        assert requests.get(f"{address}/api/genres", headers={"Host": host}, timeout=60).status_code == status


def test_a_token_is_demanded(home: Path) -> None:
    with serving(home, TOKEN) as url:
        assert requests.get(f"{url}/api/genres", timeout=60).status_code == 401
        assert requests.get(f"{url}/healthz", timeout=60).status_code == 200
        shown = {"Authorization": f"Bearer {TOKEN}"}
        assert requests.get(f"{url}/api/genres", headers=shown, timeout=60).status_code == 200
        with requests.Session() as browser:
            assert browser.get(f"{url}/?token={TOKEN}", timeout=60).url == f"{url}/"
            assert browser.get(f"{url}/api/genres", timeout=60).status_code == 200
            assert browser.get(f"{url}/?film=1&token={TOKEN}", timeout=60).url == f"{url}/?film=1"
        foreign = {"Cookie": f'prefs={{"a":1}}; keyart-token={TOKEN}'}
        assert requests.get(f"{url}/api/genres", headers=foreign, timeout=60).status_code == 200
