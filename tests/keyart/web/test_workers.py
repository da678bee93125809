"""Worker pools and the micro-batcher."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time

import pytest

pytest.importorskip("fastapi")

from starlette.exceptions import HTTPException

from keyart.web.workers import MicroBatcher, WorkerPool, _in_time


def test_full_pool_answers_503_until_a_call_ends() -> None:
    async def scenario() -> None:
        workers, open_ = WorkerPool(1, 2, 30), threading.Event()
        waiting = [asyncio.create_task(workers.run(open_.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(HTTPException) as refused:
            await workers.run(int)
        assert refused.value.status_code == 503
        assert refused.value.headers == {"Retry-After": "1"}
        open_.set()
        assert await asyncio.gather(*waiting) == [True, True]
        await asyncio.sleep(0)
        assert await workers.run(int) == 0
        workers.close()

    asyncio.run(scenario())


def test_timed_out_call_is_pending_until_it_ends() -> None:
    async def scenario() -> None:
        workers, begun, open_ = WorkerPool(1, 1, 0.01), threading.Event(), threading.Event()

        def wait() -> bool:
            begun.set()
            return open_.wait(60)

        # On a busy machine, the time may be up before a thread begins.
        while not begun.is_set():
            with pytest.raises(HTTPException) as late:
                await workers.run(wait)
        assert late.value.status_code == 504
        with pytest.raises(HTTPException) as refused:
            await workers.run(int)
        assert refused.value.status_code == 503
        open_.set()
        workers.close()

    asyncio.run(scenario())


def test_a_call_that_has_not_begun_in_time_may_be_sent_again() -> None:
    async def scenario() -> None:
        workers, open_ = WorkerPool(1, 3, 0.05), threading.Event()
        first = asyncio.create_task(workers.run(open_.wait, 60))
        await asyncio.sleep(0)
        seen: list[int] = []
        with pytest.raises(HTTPException) as late:
            await workers.run(seen.append, 1)
        assert (late.value.status_code, late.value.headers) == (503, {"Retry-After": "1"})
        open_.set()
        await asyncio.gather(first, return_exceptions=True)
        workers.close()
        assert not seen

    asyncio.run(scenario())


def test_what_began_late_has_its_whole_time() -> None:
    async def scenario() -> None:
        late: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        # Asked for when the time to wait is over.
        begun: list[float] = []

        def began_at() -> float:
            begun.append(time.monotonic())
            return begun[0] + 60

        waiting = asyncio.create_task(_in_time(late, 0.01, began_at))
        while not begun:
            await asyncio.sleep(0.01)
        late.set_result(7)
        assert await waiting == 7
        never: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        with pytest.raises(HTTPException) as refused:
            await _in_time(never, 0.01, lambda: None)
        assert refused.value.status_code == 503
        assert never.cancelled()

    asyncio.run(scenario())


def test_waiting_items_are_processed_in_batches() -> None:
    async def scenario() -> None:
        batches: list[list[int]] = []
        open_ = threading.Event()

        def doubled(items: list[int]) -> list[int]:
            open_.wait(60)
            batches.append(items)
            return [2 * item for item in items]

        workers = MicroBatcher(doubled, max_batch=3, max_pending=6, timeout_s=30)
        first = asyncio.create_task(workers.run(0))
        while not workers._n_running:
            await asyncio.sleep(0)
        others = [asyncio.create_task(workers.run(item)) for item in range(1, 6)]
        await asyncio.sleep(0)
        with pytest.raises(HTTPException) as refused:
            await workers.run(6)
        assert (refused.value.status_code, refused.value.headers) == (503, {"Retry-After": "1"})
        open_.set()
        assert await asyncio.gather(first, *others) == [0, 2, 4, 6, 8, 10]
        assert batches == [[0], [1, 2, 3], [4, 5]]
        assert await workers.run(7) == 14
        workers.close()

    asyncio.run(scenario())


def test_error_reaches_its_callers_and_the_batcher_goes_on() -> None:
    async def scenario() -> None:
        def inverted(items: list[float]) -> list[float]:
            return [1 / item for item in items]

        workers = MicroBatcher(inverted, max_batch=3, max_pending=6, timeout_s=30)
        with pytest.raises(ZeroDivisionError):
            await workers.run(0)
        assert await workers.run(4) == 0.25
        workers.close()

    asyncio.run(scenario())


def test_timed_out_items_are_not_processed() -> None:
    async def scenario() -> None:
        seen: list[str] = []
        open_ = threading.Event()

        def look(items: list[str]) -> list[str]:
            open_.wait(60)
            seen.extend(items)
            return items

        workers = MicroBatcher(look, max_batch=1, max_pending=6, timeout_s=0.01)
        patient = asyncio.create_task(workers.run("in work"))
        while not workers._n_running:
            await asyncio.sleep(0)
        with pytest.raises(HTTPException) as late:
            await workers.run("waits")
        assert late.value.status_code == 503
        with pytest.raises(HTTPException) as slow:
            await patient
        assert slow.value.status_code == 504
        open_.set()
        while workers._task is not None:
            await asyncio.sleep(0)
        assert seen == ["in work"]
        workers.close()

    asyncio.run(scenario())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priorities of their own")
def test_threads_that_yield_let_others_go_first() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def of_its_thread() -> int:
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.append(niceness()))
        thread.start()
        thread.join()
        return found[0]

    async def scenario() -> None:
        quick, slow = WorkerPool(1, 4, 30), WorkerPool(1, 4, 30, yields=True)
        batches = MicroBatcher(lambda items: [niceness() for _ in items], 1, 1, 30)
        first = niceness()
        assert await quick.run(niceness) == first
        assert await slow.run(niceness) > first
        assert await slow.run(of_its_thread) > first
        assert await batches.run(0) > first
        assert niceness() == first
        for one in (quick, slow, batches):
            one.close()

    asyncio.run(scenario())
