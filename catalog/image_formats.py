"""The formats of images that are read, wherever they come from.

Pillow reads many more, some by starting other programs, which an uploaded file must not choose. Those listed here are
decoded within the process.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

from catalog.extras import EXTRAS, pip_install

if TYPE_CHECKING:
    from PIL import Image

_HEIF = find_spec("pi_heif") is not None
READABLE = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP", *(("HEIF",) if _HEIF else ()))
"""As Pillow calls them; HEIF, which phones write, by a plug-in that is an extra."""

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
    "HEIF": ".heic",
}
"""The suffix under which an image of a format is stored."""

STORED_SUFFIX = "|".join(sorted({re.escape(suffix) for suffix in SUFFIX_BY_FORMAT.values()}))
"""A regular expression of these suffixes."""

_HEIF_SUFFIXES = frozenset((".heic", ".heif", ".hif"))
SUFFIXES = frozenset(
    {*SUFFIX_BY_FORMAT.values(), ".jpeg", ".jpe", ".jfif", ".tiff", ".dib", *_HEIF_SUFFIXES}
    - (frozenset() if _HEIF else _HEIF_SUFFIXES)
)
"""The suffixes of image files that are read, in lower case."""

_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")


def open_image(source: Path | IO[bytes]) -> Image.Image:
    """Open an image of a format that is read, without decoding it; the errors are Pillow's."""
    from PIL import Image

    _register_heif()
    return Image.open(source, formats=READABLE)


@cache
def _register_heif() -> None:
    if _HEIF:
        import pi_heif

        pi_heif.register_heif_opener()


def is_unread_heif(beginning: bytes) -> bool:
    """Return whether a file is an HEIC image, by its first bytes, and what reads these is not installed."""
    return not _HEIF and beginning[4:8] == b"ftyp" and beginning[8:12] in _HEIF_BRANDS


def heif_hint() -> str:
    """Return how HEIC images are read where they are not."""
    return f"HEIC images are read after {pip_install(*EXTRAS['heif'].values())}"


def count_endings(paths: Iterable[Path]) -> dict[str, int]:
    """Count files by the endings of their names, the most frequent first."""
    endings = Counter(path.suffix.lower() or "without ending" for path in paths)
    return dict(sorted(endings.items(), key=lambda item: (-item[1], item[0])))


def listed_endings(counts: Mapping[str, int]) -> str:
    """Return counts of files as text, "12 .heic, 1 .txt", and what would read some of them."""
    # Names may hold bytes that are no text.
    listed = ", ".join(f"{n:,} {ending.encode('utf-8', 'replace').decode()}" for ending, n in counts.items())
    return listed if _HEIF_SUFFIXES.intersection(counts) <= SUFFIXES else f"{listed}; {heif_hint()}"
