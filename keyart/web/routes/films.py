"""The addresses of the API."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BeforeValidator
from starlette.exceptions import HTTPException

from keyart.web.body_limits import Uploads
from keyart.web.errors import PROBLEMS
from keyart.web.inference import Sight
from keyart.web.schemas import (
    Added,
    AddedFilmFacts,
    ColdAnswer,
    ColdQuestion,
    FilmFacts,
    Found,
    Hit,
    PictureQuestion,
    Question,
)
from keyart.web.service import RefusedFilmError, Service
from keyart.web.workers import Line

MovieId = Annotated[int, Path(ge=1, lt=2**31, description="MovieLens' number of a film.", examples=[6])]
# A query is text, which no literal number equals.
Width = Annotated[Literal[160, 320, 640], BeforeValidator(int)]
_LARGEST = 2**31
_COLUMNS = ("rank", "movie_id", "title", "year", "score", "visual", "cf", "alpha", "n_ratings", "same_artwork")


_PICTURE = {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}
_IMAGE_BODY = {
    "requestBody": {
        "required": True,
        "description": "The image file itself: JPEG, PNG, WebP or GIF, at most 10 MiB and 25 million pixels.",
        "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@dataclass(frozen=True)
class Lines:
    """Where requests wait."""

    asking: Line
    drawing: Line
    writing: Line
    uploads: Uploads


def api(service: Service, sight: Sight, lines: Lines, *, read_only: bool) -> APIRouter:
    """Make the routes."""
    router = APIRouter(responses=PROBLEMS)
    _add_films(router, service, lines.asking)
    _add_files(router, service, lines)
    _add_pictures(router, service, sight, lines)
    _add_adding(router, service, lines, read_only=read_only)
    return router


def _add_films(router: APIRouter, service: Service, asking: Line) -> None:
    @router.get("/api/films", summary="Films by title")
    async def films(
        query: Annotated[str, Query(min_length=1, max_length=200, examples=["heat"])],
        k: Annotated[int, Query(ge=1, le=50)] = 8,
    ) -> list[FilmFacts]:
        return await asking.run(service.suggestions, query, k)

    @router.get("/api/genres", summary="All genres")
    async def genres() -> list[str]:
        return await asking.run(service.genres)

    @router.get("/api/films/random", summary="Any film with a poster")
    async def random_film() -> FilmFacts:
        return await asking.run(service.random_film)

    @router.get("/api/films/{movie_id}", summary="One film")
    async def film(movie_id: MovieId) -> FilmFacts:
        return await asking.run(service.film, movie_id)

    @router.get("/api/films/{movie_id}/similar", summary="Films that look like a film and are liked like it")
    async def similar(movie_id: MovieId, question: Annotated[Question, Query()]) -> Found:
        return await asking.run(service.similar, movie_id, _checked(question))


def _add_files(router: APIRouter, service: Service, lines: Lines) -> None:
    @router.get(
        "/api/films/{movie_id}/similar.csv",
        summary="Look-alikes as CSV",
        response_class=Response,
        responses={200: {"content": {"text/csv": {"example": ",".join(_COLUMNS)}}}},
    )
    async def similar_csv(movie_id: MovieId, question: Annotated[Question, Query()]) -> Response:
        found = await lines.asking.run(service.similar, movie_id, _checked(question))
        return Response(_as_csv(found.results), media_type="text/csv; charset=utf-8")

    pictures: dict[str, Any] = {"response_class": Response, "responses": {200: {"content": _PICTURE}}}

    @router.get("/api/films/{movie_id}/sheet.jpg", summary="Look-alikes as a contact sheet", **pictures)
    async def sheet(movie_id: MovieId, question: Annotated[Question, Query()]) -> Response:
        drawn = await lines.drawing.run(service.sheet, movie_id, _checked(question))
        return Response(drawn, media_type="image/jpeg")

    @router.get("/api/films/{movie_id}/why/{other_id}.jpg", summary="Where two posters look alike", **pictures)
    async def heat(movie_id: MovieId, other_id: Annotated[int, Path(ge=1, lt=_LARGEST)]) -> Response:
        return Response(await lines.drawing.run(service.heat, movie_id, other_id), media_type="image/jpeg")

    @router.get("/posters/{movie_id}", summary="A film's poster", **pictures)
    async def poster(request: Request, movie_id: MovieId, width: Width = 320) -> Response:
        thumbnails = service.thumbnails
        if movie_id not in thumbnails:
            raise HTTPException(404, f"film {movie_id} has no poster here")
        headers = {"ETag": thumbnails.etag(movie_id, width), "Cache-Control": "private, max-age=86400"}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        drawn = await lines.drawing.run(thumbnails.jpeg, movie_id, width)
        return Response(drawn, media_type="image/jpeg", headers=headers)


def _add_pictures(router: APIRouter, service: Service, sight: Sight, lines: Lines) -> None:
    @router.post("/api/similar", summary="Films whose posters look like a picture", openapi_extra=_IMAGE_BODY)
    async def similar_to_picture(request: Request, question: Annotated[PictureQuestion, Query()]) -> Found:
        image = await sight.see(await lines.uploads.read(request))
        return await lines.asking.run(service.similar_to_picture, image, question)

    @router.post("/api/cold-start", summary="Who would like a film that nobody has rated", openapi_extra=_IMAGE_BODY)
    async def cold_start(request: Request, question: Annotated[ColdQuestion, Query()]) -> ColdAnswer:
        image = await sight.see(await lines.uploads.read(request))
        return await lines.asking.run(service.cold_start, image, question)


def _add_adding(router: APIRouter, service: Service, lines: Lines, *, read_only: bool) -> None:
    @router.post("/api/films", summary="Add a film with its poster", status_code=201, openapi_extra=_IMAGE_BODY)
    async def add_film(request: Request, told: Annotated[AddedFilmFacts, Query()], response: Response) -> Added:
        if read_only:
            raise HTTPException(403, "this server adds no films; start it without --read-only")
        picture = await lines.uploads.read(request)
        try:
            added = await lines.writing.run(service.add, picture, told)
        except RefusedFilmError as error:
            raise HTTPException(422, str(error)) from error
        response.status_code = 201 if added.new else 200
        return added


def _checked(question: Question) -> Question:
    if question.alpha != "auto" and not 0 <= question.alpha <= 1:
        raise HTTPException(422, f"alpha should be auto or a number from 0 to 1, received {question.alpha}")
    return question


def _as_csv(results: list[Hit]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for hit in results:
        writer.writerow(
            {**hit.model_dump(exclude={"has_poster"}), "same_artwork": " ".join(map(str, hit.same_artwork))}
        )
    return text.getvalue()
