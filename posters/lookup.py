"""Look up films at TMDB, download their posters and write the files; runs in the threads of `posters.workers`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from catalog.errors import DataError, FetchError, StoreError
from catalog.film import Film
from posters.database import Alternate, Origin, Source, State
from posters.http import UnavailableError
from posters.rate_limit import InterruptedFetchError
from posters.store import PosterStore, WrittenPoster
from posters.tmdb import ChosenPoster, TmdbClient, TmdbFilm

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """The result for a film: a poster whose file was written, or a state with its reason."""

    origin: Origin | None
    state: State
    reason: str = ""
    written: WrittenPoster | None = None
    content: bytes = field(default=b"", repr=False)
    # Images of further posters, and once these are written, their rows.
    more_content: tuple[tuple[Origin, bytes], ...] = field(default=(), repr=False)
    alternates: tuple[Alternate, ...] = ()


Outcomes = Mapping[int, Outcome]
_Answer = TypeVar("_Answer")


class FilmLookup:
    """Looks films up, downloads their posters and writes the files; called in several threads."""

    def __init__(
        self, client: TmdbClient, store: PosterStore, size: str, live_tmdb_ids: Collection[int] | None
    ) -> None:
        self._client = client
        self._store = store
        self._size = size
        self._live_tmdb_ids = live_tmdb_ids

    def __call__(self, group: list[Film]) -> Outcomes:
        """Return the outcomes of films that share a tmdb_id, or of one film without one."""
        return {movie_id: self._written(movie_id, outcome) for movie_id, outcome in self._look_up(group).items()}

    @property
    def interrupted(self) -> bool:
        return self._client.interrupted

    def interrupt(self) -> None:
        self._client.interrupt()

    def _look_up(self, group: list[Film]) -> Outcomes:
        answer = self._by_tmdb_id(group[0].tmdb_id)
        if isinstance(answer, Outcome):
            return {film.movie_id: answer for film in group}
        own = {film.movie_id: self._by_imdb_id(film, answer) for film in group if _is_another(answer, film)}
        settled = {movie_id: outcome for movie_id, outcome in own.items() if outcome}
        if answer is None or len(settled) == len(group):
            return settled
        shared = self._poster(Source.TMDB_MOVIE, answer)
        return {film.movie_id: settled.get(film.movie_id, shared) for film in group}

    def _by_tmdb_id(self, tmdb_id: int | None) -> TmdbFilm | Outcome | None:
        """Request a film by its tmdb_id; None if TMDB does not know it, or its export does not list it."""
        if tmdb_id is None or self._is_known_dead(tmdb_id):
            return None
        return self._try(self._origin(Source.TMDB_MOVIE), lambda: self._client.movie(tmdb_id))

    def _is_known_dead(self, tmdb_id: int) -> bool:
        return self._live_tmdb_ids is not None and tmdb_id not in self._live_tmdb_ids

    def _by_imdb_id(self, film: Film, answer: TmdbFilm | None) -> Outcome | None:
        """Look a film up by its imdb_id; None if TMDB does not know that and there is `answer` to fall back to."""
        imdb_id = film.imdb_id
        if imdb_id is None:
            return self._unknown(film)
        origin = self._origin(Source.TMDB_FIND)
        result = self._try(origin, lambda: self._client.find(imdb_id))
        if isinstance(result, Outcome):
            return result
        if result.film:
            return self._poster(Source.TMDB_FIND, result.film)
        if result.is_other:
            return Outcome(origin, State.NOT_FOUND, f"TMDB knows no film by imdb_id {imdb_id}, but a series or other")
        return None if answer else Outcome(origin, State.NOT_FOUND, f"TMDB knows no film by imdb_id {imdb_id}")

    def _unknown(self, film: Film) -> Outcome:
        if film.tmdb_id is not None and self._is_known_dead(film.tmdb_id):
            origin, who = self._origin(Source.TMDB_EXPORT), "TMDB's export lists no film"
        else:
            origin, who = self._origin(Source.TMDB_MOVIE), "TMDB knows no film"
        return Outcome(origin, State.NOT_FOUND, f"{who} by tmdb_id {film.tmdb_id}, and no imdb_id is known")

    def _poster(self, source: Source, film: TmdbFilm) -> Outcome:
        poster_path = film.poster_path
        if poster_path is None:
            return Outcome(self._origin(source), State.NO_POSTER, "TMDB has no poster of this film")
        origin = replace(self._origin(source), poster_path=poster_path)
        if film.choice:
            origin = self._origin_of(film.choice, source)
        content = self._try(origin, lambda: self._client.image(poster_path, self._size))
        if isinstance(content, Outcome):
            return content
        return Outcome(origin, State.OK, content=content, more_content=self._more(film, source))

    def _more(self, film: TmdbFilm, source: Source) -> tuple[tuple[Origin, bytes], ...]:
        """Download the alternates of a film; those that cannot be had are left out."""
        matches = []
        for poster in film.alternates:
            origin, path = self._origin_of(poster, source), poster.poster_path
            content = self._try(origin, lambda path=path: self._client.image(path, self._size))  # type: ignore[misc]
            if isinstance(content, Outcome):
                logger.info("alternate %s: %s", path, content.reason)
            else:
                matches.append((origin, content))
        return tuple(matches)

    def _origin_of(self, poster: ChosenPoster, source: Source) -> Origin:
        return Origin(
            source,
            poster_path=poster.poster_path,
            size=self._size,
            language=poster.language,
            vote_average=poster.vote_average,
            vote_count=poster.vote_count,
        )

    def _try(self, origin: Origin, request: Callable[[], _Answer]) -> _Answer | Outcome:
        """Send a request; an error of one film becomes its outcome, and one of the whole service is raised."""
        try:
            return request()
        except (UnavailableError, InterruptedFetchError):
            raise
        except FetchError as error:
            return Outcome(origin, State.FAILED, str(error))
        except Exception as error:  # an unforeseen error of one film must not stop the others
            return Outcome(origin, State.FAILED, _unexpected(error))

    def _written(self, movie_id: int, outcome: Outcome) -> Outcome:
        if outcome.state is not State.OK:
            return outcome
        try:
            written = self._store.write_file(movie_id, outcome.content)
        except DataError as error:
            return replace(outcome, state=State.FAILED, reason=str(error), content=b"")
        except StoreError:
            raise
        except Exception as error:  # as above
            return replace(outcome, state=State.FAILED, reason=_unexpected(error), content=b"")
        alternates = self._written_alternates(movie_id, outcome)
        return replace(outcome, written=written, content=b"", more_content=(), alternates=alternates)

    def _written_alternates(self, movie_id: int, outcome: Outcome) -> tuple[Alternate, ...]:
        alternates = []
        for origin, content in outcome.more_content:
            try:
                alternates.append(self._store.alternates.write_file(movie_id, content, origin))
            except DataError as error:
                logger.info("movie_id %d, alternate %s: %s", movie_id, origin.poster_path, error)
            except StoreError:
                raise
            except Exception as error:  # as above
                logger.info("movie_id %d, alternate %s: %s", movie_id, origin.poster_path, _unexpected(error))
        return tuple(alternates)

    def _origin(self, source: Source) -> Origin:
        return Origin(source, size=self._size, language=self._client.own_language)


def _is_another(answer: TmdbFilm | None, film: Film) -> bool:
    """Return whether TMDB knows no film, or one whose imdb_id is another than that of the catalog."""
    if answer is None:
        return True
    return None not in (answer.imdb_id, film.imdb_id) and answer.imdb_id != film.imdb_id


def _unexpected(error: Exception) -> str:
    # The text of the error may contain an address with the key.
    return f"unexpected {type(error).__name__}; please report it"
