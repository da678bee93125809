"""Text for people."""

from __future__ import annotations


def plural(n: int, noun: str) -> str:
    """Return a number with its noun: "1 film", "2,345 films"."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
