"""The recommenders of a workspace: fitted on its ratings, kept beside them, opened, asked, compared.

Each model has a folder of its own below ``cf/``, named as the model is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from catalog.errors import ConfigError, DataError, NotBuiltError
from catalog.films import Catalog
from catalog.io.locks import exclusive
from cf.base import Recommender
from cf.evaluation.evaluation import Scorecard, evaluate
from cf.evaluation.splits import Split
from cf.ratings import Ratings
from cf.registry import MODELS, make, model_class
from keyart.workspace.layout import Workspace

Parameters = Mapping[str, Mapping[str, Any]]
"""What models are made with, by the name of the model and of the parameter."""


@dataclass(frozen=True)
class FitReport:
    """What was fitted.

    Parameters
    ----------
    name : str
        The model.
    n_users, n_films, n_ratings : int
        On how many of each.
    fit_s : float
        How long it took, in seconds.
    """

    name: str
    n_users: int
    n_films: int
    n_ratings: int
    fit_s: float


def fit_model(
    workspace: Workspace, name: str, ratings: Ratings, parameters: Mapping[str, Any] | None = None
) -> FitReport:
    """Fit a model on the ratings of a workspace and keep it there.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    name : str
        Which model.
    ratings : Ratings
        The workspace's ratings.
    parameters : mapping, optional
        What the model is made with, over its defaults.

    Returns
    -------
    FitReport
        What was fitted.

    Raises
    ------
    ConfigError
        There is no such model or parameter, or what it needs is not installed.
    NotBuiltError
        There are no ratings.
    StoreError
        The model cannot be written; one that was there before is untouched.
    """
    model = make(name, **(parameters or {}))
    if not len(ratings):
        raise NotBuiltError("no ratings here yet; run `keyart load DIR` on a MovieLens folder that has some")
    model.source = _source(workspace)
    matrix = ratings.matrix()
    started = time.perf_counter()
    model.fit(matrix)
    fit_s = time.perf_counter() - started
    folder = workspace.model_dir(name)
    with exclusive(folder):
        model.save(folder)
    return FitReport(name, len(matrix.user_ids), len(matrix.movie_ids), len(ratings), fit_s)


def open_model(workspace: Workspace, name: str) -> tuple[Recommender, tuple[str, ...]]:
    """Open a model that was fitted.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    name : str
        Which model.

    Returns
    -------
    model : Recommender
        The model.
    notes : tuple of str
        Says so where the ratings have changed since.

    Raises
    ------
    ConfigError
        There is no such model.
    NotBuiltError
        It has not been fitted.
    DataError
        Its files are damaged.
    """
    try:
        model = model_class(name).open(workspace.model_dir(name))
    except NotBuiltError as error:
        raise NotBuiltError(f"{name} has not been fitted here; run `keyart fit {name}`") from error
    if model.source == _source(workspace):
        return model, ()
    return model, (f"the ratings have changed since {name} was fitted; run `keyart fit {name}` again",)


def ensure_fitted(workspace: Workspace, name: str, ratings: Ratings) -> None:
    """Fit a model unless it is there and of the ratings as they are.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    name : str
        Which model.
    ratings : Ratings
        The workspace's ratings.

    Raises
    ------
    ConfigError, StoreError
        As `fit_model`.
    """
    try:
        _, notes = open_model(workspace, name)
    except (NotBuiltError, DataError):
        notes = ("not there",)
    if notes:
        fit_model(workspace, name, ratings)


def compare(
    names: Sequence[str],
    splits: Iterable[Split],
    parameters: Parameters,
    *,
    k: int = 10,
    relevant_from: float = 0.0,
    on_fit: Callable[[str, str], None] = lambda _model, _split: None,
) -> list[Scorecard]:
    """Compare models on the same splits.

    Parameters
    ----------
    names : sequence of str
        Which models.
    splits : iterable of Split
        On what.
    parameters : mapping
        What models are made with, over their defaults.
    k : int, default 10
        How many recommended films count.
    relevant_from : float, default 0
        The stars from which a test rating counts as relevant.
    on_fit : callable, optional
        Is told which model is about to be fitted on which split.

    Returns
    -------
    list of Scorecard
        One for each model.

    Raises
    ------
    ConfigError
        There is no such model or parameter, or what it needs is not installed.
    """
    strange = set(parameters) - set(names)
    if strange:
        raise ConfigError(f"parameters are set of {', '.join(sorted(strange))}, which is not among the models compared")
    makers = {name: partial(make, name, **parameters.get(name, {})) for name in names}
    for maker in makers.values():
        # A name or parameter that there is not is said before hours are spent.
        maker()
    return evaluate(makers, splits, k=k, relevant_from=relevant_from, on_fit=on_fit)


def export(workspace: Workspace, name: str, form: Literal["savedmodel", "tflite"], path: Path) -> tuple[str, ...]:
    """Write a fitted model for use without keyart.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    name : str
        Which model, fitted.
    form : {"savedmodel", "tflite"}
        A folder of TensorFlow's, which the two-tower model becomes; or a file of TensorFlow Lite's, which the ranking
        model becomes.
    path : Path
        Where it shall stand.

    Returns
    -------
    tuple of str
        What a user should know.

    Raises
    ------
    ConfigError
        The model does not come in this form.
    NotBuiltError, DataError
        As `open_model`.
    StoreError
        It cannot be written.
    """
    if (name, form) not in (("two-tower", "savedmodel"), ("ranking", "tflite")):
        raise ConfigError(f"{name} does not come as {form}; two-tower comes as savedmodel, ranking as tflite")
    model, notes = open_model(workspace, name)
    if form == "tflite":
        model.export_tflite(path)  # type: ignore[attr-defined]  # the ranking model's own
        return notes
    with Catalog.open(workspace.catalog_path) as catalog:
        titles = {film.movie_id: film.label for film in catalog}
    model.export_savedmodel(path, titles)  # type: ignore[attr-defined]  # the two-tower model's own
    return notes


def light_models() -> list[str]:
    """List the models that need neither TensorFlow nor Spark.

    Returns
    -------
    list of str
        In the order of the registry.
    """
    return [name for name, entry in MODELS.items() if not entry.needs]


def fitted_models(workspace: Workspace) -> list[str]:
    """List the models that were fitted, without opening any.

    Parameters
    ----------
    workspace : Workspace
        The workspace.

    Returns
    -------
    list of str
        In the order of the registry.
    """
    return [name for name in MODELS if record_path(workspace, name).is_file()]


def record_path(workspace: Workspace, name: str) -> Path:
    """Locate the record of a model, which is replaced when it is fitted again.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    name : str
        Which model.

    Returns
    -------
    Path
        The record, there or not.
    """
    # Models that differ by parameters alone, such as ease-plain, are stored under the name of their class.
    return workspace.model_dir(name) / f"{model_class(name).name}.json"


def _source(workspace: Workspace) -> str:
    with Catalog.open(workspace.catalog_path) as catalog:
        return catalog.fact("ratings") or ""
