"""How fast one server is asked: never faster than it allows, and slower for everyone once it objects.

Imports nothing of keyart but the errors, and knows nothing of HTTP.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass

from catalog.errors import FetchError

_WINDOW_S = 1.0
# How long a halved rate takes to be whole again, if the server has nothing more to object.
_DOUBLES_IN_S = 30.0
_SLOWEST = 1.0


class InterruptedFetchError(FetchError):
    """Says that a request was given up because the run is being ended; nothing is known about its film."""


@dataclass(frozen=True)
class Turn:
    """The right to send one request."""

    began_s: float


class Pace:
    """Gives turns to the threads that ask one server, no more than so many in any second.

    Below one a second, it is one in any span of ``1 / rate`` seconds.

    A bucket of tokens would let twice its rate through around a refill, and a request may be on its way for a while.
    A turn therefore counts from the moment it is given until a second after its request was answered. Whatever
    second the server looks at: of the requests that arrive in it, the last to be given its turn found all the others
    still counted. So the server too, not only the sender, sees the rate kept, however late requests arrive. The price
    is small: at a rate of 35 and answers after 40 ms, 33.7 requests a second.

    Turns are also spread evenly over the second.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._limit = math.inf if rate is None else rate
        # Wide enough for one request.
        self._window_s = max(_WINDOW_S, 1 / self._limit)
        self._reduced = self._limit
        # Reentrant, since a signal's handler may interrupt in the very thread that holds it.
        self._changed = threading.Condition(threading.RLock())
        self._n_open = 0
        self._answered: deque[float] = deque()
        self._next_s = 0.0
        self._slowed_s = self._resumes_s = -math.inf
        self._interrupted = False
        self.n_turns = 0
        self.n_slowed = 0

    @property
    def rate(self) -> float:
        """Requests a second that are allowed now: less than the limit for a while after the server objected."""
        n_doublings = min((time.monotonic() - self._resumes_s) / _DOUBLES_IN_S, 64.0)
        return min(self._limit, self._reduced * math.pow(2.0, max(n_doublings, 0.0)))

    def take(self) -> Turn:
        """Wait until a request may be sent; `give_back` must follow."""
        with self._changed:
            while (wait_s := self._wait_s(now_s := time.monotonic())) != 0:
                self._wait(wait_s)
            self._check()
            # From where the last one should have been, lest delays add up; the window is kept whatever happens here.
            self._next_s = max(self._next_s + 1 / self.rate, now_s)
            self._n_open += 1
            self.n_turns += 1
            return Turn(now_s)

    def give_back(self) -> None:
        """Note that a request was answered, or will not be."""
        with self._changed:
            self._n_open -= 1
            if self._limit < math.inf:
                self._answered.append(time.monotonic())
                self._changed.notify_all()

    def slow_down(self, turn: Turn, pause_s: float) -> None:
        """Halve the rate, and let everyone pause; the rate then recovers within about half a minute.

        Requests that were on their way together are objected to together, which counts once.
        """
        with self._changed:
            now_s = time.monotonic()
            self.n_slowed += 1
            if turn.began_s > self._slowed_s:
                self._reduced = max(self.rate / 2, min(_SLOWEST, self._limit / 2))
                self._slowed_s = now_s
            self._resumes_s = max(self._resumes_s, now_s + pause_s)

    def rest(self, pause_s: float) -> None:
        """Let this thread alone pause."""
        ends_s = time.monotonic() + pause_s
        with self._changed:
            while (wait_s := ends_s - time.monotonic()) > 0:
                self._wait(wait_s)
            self._check()

    @property
    def interrupted(self) -> bool:
        """Whether the run is being ended."""
        return self._interrupted

    def interrupt(self) -> None:
        """End all waiting, now and from now on; may be called by a signal's handler."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def _wait_s(self, now_s: float) -> float:
        """Tell how long the next turn is away, 0 where it can be given; others may take it in the meantime."""
        while self._answered and self._answered[0] <= now_s - self._window_s:
            self._answered.popleft()
        due_s = max(self._next_s, self._resumes_s)
        if self._n_open + len(self._answered) + 1 > max(self.rate * self._window_s, 1.0):
            # With none answered yet, an answer will wake us.
            due_s = max(due_s, self._answered[0] + self._window_s if self._answered else now_s + self._window_s)
        return max(due_s - now_s, 0.0)

    def _wait(self, wait_s: float) -> None:
        self._check()
        self._changed.wait(wait_s)

    def _check(self) -> None:
        if self._interrupted:
            raise InterruptedFetchError("the run is being ended")
