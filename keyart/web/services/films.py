"""An open engine behind the routes: plain calls, made in threads, that know nothing of HTTP."""

from __future__ import annotations

import io
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image as Picture

from catalog.errors import ConfigError, DataError, UnknownFilmError
from catalog.film import Film
from keyart.cold_start.new_film import NewFilm, describe
from keyart.engine import Engine
from keyart.pipeline.additions import add
from keyart.render.contact_sheet import draw_sheet
from keyart.render.heat_map import draw_heat_sheet
from keyart.results import Alpha, SimilarFilms
from keyart.similarity.query import Image, ImageSource
from keyart.web.schemas import (
    Added,
    AddedFilmFacts,
    ColdAnswer,
    ColdQuestion,
    FilmFacts,
    Found,
    NewFilmFacts,
    PictureQuestion,
    Question,
)
from keyart.web.thumbnails import Thumbnails
from keyart.workspace.layout import Workspace
from posters.validation import verify_image


class RefusedFilmError(DataError):
    """A film cannot be added as it was sent."""


class Service:
    """What the page and the API ask; make it with `open`. Safe to use from several threads."""

    def __init__(self, workspace: Workspace, engine: Engine, thumbnails: Thumbnails) -> None:
        self._workspace = workspace
        self._engine = engine
        self.thumbnails = thumbnails

    @classmethod
    def open(cls, home: Path) -> Service:
        """Open a workspace once, for all requests."""
        workspace = Workspace.open(home)
        return cls(workspace, Engine.open(home), Thumbnails.open(workspace.posters_dir))

    def suggestions(self, text: str, k: int) -> list[FilmFacts]:
        """List the films that a person who has typed so much may mean."""
        return [self._facts(film) for film in self._engine.catalog.suggest(text, k)]

    def film(self, movie_id: int) -> FilmFacts:
        """Tell of a film."""
        return self._facts(self._engine.find(movie_id))

    def random_film(self) -> FilmFacts:
        """Draw a film that has a poster, anew each time."""
        movie_id = self.thumbnails.drawn()
        if movie_id is None:
            raise UnknownFilmError("no film has a poster; run `keyart fetch` or `keyart import FOLDER`")
        return self.film(movie_id)

    def genres(self) -> list[str]:
        """List the genres of all films."""
        return list(self._engine.catalog.genres())

    def similar(self, movie_id: int, question: Question) -> Found:
        """Find look-alikes of a film."""
        return self._page(self._asked(movie_id, question, 1), question)

    def sheet(self, movie_id: int, question: Question) -> bytes:
        """Draw look-alikes of a film as a contact sheet."""
        found = self._asked(movie_id, question, 0)
        return _jpeg(draw_sheet(replace(found, hits=found.hits[question.offset :])))

    def heat(self, first: int, second: int) -> bytes:
        """Draw where two posters look alike."""
        return _jpeg(draw_heat_sheet(self._engine.explain(first, second)))

    def read(self, picture: bytes) -> Image:
        """Read a picture for the network."""
        verify_image(picture)
        return self._engine.load_image(picture)

    def look(self, pictures: list[Image]) -> list[Image]:
        """Put pictures through the network together."""
        if self._engine.has_index:
            self._engine.embed(pictures)
        return pictures

    def similar_to_picture(self, image: Image, question: PictureQuestion) -> Found:
        """Find the films whose posters look like a picture."""
        n = question.offset + question.k + 1
        found = self._engine.similar(image, n, filter=question.wanted(), fold_artwork=question.fold)
        return self._page(found, question)

    def cold_start(self, image: Image, question: ColdQuestion) -> ColdAnswer:
        """Tell of a film that nobody has rated."""
        film = self._described(image, question)
        (answer,) = self._engine.cold_start([film], question.k, question.n_users)
        told = answer.to_dict() | {"title": film.title, "notes": list(answer.notes)}
        told["look_alikes"] = self._pictured(told["look_alikes"])
        return ColdAnswer.model_validate(told, extra="ignore")

    def add(self, picture: bytes, told: AddedFilmFacts) -> Added:
        """Make a new film part of the workspace, and find it from then on."""
        try:
            suffix = verify_image(picture).suffix
        except DataError as error:
            raise RefusedFilmError(str(error)) from error
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"poster{suffix}"
            path.write_bytes(picture)
            film = self._described(path, told, told.tmdb_id, told.imdb_id)
            if not film.title:
                raise ConfigError("expected a title, such as Heat (1995)")
            network = self._engine.encoder if self._engine.has_index else None
            try:
                report = add(self._workspace, [film], open_network=network)
            except (DataError, ConfigError) as error:
                if str(self._workspace.home) in str(error):
                    raise
                # Where the picture lies for a moment is nobody's business.
                raise RefusedFilmError(str(error).replace(str(path), "this poster")) from error
        self._engine = self._engine.reopened()
        self.thumbnails = Thumbnails.open(self._workspace.posters_dir)
        (added,) = (*report.added, *report.known)
        return Added(film=self.film(added.movie_id), new=bool(report.added), notes=list(report.notes))

    def warm_up(self) -> None:
        """Load what the first picture would wait for."""
        self._engine.warm_up()

    def _asked(self, movie_id: int, question: Question, n_beyond: int) -> SimilarFilms:
        alpha: Alpha = question.alpha
        n = question.offset + question.k + n_beyond
        return self._engine.similar(movie_id, n, alpha, filter=question.wanted(), fold_artwork=question.fold)

    def _described(
        self, poster: ImageSource, told: NewFilmFacts, tmdb_id: int | None = None, imdb_id: str = ""
    ) -> NewFilm:
        known = self._engine.catalog.genres()
        genres = "|".join(told.genre)
        return describe(poster, told.title, told.year, genres, known_genres=known, tmdb_id=tmdb_id, imdb_id=imdb_id)

    def _page(self, found: SimilarFilms, question: PictureQuestion) -> Found:
        """Cut a page out of an answer that goes one film beyond it."""
        end = question.offset + question.k
        answer = found.to_dict()
        results = answer["results"]
        answer["results"] = self._pictured(results[question.offset : end])
        return Found.model_validate({**answer, "notes": list(found.notes), "more": len(results) > end})

    def _pictured(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**hit, "has_poster": hit["movie_id"] in self.thumbnails} for hit in results]

    def _facts(self, film: Film) -> FilmFacts:
        return FilmFacts.of(film, film.movie_id in self.thumbnails)


def _jpeg(picture: Picture.Image) -> bytes:
    drawn = io.BytesIO()
    picture.save(drawn, "JPEG", quality=88)
    return drawn.getvalue()
