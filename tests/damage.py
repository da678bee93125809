"""Damage to files, as disks do it."""

from __future__ import annotations

from pathlib import Path


def flip_bit(path: Path, position: int | None = None) -> None:
    """Change one bit of a file, by default in its middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if position is None else position] ^= 1
    path.write_bytes(content)
