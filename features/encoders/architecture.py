"""A hash of what a network computes, apart from its weights: its layers and their connections.

Networks with equal weights may differ in a stride or an activation. Only those parts of Keras' description are hashed
that determine the output, not the names of layers, their training or Keras' module paths.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# Module paths change with Keras' versions; the rest has no effect once a network is trained.
_IGNORED = {
    "module",
    "registered_name",
    "name",
    "trainable",
    "seed",
    "build_config",
    "build_input_shape",
    "compile_config",
}
_IGNORED_SUFFIXES = ("_initializer", "_regularizer", "_constraint")


def architecture_sha256(description: str) -> str:
    """Hash the layers of a network from the JSON of ``keras.Model.to_json``, ignoring the names of layers."""
    return hashlib.sha256(json.dumps(_canonical(json.loads(description), {}), sort_keys=True).encode()).hexdigest()


def _canonical(value: Any, positions: Mapping[str, int]) -> Any:
    """Drop what has no effect, and replace names of layers by their positions in the list of layers."""
    match value:
        case {"class_name": "__keras_tensor__", "config": {"keras_history": origin}}:
            return _canonical(origin, positions)
        case dict():
            if isinstance(value.get("layers"), list):
                # Layers of a nested model have their own namespace.
                positions = {_name_of(layer): position for position, layer in enumerate(value["layers"])}
            parts = {key: _canonical(_plain(key, part), positions) for key, part in value.items() if _has_effect(key)}
            # Options that a later Keras adds are None or false by default.
            return {key: part for key, part in parts.items() if part is not None and part is not False and part != {}}
        case [str(layer), int(), int()] if layer in positions:
            return [positions[layer], *value[1:]]
        case list():
            return [_canonical(part, positions) for part in value]
        case _:
            return value


def _has_effect(key: str) -> bool:
    return key not in _IGNORED and not key.endswith(_IGNORED_SUFFIXES)


def _plain(key: str, value: Any) -> Any:
    """Unify what versions of Keras write differently."""
    match key, value:
        case "dtype", {"config": {"name": policy}}:
            return policy
        case (("input_layers" | "output_layers"), [[*only]]):
            return only
        case _:
            return value


def _name_of(layer: Mapping[str, Any]) -> str:
    return str(layer["config"]["name"])
