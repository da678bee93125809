"""Lines in front of threads."""

from __future__ import annotations

import asyncio
import threading

import pytest

pytest.importorskip("fastapi")

from starlette.exceptions import HTTPException

from keyart.web.lines import Line


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
