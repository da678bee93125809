"""Fetch posters from TMDB for the films that lack one; resumable at any point.

Threads look films up and write files; the calling thread alone registers what arrived, so everything registered is kept
whatever happens next, and the next run requests the rest only. A film that fails never stops the others.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from catalog.errors import DataError, StoreError
from catalog.film import Film
from posters.database import State
from posters.http import UnavailableError
from posters.lookup import FilmLookup, Outcome, Outcomes
from posters.store import PosterStore
from posters.tmdb import TmdbClient
from posters.workers import WorkerPool

logger = logging.getLogger(__name__)

LiveIds = Collection[int] | Callable[[Collection[int]], Collection[int]]
"""The ids that TMDB knows, or a function that returns those of some ids that it knows."""

MAX_AGE = timedelta(days=180)
"""How long TMDB's terms allow its data to be kept."""

# Which states are requested, in which order. Films that TMDB does not know, or has no poster of, are not repeated.
_RANKS = {State.MISSING: 0, State.NO_LINK: 0, State.FAILED: 1}
_STALE_RANK = 2
# While the API pauses some threads, others download images, and the other way round.
_THREADS_OF_CONNECTION = 2
# This many failures in a row, which take minutes with the retries, are no matter of single films.
_MAX_FAILED_IN_A_ROW = 100


@dataclass(frozen=True)
class Selection:
    """Which of the films without a final answer a run requests."""

    # The most films: first those never tried, then those that failed, then old ones; the least tried first.
    limit: int | None = None
    movie_ids: Collection[int] | None = None
    # Repeats films that were requested longer ago than this, whatever the answer was.
    older_than: timedelta | None = None


@dataclass(frozen=True)
class FetchProgress:
    """Progress of a run: films settled out of those requested, posters that arrived and their bytes."""

    n_done: int
    n_asked: int
    n_ok: int
    n_bytes: int


@dataclass(frozen=True)
class FetchReport:
    """The result of fetching posters.

    Parameters
    ----------
    n_films : int
        Films of the catalog; `counts` adds up to it.
    counts : dict of State to int
        Films in each state after the run: "ok", "no_link", "no_poster", "not_found", "failed" and "missing".
    n_asked : int
        Films that this run requested; the others had a final answer, or were not selected.
    outcomes : dict of State to int
        The states that this run found for these; fewer than `n_asked` in total if it was interrupted.
    reasons : dict of str to int
        Why films failed and how many, the most frequent reason first.
    n_bytes : int
        Size of the posters that arrived.
    n_requests : int
        Requests sent, retries included.
    n_slowed : int
        How often TMDB throttled requests.
    elapsed_s : float
        Duration in seconds.
    interrupted : bool
        Whether the run was interrupted before everything was requested.
    n_alternates : int
        Further posters that arrived.
    """

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
    n_alternates: int = 0

    @property
    def n_ok(self) -> int:
        """Posters that arrived in this run."""
        return self.outcomes[State.OK]

    @property
    def n_failed(self) -> int:
        """Films whose last attempt failed, in this run or an earlier one."""
        return self.counts[State.FAILED]

    @property
    def n_settled(self) -> int:
        """Films that this run found a state for."""
        return sum(self.outcomes.values())

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values, ready for JSON.

        Returns
        -------
        dict
            The fields, and n_ok, n_settled, success_rate (None without films), posters_per_s and requests_per_s.
        """
        return {
            **asdict(self),
            "counts": plain_counts(self.counts),
            "outcomes": plain_counts(self.outcomes),
            "n_ok": self.n_ok,
            "n_settled": self.n_settled,
            "success_rate": round(self.n_ok / self.n_settled, 4) if self.n_settled else None,
            "elapsed_s": round(self.elapsed_s, 3),
            "posters_per_s": round(self.n_ok / self.elapsed_s, 2),
            "requests_per_s": round(self.n_requests / self.elapsed_s, 2),
        }


def plain_counts(counts: dict[State, int]) -> dict[str, int]:
    return {state.value: n_films for state, n_films in counts.items()}


def select_films(films: Iterable[Film], store: PosterStore | None, selection: Selection) -> list[Film]:
    """Return the films that a run would request, in order; nothing is changed.

    Films that were never tried come first, then the least tried, so that films which always fail do not use up every
    `Selection.limit`. Films without tmdb_id and imdb_id cannot be requested.
    """
    states = store.states() if store else {}
    attempts = store.attempts() if store else {}
    stale: set[int] = set()
    if store and selection.older_than is not None:
        stale = store.older_than(datetime.now(UTC) - selection.older_than)
    ranked: list[tuple[int, int, Film]] = []
    for film in _selected(films, selection):
        rank = _RANKS.get(states.get(film.movie_id, State.MISSING), _STALE_RANK if film.movie_id in stale else None)
        if rank is not None and _is_linked(film):
            ranked.append((rank, attempts.get(film.movie_id, 0), film))
    # Sorting is stable: within a rank and a number of attempts, the order is that of the catalog.
    ranked.sort(key=lambda entry: entry[:2])
    return [film for _, _, film in ranked[: selection.limit]]


def _selected(films: Iterable[Film], selection: Selection) -> list[Film]:
    movie_ids = selection.movie_ids if selection.movie_ids is None else frozenset(selection.movie_ids)
    return [film for film in films if movie_ids is None or film.movie_id in movie_ids]


def fetch_posters(
    films: Sequence[Film],
    store: PosterStore,
    client: TmdbClient,
    *,
    size: str = "w342",
    selection: Selection | None = None,
    live_tmdb_ids: LiveIds | None = None,
    on_progress: Callable[[FetchProgress], None] | None = None,
) -> FetchReport:
    """Fetch the posters of the selected films; `films` is the whole catalog.

    A film is looked up by its tmdb_id; if TMDB does not know that, or names another imdb_id than the catalog, by its
    imdb_id. Films with the same tmdb_id share one download. There are twice as many threads as the client has
    connections to a host.
    `TmdbClient.interrupt` ends the run within seconds, and may be called by a signal handler; after an error or Ctrl-C
    the client sends no more requests.

    Ids that are not among `live_tmdb_ids` are not requested. A function is called with the ids of the catalog once
    there is something to request and the key is known to be valid.
    """
    began_s = time.monotonic()
    with store.writer_lock():
        selection = selection or Selection()
        requested = select_films(films, store, selection)
        if requested:
            client.check_size(size)
        live = _live(live_tmdb_ids, films) if requested else None
        store.add_films(film.movie_id for film in films)
        _mark_unlinked(_selected(films, selection), store)
        run = _Run(store, len(requested), on_progress)
        lookup = FilmLookup(client, store, size, live)
        run.register_all(WorkerPool(_grouped(requested), lookup, _THREADS_OF_CONNECTION * client.n_connections))
        if not client.interrupted:
            store.confirm()
    return FetchReport(
        n_films=len(films),
        counts=store.counts(film.movie_id for film in films),
        n_asked=len(requested),
        outcomes={state: run.outcomes[state] for state in State},
        reasons=dict(run.reasons.most_common()),
        n_bytes=run.n_bytes,
        n_requests=client.n_requests,
        n_slowed=client.n_slowed,
        elapsed_s=time.monotonic() - began_s,
        interrupted=client.interrupted and run.n_done < len(requested),
        n_alternates=run.n_alternates,
    )


def _is_linked(film: Film) -> bool:
    return film.tmdb_id is not None or film.imdb_id is not None


def _live(live_tmdb_ids: LiveIds | None, films: Iterable[Film]) -> Collection[int] | None:
    if not callable(live_tmdb_ids):
        return live_tmdb_ids
    # The ids of the whole catalog: an export that lists none of them is the wrong file.
    return live_tmdb_ids(frozenset(film.tmdb_id for film in films if film.tmdb_id is not None))


def _mark_unlinked(films: Iterable[Film], store: PosterStore) -> None:
    """Mark the films without any id; this counts neither as an attempt nor as an outcome of the run."""
    states = store.states()
    with store.transaction():
        for film in films:
            if not _is_linked(film) and states.get(film.movie_id) in (State.MISSING, State.FAILED):
                store.mark(film.movie_id, State.NO_LINK, "neither a tmdb_id nor an imdb_id is known")


def _grouped(films: Iterable[Film]) -> list[list[Film]]:
    """Group films that share a tmdb_id, in the order of the first of each."""
    groups: dict[tuple[str, int], list[Film]] = {}
    for film in films:
        key = ("movie", film.movie_id) if film.tmdb_id is None else ("tmdb", film.tmdb_id)
        groups.setdefault(key, []).append(film)
    return list(groups.values())


class _Run:
    """Registers the outcomes of a worker pool in the store, and counts them; all in the calling thread."""

    def __init__(self, store: PosterStore, n_asked: int, on_progress: Callable[[FetchProgress], None] | None) -> None:
        self._store = store
        self._n_asked = n_asked
        self._on_progress = on_progress
        self._pending: dict[int, Outcome] = {}
        self.outcomes: Counter[State] = Counter()
        self.reasons: Counter[str] = Counter()
        self.n_done = self.n_bytes = self.n_alternates = 0
        self._n_failed_in_a_row = 0

    def register_all(self, workers: WorkerPool) -> None:
        try:
            workers.start()
            for outcomes in workers.outcomes():
                with self._store.transaction():
                    self._register(outcomes)
                self._check_failures()
        except BaseException:
            workers.interrupt()
            self._register_rest(workers)
            raise

    def _register(self, outcomes: Outcomes) -> None:
        self._pending.update(outcomes)
        while self._pending:
            movie_id, outcome = next(iter(self._pending.items()))
            self._settle(movie_id, outcome)
            # Not before: if `_settle` is interrupted, `_register_rest` repeats it.
            del self._pending[movie_id]
            self.n_done += 1
            if self._on_progress:
                self._on_progress(FetchProgress(self.n_done, self._n_asked, self.outcomes[State.OK], self.n_bytes))

    def _check_failures(self) -> None:
        """End a run in which film after film fails, since TMDB is in no state to answer."""
        if self._n_failed_in_a_row >= _MAX_FAILED_IN_A_ROW and self.n_done < self._n_asked:
            reason = self.reasons.most_common(1)[0][0]
            raise UnavailableError(
                f"{self._n_failed_in_a_row} films in a row failed, mostly because of this: {reason}; what came is "
                "kept, run the same command again later"
            )

    def _register_rest(self, workers: WorkerPool) -> None:
        """Register what arrives during an interruption, without reporting progress."""
        self._on_progress = None
        # A full disk stays full, and is being reported already.
        with suppress(StoreError):
            self._register({})
            for outcomes in workers.outcomes(raising=False):
                self._register(outcomes)

    def _settle(self, movie_id: int, outcome: Outcome) -> None:
        if outcome.written and outcome.origin:
            try:
                poster = self._store.register(movie_id, outcome.written, outcome.origin, outcome.alternates)
                self.n_bytes += poster.n_bytes
                self.n_alternates += len(outcome.alternates)
            except DataError as error:
                # The store has marked this film, and others with the same picture.
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
