"""What is printed on a poster, in which palette and composition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from keyart.cli.demo.canvas import Canvas
from keyart.cli.demo.lettering import Face, set_block

_SMALL_PRINT = Face(width=0.72, tracking=0.05, weight=0.004)

Palette = tuple[str, ...]
Composition = Callable[[Canvas, Palette, np.random.Generator], None]


@dataclass(frozen=True)
class Card:
    """The words and the palette of one poster.

    Composition and palette follow from `variant`, the number of the film among those of its style, and not from chance,
    so that no two films of a style share both.
    """

    title: str  # as a reader expects it: "The Glass Harbour"
    year: int
    tagline: str
    names: tuple[str, ...]  # director first, then cast
    palette: Palette
    variant: int

    def compose(self, canvas: Canvas, compositions: Sequence[Composition], rng: np.random.Generator) -> None:
        """Draw the composition of the variant; beyond the last one they start again, mirrored."""
        n_rounds, which = divmod(self.variant, len(compositions))
        compositions[which](canvas, self.palette, rng)
        if n_rounds:
            canvas.mirror()

    def billing(self, width: float, align: Literal["left", "center", "right"] = "center") -> Image.Image:
        """Set the three lines of names and year at the foot of a poster."""
        director, first, second, third = self.names[:4]
        lines = [
            f"Palisade Pictures presents a film by {director}",
            f"{first}   {second}   and {third}",
            f"{self.year}   drawn for the keyart demo",
        ]
        return set_block(lines, _SMALL_PRINT, width, 26, align=align, leading=1.25)
