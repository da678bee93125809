"""The socket that the server listens on."""

from __future__ import annotations

import asyncio
import socket

import pytest

pytest.importorskip("fastapi")

from keyart.web.address import listen


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_parts_of_an_answer_are_sent_at_once(host: str) -> None:
    async def scenario() -> int:
        loop = asyncio.get_running_loop()
        accepted: asyncio.Future[int] = loop.create_future()

        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            own = writer.get_extra_info("socket")
            accepted.set_result(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = listen(host, 0)
        async with await asyncio.start_server(connected, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
            no_delay = await accepted
            writer.close()
            await writer.wait_closed()
        return no_delay

    assert asyncio.run(scenario())
