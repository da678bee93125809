"""The eight design styles, one module each, and the table of them.

A style is a function that draws one poster: `draw(card, rng)` makes a sheet, picks composition and palette by the
card's take and leaves the rest to chance. May import `keyart.demo.canvas`, `.shapes`, `.lettering` and `.card`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from keyart.demo.canvas import Canvas
from keyart.demo.card import Card
from keyart.demo.styles import cartoon, cutout, horror, linocut, noir, pastel, space, swiss

Style = Callable[[Card, np.random.Generator], Canvas]

STYLES: Mapping[str, Style] = MappingProxyType(
    {
        "swiss": swiss.draw,
        "noir": noir.draw,
        "space": space.draw,
        "linocut": linocut.draw,
        "cartoon": cartoon.draw,
        "horror": horror.draw,
        "pastel": pastel.draw,
        "cutout": cutout.draw,
    }
)
