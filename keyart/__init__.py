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

if TYPE_CHECKING:
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
    from keyart import pipeline
    from keyart.cold_start.new_film import NewFilm
    from keyart.engine import Engine
    from keyart.recommend.recommendations import Recommendation, RecommendedFilm
    from keyart.results import ColdStartResult, Explanation, Hit, SimilarFilms
    from keyart.similarity.query import Image, SimilarOptions

__version__ = "0.1.0"

_MODULES = {
    **dict.fromkeys(
        ("ConfigError", "DataError", "FetchError", "KeyartError", "NotBuiltError", "StoreError", "UnknownFilmError"),
        "catalog.errors",
    ),
    "Film": "catalog.film",
    "Filter": "catalog.filters",
    "NewFilm": "keyart.cold_start.new_film",
    "Engine": "keyart.engine",
    **dict.fromkeys(("Recommendation", "RecommendedFilm"), "keyart.recommend.recommendations"),
    **dict.fromkeys(("ColdStartResult", "Explanation", "Hit", "SimilarFilms"), "keyart.results"),
    **dict.fromkeys(("Image", "SimilarOptions"), "keyart.similarity.query"),
}

__all__ = [
    "ColdStartResult",
    "ConfigError",
    "DataError",
    "Engine",
    "Explanation",
    "FetchError",
    "Film",
    "Filter",
    "Hit",
    "Image",
    "KeyartError",
    "NewFilm",
    "NotBuiltError",
    "Recommendation",
    "RecommendedFilm",
    "SimilarFilms",
    "SimilarOptions",
    "StoreError",
    "UnknownFilmError",
    "open",
    "pipeline",
]


def open(home: str | Path | None = None) -> Engine:  # noqa: A001 - used as keyart.open
    """Open a workspace.

    Parameters
    ----------
    home : str or Path, optional
        The workspace folder; by default KEYART_HOME, or ``keyart-data`` where that is not set.

    Returns
    -------
    Engine
        Use it in a ``with`` statement, or close it.

    Raises
    ------
    NotBuiltError
        The workspace does not exist, or nothing has been built in it.
    DataError
        A part is damaged, of another version, or the index and the features come from two encoders.
    """
    from keyart.engine import Engine

    return Engine.open(home)


def __getattr__(name: str) -> Any:
    if name == "pipeline":
        return import_module("keyart.pipeline")
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'keyart' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
