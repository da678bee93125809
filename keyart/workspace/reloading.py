"""Keep something opened from files, and reopen it when the files change."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Generic, Literal, TypeVar

from keyart.workspace.api_keys import redact
from keyart.workspace.changes import Snapshot

_log = logging.getLogger(__name__)

Part = TypeVar("Part")
Outcome = Literal["opened", "failed", "closed"]
OnReload = Callable[[str, Outcome], None]
"""Called with the name of the part after it was reopened, could not be, or was closed."""

# While a long extraction adds files all the time, reopening takes at most a tenth of one processor.
_MIN_PAUSES_PER_OPENING = 9
# Files that stay as they are may be readable later: a disk was full, a download failed.
_RETRY_S = 30.0


@dataclass(eq=False)
class _Opened(Generic[Part]):
    value: Part
    n_users: int = 0
    is_retired: bool = False


class Reloading(Generic[Part]):
    """Holds something opened from files; a thread reopens it when the files change. Safe to use from several threads.

    It is opened on first use. Users keep what they have until they are done, then the old one is closed. While the new
    one is being opened, or if it cannot be opened, the old one stays in use.
    """

    def __init__(
        self,
        name: str,
        open_: Callable[[], Part],
        paths: Callable[[], Iterable[Path]],
        *,
        reopen: Callable[[Part], Part] | None = None,
        close: Callable[[Part], Any] = lambda _: None,
        on_reload: OnReload = lambda _name, _outcome: None,
        interval_s: float = 1.0,
    ) -> None:
        self.name = name
        self._open = open_
        # A part that knows the old one may keep what is expensive and unchanged, such as a network.
        self._reopen = reopen or (lambda _: open_())
        self._paths = paths
        self._close = close
        self._on_reload = on_reload
        self._interval_s = interval_s
        self._lock = Lock()
        self._opening = Lock()
        self._stopped = Event()
        self._thread: Thread | None = None
        self._current: _Opened[Part] | None = None
        self._attempted: Snapshot | None = None
        self._retry_at = float("inf")
        self._pause_s = interval_s

    @contextmanager
    def use(self) -> Iterator[Part]:
        """Lend the part for a block; the first use opens it, and raises what opening raises."""
        opened = self._acquire()
        try:
            yield opened.value
        finally:
            with self._lock:
                opened.n_users -= 1
                is_last = opened.is_retired and not opened.n_users
            if is_last:
                self._close(opened.value)

    def refresh(self) -> None:
        """Reopen the part now if its files have changed; on return it is as new as it can be."""
        with self._opening:
            before = self._current
            if before is not None and self._is_due():
                self._replace(before)

    def close(self, *, wait: bool = True) -> None:
        """Stop watching the files, and close the part when its users are done; a later use opens one for itself.

        With `wait` a reopening in progress has ended on return.
        """
        self._stopped.set()
        if wait and self._thread is not None:
            self._thread.join()
        self._swap(None)
        self._on_reload(self.name, "closed")

    def _acquire(self) -> _Opened[Part]:
        while True:
            with self._lock:
                if self._current is not None:
                    self._current.n_users += 1
                    return self._current
            with self._opening:
                if self._stopped.is_set():
                    return _Opened(self._open(), n_users=1, is_retired=True)
                if self._current is None:
                    self._swap(self._opened(self._open))
                    self._thread = Thread(target=self._watch, name=f"reload {self.name}", daemon=True)
                    self._thread.start()

    def _opened(self, open_: Callable[[], Part]) -> _Opened[Part]:
        started = time.monotonic()
        # Taken before anything is read: a change meanwhile makes the part old, not wrong.
        self._attempted = Snapshot.take(self._paths())
        value = open_()
        self._pause_s = max(self._interval_s, _MIN_PAUSES_PER_OPENING * (time.monotonic() - started))
        return _Opened(value)

    def _watch(self) -> None:
        while not self._stopped.wait(self._pause_s):
            self.refresh()

    def _is_due(self) -> bool:
        return self._attempted is None or not self._attempted.is_current() or time.monotonic() >= self._retry_at

    def _replace(self, before: _Opened[Part]) -> None:
        try:
            self._swap(self._opened(lambda: self._reopen(before.value)))
        except Exception as error:  # whatever it is, the old one still answers
            self._retry_at = time.monotonic() + _RETRY_S
            _log.warning(
                "%s has changed and cannot be opened; the old one stays in use: %s", self.name, redact(str(error))
            )
            self._on_reload(self.name, "failed")
        else:
            self._retry_at = float("inf")
            _log.info("%s reopened", self.name)
            self._on_reload(self.name, "opened")

    def _swap(self, newer: _Opened[Part] | None) -> None:
        with self._lock:
            before, self._current = self._current, None if self._stopped.is_set() else newer
            # One that was opened while the holder was closed is never used.
            retired = [one for one in (before, newer) if one is not None and one is not self._current]
            for one in retired:
                one.is_retired = True
            unused = [one for one in retired if not one.n_users]
        for one in unused:
            self._close(one.value)
