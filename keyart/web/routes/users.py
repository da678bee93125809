"""The addresses of the API that are about people: users of the ratings, and somebody who brings their own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.exceptions import HTTPException

from keyart.web.body_limits import BoundedRoute
from keyart.web.errors import PROBLEMS
from keyart.web.schemas import FilmFacts
from keyart.web.user_schemas import (
    FittedModel,
    RatingsQuestion,
    Recommendations,
    UserFacts,
    UserListed,
    UserQuestion,
)
from keyart.web.user_service import Tastes
from keyart.web.workers import Line

UserId = Annotated[int, Path(ge=1, lt=2**31, description="A user's number in the ratings.", examples=[42])]


def people(tastes: Tastes, line: Line) -> APIRouter:
    """Make the routes."""
    router = APIRouter(route_class=BoundedRoute, responses=PROBLEMS)
    _add_users(router, tastes, line)
    _add_recommendations(router, tastes, line)
    return router


def _add_users(router: APIRouter, tastes: Tastes, line: Line) -> None:
    @router.get("/api/users", summary="Users whose number begins so")
    async def users(
        query: Annotated[str, Query(pattern="^[0-9]{1,10}$", examples=["42"])],
        k: Annotated[int, Query(ge=1, le=50)] = 8,
    ) -> list[UserListed]:
        return await line.run(tastes.users, query, k)

    @router.get("/api/users/random", summary="Any user")
    async def random_user() -> UserListed:
        return await line.run(tastes.random_user)

    @router.get("/api/users/{user_id}", summary="One user: how much they rated, and what they liked best")
    async def user(user_id: UserId) -> UserFacts:
        found = await line.run(tastes.user, user_id)
        if found is None:
            raise HTTPException(404, f"user {user_id} has rated nothing here")
        return found

    @router.get("/api/films/to-rate", summary="Films to ask a newcomer about")
    async def films_to_rate(
        k: Annotated[int, Query(ge=1, le=50)] = 10,
        offset: Annotated[int, Query(ge=0, le=10_000, description="How many to pass over.")] = 0,
        seed: Annotated[int, Query(ge=0, lt=2**31, description="Another seed asks about other films.")] = 0,
    ) -> list[FilmFacts]:
        """List films with posters that are worth asking somebody new about.

        They are those that many people know and about which they differ (the logarithm of the number of ratings times
        the entropy of the stars: Rashid et al., "Getting to know you", IUI 2002), each as unlike those before it as may
        be, by genres and by the looks of posters.
        """
        return await line.run(tastes.films_to_rate, k, offset, seed)


def _add_recommendations(router: APIRouter, tastes: Tastes, line: Line) -> None:
    @router.get("/api/models", summary="The recommenders that were fitted")
    async def models() -> list[FittedModel]:
        return await line.run(tastes.models)

    @router.get("/api/users/{user_id}/recommendations", summary="Films that a user should see")
    async def recommendations(user_id: UserId, question: Annotated[UserQuestion, Query()]) -> Recommendations:
        return await line.run(tastes.for_user, user_id, question)

    @router.post("/api/recommendations", summary="Films that somebody should see, by what they have rated")
    async def recommendations_for_ratings(question: RatingsQuestion) -> Recommendations:
        return await line.run(tastes.for_ratings, question)
