"""What is printed on a poster, and the small type at its foot. May import `keyart.demo.lettering` only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PIL import Image

from keyart.demo.lettering import Face, set_block

_SMALL_PRINT = Face(width=0.72, tracking=0.05, weight=0.004)


@dataclass(frozen=True)
class Card:
    """What a designer is given.

    Parameters
    ----------
    title : str
        As a reader expects it: "The Glass Harbour".
    year : int
        The year of release.
    tagline : str
        One sentence.
    names : tuple of str
        Director first, then cast.
    take : int
        The position among the films of this style. Composition and palette go by it and not by chance, so that no
        two films of a style share both.
    """

    title: str
    year: int
    tagline: str
    names: tuple[str, ...]
    take: int

    def billing(self, width: float, align: Literal["left", "center", "right"] = "center") -> Image.Image:
        """Set the names as the block of small type that makes a picture a poster.

        Parameters
        ----------
        width : float
            The room, in poster pixels.
        align : {"left", "center", "right"}
            Where short lines stand.

        Returns
        -------
        PIL.Image.Image
            The mask, three lines tall.
        """
        director, first, second, third = self.names[:4]
        lines = [
            f"Palisade Pictures presents a film by {director}",
            f"{first}   {second}   and {third}",
            f"{self.year}   drawn for the keyart demo",
        ]
        return set_block(lines, _SMALL_PRINT, width, 26, align=align, leading=1.25)
