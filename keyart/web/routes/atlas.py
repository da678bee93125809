"""The routes of the atlas: the map, and its sheets of small posters."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

from keyart.web.conditional import is_unchanged
from keyart.web.errors import PROBLEMS
from keyart.web.schemas.atlas import AtlasMap
from keyart.web.services.atlas import AtlasService
from keyart.web.workers import WorkerPool

_Size = Annotated[
    Literal["full", "small"],
    Query(description="`small` gives cells of a quarter of the width and height, fewer than a tenth of the bytes."),
]
_SheetName = Annotated[str, Path(max_length=80, description="As /api/atlas lists it in `sheets`.")]
# The name of a sheet changes with its content.
_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}


def atlas_routes(service: AtlasService, pool: WorkerPool) -> APIRouter:
    """Create the routes."""
    router = APIRouter(responses=PROBLEMS, tags=["atlas"])

    @router.get("/api/atlas", summary="All posters on one map", response_model=AtlasMap)
    async def atlas(request: Request) -> Response:
        """Return where each poster lies, its cluster, and where it is drawn on the sheets."""
        encoded = await pool.run(service.map)
        headers = {"ETag": encoded.etag, "Cache-Control": "private, no-cache"}
        if is_unchanged(request, encoded.etag):
            return Response(status_code=304, headers=headers)
        return Response(encoded.body, media_type="application/json", headers=headers)

    @router.get("/atlas/sheets/{name}", summary="A sheet of small posters", response_class=FileResponse)
    async def atlas_sheet(name: _SheetName, size: _Size = "full") -> Response:
        """Return a WebP file; another content has another name, so that it may be kept for good."""
        sheet = await pool.run(service.small_sheet if size == "small" else service.sheet_path, name)
        if sheet is None:
            raise HTTPException(404, "the atlas has no such sheet; /api/atlas lists those it has")
        if isinstance(sheet, bytes):
            return Response(sheet, media_type="image/webp", headers=_FOREVER)
        return FileResponse(sheet, media_type="image/webp", headers=_FOREVER)

    return router
