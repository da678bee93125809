"""Clients that hold connections cannot stop the server, and cannot fill its log."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

pytest.importorskip("fastapi")

from keyart.web.connections import ConnectionLimits
from tests.keyart.web.conftest import _SERVERS, eventually, serving
from tests.keyart.web.test_serve_command import SERVE
from tests.test_layers import ROOT

pytestmark = pytest.mark.heavy

Connect = Callable[..., socket.socket]

NEEDS_ULIMIT = pytest.mark.skipif(sys.platform == "win32", reason="sets the limit of open files")
_PATIENCE_S = 60
_HALF_A_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connect to a server and send something; the socket is closed after the test."""
    with ExitStack() as stack:

        def connected(url: str, content: bytes = b"", receive_buffer: int | None = None) -> socket.socket:
            client = stack.enter_context(socket.socket())
            if receive_buffer is not None:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            client.settimeout(_PATIENCE_S)
            client.connect((urlsplit(url).hostname, urlsplit(url).port))
            client.sendall(content)
            return client

        yield connected


def is_healthy(url: str) -> bool:
    return requests.get(f"{url}/healthz", timeout=_PATIENCE_S).status_code == 200


def is_closed(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def connections(url: str) -> set[Any]:
    held: set[Any] = _SERVERS[url].server_state.connections
    return held


@pytest.mark.parametrize("content", [b"", b"G", _HALF_A_REQUEST, _HALF_A_REQUEST + b"X: 1\r\n" * 100])
def test_client_that_sends_no_whole_request_is_dropped(home: Path, connect: Connect, content: bytes) -> None:
    with serving(home, limits=ConnectionLimits(request_s=0.2)) as url:
        assert is_closed(connect(url, content))
        assert is_healthy(url)


def test_what_is_no_request_is_refused_before_its_last_byte_is_read(home: Path, connect: Connect) -> None:
    body = b"x" * 4_000_000
    with serving(home, limits=ConnectionLimits(request_s=2)) as url:
        head = b"POST /api/films?title=" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        client = connect(url, head + b"Content-Length: %d\r\n\r\n" % len(body))
        client.sendall(body)
        answer = b""
        while part := client.recv(65_536):
            answer += part
        assert answer.startswith(b"HTTP/1.1 400 ")
        content = answer.partition(b"\r\n\r\n")[2]
        assert json.loads(content)["detail"].endswith("at most 64 KiB of address and headers")
        assert f"Content-Length: {len(content)}".encode() in answer
        # Whoever goes on sending is dropped in time.
        eventually(lambda: len(connections(url)), lambda n: n == 0)
        assert is_healthy(url)


def test_bytes_now_and_then_gain_no_time(home: Path, connect: Connect) -> None:
    with serving(home, limits=ConnectionLimits(request_s=0.2)) as url:
        client = connect(url, _HALF_A_REQUEST)
        client.settimeout(0.05)
        with pytest.raises(OSError, match=r"reset|Broken pipe"):  # noqa: PT012
            for _ in range(1000):
                client.sendall(b"X: 1\r\n")
                try:
                    assert client.recv(1) == b""
                except TimeoutError:
                    continue


def test_body_that_nobody_reads_gains_no_time(home: Path, connect: Connect) -> None:
    with serving(home, limits=ConnectionLimits(request_s=0.2)) as url:
        client = connect(url, _HALF_A_REQUEST + b"Content-Length: 1000\r\n\r\nbody")
        assert client.recv(12) == b"HTTP/1.1 200"
        while client.recv(1 << 16):
            pass


def test_client_that_takes_no_answer_is_dropped(home: Path, connect: Connect) -> None:
    request = b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with serving(home, limits=ConnectionLimits(stall_s=0.2)) as url:
        connect(url, request * 200, receive_buffer=4096)
        eventually(lambda: len(connections(url)), lambda n_held: n_held == 1)
        eventually(lambda: len(connections(url)), lambda n_held: n_held == 0)
        assert is_healthy(url)


def test_client_over_the_limit_replaces_the_one_that_waited_longest(home: Path, connect: Connect) -> None:
    with serving(home, limits=ConnectionLimits(max_connections=4, request_s=_PATIENCE_S)) as url:
        idle = []
        for number in range(4):
            idle.append(connect(url, _HALF_A_REQUEST))
            eventually(lambda: len(connections(url)), lambda n_held, n=number + 1: n_held == n)
        assert is_healthy(url)
        assert is_closed(idle[0])
        for client in idle[1:]:
            client.sendall(b"Connection: close\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"


def test_connection_is_refused_while_all_others_are_answered(home: Path, connect: Connect) -> None:
    post = b"POST /api/films/similar HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    with serving(home, limits=ConnectionLimits(max_connections=1)) as url:
        busy = connect(url, post + b"Content-Length: 20\r\n\r\n")
        eventually(lambda: [one.cycle is not None for one in connections(url)], lambda busy: busy == [True])
        (held,) = connections(url)
        # As if its answer took long.
        held.cycle.more_body = False
        assert requests.get(f"{url}/healthz", timeout=_PATIENCE_S).status_code == 503
        held.cycle.more_body = True
        busy.sendall(b'{"films": [1, 2234]}')
        assert busy.recv(12) == b"HTTP/1.1 200"


@contextmanager
def with_few_descriptors(n_descriptors: int, command: Sequence[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a server of few open files, which prints its address; give both."""
    limited = ["sh", "-c", f'ulimit -n {n_descriptors}; exec "$@"', "sh", *command]
    with subprocess.Popen(limited, stderr=subprocess.PIPE, cwd=ROOT, text=True) as server:
        try:
            assert server.stderr is not None
            yield server, next(line for line in server.stderr if line.startswith("http://")).split()[0].rstrip("/")
        finally:
            server.kill()


def log_of(server: subprocess.Popen[str]) -> str:
    """End a server, and return what it logged since it printed its address."""
    server.terminate()
    assert server.stderr is not None
    return server.stderr.read()


@NEEDS_ULIMIT
def test_many_idle_clients_neither_stop_the_server_nor_fill_its_log(home: Path, connect: Connect) -> None:
    with with_few_descriptors(256, [*SERVE, "--home", str(home)]) as (server, url):
        for _ in range(300):
            connect(url)
        for _ in range(3):
            assert is_healthy(url)
        assert requests.get(f"{url}/api/genres", timeout=_PATIENCE_S).json() == ["Comedy", "Drama"]
        assert len(log_of(server)) < 2000


_SERVER_THAT_MISCOUNTS = """
import logging, sys
from fastapi import FastAPI
from keyart.web.address import listen, url
from keyart.web.connections import ConnectionLimits
from keyart.web.log_limit import limit_logs
from keyart.web.server import make_server
logging.basicConfig()
limit_logs()
app, listener = FastAPI(), listen("127.0.0.1", 0)
app.get("/healthz")(lambda: "ok")
print(url("127.0.0.1", listener), file=sys.stderr, flush=True)
make_server(app, lambda: None, ConnectionLimits(max_connections=1000)).run([listener])
"""


@NEEDS_ULIMIT
def test_server_goes_on_when_no_descriptor_is_free(connect: Connect) -> None:
    with with_few_descriptors(64, [sys.executable, "-c", _SERVER_THAT_MISCOUNTS]) as (server, url):
        for _ in range(200):
            connect(url)
        assert is_healthy(url)
        log = log_of(server)
        assert "no file descriptor is free" in log
        assert len(log) < 2000
