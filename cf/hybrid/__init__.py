"""Blends visual similarity with item similarity: blending, calibration and tuning."""

from typing import TYPE_CHECKING

from catalog.lazy import submodules

if TYPE_CHECKING:
    from cf.hybrid import tuning as tuning

__getattr__ = submodules(__name__)
