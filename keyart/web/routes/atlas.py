"""The routes of the atlas: the map, and its sheets of small posters."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

from keyart.web.conditional import is_unchanged
from keyart.web.errors import PROBLEMS
from keyart.web.schemas.atlas import AtlasMap
from keyart.web.services.atlas import AtlasService
from keyart.web.workers import WorkerPool


def atlas_routes(service: AtlasService, pool: WorkerPool) -> APIRouter:
    """Create the routes."""
    router = APIRouter(responses=PROBLEMS, tags=["atlas"])

    @router.get("/api/atlas", summary="All posters on one map", response_model=AtlasMap)
    async def atlas(request: Request) -> Response:
        encoded = await pool.run(service.map)
        headers = {"ETag": encoded.etag, "Cache-Control": "private, no-cache"}
        if is_unchanged(request, encoded.etag):
            return Response(status_code=304, headers=headers)
        return Response(encoded.body, media_type="application/json", headers=headers)

    @router.get("/atlas/sheets/{name}", summary="A sheet of small posters", response_class=FileResponse)
    async def atlas_sheet(name: Annotated[str, PathParameter(max_length=80)]) -> FileResponse:
        path = await pool.run(service.sheet_path, name)
        if path is None:
            raise HTTPException(404, "the atlas has no such sheet; /api/atlas lists those it has")
        # Its name changes with its content.
        headers = {"Cache-Control": "private, max-age=31536000, immutable"}
        return FileResponse(path, media_type="image/webp", headers=headers)

    return router
