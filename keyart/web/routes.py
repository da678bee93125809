"""The addresses of the API."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BeforeValidator
from starlette.exceptions import HTTPException

from catalog.errors import DataError
from keyart.web.lines import Line
from keyart.web.schemas import FilmFacts, Found, PictureQuestion, Question
from keyart.web.service import Service

MAX_UPLOAD_BYTES = 10 << 20
"""A picture that is sent may be no larger."""

MovieId = Annotated[int, Path(ge=1, lt=2**31, description="MovieLens' number of a film.", examples=[6])]
# A query is text, which no literal number equals.
Width = Annotated[Literal[160, 320, 640], BeforeValidator(int)]
_LARGEST = 2**31


def api(service: Callable[[], Service], quick: Line, network: Line) -> APIRouter:
    """Make the routes.

    Parameters
    ----------
    service : callable
        Gives the open engine.
    quick : Line
        For questions to the index and the catalogue.
    network : Line
        For pictures, which take the network.

    Returns
    -------
    APIRouter
        To be included in an application.
    """
    router = APIRouter()
    _add_films(router, service, quick)
    _add_pictures(router, service, quick, network)
    return router


def _add_films(router: APIRouter, service: Callable[[], Service], quick: Line) -> None:
    @router.get("/api/films", summary="Films by title")
    async def films(
        query: Annotated[str, Query(min_length=1, max_length=200, examples=["heat"])],
        k: Annotated[int, Query(ge=1, le=50)] = 8,
    ) -> list[FilmFacts]:
        return await quick.run(service().suggestions, query, k)

    @router.get("/api/genres", summary="All genres")
    async def genres() -> list[str]:
        return await quick.run(service().genres)

    @router.get("/api/films/random", summary="Any film with a poster")
    async def random_film() -> FilmFacts:
        return await quick.run(service().random_film)

    @router.get("/api/films/{movie_id}", summary="One film")
    async def film(movie_id: MovieId) -> FilmFacts:
        return await quick.run(service().film, movie_id)

    @router.get("/api/films/{movie_id}/similar", summary="Films that look like a film and are liked like it")
    async def similar(movie_id: MovieId, question: Annotated[Question, Query()]) -> Found:
        return await quick.run(service().similar, movie_id, _checked(question))

    @router.get("/api/films/{movie_id}/similar.csv", summary="The same as CSV")
    async def similar_csv(movie_id: MovieId, question: Annotated[Question, Query()]) -> Response:
        found = await quick.run(service().similar, movie_id, _checked(question))
        return Response(_as_csv(found.results), media_type="text/csv; charset=utf-8")


def _add_pictures(router: APIRouter, service: Callable[[], Service], quick: Line, network: Line) -> None:
    @router.post("/api/similar", summary="Films whose posters look like a picture: the body is the image file")
    async def similar_to_picture(request: Request, question: Annotated[PictureQuestion, Query()]) -> Found:
        picture = await _body(request)
        try:
            return await network.run(service().similar_to_picture, picture, question)
        except DataError as error:
            raise HTTPException(422, str(error)) from error

    @router.get("/api/films/{movie_id}/sheet.jpg", summary="Look-alikes as a contact sheet")
    async def sheet(movie_id: MovieId, question: Annotated[Question, Query()]) -> Response:
        return Response(await quick.run(service().sheet, movie_id, _checked(question)), media_type="image/jpeg")

    @router.get("/api/films/{movie_id}/why/{other_id}.jpg", summary="Where two posters look alike")
    async def heat(movie_id: MovieId, other_id: Annotated[int, Path(ge=1, lt=_LARGEST)]) -> Response:
        return Response(await quick.run(service().heat, movie_id, other_id), media_type="image/jpeg")

    @router.get("/posters/{movie_id}", summary="A film's poster")
    async def poster(request: Request, movie_id: MovieId, width: Width = 320) -> Response:
        thumbnails = service().thumbnails
        if movie_id not in thumbnails:
            raise HTTPException(404, f"film {movie_id} has no poster here")
        headers = {"ETag": thumbnails.etag(movie_id, width), "Cache-Control": "private, max-age=86400"}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        drawn = await quick.run(thumbnails.jpeg, movie_id, width)
        return Response(drawn, media_type="image/jpeg", headers=headers)


async def _body(request: Request) -> bytes:
    """Read what was sent, and no more than is allowed: a length that is said may be a lie."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > MAX_UPLOAD_BYTES:
            raise HTTPException(413, f"expected a picture of at most {MAX_UPLOAD_BYTES >> 20} MiB")
    return bytes(content)


def _checked(question: Question) -> Question:
    if question.alpha != "auto" and not 0 <= question.alpha <= 1:
        raise HTTPException(422, f"alpha should be auto or a number from 0 to 1, received {question.alpha}")
    return question


def _as_csv(results: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    names = ["rank", "movie_id", "title", "year", "score", "visual", "cf", "alpha", "support", "same_artwork"]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**hit, "same_artwork": " ".join(map(str, hit["same_artwork"]))} for hit in results)
    return text.getvalue()
