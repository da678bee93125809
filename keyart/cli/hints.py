"""Complete the commands that messages propose by the option ``--home``, where the workspace was named by it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from keyart.workspace.settings import HOME

# Commands stand in backticks. The demo makes a workspace of its own, and help needs none.
_COMMAND = re.compile(r"`(keyart (?!demo\b)[a-z](?:(?!--home|--help)[^`])*)`")


class Hints:
    """Knows the workspace that the command in progress was started with."""

    def __init__(self) -> None:
        self._option = ""

    def clear(self) -> None:
        """Forget the workspace of an earlier command."""
        self._option = ""

    def name_workspace(self, home: Path) -> None:
        """Set the workspace folder; proposed commands name it unless they find it anyway."""
        is_default = home.absolute() == Path(HOME.value() or "").absolute()
        self._option = "" if is_default else f" --home {shlex.quote(str(home))}"

    def complete(self, text: str) -> str:
        """Add ``--home`` to the commands in a message."""
        return _COMMAND.sub(lambda match: f"`{match[1]}{self._option}`", text) if self._option else text

    def complete_record(self, record: dict[str, Any]) -> dict[str, Any]:
        """Add ``--home`` to the commands in the messages of a JSON object: its texts and lists of texts."""
        return {name: self._completed(value) for name, value in record.items()}

    def _completed(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.complete(value)
        if isinstance(value, list | tuple):
            return [self.complete(item) if isinstance(item, str) else item for item in value]
        return value


HINTS = Hints()
"""Of the command in progress."""
