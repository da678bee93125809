"""What the API takes and gives; FastAPI writes its OpenAPI description from these."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from catalog.film import Film
from catalog.filters import Filter

_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"


class FilmFacts(BaseModel):
    """What is told of a film."""

    movie_id: int = Field(examples=[6])
    title: str = Field(examples=["Heat"])
    year: int | None = Field(examples=[1995])
    genres: list[str] = Field(examples=[["Action", "Crime"]])
    n_ratings: int = Field(examples=[102])
    mean_rating: float | None = Field(examples=[3.95])
    has_poster: bool

    @classmethod
    def of(cls, film: Film, has_poster: bool) -> FilmFacts:
        """Tell of a film."""
        names = ("movie_id", "title", "year", "n_ratings", "mean_rating")
        facts = {name: getattr(film, name) for name in names}
        return cls(**facts, genres=list(film.genres), has_poster=has_poster)


class Asked(BaseModel):
    """What was asked about: a film, or a picture, which has neither number nor title."""

    movie_id: int | None = Field(examples=[6])
    title: str = Field(examples=["Heat"])
    year: int | None = Field(examples=[1995])


class Hit(BaseModel):
    """One look-alike; see `keyart.results.Hit`."""

    rank: int = Field(examples=[1])
    movie_id: int = Field(examples=[293])
    title: str = Field(examples=["Léon: The Professional"])
    year: int | None = Field(examples=[1994])
    score: float = Field(description="alpha · visual + (1 - alpha) · cf.", examples=[0.512])
    visual: float | None = Field(description="How alike the posters look, a cosine.", examples=[0.478])
    cf: float | None = Field(description="How alike they are liked, on the same scale.", examples=[0.531])
    alpha: float = Field(description="The visual share.", examples=[0.36])
    n_ratings: int = Field(description="How many users rated the film.", examples=[133])
    same_artwork: list[int] = Field(description="Films with the same artwork, folded into this one.", examples=[[]])
    has_poster: bool


class Found(BaseModel):
    """A page of look-alikes: what `keyart similar --json` prints, and whether there are more."""

    query: Asked
    alpha: float | Literal["auto"] = Field(examples=["auto"])
    results: list[Hit]
    notes: list[str] = Field(description="What a reader should know.", examples=[[]])
    more: bool = Field(description="Whether a larger offset gives more.")


class PictureQuestion(BaseModel):
    """How many look-alikes of a picture are wanted, and which."""

    model_config = ConfigDict(extra="forbid")

    offset: int = Field(0, ge=0, le=10_000, description="How many to pass over.")
    k: int = Field(30, ge=1, le=200, description="How many films.")
    first_year: int | None = Field(None, ge=1000, le=9999)
    last_year: int | None = Field(None, ge=1000, le=9999)
    genre: list[str] = Field([], max_length=30, description="Only films of this genre; may be repeated.")
    min_support: int = Field(0, ge=0, le=2**31, description="Only films that so many users rated.")
    fold: bool = Field(False, description="Show films with the same artwork once.")

    def wanted(self) -> Filter:
        """Write the choice of films as a filter."""
        return Filter((self.first_year, self.last_year), tuple(self.genre), self.min_support)


class Question(PictureQuestion):
    """The same of a film, with the visual share."""

    alpha: float | Literal["auto"] = Field("auto", description="The visual share, 0 to 1, or auto.")


class NewFilmFacts(BaseModel):
    """What is said of a film that the catalog does not have."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field("", max_length=300, pattern=_PRINTABLE, examples=["Heat (1995)"])
    year: int | None = Field(None, description="The year of release.", examples=[1995])
    genre: list[str] = Field([], max_length=30, description="A genre of the catalog; may be repeated.")


class ColdQuestion(NewFilmFacts):
    """The same, and how much is to be told."""

    k: int = Field(10, ge=1, le=200, description="How many look-alikes.")
    n_users: int = Field(100, ge=0, le=10_000, description="How many of its audience.")


class AddedFilmFacts(NewFilmFacts):
    """What is said of a film that is to be added."""

    title: str = Field(min_length=1, max_length=300, pattern=_PRINTABLE, examples=["Heat (1995)"])
    tmdb_id: int | None = Field(None, ge=1, lt=2**31, description="TMDB's number of the film.", examples=[949])
    imdb_id: str = Field("", max_length=20, description="IMDb's id of the film.", examples=["tt0113277"])


class ExpectedRating(BaseModel):
    """The mean rating that a film is expected to get, in stars."""

    mean: float = Field(examples=[3.61])
    low: float = Field(description="With 95 % probability it is not below this.", examples=[2.62])
    high: float = Field(description="With 95 % probability it is not above this.", examples=[4.49])


class FanFacts(BaseModel):
    """Somebody who would like a film."""

    user_id: int = Field(examples=[318])
    score: float = Field(
        description="By how many standard deviations they prefer it to their average film.", examples=[1.42]
    )


class ColdAnswer(BaseModel):
    """What can be told of a film that nobody has rated."""

    title: str
    year: int | None = Field(examples=[1995])
    expected: ExpectedRating | None = Field(description="Null where there are no ratings to learn from.")
    audience: list[FanFacts] = Field(description="Keenest first; nobody to whom it is below their average.")
    look_alikes: list[Hit]
    notes: list[str] = Field(examples=[[]])


class Added(BaseModel):
    """What became of a film that was to be added."""

    film: FilmFacts
    new: bool = Field(description="Whether it was not there before, with this very poster.")
    notes: list[str] = Field(examples=[[]])


class ServerState(BaseModel):
    """How the server is."""

    status: Literal["ok"]


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["no film has the movie_id 99"])
