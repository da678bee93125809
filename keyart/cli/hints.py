"""The workspace of the command in progress, by which proposed commands are completed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keyart.workspace.hints import complete, home_option


class Hints:
    """Knows the workspace that the command in progress was started with."""

    def __init__(self) -> None:
        self._option = ""

    def clear(self) -> None:
        """Forget the workspace of an earlier command."""
        self._option = ""

    def name_workspace(self, home: Path) -> None:
        """Set the workspace folder; proposed commands name it unless they find it anyway."""
        self._option = home_option(home)

    def complete(self, text: str) -> str:
        """Add ``--home`` to the commands in a message."""
        return complete(text, self._option)

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
