"""Look-alikes of a film: blending, hits, reasons and attribution."""

from typing import TYPE_CHECKING

from catalog.lazy import submodules

if TYPE_CHECKING:
    from keyart.similarity import query as query
    from keyart.similarity import reasons as reasons

__getattr__ = submodules(__name__)
