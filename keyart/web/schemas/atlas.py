"""The map of all posters as the API returns it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from keyart.atlas.sprites import CELL_HEIGHT, CELL_WIDTH, N_COLUMNS, SMALL


class MapCluster(BaseModel):
    """Films with similar posters."""

    name: str = Field(examples=["Horror · Thriller"])
    named: bool = Field(description="Whether words hold for it; if not, its name is a number.")
    n_films: int = Field(examples=[113])
    typical: list[int] = Field(description="The movie_ids of the most typical films.", examples=[[1982, 3499]])


class MapSheet(BaseModel):
    """A sheet of small posters."""

    url: str = Field(
        description="`?size=small` gives it with small cells.",
        examples=["/atlas/sheets/sheet-0123456789abcdef01234567.webp"],
    )
    movie_ids: list[int] = Field(description="The film in each cell, row by row.", examples=[[1982, 3499]])


class AtlasMap(BaseModel):
    """All posters on one map; the lists from movie_ids to genres are columns, of one length and in one order."""

    movie_ids: list[int] = Field(examples=[[6, 16]])
    x: list[float] = Field(description="From -1, left, to 1, right.", examples=[[-0.25, 0.4]])
    y: list[float] = Field(description="From -1, top, to 1, bottom.", examples=[[0.1, 0.75]])
    cluster: list[int] = Field(description="Positions in `clusters`, from 0.", examples=[[0, 2]])
    year: list[int | None] = Field(examples=[[1995, 1995]])
    title: list[str] = Field(examples=[["Heat", "Casino"]])
    genres: list[list[int]] = Field(description="Positions in `genre_names`, from 0.", examples=[[[0, 1], [1]]])
    genre_names: list[str] = Field(examples=[["Action", "Crime"]])
    clusters: list[MapCluster]
    sheets: list[MapSheet]
    cell_width: int = Field(description="Of a small poster on a sheet, in pixels.", examples=[CELL_WIDTH])
    cell_height: int = Field(examples=[CELL_HEIGHT])
    small: int = Field(description="Times that cells are smaller where `size` is small.", examples=[SMALL])
    n_columns: int = Field(description="Small posters in a row of a sheet.", examples=[N_COLUMNS])
    notes: list[str] = Field(description="What a reader should know, a sentence each.", examples=[[]])
