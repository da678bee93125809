"""From films to posters: a loop over many downloads that one bad poster never stops.

Threads ask and download; the calling thread alone decodes, writes files and keeps the states. What has come is kept
whatever happens next, so that a run may be broken off at will and the next one asks only for the rest. May import
`catalog` only.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace

from catalog.errors import DataError, FetchError, StoreError
from catalog.films import Film
from posters.store import Origin, PosterStore, Source, State
from posters.tmdb import TmdbClient, TmdbFilm
from posters.transport import UnavailableError

logger = logging.getLogger(__name__)

# What a run asks for. A film that TMDB does not know, or has no poster of, is not asked for again.
_OPEN_STATES = frozenset({State.MISSING, State.FAILED, State.NO_LINK})


@dataclass(frozen=True)
class FetchProgress:
    """How far a run has come.

    Parameters
    ----------
    n_done, n_asked : int
        Films settled, and films that this run asks for.
    n_ok : int
        Posters that came.
    n_bytes : int
        Their length together.
    """

    n_done: int
    n_asked: int
    n_ok: int
    n_bytes: int


@dataclass(frozen=True)
class FetchReport:
    """What a run leaves behind.

    Parameters
    ----------
    n_films : int
        The films that were given; ``counts`` adds up to it.
    counts : dict of State to int
        How things stand with them now, every state named.
    n_asked : int
        The films among them that this run asked for; the others had their answer, or lay beyond the limit.
    n_ok : int
        The posters that came in this run.
    n_bytes : int
        Their length together.
    elapsed_s : float
        How long it took, in seconds.
    """

    n_films: int
    counts: dict[State, int]
    n_asked: int
    n_ok: int
    n_bytes: int
    elapsed_s: float


def fetch_posters(
    films: Sequence[Film],
    store: PosterStore,
    client: TmdbClient,
    *,
    size: str = "w342",
    n_workers: int = 8,
    limit: int | None = None,
    on_progress: Callable[[FetchProgress], None] | None = None,
) -> FetchReport:
    """Fetch the posters that are still missing from TMDB.

    A film is looked up by its tmdb_id; where that is blank or dead, by its imdb_id. Films that share a tmdb_id share
    one download.

    Parameters
    ----------
    films : sequence of Film
        The films whose posters are wanted; those that have one, or of which TMDB said that there is none, are passed
        over.
    store : PosterStore
        Where posters and states are kept. It is written by the calling thread only.
    client : TmdbClient
        Whom to ask. After an error or Ctrl-C it makes no more retries.
    size : str
        One of TMDB's poster sizes; w342 is the smallest that need not be enlarged to 224 pixels.
    n_workers : int
        Downloads at a time.
    limit : int, optional
        Ask for this many films at most.
    on_progress : callable, optional
        Is told how far the run has come, after every film, in the calling thread.

    Returns
    -------
    FetchReport
        What came, and how things stand now.

    Raises
    ------
    ConfigError
        TMDB has no posters of this size.
    UnavailableError
        TMDB refuses the key, or a host cannot be reached. As with Ctrl-C, all that came is kept.
    FetchError
        What answers in TMDB's place is not TMDB.
    StoreError
        The disk is full or cannot be written to; all that came before is kept.
    """
    began_s = time.monotonic()
    states = store.states()
    asked = [film for film in films if states.get(film.movie_id, State.MISSING) in _OPEN_STATES][:limit]
    linked = [film for film in asked if _is_linked(film)]
    if linked:
        client.check_size(size)
    run = _Run(store, len(asked), on_progress)
    run.keep({film.movie_id: _UNLINKED for film in asked if not _is_linked(film)})
    run.download(_grouped(linked), _Lookup(client, size), n_workers)
    return FetchReport(
        n_films=len(films),
        counts=store.counts(film.movie_id for film in films),
        n_asked=len(asked),
        n_ok=run.n_ok,
        n_bytes=run.n_bytes,
        elapsed_s=time.monotonic() - began_s,
    )


def _is_linked(film: Film) -> bool:
    return film.tmdb_id is not None or film.imdb_id is not None


def _grouped(films: Iterable[Film]) -> list[list[Film]]:
    """Put films that share a tmdb_id together, in the order of the first of each."""
    groups: dict[tuple[str, int], list[Film]] = {}
    for film in films:
        key = ("movie", film.movie_id) if film.tmdb_id is None else ("tmdb", film.tmdb_id)
        groups.setdefault(key, []).append(film)
    return list(groups.values())


@dataclass(frozen=True)
class _Outcome:
    """What was found out about a film: a poster's bytes, or a state with its reason."""

    origin: Origin | None
    state: State
    reason: str = ""
    content: bytes = field(default=b"", repr=False)


_UNLINKED = _Outcome(None, State.NO_LINK, "neither a tmdb_id nor an imdb_id is known")


class _Lookup:
    """Asks TMDB about films. It runs in the worker threads, and knows nothing of the store."""

    def __init__(self, client: TmdbClient, size: str) -> None:
        self._client = client
        self._size = size

    def __call__(self, group: list[Film]) -> dict[int, _Outcome]:
        """Look up films that share a tmdb_id, or one film without one."""
        tmdb_id = group[0].tmdb_id
        if tmdb_id is not None:
            outcome = self._ask(Source.TMDB_MOVIE, f"tmdb_id {tmdb_id}", lambda: self._client.movie(tmdb_id))
            if outcome.state is not State.NOT_FOUND:
                return {film.movie_id: outcome for film in group}
        return {film.movie_id: self._find(film) for film in group}

    def _find(self, film: Film) -> _Outcome:
        imdb_id = film.imdb_id
        if imdb_id is None:
            reason = f"TMDB knows no film by tmdb_id {film.tmdb_id}, and no imdb_id is known"
            return _Outcome(self._origin(Source.TMDB_MOVIE), State.NOT_FOUND, reason)
        return self._ask(Source.TMDB_FIND, f"imdb_id {imdb_id}", lambda: self._client.find(imdb_id))

    def _ask(self, source: Source, name: str, question: Callable[[], TmdbFilm | None]) -> _Outcome:
        origin = self._origin(source)
        try:
            found = question()
            if found is None:
                return _Outcome(origin, State.NOT_FOUND, f"TMDB knows no film by {name}")
            if found.poster_path is None:
                return _Outcome(origin, State.NO_POSTER, "TMDB has no poster of this film")
            origin = replace(origin, poster_path=found.poster_path)
            return _Outcome(origin, State.OK, content=self._client.image(found.poster_path, self._size))
        except UnavailableError:
            raise
        except FetchError as error:
            return _Outcome(origin, State.FAILED, str(error))

    def interrupt(self) -> None:
        """Make no more retries, so that the workers come back soon."""
        self._client.interrupt()

    def _origin(self, source: Source) -> Origin:
        return Origin(source, size=self._size, language=self._client.language)


class _Run:
    """Hands films to the workers and keeps what they bring, in the calling thread."""

    def __init__(self, store: PosterStore, n_asked: int, on_progress: Callable[[FetchProgress], None] | None) -> None:
        self._store = store
        self._n_asked = n_asked
        self._on_progress = on_progress
        self._in_flight: set[Future[dict[int, _Outcome]]] = set()
        self.n_done = self.n_ok = self.n_bytes = 0

    def download(self, groups: Iterable[list[Film]], look_up: _Lookup, n_workers: int) -> None:
        """Work through the groups with so many threads, and keep all that came even if it ends early."""
        with ThreadPoolExecutor(n_workers, thread_name_prefix="poster") as pool:
            try:
                for group in groups:
                    self._in_flight.add(pool.submit(look_up, group))
                    # A short queue: little memory, and little left behind when it is broken off.
                    self._keep_finished(n_left=2 * n_workers)
                self._keep_finished(n_left=0)
            except BaseException:
                look_up.interrupt()
                pool.shutdown(wait=True, cancel_futures=True)
                self._keep_the_rest()
                raise

    def keep(self, outcomes: Mapping[int, _Outcome]) -> None:
        """Keep what was found out about some films, and tell how far the run has come."""
        for movie_id, outcome in outcomes.items():
            self._keep_one(movie_id, outcome)
            self.n_done += 1
            if self._on_progress:
                self._on_progress(FetchProgress(self.n_done, self._n_asked, self.n_ok, self.n_bytes))

    def _keep_finished(self, n_left: int) -> None:
        """Keep what has finished, until no more than so many are in flight."""
        while len(self._in_flight) > n_left:
            done, _ = wait(self._in_flight, return_when=FIRST_COMPLETED)
            for future in done:
                self.keep(future.result())
                # Only now: if the line above is broken off, `_keep_the_rest` comes back to it.
                self._in_flight.discard(future)

    def _keep_the_rest(self) -> None:
        """Keep what finished while the run was being broken off, and report no more progress."""
        self._on_progress = None
        # A disk that is full stays full; the error that is on its way says so already.
        with suppress(StoreError):
            for future in self._in_flight:
                if not future.cancelled() and future.exception() is None:
                    self.keep(future.result())

    def _keep_one(self, movie_id: int, outcome: _Outcome) -> None:
        try:
            self._settle(movie_id, outcome)
        except DataError as error:
            self._settle(movie_id, replace(outcome, state=State.FAILED, reason=str(error)))

    def _settle(self, movie_id: int, outcome: _Outcome) -> None:
        if outcome.state is State.OK and outcome.origin:
            self.n_bytes += self._store.put(movie_id, outcome.content, outcome.origin).n_bytes
            self.n_ok += 1
        else:
            logger.info("movie_id %d: %s: %s", movie_id, outcome.state, outcome.reason)
            self._store.mark(movie_id, outcome.state, outcome.reason, outcome.origin)
