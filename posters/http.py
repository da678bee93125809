"""One polite GET: a pace that is kept, connections that stay open, retries with back-off, failures in plain words.

requests finds the way out (proxies and certificates, from the environment), once for each host; what is sent goes
straight to urllib3's pool of connections below it, which costs a third of the time that a session takes for cookies,
redirects and for looking at the environment again.

An API key may travel in the address of a request, and urllib3 puts addresses into its errors and log records. Nothing
of it therefore leaves this module: an error is worded anew, outside the handler that caught it, and its loggers are
held to silence about keys. May import `catalog` only.
"""

from __future__ import annotations

import logging
import math
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import cast
from urllib.parse import urlencode, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    IncompleteRead,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from catalog.errors import FetchError
from posters.rate_limit import Pace, Turn

logger = logging.getLogger(__name__)

N_CONNECTIONS = 20
"""What TMDB allows one address to hold open."""

PATIENCE_S = 300.0
"""How long a server that was there may be out of reach: as long as it takes to start a router anew."""

_RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
_MAX_PAUSE_S = 60.0
# A server may well mean minutes; a date in the next century is a mistake.
_MAX_RETRY_AFTER_S = 600.0
# What a body may still take once the run is being ended, so that the end is near whatever the server does.
_GRACE_S = 5.0
_CHUNK_BYTES = 1 << 16

# Compressed bodies would hide how long they are, and posters are compressed already.
_HEADERS = {"User-Agent": "keyart", "Accept-Encoding": "identity"}

_KEY = re.compile(r"(api_key=)[^&\s'\"]+")
# A filter is asked only about what is logged under the very name that it was given to.
_TALKATIVE = ("urllib3.connection", "urllib3.connectionpool", "urllib3.poolmanager", "urllib3.util.retry")


class UnavailableError(FetchError):
    """Says that a whole service refuses or cannot be reached: asking on would fail for every film alike."""


@dataclass(frozen=True)
class Answer:
    """What a server answered, whole."""

    status: int
    content_type: str
    content: bytes


@dataclass(frozen=True)
class _Trouble:
    """One try that went wrong, and whether it may go better the next time."""

    reason: str
    unreachable: bool = False
    absent: bool = False
    passing: bool = True


class Transport:
    """Asks one server, again where it is worth it; may be used from several threads."""

    def __init__(
        self,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        pace: Pace | None = None,
        timeout_s: float = 10.0,
        total_s: float = 60.0,
        max_bytes: int = 64 << 20,
        n_retries: int = 6,
        patience_s: float = PATIENCE_S,
        backoff_s: float = 0.5,
        n_connections: int = N_CONNECTIONS,
    ) -> None:
        for name in _TALKATIVE:
            # Adding the same filter again changes nothing.
            logging.getLogger(name).addFilter(_key_filter)
        self.pace = pace or Pace()
        self._params = dict(params or {})
        self._headers = _HEADERS | dict(headers or {})
        self._timeout_s = timeout_s
        self._total_s = total_s
        self._max_bytes = max_bytes
        self._n_retries = n_retries
        self._patience_s = patience_s
        self._backoff_s = backoff_s
        self._adapter = HTTPAdapter(pool_connections=1, pool_maxsize=n_connections, pool_block=True)
        self._pools: dict[str, HTTPConnectionPool] = {}
        self._interrupted_s = math.inf
        # When the server last answered anything.
        self._heard_s = -math.inf

    def get(self, url: str, params: Mapping[str, str] | None = None) -> Answer:
        """Ask for one address until the server gives an answer that counts."""
        tries = _Tries()
        while True:
            pause_s = self._pause_s(tries.n_all + 1)
            result = self._attempt(url, params, pause_s)
            if isinstance(result, Answer):
                return result
            tries.count(result, was_reached=self._was_reached)
            host = urlsplit(url).hostname or url
            logger.debug("%s: %s (try %d)", host, result.reason, tries.n_all)
            if not self._is_worth_another(result, tries):
                # While others hear of the server, it is there, and this is one request's matter.
                gone = result.unreachable and time.monotonic() >= self._heard_s + self._patience_s
                raise _error(host, result, tries.n_all, gone=gone)
            self.pace.rest(pause_s)

    def interrupt(self) -> None:
        """End all pauses, now and from now on: only what is on its way is waited for, and not for long."""
        self._interrupted_s = min(self._interrupted_s, time.monotonic())
        self.pace.interrupt()

    def close(self) -> None:
        """Close all connections."""
        self._adapter.close()

    def _attempt(self, url: str, params: Mapping[str, str] | None, pause_s: float) -> Answer | _Trouble:
        """Try once; should the server ask for less, everyone pauses as long as it says, or else `pause_s`."""
        pool, target = self._pool(url), self._target(url, params)
        turn = self.pace.take()
        began_s = time.monotonic()
        try:
            response = self._send(pool, target)
        except HTTPError as error:
            return self._trouble(error)
        self._heard_s = time.monotonic()
        try:
            if response.status in _RETRIED_STATUSES:
                self._obey(response, turn, pause_s)
                return _Trouble(f"HTTP {response.status}")
            return self._answer(response, began_s)
        except HTTPError as error:
            return self._trouble(error)
        finally:
            # A connection whose answer was read to its end is back in the pool already, and stays open. Any other is
            # closed, and its place in the pool given back.
            response.close()
            response.release_conn()

    def _send(self, pool: HTTPConnectionPool, target: str) -> BaseHTTPResponse:
        try:
            return pool.urlopen(
                "GET",
                target,
                headers=self._headers,
                redirect=False,
                # Of a proxy, another host's address is asked for.
                assert_same_host=False,
                retries=False,
                timeout=self._timeout_s,
                preload_content=False,
            )
        finally:
            self.pace.give_back()

    def _target(self, url: str, params: Mapping[str, str] | None) -> str:
        query = urlencode({**(params or {}), **self._params})
        parts = urlsplit(url)
        # A proxy is told the whole address, unless it is to let TLS through.
        place = url if parts.scheme == "http" and self._pool(url).proxy else parts.path
        return f"{place}?{query}" if query else place

    def _pool(self, url: str) -> HTTPConnectionPool:
        """Give the connections to a host, by the proxies and certificates that the environment wants for it."""
        host = urlsplit(url).netloc
        if host not in self._pools:
            with requests.Session() as session:
                way = session.merge_environment_settings(url, {}, None, None, None)
            request = requests.Request("GET", url).prepare()
            pool = self._adapter.get_connection_with_tls_context(request, way["verify"], way["proxies"], way["cert"])
            # For http and https it is never a plain ConnectionPool, which is what the types say.
            self._pools[host] = cast(HTTPConnectionPool, pool)
        return self._pools[host]

    def _obey(self, response: BaseHTTPResponse, turn: Turn, pause_s: float) -> None:
        retry_after_s = min(_retry_after_s(response.headers.get("Retry-After", "")), _MAX_RETRY_AFTER_S)
        if response.status == 429 or retry_after_s > 0:
            self.pace.slow_down(turn, retry_after_s if retry_after_s > 0 else pause_s)

    def _answer(self, response: BaseHTTPResponse, began_s: float) -> Answer | _Trouble:
        """Read the body, but neither too much of it nor for too long."""
        parts: list[bytes] = []
        n_bytes = 0
        # What is there, not what was asked for: that could take for ever.
        while part := response.read1(_CHUNK_BYTES):
            parts.append(part)
            n_bytes += len(part)
            if n_bytes > self._max_bytes:
                return _Trouble(f"expected at most {self._max_bytes >> 20} MiB, received more", passing=False)
            if time.monotonic() > min(began_s + self._total_s, self._interrupted_s + _GRACE_S):
                return _Trouble(f"no whole answer within {self._total_s:g} s")
        # There is nothing left; this is how urllib3 comes to know, and keeps the connection open.
        response.read()
        content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return Answer(response.status, content_type, b"".join(parts))

    def _pause_s(self, n_tries: int) -> float:
        # Spread, so that threads which failed together do not come back together.
        pause_s = self._backoff_s * 2.0 ** min(n_tries - 1, 64) * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
        return min(pause_s, _MAX_PAUSE_S)

    @property
    def _was_reached(self) -> bool:
        return self._heard_s > -math.inf

    def _is_worth_another(self, trouble: _Trouble, tries: _Tries) -> bool:
        if trouble.unreachable and self._was_reached:
            # It will come back.
            return time.monotonic() < tries.lost_s + self._patience_s
        # A server that never answered is misspelt or cut off, and is reported at once.
        return trouble.passing and not trouble.absent and tries.n_counted <= self._n_retries

    def _trouble(self, error: HTTPError) -> _Trouble:
        absent = isinstance(error, NewConnectionError | SSLError | ProxyError)
        slow = isinstance(error, ConnectTimeoutError)
        return _Trouble(_words(error, self._timeout_s), unreachable=absent or slow, absent=absent)


@dataclass
class _Tries:
    """How often one request was tried."""

    n_all: int = 0
    # Without those that could not be sent.
    n_counted: int = 0
    # Since when the server, which had answered before, is out of reach.
    lost_s: float = math.inf

    def count(self, trouble: _Trouble, *, was_reached: bool) -> None:
        """Count a try that went wrong."""
        self.n_all += 1
        if trouble.unreachable and was_reached:
            self.lost_s = min(self.lost_s, time.monotonic())
        else:
            self.n_counted += 1
            self.lost_s = math.inf


class _KeyFilter(logging.Filter):
    """Blanks keys in log records."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _KEY.sub(r"\1***", record.getMessage()), ()
        return True


_key_filter = _KeyFilter()


def _error(host: str, trouble: _Trouble, n_tries: int, *, gone: bool) -> FetchError:
    if gone:
        return UnavailableError(
            f"cannot reach {host}: {trouble.reason}; check the network (and the proxy, if there is one), "
            "then run the same command again"
        )
    return FetchError(
        f"{host}: {trouble.reason}, after {n_tries} tries" if n_tries > 1 else f"{host}: {trouble.reason}"
    )


def _words(error: HTTPError, timeout_s: float) -> str:
    """Say what went wrong without quoting the error, which may hold an address and with it a key."""
    # It counts as a timeout to urllib3, and is anything but one: nobody listens, or the name is not known.
    if isinstance(error, NewConnectionError):
        return "no connection"
    if isinstance(error, ReadTimeoutError | ConnectTimeoutError):
        return f"no answer within {timeout_s:g} s"
    if isinstance(error, SSLError):
        return "no secure connection (TLS)"
    if isinstance(error, ProxyError):
        return "the proxy does not answer"
    if any(isinstance(cause, IncompleteRead) for cause in (error, *error.args)):
        return "the answer broke off"
    return "the connection broke"


def _retry_after_s(text: str) -> float:
    """Read a ``Retry-After`` header, seconds or a date; 0 where it says nothing that can be read."""
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        return ((date if date.tzinfo else date.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):  # no date; or none that a calendar holds, as in the year 1 or a zone of years
        return 0.0
