"""Command line, Python, HTTP and the page give the same answer to the same question."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import requests
from PIL import Image

import keyart
from catalog.io.files import write_bytes
from keyart.engine import Engine
from tests.keyart.conftest import N_FILMS, Run
from tests.keyart.web.conftest import NEEDS_CHROMIUM, Page, looking
from tests.posters.pictures import draw_poster

pytestmark = pytest.mark.heavy

Answer = dict[str, Any]
NEW = N_FILMS + 1
# Film 23 is disliked, 21 too by somebody who gives few stars; film 7 is rated twice.
HISTORIES = {
    "likes": {22: 5.0, 24: 4.5, 26: 3.0},
    "dislikes as well": {22: 5.0, 24: 4.5, 23: 0.5, 21: 2.5},
    "few stars": {22: 2.0, 24: 2.5, 21: 0.5, 23: 1.0},
    "nothing liked": {21: 1.0, 23: 1.0},
    "unknown films": {999: 5.0},
    "generous": dict.fromkeys(range(2, 20, 2), 5.0),
}


@pytest.fixture(scope="module")
def engine(fitted_home: Path) -> Iterator[Engine]:
    with keyart.open(fitted_home) as opened:
        yield opened


class Http:
    """Requests to the server."""

    def __init__(self, address: str) -> None:
        self._address = address

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self._address + path, timeout=60, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return requests.post(self._address + path, timeout=60, **options)


@pytest.fixture
def http(people_address: str) -> Http:
    return Http(people_address)


class Doors:
    """The command line and HTTP, as JSON."""

    def __init__(self, run: Run, http: Http, home: Path) -> None:
        self._run = run
        self._http = http
        self._home = home

    def typed(self, *words: str | Path) -> Answer:
        outcome = self._run(*words, "--json", "--home", self._home)
        assert outcome.code == 0, outcome.err
        answer: Answer = json.loads(outcome.out)
        return answer

    def refusal(self, *words: str | Path) -> str:
        outcome = self._run(*words, "--home", self._home)
        assert outcome.code == 1
        return outcome.err.removeprefix("keyart: ").strip()

    def get(self, path: str, **parameters: Any) -> Answer:
        return self._answer(self._http.get(path, params=parameters))

    def post(self, path: str, **request: Any) -> Answer:
        return self._answer(self._http.post(path, **request))

    def _answer(self, response: requests.Response) -> Answer:
        assert response.ok, response.text
        answer: Answer = response.json()
        return answer


@pytest.fixture
def doors(run: Run, http: Http, fitted_home: Path) -> Doors:
    return Doors(run, http, fitted_home)


@pytest.fixture
def page(browser: Any, people_address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    with looking(browser, people_address, request) as opened:
        yield opened


def bare(answer: Answer, *left_out: str) -> Answer:
    """Leave out what HTTP says beside the answer, and paths."""
    results = [
        {name: value for name, value in hit.items() if name not in ("has_poster", "why", "poster_path")}
        for hit in answer.get("results", answer.get("look_alikes", []))
    ]
    facts = {
        name: value
        for name, value in answer.items()
        if name not in ("results", "look_alikes", "more", "sides", *left_out)
    }
    return {**facts, "hits": results}


def rounded(value: float, places: int) -> str:
    """Round as JavaScript does."""
    return str(Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))


def pixels(content: bytes) -> npt.NDArray[np.int16]:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), np.int16)


# Similar films


@pytest.mark.parametrize("alpha", ["auto", "1", "0", "0.5"])
@pytest.mark.parametrize("film", ["22", "Film 23", "Film 24 (1984)"])
def test_similar_films_agree(doors: Doors, engine: Engine, film: str, alpha: str) -> None:
    typed = doors.typed("similar", film, "-k", "12", "--alpha", alpha)
    by_python = engine.similar(int(film) if film.isdigit() else film, 12, "auto" if alpha == "auto" else float(alpha))
    movie_id = engine.find(int(film) if film.isdigit() else film).movie_id
    over_http = doors.get(f"/api/films/{movie_id}/similar", k=12, alpha=alpha)
    names = ("query", "region", "grid")
    assert bare(typed, *names) == bare(by_python.to_dict(), *names) == bare(over_http, *names)
    assert len(typed["results"]) == 12


def test_look_alikes_of_an_image_agree(doors: Doors, engine: Engine, tastes: Path) -> None:
    path = tastes / "posters" / "7.jpg"
    typed = doors.typed("similar", "--image", path, "-k", "9")
    by_python = engine.similar(path, 9)
    over_http = doors.post("/api/similar?k=9", data=path.read_bytes())
    names = ("query", "region", "grid")
    assert bare(typed, *names) == bare(by_python.to_dict(), *names) == bare(over_http, *names)


def test_a_mix_agrees(doors: Doors, engine: Engine) -> None:
    typed = doors.typed("similar", "22", "24", "--unlike", "23", "--diverse", "0.3", "-k", "9")
    by_python = engine.similar(keyart.Mix([22, 24], [23]), 9, diverse=0.3)
    over_http = doors.get("/api/similar", like=[22, 24], unlike=23, diverse=0.3, k=9)
    names = ("query", "region", "grid")
    assert bare(typed, *names) == bare(by_python.to_dict(), *names) == bare(over_http, *names)


@NEEDS_CHROMIUM
def test_the_page_shows_the_same_look_alikes(page: Page, engine: Engine) -> None:
    page.goto("/?film=22")
    page.locator("#hits[aria-busy=false] .hit >> nth=0").wait_for()
    hits = engine.similar(22, 30)
    assert page.locator("#hits .hit strong").all_text_contents() == [hit.label for hit in hits]
    shown = page.locator("#hits .numbers span:first-child").all_text_contents()
    assert shown == [f"score {rounded(hit.score, 3)}" for hit in hits]


# Recommendations


@pytest.mark.parametrize("model", ["ease", "als", None])
@pytest.mark.parametrize("user", [2, 3, 4242])
def test_recommendations_to_a_user_agree(doors: Doors, engine: Engine, user: int, model: str | None) -> None:
    typed = doors.typed("recommend", str(user), "-k", "12", *(("--model", model) if model else ()))
    by_python = engine.recommend(user, 12, model=model).to_dict()
    over_http = doors.get(f"/api/users/{user}/recommendations", k=12, **({"model": model} if model else {}))
    assert bare(typed) == bare(by_python) == bare(over_http)


@pytest.mark.parametrize("model", ["ease", "als"])
@pytest.mark.parametrize("name", HISTORIES)
def test_recommendations_from_ratings_agree(
    doors: Doors, engine: Engine, tmp_path: Path, name: str, model: str
) -> None:
    stars = HISTORIES[name]
    by_python = engine.recommend(stars, 12, model=model).to_dict()
    body = {"k": 12, "model": model, "ratings": [{"movie_id": key, "rating": value} for key, value in stars.items()]}
    over_http = doors.post("/api/recommendations", json=body)
    assert bare(by_python) == bare(over_http)
    if name == "unknown films":
        # A file without any film of the catalog is refused.
        return
    path = tmp_path / "mine.csv"
    path.write_text("movie_id,rating\n" + "".join(f"{key},{value}\n" for key, value in stars.items()))
    typed = doors.typed("recommend", "--ratings", path, "-k", "12", "--model", model)
    assert bare(typed, "notes") == bare(by_python, "notes")
    # What the file was matched to comes first, and notes name the file.
    assert [note.replace("mine.csv", "what was rated") for note in typed["notes"][1:]] == by_python["notes"]


@NEEDS_CHROMIUM
@pytest.mark.parametrize("model", ["ease", "als"])
@pytest.mark.parametrize("name", ["dislikes as well", "few stars", "generous"])
def test_the_page_shows_the_same_recommendations(page: Page, engine: Engine, name: str, model: str) -> None:
    rated = ",".join(f"{movie_id}-{stars:g}" for movie_id, stars in HISTORIES[name].items())
    page.goto(f"/user?rated={rated}&model={model}")
    page.locator("#hits li >> nth=0").wait_for()
    found = engine.recommend(HISTORIES[name], 30, model=model)
    names = [text.removeprefix("new ") for text in page.locator("#hits .hit strong").all_text_contents()]
    assert names == [film.label for film in found.films]
    places, unit = (1, " stars") if found.gives_stars else (3, "")
    shown = page.locator("#hits .numbers span:first-child").all_text_contents()
    assert shown == [rounded(film.score, places) + unit for film in found.films]
    assert all(note in page.locator("#status").text_content() for note in found.notes)


# New films


@pytest.mark.parametrize("title", ["Crow, The (1996)", "The Crow (1996)"])
def test_films_are_added_alike(run: Run, fitted_home: Path, tmp_path: Path, title: str) -> None:
    write_bytes(tmp_path / "poster.jpg", draw_poster(77))
    words = ("--title", title, "--genre", "drama", "--imdb-id", "tt0000077")
    home = shutil.copytree(fitted_home, tmp_path / "one")
    assert run("add", tmp_path / "poster.jpg", *words, "--home", home).code == 0
    new = keyart.NewFilm(tmp_path / "poster.jpg", title, genres=("drama",), imdb_id="tt0000077")
    added = keyart.pipeline.add(shutil.copytree(fitted_home, tmp_path / "other"), [new]).added[0]
    with keyart.open(home) as engine:
        assert engine.find(added.movie_id) == added
    assert (added.title, added.year, added.genres, added.imdb_id) == ("The Crow", 1996, ("Drama",), "0000077")


# The cold start


@pytest.mark.parametrize("title", ["", "Dark Water", "Dark Water (1996)", "Crow, The (1996)"])
def test_the_cold_start_agrees(doors: Doors, engine: Engine, tastes: Path, title: str) -> None:
    path = tastes / "posters" / "9.jpg"
    terms = ("--director", "Ana Berg", "--cast", "Jo Lind", "--keyword", "night|rain")
    words = ("--title", title, "--genre", "drama", *terms, *(() if title.endswith(")") else ("--year", "1996")))
    typed = doors.typed("cold-start", path, *words, "-k", "9", "--users", "50")
    year = None if title.endswith(")") else 1996
    people = {"directors": ["Ana Berg"], "cast": ["Jo Lind"], "keywords": ["night", "rain"]}
    (result,) = engine.cold_start([keyart.NewFilm(path, title, year, ("drama",), **people)], 9, 50)
    told = {"director": "Ana Berg", "cast": "Jo Lind", "keyword": ["night", "rain"]}
    parameters = {"title": title, "genre": "drama", "k": 9, "n_users": 50, **told, **({"year": year} if year else {})}
    over_http = doors.post("/api/cold-start", params=parameters, data=path.read_bytes())
    # HTTP knows no path, and no file name to go by where there is no title.
    names = ("title", "query", "poster", "alpha", "region", "grid")
    by_python = result.to_dict()
    assert bare(typed) == bare(by_python)
    assert bare(typed, *names) == bare(over_http, *names)
    assert over_http["title"] in ("", typed["title"])
    assert (typed["year"], len(typed["audience"]) > 0) == (1996, True)


@NEEDS_CHROMIUM
def test_the_page_expects_the_same_of_a_new_film(page: Page, engine: Engine, tastes: Path) -> None:
    path = tastes / "posters" / "9.jpg"
    page.goto("/?film=22")
    page.locator("#hits[aria-busy=false] .hit >> nth=0").wait_for()
    page.set_input_files("#picture", path)
    page.locator("#fans li >> nth=0").wait_for(state="attached")
    (result,) = engine.cold_start([keyart.NewFilm(path)], 10, 100)
    assert result.expected is not None
    assert page.locator("#expected strong").text_content() == f"★ {rounded(result.expected.mean, 2)}"
    fans = [f"user {fan.user_id} +{rounded(fan.score, 2)}" for fan in result.audience]
    assert page.locator("#fans li").all_text_contents() == fans


# Explanations


def test_explanations_agree(doors: Doors, engine: Engine, http: Http, tmp_path: Path) -> None:
    typed = doors.typed("explain", "22", "Film 24", "--sheet", tmp_path / "typed.jpg")
    explanation = engine.explain(22, "Film 24")
    assert typed == explanation.to_dict()
    keyart.write_heat_map(explanation, tmp_path / "python.jpg")
    typed_sheet, python_sheet = ((tmp_path / f"{name}.jpg").read_bytes() for name in ("typed", "python"))
    assert typed_sheet == python_sheet
    # A server sends less for the same picture.
    sent, drawn = (pixels(content) for content in (http.get("/api/films/22/why/24.jpg").content, typed_sheet))
    assert sent.shape == drawn.shape
    assert np.abs(sent - drawn).mean() < 3
    (hit,) = [one for one in engine.similar(22, N_FILMS, 1.0) if one.movie_id == 24]
    assert explanation.similarity == pytest.approx(hit.visual, abs=1e-4)


@NEEDS_CHROMIUM
def test_the_page_shows_the_same_explanation(page: Page, http: Http) -> None:
    page.goto("/?film=22&alpha=1")
    page.locator("#hits[aria-busy=false] .hit >> nth=0").wait_for()
    (hit,) = http.get("/api/films/22/similar", params={"k": 1, "alpha": 1}).json()["results"]
    with page.expect_request(f"**/api/films/22/why/{hit['movie_id']}"):
        page.locator("#hits button", has_text="Why").first.click()


# Refusals


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("similar", "tt9999999"), "/api/films/tt9999999/similar"),
        ((("similar", str(NEW), "--alpha", "0")), f"/api/films/{NEW}/similar?alpha=0"),
        (("explain", "22", "tmdb:999"), "/api/films/22/why/tmdb:999.jpg"),
        (("recommend", "2", "--model", "sgd"), "/api/users/2/recommendations?model=sgd"),
        (("recommend", "2", "--model", "eas"), "/api/users/2/recommendations?model=eas"),
    ],
)
def test_refusals_agree(doors: Doors, http: Http, words: tuple[str, ...], path: str) -> None:
    assert doors.refusal(*words) == http.get(path).json()["detail"]
