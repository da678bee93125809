"""Posters chosen by language and votes out of those that TMDB lists for a film."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from catalog.errors import FetchError
from catalog.film import Film
from posters.database import DATABASE_NAME, Origin, Source
from posters.fetch import fetch_posters
from posters.http import HttpOptions
from posters.store import PosterStore
from posters.tmdb import ChosenPoster, PosterRank, TmdbClient, TmdbFilm
from tests.posters.pictures import draw_poster
from tests.posters.tmdb_server import V3_KEY, TmdbServer


def choose(server: TmdbServer, language: str, rank: PosterRank | None = None, tmdb_id: int = 1) -> TmdbFilm:
    with TmdbClient(
        V3_KEY, server.base_url, language, poster_rank=rank, rate=None, http=HttpOptions(backoff_s=0)
    ) as client:
        film = client.movie(tmdb_id)
    assert film is not None
    return film


@pytest.fixture
def paths(server: TmdbServer) -> dict[str, str]:
    server.add_film(1, imdb_id="0000001")
    return {
        "de": server.add_poster(1, "de", 4.0, 9),
        "de best": server.add_poster(1, "de", 5.5, 2),
        "en": server.add_poster(1, "en", 5.9, 30),
        "xx": server.add_poster(1, None, 5.1, 4),
        "xx more": server.add_poster(1, None, 5.1, 6),
    }


@pytest.mark.parametrize(
    ("language", "rank", "expected"),
    [
        ("de,en,xx", None, "de best"),
        ("de,en,xx", "first", "de"),
        ("fr,xx,de", None, "xx more"),
        ("fr,xx,de", "first", "xx"),
        ("xx", None, "xx more"),
        ("de", "first", "de"),
        ("en-US", "votes", "en"),
    ],
)
def test_takes_the_first_language_that_a_film_has(
    server: TmdbServer, paths: dict[str, str], language: str, rank: PosterRank | None, expected: str
) -> None:
    assert choose(server, language, rank).poster_path == paths[expected]


def test_a_single_language_is_left_to_tmdb(server: TmdbServer, paths: dict[str, str]) -> None:
    film = choose(server, "de")
    assert (film.poster_path, film.choice) == ("/poster1.jpg", None)
    assert server.requests[0].query == {"api_key": V3_KEY, "language": "de"}


def test_a_film_without_any_of_the_languages_gets_the_poster_that_tmdb_chooses(
    server: TmdbServer, paths: dict[str, str]
) -> None:
    film = choose(server, "fr,it")
    assert (film.poster_path, film.choice) == ("/poster1.jpg", None)


def test_one_request_lists_the_posters(server: TmdbServer, paths: dict[str, str]) -> None:
    choose(server, "xx,de")
    (request,) = server.requests
    assert request.query == {
        "api_key": V3_KEY, "language": "de", "append_to_response": "images", "include_image_language": "null,de",
    }  # fmt: skip


def test_a_listed_path_cannot_lead_elsewhere(server: TmdbServer) -> None:
    server.add_film(1)
    odd = {"file_path": "/../x.jpg", "iso_639_1": "de", "vote_average": 9, "vote_count": 9}
    server._library.posters[1] += [odd, {"iso_639_1": "de"}, {"file_path": "/y.jpg", "iso_639_1": 7}]
    path = server.add_poster(1, "de")
    assert choose(server, "de,en").choice == ChosenPoster(path, "de", 0.0, 0)


def test_an_answer_without_a_list_is_malformed(server: TmdbServer, paths: dict[str, str]) -> None:
    server._library.posters[1] = []
    server.change(1, images=7)
    assert choose(server, "de,en").choice is None
    server._film = lambda tmdb_id, query: {"id": 1, "images": {"posters": "none"}}  # type: ignore[method-assign]
    with pytest.raises(FetchError, match="expected TMDB's JSON for /movie"):
        choose(server, "de,en")


def test_language_and_votes_are_recorded(server: TmdbServer, store: PosterStore, paths: dict[str, str]) -> None:
    server.add_film(2, imdb_id="0000002")
    textless = server.add_poster(2, None, 5.0, 1)
    server.add_film(3)
    # Film 2 is found by its imdb_id.
    films = [Film(1, "One", tmdb_id=1), Film(2, "Two", imdb_id="0000002"), Film(3, "Three", tmdb_id=3)]
    with TmdbClient(V3_KEY, server.base_url, "de,xx", rate=None) as client:
        assert fetch_posters(films, store, client).n_ok == 3
    assert [
        (record.poster_path, record.language, record.vote_average, record.vote_count) for record in store.records()
    ] == [
        (paths["de best"], "de", 5.5, 2),
        (textless, "xx", 5.0, 1),
        ("/poster3.jpg", None, None, None),
    ]


def test_a_database_of_an_earlier_version_gets_the_columns(tmp_path: Path) -> None:
    with PosterStore.open(tmp_path) as store:
        store.add_films([1])
    with sqlite3.connect(tmp_path / DATABASE_NAME) as connection:
        for table in ("posters", "replaced"):
            for column in ("vote_average", "vote_count"):
                connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    connection.close()
    with PosterStore.open_to_read(tmp_path) as store:
        assert [record.vote_count for record in store.records()] == [None]
    with PosterStore.open(tmp_path) as store:
        written = store.write_file(1, draw_poster(1))
        store.register(1, written, Origin(Source.TMDB_MOVIE, "/a.jpg", "w342", "de", 5.0, 3))
        assert [(record.language, record.vote_count) for record in store.records()] == [("de", 3)]
