"""Nearest films by the cosine of their features: `index.cosine.CosineIndex`, exact or by a shortlist."""

from typing import TYPE_CHECKING

from catalog.lazy import submodules

if TYPE_CHECKING:
    from index import neighbors as neighbors
    from index import search as search

__getattr__ = submodules(__name__)
