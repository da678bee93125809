"""Run functions in threads, one at a time, that take turns at their file operations below a folder.

A turn ends before an operation: a file is opened, renamed or removed, a folder is listed, a database is connected to.
Between two of them the thread has the whole machine, so that a schedule, and what comes of it, can be repeated.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

_EVENTS = {"open", "os.rename", "os.remove", "os.listdir", "os.scandir", "os.mkdir", "sqlite3.connect"}
# A thread that waits for a lock of one that is parked makes no progress.
_STUCK_S = 5.0

Choose = Callable[[int, int], int]
"""Chooses whose turn is next, given the number of the thread at an operation and how many threads there are."""


@dataclass
class _Turn:
    number: int
    work: Callable[[], object]
    allowed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    n_operations: int = 0
    is_done: bool = False
    result: Any = None
    error: BaseException | None = None


class Interleaving:
    """One run of several functions; `results` has what each returned, or the exception that it raised."""

    def __init__(self, folder: Path, works: Sequence[Callable[[], object]], choose: Choose) -> None:
        self._folder, self._choose = str(folder), choose
        self._turns = [_Turn(number, work) for number, work in enumerate(works)]
        self._of_thread: dict[int, _Turn] = {}
        self._lock = threading.Lock()

    @property
    def n_operations(self) -> list[int]:
        """How many operations each function has made."""
        return [turn.n_operations for turn in self._turns]

    def run(self) -> list[Any]:
        """Run all to their end."""
        threads = [threading.Thread(target=self._run, args=(turn,)) for turn in self._turns]
        _install(self)
        try:
            for thread in threads:
                thread.start()
            self._turns[self._choose(-1, len(self._turns)) % len(self._turns)].allowed.release()
            seen: list[int] = []
            while any(thread.is_alive() for thread in threads):
                for thread in threads:
                    thread.join(_STUCK_S / len(threads))
                if self.n_operations == seen:
                    for turn in self._turns:
                        turn.allowed.release()
                seen = self.n_operations
        finally:
            _install(None)
        return [turn.error or turn.result for turn in self._turns]

    def _run(self, turn: _Turn) -> None:
        self._of_thread[threading.get_ident()] = turn
        turn.allowed.acquire()
        try:
            turn.result = turn.work()
        except BaseException as error:
            turn.error = error
        with self._lock:
            turn.is_done = True
            waiting = [one for one in self._turns if not one.is_done]
        if waiting:
            waiting[0].allowed.release()

    def at_operation(self, path: str) -> None:
        """End the turn of this thread, if it is one of those and the path is below the folder."""
        turn = self._of_thread.get(threading.get_ident())
        if turn is None or not path.startswith(self._folder):
            return
        with self._lock:
            turn.n_operations += 1
            chosen = self._turns[self._choose(turn.number, len(self._turns)) % len(self._turns)]
            if chosen is turn or chosen.is_done:
                return
            chosen.allowed.release()
        turn.allowed.acquire()


def at_random(rng: Random, share: float) -> Choose:
    """Pass the turn to another thread at a share of all operations."""
    return lambda number, n: rng.randrange(n) if number < 0 or rng.random() < share else number


def once_at(operation: int) -> Choose:
    """Begin with the first thread, and let the second run from the n-th operation of the first to its own end."""
    left = operation

    def choose(number: int, n: int) -> int:
        nonlocal left
        if number == 0:
            left -= 1
            return 1 if left == -1 else 0
        return max(number, 0)

    return choose


_current: Interleaving | None = None
_is_hooked = False


def _install(interleaving: Interleaving | None) -> None:
    global _current, _is_hooked
    _current = interleaving
    if not _is_hooked:
        # Hooks cannot be removed.
        sys.addaudithook(_hook)
        _is_hooked = True


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    interleaving = _current
    if interleaving is None or event not in _EVENTS or not arguments:
        return
    path = arguments[0]
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if isinstance(path, (str, os.PathLike)):
        text = os.fspath(path)
        interleaving.at_operation(
            text.removeprefix("file://").partition("?")[0] if event == "sqlite3.connect" else text
        )
