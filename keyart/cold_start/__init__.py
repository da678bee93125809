"""Films that nobody has rated: what is known of them, what is predicted of them, and how well."""

from typing import TYPE_CHECKING

from catalog.lazy import submodules

if TYPE_CHECKING:
    from keyart.cold_start import evaluation as evaluation
    from keyart.cold_start import new_film as new_film

__getattr__ = submodules(__name__)
