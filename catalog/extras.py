"""The optional dependencies: which extra provides which module."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from catalog.errors import ConfigError

EXTRAS: Mapping[str, Mapping[str, str]] = {
    "atlas": {"sklearn": "scikit-learn"},
    "onnx": {"onnx": "onnx", "onnxruntime": "onnxruntime"},
    "plots": {"matplotlib": "matplotlib"},
    "spark": {"pyspark": "pyspark"},
    "web": {"fastapi": "fastapi", "uvicorn": "uvicorn", "prometheus_client": "prometheus-client"},
}
"""By extra, the distribution of each module that it provides."""


def is_installed(extra: str) -> bool:
    """Return whether everything that an extra provides is installed."""
    return not _missing(extra)


def require(extra: str, purpose: str) -> None:
    """Raise ConfigError unless an extra is installed; imports nothing, so call it before any work."""
    if missing := _missing(extra):
        raise ConfigError(f"{purpose} needs {', '.join(missing)}: pip install 'keyart[{extra}]'")


def _missing(extra: str) -> list[str]:
    return [name for module, name in EXTRAS[extra].items() if find_spec(module) is None]
