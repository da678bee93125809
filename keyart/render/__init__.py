"""Images of results: contact sheets, heat maps and plots."""

from typing import TYPE_CHECKING

from catalog.lazy import submodules

if TYPE_CHECKING:
    from keyart.render import contact_sheet as contact_sheet
    from keyart.render import drawing as drawing
    from keyart.render import group_sheet as group_sheet
    from keyart.render import heat_map as heat_map
    from keyart.render import plots as plots

__getattr__ = submodules(__name__)
