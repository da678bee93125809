"""Keeps TMDB keys off the screen and out of records, wherever they were typed or set; knows one by its form."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from catalog.errors import ConfigError

# The checksums that keyart prints are longer than a v3 key, and no part of one is blanked. A v4 token is the base64 of
# a JSON object; Eyjafjallajökull is none.
_FORM = r"(?i:(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f]))|eyJ[\w.-]{10,}"
_KEY = re.compile(_FORM)
# All of a word, or all that follows the last = or blank in it: a name may have 32 such digits somewhere in it.
_KEY_ARGUMENT = re.compile(rf"(?:.*[=\s])?(?:{_FORM})\s*", re.DOTALL)

REFUSAL = (
    "a key on the command line can be read by everyone on this machine (ps) and stays in the shell's history; "
    "set TMDB_API_KEY, or put it into a file, chmod 600 that, and set TMDB_API_KEY_FILE to its path"
)
"""Why a key that was typed is not taken, and where to put it."""


def redact(text: str) -> str:
    """Blank all that has the form of a key."""
    return _KEY.sub("***", text)


def refuse_keys(arguments: Iterable[str]) -> None:
    """Refuse a command line with a key on it: as a size or a language, it would get into records and addresses."""
    if any(_KEY_ARGUMENT.fullmatch(argument) for argument in arguments):
        raise ConfigError(f"an argument looks like a TMDB key: {REFUSAL}")


class RedactingFormatter(logging.Formatter):
    """Words log records, with their tracebacks, as `logging.Formatter` does, and blanks keys in them."""

    def format(self, record: logging.LogRecord) -> str:
        """Word a record."""
        return redact(super().format(record))
