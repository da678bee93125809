"""What the API returns about one film in detail."""

from __future__ import annotations

from pydantic import BaseModel, Field

from keyart.web.schemas.films import FilmFacts


class Swatch(BaseModel):
    """A color of a poster."""

    color: str = Field(examples=["#b8442d"])
    share: float = Field(description="Of the poster's area.", examples=[0.37])


class StarCount(BaseModel):
    """How many users gave a film so many stars."""

    stars: float = Field(examples=[4.5])
    n_ratings: int = Field(examples=[31])


class AtlasPlace(BaseModel):
    """Where a film lies on the atlas."""

    x: float = Field(description="From -1 to 1.", examples=[-0.21])
    y: float = Field(description="From -1 to 1.", examples=[0.64])
    cluster: str = Field(description="The name of its cluster.", examples=["dark, red"])
    n_films: int = Field(description="The number of films of the cluster.", examples=[84])


class FilmDetails(FilmFacts):
    """A film with all that a page about it shows."""

    tags: list[str] = Field(description="Those that most users gave, at most 8.", examples=[["heist", "los angeles"]])
    stars: list[StarCount] = Field(description="The ratings by stars, from 0.5 to 5; empty without ratings.")
    palette: list[Swatch] = Field(description="The main colors of its poster, the largest first.")
    tmdb_url: str | None = Field(examples=["https://www.themoviedb.org/movie/949"])
    imdb_url: str | None = Field(examples=["https://www.imdb.com/title/tt0113277/"])
    atlas: AtlasPlace | None = Field(description="Null where it is not on the atlas, or there is no atlas.")
