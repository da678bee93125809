"""Posters: fetched from TMDB or imported from files, verified, and kept with the state of every film.

May import `catalog` only.
"""

from posters.database import Origin, Source, State
from posters.fetch import Choice, FetchProgress, FetchReport, choose_films, fetch_posters
from posters.importing import ImportReport, import_csv, import_folder
from posters.store import Poster, PosterStore
from posters.tmdb import TmdbClient

__all__ = [
    "Choice",
    "FetchProgress",
    "FetchReport",
    "ImportReport",
    "Origin",
    "Poster",
    "PosterStore",
    "Source",
    "State",
    "TmdbClient",
    "choose_films",
    "fetch_posters",
    "import_csv",
    "import_folder",
]
