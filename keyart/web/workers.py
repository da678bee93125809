"""Lines in front of threads: work that takes the processor leaves the event loop, and no line grows without bound.

`Line` makes calls one by one, `BatchLine` makes one call of whatever waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, ParamSpec, TypeVar

from starlette.exceptions import HTTPException

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Item = TypeVar("Item")


class Line:
    """Threads with a bounded line in front of them."""

    def __init__(self, n_threads: int, n_places: int, limit_s: float) -> None:
        self._threads = ThreadPoolExecutor(n_threads)
        self._n_places = n_places
        self._limit_s = limit_s
        self._n_taken = 0

    async def run(self, call: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        """Call a function in a thread."""
        if self._n_taken >= self._n_places:
            raise _busy()
        self._n_taken += 1
        future = self._threads.submit(partial(call, *args, **kwargs))
        loop = asyncio.get_running_loop()
        # A place is free when the work is over, not when its caller has lost patience.
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._limit_s)
        except TimeoutError as error:
            raise _late(self._limit_s) from error

    def _leave(self) -> None:
        self._n_taken -= 1

    def close(self) -> None:
        """Let what runs come to its end, and forget what waits."""
        self._threads.shutdown(wait=True, cancel_futures=True)


class BatchLine(Generic[Item, Result]):
    """One thread that answers whatever waits for it together, as a network does best."""

    def __init__(
        self, call: Callable[[list[Item]], Sequence[Result]], n_together: int, n_places: int, limit_s: float
    ) -> None:
        self._call = call
        self._n_together = n_together
        self._n_places = n_places
        self._limit_s = limit_s
        self._thread = ThreadPoolExecutor(1)
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._n_in_work = 0
        self._working: asyncio.Task[None] | None = None

    async def run(self, item: Item) -> Result:
        """Have an item answered, with others if others wait."""
        if len(self._waiting) + self._n_in_work >= self._n_places:
            raise _busy()
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        try:
            return await asyncio.wait_for(answer, self._limit_s)
        except TimeoutError as error:
            raise _late(self._limit_s) from error

    async def _work(self) -> None:
        try:
            while self._waiting:
                taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._n_together))]
                # Whoever has lost patience is not computed for.
                await self._answer([(item, answer) for item, answer in taken if not answer.done()])
        finally:
            self._working = None

    async def _answer(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        if not batch:
            return
        self._n_in_work = len(batch)
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(self._thread, self._call, [item for item, _ in batch])
        except Exception as error:  # whatever it is, it is each caller's
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
        else:
            for (_, answer), result in zip(batch, results, strict=True):
                if not answer.done():
                    answer.set_result(result)
        finally:
            self._n_in_work = 0

    def close(self) -> None:
        """Let what runs come to its end, and forget what waits."""
        for _, answer in self._waiting:
            answer.cancel()
        self._waiting.clear()
        self._thread.shutdown(wait=True, cancel_futures=True)


def _busy() -> HTTPException:
    return HTTPException(503, "the server is busy; ask again in a second", {"Retry-After": "1"})


def _late(limit_s: float) -> HTTPException:
    return HTTPException(504, f"this took longer than {limit_s:.0f} s")
