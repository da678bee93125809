"""Progress of long work: a bar with rate and time left on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Event, Thread
from typing import Protocol

# How often a bar counts the seconds on while a long step goes on.
_TICK_S = 1.0
# Units without a name, such as images, are reported so seldom where there is no terminal.
_LINE_S = 10.0
# A shorter time left is not worth a word.
_LONG_S = 3.0


class Advance(Protocol):
    """Called with the number of further units that are done; `doing` names the unit that begins now."""

    def __call__(self, n_units: int, doing: str = "") -> None: ...


Progress = Callable[[str, int, str], AbstractContextManager[Advance]]
"""Called with a description, the total and the unit; a context manager that yields the function to advance with."""


def ignore(n_units: int, doing: str = "") -> None:
    """Show nothing."""


@contextmanager
def silent(description: str, total: int, unit: str) -> Iterator[Advance]:  # noqa: ARG001 - the signature of Progress
    """Show nothing: for libraries and tests."""
    yield ignore


@contextmanager
def bar(description: str, total: int, unit: str) -> Iterator[Advance]:
    """Show a progress bar on standard error if that is a terminal; else a line for each named unit, when it is done.

    Units without a name get a line every ten seconds.
    """
    if not sys.stderr.isatty():
        yield _Lines(description, total, unit)
        return
    from tqdm import tqdm

    with tqdm(desc=description, total=total, unit=f" {unit}", dynamic_ncols=True) as shown, _ticking(shown.refresh):

        def advance(n_units: int, doing: str = "") -> None:
            if doing:
                shown.set_postfix_str(doing)
            shown.update(n_units)

        yield advance


def write_line(line: str) -> None:
    """Print a line to standard output, above a bar if there is one."""
    from tqdm import tqdm

    tqdm.write(line)


class _Lines:
    """Writes lines to standard error."""

    def __init__(self, description: str, total: int, unit: str) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._n_done, self._doing, self._since = 0, "", time.monotonic()
        self._began = self._since

    def __call__(self, n_units: int, doing: str = "") -> None:
        now = time.monotonic()
        self._n_done += n_units
        lasted_s = now - self._since
        count = f"{self._n_done:,} of {self._total:,} {self._unit}"
        if n_units and self._doing:
            left = f" ({count}{self._left(now)})" if self._total > 1 else ""
            self._print(f"{self._doing} in {lasted_s:.1f} s{left}")
        elif n_units and lasted_s >= _LINE_S:
            self._print(count + self._left(now))
            self._since = now
        if doing:
            if not self._doing and self._total > 1:
                self._print(f"{self._total:,} {self._unit}")
            self._doing, self._since = doing, now

    def _left(self, now: float) -> str:
        """Estimate the time left by what the units so far took."""
        left_s = (now - self._began) / self._n_done * (self._total - self._n_done)
        return f", about {left_s:,.0f} s left" if left_s >= _LONG_S else ""

    def _print(self, text: str) -> None:
        sys.stderr.write(f"{self._description}: {text}\n")
        sys.stderr.flush()


@contextmanager
def _ticking(refresh: Callable[[], object]) -> Iterator[None]:
    """Call `refresh` every second, in a thread."""
    over = Event()

    def tick() -> None:
        while not over.wait(_TICK_S):
            refresh()

    thread = Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def shown(progress: Progress, description: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that is called with the number done and the total, and shows both from the first call on."""
    with ExitStack() as on_screen:
        advance: Advance | None = None
        n_shown = 0

        def show(n_done: int, n_total: int) -> None:
            nonlocal advance, n_shown
            if advance is None:
                advance = on_screen.enter_context(progress(description, n_total, unit))
            advance(n_done - n_shown)
            n_shown = n_done

        yield show
