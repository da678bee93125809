"""A region of posters: a rectangle of the grid that a feature map is."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError
from index.embedding import MapShape

# No grid is so large that a number has more digits.
_CELLS = re.compile(r"\s*[0-9]{1,4}\s*")


class Region(NamedTuple):
    """Columns x to x + width - 1 and rows y to y + height - 1 of the grid, counted from 0 at the top left."""

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Region:
        """Read ``x,y,width,height``; raises ValueError for anything else."""
        numbers = text.split(",")
        if len(numbers) != 4 or not all(_CELLS.fullmatch(number) for number in numbers):
            raise ValueError(f"expected x,y,width,height in cells of the grid, as in 0,0,7,3; received {text!r}")
        return cls(*map(int, numbers)).checked()

    def checked(self) -> Region:
        """Return the region; raises ValueError where it is one on no grid."""
        if min(self.x, self.y) < 0 or min(self.width, self.height) < 1:
            raise ValueError(
                f"a region begins at x and y of 0 or more and is at least 1 wide and high; received {self}"
            )
        return self

    def check_within(self, map_shape: MapShape) -> None:
        """Raise ConfigError where the region reaches beyond the grid."""
        height, width, _ = map_shape
        if self.x + self.width > width or self.y + self.height > height:
            raise ConfigError(
                f"the region {self} reaches beyond the grid of {width} columns and {height} rows: x + width is at most "
                f"{width}, y + height at most {height}"
            )

    def __str__(self) -> str:
        return ",".join(map(str, self))

    def cut(self, maps: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Return the region of maps (…, height, width, channels)."""
        region: npt.NDArray[np.floating] = maps[..., *self._slices, :]
        return region

    def mask(self, map_shape: MapShape) -> npt.NDArray[np.bool_]:
        """Return which cells of the grid, (height, width), are in the region."""
        cells = np.zeros(map_shape[:2], bool)
        cells[self._slices] = True
        return cells

    @property
    def _slices(self) -> tuple[slice, slice]:
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)
