"""What the API accepts and returns about films."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from catalog.film import Film
from catalog.film_ids import Movie, parse_film_id
from catalog.filters import Filter
from catalog.ids import MAX_ID, is_id
from catalog.text import clean, is_clean
from index.region import Region

RENAMED = {"min_support": "min_ratings", "fold": "merge_duplicates"}
"""Parameters of version 0.1, and what they are called now; accepted until 0.3."""
RegionText = Annotated[str | None, AfterValidator(lambda text: text and str(Region.parse(text)))]
_ID_EXPECTED = "expected a movie_id such as 6, an IMDb id such as tt0113277, or a TMDB id such as tmdb:949"
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
# Networks read some 64 tokens, which are rarely more than 300 characters.
_NOT_BLANK = r"^ *[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"
_TITLE = "Its title, with or without the year."
_MAX_HITS = 4000
_MAX_K = 1000
# For JSON: without it, true is a number. Parameters in an address are text, which has to be converted.
AS_DESCRIBED = ConfigDict(strict=True, extra="forbid")


def _one_line(text: str) -> str:
    if not is_clean(text):
        raise ValueError("expected one line without control or invisible characters")
    return text


OneLine = Annotated[str, AfterValidator(_one_line)]
"""A text that a terminal or a page shows as it is."""
Cleaned = Annotated[str, AfterValidator(clean)]
"""A text that is only looked up or shown; what is pasted with invisible characters is no reason to refuse it."""
Words = Annotated[OneLine, Field(max_length=1000, pattern=_NOT_BLANK)]
Terms = Annotated[OneLine, Field(max_length=1000, pattern=_PRINTABLE)]


def _film_ref(value: object) -> int | str:
    """Return a movie_id as a number, and any other id as text that `Engine.find` reads."""
    film_id = parse_film_id(str(value))
    if isinstance(film_id, Movie):
        if not is_id(film_id.number):
            raise ValueError(_ID_EXPECTED)
        return film_id.number
    if film_id is None:
        raise ValueError(_ID_EXPECTED)
    return str(value)


_FILM_REF_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": MAX_ID},
        {"type": "string", "pattern": "^(tt|imdb:|tmdb:|movie:)?[0-9]{1,10}$"},
    ]
}
FilmRef = Annotated[int | str, BeforeValidator(_film_ref), WithJsonSchema(_FILM_REF_SCHEMA)]
"""An id of a film: a number is a movie_id, a text names another id."""


class FilmFacts(BaseModel):
    """A film of the catalog."""

    movie_id: int = Field(examples=[6])
    title: str = Field(examples=["Heat"])
    year: int | None = Field(examples=[1995])
    imdb_id: str | None = Field(None, description="Zero-padded, without tt.", examples=["0113277"])
    tmdb_id: int | None = Field(None, examples=[949])
    genres: list[str] = Field(examples=[["Action", "Crime"]])
    n_ratings: int = Field(examples=[102])
    mean_rating: float | None = Field(examples=[3.95])
    has_poster: bool

    @classmethod
    def of(cls, film: Film, has_poster: bool) -> FilmFacts:
        """Convert a film of the catalog."""
        names = ("movie_id", "title", "year", "imdb_id", "tmdb_id", "n_ratings", "mean_rating")
        facts = {name: getattr(film, name) for name in names}
        return cls(**facts, genres=list(film.genres), has_poster=has_poster)


class Suggestion(FilmFacts):
    """A film that a text may mean."""

    is_named: bool = Field(
        description="Whether the text names it, by words of its title, initials or an id; otherwise their spelling is "
        "somewhat alike."
    )


class QueryFacts(BaseModel):
    """The query: a film; an image, a description or several of these have no movie_id."""

    movie_id: int | None = Field(examples=[6])
    title: str = Field(examples=["Heat"])
    year: int | None = Field(examples=[1995])
    imdb_id: str | None = Field(None, description="Zero-padded, without tt.", examples=["0113277"])
    tmdb_id: int | None = Field(None, examples=[949])
    text: str | None = Field(None, description="Of a description: its words.", examples=["red moon"])
    like: list[QueryFacts] = Field([], description="Of a query of several films: those that are sought for.")
    unlike: list[QueryFacts] = Field([], description="Those whose looks are avoided.")


class Hit(BaseModel):
    """One look-alike; see `keyart.Hit`."""

    rank: int = Field(examples=[1])
    movie_id: int = Field(examples=[293])
    title: str = Field(examples=["Léon: The Professional"])
    year: int | None = Field(examples=[1994])
    imdb_id: str | None = Field(None, description="Zero-padded, without tt.", examples=["0110413"])
    tmdb_id: int | None = Field(None, examples=[101])
    score: float = Field(
        description="(1 - content_share) · (alpha · visual + (1 - alpha) · cf) + content_share · content.",
        examples=[0.512],
    )
    visual: float | None = Field(description="The cosine of the posters' features.", examples=[0.478])
    cf: float | None = Field(description="The similarity by ratings, on the same scale.", examples=[0.531])
    content: float | None = Field(
        None,
        description="The agreement of genres, tags, years, titles and people, on the same scale.",
        examples=[0.433],
    )
    alpha: float = Field(description="The visual share of what looks and ratings count.", examples=[0.36])
    content_share: float = Field(0.0, description="The share of content.", examples=[0.42])
    n_ratings: int = Field(description="How many users rated the film.", examples=[133])
    in_common: list[str] = Field(
        [], description="What it has in common with the film.", examples=[["Crime", "Thriller", "1990s"]]
    )
    same_artwork: list[int] = Field(description="Films with the same artwork, merged into this one.", examples=[[]])
    nearest_to: int | None = Field(None, description="Of several films asked about, the nearest one.", examples=[6])
    why: list[str] = Field(
        [],
        description="Why it was found, where several parts, a description, variety or a region were asked for.",
        examples=[[]],
    )
    has_poster: bool


class RegionsFacts(BaseModel):
    """Which regions of two posters look alike: see `keyart.Explanation`. Rows are from the top, regions row by row."""

    similarity: float = Field(description="The cosine of the posters' features.", examples=[0.478])
    grid: list[list[float]] = Field(
        description="What each region of the first poster adds to it, as rows.",
        examples=[[[0.31, 0.02], [0.14, 0.008]]],
    )
    second_grid: list[list[float]] = Field(
        description="What each region of the second poster adds to it.", examples=[[[0.3, 0.03], [0.1, 0.048]]]
    )
    pairs: list[list[float]] | None = Field(
        description="What each region of the first poster adds with each of the second; null where a region is "
        "compared with the same one only.",
        examples=[None],
    )


class EncoderFacts(BaseModel):
    """A network that sees posters, whose features the workspace has."""

    name: str = Field(examples=["vgg16"])
    default: bool = Field(description="Whether posters are compared by it where a request names none.")
    has_index: bool


class SimilarPage(BaseModel):
    """A page of look-alikes: what `keyart similar --json` prints, and whether there are more."""

    query: QueryFacts
    alpha: float | Literal["auto"] = Field(examples=["auto"])
    content: float | Literal["auto"] = Field(0.0, examples=["auto"])
    region: list[int] | None = Field(None, description="What was compared of the posters: x, y, width, height.")
    grid: list[int] | None = Field(None, description="The columns and rows of the grid that the region is of.")
    results: list[Hit]
    notes: list[str] = Field(description="What a reader should know.", examples=[[]])
    sides: list[Literal["visual", "cf", "content"]] = Field(
        description="By what films could be compared with the query; without visual or cf, alpha has no effect.",
        examples=[["visual", "cf", "content"]],
    )
    more: bool = Field(description="Whether a larger offset gives more.")


class ImageQuery(BaseModel):
    """How many look-alikes of an image are wanted, and which."""

    model_config = ConfigDict(extra="forbid")

    offset: int = Field(0, ge=0, le=10_000, description="How many to skip.")
    k: int = Field(30, ge=1, le=_MAX_K, description="How many films.")
    first_year: int | None = Field(None, ge=1000, le=9999, description="Only films from this year.")
    last_year: int | None = Field(None, ge=1000, le=9999, description="Only films up to this year.")
    genre: list[OneLine] = Field([], max_length=30, description="Only films of this genre; may be repeated.")
    min_ratings: int = Field(0, ge=0, le=2**31, description="Only films with at least so many ratings.")
    merge_duplicates: bool = Field(False, description="Show films with the same artwork once.")
    diverse: float = Field(
        0.0, ge=0, le=1, allow_inf_nan=False, description="The weight of variety; the results are then one page."
    )

    region: RegionText = Field(
        None,
        description="One region of the posters in place of the whole: x,y,width,height in cells of the grid.",
        examples=["0,0,7,3"],
    )

    encoder: OneLine | None = Field(
        None,
        max_length=200,
        description="By which encoder of the workspace posters are compared; A+B for the mean of two.",
        examples=["vgg16"],
    )

    @model_validator(mode="after")
    def _check_pages(self) -> Self:
        # The films that variety is chosen from depend on how many are wanted, so pages would not fit together.
        if self.diverse and self.offset:
            raise ValueError("diverse results are one page: leave offset out, and ask for more with k")
        return self

    @model_validator(mode="before")
    @classmethod
    def _accept_old_names(cls, values: Any) -> Any:
        return (
            {RENAMED.get(name, name): value for name, value in values.items()} if isinstance(values, dict) else values
        )

    def filter(self) -> Filter:
        """Return which films are wanted."""
        return Filter((self.first_year, self.last_year), tuple(self.genre), self.min_ratings)


class FilmQuery(ImageQuery):
    """The same for a film, with the shares of looks and of content."""

    alpha: float | Literal["auto"] = Field("auto", description="The visual share, 0 to 1, or auto.")
    content: float | Literal["auto"] = Field(
        "auto",
        description="The share of genres, tags, years, titles and people, 0 to 1, or auto: more of it where ratings "
        "are few. Beside an alpha that is not auto, auto is 0.",
    )

    @model_validator(mode="after")
    def _check_region(self) -> Self:
        if self.region and self.alpha not in ("auto", 1.0):
            raise ValueError("a region is compared by looks alone: leave alpha out")
        if self.region and self.content not in ("auto", 0.0):
            raise ValueError("a region is compared by looks alone: leave content out")
        return self


class ImageMixQuery(FilmQuery):
    """The same for an image, alone or with films and descriptions."""

    like: list[FilmRef] = Field([], max_length=20, description="A film that is sought for; may be repeated.")
    unlike: list[FilmRef] = Field([], max_length=20, description="A film whose looks are avoided; may be repeated.")
    text: list[Words] = Field(
        [], max_length=20, description="A description that is sought for; may be repeated.", examples=[["red moon"]]
    )
    unlike_text: list[Words] = Field(
        [], max_length=20, description="A description of looks that are avoided; may be repeated.", examples=[[]]
    )


class MixQuery(ImageMixQuery):
    """The same without an image: at least one film or description is sought for."""

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        if not (self.like or self.text):
            raise ValueError("name a film that is sought for as like, or a description as text")
        return self


class EmbeddingFacts(BaseModel):
    """The embedding of an image, or of a film's poster: the features that posters are compared by."""

    encoder: str = Field(description="By which it was computed; A+B for two.", examples=["vgg16"])
    n_features: int = Field(examples=[25088])
    embedding: list[float] = Field(examples=[[0.0, 1.25, 0.5]])


class EmbeddingQuery(ImageQuery):
    """The same for an embedding."""

    model_config = AS_DESCRIBED

    embedding: list[Annotated[float, Field(ge=-1e30, le=1e30)]] = Field(
        min_length=1,
        max_length=200_000,
        description="As POST /api/embeddings returns it for the same encoder.",
        examples=[[0.0, 1.25, 0.5]],
    )


class FilmsQuery(FilmQuery):
    """The same for each of several films."""

    model_config = AS_DESCRIBED

    films: list[FilmRef] = Field(
        min_length=1, max_length=200, description="Films, by any of their ids.", examples=[[6, "tt0137523"]]
    )

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        if (n_hits := len(self.films) * self.k) > _MAX_HITS:
            raise ValueError(f"expected at most {_MAX_HITS:,} results (films times k), received {n_hits:,}")
        return self


class TextFacts(BaseModel):
    """Whether posters can be described in words."""

    available: bool = Field(description="Whether `text` is taken: the encoder has to take words.")


class GenreFacts(BaseModel):
    """A genre."""

    name: str = Field(examples=["Film-Noir"])
    n_films: int = Field(description="How many films of the catalog are of it.", examples=[87])


class ServerFacts(BaseModel):
    """What a server does and takes."""

    version: str = Field(examples=["0.2.0"])
    adds_films: bool = Field(description="Whether films may be added and removed; not with --read-only.")
    takes_text: bool = Field(description="Whether posters can be described in words.")
    grid: list[int] | None = Field(
        description="The columns and rows of the regions of posters; null where regions are not compared.",
        examples=[[7, 7]],
    )
    max_bytes: int = Field(description="Of an image.", examples=[10485760])
    max_pixels: int = Field(description="Of an image.", examples=[25000000])


class NewFilmFacts(BaseModel):
    """What is known of a film that the catalog does not have."""

    model_config = ConfigDict(extra="forbid")

    title: OneLine = Field("", max_length=300, pattern=_PRINTABLE, description=_TITLE, examples=["Heat (1995)"])
    year: int | None = Field(None, description="The year of release.", examples=[1995])
    genre: list[OneLine] = Field([], max_length=30, description="A genre of the catalog; may be repeated.")
    director: list[Terms] = Field([], max_length=30, description="A director; may be repeated, or separated by |.")
    cast: list[Terms] = Field([], max_length=30, description="An actor; may be repeated, or separated by |.")
    keyword: list[Terms] = Field(
        [], max_length=30, description="A word of the plot; may be repeated, or separated by |."
    )


class ColdStartQuery(NewFilmFacts):
    """The same, with the size of the answer."""

    k: int = Field(10, ge=1, le=200, description="How many look-alikes.")
    n_users: int = Field(100, ge=0, le=10_000, description="The size of its audience at most.")


class NewFilmRecord(NewFilmFacts):
    """A film to be added."""

    title: OneLine = Field(
        min_length=1, max_length=300, pattern=_PRINTABLE, description=_TITLE, examples=["Heat (1995)"]
    )
    tmdb_id: int | None = Field(None, ge=1, le=MAX_ID, description="TMDB's id of the film.", examples=[949])
    imdb_id: OneLine = Field("", max_length=20, description="IMDb's id of the film.", examples=["tt0113277"])


class ExpectedRating(BaseModel):
    """The mean rating that a film is expected to get, in stars."""

    mean: float = Field(examples=[3.61])
    low: float = Field(description="With 95 % probability it is not below this.", examples=[2.62])
    high: float = Field(description="With 95 % probability it is not above this.", examples=[4.49])


class FanFacts(BaseModel):
    """A user who is likely to like a film."""

    user_id: int = Field(examples=[318])
    score: float = Field(
        description="By how many standard deviations they prefer it to their average film.", examples=[1.42]
    )


class ColdStartFacts(BaseModel):
    """What is predicted of a film that nobody has rated."""

    title: str
    year: int | None = Field(examples=[1995])
    expected: ExpectedRating | None = Field(description="Null where there are no ratings to learn from.")
    audience: list[FanFacts] = Field(description="Best first; nobody who would like it less than their average film.")
    look_alikes: list[Hit]
    notes: list[str] = Field(examples=[[]])


class AddedFilm(BaseModel):
    """A film that was added."""

    film: FilmFacts
    new: bool = Field(description="False where it had been added before with this poster.")
    notes: list[str] = Field(examples=[[]])


class RemovedFilm(BaseModel):
    """A film that was removed."""

    film: FilmFacts
    notes: list[str] = Field(examples=[[]])


class ServerState(BaseModel):
    """The state of the server."""

    status: Literal["ok"]


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["no film has the movie_id 99"])


class FilmAnswer(BaseModel):
    """The look-alikes of one film among several, or why there are none."""

    film: int | str = Field(description="The film as it was named.", examples=[6])
    similar: SimilarPage | None = Field(description="Null where there is a problem.")
    problem: Problem | None = Field(description="What is wrong with this film, such as that nobody knows it.")


class FilmAnswers(BaseModel):
    """The look-alikes of each of several films."""

    answers: list[FilmAnswer] = Field(description="One per film, in the order of the request.")
