"""The atlas over HTTP: the map in compact columns, and its sheets of small posters."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from catalog.films import Catalog
from keyart.atlas.record import Atlas, record_path
from keyart.atlas.sprites import CELL_HEIGHT, CELL_WIDTH, N_COLUMNS
from keyart.web.errors import PROBLEMS
from keyart.web.workers import Line
from keyart.workspace.layout import Workspace

# Of the side of the map, which is 2: a ten-thousandth of it is less than any screen shows.
_N_DIGITS = 5


class MapCluster(BaseModel):
    """Films with posters that are alike."""

    name: str = Field(examples=["Horror · Thriller"])
    n_films: int = Field(examples=[113])
    typical: list[int] = Field(description="The movie_ids of the most typical films.", examples=[[1982, 3499]])


class MapSheet(BaseModel):
    """A sheet of small posters."""

    url: str = Field(examples=["/atlas/sheets/sheet-0123456789abcdef01234567.webp"])
    movie_ids: list[int] = Field(description="The film in each cell, row by row.", examples=[[1982, 3499]])


class AtlasMap(BaseModel):
    """All posters on one map; the lists from movie_ids to genres are columns, of one length and in one order."""

    movie_ids: list[int] = Field(examples=[[6, 16]])
    x: list[float] = Field(description="From -1, left, to 1, right.", examples=[[-0.25, 0.4]])
    y: list[float] = Field(description="From -1, top, to 1, bottom.", examples=[[0.1, 0.75]])
    cluster: list[int] = Field(description="Places in `clusters`, from 0.", examples=[[0, 2]])
    year: list[int | None] = Field(examples=[[1995, 1995]])
    title: list[str] = Field(examples=[["Heat", "Casino"]])
    genres: list[list[int]] = Field(description="Places in `genre_names`, from 0.", examples=[[[0, 1], [1]]])
    genre_names: list[str] = Field(examples=[["Action", "Crime"]])
    clusters: list[MapCluster]
    sheets: list[MapSheet]
    cell_width: int = Field(description="Of a small poster on a sheet, in pixels.", examples=[CELL_WIDTH])
    cell_height: int = Field(examples=[CELL_HEIGHT])
    n_columns: int = Field(description="Small posters in a row of a sheet.", examples=[N_COLUMNS])


@dataclass(frozen=True)
class Edition:
    """The map as it stood on the disk, written down once for all who ask."""

    body: bytes
    etag: str
    sheet_names: frozenset[str]


class AtlasReader:
    """The atlas of a workspace, read when it is first asked for and again whenever it, or the catalog, changes."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = Lock()
        self._state: object = None
        self._edition: Edition | None = None

    def edition(self) -> Edition:
        """Give the map as it is now."""
        with self._lock:
            state = self._on_disk()
            if self._edition is None or state != self._state:
                self._edition = _written(self._workspace)
                self._state = state
            return self._edition

    def sheet_path(self, name: str) -> Path | None:
        """Locate a sheet."""
        return self._workspace.atlas_dir / name if name in self.edition().sheet_names else None

    def _on_disk(self) -> object:
        paths = record_path(self._workspace.atlas_dir), self._workspace.catalog_path
        # Both are replaced by a rename, which gives another file under the same name.
        return [(stat.st_ino, stat.st_mtime_ns) for stat in (path.stat() for path in paths if path.is_file())]


def atlas_api(workspace: Workspace, drawing: Line) -> APIRouter:
    """Make the routes of the atlas."""
    router, reader = APIRouter(responses=PROBLEMS), AtlasReader(workspace)

    @router.get("/api/atlas", summary="All posters on one map", response_model=AtlasMap)
    async def atlas(request: Request) -> Response:
        edition = await drawing.run(reader.edition)
        headers = {"ETag": edition.etag, "Cache-Control": "private, no-cache"}
        if request.headers.get("if-none-match") == edition.etag:
            return Response(status_code=304, headers=headers)
        return Response(edition.body, media_type="application/json", headers=headers)

    @router.get("/atlas/sheets/{name}", summary="A sheet of small posters", response_class=FileResponse)
    async def sheet(name: Annotated[str, PathParameter(max_length=80)]) -> FileResponse:
        path = await drawing.run(reader.sheet_path, name)
        if path is None or not path.is_file():
            raise HTTPException(404, "the atlas has no such sheet; /api/atlas lists those it has")
        # It is named by what is on it.
        headers = {"Cache-Control": "private, max-age=31536000, immutable"}
        return FileResponse(path, media_type="image/webp", headers=headers)

    return router


def _written(workspace: Workspace) -> Edition:
    atlas = Atlas.open(workspace.atlas_dir)
    body = _columns(workspace, atlas).model_dump_json().encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return Edition(body, etag, frozenset(sheet.name for sheet in atlas.sheets))


def _columns(workspace: Workspace, atlas: Atlas) -> AtlasMap:
    movie_ids = atlas.movie_ids.tolist()
    with Catalog.open(workspace.catalog_path) as catalog:
        films = catalog.films(movie_ids)
        genre_names = list(catalog.genres())
    place: Callable[[str], int] = {name: number for number, name in enumerate(genre_names)}.__getitem__
    # A film may have left the catalog since the atlas was made; its picture is still on the map.
    known = [films.get(movie_id) for movie_id in movie_ids]
    return AtlasMap(
        movie_ids=movie_ids,
        x=_rounded(atlas.positions[:, 0].tolist()),
        y=_rounded(atlas.positions[:, 1].tolist()),
        cluster=atlas.labels.tolist(),
        year=[film.year if film else None for film in known],
        title=[film.title if film else f"film {movie_id}" for film, movie_id in zip(known, movie_ids, strict=True)],
        genres=[[place(genre) for genre in film.genres] if film else [] for film in known],
        genre_names=genre_names,
        clusters=[
            MapCluster(name=each.name, n_films=each.n_films, typical=list(each.typical)) for each in atlas.clusters
        ],
        sheets=[MapSheet(url=f"/atlas/sheets/{each.name}", movie_ids=list(each.movie_ids)) for each in atlas.sheets],
        cell_width=CELL_WIDTH,
        cell_height=CELL_HEIGHT,
        n_columns=N_COLUMNS,
    )


def _rounded(numbers: list[float]) -> list[float]:
    return [round(number, _N_DIGITS) for number in numbers]
