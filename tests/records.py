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


def without_small_sheets(folder: Path) -> None:
    """Make an atlas one of an earlier version, which stored no sheets with small cells."""
    for path in folder.glob("sheet-*-small.webp"):
        path.unlink()

    def earlier(record: dict[str, Any]) -> dict[str, Any]:
        sheets = [{name: sheet[name] for name in sheet if name != "small_xxh3"} for sheet in record["sheets"]]
        return {**record, "sheets": sheets}

    rewrite_record(folder / "atlas.json", earlier)
