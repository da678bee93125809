"""All settings from environment variables; nothing else reads the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Setting:
    """An environment variable with its default, and its meaning for the documentation."""

    variable: str
    default: str | None
    meaning: str

    def value(self) -> str | None:
        """Return the value; the default if it is unset or blank."""
        return os.environ.get(self.variable, "").strip() or self.default


HOME = Setting("KEYART_HOME", "keyart-data", "the workspace folder, where --home does not name one")
TMDB_API_KEY = Setting("TMDB_API_KEY", None, "your TMDB key: 32 hexadecimal digits, or a read access token (eyJ…)")
TMDB_API_KEY_FILE = Setting("TMDB_API_KEY_FILE", None, "a file that holds the key, readable by you alone (chmod 600)")
TMDB_URL = Setting("KEYART_TMDB_URL", "https://api.themoviedb.org/3", "where TMDB's API is, for a proxy or a test")
KERAS_HOME = Setting("KERAS_HOME", "~/.keras", "Keras' folder; VGG16's ImageNet weights are kept in its models/")
KERAS_BACKEND = Setting("KERAS_BACKEND", "tensorflow", "what runs the network for Keras: tensorflow, jax or torch")

ALL = (HOME, TMDB_API_KEY, TMDB_API_KEY_FILE, TMDB_URL, KERAS_HOME, KERAS_BACKEND)


def keras_models_dir() -> Path:
    """Return the folder in which Keras stores downloaded weights; it need not exist."""
    return Path(KERAS_HOME.value() or "").expanduser() / "models"
