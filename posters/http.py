"""Rate-limited GET requests over connections that stay open, with retries and errors in plain words.

requests finds proxies and certificates in the environment, once per host. Requests go straight to urllib3's connection
pool below it, which saves the time that a session spends on cookies, redirects and the environment, a third of all.

An API key may be part of a request's address, and urllib3 puts addresses into its errors and log records. Therefore no
error of urllib3 leaves this module, not even as the cause of another, and its log records are redacted.
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
from posters.rate_limit import Permit, RateLimiter

logger = logging.getLogger(__name__)

_RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
_MAX_PAUSE_S = 60.0
# While the server answers other requests, a failure is a matter of chance.
_MAX_PAUSE_OF_ONE_S = 2.0
# Minutes are plausible; a date in the next century is a mistake.
_MAX_RETRY_AFTER_S = 600.0
# How long a body is still read after an interruption.
_GRACE_S = 5.0
_CHUNK_BYTES = 1 << 16

# The length of a compressed body is unknown, and posters are compressed already.
_HEADERS = {"User-Agent": "keyart", "Accept-Encoding": "identity"}

_KEY = re.compile(r"(api_key=)[^&\s'\"]+")
# A filter applies to its own logger only, not to those below.
_LOGGERS_WITH_ADDRESSES = ("urllib3.connection", "urllib3.connectionpool", "urllib3.poolmanager", "urllib3.util.retry")


class UnavailableError(FetchError):
    """A whole service refuses requests or cannot be reached, so every further request would fail."""


@dataclass(frozen=True)
class Response:
    """A complete response; its status is never one that is retried."""

    status: int
    # Such as "image/jpeg", in lower case; empty if the server names none.
    content_type: str
    content: bytes


@dataclass(frozen=True)
class _Failure:
    """A failed attempt, and whether another may succeed."""

    reason: str
    unreachable: bool = False
    # Nothing listens at the address, as opposed to a timeout.
    absent: bool = False
    transient: bool = True
    # What the server asked for by Retry-After.
    pause_s: float = 0.0


@dataclass(frozen=True)
class HttpOptions:
    """Limits and retries of an `HttpClient`."""

    # How long the server may be silent, and how long a whole response may take: some servers send a byte now and then
    # for ever.
    timeout_s: float = 10.0
    total_s: float = 60.0
    max_bytes: int = 64 << 20
    # How often a failed request is sent again. A request that could not be sent, to a server that answered before, is
    # not counted: the network is down, which is waited for up to `patience_s`.
    n_retries: int = 6
    patience_s: float = 300.0
    # The pause before the first retry; it doubles up to a minute, or two seconds while other requests succeed, plus or
    # minus half. A ``Retry-After``, up to ten minutes, pauses the request and, by the limiter, all threads.
    backoff_s: float = 0.5
    # TMDB allows an address this many; further threads wait.
    n_connections: int = 20


class HttpClient:
    """Sends rate-limited GET requests with retries to one server; safe from several threads.

    `params` and `headers` are sent with every request: the credentials.
    """

    def __init__(
        self,
        options: HttpOptions | None = None,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        limiter: RateLimiter | None = None,
    ) -> None:
        for name in _LOGGERS_WITH_ADDRESSES:
            # Adding the same filter again changes nothing.
            logging.getLogger(name).addFilter(_key_filter)
        self.limiter = limiter or RateLimiter()
        self._options = options or HttpOptions()
        self._params = dict(params or {})
        self._headers = _HEADERS | dict(headers or {})
        n_connections = self._options.n_connections
        self._adapter = HTTPAdapter(pool_connections=1, pool_maxsize=n_connections, pool_block=True)
        self._pools: dict[str, HTTPConnectionPool] = {}
        self._interrupted_s = math.inf
        # When the server last answered anything, and when it last served a request.
        self._heard_s = self._served_s = -math.inf

    def get(self, url: str, params: Mapping[str, str] | None = None) -> Response:
        """Return the response of an address, whatever its status; redirects are not followed."""
        attempts = _Attempts()
        while True:
            began_s = time.monotonic()
            result = self._attempt(url, params)
            if isinstance(result, Response):
                self._served_s = time.monotonic()
                return result
            attempts.count(result, was_reached=self._was_reached)
            host = urlsplit(url).hostname or url
            logger.debug("%s: %s (try %d)", host, result.reason, attempts.n_all)
            if not self._is_worth_retrying(result, attempts):
                # If other threads reach the server, only this request failed.
                unavailable = result.unreachable and time.monotonic() >= self._heard_s + self._options.patience_s
                raise _error(host, result, attempts.n_all, unavailable=unavailable)
            pause_s = self._pause_s(attempts.n_all, others_are_served=self._served_s > began_s)
            self.limiter.sleep(max(pause_s, result.pause_s))

    def interrupt(self) -> None:
        """Send no more requests and end all pauses; responses on their way are waited for, but not for long."""
        self._interrupted_s = min(self._interrupted_s, time.monotonic())
        self.limiter.interrupt()

    def close(self) -> None:
        self._adapter.close()

    def _attempt(self, url: str, params: Mapping[str, str] | None) -> Response | _Failure:
        """Send the request once; the limiter pauses all threads if the server asks for a pause."""
        pool, target = self._pool(url), self._target(url, params)
        permit = self.limiter.acquire()
        began_s = time.monotonic()
        try:
            response = self._send(pool, target)
        except HTTPError as error:
            self.limiter.fail(permit)
            return self._failure(error)
        self._heard_s = time.monotonic()
        try:
            pause_s = self._report(response, permit)
            if response.status in _RETRIED_STATUSES:
                return _Failure(f"HTTP {response.status}", pause_s=pause_s)
            return self._read(response, began_s)
        except HTTPError as error:
            return self._failure(error)
        finally:
            # After a complete response the connection is back in the pool already, and stays open. Any other is closed,
            # and replaced in the pool.
            response.close()
            response.release_conn()

    def _send(self, pool: HTTPConnectionPool, target: str) -> BaseHTTPResponse:
        try:
            return pool.urlopen(
                "GET",
                target,
                headers=self._headers,
                redirect=False,
                # A proxy is asked for the address of another host.
                assert_same_host=False,
                retries=False,
                timeout=self._options.timeout_s,
                preload_content=False,
            )
        finally:
            self.limiter.release()

    def _target(self, url: str, params: Mapping[str, str] | None) -> str:
        query = urlencode({**(params or {}), **self._params})
        parts = urlsplit(url)
        # A proxy needs the whole address, unless it tunnels TLS.
        target = url if parts.scheme == "http" and self._pool(url).proxy else parts.path
        return f"{target}?{query}" if query else target

    def _pool(self, url: str) -> HTTPConnectionPool:
        """Return the connections to a host, with the proxies and certificates of the environment."""
        host = urlsplit(url).netloc
        if host not in self._pools:
            with requests.Session() as session:
                settings = session.merge_environment_settings(url, {}, None, None, None)
            request = requests.Request("GET", url).prepare()
            pool = self._adapter.get_connection_with_tls_context(
                request, settings["verify"], settings["proxies"], settings["cert"]
            )
            # The declared type is wider than what http and https return.
            self._pools[host] = cast(HTTPConnectionPool, pool)
        return self._pools[host]

    def _report(self, response: BaseHTTPResponse, permit: Permit) -> float:
        """Report an answer to the limiter; returns the pause that the server asks for."""
        pause_s, served = 0.0, response.status not in _RETRIED_STATUSES
        if not served:
            pause_s = min(max(_retry_after_s(response.headers.get("Retry-After", "")), 0.0), _MAX_RETRY_AFTER_S)
        throttled = response.status == 429 or pause_s > 0
        self.limiter.report(permit, throttled=throttled, pause_s=pause_s, served=served)
        return pause_s

    def _read(self, response: BaseHTTPResponse, began_s: float) -> Response | _Failure:
        """Read the body, within the limits of size and time."""
        parts: list[bytes] = []
        n_bytes = 0
        # read1 returns what has arrived; read would wait for a whole chunk, perhaps forever.
        while part := response.read1(_CHUNK_BYTES):
            parts.append(part)
            n_bytes += len(part)
            if n_bytes > self._options.max_bytes:
                return _Failure(f"expected at most {self._options.max_bytes >> 20} MiB, received more", transient=False)
            if time.monotonic() > min(began_s + self._options.total_s, self._interrupted_s + _GRACE_S):
                return _Failure(f"no whole answer within {self._options.total_s:g} s")
        # Nothing is left, but only so does urllib3 notice, and keep the connection open.
        response.read()
        content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return Response(response.status, content_type, b"".join(parts))

    def _pause_s(self, n_tries: int, *, others_are_served: bool) -> float:
        # Randomized, so that threads which failed together do not retry together.
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 - no secret
        longest_s = _MAX_PAUSE_OF_ONE_S if others_are_served else _MAX_PAUSE_S
        return min(self._options.backoff_s * 2.0 ** min(n_tries - 1, 64), longest_s) * jitter

    @property
    def _was_reached(self) -> bool:
        return self._heard_s > -math.inf

    def _is_worth_retrying(self, failure: _Failure, attempts: _Attempts) -> bool:
        if failure.unreachable and self._was_reached:
            # The network will come back.
            return time.monotonic() < attempts.lost_s + self._options.patience_s
        # A server that never answered is misspelled or cut off, and is reported at once.
        return failure.transient and not failure.absent and attempts.n_counted <= self._options.n_retries

    def _failure(self, error: HTTPError) -> _Failure:
        absent = isinstance(error, NewConnectionError | SSLError | ProxyError)
        slow = isinstance(error, ConnectTimeoutError)
        return _Failure(_words(error, self._options.timeout_s), unreachable=absent or slow, absent=absent)


@dataclass
class _Attempts:
    """Counts the failed attempts of one request."""

    n_all: int = 0
    # Without those that could not be sent.
    n_counted: int = 0
    # Since when the server, which had answered before, is out of reach.
    lost_s: float = math.inf

    def count(self, failure: _Failure, *, was_reached: bool) -> None:
        self.n_all += 1
        if failure.unreachable and was_reached:
            self.lost_s = min(self.lost_s, time.monotonic())
        else:
            self.n_counted += 1
            self.lost_s = math.inf


class _KeyFilter(logging.Filter):
    """Redacts keys in log records."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _KEY.sub(r"\1***", record.getMessage()), ()
        return True


_key_filter = _KeyFilter()


def _error(host: str, failure: _Failure, n_tries: int, *, unavailable: bool) -> FetchError:
    if unavailable:
        return UnavailableError(
            f"cannot reach {host}: {failure.reason}; check the network (and the proxy, if there is one), "
            "then run the same command again"
        )
    return FetchError(
        f"{host}: {failure.reason}, after {n_tries} tries" if n_tries > 1 else f"{host}: {failure.reason}"
    )


def _words(error: HTTPError, timeout_s: float) -> str:
    """Describe an error without quoting it: it may contain an address, and that a key."""
    # A subclass of the timeout, but no timeout: nothing listens, or the name is unknown.
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
    """Parse a ``Retry-After`` header, seconds or a date; 0 if it is neither."""
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        return ((date if date.tzinfo else date.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):  # no date, or one out of range
        return 0.0
