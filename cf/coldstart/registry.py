"""All models of the cold start by name."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import NamedTuple

from catalog.errors import ConfigError
from cf.coldstart.base import ColdModel
from cf.coldstart.linear import ColdStart, GenresAndYears, PostersAlone


class ColdEntry(NamedTuple):
    """One model.

    Parameters
    ----------
    make : callable
        Makes it, not yet fitted.
    summary : str
        What it is, in a line.
    """

    make: Callable[[], ColdModel]
    summary: str


COLD_MODELS: dict[str, ColdEntry] = {
    "content": ColdEntry(ColdStart, "ridge from genres and years to users' tastes, then from posters to what is left"),
    "posters": ColdEntry(PostersAlone, "ridge from posters alone to users' tastes"),
    "genres-years": ColdEntry(GenresAndYears, "ridge from genres and years alone; what posters have to beat"),
}


def make_cold(name: str) -> ColdModel:
    """Make a model that has not been fitted.

    Parameters
    ----------
    name : str
        One of `COLD_MODELS`.

    Returns
    -------
    ColdModel
        The model.

    Raises
    ------
    ConfigError
        There is no model of that name.
    """
    if name not in COLD_MODELS:
        near = get_close_matches(name, COLD_MODELS, 1)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(COLD_MODELS)}"
        raise ConfigError(f"no model of the cold start is called {name!r}; {advice}")
    return COLD_MODELS[name].make()
