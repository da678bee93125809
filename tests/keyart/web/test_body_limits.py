"""Limits on uploads from slow and greedy clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

pytest.importorskip("fastapi")

from starlette.exceptions import HTTPException

from keyart.web.body_limits import MAX_UPLOAD_BYTES, Uploads


class Sender:
    """A request whose body ends when `let_go` is set."""

    def __init__(self, parts: list[bytes]) -> None:
        self.parts, self.let_go = parts, asyncio.Event()

    async def stream(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part
        await self.let_go.wait()


def status_of(uploads: Uploads, sender: Sender) -> int:
    with pytest.raises(HTTPException) as refused:
        asyncio.run(uploads.read(sender))  # type: ignore[arg-type]
    return refused.value.status_code


def test_slow_upload_times_out() -> None:
    assert status_of(Uploads(timeout_s=0.01), Sender([b"GIF89a"])) == 408


def test_upload_over_the_limit_is_refused() -> None:
    assert status_of(Uploads(), Sender([bytes(MAX_UPLOAD_BYTES), b"!"])) == 413


def test_concurrent_uploads_are_limited() -> None:
    async def scenario() -> None:
        uploads = Uploads(max_concurrent=2)
        senders = [Sender([b"a", b"b"]), Sender([b"c"]), Sender([b"d"])]
        waiting = [asyncio.create_task(uploads.read(sender)) for sender in senders[:2]]  # type: ignore[arg-type]
        await asyncio.sleep(0)
        with pytest.raises(HTTPException) as refused:
            await uploads.read(senders[2])  # type: ignore[arg-type]
        assert (refused.value.status_code, refused.value.headers) == (503, {"Retry-After": "1"})
        for sender in senders:
            sender.let_go.set()
        assert await asyncio.gather(*waiting) == [b"ab", b"c"]
        assert await uploads.read(senders[2]) == b"d"  # type: ignore[arg-type]

    asyncio.run(scenario())
