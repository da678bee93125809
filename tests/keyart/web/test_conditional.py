"""Answers that are kept for those who ask the same again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
import requests

pytest.importorskip("fastapi")

from fastapi import FastAPI, Query, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from keyart.web.conditional import KeptAnswers
from keyart.web.parameters import Spelling
from keyart.web.schemas.films import FilmQuery
from keyart.web.services.films import FilmService
from tests.keyart.web.conftest import eventually, serving


def test_answers_are_kept_with_their_headers_while_there_is_room() -> None:
    kept = KeptAnswers(max_bytes=20_000)
    kept.add("1", JSONResponse("a", headers={"Link": '<?offset=5>; rel="next"'}))
    for n in range(40):
        kept.add(f"other {n}", JSONResponse("b"))
        # What is asked for again stays.
        first = kept.find("1")
        assert first is not None
        first.headers["Content-Encoding"] = "gzip"
    again = kept.find("1")
    assert again is not None
    assert (again.body, again.headers["link"]) == (b'"a"', '<?offset=5>; rel="next"')
    assert "content-encoding" not in again.headers
    assert kept.find("other 0") is None
    assert kept.find("other 39") is not None


def test_large_answers_and_files_are_not_kept() -> None:
    kept = KeptAnswers(max_bytes=20_000)
    kept.add("large", JSONResponse("a" * 5_000))
    kept.add("file", Response(b"a", media_type="image/jpeg"))
    assert kept.find("large") is kept.find("file") is None


@pytest.mark.heavy
def test_a_question_is_answered_once_until_a_part_is_reopened(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int | str] = []
    similar = FilmService.similar

    def counted(self: FilmService, movie_id: int | str, query: object) -> object:
        asked.append(movie_id)
        return similar(self, movie_id, query)  # type: ignore[arg-type]

    monkeypatch.setattr(FilmService, "similar", counted)
    with serving(home) as url:

        def ask(k: int = 3) -> requests.Response:
            return requests.get(f"{url}/api/films/1/similar?k={k}", timeout=60)

        first, again, other = ask(), ask(), ask(k=2)
        assert first.content == again.content != other.content
        same = [answer.headers.items() - {("date", answer.headers["date"])} for answer in (first, again)]
        assert same[0] == same[1]
        assert len(asked) == 2
        (home / "index" / "index.json").touch()
        eventually(ask, lambda _: len(asked) == 3)
        assert ask().json() == first.json()


@pytest.mark.parametrize(
    ("query", "spelled"),
    [
        ("", ""),
        ("k=30&offset=0&alpha=auto&merge_duplicates=False", ""),
        ("offset=5&k=7", "k=7&offset=5"),
        ("text=a+b%26c", "text=a+b%26c"),
        # Which one counts is for the route to say.
        ("k=30&k=5", "k=30&k=5"),
        ("genre=Drama&genre=Comedy", "genre=Drama&genre=Comedy"),
        ("k=30&unknown=1", "unknown=1"),
        ("alpha=0.5", "alpha=0.5"),
        ("encoder=", "encoder="),
    ],
)
def test_queries_that_mean_the_same_are_written_alike(query: str, spelled: str) -> None:
    app = FastAPI()

    @app.get("/similar")
    def similar(query: Annotated[FilmQuery, Query()]) -> None: ...

    route = next(route for route in app.routes if isinstance(route, APIRoute))
    assert Spelling(route.dependant).of(query) == spelled
