"""A pool of threads that look films up; one thread collects their outcomes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from queue import Empty, Queue

from catalog.film import Film
from posters.lookup import FilmLookup, Outcome, Outcomes
from posters.rate_limit import InterruptedFetchError

# Posters per thread that are not registered yet. A killed process loses no more.
_N_UNREGISTERED = 1
# How long an interrupted run waits for what is on its way: longer than a server may be silent.
_PATIENCE_S = 20.0


class WorkerPool:
    """Threads that look films up; `outcomes` yields the results in the order in which they arrive.

    No thread begins another film while `_N_UNREGISTERED` per thread wait to be registered: these are lost if the
    process is killed, and would fill the memory if the disk is slow. The threads are daemons, so that the program can
    end while a server keeps one of them waiting.
    """

    def __init__(self, groups: Iterable[list[Film]], lookup: FilmLookup, n_workers: int) -> None:
        self._groups = iter(groups)
        self._next_group = threading.Lock()
        self._lookup = lookup
        self._results: Queue[Outcomes | BaseException | None] = Queue()
        self._slots = threading.Semaphore(_N_UNREGISTERED * n_workers)
        self._n_workers = n_workers
        self._n_running = 0

    def start(self) -> None:
        for number in range(self._n_workers):
            threading.Thread(target=self._work, name=f"poster-{number}", daemon=True).start()
            self._n_running += 1

    def interrupt(self) -> None:
        self._lookup.interrupt()

    def outcomes(self, *, raising: bool = True) -> Iterator[Outcomes]:
        """Yield outcomes until all threads are done, or until an interrupted run has waited long enough.

        The caller registers outcomes before it requests the next. Errors of more than one film are raised here, or
        ignored.
        """
        patience_s = _PATIENCE_S
        while self._n_running:
            try:
                first = self._results.get(timeout=1.0)
            except Empty:
                patience_s -= 1.0 if self._lookup.interrupted else 0.0
                if patience_s <= 0:
                    return
                continue
            outcomes: dict[int, Outcome] = {}
            errors: list[BaseException] = []
            n_found = 0
            for result in (first, *self._available()):
                if result is None:
                    self._n_running -= 1
                elif isinstance(result, BaseException):
                    errors.append(result)
                else:
                    outcomes.update(result)
                    n_found += 1
            yield outcomes
            if n_found:
                self._slots.release(n_found)
            if raising and errors:
                raise errors[0]

    def _available(self) -> Iterator[Outcomes | BaseException | None]:
        """Yield the results that are there already, so that they are registered in one transaction."""
        with suppress(Empty):
            for _ in range(self._n_workers):
                yield self._results.get_nowait()

    def _work(self) -> None:
        try:
            while self._acquire_slot() and (group := self._take_group()) is not None:
                self._results.put(self._lookup(group))
        except InterruptedFetchError:
            pass
        except BaseException as error:
            self._results.put(error)
        finally:
            self._results.put(None)

    def _acquire_slot(self) -> bool:
        # With a timeout: after an error nobody may be left to release a slot.
        while not self._slots.acquire(timeout=0.5):
            if self._lookup.interrupted:
                return False
        return True

    def _take_group(self) -> list[Film] | None:
        with self._next_group:
            return None if self._lookup.interrupted else next(self._groups, None)
