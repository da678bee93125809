"""What a command keeps when it is interrupted with Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

RESUMES = "finished work is kept, run the same command again to resume"


class Interrupted(KeyboardInterrupt):
    """An interruption of a command that keeps what the message says."""


@contextmanager
def keeps(what: str) -> Iterator[None]:
    """Make an interruption report what is kept; also a decorator of a command's function."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(what) from error
