"""A bound on the log: repeated records are counted instead of written, so that no client can fill a disk."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock


@dataclass
class _Window:
    ends_at: float
    n_records: int = 0


class LogLimit(logging.Filter):
    """Passes a message `n_repeats` times in `window_s` seconds, and `n_records` in all.

    The first record after a window says how many were left out.
    """

    def __init__(
        self,
        n_repeats: int = 3,
        n_records: int = 300,
        window_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._n_repeats = n_repeats
        self._n_records = n_records
        self._window_s = window_s
        self._clock = clock
        self._all = _Window(0.0)
        self._repeats: OrderedDict[tuple[str, str], _Window] = OrderedDict()
        self._lock = Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a record."""
        text = record.getMessage()
        with self._lock:
            remark = self._remark((record.name, text))
        if remark:
            record.msg, record.args = f"{text} ({remark})", ()
        return remark is not None

    def _remark(self, key: tuple[str, str]) -> str | None:
        """Count a record: None to leave it out, else what to add to it."""
        now = self._clock()
        repeats, n_left_out = self._repeats_of(key, now)
        repeats.n_records += 1
        if repeats.n_records > self._n_repeats:
            return None
        if now >= self._all.ends_at:
            self._all = _Window(now + self._window_s)
        self._all.n_records += 1
        if self._all.n_records > self._n_records:
            return None
        if self._all.n_records == self._n_records:
            return f"too many messages; the next ones are left out for up to {self._window_s:.0f} s"
        return f"repeated {n_left_out:,} times" if n_left_out else ""

    def _repeats_of(self, key: tuple[str, str], now: float) -> tuple[_Window, int]:
        """Return the window of a message, and how many of the window before were left out."""
        before = self._repeats.pop(key, None)
        is_open = before is not None and now < before.ends_at
        window = before if before is not None and is_open else _Window(now + self._window_s)
        self._repeats[key] = window
        if len(self._repeats) > self._n_records:
            self._repeats.popitem(last=False)
        n_before = before.n_records if before is not None and not is_open else 0
        return window, max(0, n_before - self._n_repeats)


def limit_logs() -> None:
    """Limit what the handlers of this process write."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(LogLimit())
