"""Lines in front of threads."""

from __future__ import annotations

import asyncio
import threading

import pytest

pytest.importorskip("fastapi")

from starlette.exceptions import HTTPException

from keyart.web.workers import BatchLine, Line


def test_who_comes_to_a_full_line_is_sent_away_and_may_come_again() -> None:
    async def scenario() -> None:
        line, open_ = Line(1, 2, 30), threading.Event()
        waiting = [asyncio.create_task(line.run(open_.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(HTTPException) as refused:
            await line.run(int)
        assert refused.value.status_code == 503
        assert refused.value.headers == {"Retry-After": "1"}
        open_.set()
        assert await asyncio.gather(*waiting) == [True, True]
        await asyncio.sleep(0)
        assert await line.run(int) == 0
        line.close()

    asyncio.run(scenario())


def test_what_takes_too_long_keeps_its_place_until_it_ends() -> None:
    async def scenario() -> None:
        line, open_ = Line(1, 1, 0.01), threading.Event()
        with pytest.raises(HTTPException) as late:
            await line.run(open_.wait)
        assert late.value.status_code == 504
        with pytest.raises(HTTPException) as refused:
            await line.run(int)
        assert refused.value.status_code == 503
        open_.set()
        line.close()

    asyncio.run(scenario())


def test_what_waits_is_answered_together() -> None:
    async def scenario() -> None:
        batches: list[list[int]] = []
        open_ = threading.Event()

        def doubled(items: list[int]) -> list[int]:
            open_.wait(30)
            batches.append(items)
            return [2 * item for item in items]

        line = BatchLine(doubled, n_together=3, n_places=6, limit_s=30)
        first = asyncio.create_task(line.run(0))
        while not line._n_in_work:
            await asyncio.sleep(0)
        others = [asyncio.create_task(line.run(item)) for item in range(1, 6)]
        await asyncio.sleep(0)
        with pytest.raises(HTTPException) as refused:
            await line.run(6)
        assert (refused.value.status_code, refused.value.headers) == (503, {"Retry-After": "1"})
        open_.set()
        assert await asyncio.gather(first, *others) == [0, 2, 4, 6, 8, 10]
        assert batches == [[0], [1, 2, 3], [4, 5]]
        assert await line.run(7) == 14
        line.close()

    asyncio.run(scenario())


def test_an_error_is_every_caller_s_and_ends_nothing() -> None:
    async def scenario() -> None:
        def inverted(items: list[float]) -> list[float]:
            return [1 / item for item in items]

        line = BatchLine(inverted, n_together=3, n_places=6, limit_s=30)
        with pytest.raises(ZeroDivisionError):
            await line.run(0)
        assert await line.run(4) == 0.25
        line.close()

    asyncio.run(scenario())


def test_who_has_lost_patience_is_not_computed_for() -> None:
    async def scenario() -> None:
        seen: list[str] = []
        open_ = threading.Event()

        def look(items: list[str]) -> list[str]:
            open_.wait(30)
            seen.extend(items)
            return items

        line = BatchLine(look, n_together=1, n_places=6, limit_s=0.01)
        patient = asyncio.create_task(line.run("in work"))
        while not line._n_in_work:
            await asyncio.sleep(0)
        with pytest.raises(HTTPException) as late:
            await line.run("waits")
        assert late.value.status_code == 504
        open_.set()
        with pytest.raises(HTTPException):
            await patient
        while line._working is not None:
            await asyncio.sleep(0)
        assert seen == ["in work"]
        line.close()

    asyncio.run(scenario())
