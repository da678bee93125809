"""Shortlists, which the server does not keep: it describes and draws the films that a request names."""

from __future__ import annotations

from catalog.errors import UnknownFilmError
from catalog.text import plural
from keyart.render.contact_sheet import draw_film_sheet
from keyart.render.drawing import jpeg_of
from keyart.results import Query
from keyart.web.schemas.films import FilmFacts
from keyart.web.schemas.shortlists import ShortlistFacts
from keyart.web.services.films import FilmService


class ShortlistService:
    """Describes lists of films. Safe to use from several threads."""

    def __init__(self, films: FilmService) -> None:
        self._films = films

    def facts(self, names: list[int | str]) -> ShortlistFacts:
        """Describe the films of a list that the catalog has."""
        matches: dict[int, FilmFacts] = {}
        missing: list[int | str] = []
        for name in names:
            try:
                film = self._films.film(name)
                matches[film.movie_id] = film
            except UnknownFilmError:
                missing.append(name)
        return ShortlistFacts(films=list(matches.values()), missing=list(dict.fromkeys(missing)))

    def sheet(self, names: list[int | str]) -> bytes:
        """Draw the films of a list as a contact sheet, a JPEG file; UnknownFilmError where the catalog has none."""
        films = self.facts(names).films
        if not films:
            raise UnknownFilmError("the catalog has none of these films")
        return jpeg_of(draw_film_sheet(self._queries(films), plural(len(films), "film")))

    def _queries(self, films: list[FilmFacts]) -> list[Query]:
        with self._films.thumbnails.use() as thumbnails:
            return [
                Query(film.movie_id, film.title, film.year, thumbnails.path(film.movie_id), film.n_ratings)
                for film in films
            ]
