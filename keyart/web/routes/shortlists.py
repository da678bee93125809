"""The routes of shortlists: the films that an address names as JSON, CSV and a contact sheet."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.routing import APIRoute

from catalog.io.tables import write_csv
from keyart.web.errors import PROBLEMS
from keyart.web.file_names import file_header
from keyart.web.routes.films import JPEG_FILE
from keyart.web.schemas.films import FilmFacts
from keyart.web.schemas.shortlists import ShortlistFacts, ShortlistQuery
from keyart.web.services.shortlists import ShortlistService
from keyart.web.workers import WorkerPool

FILM_COLUMNS = ("movie_id", "title", "year", "imdb_id", "tmdb_id", "genres", "n_ratings", "mean_rating")
"""What the CSV shows of a film."""

_CSV_FILE: dict[str, Any] = {
    "response_class": Response,
    "responses": {200: {"content": {"text/csv": {"example": ",".join(FILM_COLUMNS)}}}},
}
_NAME = "shortlist"

Films = Annotated[ShortlistQuery, Query()]


def shortlist_routes(
    service: ShortlistService, looking: WorkerPool, drawing: WorkerPool, conditional: type[APIRoute]
) -> APIRouter:
    """Create the routes."""
    router = APIRouter(responses=PROBLEMS, tags=["shortlists"], route_class=conditional)

    @router.get("/api/shortlist.json", summary="The films of a shortlist")
    async def shortlist(query: Films, response: Response) -> ShortlistFacts:
        """Describe the films that a request names; the server stores no shortlist."""
        response.headers.update(file_header(f"{_NAME}.json"))
        return await looking.run(service.facts, query.film)

    @router.get("/api/shortlist.csv", summary="The films of a shortlist as CSV", **_CSV_FILE)
    async def shortlist_csv(query: Films) -> Response:
        """Return the same films as /api/shortlist.json, one a line."""
        result = await looking.run(service.facts, query.film)
        headers = file_header(f"{_NAME}.csv")
        return Response(_as_csv(result.films), media_type="text/csv; charset=utf-8", headers=headers)

    @router.get("/api/shortlist.jpg", summary="The films of a shortlist as a contact sheet", **JPEG_FILE)
    async def shortlist_sheet(query: Films) -> Response:
        """Draw the posters of the first 50 of the films, with their titles."""
        content = await drawing.run(service.sheet, query.film)
        return Response(content, media_type="image/jpeg", headers=file_header(f"{_NAME}.jpg"))

    return router


def _as_csv(films: Iterable[FilmFacts]) -> str:
    text = io.StringIO()
    write_csv(text, FILM_COLUMNS, ({**film.model_dump(), "genres": "|".join(film.genres)} for film in films))
    return text.getvalue()
