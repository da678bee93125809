"""What a command keeps when it is interrupted with Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

RESUMES = "finished work is kept, run the same command again to resume"


class Interrupted(KeyboardInterrupt):
    """An interruption of a command that keeps what the message says."""


@contextmanager
def keeps(what: str, is_kept: Callable[[], object] = lambda: True) -> Iterator[None]:
    """Make an interruption report what is kept, if `is_kept` then finds anything."""
    try:
        yield
    except KeyboardInterrupt as error:
        if is_kept():
            raise Interrupted(what) from error
        raise
