"""An open engine behind the routes: plain calls, made in threads, that know nothing of HTTP."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image

from catalog.errors import UnknownFilmError
from catalog.films import Film
from keyart.answers import Alpha, SimilarFilms
from keyart.engine import Engine
from keyart.heat import draw_heat_sheet
from keyart.sheet import draw_sheet
from keyart.web.schemas import FilmFacts, Found, PictureQuestion, Question
from keyart.web.thumbnails import Thumbnails
from keyart.workspace import Workspace
from posters.verify import verify_image


class Service:
    """What the page and the API ask; make it with `open`. Safe to use from several threads.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    engine : Engine
        Opened on it.
    thumbnails : Thumbnails
        Its posters.
    """

    def __init__(self, workspace: Workspace, engine: Engine, thumbnails: Thumbnails) -> None:
        self._workspace = workspace
        self._engine = engine
        self.thumbnails = thumbnails

    @classmethod
    def open(cls, home: Path) -> Service:
        """Open a workspace once, for all requests.

        Parameters
        ----------
        home : Path
            The workspace folder.

        Returns
        -------
        Service
            Ready to be asked.

        Raises
        ------
        NotBuiltError, DataError
            As `Engine.open`.
        """
        workspace = Workspace.open(home)
        return cls(workspace, Engine.open(home), Thumbnails.open(workspace.posters_dir))

    def suggestions(self, text: str, k: int) -> list[FilmFacts]:
        """List the films that a person who has typed so much may mean.

        Parameters
        ----------
        text : str
            A title or its beginning.
        k : int
            How many films at most.

        Returns
        -------
        list of FilmFacts
            Best first.
        """
        return [self._facts(film) for film in self._engine.catalogue.suggest(text, k)]

    def film(self, movie_id: int) -> FilmFacts:
        """Tell of a film.

        Parameters
        ----------
        movie_id : int
            The film.

        Returns
        -------
        FilmFacts
            The facts.

        Raises
        ------
        UnknownFilmError
            There is none.
        """
        return self._facts(self._engine.find(movie_id))

    def random_film(self) -> FilmFacts:
        """Draw a film that has a poster, anew each time.

        Returns
        -------
        FilmFacts
            The facts.

        Raises
        ------
        UnknownFilmError
            No film has a poster.
        """
        movie_id = self.thumbnails.drawn()
        if movie_id is None:
            raise UnknownFilmError("no film has a poster; run `keyart fetch` or `keyart import FOLDER`")
        return self.film(movie_id)

    def genres(self) -> list[str]:
        """List the genres of all films.

        Returns
        -------
        list of str
            In alphabetical order.
        """
        return list(self._engine.catalogue.genres())

    def similar(self, movie_id: int, question: Question) -> Found:
        """Find look-alikes of a film.

        Parameters
        ----------
        movie_id : int
            The film.
        question : Question
            How many, and which.

        Returns
        -------
        Found
            A page of them.

        Raises
        ------
        KeyartError
            As `Engine.similar`.
        """
        return _page(self._asked(movie_id, question, 1), question)

    def sheet(self, movie_id: int, question: Question) -> bytes:
        """Draw look-alikes of a film as a contact sheet.

        Parameters
        ----------
        movie_id : int
            The film.
        question : Question
            How many, and which.

        Returns
        -------
        bytes
            A JPEG file.

        Raises
        ------
        KeyartError
            As `Engine.similar`.
        """
        return _jpeg(draw_sheet(self._asked(movie_id, question, 0)))

    def heat(self, first: int, second: int) -> bytes:
        """Draw where two posters look alike.

        Parameters
        ----------
        first, second : int
            The films' movie_ids.

        Returns
        -------
        bytes
            A JPEG file.

        Raises
        ------
        KeyartError
            As `Engine.explain`.
        """
        return _jpeg(draw_heat_sheet(self._engine.explain(first, second)))

    def similar_to_picture(self, picture: bytes, question: PictureQuestion) -> Found:
        """Find the films whose posters look like a picture.

        Parameters
        ----------
        picture : bytes
            What stands in an image file; it is held to the bounds of a poster before it is used.
        question : PictureQuestion
            How many, and which.

        Returns
        -------
        Found
            A page of them, by looks alone.

        Raises
        ------
        KeyartError
            As `posters.verify.verify_image` and `Engine.similar_to_image`.
        """
        facts = verify_image(picture)
        with tempfile.NamedTemporaryFile(suffix=facts.suffix) as kept:
            kept.write(picture)
            kept.flush()
            n = question.offset + question.k + 1
            found = self._engine.similar_to_image(kept.name, n, wanted=question.wanted(), fold_artwork=question.fold)
        return _page(found, question).model_copy(update={"query": {"movie_id": None, "title": "", "year": None}})

    def _asked(self, movie_id: int, question: Question, n_beyond: int) -> SimilarFilms:
        alpha: Alpha = question.alpha
        n = question.offset + question.k + n_beyond
        return self._engine.similar(movie_id, n, alpha, wanted=question.wanted(), fold_artwork=question.fold)

    def _facts(self, film: Film) -> FilmFacts:
        return FilmFacts.of(film, film.movie_id in self.thumbnails)


def _page(found: SimilarFilms, question: PictureQuestion) -> Found:
    """Cut a page out of an answer that goes one film beyond it."""
    end = question.offset + question.k
    answer = found.as_dict()
    results = answer["results"]
    answer["results"] = results[question.offset : end]
    return Found(**answer, notes=list(found.notes), more=len(results) > end)


def _jpeg(picture: Image.Image) -> bytes:
    drawn = io.BytesIO()
    picture.save(drawn, "JPEG", quality=88)
    return drawn.getvalue()
