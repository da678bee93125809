"""What a network computes, apart from its weights: its layers and how they hang together, as one hash.

The weights' numbers do not tell a network from one with another stride or activation. Of Keras' own description counts
what decides about a number that comes out; how layers are called or were drawn and trained does not, nor where Keras'
classes lie. It is plain JSON, so Keras is not imported. May import nothing of the project.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# Where classes lie changes with Keras' versions; the rest is of no account once a network is trained.
_OF_NO_ACCOUNT = {
    "module",
    "registered_name",
    "name",
    "trainable",
    "seed",
    "build_config",
    "build_input_shape",
    "compile_config",
}
_OF_TRAINING = ("_initializer", "_regularizer", "_constraint")


def architecture_sha256(description: str) -> str:
    """Hash what a network does."""
    return hashlib.sha256(json.dumps(_canonical(json.loads(description), {}), sort_keys=True).encode()).hexdigest()


def _canonical(value: Any, places: Mapping[str, int]) -> Any:
    """Leave out what is of no account, and call layers by their places in the list of layers."""
    match value:
        case {"class_name": "__keras_tensor__", "config": {"keras_history": origin}}:
            return _canonical(origin, places)
        case dict():
            if isinstance(value.get("layers"), list):
                # The layers of a model in a model have names of their own.
                places = {_name_of(layer): place for place, layer in enumerate(value["layers"])}
            parts = {key: _canonical(_plain(key, part), places) for key, part in value.items() if _counts(key)}
            # What a later Keras adds is nothing or false by default.
            return {key: part for key, part in parts.items() if part is not None and part is not False and part != {}}
        case [str(layer), int(), int()] if layer in places:
            return [places[layer], *value[1:]]
        case list():
            return [_canonical(part, places) for part in value]
        case _:
            return value


def _counts(key: str) -> bool:
    return key not in _OF_NO_ACCOUNT and not key.endswith(_OF_TRAINING)


def _plain(key: str, value: Any) -> Any:
    """Say in one way what versions of Keras say in two."""
    match key, value:
        case "dtype", {"config": {"name": policy}}:
            return policy
        case (("input_layers" | "output_layers"), [[*only]]):
            return only
        case _:
            return value


def _name_of(layer: Mapping[str, Any]) -> str:
    return str(layer["config"]["name"])
