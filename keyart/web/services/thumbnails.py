"""Posters in a few sizes, kept in memory. Paths come from the poster store only, never from a client."""

from __future__ import annotations

import io
import secrets
from functools import lru_cache
from pathlib import Path

from PIL import Image

from catalog.errors import NotBuiltError, StoreError
from posters.store import Poster, PosterStore

WIDTHS = (160, 320, 640)
"""Pixels; a page asks for one of these."""
_N_KEPT = 4096


class Thumbnails:
    """The posters of a workspace in a few sizes; make it with `open`."""

    def __init__(self, posters: dict[int, Poster]) -> None:
        self._posters = posters
        self._small = lru_cache(_N_KEPT)(_draw)

    @classmethod
    def open(cls, posters_dir: Path) -> Thumbnails:
        """Look which posters there are."""
        try:
            with PosterStore.open_to_read(posters_dir) as store:
                return cls({poster.movie_id: poster for poster in store.posters()})
        except NotBuiltError:
            return cls({})

    def __contains__(self, movie_id: int) -> bool:
        return movie_id in self._posters

    def drawn(self) -> int | None:
        """Draw a film that has a poster."""
        return secrets.choice(list(self._posters)) if self._posters else None

    def etag(self, movie_id: int, width: int) -> str:
        """Name a thumbnail by what it was drawn from."""
        return f'"{self._posters[movie_id].sha256[:32]}-{width}"'

    def jpeg(self, movie_id: int, width: int) -> bytes:
        """Draw a poster small."""
        return self._small(self._posters[movie_id].path, width)


def _draw(path: Path, width: int) -> bytes:
    drawn = io.BytesIO()
    try:
        with Image.open(path, formats=("JPEG", "PNG", "WEBP", "GIF")) as poster:
            # A JPEG is decoded at about the size that is wanted.
            poster.draft("RGB", (2 * width, 3 * width))
            small = poster.convert("RGB")
            small.thumbnail((width, 3 * width))
            small.save(drawn, "JPEG", quality=82)
    except Exception as error:  # a decoder may raise anything when a file is damaged
        raise StoreError(f"cannot read the poster {path} ({error}); import or fetch it again") from error
    return drawn.getvalue()
