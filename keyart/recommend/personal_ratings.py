"""Match one person's ratings to the films of a catalog, and count what was not used."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from catalog.film import Film
from catalog.film_ids import Imdb, Movie, Tmdb
from catalog.io.files import write_bytes
from catalog.io.tables import write_csv
from catalog.matching import FilmMatcher
from catalog.text import plural
from cf.ratings import RatingMatrix
from keyart.recommend.history import history_of
from keyart.recommend.personal_files import PersonalFile, PersonalRating, read_personal_file
from keyart.workspace.films import list_films
from keyart.workspace.layout import Workspace

REPORT_COLUMNS = ("line", "status", "title", "year", "ids", "stars", "movie_ids", "films")


class Status(StrEnum):
    """What became of a row."""

    MATCHED = "matched"
    AMBIGUOUS = "ambiguous"
    UNKNOWN = "unknown"
    REPLACED = "rated again"
    BLANK = "not rated"
    NO_FILM = "not a film"


@dataclass(frozen=True)
class MatchedRating:
    """A row, what became of it, and the films of the catalog that it may mean."""

    row: PersonalRating
    status: Status
    films: tuple[Film, ...] = ()


@dataclass(frozen=True)
class PersonalRatings:
    """One person's ratings of films of the catalog."""

    name: str
    source: str
    ratings: tuple[MatchedRating, ...]

    def stars(self) -> dict[int, float]:
        """Return the stars by movie_id."""
        return {
            one.films[0].movie_id: one.row.stars
            for one in self.ratings
            if one.status is Status.MATCHED and one.row.stars is not None
        }

    def history(self) -> RatingMatrix:
        """Return them as recommenders take them."""
        stars = self.stars()
        return history_of(list(stars), list(stars.values()))

    def counts(self) -> dict[str, int]:
        """Return how many rows came to what."""
        counts = Counter(str(one.status) for one in self.ratings)
        return {str(status): counts[str(status)] for status in Status}

    def summary(self) -> str:
        """Return the counts as a sentence, those of what was passed over only where there is something."""
        counts = self.counts()
        films = ", ".join(f"{counts[status]:,} {status}" for status in (Status.AMBIGUOUS, Status.UNKNOWN))
        text = f"{self.source}, {plural(counts[Status.MATCHED], 'film')} matched, {films}"
        if counts[Status.REPLACED]:
            text += f"; {counts[Status.REPLACED]:,} rated again later"
        if counts[Status.BLANK]:
            text += f"; {counts[Status.BLANK]:,} without a rating"
        if counts[Status.NO_FILM]:
            text += f"; {counts[Status.NO_FILM]:,} of series and other things than films"
        return text

    def write_report(self, path: Path) -> None:
        """Write what became of every row as CSV."""
        text = io.StringIO()
        rows = (dict(zip(REPORT_COLUMNS, _report_row(one), strict=True)) for one in self.ratings)
        write_csv(text, REPORT_COLUMNS, rows)
        write_bytes(path, text.getvalue().encode())


def read_personal_ratings(workspace: Workspace, path: Path) -> PersonalRatings:
    """Read a file of one person's ratings, and match it to the films of a workspace."""
    return match_ratings(read_personal_file(path), FilmMatcher(list_films(workspace)))


def match_ratings(file: PersonalFile, matcher: FilmMatcher) -> PersonalRatings:
    """Match ratings to films by id, else by title and year; of several ratings of a film, the latest counts."""
    matched = [_matched(row, matcher) for row in file.rows]
    return PersonalRatings(file.name, file.source, tuple(_only_latest(matched)))


def _matched(row: PersonalRating, matcher: FilmMatcher) -> MatchedRating:
    if not row.is_film:
        return MatchedRating(row, Status.NO_FILM)
    if row.stars is None:
        return MatchedRating(row, Status.BLANK)
    films = tuple(_films_of(row, matcher))
    status = Status.MATCHED if len(films) == 1 else Status.AMBIGUOUS if films else Status.UNKNOWN
    return MatchedRating(row, status, films)


def _films_of(row: PersonalRating, matcher: FilmMatcher) -> Sequence[Film]:
    titles = [(title, row.year) for title in (row.title, row.original_title)]
    films, _ = matcher.match(row.film_ids, titles)
    if len(films) > 1:
        # TMDB has one film where MovieLens sometimes has two.
        titled, _ = matcher.match((), titles)
        films = [film for film in films if film in titled] or films
    return films


def _only_latest(ratings: Sequence[MatchedRating]) -> Iterator[MatchedRating]:
    latest: dict[int, tuple[float, float, int]] = {}
    for position, one in enumerate(ratings):
        if one.status is Status.MATCHED:
            movie_id, time_s = one.films[0].movie_id, one.row.time_s
            # Of one time, the higher one counts, so that the order of rows decides only where there are no times.
            stars = one.row.stars or 0.0 if time_s > -math.inf else 0.0
            latest[movie_id] = max(latest.get(movie_id, (-math.inf, 0.0, -1)), (time_s, stars, position))
    for position, one in enumerate(ratings):
        is_earlier = one.status is Status.MATCHED and latest[one.films[0].movie_id][-1] != position
        yield replace(one, status=Status.REPLACED) if is_earlier else one


def _report_row(one: MatchedRating) -> tuple[object, ...]:
    row = one.row
    return (
        row.line,
        one.status,
        row.title,
        row.year or "",
        " ".join(_id_text(film_id) for film_id in row.film_ids),
        "" if row.stars is None else f"{row.stars:g}",
        " ".join(str(film.movie_id) for film in one.films),
        "; ".join(film.label for film in one.films),
    )


def _id_text(film_id: Movie | Imdb | Tmdb) -> str:
    if isinstance(film_id, Imdb):
        return f"tt{film_id.number}"
    return f"tmdb:{film_id.number}" if isinstance(film_id, Tmdb) else str(film_id.number)
