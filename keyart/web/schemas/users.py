"""What the API accepts and returns about users: who they are, what they rated, what they should see."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from keyart.web.schemas.films import AS_DESCRIBED, FilmFacts, FilmRef

ModelName = Annotated[str, StringConstraints(pattern="^[a-z0-9-]{1,40}$")]


class UserSummary(BaseModel):
    """A user of the ratings."""

    user_id: int = Field(examples=[42])
    n_ratings: int = Field(examples=[440])
    mean_rating: float = Field(examples=[3.57], description="In stars.")


class RatedFilm(FilmFacts):
    """A film with the stars that a user gave it."""

    rating: float = Field(examples=[5.0])


class UserFacts(UserSummary):
    """A user with the films that they rated best."""

    best_rated: list[RatedFilm] = Field(description="Best first; ties by the number of ratings.")


class FittedModel(BaseModel):
    """A fitted recommender."""

    name: str = Field(examples=["ease"])
    summary: str = Field(examples=["linear autoencoder in closed form (EASE): from the films a user rated to others"])
    gives_stars: bool = Field(description="Whether its scores are stars; else a preference on a scale of its own.")
    takes_new_users: bool = Field(description="Whether POST /api/recommendations may name it.")
    default: bool = Field(description="Whether it is used where none is named.")


class RecommendationQuery(BaseModel):
    """How many films are wanted, and by which model."""

    model_config = ConfigDict(extra="forbid")

    model: ModelName | None = Field(None, description="A fitted model; by default ease, or another one that is fitted.")
    k: int = Field(30, ge=1, le=200, description="How many films.")
    fresh: float | None = Field(
        None, ge=0, le=1, allow_inf_nan=False,
        description="The share of films that nobody has rated yet, at least; 0 for none. By default they take the "
        "ranks that they earn.",
    )  # fmt: skip


class Rated(BaseModel):
    """A rating of a film."""

    model_config = AS_DESCRIBED

    movie_id: FilmRef = Field(examples=[6], description="Or an IMDb id, tt0113277, or a TMDB id, tmdb:949.")
    rating: float = Field(ge=0.5, le=5, allow_inf_nan=False, examples=[4.5], description="In stars.")


class RatingsQuery(RecommendationQuery):
    """The same for somebody who brings their own ratings; nothing of it is stored."""

    model_config = AS_DESCRIBED

    ratings: list[Rated] = Field(
        min_length=1, max_length=10_000, description="Of several ratings of one film the last counts.",
        examples=[[{"movie_id": 6, "rating": 4.5}, {"movie_id": 318, "rating": 5}]],
    )  # fmt: skip


class PersonalRow(BaseModel):
    """A row of a file of ratings that no film was matched to, or several, or that was passed over."""

    line: int = Field(examples=[7])
    title: str = Field(examples=["Heat (1995)"])
    status: str = Field(description="ambiguous, unknown, rated again, not rated, or not a film", examples=["unknown"])


class PersonalRatingsFacts(BaseModel):
    """One person's ratings, as a file has them, matched to the films of the catalog."""

    source: str = Field(description="Which service wrote the file.", examples=["Letterboxd"])
    summary: str = Field(examples=["Letterboxd, 212 films matched, 3 ambiguous, 25 unknown"])
    counts: dict[str, int] = Field(description="Rows by their status.", examples=[{"matched": 212, "unknown": 25}])
    ratings: list[RatedFilm] = Field(description="Films with their stars, in the order of the file.")
    others: list[PersonalRow] = Field(description="The rows that gave none of these ratings.")


class LikedFilm(BaseModel):
    """A film that somebody liked, which speaks for another."""

    movie_id: int = Field(examples=[1214])
    title: str = Field(examples=["Alien"])
    year: int | None = Field(examples=[1979])
    rating: float = Field(examples=[5.0], description="The stars that they gave it.")


class RecommendedFilm(BaseModel):
    """A film that a user should see."""

    rank: int = Field(examples=[1])
    movie_id: int = Field(examples=[1200])
    title: str = Field(examples=["Aliens"])
    year: int | None = Field(examples=[1986])
    imdb_id: str | None = Field(None, description="Zero-padded, without tt.", examples=["0090605"])
    tmdb_id: int | None = Field(None, examples=[679])
    score: float = Field(examples=[0.469], description="Stars, or a preference on the model's own scale.")
    mean_rating: float | None = Field(examples=[3.96])
    n_ratings: int = Field(examples=[126])
    new: bool = Field(description="Nobody had rated it: it is recommended for its poster, genres and year.")
    by: list[str] = Field(
        examples=[["taste"]],
        description="What it is recommended by, the most important first: taste; for a new film looks, genres and "
        "year, or people and words; everybody or expected mean where nothing is known of the user.",
    )  # fmt: skip
    because: list[LikedFilm] = Field(description="The one or two films that the user liked and that speak for it most.")
    why: str = Field(examples=["By taste, because you liked Alien (1979)."], description="Both as a sentence.")
    has_poster: bool


class Recommendations(BaseModel):
    """Films that a user should see, best first."""

    model: str = Field(examples=["ease"], description="Which model chose them.")
    gives_stars: bool = Field(description="Whether the scores are stars.")
    results: list[RecommendedFilm]
    notes: list[str] = Field(examples=[[]], description="What a reader should know.")
