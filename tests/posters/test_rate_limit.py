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


class Throttled:
    """A limiter by a clock that is set, whose answers ask for pauses of eight seconds."""

    def __init__(self, clock: Clock) -> None:
        self.limiter = RateLimiter(100)
        self._clock = clock

    def pause(self) -> None:
        """Send a request that has to wait."""
        self.answer(throttled=True)

    def answer(self, *, throttled: bool = False, served: bool = False) -> None:
        permit = self.limiter.acquire()
        self.limiter.release()
        self.limiter.report(permit, throttled=throttled, pause_s=8.0 if throttled else 0.0, served=served)

    def wait_s(self) -> float:
        """Let the time pass until another request may be sent."""
        waited_s = self.limiter._wait_s(self._clock.now_s)
        self._clock.now_s += waited_s
        return waited_s


@pytest.fixture
def throttled(clock: Clock) -> Throttled:
    return Throttled(clock)


def test_the_first_pauses_are_whole(throttled: Throttled) -> None:
    for _ in range(2):
        throttled.pause()
        assert throttled.wait_s() == 8


def after_whole_pauses(throttled: Throttled) -> None:
    for _ in range(2):
        throttled.pause()
        throttled.wait_s()
    throttled.pause()
    assert throttled.wait_s() == 1


def test_a_request_that_is_served_in_a_pause_ends_it(throttled: Throttled, clock: Clock) -> None:
    after_whole_pauses(throttled)
    permit = throttled.limiter.acquire()
    throttled.limiter.release()
    # One at a time.
    assert throttled.limiter._wait_s(clock.now_s) == pytest.approx(7, abs=0.02)
    throttled.limiter.report(permit, throttled=False, served=True)
    assert throttled.wait_s() < 0.1
    throttled.pause()
    assert throttled.wait_s() == 1


def test_many_whole_pauses_follow_a_trial_in_vain(throttled: Throttled) -> None:
    for n_whole in (2, 2, 4, 8):
        for _ in range(n_whole):
            throttled.pause()
            assert throttled.wait_s() == 8
        throttled.pause()
        assert throttled.wait_s() == 1
        # The server asks this one to wait too: a whole pause from now on.
        throttled.pause()
        assert throttled.wait_s() == 8


@pytest.mark.parametrize("has_answer", [True, False])
def test_a_trial_that_fails_otherwise_is_repeated(throttled: Throttled, has_answer: bool) -> None:
    after_whole_pauses(throttled)
    permit = throttled.limiter.acquire()
    throttled.limiter.release()
    if has_answer:
        throttled.limiter.report(permit, throttled=False)
    else:
        throttled.limiter.fail(permit)
    assert throttled.wait_s() == pytest.approx(0.1)
