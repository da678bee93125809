"""Worker threads with bounded queues, so that work that takes the processor leaves the event loop free."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, ParamSpec, TypeVar

from starlette.exceptions import HTTPException

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Item = TypeVar("Item")
_NICENESS = 10


class WorkerPool:
    """Threads that run one call each; a call over `max_pending` gets 503, one that runs over `timeout_s` gets 504.

    A call that has not begun after `timeout_s` gets 503 too: nothing is wrong with it, and it may be sent again.
    Threads that yield let those of other pools go first.
    """

    def __init__(self, n_threads: int, max_pending: int, timeout_s: float, *, yields: bool = False) -> None:
        self._threads = ThreadPoolExecutor(n_threads, initializer=yield_processor if yields else None)
        self._max_pending = max_pending
        self._timeout_s = timeout_s
        self._n_pending = 0

    async def run(self, call: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        """Call a function in a thread."""
        if self._n_pending >= self._max_pending:
            raise _busy()
        self._n_pending += 1
        began_at: list[float] = []

        def work() -> Result:
            began_at.append(time.monotonic())
            return call(*args, **kwargs)

        future = self._threads.submit(work)
        loop = asyncio.get_running_loop()
        # The call is pending until the work is over, not until its caller gives up.
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))

        def begun() -> float | None:
            # What cannot be cancelled any more has begun, a moment ago at most.
            return None if future.cancel() else next(iter(began_at), time.monotonic())

        return await _in_time(asyncio.wrap_future(future), self._timeout_s, begun)

    def _done(self) -> None:
        self._n_pending -= 1

    def close(self) -> None:
        """Wait for the calls that run, and cancel those that wait."""
        self._threads.shutdown(wait=True, cancel_futures=True)


class MicroBatcher(Generic[Item, Result]):
    """One thread that processes all items that wait in one call, `max_batch` at most, which is what networks do best.

    An item over `max_pending`, or still waiting after `timeout_s`, gets 503; one whose batch takes longer gets 504.
    """

    def __init__(
        self, call: Callable[[list[Item]], Sequence[Result]], max_batch: int, max_pending: int, timeout_s: float
    ) -> None:
        self._call = call
        self._max_batch = max_batch
        self._max_pending = max_pending
        self._timeout_s = timeout_s
        self._thread = ThreadPoolExecutor(1, initializer=yield_processor)
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._n_running = 0
        self._began_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def run(self, item: Item) -> Result:
        """Process an item, together with others that wait."""
        if len(self._waiting) + self._n_running >= self._max_pending:
            raise _busy()
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._task is None:
            self._task = asyncio.create_task(self._work())

        def begun() -> float | None:
            return None if any(one is answer for _, one in self._waiting) else self._began_at

        return await _in_time(answer, self._timeout_s, begun)

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._max_batch))]
                # Nothing is computed for callers that have given up.
                await self._process([(item, answer) for item, answer in batch if not answer.done()])
        finally:
            self._task = None

    async def _process(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        if not batch:
            return
        self._n_running, self._began_at = len(batch), time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(self._thread, self._call, [item for item, _ in batch])
        except Exception as error:  # whatever it is, each caller gets it
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
        else:
            for (_, answer), result in zip(batch, results, strict=True):
                if not answer.done():
                    answer.set_result(result)
        finally:
            self._n_running = 0

    def close(self) -> None:
        """Wait for the batch that runs, and cancel the items that wait."""
        for _, answer in self._waiting:
            answer.cancel()
        self._waiting.clear()
        self._thread.shutdown(wait=True, cancel_futures=True)


def yield_processor() -> None:
    """Let other threads go before this one, and those that it begins, on systems where threads have priorities."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


async def _in_time(answer: asyncio.Future[Result], timeout_s: float, begun: Callable[[], float | None]) -> Result:
    """Wait for an answer: 503 if its work has not begun after a time, 504 if it then takes longer than that.

    `begun` returns the moment when the work began, by the monotonic clock; None keeps it from beginning.
    """
    try:
        done, _ = await asyncio.wait((answer,), timeout=timeout_s)
        began_at = None if done else begun()
        if began_at is not None:
            done, _ = await asyncio.wait((answer,), timeout=began_at + timeout_s - time.monotonic())
        if done:
            return answer.result()
    finally:
        # Nobody waits for it any more.
        answer.cancel()
    raise _busy() if began_at is None else _timed_out(timeout_s)


def _busy() -> HTTPException:
    return HTTPException(503, "the server is busy; ask again in a second", {"Retry-After": "1"})


def _timed_out(timeout_s: float) -> HTTPException:
    return HTTPException(504, f"this took longer than {timeout_s:.0f} s")
