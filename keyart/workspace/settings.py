"""All settings from environment variables; nothing else reads the environment."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from catalog.errors import ConfigError, DataError
from catalog.io.files import read_bytes

_MAX_SECRET_BYTES = 1 << 16


@dataclass(frozen=True)
class Setting:
    """An environment variable with its default, and its meaning for the documentation."""

    variable: str
    default: str | None
    meaning: str

    def value(self) -> str | None:
        """Return the value; the default if it is unset or blank."""
        return os.environ.get(self.variable, "").strip() or self.default


@dataclass(frozen=True)
class Secret:
    """A secret in an environment variable, or in the file that a second variable names; never on the command line."""

    name: str
    setting: Setting
    file_setting: Setting

    def value(self) -> str | None:
        """Return the secret, None if neither variable is set; ConfigError if the file is readable by others."""
        if secret := self.setting.value():
            return secret
        path = self.file_setting.value()
        return self._read(Path(path).expanduser()) if path else None

    @property
    def refusal(self) -> str:
        """Why the secret is refused on the command line, and where to put it."""
        return (
            f"a {self.name} on the command line can be read by everyone on this machine (ps) and stays in the shell's "
            f"history; set {self.setting.variable}, or put it into a file, chmod 600 that, and set "
            f"{self.file_setting.variable} to its path"
        )

    def _read(self, path: Path) -> str:
        try:
            mode = path.stat().st_mode
            secret = read_bytes(path, _MAX_SECRET_BYTES).decode().strip()
        except (OSError, DataError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{self.file_setting.variable} names {path}, which cannot be read as text; expected a file that holds "
                f"the {self.name} and nothing else"
            ) from error
        # Windows keeps its permissions elsewhere.
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(f"others can read the {self.name} in {path}; type: chmod 600 {path}")
        return secret


HOME = Setting("KEYART_HOME", "keyart-data", "the workspace folder, where --home does not name one")
TMDB_API_KEY = Setting("TMDB_API_KEY", None, "your TMDB key: 32 hexadecimal digits, or a read access token (eyJ…)")
TMDB_API_KEY_FILE = Setting("TMDB_API_KEY_FILE", None, "a file that holds the key, readable by you alone (chmod 600)")
TMDB_KEY = Secret("TMDB key", TMDB_API_KEY, TMDB_API_KEY_FILE)
TMDB_URL = Setting("KEYART_TMDB_URL", "https://api.themoviedb.org/3", "where TMDB's API is, for a proxy or a test")
TOKEN = Setting("KEYART_TOKEN", None, "the token that clients of the server must show: 16 characters or more")
TOKEN_FILE = Setting("KEYART_TOKEN_FILE", None, "a file that holds the token, readable by you alone (chmod 600)")
SERVER_TOKEN = Secret("token", TOKEN, TOKEN_FILE)
KERAS_HOME = Setting("KERAS_HOME", "~/.keras", "Keras' folder; downloaded weights are kept in its models/")
KERAS_BACKEND = Setting("KERAS_BACKEND", "tensorflow", "what runs the network for Keras: tensorflow, jax or torch")

ALL = (HOME, TMDB_API_KEY, TMDB_API_KEY_FILE, TMDB_URL, TOKEN, TOKEN_FILE, KERAS_HOME, KERAS_BACKEND)


def keras_models_dir() -> Path:
    """Return the folder in which Keras stores downloaded weights; it need not exist."""
    return Path(KERAS_HOME.value() or "").expanduser() / "models"
