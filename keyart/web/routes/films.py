"""The routes about films: search, look-alikes, posters, uploaded images, and new films."""

from __future__ import annotations

import asyncio
import io
import logging
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BeforeValidator
from starlette.exceptions import HTTPException

from catalog.image_formats import NAMED
from catalog.io.tables import write_csv
from keyart.results import HIT_COLUMNS, hit_cells
from keyart.similarity.query import Image
from keyart.web.body_limits import MAX_UPLOAD_BYTES, BoundedRoute, EmbeddingRoute, Uploads, files_of, upload_route
from keyart.web.conditional import is_unchanged
from keyart.web.errors import PROBLEMS
from keyart.web.file_names import named
from keyart.web.forms import FormFile
from keyart.web.inference import ImageEncoder
from keyart.web.paging import next_link
from keyart.web.schemas.films import (
    AddedFilm,
    Cleaned,
    ColdStartFacts,
    ColdStartQuery,
    EmbeddingFacts,
    EmbeddingQuery,
    EncoderFacts,
    FilmAnswers,
    FilmFacts,
    FilmQuery,
    FilmRef,
    FilmsQuery,
    GenreFacts,
    Hit,
    ImageMixQuery,
    MixQuery,
    NewFilmRecord,
    OneLine,
    RegionsFacts,
    RemovedFilm,
    ServerFacts,
    SimilarPage,
    Suggestion,
    TextFacts,
)
from keyart.web.services.films import FilmService, Images, RefusedFilmError, Sheet
from keyart.web.services.thumbnails import MissingPosterError
from keyart.web.workers import WorkerPool
from posters.validation import MAX_POSTER_PIXELS

_log = logging.getLogger(__name__)

_FILM = "A movie_id, an IMDb id such as tt0113277, or a TMDB id such as tmdb:949."
FilmPath = Annotated[FilmRef, Path(description=_FILM, examples=[6])]
ComparedFilm = Annotated[FilmRef, Query(description=_FILM, examples=[6])]
EncoderName = Annotated[OneLine | None, Query(max_length=200, description="An encoder of the workspace.")]
# A query parameter is text, which equals no literal number.
Width = Annotated[Literal[160, 320, 640], BeforeValidator(int), Query(description="In pixels.")]

AnyFilmQuery = TypeVar("AnyFilmQuery", bound=FilmQuery)

_SEVERAL_FILMS_TIMEOUT_S = 60.0
_JPEG = {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}
JPEG_FILE: dict[str, Any] = {"response_class": Response, "responses": {200: {"content": _JPEG}}}
"""Describes a route that answers with a picture."""
_CSV_FILE: dict[str, Any] = {
    "response_class": Response,
    "responses": {200: {"content": {"text/csv": {"example": ",".join(HIT_COLUMNS)}}}},
}
_FILE = {"type": "string", "format": "binary"}


def _image_body(form_of: str, form: dict[str, Any]) -> dict[str, Any]:
    """Describe a body that is an image, or a form."""
    description = (
        f"The image file itself, or a form with {form_of}, in which other fields are parameters of the query: "
    )
    content = {"image/*": {"schema": _FILE}, "multipart/form-data": {"schema": {"type": "object", **form}}}
    limits = f"{NAMED}; at most 10 MiB and 25 million pixels."
    return {"requestBody": {"required": True, "description": description + limits, "content": content}}


_LIKED, _AVOIDED, _MOST_IMAGES = "image", "unlike_image", 8
_FILES = {"type": "array", "items": _FILE, "maxItems": _MOST_IMAGES}
_IMAGE_BODY = _image_body("it", {"required": [_LIKED], "properties": {_LIKED: _FILE}})
_IMAGES_BODY = _image_body(
    f"up to {_MOST_IMAGES} (`{_LIKED}`: sought for, `{_AVOIDED}`: looks that are avoided)",
    {"minProperties": 1, "properties": {_LIKED: _FILES, _AVOIDED: _FILES}},
)


@dataclass(frozen=True)
class Pools:
    """The workers of the films' routes, by how long their work takes, and the limits of uploads."""

    querying: WorkerPool
    # Comparing features with those of all posters takes ten times as long as looking a film up, and lets go of Python.
    comparing: WorkerPool
    drawing: WorkerPool
    # A page shows dozens at once, which should wait for nobody's upload.
    thumbnails: WorkerPool
    # One large image at a time takes the memory of some hundred thumbnails.
    decoding: WorkerPool
    writing: WorkerPool
    # By an encoder that a request names.
    embedding: WorkerPool
    uploads: Uploads

    def workers(self) -> tuple[WorkerPool, ...]:
        """Return all pools."""
        looking = (self.querying, self.comparing, self.drawing, self.thumbnails)
        return (*looking, self.decoding, self.writing, self.embedding)

    def of_film(self, query: FilmQuery) -> WorkerPool:
        """Return the pool for the look-alikes of a film."""
        is_look_up = not (query.region or query.diverse or query.encoder)
        return self.querying if is_look_up else self.comparing


def film_routes(
    service: FilmService, encoder: ImageEncoder, pools: Pools, conditional: type[APIRoute], *, read_only: bool
) -> APIRouter:
    """Create the routes."""
    router = APIRouter(responses=PROBLEMS, tags=["films"])
    # Before the films, whose /api/films/{movie_id} would match "random".
    _add_random_film(router, service, pools.querying)
    questions = APIRouter(route_class=conditional)
    # Whether descriptions are taken is known once a network is loaded: look-ups do not wait for it.
    _add_server(questions, service, pools.comparing, read_only=read_only)
    _add_films(questions, service, pools)
    _add_files(questions, service, pools)
    _add_regions(questions, service, pools)
    router.include_router(questions)
    _add_posters(router, service, pools.thumbnails)
    _add_removals(router, service, pools.writing, read_only=read_only)
    bodies = APIRouter(route_class=BoundedRoute)
    _add_several_films(bodies, service, pools)
    router.include_router(bodies)
    embeddings = APIRouter(route_class=EmbeddingRoute)
    _add_embeddings(embeddings, service, pools.comparing)
    router.include_router(embeddings)
    several = APIRouter(route_class=upload_route(pools.uploads, _MOST_IMAGES))
    _add_image_queries(several, service, encoder, pools)
    router.include_router(several)
    uploads = APIRouter(route_class=upload_route(pools.uploads))
    _add_images(uploads, service, encoder, pools)
    _add_new_films(uploads, service, pools, read_only=read_only)
    router.include_router(uploads)
    return router


def _add_server(router: APIRouter, service: FilmService, pool: WorkerPool, *, read_only: bool) -> None:
    @router.get("/api/server", summary="What this server does and takes")
    async def server() -> ServerFacts:
        """Return the version, the limits of images, and which requests are answered here."""
        return ServerFacts(
            version=version("keyart"),
            adds_films=not read_only,
            takes_text=(await pool.run(service.text)).available,
            grid=await pool.run(service.grid),
            max_bytes=MAX_UPLOAD_BYTES,
            max_pixels=MAX_POSTER_PIXELS,
        )


def _add_random_film(router: APIRouter, service: FilmService, pool: WorkerPool) -> None:
    @router.get("/api/films/random", summary="A random film with a poster")
    async def random_film() -> FilmFacts:
        """Choose another film every time."""
        return await pool.run(service.random_film)


def _add_films(router: APIRouter, service: FilmService, pools: Pools) -> None:
    pool = pools.querying

    @router.get("/api/films", summary="Films by title")
    async def films(
        query: Annotated[
            Cleaned,
            Query(
                min_length=1,
                max_length=200,
                description="A title or its beginning, also misspelled; initials, a year, or an id.",
                examples=["heat"],
            ),
        ],
        k: Annotated[int, Query(ge=1, le=50, description="How many films.")] = 8,
    ) -> list[Suggestion]:
        """List the films that a text may mean, best first; of a year, its best-known films."""
        return await pool.run(service.suggestions, query, k)

    @router.get("/api/genres", summary="All genres")
    async def genres() -> list[str]:
        """List the genres of all films in alphabetical order, as `genre` takes them."""
        return await pool.run(service.genres)

    @router.get("/api/genres/{name}", summary="One genre")
    async def genre(
        name: Annotated[OneLine, Path(max_length=200, description="In any case.", examples=["Drama"])],
    ) -> GenreFacts:
        """Return how many films are of a genre, whatever its case."""
        return await pool.run(service.genre, name)

    @router.get("/api/encoders", summary="The encoders by which posters can be compared")
    async def encoders() -> list[EncoderFacts]:
        """List the networks whose features the workspace has, the default first, as `encoder` takes them."""
        return await pool.run(service.encoders)

    @router.get("/api/films/{movie_id}", summary="One film")
    async def film(movie_id: FilmPath) -> FilmFacts:
        """Return what the catalog knows of a film, and whether it has a poster here."""
        return await pool.run(service.film, movie_id)

    @router.get("/api/films/{movie_id}/similar", summary="Films that look like a film and are liked like it")
    async def similar(
        request: Request, movie_id: FilmPath, query: Annotated[FilmQuery, Query()], response: Response
    ) -> SimilarPage:
        """Rank films by looks, ratings and content together; `Link` leads to the next page."""
        page = await pools.of_film(_checked(query)).run(service.similar, movie_id, query)
        response.headers.update(named(page.query, "json") | _next_page(request, query, page))
        return page

    @router.get("/api/films/{movie_id}/embedding", summary="The embedding of a film's poster")
    async def film_embedding(movie_id: FilmPath, encoder: EncoderName = None) -> EmbeddingFacts:
        """Return the features that the poster is compared by; POST /api/similar/embedding takes them."""
        return await pool.run(service.film_embedding, movie_id, encoder)

    @router.get("/api/text", summary="Whether posters can be described in words")
    async def text() -> TextFacts:
        """Return whether `text` and `unlike_text` are taken: an encoder has to know words."""
        return await pool.run(service.text)

    @router.get("/api/similar", summary="Films that look like films and descriptions, and not like others")
    async def similar_to_mix(request: Request, query: Annotated[MixQuery, Query()], response: Response) -> SimilarPage:
        """Rank films by how much they look like all that is sought for; `why` says which part each is nearest to."""
        page = await pools.comparing.run(service.similar_to_mix, _checked(query))
        response.headers.update(named(page.query, "json") | _next_page(request, query, page))
        return page


def _add_several_films(router: APIRouter, service: FilmService, pools: Pools) -> None:
    @router.post("/api/films/similar", summary="Films that look like each of several films")
    async def similar_to_each(query: FilmsQuery) -> FilmAnswers:
        """Answer for up to 200 films at once; a film that cannot be answered gets a problem in place of a page."""
        pool = pools.of_film(_checked(query))
        try:
            async with asyncio.timeout(_SEVERAL_FILMS_TIMEOUT_S):
                # One call for each, so that other requests are answered in between.
                answers = [await pool.run(service.similar_or_problem, film, query) for film in query.films]
        except TimeoutError as error:
            raise HTTPException(504, "expected fewer films at once: they took too long") from error
        return FilmAnswers(answers=answers)


def _add_files(router: APIRouter, service: FilmService, pools: Pools) -> None:
    @router.get("/api/films/{movie_id}/similar.csv", summary="Look-alikes as CSV", **_CSV_FILE)
    async def similar_csv(movie_id: FilmPath, query: Annotated[FilmQuery, Query()]) -> Response:
        """Return the same films as /api/films/{movie_id}/similar, one a line."""
        page = await pools.of_film(_checked(query)).run(service.similar, movie_id, query)
        return _csv_file(page)

    @router.get("/api/similar.csv", summary="Look-alikes of films and descriptions as CSV", **_CSV_FILE)
    async def mix_csv(query: Annotated[MixQuery, Query()]) -> Response:
        """Return the same films as /api/similar, one a line."""
        page = await pools.comparing.run(service.similar_to_mix, _checked(query))
        return _csv_file(page)

    @router.get("/api/films/{movie_id}/sheet.jpg", summary="Look-alikes as a contact sheet", **JPEG_FILE)
    async def sheet(movie_id: FilmPath, query: Annotated[FilmQuery, Query()]) -> Response:
        """Draw the posters of the same films as /api/films/{movie_id}/similar, with their titles and scores."""
        return _sheet_file(await pools.drawing.run(service.contact_sheet, movie_id, _checked(query)))

    @router.get("/api/sheet.jpg", summary="Look-alikes of films and descriptions as a contact sheet", **JPEG_FILE)
    async def mix_sheet(query: Annotated[MixQuery, Query()]) -> Response:
        """Draw the posters of the same films as /api/similar, with their titles and scores."""
        return _sheet_file(await pools.drawing.run(service.contact_sheet_of_mix, _checked(query)))


def _add_regions(router: APIRouter, service: FilmService, pools: Pools) -> None:
    # First, as the other path would match its names.
    @router.get("/api/films/{movie_id}/why/{other_id}.jpg", summary="Where two posters look alike", **JPEG_FILE)
    async def heat_map(
        movie_id: FilmPath,
        other_id: FilmPath,
        encoder: EncoderName = None,
    ) -> Response:
        """Draw both posters with the regions that add to their similarity."""
        content = await pools.drawing.run(service.heat_map, movie_id, other_id, encoder)
        return Response(content, media_type="image/jpeg")

    @router.get("/api/films/{movie_id}/why/{other_id}", summary="Which regions of two posters look alike")
    async def regions(movie_id: FilmPath, other_id: FilmPath, encoder: EncoderName = None) -> RegionsFacts:
        """Return what each region of two posters, and each pair of regions, adds to their similarity."""
        return await pools.comparing.run(service.regions, movie_id, other_id, encoder)


def _add_posters(router: APIRouter, service: FilmService, pool: WorkerPool) -> None:
    @router.get(
        "/posters/{film}",
        summary="A film's poster",
        response_class=Response,
        responses={200: {"content": _JPEG}},
    )
    async def poster(request: Request, film: FilmPath, width: Width = 320) -> Response:
        """Draw the poster at one of three widths, as a JPEG file."""
        movie_id = film if isinstance(film, int) else (await pool.run(service.film, film)).movie_id
        with suppress(MissingPosterError):
            return await answer(request, movie_id, width)
        # It may have been replaced since the posters were listed.
        await pool.run(service.thumbnails.refresh)
        try:
            return await answer(request, movie_id, width)
        except MissingPosterError as error:
            _log.warning("%s", error)
            detail = f"the poster of film {movie_id} is missing; import or fetch it again"
            raise HTTPException(404, detail) from error

    async def answer(request: Request, movie_id: int, width: int) -> Response:
        with service.thumbnails.use() as thumbnails:
            if movie_id not in thumbnails:
                raise HTTPException(404, f"film {movie_id} has no poster here")
            headers = {"ETag": thumbnails.etag(movie_id, width), "Cache-Control": "private, max-age=86400"}
            if is_unchanged(request, headers["ETag"]):
                return Response(status_code=304, headers=headers)
            content = await pool.run(thumbnails.jpeg, movie_id, width)
        return Response(content, media_type="image/jpeg", headers=headers)


def _add_embeddings(router: APIRouter, service: FilmService, pool: WorkerPool) -> None:
    @router.post("/api/similar/embedding", summary="Films that look like an image whose embedding is given")
    async def similar_to_embedding(query: EmbeddingQuery) -> SimilarPage:
        """Rank films as POST /api/similar does for an image, without computing its features again."""
        return await pool.run(service.similar_to_embedding, query)


def _add_image_queries(router: APIRouter, service: FilmService, images: ImageEncoder, pools: Pools) -> None:
    async def compared(request: Request, query: ImageMixQuery) -> Images:
        """Read and embed the images of a query, by the encoder that it is compared by."""
        encoder = await pools.querying.run(service.encoder_of, _checked(query))
        files = files_of(request) or [FormFile(_LIKED, "", await pools.uploads.read(request))]
        if all(file.field == _AVOIDED for file in files) and not (query.like or query.text):
            raise HTTPException(422, f"expected something that is sought for: {_LIKED}, like or text")
        embedded = await asyncio.gather(*(images.encode_by(encoder, file.content) for file in files))
        sides: dict[bool, list[Image]] = {False: [], True: []}
        for file, image in zip(files, embedded, strict=True):
            sides[file.field == _AVOIDED].append(image)
        return Images(sides[False], sides[True])

    @router.post(
        "/api/similar",
        summary="Films that look like images, alone or with films and descriptions",
        openapi_extra=_IMAGES_BODY,
    )
    async def similar_to_image(
        request: Request, query: Annotated[ImageMixQuery, Query()], response: Response
    ) -> SimilarPage:
        """Rank films by how much they look like all that is sought for; no image is stored."""
        page = await pools.comparing.run(service.similar_to_images, await compared(request, query), query)
        response.headers.update(named(page.query, "json"))
        return page

    @router.post("/api/similar.csv", summary="Look-alikes of images as CSV", openapi_extra=_IMAGES_BODY, **_CSV_FILE)
    async def image_csv(request: Request, query: Annotated[ImageMixQuery, Query()]) -> Response:
        """Return the same films as POST /api/similar, one a line."""
        images = await compared(request, query)
        return _csv_file(await pools.comparing.run(service.similar_to_images, images, query))

    @router.post(
        "/api/sheet.jpg", summary="Look-alikes of images as a contact sheet", openapi_extra=_IMAGES_BODY, **JPEG_FILE
    )
    async def image_sheet(request: Request, query: Annotated[ImageMixQuery, Query()]) -> Response:
        """Draw the posters of the same films as POST /api/similar beside the images."""
        images = await compared(request, query)
        return _sheet_file(await pools.drawing.run(service.contact_sheet_of_images, images, query))


def _add_images(router: APIRouter, service: FilmService, images: ImageEncoder, pools: Pools) -> None:
    @router.post("/api/embeddings", summary="The embedding of an image", openapi_extra=_IMAGE_BODY)
    async def embedding(request: Request, encoder: EncoderName = None) -> EmbeddingFacts:
        """Return the features that an image is compared by; POST /api/similar/embedding takes them."""
        image = await images.encode_by(encoder, await pools.uploads.read(request))
        return await pools.comparing.run(service.embedding, image, encoder)

    @router.post(
        "/api/why.jpg", summary="Where an image and a film's poster look alike", openapi_extra=_IMAGE_BODY, **JPEG_FILE
    )
    async def heat_map_of_image(request: Request, film: ComparedFilm, encoder: EncoderName = None) -> Response:
        """Draw the image and the poster with the regions that add to their similarity."""
        image = await images.encode_by(encoder, await pools.uploads.read(request))
        content = await pools.drawing.run(service.heat_map, image, film, encoder)
        return Response(content, media_type="image/jpeg")

    @router.post(
        "/api/why", summary="Which regions of an image and of a film's poster look alike", openapi_extra=_IMAGE_BODY
    )
    async def regions_of_image(request: Request, film: ComparedFilm, encoder: EncoderName = None) -> RegionsFacts:
        """Return what each region of the image and of the poster, and each pair, adds to their similarity."""
        image = await images.encode_by(encoder, await pools.uploads.read(request))
        return await pools.comparing.run(service.regions, image, film, encoder)

    @router.post("/api/cold-start", summary="Who would like a film that nobody has rated", openapi_extra=_IMAGE_BODY)
    async def cold_start(request: Request, query: Annotated[ColdStartQuery, Query()]) -> ColdStartFacts:
        """Predict the mean rating and the audience of a film with this poster, and find its look-alikes."""
        image = await images.encode(await pools.uploads.read(request))
        return await pools.comparing.run(service.cold_start, image, query)


def _add_new_films(router: APIRouter, service: FilmService, pools: Pools, *, read_only: bool) -> None:
    @router.post("/api/films", summary="Add a film with its poster", status_code=201, openapi_extra=_IMAGE_BODY)
    async def add_film(request: Request, facts: Annotated[NewFilmRecord, Query()], response: Response) -> AddedFilm:
        """Add a film to the catalog, with its poster and features; 200 if it is there with this poster already."""
        if read_only:
            raise HTTPException(403, "this server adds no films; start it without --read-only")
        content = await pools.uploads.read(request)
        try:
            added = await pools.writing.run(service.add, content, facts)
        except RefusedFilmError as error:
            raise HTTPException(422, str(error)) from error
        response.status_code = 201 if added.new else 200
        return added


def _add_removals(router: APIRouter, service: FilmService, pool: WorkerPool, *, read_only: bool) -> None:
    @router.delete("/api/films/{movie_id}", summary="Remove a film, with its poster and features")
    async def remove_film(movie_id: FilmPath) -> RemovedFilm:
        """Remove a film from the catalog, the posters and the index."""
        if read_only:
            raise HTTPException(403, "this server removes no films; start it without --read-only")
        return await pool.run(service.remove, movie_id)


def _checked(query: AnyFilmQuery) -> AnyFilmQuery:
    for name in ("alpha", "content"):
        share = getattr(query, name)
        if share != "auto" and not 0 <= share <= 1:
            raise HTTPException(422, f"{name} should be auto or a number from 0 to 1, received {share}")
    return query


def _next_page(request: Request, query: FilmQuery, page: SimilarPage) -> dict[str, str]:
    """Return the header that leads to the next page of the same results; none on the last one."""
    return next_link(request, query.offset + query.k) if page.more and not query.diverse else {}


def _csv_file(page: SimilarPage) -> Response:
    headers = named(page.query, "csv")
    return Response(_as_csv(page.results), media_type="text/csv; charset=utf-8", headers=headers)


def _sheet_file(sheet: Sheet) -> Response:
    return Response(sheet.content, media_type="image/jpeg", headers=named(sheet.query, "jpg"))


def _as_csv(results: list[Hit]) -> str:
    text = io.StringIO()
    write_csv(text, HIT_COLUMNS, (hit_cells(hit.model_dump()) for hit in results))
    return text.getvalue()
