"""Damage to files, as disks do it."""

from __future__ import annotations

from pathlib import Path
from random import Random


def flip_bit(path: Path, position: int | None = None) -> None:
    """Change one bit of a file, by default in its middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if position is None else position] ^= 1
    path.write_bytes(content)


def flipped(content: bytes, random: Random) -> bytes:
    """Return content with one bit changed at random."""
    changed, bit = bytearray(content), random.randrange(8 * len(content))
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
