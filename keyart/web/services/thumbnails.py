"""Posters in a few sizes, kept in memory. Paths come from the poster store only, never from a client."""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from catalog.errors import DamageError, DataError, NotBuiltError
from catalog.image_formats import open_image
from posters.store import Poster, PosterStore, read_poster

_N_CACHED = 4096

_Draw = Callable[[Path, str, int], bytes]


class MissingPosterError(DataError):
    """A poster that is recorded has no file; the message has its path."""


class Thumbnails:
    """The posters of a workspace in a few sizes."""

    def __init__(self, posters: Mapping[int, Poster], draw: _Draw) -> None:
        self._posters = posters
        self._draw = draw

    @classmethod
    def open(cls, posters_dir: Path, before: Thumbnails | None = None) -> Thumbnails:
        """List the posters; those that `before` has drawn are not drawn again."""
        draw: _Draw = before._draw if before else lru_cache(_N_CACHED)(_draw)
        try:
            with PosterStore.open_to_read(posters_dir) as store:
                return cls({poster.movie_id: poster for poster in store.posters()}, draw)
        except NotBuiltError:
            return cls({}, draw)

    def __contains__(self, movie_id: int) -> bool:
        return movie_id in self._posters

    def path(self, movie_id: int) -> Path | None:
        """Return where a poster is stored; None without one."""
        poster = self._posters.get(movie_id)
        return poster.path if poster else None

    def in_random_order(self) -> Iterator[int]:
        """Yield the films that have a poster, shuffled as far as they are taken."""
        movie_ids = list(self._posters)
        while movie_ids:
            drawn = secrets.randbelow(len(movie_ids))
            movie_ids[drawn], movie_ids[-1] = movie_ids[-1], movie_ids[drawn]
            yield movie_ids.pop()

    def etag(self, movie_id: int, width: int) -> str:
        """Identify a thumbnail by the poster it is drawn from."""
        return f'"{self._posters[movie_id].sha256[:32]}-{width}"'

    def jpeg(self, movie_id: int, width: int) -> bytes:
        """Draw a poster at a width in pixels."""
        poster = self._posters[movie_id]
        return self._draw(poster.path, poster.sha256, width)


def _draw(path: Path, sha256: str, width: int) -> bytes:
    """Draw a poster; its hash is part of the key under which the result is cached."""
    drawn, content = io.BytesIO(), _read(path, sha256)
    try:
        with open_image(io.BytesIO(content)) as poster:
            # A JPEG is decoded at about the size that is wanted.
            poster.draft("RGB", (2 * width, 3 * width))
            small = poster.convert("RGB")
            small.thumbnail((width, 3 * width))
            small.save(drawn, "JPEG", quality=82)
    except Exception as error:  # a decoder may raise anything when a file is damaged
        raise DataError(f"the poster {path} cannot be read ({error}); import or fetch it again") from error
    return drawn.getvalue()


def _read(path: Path, sha256: str) -> bytes:
    try:
        return read_poster(path, sha256)
    except DamageError as error:
        if path.exists():
            raise
        raise MissingPosterError(str(error)) from error
