"""Errors and interruptions right after a file took its name, while its folder is flushed to the disk."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator

import pytest

ERRORS = (KeyboardInterrupt("Ctrl-C"), OSError(errno.EIO, "Input/output error"))


class Interruption:
    """Takes the place of `os.fsync`, and raises an error at the n-th flush of a folder, from 0."""

    def __init__(self, n: int, error: BaseException) -> None:
        self._left, self._error, self._fsync = n, error, os.fsync
        self.happened = False

    def __call__(self, descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) and not self.happened:
            self._left -= 1
            if self._left < 0:
                self.happened = True
                raise self._error
        self._fsync(descriptor)


def interrupted(write: Callable[[], object], monkeypatch: pytest.MonkeyPatch, error: BaseException) -> Iterator[int]:
    """Run a writer again and again, with an error at another flush of a folder each time, until it meets none.

    Yields the number of that flush after each run that met it.
    """
    for n in range(1000):
        interruption = Interruption(n, error)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", interruption)
            try:
                write()
            except BaseException as raised:
                # A StoreError has the cause that it was made from.
                if error not in (raised, raised.__cause__):
                    raise
        if not interruption.happened:
            return
        yield n
