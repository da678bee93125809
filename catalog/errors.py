"""What can go wrong, as a tree.

::

    KeyartError
    ├── ConfigError          a setting is missing or makes no sense (a key, an option)
    ├── DataError            a file or an array is not what it should be
    ├── UnknownFilmError     no film, or more than one, answers to what was asked (also a LookupError)
    │   └── AmbiguousFilmError
    ├── NotBuiltError        a step that comes before has not been taken yet
    ├── FetchError           a remote service refused, or cannot be reached
    └── StoreError           something could not be written or read on this machine

Every message says what was expected, what was received and what to do. A programmer's mistake stays a
``ValueError`` or ``TypeError``. This module imports nothing.
"""

from __future__ import annotations


class KeyartError(Exception):
    """Is the root of everything that a user can mend."""


class ConfigError(KeyartError):
    """Says that a setting is missing or makes no sense."""


class DataError(KeyartError):
    """Says that a file or an array is not what it should be, and where."""


class UnknownFilmError(KeyartError, LookupError):
    """Says that no film answers to what was asked.

    Parameters
    ----------
    message : str
        The whole message, as a user reads it.
    suggestions : tuple of str, optional
        The nearest titles, best first, each as "Title (year)".
    """

    def __init__(self, message: str, suggestions: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.suggestions = suggestions


class AmbiguousFilmError(UnknownFilmError):
    """Says that several films answer to what was asked; ``suggestions`` lists them with their ids."""


class NotBuiltError(KeyartError):
    """Says that a step that comes before has not been taken yet."""


class FetchError(KeyartError):
    """Says that a remote service refused, or cannot be reached."""


class StoreError(KeyartError):
    """Says that something could not be written or read on this machine."""
