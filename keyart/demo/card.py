"""What is printed on a poster, and the small type at its foot. May import `keyart.demo.lettering` only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PIL import Image

from keyart.demo.lettering import Face, set_block

_SMALL_PRINT = Face(width=0.72, tracking=0.05, weight=0.004)


@dataclass(frozen=True)
class Card:
    """What a designer is given."""

    title: str
    year: int
    tagline: str
    names: tuple[str, ...]
    take: int

    def billing(self, width: float, align: Literal["left", "center", "right"] = "center") -> Image.Image:
        """Set the names as the block of small type that makes a picture a poster."""
        director, first, second, third = self.names[:4]
        lines = [
            f"Palisade Pictures presents a film by {director}",
            f"{first}   {second}   and {third}",
            f"{self.year}   drawn for the keyart demo",
        ]
        return set_block(lines, _SMALL_PRINT, width, 26, align=align, leading=1.25)
