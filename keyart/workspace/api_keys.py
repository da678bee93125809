"""Keep TMDB keys, recognized by their form, out of output, logs and records."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from catalog.errors import ConfigError
from keyart.workspace.settings import SERVER_TOKEN, TMDB_KEY

# The checksums that keyart prints are longer than a v3 key, so no part of them is redacted. A v4 token is the base64 of
# a JSON object, and longer than a title such as Eyjafjallajökull.
_FORM = r"(?i:(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f]))|eyJ[\w.-]{10,}"
_KEY = re.compile(_FORM)
# A whole argument, or what follows its last = or blank: a file name may contain 32 such digits.
_KEY_ARGUMENT = re.compile(rf"(?:.*[=\s])?(?:{_FORM})\s*", re.DOTALL)


def redact(text: str) -> str:
    """Replace everything that has the form of a key by ``***``."""
    return _KEY.sub("***", text)


def refuse_keys(arguments: Sequence[str]) -> None:
    """Refuse arguments that have the form of a key: as a size or a language, it would be recorded and sent."""
    if any(_KEY_ARGUMENT.fullmatch(argument) for argument in arguments):
        # A random token often has the form of a key, 32 hexadecimal digits.
        secret = SERVER_TOKEN if "serve" in arguments else TMDB_KEY
        raise ConfigError(f"an argument looks like a {secret.name}: {secret.refusal}")


class RedactingFormatter(logging.Formatter):
    """Formats log records, with their tracebacks, and redacts keys in them."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))
