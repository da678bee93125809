"""How long work shows that it goes on: a bar with rate and time left on a terminal, nothing anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

Advance = Callable[[int], None]
"""Told how many more units are done."""

Progress = Callable[[str, int, str], AbstractContextManager[Advance]]
"""Given a description, the total and the unit; gives the function to advance with."""


@contextmanager
def silent(description: str, total: int, unit: str) -> Iterator[Advance]:  # noqa: ARG001 - the face of Progress
    """Show nothing: for libraries and tests.

    Parameters
    ----------
    description : str
        What is being done.
    total : int
        How many units there are.
    unit : str
        What is counted.

    Yields
    ------
    callable
        Does nothing.
    """
    yield lambda _: None


@contextmanager
def bar(description: str, total: int, unit: str) -> Iterator[Advance]:
    """Show a bar on standard error, if that is a terminal.

    Parameters
    ----------
    description : str
        What is being done.
    total : int
        How many units there are.
    unit : str
        What is counted.

    Yields
    ------
    callable
        Advances the bar.
    """
    from tqdm import tqdm

    with tqdm(desc=description, total=total, unit=f" {unit}", disable=None, dynamic_ncols=True) as shown:

        def advance(n_units: int) -> None:
            shown.update(n_units)

        yield advance


@contextmanager
def shown(progress: Progress, description: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function that is told how many are done of how many, and shows it from the first call on.

    Parameters
    ----------
    progress : Progress
        What shows it.
    description : str
        What is being done.
    unit : str
        What is counted.

    Yields
    ------
    callable
        Takes the number done and the total.
    """
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
