"""What the API takes and gives; FastAPI writes its OpenAPI description from these."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from catalog.films import Film
from catalog.filters import Filter


class FilmFacts(BaseModel):
    """What is told of a film."""

    movie_id: int = Field(examples=[6])
    title: str = Field(examples=["Heat"])
    year: int | None = Field(examples=[1995])
    genres: list[str] = Field(examples=[["Action", "Crime"]])
    n_ratings: int = Field(examples=[102])
    mean_rating: float | None = Field(examples=[3.95])
    has_poster: bool

    @classmethod
    def of(cls, film: Film, has_poster: bool) -> FilmFacts:
        """Tell of a film.

        Parameters
        ----------
        film : Film
            The film.
        has_poster : bool
            Whether ``/posters/{movie_id}`` shows it.

        Returns
        -------
        FilmFacts
            The facts.
        """
        names = ("movie_id", "title", "year", "n_ratings", "mean_rating")
        facts = {name: getattr(film, name) for name in names}
        return cls(**facts, genres=list(film.genres), has_poster=has_poster)


class Found(BaseModel):
    """A page of look-alikes: what `keyart similar --json` prints, and whether there are more."""

    query: dict[str, Any]
    alpha: float | Literal["auto"]
    results: list[dict[str, Any]]
    notes: list[str]
    more: bool


class PictureQuestion(BaseModel):
    """How many look-alikes of a picture are wanted, and which."""

    model_config = ConfigDict(extra="forbid")

    offset: int = Field(0, ge=0, le=10_000, description="How many to pass over.")
    k: int = Field(30, ge=1, le=200, description="How many films.")
    first_year: int | None = Field(None, ge=1000, le=9999)
    last_year: int | None = Field(None, ge=1000, le=9999)
    genre: list[str] = Field([], max_length=30, description="Only films of this genre; may be repeated.")
    min_support: int = Field(0, ge=0, le=2**31, description="Only films that so many users rated.")
    fold: bool = Field(False, description="Show films with the same artwork once.")

    def wanted(self) -> Filter:
        """Write the choice of films as a filter.

        Returns
        -------
        Filter
            Of years, genres and support.
        """
        return Filter(self.first_year, self.last_year, tuple(self.genre), self.min_support)


class Question(PictureQuestion):
    """The same of a film, with the visual share."""

    alpha: float | Literal["auto"] = Field("auto", description="The visual share, 0 to 1, or auto.")
