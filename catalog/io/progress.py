"""Progress of long work: a bar with rate and time left on a terminal, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

Advance = Callable[[int], None]
"""Called with the number of further units that are done."""

Progress = Callable[[str, int, str], AbstractContextManager[Advance]]
"""Called with a description, the total and the unit; a context manager that yields the function to advance with."""


@contextmanager
def silent(description: str, total: int, unit: str) -> Iterator[Advance]:  # noqa: ARG001 - the signature of Progress
    """Show nothing: for libraries and tests."""
    yield lambda _: None


@contextmanager
def bar(description: str, total: int, unit: str) -> Iterator[Advance]:
    """Show a progress bar on standard error, if that is a terminal."""
    from tqdm import tqdm

    with tqdm(desc=description, total=total, unit=f" {unit}", disable=None, dynamic_ncols=True) as shown:

        def advance(n_units: int) -> None:
            shown.update(n_units)

        yield advance


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
