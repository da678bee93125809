"""Splits, metrics, and models compared on the same splits."""

from typing import TYPE_CHECKING

from catalog.lazy import submodules

if TYPE_CHECKING:
    from cf.evaluation import splits as splits

__getattr__ = submodules(__name__)
