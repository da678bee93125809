from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from posters import rate_limit
from posters.http import HttpOptions
from posters.rate_limit import InterruptedFetchError, RateLimiter
from posters.tmdb import TmdbClient
from tests.posters.tmdb_server import V3_KEY, Fault, TmdbServer


class Clock:
    """A clock that is set by the test."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rate_limit, "time", clock)
    return clock


def busiest_second(times: list[float]) -> int:
    """The most requests in any window of one second; windows that begin with a request suffice."""
    times = sorted(times)
    return max(sum(begin <= time < begin + 1.0 for time in times) for begin in times)


@pytest.mark.parametrize("rate", [7.5, 30])
def test_the_server_sees_at_most_the_rate_in_any_second(server: TmdbServer, rate: float) -> None:
    n_films = int(2.5 * rate)
    for tmdb_id in range(n_films):
        server.add_film(tmdb_id)
    server.inject("/3/movie/3", Fault.RESET, Fault.TRUNCATED)
    with (
        TmdbClient(V3_KEY, server.base_url, rate=rate, http=HttpOptions(backoff_s=0)) as client,
        ThreadPoolExecutor(20) as pool,
    ):
        client.configuration()

        def look_up(tmdb_id: int) -> bytes:
            film = client.movie(tmdb_id)
            assert film is not None
            assert film.poster_path is not None
            return client.image(film.poster_path, "w342")

        assert all(pool.map(look_up, range(n_films)))
    api, images = ([request.at_s for request in server.requests if request.path.startswith(p)] for p in ("/3/", "/t/"))
    assert len(api) == n_films + 3
    assert busiest_second(api) <= rate
    assert busiest_second(images) <= rate


def test_a_permit_counts_until_a_second_after_its_response(clock: Clock) -> None:
    limiter = RateLimiter(2)
    limiter.acquire()
    clock.now_s += 0.5
    limiter.acquire()
    clock.now_s += 10.0
    # Both requests are still in flight and may arrive at any moment.
    assert limiter._wait_s(clock.now_s) > 0
    limiter.release()
    assert limiter._wait_s(clock.now_s) == 1.0
    clock.now_s += 1.0
    assert limiter._wait_s(clock.now_s) == 0.0


def test_a_rate_below_one(clock: Clock) -> None:
    limiter = RateLimiter(0.25)
    for _ in range(3):
        limiter.acquire()
        clock.now_s += 1.0
        limiter.release()
        assert limiter._wait_s(clock.now_s) == 4.0
        clock.now_s += 4.0
        assert limiter._wait_s(clock.now_s) == 0.0


def test_permits_are_spread_evenly(clock: Clock) -> None:
    limiter = RateLimiter(10)
    # After an idle time one extra permit is available, so that a late thread does not lower the rate.
    for _ in range(2):
        limiter.acquire()
        limiter.release()
    assert limiter._wait_s(clock.now_s) == pytest.approx(0.1)
    clock.now_s += 0.05
    assert limiter._wait_s(clock.now_s) == pytest.approx(0.05)


@pytest.mark.parametrize("rate", [None, 40])
def test_a_pause_holds_for_all_threads(clock: Clock, rate: float | None) -> None:
    limiter = RateLimiter(rate)
    permit = limiter.acquire()
    limiter.report(permit, throttled=True, pause_s=7.0)
    limiter.report(permit, throttled=True, pause_s=3.0)
    assert limiter._wait_s(clock.now_s) == 7.0
    clock.now_s += 7.0
    assert limiter._wait_s(clock.now_s) == 0.0


def test_without_a_limit_no_thread_waits() -> None:
    limiter = RateLimiter()
    for _ in range(1000):
        limiter.acquire()
    assert (limiter.n_requests, limiter.rate) == (1000, math.inf)


def test_an_interruption_ends_all_waiting() -> None:
    limiter = RateLimiter(1)
    permit = limiter.acquire()
    limiter.report(permit, throttled=True, pause_s=3600.0)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(limiter.acquire), pool.submit(limiter.sleep, 3600.0)]
        threading.Timer(0.01, limiter.interrupt).start()
        assert all(isinstance(future.exception(), InterruptedFetchError) for future in waiting)
    with pytest.raises(InterruptedFetchError):
        limiter.acquire()
