"""Progress of long work: a bar with rate and time left on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Event, Thread
from typing import Protocol

from catalog.text import visible

# How often a bar counts the seconds on while a long step goes on.
_TICK_S = 1.0
# Units without a name, such as images, are reported so seldom where there is no terminal.
_LINE_S = 10.0
# Units that are done within this time of the first belong to one batch.
_AT_ONCE_S = 0.5
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

    Units without a name get a line every ten seconds. Their rate is that since the first ones were done, as work may
    take long to begin.
    """
    if not sys.stderr.isatty():
        yield _Lines(description, total, unit)
        return
    from tqdm import tqdm

    # Without smoothing the rate is that since `start_t`.
    with (
        tqdm(desc=description, total=total, unit=f" {unit}", dynamic_ncols=True, smoothing=0) as shown,
        _ticking(shown.refresh),
    ):
        start = _Start()

        def advance(n_units: int, doing: str = "") -> None:
            if doing:
                shown.set_postfix_str(visible(doing))
            elif n_units and not shown.postfix and start.includes(time.monotonic(), n_units):
                # tqdm does not show a bar at its end that was last shown before its start.
                shown.initial, shown.start_t = start.n_units, time.time()
                shown.last_print_t = shown.start_t
            shown.update(n_units)

        yield advance


def bar_of(expected_s: Mapping[str, float]) -> Progress:
    """Return a `bar` of named units that take such different times, about so many seconds each, in any order."""

    @contextmanager
    def show(description: str, total: int, unit: str) -> Iterator[Advance]:
        if not sys.stderr.isatty():
            yield _Lines(description, total, unit, expected_s)
            return
        from tqdm import tqdm

        form = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}{postfix}]"
        all_s = sum(expected_s.values())
        with tqdm(desc=description, total=all_s, bar_format=form, dynamic_ncols=True, smoothing=0) as shown:
            n_done, current = 0, ""

            def advance(n_units: int, doing: str = "") -> None:
                nonlocal n_done, current
                if n_units:
                    n_done += n_units
                    shown.update(expected_s.get(current, 0.0))
                current = doing or current
                shown.set_postfix_str(f"{n_done}/{total} {unit}, {visible(current)}")

            with _ticking(shown.refresh):
                yield advance

    return show


def write_line(line: str) -> None:
    """Print a line to standard output, above a bar if there is one."""
    from tqdm import tqdm

    tqdm.write(visible(line, lines=True))


class _Start:
    """What was done at the start of work: the units that came at once, perhaps after a long time."""

    def __init__(self) -> None:
        self.n_units = 0
        self.since: float | None = None

    def includes(self, now: float, n_units: int) -> bool:
        """Return whether units that are done now belong to the start, and count them."""
        if self.since is None:
            self.since = now
        if now - self.since > _AT_ONCE_S:
            return False
        self.n_units += n_units
        return True

    def left_s(self, now: float, n_done: int, n_total: int) -> float:
        """Estimate the time left by what was done since; 0 where nothing was."""
        if self.since is None or n_done <= self.n_units:
            return 0.0
        return (now - self.since) / (n_done - self.n_units) * (n_total - n_done)


class _Lines:
    """Writes lines to standard error."""

    def __init__(self, description: str, total: int, unit: str, expected_s: Mapping[str, float] | None = None) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._n_done, self._doing, self._since = 0, "", time.monotonic()
        self._began = self._since
        self._left_s = dict(expected_s or {})
        self._done_s = 0.0
        self._start = _Start()

    def __call__(self, n_units: int, doing: str = "") -> None:
        now = time.monotonic()
        self._n_done += n_units
        lasted_s = now - self._since
        count = f"{self._n_done:,} of {self._total:,} {self._unit}"
        if n_units and self._doing:
            self._done_s += self._left_s.pop(self._doing, 0.0)
            left = f" ({count}{self._left(now)})" if self._total > 1 else ""
            self._print(f"{self._doing} in {lasted_s:.1f} s{left}")
        elif n_units:
            self._start.includes(now, n_units)
            if lasted_s >= _LINE_S:
                self._print(count + self._remark(self._start.left_s(now, self._n_done, self._total)))
                self._since = now
        if doing:
            if not self._doing and self._total > 1:
                self._print(f"{self._total:,} {self._unit}")
            self._doing, self._since = doing, now

    def _left(self, now: float) -> str:
        """Estimate the time left by what the named units so far took, and by what is expected of the others."""
        lasted_s = now - self._began
        if self._done_s or self._left_s:
            # What is expected is measured on an idle machine.
            slower = max(1.0, lasted_s / self._done_s) if self._done_s else 1.0
            return self._remark(slower * sum(self._left_s.values()))
        return self._remark(lasted_s / self._n_done * (self._total - self._n_done))

    def _remark(self, left_s: float) -> str:
        return f", about {left_s:,.0f} s left" if left_s >= _LONG_S else ""

    def _print(self, text: str) -> None:
        sys.stderr.write(f"{visible(self._description)}: {visible(text)}\n")
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
