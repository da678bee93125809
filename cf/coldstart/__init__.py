"""What users think of films that nobody has rated, from what else is known of them: posters, genres, years.

`content` is what is known of films, as numbers; `base` the contract of the models; `registry` all of them by name. May
import `catalog` and `cf`; knows plain arrays only.
"""

from cf.coldstart.base import ColdModel
from cf.coldstart.content import Encoding, FilmContent
from cf.coldstart.registry import COLD_MODELS, make_cold
from cf.coldstart.ridge import ColdStart, ExpectedMeans, Source

__all__ = [
    "COLD_MODELS",
    "ColdModel",
    "ColdStart",
    "Encoding",
    "ExpectedMeans",
    "FilmContent",
    "Source",
    "make_cold",
]
