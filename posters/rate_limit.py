"""Rate limiter for the threads that send requests to one server; it slows down when the server throttles."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass

from catalog.errors import FetchError
from posters.rate_control import RateControl

_WINDOW_S = 1.0
# A thread may start this much too late without lowering a reduced rate.
_LATE_S = 0.05
# So many pauses are waited for whole before one request is tried during the next; more, where that is in vain again.
_PAUSES_BEFORE_TRIAL = 2
_MOST_PAUSES_BEFORE_TRIAL = 64
# The share of a pause that passes before the trial.
_BEFORE_TRIAL = 0.125
_AGAIN_S = 0.1


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

    Below the limit, where `RateControl` finds the rate, permits are spread evenly.

    A pause that the server asks for holds up all requests, as RFC 6585 has it. Some servers ask for pauses of single
    requests, though they would serve others: after some whole pauses, one request is tried during a pause, and if it is
    served, the others go on. If the server asks it to wait too, many whole pauses follow.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._limit = math.inf if rate is None else rate
        # Long enough for one request.
        self._window_s = max(_WINDOW_S, 1 / self._limit)
        self._control = RateControl(self._limit)
        # Reentrant, since a signal handler may call `interrupt` in the thread that holds the lock.
        self._condition = threading.Condition(threading.RLock())
        self._n_open = 0
        self._answered: deque[float] = deque()
        self._next_s = 0.0
        self._resumes_s = -math.inf
        # When a request may be tried in the present pause, that request, and the whole pauses before the next trial.
        self._trial_s = math.inf
        self._trial: Permit | None = None
        self._n_whole = self._n_before_trial = _PAUSES_BEFORE_TRIAL
        self._interrupted = False
        self.n_requests = 0
        self.n_slowed = 0

    @property
    def rate(self) -> float:
        """Requests per second that are allowed now: below the limit while the server throttles."""
        return self._control.rate

    def acquire(self) -> Permit:
        """Wait until a request may be sent; call `release` once it was answered."""
        with self._condition:
            while (wait_s := self._wait_s(now_s := time.monotonic())) != 0:
                self._wait(wait_s)
            self._check()
            permit = Permit(now_s)
            if now_s < self._resumes_s:
                self._trial, self._trial_s = permit, math.inf
            # From when the last one was due, so that delays do not add up; the window keeps the limit in any case.
            interval_s = 1 / self.rate
            lateness_s = interval_s if self.rate == self._limit else min(interval_s, _LATE_S)
            self._next_s = max(self._next_s + interval_s, now_s + interval_s - lateness_s)
            self._n_open += 1
            self.n_requests += 1
            return permit

    def release(self) -> None:
        """Record that a request was answered, or will not be."""
        with self._condition:
            self._n_open -= 1
            if self._limit < math.inf:
                self._answered.append(time.monotonic())
                self._condition.notify_all()

    def report(self, permit: Permit, *, throttled: bool, pause_s: float = 0.0, served: bool = False) -> None:
        """Take account of whether the server throttled or served a request; `pause_s` is what it asks for."""
        with self._condition:
            now_s = time.monotonic()
            self.n_slowed += throttled
            if self._limit < math.inf:
                self._control.record(permit.granted_s, now_s, throttled=throttled, pause_s=pause_s)
            if pause_s > 0:
                self._pause(now_s, pause_s, after_trial=permit is self._trial)
            elif permit is self._trial and now_s < self._resumes_s:
                if served:
                    self._resume(now_s)
                else:
                    self._try_again()

    def fail(self, permit: Permit) -> None:
        """Take account of a request without an answer."""
        with self._condition:
            if permit is self._trial:
                self._try_again()

    def _try_again(self) -> None:
        """Try another request in this pause: that one failed, which says nothing about throttling."""
        self._trial, self._trial_s = None, time.monotonic() + _AGAIN_S
        self._condition.notify_all()

    def _pause(self, now_s: float, pause_s: float, *, after_trial: bool) -> None:
        if after_trial:
            self._n_whole = self._n_before_trial
            self._n_before_trial = min(2 * self._n_before_trial, _MOST_PAUSES_BEFORE_TRIAL)
        elif now_s >= self._resumes_s:
            # Answers to requests that were on their way belong to the same pause.
            self._trial = None
            self._trial_s = math.inf if self._n_whole else now_s + _BEFORE_TRIAL * pause_s
            self._n_whole = max(self._n_whole - 1, 0)
        self._resumes_s = max(self._resumes_s, now_s + pause_s)
        # No request makes up for the pause.
        self._next_s = max(self._next_s, self._resumes_s)

    def _resume(self, now_s: float) -> None:
        """End the pause: only the requests that the server asked to wait do so."""
        self._n_before_trial = _PAUSES_BEFORE_TRIAL
        self._resumes_s = self._next_s = now_s
        self._control.resume(now_s)
        self._condition.notify_all()

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
        while self._answered and self._answered[0] + self._window_s <= now_s:
            self._answered.popleft()
        due_s = min(max(self._next_s, self._resumes_s), self._trial_s)
        if self._n_open + len(self._answered) + 1 > max(self._limit * self._window_s, 1.0):
            # If none is answered yet, the next response ends the wait.
            due_s = max(due_s, self._answered[0] + self._window_s if self._answered else now_s + self._window_s)
        return max(due_s - now_s, 0.0)

    def _wait(self, wait_s: float) -> None:
        self._check()
        self._condition.wait(wait_s)

    def _check(self) -> None:
        if self._interrupted:
            raise InterruptedFetchError("the run is being ended")
