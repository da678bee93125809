"""What the API accepts and returns about shortlists: films that somebody keeps, in their order."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from keyart.web.schemas.films import FilmFacts, FilmRef

MAX_FILMS = 500
"""An address of so many films is shorter than 8 KiB, which proxies take."""


class ShortlistQuery(BaseModel):
    """The films of a shortlist."""

    model_config = ConfigDict(extra="forbid")

    film: list[FilmRef] = Field(
        min_length=1, max_length=MAX_FILMS, description="A film, by any of its ids; repeated.", examples=[[6, 8784]]
    )


class ShortlistFacts(BaseModel):
    """The films of a shortlist that the catalog has, and the others."""

    films: list[FilmFacts] = Field(description="In the order of the request, each once.")
    missing: list[int | str] = Field(description="Those that the catalog does not have, as named.", examples=[[99]])
