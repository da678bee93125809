"""The API for users and newcomers, asked over HTTP as any client would."""

from __future__ import annotations

import gzip
import io
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from keyart.recommend.models import fit_model
from keyart.recommend.recommendations import recommend
from keyart.workspace.contents import open_ratings
from keyart.workspace.layout import Workspace
from tests.keyart.conftest import N_FILMS
from tests.keyart.web.conftest import eventually, serving

NEW = N_FILMS + 1
DRAMAS = [{"movie_id": movie_id, "rating": 4.5} for movie_id in (22, 24, 26, 28)]


def get(address: str, path: str, **question: Any) -> Any:
    answer = requests.get(f"{address}/api/{path}", question, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def post(address: str, **question: Any) -> requests.Response:
    return requests.post(f"{address}/api/recommendations", json=question, timeout=60)


def test_recommendations_equal_those_of_the_command(people_address: str, fitted_home: Path) -> None:
    for model in ("ease", "als"):
        found = get(people_address, "users/2/recommendations", model=model, k=8, fresh=0.2)
        expected = recommend(Workspace.open(fitted_home), model, 2, 8, 0.2).to_dict()
        for film in found["results"]:
            assert film.pop("has_poster")
        assert found["results"] == [{**film, "score": pytest.approx(film["score"])} for film in expected["results"]]
        assert (found["model"], found["gives_stars"]) == (model, model == "als")


def test_many_at_once_are_answered_alike(people_address: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: get(people_address, "users/2/recommendations", k=5), range(16)))
    assert all(one == found[0] for one in found)


def test_ratings_are_answered_by_their_taste_and_new_films_are_marked(people_address: str) -> None:
    found = post(people_address, ratings=DRAMAS, k=10, fresh=0.1).json()
    movie_ids = [film["movie_id"] for film in found["results"]]
    assert not {22, 24, 26, 28}.intersection(movie_ids)
    assert sum(movie_id % 2 == 0 for movie_id in movie_ids if movie_id != NEW) > 5
    assert [film["movie_id"] for film in found["results"] if film["new"]] == [NEW]
    without = post(people_address, ratings=DRAMAS, k=10, fresh=0).json()
    assert not any(film["new"] for film in without["results"])


def test_of_a_film_that_is_rated_twice_the_last_rating_counts(people_address: str) -> None:
    twice = [{"movie_id": 22, "rating": 0.5}, *DRAMAS]
    assert post(people_address, ratings=twice).json() == post(people_address, ratings=DRAMAS).json()


def test_unknown_films_are_reported(people_address: str) -> None:
    found = post(people_address, ratings=[*DRAMAS, {"movie_id": 999, "rating": 3}]).json()
    assert found["notes"] == ["1 film of what was rated without ratings here, passed over: 999"]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({"ratings": []}, "ratings"),
        ({}, "ratings"),
        ({"ratings": [{"movie_id": 22, "rating": 0}]}, "ratings.0.rating"),
        ({"ratings": [{"movie_id": 22, "rating": 5.5}]}, "ratings.0.rating"),
        ({"ratings": [{"movie_id": 22, "rating": "good"}]}, "ratings.0.rating"),
        ({"ratings": [{"movie_id": -1, "rating": 5}]}, "ratings.0.movie_id"),
        ({"ratings": [{"movie_id": 2**40, "rating": 5}]}, "ratings.0.movie_id"),
        ({"ratings": DRAMAS, "k": 0}, "k"),
        ({"ratings": DRAMAS, "fresh": 2}, "fresh"),
        ({"ratings": DRAMAS, "model": "../.."}, "model"),
        ({"ratings": DRAMAS * 3000}, "ratings"),
    ],
)
def test_bad_questions_are_refused_in_words(people_address: str, question: dict, said: str) -> None:
    answer = post(people_address, **question)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith(said)


def test_no_number_is_no_rating(people_address: str) -> None:
    body = '{"ratings": [{"movie_id": 22, "rating": NaN}]}'
    headers = {"Content-Type": "application/json"}
    answer = requests.post(f"{people_address}/api/recommendations", body, headers=headers, timeout=60)
    assert answer.status_code == 422


def test_no_more_of_a_body_is_read_than_ratings_can_take(people_address: str) -> None:
    # Sent in parts, so that no length is said beforehand.
    parts = (b" " * (64 << 10) for _ in range(64))
    answer = requests.post(f"{people_address}/api/recommendations", parts, timeout=60)
    assert answer.status_code == 413
    assert answer.json()["detail"] == "expected a body of at most 1 MiB"


def test_users_are_found_by_how_their_number_begins(people_address: str) -> None:
    found = get(people_address, "users", query="3", k=4)
    assert [user["user_id"] for user in found] == [3, 30, 31, 32]
    assert get(people_address, "users", query="77") == []
    assert 1 <= get(people_address, "users/random")["user_id"] <= 40


def test_a_user_is_described(people_address: str) -> None:
    user = get(people_address, "users/2")
    (listed,) = (one for one in get(people_address, "users", query="2") if one["user_id"] == 2)
    best = user.pop("best_rated")
    assert user == listed
    assert [film["rating"] for film in best] == sorted((film["rating"] for film in best), reverse=True)
    assert sum(film["genres"] == ["Drama"] for film in best) > len(best) / 2


def test_films_to_rate_are_no_film_of_that_number(people_address: str) -> None:
    first, second = (get(people_address, "films/to-rate", k=5, offset=offset, seed=3) for offset in (0, 5))
    assert len({film["movie_id"] for film in (*first, *second)}) == 10
    assert all(film["has_poster"] and film["n_ratings"] > 1 for film in (*first, *second))
    assert get(people_address, "films/22")["movie_id"] == 22


def test_models_are_listed_with_their_capabilities(people_address: str) -> None:
    models = {model["name"]: model for model in get(people_address, "models")}
    assert set(models) == {"ease", "als", "item-cosine"}
    assert [name for name, model in models.items() if model["default"]] == ["ease"]
    assert (models["als"]["gives_stars"], models["ease"]["gives_stars"]) == (True, False)
    assert models["ease"]["takes_new_users"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("users/999", 404),
        ("users/two", 422),
        ("users/0", 422),
        ("users?query=x", 422),
        ("users/2/recommendations?model=sgd", 409),
        ("users/2/recommendations?model=nonsense", 400),
        ("users/2/recommendations?model=../..", 422),
        ("users/2/recommendations?fresh=nan", 422),
        ("users/2/recommendations?fresh=1.5", 422),
        ("films/to-rate?k=0", 422),
    ],
)
def test_errors_have_one_shape(people_address: str, path: str, status: int) -> None:
    answer = requests.get(f"{people_address}/api/{path}", timeout=60)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_falls_back_to_the_only_model_and_names_the_command_without_any(tastes_home: Path) -> None:
    with serving(tastes_home) as url:
        # `keyart build` fits this one for the blend.
        assert get(url, "users/2/recommendations", k=3)["model"] == "item-cosine"
        shutil.rmtree(tastes_home / "cf" / "item-cosine")
        assert get(url, "models") == []
        refused = post(url, ratings=DRAMAS)
        assert refused.status_code == 409
        assert "keyart fit ease" in refused.json()["detail"]


def test_a_model_that_is_fitted_meanwhile_answers(tastes_home: Path) -> None:
    workspace = Workspace.open(tastes_home)
    ratings = open_ratings(workspace)
    with serving(tastes_home) as url:
        assert get(url, "users/2/recommendations", k=3)["model"] == "item-cosine"
        fit_model(workspace, "ease", ratings)
        first = get(url, "users/2/recommendations", k=3)
        assert first["model"] == "ease"
        fit_model(workspace, "ease", ratings, {"regularization": 5.0})
        eventually(
            lambda: get(url, "users/2/recommendations", k=3),
            lambda again: [film["score"] for film in again["results"]] != [film["score"] for film in first["results"]],
        )


def test_the_description_shows_examples(people_address: str) -> None:
    described = requests.get(f"{people_address}/openapi.json", timeout=60).json()
    assert described["paths"]["/api/users/{user_id}/recommendations"]
    rated = described["components"]["schemas"]["RatingsQuery"]["properties"]["ratings"]
    assert rated["examples"][0][0] == {"movie_id": 6, "rating": 4.5}


FILE = "Date,Name,Year,Letterboxd URI,Rating\n,Film 22,,x,4.5\n,Film 24,,x,5\n,Nowhere,1999,x,4\n,Film 26,,x,\n"


def test_a_file_of_ratings_is_matched(people_address: str) -> None:
    answer = requests.post(f"{people_address}/api/ratings", FILE.encode(), params={"name": "mine.csv"}, timeout=60)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert [(film["movie_id"], film["rating"], film["has_poster"]) for film in found["ratings"]] == [
        (22, 4.5, True),
        (24, 5, True),
    ]
    assert [(row["line"], row["title"], row["status"]) for row in found["others"]] == [
        (4, "Nowhere (1999)", "unknown"),
        (5, "Film 26", "not rated"),
    ]
    assert found["summary"] == "Letterboxd, 2 films matched, 0 ambiguous, 1 unknown; 1 without a rating"
    assert (found["source"], found["counts"]["matched"]) == ("Letterboxd", 2)
    form = requests.post(f"{people_address}/api/ratings", files={"file": ("mine.csv", FILE)}, timeout=60)
    assert form.json() == found
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("ratings.csv", FILE)
    for content in (packed.getvalue(), gzip.compress(FILE.encode())):
        assert requests.post(f"{people_address}/api/ratings", content, timeout=60).json() == found
    bad = requests.post(f"{people_address}/api/ratings", files={"file": ("mine.csv", b"")}, timeout=60)
    assert bad.json()["detail"].startswith("mine.csv holds no ratings")


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"film,stars\n1,2\n", 422, "mine.csv, line 1: expected ratings.csv or diary.csv of Letterboxd"),
        (b"", 422, "mine.csv holds no ratings"),
        (b"\x89PNG\r\n\0", 422, "mine.csv is no export of ratings"),
        (bytes(9 << 20), 413, "expected a file of at most 8 MiB"),
    ],
)
def test_another_file_is_refused(people_address: str, content: bytes, status: int, said: str) -> None:
    question = {"name": "/home/me/mine.csv"}
    answer = requests.post(f"{people_address}/api/ratings", content, params=question, timeout=60)
    assert answer.status_code == status
    assert answer.json()["detail"].startswith(said)


def test_ratings_name_films_by_any_id(people_address: str) -> None:
    by_id = post(people_address, ratings=[{"movie_id": f"movie:{one['movie_id']}", "rating": 4.5} for one in DRAMAS])
    assert by_id.json() == post(people_address, ratings=DRAMAS).json()
    unknown = post(people_address, ratings=[{"movie_id": "0000022", "rating": 4.5}])
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "no film has the IMDb id tt0000022")
