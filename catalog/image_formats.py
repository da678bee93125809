"""The formats of images that are read, wherever they come from.

Pillow reads many more, some by starting other programs, which an uploaded file must not choose. Those listed here are
decoded within the process.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

READABLE = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP")
"""As Pillow calls them."""

MAX_IMAGE_BYTES = 64 << 20
"""The limit of the file of an image; posters have some hundred kilobytes."""

NAMED = "JPEG, PNG, WebP, GIF, AVIF, TIFF or BMP"
"""For messages."""

SUFFIX_BY_FORMAT: Mapping[str, str] = {
    "JPEG": ".jpg",
    # A JPEG with a second picture behind the first, as some cameras and scanners write.
    "MPO": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "GIF": ".gif",
    "AVIF": ".avif",
    "TIFF": ".tif",
    "BMP": ".bmp",
}
"""The suffix under which an image of a format is stored."""

STORED_SUFFIX = "|".join(sorted({re.escape(suffix) for suffix in SUFFIX_BY_FORMAT.values()}))
"""A regular expression of these suffixes."""

SUFFIXES = frozenset({*SUFFIX_BY_FORMAT.values(), ".jpeg", ".jpe", ".jfif", ".tiff", ".dib"})
"""The suffixes of image files, in lower case."""


def count_endings(paths: Iterable[Path]) -> dict[str, int]:
    """Count files by the endings of their names, the most frequent first."""
    endings = Counter(path.suffix.lower() or "without ending" for path in paths)
    return dict(sorted(endings.items(), key=lambda item: (-item[1], item[0])))


def listed_endings(counts: Mapping[str, int]) -> str:
    """Return counts of files as text: "12 .heic, 1 .txt"."""
    # Names may hold bytes that are no text.
    return ", ".join(f"{n:,} {ending.encode('utf-8', 'replace').decode()}" for ending, n in counts.items())
