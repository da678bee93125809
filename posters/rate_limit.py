"""Rate limiter for the threads that send requests to one server; it slows down when the server throttles."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass

from catalog.errors import FetchError

_WINDOW_S = 1.0
# How long a halved rate takes to recover.
_DOUBLES_IN_S = 30.0
_SLOWEST = 1.0


class InterruptedFetchError(FetchError):
    """A request was abandoned because the run was interrupted; nothing is known about its film."""


@dataclass(frozen=True)
class Permit:
    """Permission to send one request, granted at a time of `time.monotonic`."""

    granted_s: float


class RateLimiter:
    """Grants at most `rate` permits in any second, evenly spread; below 1, one in any ``1 / rate`` seconds.

    A token bucket would let twice its rate through around a refill, and a request may be on its way for a while.
    Therefore a permit counts from when it is granted until a second after its request was answered. Of the requests
    that arrive at the server in any one second, the last to be granted found all the others still counted: the server
    sees the rate kept, however late requests arrive. The price is small: at a rate of 35 and responses after 40 ms,
    33.7 requests per second.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._limit = math.inf if rate is None else rate
        # Long enough for one request.
        self._window_s = max(_WINDOW_S, 1 / self._limit)
        self._reduced = self._limit
        # Reentrant, since a signal handler may call `interrupt` in the thread that holds the lock.
        self._condition = threading.Condition(threading.RLock())
        self._n_open = 0
        self._answered: deque[float] = deque()
        self._next_s = 0.0
        self._slowed_s = self._resumes_s = -math.inf
        self._interrupted = False
        self.n_requests = 0
        self.n_slowed = 0

    @property
    def rate(self) -> float:
        """Requests per second that are allowed now: below the limit for a while after the server throttled."""
        n_doublings = min((time.monotonic() - self._resumes_s) / _DOUBLES_IN_S, 64.0)
        return min(self._limit, self._reduced * math.pow(2.0, max(n_doublings, 0.0)))

    def acquire(self) -> Permit:
        """Wait until a request may be sent; call `release` once it was answered."""
        with self._condition:
            while (wait_s := self._wait_s(now_s := time.monotonic())) != 0:
                self._wait(wait_s)
            self._check()
            # From when the last one was due, so that delays do not add up; the window limits the rate in any case.
            self._next_s = max(self._next_s + 1 / self.rate, now_s)
            self._n_open += 1
            self.n_requests += 1
            return Permit(now_s)

    def release(self) -> None:
        """Record that a request was answered, or will not be."""
        with self._condition:
            self._n_open -= 1
            if self._limit < math.inf:
                self._answered.append(time.monotonic())
                self._condition.notify_all()

    def slow_down(self, permit: Permit, pause_s: float) -> None:
        """Halve the rate and pause all threads; the rate then recovers within about half a minute.

        Requests that were on their way at the same time are throttled together, and halve the rate once.
        """
        with self._condition:
            now_s = time.monotonic()
            self.n_slowed += 1
            if permit.granted_s > self._slowed_s:
                self._reduced = max(self.rate / 2, min(_SLOWEST, self._limit / 2))
                self._slowed_s = now_s
            self._resumes_s = max(self._resumes_s, now_s + pause_s)

    def sleep(self, pause_s: float) -> None:
        """Pause this thread; InterruptedFetchError if the run is interrupted."""
        ends_s = time.monotonic() + pause_s
        with self._condition:
            while (wait_s := ends_s - time.monotonic()) > 0:
                self._wait(wait_s)
            self._check()

    @property
    def interrupted(self) -> bool:
        """Whether `interrupt` was called."""
        return self._interrupted

    def interrupt(self) -> None:
        """End all waiting, now and from now on; signal handlers may call it."""
        with self._condition:
            self._interrupted = True
            self._condition.notify_all()

    def _wait_s(self, now_s: float) -> float:
        """Return the seconds until the next permit, which another thread may take first; 0 if it can be granted now."""
        while self._answered and self._answered[0] <= now_s - self._window_s:
            self._answered.popleft()
        due_s = max(self._next_s, self._resumes_s)
        if self._n_open + len(self._answered) + 1 > max(self.rate * self._window_s, 1.0):
            # If none is answered yet, the next response ends the wait.
            due_s = max(due_s, self._answered[0] + self._window_s if self._answered else now_s + self._window_s)
        return max(due_s - now_s, 0.0)

    def _wait(self, wait_s: float) -> None:
        self._check()
        self._condition.wait(wait_s)

    def _check(self) -> None:
        if self._interrupted:
            raise InterruptedFetchError("the run is being ended")
