"""All recommenders by name; a model's module is imported on first use."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from catalog.errors import ConfigError
from catalog.extras import require
from catalog.io.keras import require_keras
from cf.base import Recommender


class Entry(NamedTuple):
    """One recommender."""

    module: str  # of cf.models
    class_name: str
    summary: str
    #: Arguments of the class, where the name is a variant of it.
    parameters: Mapping[str, Any] = {}
    #: "tensorflow" or "spark", where it needs one.
    needs: str = ""


MODELS: dict[str, Entry] = {
    "damped-mean": Entry("popularity", "DampedMean", "the films with the highest mean rating, damped for few ratings"),
    "most-rated": Entry("popularity", "MostRated", "the films with the most ratings"),
    "baseline": Entry("baseline", "Baseline", "the mean rating, corrected for user and film"),
    "item-cosine": Entry("neighbors", "ItemCosine", "cosine of two films' ratings, centered and shrunk"),
    "user-cosine": Entry("neighbors", "UserCosine", "cosine of two users' ratings, centered and shrunk"),
    "article-item-cosine": Entry(
        "neighbors",
        "ArticleItemCosine",
        "as published: unrated films count as 0 stars",
    ),
    "article-user-cosine": Entry(
        "neighbors",
        "ArticleUserCosine",
        "as published: unrated films count as 0 stars",
    ),
    "sgd": Entry("sgd", "SGD", "factorization with biases by stochastic gradient descent"),
    "bayesian": Entry("bpmf", "BPMF", "Bayesian factorization by Gibbs sampling; which films a user rated counts too"),
    "als": Entry("als", "ALS", "biases and factors by alternating least squares"),
    "implicit-als": Entry("als", "ImplicitALS", "factors of which films a user rated, by alternating least squares"),
    "spark-als": Entry("spark_als", "SparkALS", "biases and factors, fitted by Spark's ALS", needs="spark"),
    "ease": Entry("ease", "EASE", "linear autoencoder in closed form (EASE): from the films a user rated to others"),
    "ease-plain": Entry(
        "ease",
        "EASE",
        "EASE as first published: without relaxed diagonal and weights of users and films",
        {"regularization": 500.0, "popularity_exponent": 0.0, "activity_exponent": 0.0, "largest_diagonal": 0.0},
    ),
    "autoencoder": Entry(
        "autoencoder", "Autoencoder", "masked linear autoencoder of preferences, in stars", needs="tensorflow"
    ),
    "implicit-autoencoder": Entry(
        "autoencoder",
        "ImplicitAutoencoder",
        "masked linear autoencoder of films rated, not of stars",
        needs="tensorflow",
    ),
    "two-tower": Entry(
        "two_tower",
        "TwoTower",
        "networks that map users and films to vectors, fitted to which films a user rated",
        needs="tensorflow",
    ),
    "keras-sigmoid": Entry(
        "keras_mf", "KerasMF", "factors and biases by Keras, within the scale", {"output": "sigmoid"}, "tensorflow"
    ),
    # As published, for comparison: trained as keras-sigmoid is, it does as well (docs/benchmarks.md).
    "keras-relu": Entry(
        "keras_mf",
        "KerasMF",
        "factors and biases by Keras, none below 0, with the published settings",
        {"output": "relu", "n_epochs": 3, "batch_size": 512, "decay": False}
        | {"regularization": 0.0, "bias_regularization": 0.0},
        "tensorflow",
    ),
    "ranking": Entry(
        "ranking_network", "RankingNetwork", "a network on user and film, trained on stars", {}, "tensorflow"
    ),
}


def model_class(name: str) -> type[Recommender]:
    """Import the class of a recommender."""
    if name not in MODELS:
        near = get_close_matches(name, MODELS, 1)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(MODELS)}"
        raise ConfigError(f"no model is called {name!r}; {advice}")
    entry = MODELS[name]
    cls: type[Recommender] = getattr(import_module(f".models.{entry.module}", __package__), entry.class_name)
    return cls


def make(name: str, **parameters: Any) -> Recommender:
    """Construct an unfitted recommender; `parameters` override the defaults of its name."""
    cls = model_class(name)
    if MODELS[name].needs == "spark":
        require("spark", f"fitting {name}")
    elif MODELS[name].needs == "tensorflow":
        require_keras()
    hints = get_type_hints(cls.__init__)
    accepted = {parameter: hints[parameter] for parameter in inspect.signature(cls).parameters}
    for parameter, value in parameters.items():
        if parameter not in accepted:
            known = f"its parameters are {', '.join(accepted)}" if accepted else "it has none"
            raise ConfigError(f"{name} has no parameter {parameter!r}; {known}")
        expected = _expected(parameter, accepted[parameter], value)
        if expected:
            raise ConfigError(f"{name}.{parameter}: expected {expected}, received {value!r}")
    return cls(**{**MODELS[name].parameters, **parameters})


def _expected(parameter: str, hint: Any, value: object) -> str:
    """Return what a parameter accepts if it rejects the value, else ""; no parameter accepts negative numbers."""
    if get_origin(hint) is Literal:
        return "" if value in get_args(hint) else " or ".join(map(str, get_args(hint)))
    kinds = get_args(hint) or (hint,)
    if value is None and type(None) in kinds:
        return ""
    if bool in kinds:
        return "" if isinstance(value, bool) else "true or false"
    if str in kinds:
        return "" if isinstance(value, str) else "text"
    or_none = ", or none" if type(None) in kinds else ""
    if float in kinds:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
        return "" if fits else f"a number from 0 on{or_none}"
    least = 1 if parameter.startswith("n_") or parameter == "batch_size" else 0
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
    return "" if fits else f"a whole number from {least} on{or_none}"
