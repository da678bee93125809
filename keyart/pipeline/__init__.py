"""The steps that fill a workspace, in their order: load, fetch or import, extract, build, fit, tune, evaluate, add.

Each takes the workspace folder first and returns a report. Importing this loads nothing; a step's module is loaded when
the step is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from catalog.lazy import submodules

if TYPE_CHECKING:
    from keyart.pipeline import status as status
    from keyart.pipeline.additions import add
    from keyart.pipeline.content import load_content
    from keyart.pipeline.duplicates import DuplicateFilm, Duplicates, find_duplicates
    from keyart.pipeline.encoders import remove_encoder, set_default_encoder
    from keyart.pipeline.features import MissingReport, extract, extract_images, extract_missing, extract_table
    from keyart.pipeline.findings import Finding
    from keyart.pipeline.index import build
    from keyart.pipeline.integrity import CheckReport, check
    from keyart.pipeline.look_alikes import LookAlikeEvaluation, LookAlikeOptions, evaluate_look_alikes
    from keyart.pipeline.movielens import load
    from keyart.pipeline.posters import import_posters
    from keyart.pipeline.recommenders import evaluate, fit, grid_search, reset_tuning, tune
    from keyart.pipeline.removals import remove
    from keyart.pipeline.tmdb import fetch
    from keyart.similarity.evaluation.candidates import Candidate

__all__ = [
    "Candidate",
    "CheckReport",
    "DuplicateFilm",
    "Duplicates",
    "Finding",
    "LookAlikeEvaluation",
    "LookAlikeOptions",
    "MissingReport",
    "add",
    "build",
    "check",
    "evaluate",
    "evaluate_look_alikes",
    "extract",
    "extract_images",
    "extract_missing",
    "extract_table",
    "fetch",
    "find_duplicates",
    "fit",
    "grid_search",
    "import_posters",
    "load",
    "load_content",
    "remove",
    "remove_encoder",
    "reset_tuning",
    "set_default_encoder",
    "tune",
]

_MODULES = {
    "add": "additions",
    "build": "index",
    **dict.fromkeys(("CheckReport", "check"), "integrity"),
    "Finding": "findings",
    "evaluate": "recommenders",
    **dict.fromkeys(("Candidate", "LookAlikeEvaluation", "LookAlikeOptions", "evaluate_look_alikes"), "look_alikes"),
    **dict.fromkeys(("MissingReport", "extract", "extract_images", "extract_missing", "extract_table"), "features"),
    "fetch": "tmdb",
    **dict.fromkeys(("DuplicateFilm", "Duplicates", "find_duplicates"), "duplicates"),
    "fit": "recommenders",
    "grid_search": "recommenders",
    "import_posters": "posters",
    "load": "movielens",
    "load_content": "content",
    "remove": "removals",
    "remove_encoder": "encoders",
    "reset_tuning": "recommenders",
    "set_default_encoder": "encoders",
    "tune": "recommenders",
}


_submodule = submodules(__name__)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return _submodule(name)


def __dir__() -> list[str]:
    return __all__
