"""Records as an earlier version, or another program, may have written them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from catalog.io.files import record_text


def rewrite_record(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change the content of a record, and give it the checksum of that."""
    content = json.loads(path.read_text(encoding="utf-8"))
    changed = change(content)
    changed.pop("checksum", None)
    path.write_bytes(record_text(changed["kind"], changed["version"], changed))
