"""Fetching from a server that throttles or fails at random, as the server records it."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random
from statistics import mean

import pytest

from catalog.film import Film
from posters.fetch import fetch_posters
from posters.http import HttpClient, HttpOptions
from posters.rate_limit import Permit, RateLimiter
from posters.store import PosterStore
from posters.tmdb import TmdbClient
from tests.posters.test_rate_limit import busiest_second
from tests.posters.tmdb_server import V3_KEY, Fault, Request, TmdbServer

pytestmark = pytest.mark.heavy

TRANSIENT = (Fault.TOO_MANY_BARE, Fault.SERVER_ERROR, Fault.OVERLOADED, Fault.RESET, Fault.TRUNCATED)


def test_random_faults_leave_a_fifth_of_the_rate_allowed(
    server: TmdbServer, store: PosterStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_films, rate = 100, 40
    # What is allowed, as a busy machine sends less.
    allowed: list[float] = []
    acquire = RateLimiter.acquire

    def recorded(limiter: RateLimiter) -> Permit:
        allowed.append(limiter.rate)
        return acquire(limiter)

    monkeypatch.setattr(RateLimiter, "acquire", recorded)
    for tmdb_id in range(1, n_films + 1):
        server.add_film(tmdb_id)
    n_sent: Counter[str] = Counter()

    def fail_at_random(request: Request) -> Fault | None:
        n_sent[request.path] += 1
        rng = Random(f"{request.path} {n_sent[request.path]}")
        return rng.choice(TRANSIENT) if rng.random() < 0.3 else None

    server.set_rule(fail_at_random)
    films = [Film(tmdb_id, f"Film {tmdb_id}", tmdb_id=tmdb_id) for tmdb_id in range(1, n_films + 1)]
    with TmdbClient(V3_KEY, server.base_url, rate=rate) as client:
        report = fetch_posters(films, store, client)
    assert report.n_ok == n_films
    for host in ("/3/", "/t/"):
        times = [request.at_s for request in server.requests if request.path.startswith(host)]
        assert busiest_second(times) <= rate
    # Most requests are sent once; the time that they would take at the rate that was allowed.
    assert len(server.requests) <= 2 * len({request.path for request in server.requests})
    assert sum(1 / each for each in allowed) <= 5 * 2 * n_films / rate


class Limit:
    """A server that accepts so many requests in any second; it records those that it accepts."""

    def __init__(self, limit: int) -> None:
        self.accepted: list[float] = []
        self._limit = limit

    def __call__(self, request: Request) -> Fault | None:
        if len(self.accepted) >= self._limit and request.at_s < self.accepted[-self._limit] + 1.0:
            return Fault.TOO_MANY_BARE
        self.accepted.append(request.at_s)
        return None


def test_a_lower_limit_of_the_server_is_used_up(server: TmdbServer) -> None:
    limit, n_requests = Limit(30), 150
    url = server.add_file("/x", b"x")
    limiter = RateLimiter(100)
    client = HttpClient(HttpOptions(n_retries=20), limiter=limiter)
    # What is allowed, as a busy machine sends less.
    allowed: list[float] = []

    def lowered(request: Request) -> Fault | None:
        allowed.append(limiter.rate)
        return limit(request)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(client.get, [url] * 60))
        server.set_rule(lowered)
        list(pool.map(client.get, [url] * n_requests))
    client.close()
    assert busiest_second([request.at_s for request in server.requests]) <= 100
    # The first requests find out what the limit is.
    assert mean(allowed[30:]) >= 0.8 * 30
    assert len(server.requests) < 2 * n_requests + 60


@pytest.mark.parametrize("rate", [40, None])
def test_no_request_follows_before_the_time_of_retry_after(server: TmdbServer, rate: float | None) -> None:
    n_threads = 4
    urls = [server.add_file(f"/{number}", b"x") for number in range(60)]
    server.inject("/20", Fault.TOO_MANY_WAIT)
    client = HttpClient(limiter=RateLimiter(rate))
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(client.get, urls))
    client.close()
    throttled = server.paths().index("/20")
    # Requests that were on their way, or granted before the answer arrived.
    later = [request.at_s for request in server.requests[throttled + 2 * n_threads :]]
    assert min(later) >= server.requests[throttled].at_s + 1.0
