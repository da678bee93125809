"""What users think of films that nobody has rated, from what else is known of them: posters, genres, years.

`content` is what is known of films, as numbers; `base` the contract of the models; `registry` all of them by name. May
import `catalog` and `cf`; knows plain arrays only.
"""

from typing import TYPE_CHECKING

from catalog.lazy import submodules
from cf.coldstart.base import ColdStartModel
from cf.coldstart.content import Encoding, FilmContent
from cf.coldstart.registry import COLD_START_MODELS, make_cold_start
from cf.coldstart.ridge import ContentRidge, ExpectedMeans

__all__ = [
    "COLD_START_MODELS",
    "ColdStartModel",
    "ContentRidge",
    "Encoding",
    "ExpectedMeans",
    "FilmContent",
    "make_cold_start",
]

if TYPE_CHECKING:
    from cf.coldstart import evaluation as evaluation

__getattr__ = submodules(__name__)
