"""Damage to files, as disks do it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

# What cannot be opened now; hooks cannot be removed.
_unreadable: set[str] = set()
_is_hooked = False


def flip_bit(path: Path, position: int | None = None) -> None:
    """Change one bit of a file, by default in its middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if position is None else position] ^= 1
    path.write_bytes(content)


def flipped(content: bytes, random: Random) -> bytes:
    """Return content with one bit changed at random."""
    changed, bit = bytearray(content), random.randrange(8 * len(content))
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """Let every opening of a file by Python fail in the block, as on a disk that fails for a while."""
    global _is_hooked
    if not _is_hooked:
        sys.addaudithook(_refuse)
        _is_hooked = True
    _unreadable.add(str(path))
    try:
        yield
    finally:
        _unreadable.discard(str(path))


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if _unreadable and event == "open" and isinstance(arguments[0], (str, os.PathLike)):
        path = os.fspath(arguments[0])
        if path in _unreadable:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
