"""All models of the cold start by name."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import NamedTuple

from catalog.errors import ConfigError
from cf.coldstart.aligned_ease import AlignedEase
from cf.coldstart.base import ColdModel
from cf.coldstart.baselines import MeanFactor, RandomFactors
from cf.coldstart.kernel_ridge import KernelRidge
from cf.coldstart.nearest_posters import NearestPosters
from cf.coldstart.ridge import ColdStart, GenresAndYears, PostersAlone
from cf.coldstart.transfer import RidgeALS, RidgeEase


class ColdEntry(NamedTuple):
    """One model."""

    make: Callable[[], ColdModel]
    summary: str


COLD_MODELS: dict[str, ColdEntry] = {
    "content": ColdEntry(ColdStart, "ridge from genres and years to users' tastes, then from posters to what is left"),
    "posters": ColdEntry(PostersAlone, "ridge from posters alone to users' tastes"),
    "genres-years": ColdEntry(GenresAndYears, "ridge from genres and years alone; what posters have to beat"),
    "nearest-posters": ColdEntry(NearestPosters, "the tastes of the films whose posters are most alike"),
    "kernel-ridge": ColdEntry(KernelRidge, "ridge from genres and years, then from posters by kernels"),
    "ridge-als": ColdEntry(RidgeALS, "ridge from content to the factors of alternating least squares"),
    "ridge-ease": ColdEntry(RidgeEase, "ridge from content to the weights of EASE"),
    "aligned-ease": ColdEntry(AlignedEase, "similarity of content, aligned to who rates what, smoothed as by EASE"),
    "mean-factor": ColdEntry(MeanFactor, "every new film is the mean film: a floor"),
    "random": ColdEntry(RandomFactors, "chance: a floor"),
}


def make_cold(name: str) -> ColdModel:
    """Make a model that has not been fitted."""
    if name not in COLD_MODELS:
        near = get_close_matches(name, COLD_MODELS, 1)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(COLD_MODELS)}"
        raise ConfigError(f"no model of the cold start is called {name!r}; {advice}")
    return COLD_MODELS[name].make()
