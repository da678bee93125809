"""Lines in front of threads: work that takes the processor leaves the event loop, and no line grows without bound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from starlette.exceptions import HTTPException

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Line:
    """Threads with a bounded line in front of them.

    Parameters
    ----------
    n_threads : int
        How many calls run at once.
    n_places : int
        How many calls may run or wait; who comes then is sent away with 503.
    limit_s : float
        How long a call may wait and run, in seconds; its caller then gets 504.
    """

    def __init__(self, n_threads: int, n_places: int, limit_s: float) -> None:
        self._threads = ThreadPoolExecutor(n_threads)
        self._n_places = n_places
        self._limit_s = limit_s
        self._n_taken = 0

    async def run(self, call: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        """Call a function in a thread.

        Parameters
        ----------
        call : callable
            The function.
        *args, **kwargs
            What it is called with.

        Returns
        -------
        object
            What it returns.

        Raises
        ------
        HTTPException
            The line is full (503), or the time is up (504).
        """
        if self._n_taken >= self._n_places:
            raise HTTPException(503, "the server is busy; ask again in a second", {"Retry-After": "1"})
        self._n_taken += 1
        future = self._threads.submit(partial(call, *args, **kwargs))
        loop = asyncio.get_running_loop()
        # A place is free when the work is over, not when its caller has lost patience.
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._limit_s)
        except TimeoutError as error:
            raise HTTPException(504, f"this took longer than {self._limit_s:.0f} s") from error

    def _leave(self) -> None:
        self._n_taken -= 1

    def close(self) -> None:
        """Let what runs come to its end, and forget what waits."""
        self._threads.shutdown(wait=True, cancel_futures=True)
