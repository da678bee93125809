"""The atlas: all posters of a workspace on one map, in named clusters, with sheets of small posters."""

from typing import TYPE_CHECKING

from catalog.lazy import submodules

if TYPE_CHECKING:
    from keyart.atlas import build as build
    from keyart.atlas import layout as layout

__getattr__ = submodules(__name__)
