"""The eight design styles, one module each.

A style is a function that draws one poster. Its composition and palette are those of the card, the rest is random.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from keyart.cli.demo.canvas import Canvas
from keyart.cli.demo.card import Card
from keyart.cli.demo.styles import cartoon, cutout, horror, linocut, noir, pastel, space, swiss

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
