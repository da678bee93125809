"""keyart finds films whose posters look alike, and predicts who would like a film that nobody has rated.

This is all that a program imports. Importing it loads nothing heavy; names are loaded when they are first used.

>>> import keyart
>>> with keyart.open("keyart-data") as engine:  # doctest: +SKIP
...     engine.similar("Heat (1995)", k=10).to_frame()
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.errors import (
    ConfigError,
    DataError,
    FetchError,
    KeyartError,
    NotBuiltError,
    StoreError,
    UnknownFilmError,
)
from catalog.film import Film
from catalog.filters import Filter
from features.options import ExtractOptions

if TYPE_CHECKING:
    from index.options import IndexOptions
    from keyart import pipeline
    from keyart.cold_start.new_film import NewFilm
    from keyart.engine import Engine
    from keyart.pipeline.tmdb import FetchOptions
    from keyart.recommend.reasons import LikedFilm
    from keyart.recommend.recommendations import Recommendation, RecommendedFilm
    from keyart.recommend.standalone import make_recommender, read_ratings
    from keyart.render.contact_sheet import write_contact_sheet
    from keyart.render.heat_map import write_heat_map
    from keyart.results import (
        ColdStartResult,
        ExpectedRating,
        Explanation,
        Hit,
        LikelyFan,
        PairScore,
        Query,
        SimilarFilms,
    )
    from keyart.similarity.query import Image, Mix, SimilarOptions, Text

__version__ = "0.1.0"

# Where the names are that take time to load.
_MODULES = {
    "keyart.cold_start.new_film": ("NewFilm",),
    "keyart.engine": ("Engine",),
    "keyart.pipeline.tmdb": ("FetchOptions",),
    "keyart.recommend.standalone": ("make_recommender", "read_ratings"),
    "keyart.recommend.reasons": ("LikedFilm",),
    "keyart.recommend.recommendations": ("Recommendation", "RecommendedFilm"),
    "keyart.render.contact_sheet": ("write_contact_sheet",),
    "keyart.render.heat_map": ("write_heat_map",),
    "keyart.results": (
        *("ColdStartResult", "ExpectedRating", "Explanation", "Hit", "LikelyFan", "PairScore", "Query", "SimilarFilms"),
    ),
    "keyart.similarity.query": ("Image", "Mix", "SimilarOptions", "Text"),
}

__all__ = [
    "ColdStartResult",
    "ConfigError",
    "DataError",
    "Engine",
    "ExpectedRating",
    "Explanation",
    "ExtractOptions",
    "FetchError",
    "FetchOptions",
    "Film",
    "Filter",
    "Hit",
    "Image",
    "IndexOptions",
    "KeyartError",
    "LikedFilm",
    "LikelyFan",
    "Mix",
    "NewFilm",
    "NotBuiltError",
    "PairScore",
    "Query",
    "Recommendation",
    "RecommendedFilm",
    "SimilarFilms",
    "SimilarOptions",
    "StoreError",
    "Text",
    "UnknownFilmError",
    "make_recommender",
    "open",
    "pipeline",
    "read_ratings",
    "write_contact_sheet",
    "write_heat_map",
]


def open(home: str | Path | None = None, encoder: str | None = None) -> Engine:  # noqa: A001 - used as keyart.open
    """Open a workspace.

    Parameters
    ----------
    home : str or Path, optional
        The workspace folder; by default KEYART_HOME, or ``keyart-data`` where that is not set.
    encoder : str, optional
        One of its encoders, by name; or several that are blended, as in ``"vgg16+resnet50"``: the mean of their cosines
        over the films that all of them have. By default the workspace's default encoder.

    Returns
    -------
    Engine
        Use it in a ``with`` statement, or close it.

    Raises
    ------
    NotBuiltError
        The workspace does not exist, or nothing has been built in it.
    ConfigError
        The workspace has no such encoder.
    DataError
        A part is damaged, of another version, or the index and the features come from two encoders.
    """
    from keyart.engine import Engine

    return Engine.open(home, encoder)


def __getattr__(name: str) -> Any:
    if name == "pipeline":
        return import_module("keyart.pipeline")
    if name == "IndexOptions":
        from index.options import IndexOptions

        return IndexOptions
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'keyart' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
