"""New films: described by options, a CSV file, or a folder of images named by their titles; validated when read."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalog.content_table import TERM_COLUMNS, split_terms, terms_in
from catalog.errors import ConfigError, DataError
from catalog.film import FilmTerm, Titled
from catalog.film_ids import parse_imdb_id
from catalog.genres import match_genres, split_genres
from catalog.ids import check_id
from catalog.io.tables import Row, read_rows
from catalog.text import clean, is_clean, visible
from catalog.titles import parse_title
from features.folder import pictures_in
from keyart.similarity.query import Image, ImageSource, as_image

_log = logging.getLogger(__name__)

FIRST_YEAR = 1870
"""The earliest plausible year of release."""

_YEARS_AHEAD = 5
# Posters are often named by a number; films are rarely titled by one.
_NUMBER = re.compile(r"(tt)?[0-9]{5,}")
# Columns that a table of new films may have beside the path of the poster.
_OPTIONAL = ("title", "year", "genres", "movie_id", "tmdb_id", "imdb_id", *TERM_COLUMNS)


@dataclass(frozen=True)
class NewFilm(Titled):
    """A film that has a poster and no ratings.

    Parameters
    ----------
    poster : Image, str, Path or bytes
        Its poster: an image, the path of its file, or its content.
    title : str, optional
        As a reader expects it, or with its year, as in ``"Heat (1995)"``.
    year : int, optional
        The year of release.
    genres : sequence of str, optional
        In any spelling that the catalog knows.
    alternative_titles : sequence of str, optional
        Other titles.
    movie_id : int, optional
        Its id once it is added; by default the next free one.
    tmdb_id : int, optional
        TMDB's id.
    imdb_id : str, optional
        With or without ``tt``.
    directors, cast, keywords : sequence of str, optional
        Who made it, who plays in it, and words of its plot. Where the catalog has such of rated films, they count in
        what is predicted; `similar` compares the film by them once it is added.
    """

    poster: ImageSource
    title: str = ""
    year: int | None = None
    genres: Sequence[str] = ()
    alternative_titles: Sequence[str] = ()
    movie_id: int | None = None
    tmdb_id: int | None = None
    imdb_id: str | None = None
    directors: Sequence[str] = ()
    cast: Sequence[str] = ()
    keywords: Sequence[str] = ()

    def __post_init__(self) -> None:
        # Frozen, so set once here: what follows may rely on one type each.
        object.__setattr__(self, "poster", as_image(self.poster))
        for name in ("genres", "alternative_titles", "directors", "cast", "keywords"):
            if isinstance(getattr(self, name), str):
                raise TypeError(f"{name} should be a sequence of str, received a str")
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def image(self) -> Image:
        """The poster, which remembers its pixels and embedding."""
        return as_image(self.poster)

    @property
    def label(self) -> str:
        """Title and year as people write them; the poster's file name where there is no title."""
        return super().label if self.title else visible(self.image.name)


class InvalidFieldError(ConfigError):
    """An invalid description of a film, and its field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def describe(
    poster: ImageSource,
    title: str = "",
    year: int | None = None,
    genres: str = "",
    *,
    known_genres: Sequence[str] = (),
    movie_id: int | None = None,
    tmdb_id: int | None = None,
    imdb_id: str = "",
) -> NewFilm:
    """Validate the description of a film, genres separated by |; ConfigError where a field is invalid."""
    parsed = parse_title(title)
    if not is_clean(title):
        _log.warning("the title %r has control or invisible characters, which are left out", title)
    if year is not None and parsed.year and year != parsed.year:
        raise InvalidFieldError(
            "title", f"{title!r} is of {parsed.year}, but {year} is given as the year; leave one of them out"
        )
    year = parsed.year if year is None else year
    _check_year(year)
    spelled = _spelled(split_genres(genres), known_genres)
    return NewFilm(poster, parsed.title, year, spelled, parsed.alternatives, movie_id, tmdb_id, _imdb_id(imdb_id))


def film_terms(film: NewFilm, movie_id: int) -> Iterator[FilmTerm]:
    """Yield a new film's directors, cast and keywords, as those of a film of the catalog."""
    for kind, texts in (("director", film.directors), ("cast", film.cast), ("keyword", film.keywords)):
        yield from (FilmTerm(movie_id, kind, term) for text in texts for term in split_terms(text))


def listed_films(films: object) -> list[NewFilm]:
    """Return a sequence of films as a list; TypeError where it is something else."""
    listed: list[Any] = list(films) if isinstance(films, Iterable) else [films]
    wrong = [films] if isinstance(films, NewFilm) else [film for film in listed if not isinstance(film, NewFilm)]
    if wrong:
        raise TypeError(
            "cold_start takes a sequence of NewFilm, as in cold_start([NewFilm('poster.jpg')]), received "
            f"{type(wrong[0]).__name__}"
        )
    return listed


def checked(film: NewFilm, known_genres: Sequence[str]) -> NewFilm:
    """Check a film's fields, split a year from its title, and bring its genres to the catalog's spelling."""
    parsed = parse_title(film.title)
    # A title that was split already may end in a year of its own, as Wonder Woman 1984 may be spelled.
    if parsed.year is None or film.year in (None, parsed.year):
        names = (*map(clean, film.alternative_titles), *parsed.alternatives)
        film = replace(film, title=parsed.title, year=film.year or parsed.year, alternative_titles=names)
    film = replace(film, title=clean(film.title))
    _check_year(film.year)
    return replace(
        film,
        genres=_spelled(tuple(film.genres), known_genres),
        movie_id=_number_of(film, "movie_id"),
        tmdb_id=_number_of(film, "tmdb_id"),
        imdb_id=_imdb_id(film.imdb_id or ""),
    )


def _number_of(film: NewFilm, field: str) -> int | None:
    number = getattr(film, field)
    try:
        return None if number is None else check_id(number, f"a {field}")
    except ConfigError as error:
        raise InvalidFieldError(field, str(error)) from None


def _imdb_id(text: str) -> str | None:
    try:
        return parse_imdb_id(text)
    except ValueError as error:
        raise InvalidFieldError("imdb_id", str(error)) from None


def _check_year(year: int | None) -> None:
    if year is not None and not FIRST_YEAR <= year <= last_year():
        raise InvalidFieldError("year", f"expected a year from {FIRST_YEAR} to {last_year()}, received {year}")


def _spelled(genres: tuple[str, ...], known_genres: Sequence[str]) -> tuple[str, ...]:
    try:
        return match_genres(genres, known_genres) if known_genres else genres
    except ConfigError as error:
        raise InvalidFieldError("genres", str(error)) from None


def last_year() -> int:
    """Return the last plausible year of release: films are announced years ahead."""
    return datetime.now(UTC).year + _YEARS_AHEAD


def read_new_films(source: Path, known_genres: Sequence[str], *, titled: bool) -> list[NewFilm]:
    """Read many new films: of a CSV file, or of a folder of images."""
    if source.is_dir():
        paths = [Path(str(image.source)) for image in pictures_in(source)]
        return [_of_file(path, known_genres, titled=titled) for path in paths]
    columns = ("path", "title") if titled else ("path",)
    films = [_of_row(row, known_genres, titled=titled) for row in read_rows(source, columns, _OPTIONAL)]
    if not films:
        raise DataError(f"{source} holds no line below its header; expected one for every film")
    return films


def _of_file(path: Path, known_genres: Sequence[str], *, titled: bool) -> NewFilm:
    advice = "name the image after its film, or list the films in a CSV file"
    if titled and _NUMBER.fullmatch(path.stem):
        raise ConfigError(f"{path}: expected a title, such as Heat (1995), received a number; {advice}")
    try:
        return describe(path, path.stem, known_genres=known_genres)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}; {advice}") from None


def _of_row(row: Row, known_genres: Sequence[str], *, titled: bool) -> NewFilm:
    if not row["path"]:
        raise row.error("path", "the path of a poster")
    if titled and not row["title"]:
        raise row.error("title", "a title")
    try:
        film = describe(
            row.path.parent / row["path"],
            row.values.get("title", ""),
            _number(row, "year"),
            row.values.get("genres", ""),
            known_genres=known_genres,
            movie_id=_number(row, "movie_id"),
            tmdb_id=_number(row, "tmdb_id"),
            imdb_id=row.values.get("imdb_id", ""),
        )
    except InvalidFieldError as error:
        raise DataError(f"{row.path}, line {row.line}, column {error.field}: {error}") from None
    directors, cast, keywords = (terms_in(row).get(kind, ()) for kind in ("director", "cast", "keyword"))
    return replace(film, directors=directors, cast=cast, keywords=keywords)


def _number(row: Row, column: str) -> int | None:
    return row.optional_integer(column, "a whole number above 0, or nothing") if column in row.values else None
