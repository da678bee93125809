"""The rate against servers that throttle, on a clock that the test sets."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

import pytest

from posters import rate_limit
from posters.rate_limit import RateLimiter
from tests.posters.test_rate_limit import Clock, busiest_second

Accepts = Callable[[float], bool]


def at_most(limit: int) -> Accepts:
    """A server that accepts so many requests in any second."""
    accepted: deque[float] = deque()

    def accepts(at_s: float) -> bool:
        while accepted and accepted[0] <= at_s - 1.0:
            accepted.popleft()
        if len(accepted) < limit:
            accepted.append(at_s)
            return True
        return False

    return accepts


def bucket(limit: int, size: int) -> Accepts:
    """A server that accepts `size` requests at once, and so many a second in the long run."""
    tokens, last_s = float(size), 0.0

    def accepts(at_s: float) -> bool:
        nonlocal tokens, last_s
        tokens, last_s = min(tokens + (at_s - last_s) * limit, size), at_s
        if tokens < 1:
            return False
        tokens -= 1
        return True

    return accepts


def at_random(share: float, seed: int) -> Accepts:
    rng = Random(seed)
    return lambda at_s: rng.random() >= share


@dataclass
class Log:
    """When requests arrived at the server, and whether it accepted them."""

    arrived: list[float] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)

    def per_s(self, begin_s: float, end_s: float) -> float:
        return sum(begin_s <= at_s < end_s for at_s in self.accepted) / (end_s - begin_s)


def send(
    clock: Clock, limiter: RateLimiter, accepts: Accepts, until_s: float, *, retry_after_s: float = 0.0, seed: int = 0
) -> Log:
    """Send requests as fast as the limiter allows; they and their answers take up to 30 ms."""
    rng, log = Random(seed), Log()
    answers: list[tuple[float, int, rate_limit.Permit, bool]] = []
    while clock.now_s < until_s:
        wait_s = limiter._wait_s(clock.now_s)
        if answers and answers[0][0] <= clock.now_s + wait_s:
            clock.now_s, _, permit, accepted = heappop(answers)
            limiter.release()
            limiter.report(permit, throttled=not accepted, pause_s=0.0 if accepted else retry_after_s)
        elif wait_s:
            clock.now_s += wait_s
        else:
            permit = limiter.acquire()
            arrives_s = clock.now_s + rng.uniform(0.005, 0.03)
            accepted = accepts(arrives_s)
            log.arrived.append(arrives_s)
            if accepted:
                log.accepted.append(arrives_s)
            heappush(answers, (arrives_s + rng.uniform(0.005, 0.03), len(log.arrived), permit, accepted))
    return log


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.now_s = 0.0
    monkeypatch.setattr(rate_limit, "time", clock)
    return clock


@pytest.mark.parametrize("retry_after_s", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_lower_limit_of_the_server_is_used_up(clock: Clock, retry_after_s: float, seed: int) -> None:
    limiter = RateLimiter(40)
    assert send(clock, limiter, at_random(0, 0), 10.0, seed=seed).per_s(0.0, 10.0) > 35
    log = send(clock, limiter, at_most(5), 100.0, retry_after_s=retry_after_s, seed=seed)
    assert log.per_s(10.0, 100.0) >= 0.8 * 5
    assert len(log.arrived) < 1.3 * len(log.accepted)
    # Once the server allows more again, so does the limiter.
    log = send(clock, limiter, at_random(0, 0), 200.0, seed=seed)
    assert log.per_s(190.0, 200.0) > 35


def test_a_server_that_accepts_bursts_is_asked_for_what_it_accepts_in_the_long_run(clock: Clock) -> None:
    log = send(clock, RateLimiter(40), bucket(5, 40), 100.0)
    assert log.per_s(20.0, 100.0) >= 0.8 * 5
    assert sum(at_s > 20.0 for at_s in log.arrived) < 1.2 * sum(at_s > 20.0 for at_s in log.accepted)


@pytest.mark.parametrize("share", [0.06, 0.3, 0.6])
@pytest.mark.parametrize("seed", range(3))
def test_throttling_at_random_costs_little(clock: Clock, share: float, seed: int) -> None:
    log = send(clock, RateLimiter(40), at_random(share, seed), 60.0, seed=seed)
    # What would be accepted at the full rate.
    assert log.per_s(0.0, 60.0) > 0.5 * 40 * (1 - share)
    assert busiest_second(log.arrived) <= 40


def test_pauses_at_random_do_not_lower_the_rate(clock: Clock) -> None:
    limiter = RateLimiter(40)
    log = send(clock, limiter, at_random(0.06, 0), 60.0, retry_after_s=1.0)
    # 16 requests between pauses of a second are sent in 0.4 s.
    assert log.per_s(0.0, 60.0) > 0.7 * 16 / 1.4


def test_a_limit_is_found_among_random_faults(clock: Clock) -> None:
    limiter = RateLimiter(40)
    send(clock, limiter, at_random(0.3, 0), 20.0)
    log = send(clock, limiter, at_most(5), 80.0)
    assert log.per_s(40.0, 80.0) >= 0.8 * 5
    assert sum(at_s > 40.0 for at_s in log.arrived) < 1.2 * sum(at_s > 40.0 for at_s in log.accepted)


def test_a_server_that_accepts_nothing_is_asked_ever_less(clock: Clock) -> None:
    limiter = RateLimiter(40)
    log = send(clock, limiter, at_random(1, 0), 60.0)
    assert limiter.rate == 1.0
    assert sum(at_s > 30.0 for at_s in log.arrived) <= 31


def test_a_rate_below_one_is_halved_at_most(clock: Clock) -> None:
    limiter = RateLimiter(0.25)
    send(clock, limiter, at_random(1, 0), 600.0)
    assert limiter.rate == 0.125


def test_a_rare_throttled_request_changes_nothing(clock: Clock) -> None:
    limiter = RateLimiter(40)
    rare = Random(0)
    log = send(clock, limiter, lambda at_s: rare.random() > 0.02, 30.0)
    assert limiter.rate == 40
    assert log.per_s(0.0, 30.0) > 35


def test_without_a_limit_the_rate_is_not_reduced(clock: Clock) -> None:
    limiter = RateLimiter()
    for _ in range(1000):
        clock.now_s += 0.01
        limiter.report(limiter.acquire(), throttled=True)
    assert limiter.rate == math.inf
    assert limiter.n_slowed == 1000
