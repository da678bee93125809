"""Text for people."""

from __future__ import annotations


def plural(n: int, one: str, many: str = "") -> str:
    """Return a number with its noun, and a verb where it has one: "1 film", "2,345 films", "1 film has"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
