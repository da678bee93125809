"""The errors that a user can do something about.

::

    KeyartError
    ├── ConfigError          a setting is missing or invalid (a key, an option)
    ├── DataError            a file or an array is invalid
    │   ├── DamageError      a file of a workspace is not as it was written
    │   └── QueryError       what was asked about cannot be compared
    ├── UnknownFilmError     no film, or more than one, matches (also a LookupError)
    │   └── AmbiguousFilmError
    ├── NotBuiltError        an earlier step has not been run yet
    │   └── IncompleteError  it was not finished, or the record of what it made is lost
    ├── FetchError           a remote service refused, or cannot be reached
    └── StoreError           something could not be written or read on this machine

Every message says what was expected, what was received and what to do. A programmer's mistake stays a
``ValueError`` or ``TypeError``.
"""

from __future__ import annotations


class KeyartError(Exception):
    """Base of all errors that a user can do something about; a programmer's mistake stays ValueError or TypeError."""


class ConfigError(KeyartError):
    """A setting or an option is missing or invalid."""


class DataError(KeyartError):
    """A file or an array is invalid, damaged or of another version; the message says where."""


class DamageError(DataError):
    """A file of a workspace is not as it was written; the message names it and the command that mends it."""


class QueryError(DataError):
    """What was asked about cannot be compared, though the workspace is whole; the message says why."""


class UnknownFilmError(KeyartError, LookupError):
    """No film matches a title or a movie_id.

    Parameters
    ----------
    message : str
        The message for the user.
    suggestions : tuple of str, default ()
        The nearest titles, best first, each as "Title (year)".
    """

    def __init__(self, message: str, suggestions: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.suggestions = suggestions


class AmbiguousFilmError(UnknownFilmError):
    """Several films match a title; ``suggestions`` and the message list them, the message with their ids."""


class NotBuiltError(KeyartError):
    """An earlier step has not been run yet; the message names the command."""


class IncompleteError(NotBuiltError):
    """Files of a part are there without their record, which is written last: it was never finished, or that is lost."""


class FetchError(KeyartError):
    """A remote service refused a request, or cannot be reached."""


class StoreError(KeyartError):
    """Something could not be written or read on this machine: the disk is full, or another process is writing."""
