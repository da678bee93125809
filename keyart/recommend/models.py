"""The recommenders of a workspace: fitted on its ratings, stored, opened, compared and exported.

Each has a folder of its own name below ``cf/``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from catalog.errors import ConfigError, DataError, IncompleteError, NotBuiltError
from catalog.films import Catalog
from catalog.io.keras import require_keras
from catalog.io.locks import check_free, exclusive
from catalog.io.progress import Progress, silent
from cf.base import Recommender
from cf.evaluation.evaluation import Scorecard, evaluate
from cf.evaluation.splits import Split
from cf.models.two_tower import check_savedmodel_folder
from cf.ratings import Ratings
from cf.registry import MODELS, make, model_class
from keyart.workspace.contents import no_ratings, open_ratings, ratings_name
from keyart.workspace.layout import Workspace
from keyart.workspace.outputs import check_output, check_replaceable

Parameters = Mapping[str, Mapping[str, Any]]
"""Arguments of models, by the name of the model and of the parameter."""

# Best ranking first, as measured in docs/benchmarks.md; what recommends the same films to everybody comes last.
PREFERRED = (
    *("ease", "implicit-als", "ease-plain", "two-tower", "implicit-autoencoder", "bayesian", "als", "spark-als"),
    *("keras-sigmoid", "autoencoder", "item-cosine", "user-cosine", "sgd", "ranking", "keras-relu"),
    *("article-item-cosine", "article-user-cosine", "most-rated", "damped-mean", "baseline"),
)
"""All recommenders, in the order in which a fitted one is the default."""

# Seconds that a fit takes for 100,000 ratings on two cores, as measured in docs/durations.md.
_FIT_S: Mapping[str, float] = {
    **{"item-cosine": 4, "als": 4, "sgd": 4, "bayesian": 32},
    **{"two-tower": 9, "implicit-autoencoder": 9, "autoencoder": 10, "keras-sigmoid": 12, "ranking": 14},
}


@dataclass(frozen=True)
class FitReport:
    """What a recommender was fitted on.

    Parameters
    ----------
    name : str
        The name of the recommender.
    n_users, n_films, n_ratings : int
        How many it learned from.
    fit_s : float
        Seconds to fit.
    """

    name: str
    n_users: int
    n_films: int
    n_ratings: int
    fit_s: float


def fit_model(
    workspace: Workspace, name: str, ratings: Ratings, parameters: Mapping[str, Any] | None = None
) -> FitReport:
    """Fit a recommender on the ratings of a workspace and store it there."""
    model = make(name, **(parameters or {}))
    if not len(ratings):
        raise no_ratings()
    folder = workspace.model_dir(name)
    check_free(folder)
    model.source = ratings.source
    matrix = ratings.matrix()
    started = time.perf_counter()
    model.fit(matrix)
    fit_s = time.perf_counter() - started
    with exclusive(folder):
        model.save(folder)
    return FitReport(name, len(matrix.user_ids), len(matrix.movie_ids), len(ratings), fit_s)


def expected_fit_s(name: str, ratings: Ratings, parameters: Mapping[str, Any] | None = None) -> float | None:
    """Estimate how many seconds a fit takes; None for models that take about a second for 100,000 ratings."""
    matrix = ratings.matrix()
    expected_s = make(name, **(parameters or {})).expected_fit_s(len(matrix.user_ids), len(matrix.movie_ids))
    if expected_s is None and name in _FIT_S:
        expected_s = _FIT_S[name] * len(ratings) / 100_000
    return expected_s


def open_model(workspace: Workspace, name: str, source: str | None = None) -> tuple[Recommender, tuple[str, ...]]:
    """Open a fitted recommender, with a note unless it was fitted on ratings of a name, by default the current ones."""
    if source is None:
        with Catalog.open(workspace.catalog_path) as catalog:
            source = ratings_name(catalog)
    try:
        model = model_class(name).open(workspace.model_dir(name))
    except IncompleteError:
        raise
    except NotBuiltError as error:
        raise NotBuiltError(f"{name} has not been fitted here; run `keyart fit {name}`{_others(workspace)}") from error
    if model.source == source:
        return model, ()
    return model, (f"the ratings have changed since {name} was fitted; run `keyart fit {name}` again",)


def _others(workspace: Workspace) -> str:
    fitted = fitted_models(workspace)
    return f"; fitted here: {', '.join(fitted)} (--model)" if fitted else ""


def default_model(workspace: Workspace) -> str:
    """Return the first of `PREFERRED` that is fitted."""
    fitted = fitted_models(workspace)
    if not fitted and not len(open_ratings(workspace)):
        raise no_ratings()
    if not fitted:
        raise NotBuiltError("no recommender has been fitted here; run `keyart fit ease`")
    return fitted[0]


def notes_on_default(name: str) -> tuple[str, ...]:
    """Return a note where the default is not the model that ranks best, which `keyart build` never fits."""
    best = PREFERRED[0]
    return () if name == best else (f"by {name}, as {best} is not fitted; it ranks better: `keyart fit {best}`",)


def ensure_fitted(workspace: Workspace, name: str, ratings: Ratings) -> None:
    """Fit a recommender unless it is stored and of the current ratings."""
    try:
        _, notes = open_model(workspace, name, ratings.source)
    except (NotBuiltError, DataError):
        notes = ("missing",)
    if notes:
        fit_model(workspace, name, ratings)


def compare(
    names: Sequence[str],
    splits: Iterable[Split],
    parameters: Parameters,
    *,
    k: int = 10,
    relevant_from: float = 0.0,
    progress: Progress = silent,
) -> list[Scorecard]:
    """Evaluate recommenders on the same splits; names and parameters are checked before the first fit."""
    other = set(parameters) - set(names)
    if other:
        raise ConfigError(f"parameters are set of {', '.join(sorted(other))}, which is not among the models compared")
    makers = {name: partial(make, name, **parameters.get(name, {})) for name in names}
    for maker in makers.values():
        maker()
    return evaluate(makers, splits, k=k, relevant_from=relevant_from, progress=progress)


def notes_on(scorecards: Iterable[Scorecard]) -> tuple[str, ...]:
    """Return what a reader of scorecards should know."""
    scaled = [card.name for card in scorecards if not card.gives_stars]
    return (f"{', '.join(scaled)}: predicts no stars; scores are mapped to stars by a straight line",) if scaled else ()


def check_export(name: str, form: Literal["savedmodel", "tflite"], path: Path) -> None:
    """Raise ConfigError unless a recommender can be exported to a path; call it before any work."""
    if (name, form) not in (("two-tower", "savedmodel"), ("ranking", "tflite")):
        raise ConfigError(f"{name} does not come as {form}; two-tower comes as savedmodel, ranking as tflite")
    require_keras()
    if form == "tflite":
        check_output(path, (".tflite",))
        return
    check_replaceable(path)
    check_savedmodel_folder(path)


def export(workspace: Workspace, name: str, form: Literal["savedmodel", "tflite"], path: Path) -> tuple[str, ...]:
    """Export a fitted recommender for use without keyart; returns notes for the user."""
    check_export(name, form, path)
    with Catalog.open(workspace.catalog_path) as catalog:
        titles, source = {film.movie_id: film.label for film in catalog}, ratings_name(catalog)
    model, notes = open_model(workspace, name, source)
    if form == "tflite":
        model.export_tflite(path)  # type: ignore[attr-defined]  # the ranking model's own
        return notes
    model.export_savedmodel(path, titles)  # type: ignore[attr-defined]  # the two-tower model's own
    return notes


def light_models() -> list[str]:
    """List the recommenders that need neither TensorFlow nor Spark."""
    return [name for name, entry in MODELS.items() if not entry.needs]


def fitted_models(workspace: Workspace) -> list[str]:
    """List the fitted recommenders without opening any, in the order of `PREFERRED`."""
    return [name for name in PREFERRED if os.path.lexists(record_path(workspace, name))]


def record_path(workspace: Workspace, name: str) -> Path:
    """Return the path of the record of a recommender, which every fit replaces."""
    # Variants such as ease-plain are stored under the name of their class.
    return workspace.model_dir(name) / f"{model_class(name).name}.json"
