"""How long work shows that it goes on: a bar with rate and time left on a terminal, nothing anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

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
