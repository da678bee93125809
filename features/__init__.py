"""Features: what a convolutional network says of a poster, 25,088 numbers.

May import `catalog`; never `posters`, `index`, `cf` or `keyart`. It exchanges ids, paths and arrays only. Importing it
loads neither TensorFlow nor NumPy.

>>> from features import extract
>>> extract([("heat", "heat.jpg"), ("ran", open("ran.png", "rb").read())], "features")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from features.extraction import extract

__all__ = ["extract"]


def __getattr__(name: str) -> Any:
    if name == "extract":
        from features.extraction import extract

        return extract
    raise AttributeError(f"module 'features' has no attribute {name!r}")
