"""The names under which browsers and curl save what the API returns."""

from __future__ import annotations

import re
from typing import Protocol

from catalog.titles import title_key

_MAX_LENGTH = 80
_OTHERS = re.compile(r"[^a-z0-9]+")


class Named(Protocol):
    """A query: a film, an image, a description or several of these."""

    @property
    def movie_id(self) -> int | None:
        """The film."""

    @property
    def title(self) -> str:
        """Its title."""

    @property
    def year(self) -> int | None:
        """Its year of release."""


def named(query: Named, ending: str) -> dict[str, str]:
    """Return the header that names a file of look-alikes after what was asked about: heat-1995-look-alikes.csv."""
    stem = _OTHERS.sub("-", title_key(f"{query.title} {query.year or ''}"))[:_MAX_LENGTH].strip("-")
    if not stem and query.movie_id is not None:
        stem = f"film-{query.movie_id}"
    name = f"{stem}-look-alikes" if stem else "look-alikes"
    return file_header(f"{name}.{ending}")


def file_header(name: str) -> dict[str, str]:
    """Return the header that names a file; browsers may show it."""
    return {"Content-Disposition": f'inline; filename="{name}"'}
