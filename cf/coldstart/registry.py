"""All cold-start models by name."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import NamedTuple

from catalog.errors import ConfigError
from cf.coldstart.aligned_ease import AlignedEASE
from cf.coldstart.base import ColdStartModel
from cf.coldstart.baselines import MeanFactor, RandomFactors
from cf.coldstart.nearest_posters import NearestPosters
from cf.coldstart.ridge import ContentRidge, GenresAndYears, PostersOnly
from cf.coldstart.ridge_als import RidgeALS


class ColdStartEntry(NamedTuple):
    """One model."""

    make: Callable[[], ColdStartModel]
    summary: str


COLD_START_MODELS: dict[str, ColdStartEntry] = {
    "content": ColdStartEntry(
        ContentRidge, "ridge from genres and years to users' tastes, then from posters of a genre and period"
    ),
    "posters": ColdStartEntry(PostersOnly, "ridge from posters alone to users' tastes"),
    "genres-years": ColdStartEntry(GenresAndYears, "ridge from genres and years alone; what posters have to beat"),
    "nearest-posters": ColdStartEntry(NearestPosters, "the tastes of the films whose posters are most alike"),
    "ridge-als": ColdStartEntry(RidgeALS, "ridge from content to the factors of alternating least squares"),
    "aligned-ease": ColdStartEntry(
        AlignedEASE, "similarity of content, aligned to who rates what, smoothed as by EASE"
    ),
    "mean-factor": ColdStartEntry(MeanFactor, "every new film is the mean film: a floor"),
    "random": ColdStartEntry(RandomFactors, "chance: a floor"),
}


def make_cold_start(name: str) -> ColdStartModel:
    """Construct an unfitted cold-start model."""
    if name not in COLD_START_MODELS:
        near = get_close_matches(name, COLD_START_MODELS, 1)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(COLD_START_MODELS)}"
        raise ConfigError(f"no model of the cold start is called {name!r}; {advice}")
    return COLD_START_MODELS[name].make()
