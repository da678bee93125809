"""A fake TMDB on the loopback: API and image host in one HTTP server, with faults to inject."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

from tests.posters.pictures import declare_png, draw_blank, draw_poster

V3_KEY = "0123456789abcdef0123456789abcdef"
V4_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJhdWQiOiJrZXlhcnQifQ.c2lnbmF0dXJl_-"
SIZES = ("w92", "w154", "w185", "w342", "w500", "w780", "original")


class Fault(Enum):
    """A fault to inject into a request."""

    TOO_MANY = "429 with Retry-After: 0"
    TOO_MANY_DATE = "429 with a date that has passed"
    TOO_MANY_BARE = "429 without Retry-After"
    TOO_MANY_WAIT = "429 with Retry-After: 1"
    SERVER_ERROR = "500"
    OVERLOADED = "503"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    NESTED = "brackets, 200,000 deep"
    TOO_MANY_ODD = "429 with a date in a zone of years"
    REDIRECT = "302 to another host"
    TRUNCATED = "a body that breaks off"
    RESET = "a connection that is reset"
    STALL = "silence, until the client has gone"
    HTML = "a web page with status 200"
    HTML_AS_IMAGE = "a web page that says it is a JPEG"
    PIXEL = "an image of one pixel"
    CUT_IMAGE = "half an image, of the length that is promised"
    SHORT_LENGTH = "a whole body, and half its length promised"
    BOMB = "a PNG that declares 60,000 x 60,000 pixels"
    BLANK = "a picture of one color"
    DRIP = "a byte now and then, until the client has gone"


@dataclass(frozen=True)
class Request:
    """A received request."""

    path: str
    query: dict[str, str]
    authorization: str | None
    at_s: float


@dataclass
class _Library:
    films: dict[int, dict[str, Any]] = field(default_factory=dict)
    by_imdb: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)
    images: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    posters: defaultdict[int, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))


class TmdbServer:
    """A fake TMDB that runs inside a ``with`` block.

    >>> with TmdbServer() as server:
    ...     server.add_film(949, imdb_id="0113277")
    ...     server.inject("/3/movie/949", Fault.TOO_MANY)
    ...     TmdbClient(V3_KEY, server.base_url, backoff_s=0)
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._library = _Library()
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._lasting: dict[str, Fault] = {}
        self._rule: Callable[[Request], Fault | None] | None = None
        self._stopping = threading.Event()
        self._http: _Server | None = None
        self.image_base_url: str | None = None
        self.n_connections = 0
        self._counting = threading.Lock()

    def __enter__(self) -> TmdbServer:
        self.come_back()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self.go_away()

    def go_away(self) -> None:
        """Break all connections and accept no more, as if the network were down."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self._http.break_connections()

    def come_back(self) -> None:
        """Listen again at the same address."""
        self._http = _Server(self, self._http.server_port if self._http else 0)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def base_url(self) -> str:
        """The value for KEYART_TMDB_URL."""
        return f"{self.address}/3"

    def add_film(self, tmdb_id: int, image: bytes | None = b"", *, imdb_id: str | None = None) -> str | None:
        """Add a film, by default with a drawn poster, with None without one; return its poster_path."""
        poster_path = None if image is None else f"/poster{tmdb_id}.jpg"
        if poster_path:
            self._library.images[poster_path] = image or draw_poster(tmdb_id)
        film = {"id": tmdb_id, "title": f"Film {tmdb_id}", "poster_path": poster_path}
        self._library.films[tmdb_id] = film | {"imdb_id": imdb_id and f"tt{imdb_id}"}
        if imdb_id:
            self._library.by_imdb[imdb_id] = {"movie_results": [film], "tv_results": []}
        return poster_path

    def add_poster(self, tmdb_id: int, language: str | None, vote_average: float = 0.0, vote_count: int = 0) -> str:
        """Add a poster to those that a film lists; return its path."""
        listed = self._library.posters[tmdb_id]
        path = f"/{language}{len(listed)}-{tmdb_id}.jpg"
        self._library.images[path] = draw_poster(1000 * tmdb_id + len(listed))
        votes = {"vote_average": vote_average, "vote_count": vote_count}
        listed.append({"file_path": path, "iso_639_1": language, **votes, "width": 1000, "height": 1500})
        return path

    def add_series(self, tmdb_id: int, imdb_id: str) -> None:
        """Add a television series, which is no film."""
        series = {"id": tmdb_id, "name": f"Series {tmdb_id}", "poster_path": "/series.jpg"}
        self._library.by_imdb[imdb_id] = {"movie_results": [], "tv_results": [series]}

    def forget(self, tmdb_id: int) -> None:
        """Answer 404 for a tmdb_id from now on; /find by its imdb_id still works."""
        del self._library.films[tmdb_id]

    def change(self, tmdb_id: int, **fields: Any) -> None:
        """Set fields of a film in the API's answers, also to invalid values."""
        self._library.films[tmdb_id].update(fields)

    def add_file(self, path: str, content: bytes) -> str:
        """Serve a file; return its address."""
        self._library.files[path] = content
        return self.address + path

    def image(self, tmdb_id: int) -> bytes:
        return self._library.images[f"/poster{tmdb_id}.jpg"]

    def inject(self, path: str, *faults: Fault, lasting: bool = False) -> None:
        """Answer the next requests for a path with these faults in turn, or, if lasting, all with one."""
        if lasting:
            (self._lasting[path],) = faults
        else:
            self._faults[path].extend(faults)

    def set_rule(self, rule: Callable[[Request], Fault | None] | None) -> None:
        """Answer every request with the fault that a function returns, if it returns one."""
        self._rule = rule

    def paths(self, beginning: str = "") -> list[str]:
        """The requested paths, in the order of arrival."""
        return [request.path for request in self.requests if request.path.startswith(beginning)]

    def wait_until_idle(self) -> None:
        """Wait until all requests of clients that have ended are counted."""
        # Connections are accepted in turn: once this one is answered, all before it are counted.
        with urlopen(self.add_file("/idle", b"")) as answer:
            answer.read()
        while self.n_connections:
            time.sleep(0.001)

    # Used by the request handler.

    def count_connection(self, change: int) -> None:
        with self._counting:
            self.n_connections += change

    def take_fault(self, request: Request) -> Fault | None:
        with self._counting:
            if self._faults[request.path]:
                return self._faults[request.path].popleft()
            return self._rule(request) if self._rule else self._lasting.get(request.path)

    def wait_for_stop(self, timeout_s: float = 5.0) -> bool:
        return self._stopping.wait(timeout_s)

    def answer(self, request: Request) -> tuple[int, str, bytes]:
        if request.path.startswith("/t/p/"):
            return self._answer_image(request)
        if request.path in self._library.files:
            return 200, "application/octet-stream", self._library.files[request.path]
        if request.query.get("api_key") != V3_KEY and f"Bearer {V4_TOKEN}" != request.authorization:
            return _json(401, {"status_code": 7, "status_message": "Invalid API key"})
        content = self._content(request)
        return _json(200, content) if content is not None else _json(404, {"status_code": 34})

    def _content(self, request: Request) -> Any:
        match request.path.split("/")[2:]:
            case ["configuration"]:
                base_url = f"{self.address}/t/p/" if self.image_base_url is None else self.image_base_url
                return {"images": {"secure_base_url": base_url, "poster_sizes": list(SIZES)}}
            case ["movie", tmdb_id]:
                return self._film(int(tmdb_id), request.query)
            case ["find", imdb_id] if request.query.get("external_source") == "imdb_id":
                nothing: dict[str, Any] = {"movie_results": [], "tv_results": []}
                return self._library.by_imdb.get(imdb_id.removeprefix("tt"), nothing)
        return None

    def _film(self, tmdb_id: int, query: dict[str, str]) -> dict[str, Any] | None:
        film = self._library.films.get(tmdb_id)
        if film is None or query.get("append_to_response") != "images":
            return film
        languages = query["include_image_language"].split(",")
        posters = [poster for poster in self._library.posters[tmdb_id] if (poster["iso_639_1"] or "null") in languages]
        return film | {"images": {"backdrops": [], "posters": posters}}

    def _answer_image(self, request: Request) -> tuple[int, str, bytes]:
        _, _, _, size, name = request.path.split("/")
        image = self._library.images.get(f"/{name}")
        if image is None or size not in SIZES:
            return 404, "text/html", b"<h1>File Not Found</h1>"
        return 200, "image/jpeg", image


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, tmdb: TmdbServer, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.tmdb = tmdb
        self._open: set[socket.socket] = set()

    def break_connections(self) -> None:
        for connection in tuple(self._open):
            # It may have been closed in the meantime.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        self.tmdb.count_connection(1)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)
        self.tmdb.count_connection(-1)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that disconnect are expected."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 5
    server: _Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        request = Request(parts.path, query, self.headers.get("Authorization"), time.monotonic())
        self.server.tmdb.requests.append(request)
        fault = self.server.tmdb.take_fault(request)
        if fault is None:
            self._send(*self.server.tmdb.answer(request))
        else:
            self._misbehave(fault, request)

    def log_message(self, *args: Any) -> None:
        """Requests are recorded in `TmdbServer.requests`, not printed."""

    def _send(self, status: int, content_type: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", headers.pop("length", str(len(body))))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _misbehave(self, fault: Fault, request: Request) -> None:
        status, content_type, body = self.server.tmdb.answer(request)
        match fault:
            case Fault.TOO_MANY:
                self._send(429, "application/json", b"{}", Retry_After="0")
            case Fault.TOO_MANY_DATE:
                self._send(429, "application/json", b"{}", Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")
            case Fault.TOO_MANY_BARE:
                self._send(429, "application/json", b"{}")
            case Fault.TOO_MANY_WAIT:
                self._send(429, "application/json", b"{}", Retry_After="1")
            case Fault.OVERLOADED:
                self._send(503, "text/html", b"<h1>Over capacity</h1>")
            case Fault.SERVER_ERROR:
                self._send(500, "text/html", b"<h1>Internal error</h1>")
            case Fault.UNAUTHORIZED:
                self._send(*_json(401, {"status_code": 7}))
            case Fault.FORBIDDEN:
                self._send(403, "text/html", b"<h1>Forbidden</h1>")
            case Fault.NESTED:
                self._send(200, "application/json", b"[" * 200_000)
            case Fault.TOO_MANY_ODD:
                zone = "+99999999999999999999"
                self._send(429, "application/json", b"{}", Retry_After=f"Wed, 21 Oct 2015 07:28:00 {zone}")
            case Fault.REDIRECT:
                self._send(302, "text/html", b"", Location="http://localhost:9/elsewhere")
            case Fault.TRUNCATED:
                self._send(status, content_type, body[: len(body) // 2], length=str(len(body)))
                self.close_connection = True
            case Fault.RESET:
                # Lingering for no time makes the system send a reset instead of an orderly end.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
            case Fault.STALL:
                self.server.tmdb.wait_for_stop()
                self.close_connection = True
            case Fault.HTML:
                # Repeats the requested path, as error pages do.
                self._send(200, "text/html", b"<!DOCTYPE html><p>Log in to see " + self.path.encode())
            case Fault.HTML_AS_IMAGE:
                self._send(200, "image/jpeg", b"<!DOCTYPE html><p>Log in")
            case Fault.PIXEL:
                self._send(200, "image/png", draw_poster(0, "PNG", (1, 1)))
            case Fault.CUT_IMAGE:
                self._send(200, content_type, body[: len(body) // 2])
            case Fault.SHORT_LENGTH:
                self._send(200, content_type, body, length=str(len(body) // 2))
                self.close_connection = True
            case Fault.BOMB:
                self._send(200, "image/png", declare_png(60_000, 60_000))
            case Fault.BLANK:
                self._send(200, "image/jpeg", draw_blank())
            case Fault.DRIP:
                self._send(200, content_type, b"", length="1000000")
                while not self.server.tmdb.wait_for_stop(0.01):
                    self.wfile.write(b"x")


def _json(status: int, content: Any) -> tuple[int, str, bytes]:
    return status, "application/json;charset=utf-8", json.dumps(content).encode()
