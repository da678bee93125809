"""Fetching from a server with the faults of a real network: every film has to end in the expected state."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest

from catalog.film import Film
from posters.fetch import fetch_posters
from posters.http import HttpOptions
from posters.store import PosterStore
from posters.tmdb import TmdbClient
from tests.posters.tmdb_server import V3_KEY, Fault, TmdbServer

pytestmark = pytest.mark.heavy

N_FILMS = 500
N_RETRIES = 3
HTTP = HttpOptions(timeout_s=1.0, n_retries=N_RETRIES, backoff_s=0)

# Transient faults are retried; invalid content with status 200 is detected when it is parsed.
TRANSIENT = {
    Fault.TOO_MANY: "HTTP 429, after 4 tries",
    Fault.TOO_MANY_DATE: "HTTP 429, after 4 tries",
    Fault.TOO_MANY_BARE: "HTTP 429, after 4 tries",
    Fault.SERVER_ERROR: "HTTP 500, after 4 tries",
    Fault.TOO_MANY_ODD: "HTTP 429, after 4 tries",
    Fault.OVERLOADED: "HTTP 503, after 4 tries",
    Fault.STALL: "no answer within 1 s, after 4 tries",
    Fault.RESET: "the connection broke, after 4 tries",
    Fault.TRUNCATED: "the answer broke off, after 4 tries",
}
ON_LOOKUPS = {
    Fault.HTML: "expected TMDB's JSON",
    Fault.REDIRECT: "HTTP 302 for /movie",
    Fault.FORBIDDEN: "HTTP 403 for /movie",
    Fault.NESTED: "expected TMDB's JSON",
    Fault.SHORT_LENGTH: "expected TMDB's JSON",
}
ON_IMAGES = {
    Fault.HTML: "expected an image, received text/html",
    Fault.HTML_AS_IMAGE: "received a web page",
    Fault.REDIRECT: "HTTP 302 instead of the poster",
    Fault.PIXEL: "received 1 x 1: a placeholder",
    Fault.BLANK: "one color all over: a placeholder",
    Fault.BOMB: "received a decompression bomb",
    Fault.CUT_IMAGE: "cut off or damaged",
    Fault.SHORT_LENGTH: "cut off or damaged",
}


@dataclass(frozen=True)
class Ending:
    """The expected state of a film."""

    state: str
    source: str | None
    reason: str | None


class Scenario:
    """A seeded scenario: films, what the server knows of them, the faults, and the expected state of each."""

    def __init__(self, server: TmdbServer, seed: int) -> None:
        self._server = server
        self._rng = Random(seed)
        self.films: list[Film] = []
        self.endings: dict[int, Ending] = {}
        self.n_faulty = 0
        for movie_id in range(1, N_FILMS + 1):
            self._add(movie_id)

    def _add(self, movie_id: int) -> None:
        tmdb_id, imdb_id = 10_000 + movie_id, f"{movie_id:07}"
        kind = self._rng.choices(["plain", "find", "no_poster", "dead", "series", "unlinked"], [80, 6, 4, 4, 3, 3])[0]
        ending = {
            "plain": Ending("ok", "tmdb_movie", None),
            "find": Ending("ok", "tmdb_find", None),
            "no_poster": Ending("no_poster", "tmdb_movie", "TMDB has no poster"),
            "dead": Ending("not_found", "tmdb_find", "TMDB knows no film by imdb_id"),
            "series": Ending("not_found", "tmdb_find", "TMDB knows no film by imdb_id"),
            "unlinked": Ending("no_link", None, "neither a tmdb_id nor an imdb_id"),
        }[kind]
        linked = kind != "unlinked"
        self.films.append(
            Film(movie_id, f"Film {movie_id}", imdb_id=imdb_id if linked else None, tmdb_id=tmdb_id if linked else None)
        )
        if kind in ("plain", "find", "no_poster"):
            self._server.add_film(tmdb_id, None if kind == "no_poster" else b"", imdb_id=imdb_id)
        if kind == "find":
            self._server.forget(tmdb_id)
        if kind == "series":
            self._server.add_series(tmdb_id, imdb_id)
        # So that 30 % of all films meet a fault.
        if linked and self._rng.random() < 0.31:
            self.n_faulty += 1
            ending = self._misbehave(kind, tmdb_id, ending)
        self.endings[movie_id] = ending

    def _misbehave(self, kind: str, tmdb_id: int, ending: Ending) -> Ending:
        on_image = kind in ("plain", "find") and self._rng.random() < 0.6
        path = f"/t/p/w342/poster{tmdb_id}.jpg" if on_image else f"/3/movie/{tmdb_id}"
        source = ending.source if on_image else "tmdb_movie"
        if self._rng.random() < 0.6:
            fault = self._rng.choice(list(TRANSIENT))
            n_times = 1 if fault is Fault.STALL else self._rng.randint(1, N_RETRIES + 1)
            # One try is spare, as a connection that was kept open may break just as it is used again.
            n_times -= n_times == N_RETRIES
            self._server.inject(path, *[fault] * n_times)
            return ending if n_times <= N_RETRIES else Ending("failed", source, TRANSIENT[fault])
        reasons = ON_IMAGES if on_image else ON_LOOKUPS
        fault = self._rng.choice(list(reasons))
        self._server.inject(path, fault)
        return Ending("failed", source, reasons[fault])


@pytest.mark.parametrize("seed", [0, 1])
def test_every_film_ends_in_the_expected_state(server: TmdbServer, store: PosterStore, seed: int) -> None:
    scenario = Scenario(server, seed)
    assert 0.27 <= scenario.n_faulty / N_FILMS <= 0.33
    with TmdbClient(
        V3_KEY, server.base_url, rate=None, http=HttpOptions(timeout_s=1.0, n_retries=N_RETRIES, backoff_s=0)
    ) as client:
        report = fetch_posters(scenario.films, store, client)
    records = {record.movie_id: record for record in store.records()}
    assert list(records) == [film.movie_id for film in scenario.films]
    for movie_id, ending in scenario.endings.items():
        record = records[movie_id]
        assert (record.state, record.source) == (ending.state, ending.source), record
        assert (record.reason is None) == (ending.reason is None)
        assert ending.reason is None or ending.reason in str(record.reason)
    posters = store.posters()
    assert {poster.movie_id for poster in posters} == {
        m for m, ending in scenario.endings.items() if ending.state == "ok"
    }
    assert all(poster.path.read_bytes() == server.image(10_000 + poster.movie_id) for poster in posters)
    assert sum(report.counts.values()) == N_FILMS
    # Films without a link are not requested.
    assert report.n_settled == report.n_asked == N_FILMS - report.counts["no_link"]

    # Injected faults are used up, so the second run fetches the rest.
    with TmdbClient(
        V3_KEY, server.base_url, rate=None, http=HttpOptions(timeout_s=1.0, n_retries=N_RETRIES, backoff_s=0)
    ) as client:
        again = fetch_posters(scenario.films, store, client)
    assert again.counts["failed"] == again.outcomes["failed"] == 0
    assert again.n_asked == report.counts["failed"]
