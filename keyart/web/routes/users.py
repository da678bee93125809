"""The routes about people: users of the ratings, and visitors who bring their own."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from catalog.errors import DataError
from catalog.ids import MAX_ID
from catalog.text import clean
from keyart.recommend.personal_files import parse_personal_file
from keyart.web.body_limits import MAX_RATINGS_FILE_BYTES, BoundedRoute, Uploads, upload_route
from keyart.web.errors import PROBLEMS
from keyart.web.paging import next_link
from keyart.web.schemas.films import FilmFacts
from keyart.web.schemas.users import (
    FittedModel,
    PersonalRatingsFacts,
    RatingsQuery,
    RecommendationQuery,
    Recommendations,
    UserFacts,
    UserSummary,
)
from keyart.web.services.users import UserService
from keyart.web.workers import WorkerPool

UserId = Annotated[int, Path(ge=1, le=MAX_ID, description="A user_id of the ratings.", examples=[42])]


_RATINGS_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file itself, at most 8 MiB, packed or not, or a form with it.",
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "array"}},
            "application/zip": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


def user_routes(service: UserService, pool: WorkerPool, conditional: type[APIRoute]) -> APIRouter:
    """Create the routes; include them before ``/api/films/{movie_id}``, which would match ``to-rate``."""
    router = APIRouter(responses=PROBLEMS, tags=["people"])
    _add_random_user(router, service, pool)
    questions = APIRouter(route_class=conditional)
    _add_users(questions, service, pool)
    _add_recommendations(questions, service, pool)
    router.include_router(questions)
    bodies = APIRouter(route_class=BoundedRoute)
    _add_recommendations_for_ratings(bodies, service, pool)
    router.include_router(bodies)
    uploads = Uploads(MAX_RATINGS_FILE_BYTES, "file", max_concurrent=8)
    files = APIRouter(route_class=upload_route(uploads))
    _add_ratings_files(files, service, pool, uploads)
    router.include_router(files)
    return router


def _add_random_user(router: APIRouter, service: UserService, pool: WorkerPool) -> None:
    @router.get("/api/users/random", summary="A random user")
    async def random_user() -> UserSummary:
        """Choose another user every time."""
        return await pool.run(service.random_user)


def _add_users(router: APIRouter, service: UserService, pool: WorkerPool) -> None:
    @router.get("/api/users", summary="Users by the first digits of their user_id")
    async def users(
        query: Annotated[
            str, Query(pattern="^[0-9]{1,10}$", description="The first digits of the user_id.", examples=["42"])
        ],
        k: Annotated[int, Query(ge=1, le=50, description="How many users.")] = 8,
    ) -> list[UserSummary]:
        """List users, that with exactly these digits first."""
        return await pool.run(service.users, query, k)

    @router.get("/api/users/{user_id}", summary="One user: how many films they rated, and which they liked best")
    async def user(user_id: UserId) -> UserFacts:
        """Describe a user of the ratings."""
        facts = await pool.run(service.user, user_id)
        if facts is None:
            raise HTTPException(404, f"user {user_id} has rated nothing here")
        return facts

    @router.get("/api/films/to-rate", summary="Films to ask a new user about")
    async def films_to_rate(
        request: Request,
        response: Response,
        k: Annotated[int, Query(ge=1, le=50, description="How many films.")] = 10,
        offset: Annotated[int, Query(ge=0, le=10_000, description="How many to skip.")] = 0,
        seed: Annotated[int, Query(ge=0, lt=2**31, description="Another seed selects other films.")] = 0,
    ) -> list[FilmFacts]:
        """List films with posters whose ratings reveal most about a new user's taste.

        They are those that many people know and about which they differ (the logarithm of the number of ratings times
        the entropy of the stars: Rashid et al., "Getting to know you", IUI 2002), each as different as possible from
        those before it, by genres and by the looks of posters. `Link` leads to the next page.
        """
        films = await pool.run(service.films_to_rate, k + 1, offset, seed)
        if len(films) > k:
            response.headers.update(next_link(request, offset + k))
        return films[:k]


def _add_recommendations(router: APIRouter, service: UserService, pool: WorkerPool) -> None:
    @router.get("/api/models", summary="The fitted recommenders")
    async def models() -> list[FittedModel]:
        """List the recommenders that `model` takes, the default first."""
        return await pool.run(service.models)

    @router.get("/api/users/{user_id}/recommendations", summary="Films that a user should see")
    async def recommendations(user_id: UserId, query: Annotated[RecommendationQuery, Query()]) -> Recommendations:
        """Recommend films that the user has not rated, and say why."""
        return await pool.run(service.for_user, user_id, query)


def _add_recommendations_for_ratings(router: APIRouter, service: UserService, pool: WorkerPool) -> None:
    @router.post("/api/recommendations", summary="Films that somebody should see, by their ratings")
    async def recommendations_for_ratings(query: RatingsQuery) -> Recommendations:
        """Recommend films to somebody who brings their ratings, which are not stored."""
        return await pool.run(service.for_ratings, query)


def _add_ratings_files(router: APIRouter, service: UserService, pool: WorkerPool, uploads: Uploads) -> None:
    @router.post("/api/ratings", summary="One person's ratings in a file, matched", openapi_extra=_RATINGS_BODY)
    async def ratings(
        request: Request,
        name: Annotated[str, Query(max_length=200, description="The file's name, for messages.")] = "",
    ) -> PersonalRatingsFacts:
        """Match ratings that Letterboxd, IMDb, Trakt or MovieLens exported to films of the catalog; stores nothing."""
        content = await uploads.read(request)
        # A form names its file.
        path = FilePath(FilePath(clean(name or getattr(request.state, "filename", ""))).name[:200] or "ratings")
        try:
            file = await pool.run(parse_personal_file, content, path)
        except DataError as error:
            raise HTTPException(422, str(error)) from error
        return await pool.run(service.match_ratings, file)
