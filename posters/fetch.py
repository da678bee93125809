"""From films to posters: a loop over many downloads that one bad poster never stops.

Threads ask, download, verify and write files; the calling thread alone enters what came into the store's table, and
so decides what counts. What has come is kept whatever happens next: a run may be broken off at will, and the next
one asks only for the rest. May import `catalog` only.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from queue import Empty, Queue
from typing import TypeVar

from catalog.errors import DataError, FetchError, StoreError
from catalog.film import Film
from posters.database import Origin, Source, State
from posters.http import UnavailableError
from posters.rate_limit import InterruptedFetchError
from posters.store import PosterStore, WrittenPoster
from posters.tmdb import TmdbClient, TmdbFilm

logger = logging.getLogger(__name__)

LiveIds = Collection[int] | Callable[[Collection[int]], Collection[int]]
"""The ids that TMDB knows, or what tells which of some it knows."""

MAX_AGE = timedelta(days=180)
"""How long TMDB's terms allow anything of theirs to be kept."""

# What a run asks for, and in which order. A film that TMDB does not know, or has no poster of, is not asked for again.
_RANKS = {State.MISSING: 0, State.NO_LINK: 0, State.FAILED: 1}
_STALE_RANK = 2
# So many films that fail one after the other are no matter of theirs: with the retries, it takes some minutes.
_N_FAILED_IN_A_ROW = 100
# Posters of one connection that are not entered yet: one on its way, one that came. A kill loses no more.
_N_UNENTERED = 2
# How long a run that is being ended waits for what is on its way: longer than a server may be silent.
_PATIENCE_S = 20.0


@dataclass(frozen=True)
class Choice:
    """Which films a run asks for, out of those that are still open."""

    limit: int | None = None
    movie_ids: Collection[int] | None = None
    older_than: timedelta | None = None


@dataclass(frozen=True)
class FetchProgress:
    """How far a run has come."""

    n_done: int
    n_asked: int
    n_ok: int
    n_bytes: int


@dataclass(frozen=True)
class FetchReport:
    """What a run leaves behind."""

    n_films: int
    counts: dict[State, int]
    n_asked: int
    outcomes: dict[State, int]
    reasons: dict[str, int]
    n_bytes: int
    n_requests: int
    n_slowed: int
    elapsed_s: float
    interrupted: bool

    @property
    def n_ok(self) -> int:
        """The posters that came in this run."""
        return self.outcomes[State.OK]

    @property
    def n_failed(self) -> int:
        """The films whose last try failed, in this run or before."""
        return self.counts[State.FAILED]

    @property
    def n_settled(self) -> int:
        """The films that this run found something out about."""
        return sum(self.outcomes.values())


def choose_films(films: Iterable[Film], store: PosterStore | None, choice: Choice) -> list[Film]:
    """List the films that a run would ask for; nothing is changed.

    What was never tried comes first, and what was tried least often among the rest, so that films which fail for ever
    do not use up every `Choice.limit`. Films without any link cannot be asked for.
    """
    states = store.states() if store else {}
    attempts = store.attempts() if store else {}
    stale = (
        store.older_than(datetime.now(UTC) - choice.older_than) if store and choice.older_than is not None else set()
    )
    ranked: list[tuple[int, int, Film]] = []
    for film in _wanted(films, choice):
        rank = _RANKS.get(states.get(film.movie_id, State.MISSING), _STALE_RANK if film.movie_id in stale else None)
        if rank is not None and _is_linked(film):
            ranked.append((rank, attempts.get(film.movie_id, 0), film))
    # Sorting is stable: within a rank and a number of attempts, the order is that of the catalog.
    ranked.sort(key=lambda entry: entry[:2])
    return [film for _, _, film in ranked[: choice.limit]]


def _wanted(films: Iterable[Film], choice: Choice) -> list[Film]:
    wanted = choice.movie_ids if choice.movie_ids is None else frozenset(choice.movie_ids)
    return [film for film in films if wanted is None or film.movie_id in wanted]


def fetch_posters(
    films: Sequence[Film],
    store: PosterStore,
    client: TmdbClient,
    *,
    size: str = "w342",
    choice: Choice | None = None,
    live_tmdb_ids: LiveIds | None = None,
    on_progress: Callable[[FetchProgress], None] | None = None,
) -> FetchReport:
    """Fetch the posters that are still missing from TMDB.

    A film is looked up by its tmdb_id; where that is blank or dead, or TMDB's answer names another imdb_id than the
    catalog, by its imdb_id. Films that share an answer share one download. As many films are on their way at a time
    as the client has connections. `TmdbClient.interrupt`, also from a signal's handler, ends the run within some
    seconds.
    """
    began_s = time.monotonic()
    with store.writing():
        choice = choice or Choice()
        asked = choose_films(films, store, choice)
        if asked:
            client.check_size(size)
        live = _live(live_tmdb_ids, films) if asked else None
        store.expect(film.movie_id for film in films)
        _mark_unlinked(_wanted(films, choice), store)
        run = _Run(store, len(asked), on_progress)
        run.download(_Crew(_grouped(asked), _Lookup(client, store, size, live), client.n_connections))
        if not client.interrupted:
            store.confirm()
    return FetchReport(
        n_films=len(films),
        counts=store.counts(film.movie_id for film in films),
        n_asked=len(asked),
        outcomes={state: run.outcomes[state] for state in State},
        reasons=dict(run.reasons.most_common()),
        n_bytes=run.n_bytes,
        n_requests=client.n_requests,
        n_slowed=client.n_slowed,
        elapsed_s=time.monotonic() - began_s,
        interrupted=client.interrupted and run.n_done < len(asked),
    )


def _is_linked(film: Film) -> bool:
    return film.tmdb_id is not None or film.imdb_id is not None


def _live(live_tmdb_ids: LiveIds | None, films: Iterable[Film]) -> Collection[int] | None:
    if not callable(live_tmdb_ids):
        return live_tmdb_ids
    # Of the whole catalog: an export that lists none of these is another file, not the news of their death.
    return live_tmdb_ids(frozenset(film.tmdb_id for film in films if film.tmdb_id is not None))


def _mark_unlinked(films: Iterable[Film], store: PosterStore) -> None:
    """Note which films nobody can be asked for; that is no attempt, and no part of what the run asks for."""
    states = store.states()
    with store.together():
        for film in films:
            if not _is_linked(film) and states.get(film.movie_id) in (State.MISSING, State.FAILED):
                store.mark(film.movie_id, State.NO_LINK, "neither a tmdb_id nor an imdb_id is known")


def _grouped(films: Iterable[Film]) -> list[list[Film]]:
    """Put films that share a tmdb_id together, in the order of the first of each."""
    groups: dict[tuple[str, int], list[Film]] = {}
    for film in films:
        key = ("movie", film.movie_id) if film.tmdb_id is None else ("tmdb", film.tmdb_id)
        groups.setdefault(key, []).append(film)
    return list(groups.values())


@dataclass(frozen=True)
class _Outcome:
    """What was found out about a film: a poster whose file was written, or a state with its reason."""

    origin: Origin | None
    state: State
    reason: str = ""
    written: WrittenPoster | None = None
    content: bytes = field(default=b"", repr=False)


_Outcomes = Mapping[int, _Outcome]
_Answer = TypeVar("_Answer")


class _Lookup:
    """Finds out about films and writes their posters' files. It runs in the worker threads."""

    def __init__(
        self, client: TmdbClient, store: PosterStore, size: str, live_tmdb_ids: Collection[int] | None
    ) -> None:
        self._client = client
        self._store = store
        self._size = size
        self._live_tmdb_ids = live_tmdb_ids

    def __call__(self, group: list[Film]) -> _Outcomes:
        """Look up films that share a tmdb_id, or one film without one."""
        return {movie_id: self._written(movie_id, outcome) for movie_id, outcome in self._ask_for(group).items()}

    @property
    def interrupted(self) -> bool:
        """Whether the run is being ended."""
        return self._client.interrupted

    def interrupt(self) -> None:
        """Ask for nothing more, so that the workers come back soon."""
        self._client.interrupt()

    def _ask_for(self, group: list[Film]) -> _Outcomes:
        answer = self._ask_by_tmdb_id(group[0].tmdb_id)
        if isinstance(answer, _Outcome):
            return {film.movie_id: answer for film in group}
        own = {film.movie_id: self._find(film, answer) for film in group if _is_another(answer, film)}
        settled = {movie_id: outcome for movie_id, outcome in own.items() if outcome}
        if answer is None or len(settled) == len(group):
            return settled
        shared = self._poster(Source.TMDB_MOVIE, answer)
        return {film.movie_id: settled.get(film.movie_id, shared) for film in group}

    def _ask_by_tmdb_id(self, tmdb_id: int | None) -> TmdbFilm | _Outcome | None:
        """Ask TMDB, unless it is known not to know the number; None then, and where it knows no such film."""
        if tmdb_id is None or self._is_known_dead(tmdb_id):
            return None
        return self._guarded(self._origin(Source.TMDB_MOVIE), lambda: self._client.movie(tmdb_id))

    def _is_known_dead(self, tmdb_id: int) -> bool:
        return self._live_tmdb_ids is not None and tmdb_id not in self._live_tmdb_ids

    def _find(self, film: Film, answer: TmdbFilm | None) -> _Outcome | None:
        """Look a film up by its imdb_id; None where TMDB knows nothing by it, and `answer` had better stand."""
        imdb_id = film.imdb_id
        if imdb_id is None:
            return self._unknown(film)
        origin = self._origin(Source.TMDB_FIND)
        finding = self._guarded(origin, lambda: self._client.find(imdb_id))
        if isinstance(finding, _Outcome):
            return finding
        if finding.film:
            return self._poster(Source.TMDB_FIND, finding.film)
        if finding.is_other:
            return _Outcome(origin, State.NOT_FOUND, f"TMDB knows no film by imdb_id {imdb_id}, but a series or other")
        return None if answer else _Outcome(origin, State.NOT_FOUND, f"TMDB knows no film by imdb_id {imdb_id}")

    def _unknown(self, film: Film) -> _Outcome:
        if film.tmdb_id is not None and self._is_known_dead(film.tmdb_id):
            origin, who = self._origin(Source.TMDB_EXPORT), "TMDB's export lists no film"
        else:
            origin, who = self._origin(Source.TMDB_MOVIE), "TMDB knows no film"
        return _Outcome(origin, State.NOT_FOUND, f"{who} by tmdb_id {film.tmdb_id}, and no imdb_id is known")

    def _poster(self, source: Source, film: TmdbFilm) -> _Outcome:
        poster_path = film.poster_path
        if poster_path is None:
            return _Outcome(self._origin(source), State.NO_POSTER, "TMDB has no poster of this film")
        origin = replace(self._origin(source), poster_path=poster_path)
        content = self._guarded(origin, lambda: self._client.image(poster_path, self._size))
        return content if isinstance(content, _Outcome) else _Outcome(origin, State.OK, content=content)

    def _guarded(self, origin: Origin, question: Callable[[], _Answer]) -> _Answer | _Outcome:
        """Ask; what goes wrong with one film becomes its outcome, and what concerns all of them is raised."""
        try:
            return question()
        except (UnavailableError, InterruptedFetchError):
            raise
        except FetchError as error:
            return _Outcome(origin, State.FAILED, str(error))
        except Exception as error:  # one film's odd answer is no reason to stop for all the others
            return _Outcome(origin, State.FAILED, _unexpected(error))

    def _written(self, movie_id: int, outcome: _Outcome) -> _Outcome:
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
        return replace(outcome, written=written, content=b"")

    def _origin(self, source: Source) -> Origin:
        return Origin(source, size=self._size, language=self._client.language)


def _is_another(answer: TmdbFilm | None, film: Film) -> bool:
    """Tell whether TMDB's answer is none, or of another film than the catalog means, as far as both say."""
    if answer is None:
        return True
    return None not in (answer.imdb_id, film.imdb_id) and answer.imdb_id != film.imdb_id


def _unexpected(error: Exception) -> str:
    # Its text may quote what came, and an address with the key may be part of that.
    return f"unexpected {type(error).__name__}; please report it"


class _Crew:
    """Threads that look films up; what they find comes out at one end, in the order in which it is found.

    Nobody begins another film while as many as `_N_UNENTERED` a thread wait to be entered: what waits is lost when the
    process is killed, and would fill the memory when the disk is slow.

    They are daemons: when a server keeps one of them waiting for ever, the program ends without it.
    """

    def __init__(self, groups: Iterable[list[Film]], look_up: _Lookup, n_workers: int) -> None:
        self._groups = iter(groups)
        self._next_group = threading.Lock()
        self._look_up = look_up
        self._found: Queue[_Outcomes | BaseException | None] = Queue()
        self._room = threading.Semaphore(_N_UNENTERED * n_workers)
        self._n_workers = n_workers
        self._n_at_work = 0

    def start(self) -> None:
        """Begin the work."""
        for number in range(self._n_workers):
            threading.Thread(target=self._work, name=f"poster-{number}", daemon=True).start()
            self._n_at_work += 1

    def interrupt(self) -> None:
        """End the work soon."""
        self._look_up.interrupt()

    def found(self, *, raising: bool = True) -> Iterator[_Outcomes]:
        """Give what is found until nobody is at work, or until a run that is being ended has waited long enough.

        Whoever asks for the next has entered the last. What goes wrong with more than one film is raised here, or
        passed over.
        """
        patience_s = _PATIENCE_S
        while self._n_at_work:
            try:
                first = self._found.get(timeout=1.0)
            except Empty:
                patience_s -= 1.0 if self._look_up.interrupted else 0.0
                if patience_s <= 0:
                    return
                continue
            outcomes: dict[int, _Outcome] = {}
            errors: list[BaseException] = []
            n_found = 0
            for found in (first, *self._at_hand()):
                if found is None:
                    self._n_at_work -= 1
                elif isinstance(found, BaseException):
                    errors.append(found)
                else:
                    outcomes.update(found)
                    n_found += 1
            yield outcomes
            if n_found:
                self._room.release(n_found)
            if raising and errors:
                raise errors[0]

    def _at_hand(self) -> Iterator[_Outcomes | BaseException | None]:
        """Give what is there already, so that many are entered together."""
        with suppress(Empty):
            for _ in range(self._n_workers):
                yield self._found.get_nowait()

    def _work(self) -> None:
        try:
            while self._has_room() and (group := self._take_group()) is not None:
                self._found.put(self._look_up(group))
        except InterruptedFetchError:
            pass
        except BaseException as error:
            self._found.put(error)
        finally:
            self._found.put(None)

    def _has_room(self) -> bool:
        # Not for ever: where a run ends with an error, nobody may be there any more to make room.
        while not self._room.acquire(timeout=0.5):
            if self._look_up.interrupted:
                return False
        return True

    def _take_group(self) -> list[Film] | None:
        with self._next_group:
            return None if self._look_up.interrupted else next(self._groups, None)


class _Run:
    """Keeps what a crew finds, in the calling thread."""

    def __init__(self, store: PosterStore, n_asked: int, on_progress: Callable[[FetchProgress], None] | None) -> None:
        self._store = store
        self._n_asked = n_asked
        self._on_progress = on_progress
        self._unkept: dict[int, _Outcome] = {}
        self.outcomes: Counter[State] = Counter()
        self.reasons: Counter[str] = Counter()
        self.n_done = self.n_bytes = 0
        self._n_failed_in_a_row = 0

    def download(self, crew: _Crew) -> None:
        """Keep all that a crew finds, also if it ends early."""
        try:
            crew.start()
            for found in crew.found():
                with self._store.together():
                    self.keep(found)
                self._check_that_some_come()
        except BaseException:
            crew.interrupt()
            self._keep_the_rest(crew)
            raise

    def keep(self, outcomes: _Outcomes) -> None:
        """Keep what was found out about some films, and tell how far the run has come."""
        self._unkept.update(outcomes)
        while self._unkept:
            movie_id, outcome = next(iter(self._unkept.items()))
            self._settle(movie_id, outcome)
            # Only now: if the line above is broken off, `_keep_the_rest` comes back to it.
            del self._unkept[movie_id]
            self.n_done += 1
            if self._on_progress:
                self._on_progress(FetchProgress(self.n_done, self._n_asked, self.outcomes[State.OK], self.n_bytes))

    def _check_that_some_come(self) -> None:
        """End a run that would only write down, film by film, that TMDB is in no state to answer."""
        if self._n_failed_in_a_row >= _N_FAILED_IN_A_ROW and self.n_done < self._n_asked:
            reason = self.reasons.most_common(1)[0][0]
            raise UnavailableError(
                f"{self._n_failed_in_a_row} films in a row failed, mostly because of this: {reason}; what came is "
                "kept, run the same command again later"
            )

    def _keep_the_rest(self, crew: _Crew) -> None:
        """Keep what is found while the run is being ended, and report no more progress."""
        self._on_progress = None
        # A disk that is full stays full; the error that is on its way says so already.
        with suppress(StoreError):
            self.keep({})
            for found in crew.found(raising=False):
                self.keep(found)

    def _settle(self, movie_id: int, outcome: _Outcome) -> None:
        if outcome.written and outcome.origin:
            try:
                self.n_bytes += self._store.enter(movie_id, outcome.written, outcome.origin).n_bytes
            except DataError as error:
                # The store has marked it, and others with it.
                outcome = replace(outcome, state=State.FAILED, reason=str(error))
        else:
            logger.info("movie_id %d: %s: %s", movie_id, outcome.state, outcome.reason)
            self._store.mark(movie_id, outcome.state, outcome.reason, outcome.origin)
        self.outcomes[outcome.state] += 1
        if outcome.state is State.FAILED:
            self.reasons[outcome.reason] += 1
            self._n_failed_in_a_row += 1
        else:
            self._n_failed_in_a_row = 0
