"""Detect whether files have changed since they were read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_Stamp = tuple[int, int, int] | None


@dataclass(frozen=True)
class Snapshot:
    """The state of files and folders at one moment; take it before they are read.

    Every part of a workspace changes by a new file that takes a name, so a `stat` shows a change and nothing has to be
    read.
    """

    # Inode, time of modification in ns, size; None for a missing file.
    stamps: dict[Path, _Stamp]

    @classmethod
    def take(cls, paths: Iterable[Path]) -> Self:
        """Record the state of files; a folder changes when a file in it is added, removed or replaced."""
        return cls({path: _stamp(path) for path in paths})

    def is_current(self) -> bool:
        """Return whether all files are unchanged, in microseconds."""
        return all(_stamp(path) == stamp for path, stamp in self.stamps.items())


def _stamp(path: Path) -> _Stamp:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
