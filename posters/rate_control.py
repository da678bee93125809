"""Finds the rate that a throttling server accepts, and tells a limit of the server from throttling at random."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

_MIN_ANSWERS = 30
_MIN_ANSWERS_OF_STEP = 20
_MIN_S = 1.5
# A few throttled requests may be chance, unless there are many others.
_MIN_THROTTLED = 5
_MAX_ANSWERS = 150
_SLOWEST = 1.0
# The server may count what it received in the last second.
_SETTLING_S = 1.0
# Throttling below this share is not worth a lower rate.
_IGNORED_LOSS = 0.15
_IGNORED_LOSS_OF_STEP = 0.05
# Of the most that the server accepted in a second: requests arrive a little unevenly.
_SAFE = 0.9
# A lower rate that accepts at least this share of before has cost nothing.
_KEPT = 0.85
_STEP = 1.1
_MAX_PATIENCE = 8


@dataclass
class _Period:
    """What became of the requests that were sent at one rate."""

    rate: float
    began_s: float
    ended_s: float = 0.0
    n_answers: int = 0
    n_throttled: int = 0
    paused_s: float = 0.0
    # The most that the server accepted in any second.
    peak: int = 0
    _accepted: deque[float] = field(default_factory=deque)

    def add(self, now_s: float, throttled: bool) -> None:
        self.n_answers += 1
        self.ended_s = max(self.ended_s, now_s)
        if throttled:
            self.n_throttled += 1
            return
        while self._accepted and self._accepted[0] <= now_s - 1.0:
            self._accepted.popleft()
        self._accepted.append(now_s)
        self.peak = max(self.peak, len(self._accepted))

    @property
    def elapsed_s(self) -> float:
        return self.ended_s - self.began_s

    @property
    def throttled_share(self) -> float:
        return self.n_throttled / self.n_answers

    @property
    def paused_share(self) -> float:
        return min(self.paused_s / self.elapsed_s, 1.0)

    @property
    def loss(self) -> float:
        """The share of the requests, or of the time, that was lost to throttling."""
        return max(self.throttled_share, self.paused_share)

    @property
    def is_paced(self) -> bool:
        """Whether the server's pauses hold back more than its refusals."""
        return self.paused_share > self.throttled_share

    @property
    def accepted_per_s(self) -> float:
        return (self.n_answers - self.n_throttled) / self.elapsed_s


class RateControl:
    """Adapts the rate of requests, up to `limit`, to the share of them that a server throttles.

    A server throttles because the rate is too high, or at random, when a lower rate would only lose time. So a period
    with much throttling is followed by a trial at half the rate or less. If throttling is as frequent and fewer
    requests are accepted, the rate is not the cause: it returns, and this share of throttling is tolerated. Otherwise
    the rate stays just below what the server accepted. From there it grows by steps, the further apart the more of them
    were throttled, and the larger the more of them were not.
    """

    def __init__(self, limit: float) -> None:
        self.rate = limit
        self._limit = limit
        self._slowest = min(_SLOWEST, limit / 2)
        # The highest rate since the last trial that was not throttled, and the one before it.
        self._steady = self._proven = limit
        self._tolerated = 0.0
        self._n_calm = self._n_steps = 0
        self._patience = 1
        self._before_trial: _Period | None = None
        self._resumes_s = -math.inf
        self._period = _Period(limit, -math.inf)

    def record(self, granted_s: float, now_s: float, *, throttled: bool, pause_s: float = 0.0) -> None:
        """Take account of an answer to a request that was granted at a time; `pause_s` follows it."""
        if self._period.began_s == -math.inf:
            self._begin(self._limit, granted_s)
        if granted_s < self._period.began_s:
            # It was sent at an earlier rate.
            self._resumes_s = max(self._resumes_s, now_s + pause_s)
            if not self._period.n_answers:
                self._period.began_s = max(self._period.began_s, self._resumes_s)
            return
        if throttled and not self._period.n_throttled and not self._before_trial and self.rate <= self._steady:
            # What was accepted before the server began to throttle is no measure.
            self._begin(self.rate, now_s)
        self._period.add(now_s, throttled)
        self._pause(now_s, pause_s)
        if self._is_conclusive(self._period):
            self._conclude(self._period)

    def resume(self, now_s: float) -> None:
        """Take account of a pause in which the server served a request: its pauses are not for the rate."""
        period = self._period
        period.paused_s = 0.0
        period.began_s, period.ended_s = min(period.began_s, now_s), min(period.ended_s, now_s)
        self._resumes_s = min(self._resumes_s, now_s)

    def _is_conclusive(self, period: _Period) -> bool:
        if period.elapsed_s < _MIN_S:
            return False
        if self.rate > self._steady:
            return period.n_answers >= _MIN_ANSWERS_OF_STEP
        n_needed: float = _MIN_ANSWERS
        if self._before_trial:
            # So many that some would be throttled if that were as frequent as before.
            n_needed = max(n_needed, 3 * self._before_trial.n_answers / self._before_trial.n_throttled)
        is_chance = 0 < period.n_throttled < _MIN_THROTTLED and period.n_answers < _MAX_ANSWERS
        return period.n_answers >= n_needed and not is_chance

    def _pause(self, now_s: float, pause_s: float) -> None:
        if pause_s > 0:
            resumes_s = max(self._resumes_s, now_s + pause_s)
            self._period.paused_s += resumes_s - max(self._resumes_s, now_s)
            self._resumes_s = self._period.ended_s = resumes_s

    def _conclude(self, period: _Period) -> None:
        ignored = _IGNORED_LOSS_OF_STEP if self.rate > self._steady else _IGNORED_LOSS
        if self._before_trial:
            self._judge(self._before_trial, period)
        elif period.loss <= self._tolerated + ignored:
            self._grow(period)
        elif self.rate > self._proven:
            self._step_back(period)
        else:
            self._try_lower(period)

    def _grow(self, period: _Period) -> None:
        self._tolerated += (min(period.loss, self._tolerated) - self._tolerated) / 8
        self._n_calm += 1
        if self.rate > self._steady:
            self._proven, self._steady = self._steady, self.rate
            self._n_steps += 1
        if self._n_calm >= self._patience:
            self._begin(self.rate * _STEP ** (self._n_steps + 1), period.ended_s)
        else:
            self._begin(self.rate, period.ended_s)

    def _step_back(self, period: _Period) -> None:
        self._n_calm = self._n_steps = 0
        self._patience = min(4 * self._patience, _MAX_PATIENCE)
        self._steady = self._steady if self.rate > self._steady else self._proven
        self._begin(self._steady, period.ended_s)

    def _try_lower(self, period: _Period) -> None:
        self._before_trial = period
        # Pauses protect the server, so the rate need not fall further.
        most = self.rate if period.is_paced else self.rate / 2
        self._begin(max(min(_SAFE * period.peak, most), self.rate / 16), period.ended_s)

    def _judge(self, before: _Period, trial: _Period) -> None:
        """Decide whether the rate caused the throttling."""
        self._before_trial = None
        still_throttled = trial.loss > before.loss / 3
        costs_requests = before.is_paced or trial.accepted_per_s < _KEPT * before.accepted_per_s
        if still_throttled and costs_requests:
            self._tolerated = (before.loss + trial.loss) / 2
            self._begin(before.rate, trial.ended_s)
            return
        self._tolerated = 0.0
        self._n_calm = self._n_steps = 0
        self._patience = 4
        if still_throttled:
            self._hold(trial.rate, trial)
            self._try_lower(trial)
        elif trial.rate <= _SAFE * before.peak:
            self._hold(min(_SAFE * before.peak, _SAFE * before.rate), trial)
        else:
            self._hold(trial.rate, trial)
            self._patience = 1
            self._grow(trial)

    def _hold(self, rate: float, period: _Period) -> None:
        self._begin(rate, period.ended_s)
        self._steady = self._proven = self.rate

    def _begin(self, rate: float, now_s: float) -> None:
        rate = min(max(rate, self._slowest), self._limit)
        began_s = max(now_s + (_SETTLING_S if rate < self.rate else 0.0), self._resumes_s)
        self.rate = rate
        self._period = _Period(self.rate, began_s, began_s)
