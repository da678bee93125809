"""Whether files have changed since they were read: what is opened once and asked often must know when it is old."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_Stamp = tuple[int, int, int] | None


@dataclass(frozen=True)
class Stamps:
    """How files and folders stood at a time; make them with `of`, before the files are read.

    Every part of a workspace changes by a new file that takes a name, so what stands there tells a change, and nothing
    has to be read.

    Parameters
    ----------
    stamps : dict of Path to tuple of int, or None
        Inode, time of change and length; None where there was nothing.
    """

    stamps: dict[Path, _Stamp]

    @classmethod
    def of(cls, paths: Iterable[Path]) -> Self:
        """Look at files.

        Parameters
        ----------
        paths : iterable of Path
            Files; or folders, which change when a file in them comes, goes or is replaced.

        Returns
        -------
        Stamps
            How they stand.
        """
        return cls({path: _stamp(path) for path in paths})

    def hold(self) -> bool:
        """Tell whether all stands as it did, in microseconds.

        Returns
        -------
        bool
            False where a file has changed, come or gone.
        """
        return all(_stamp(path) == stamp for path, stamp in self.stamps.items())


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
