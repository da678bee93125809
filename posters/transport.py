"""One polite GET: connections that stay open, retries with back-off, failures in plain words.

An API key may travel in the address of a request, and requests and urllib3 put addresses into their errors and log
records. Nothing of theirs therefore leaves this module: an error is worded anew, outside the handler that caught it,
and their loggers are held to silence about keys. May import `catalog` only.
"""

from __future__ import annotations

import logging
import random
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from catalog.errors import FetchError

logger = logging.getLogger(__name__)

Auth = Callable[[requests.PreparedRequest], requests.PreparedRequest]

_RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
_MAX_PAUSE_S = 60.0
# What TMDB allows one address to hold open.
_N_CONNECTIONS = 20

_KEY = re.compile(r"(api_key=)[^&\s'\"]+")
# A filter is asked only about what is logged under the very name that it was given to.
_TALKATIVE = ("urllib3.connection", "urllib3.connectionpool", "urllib3.poolmanager", "urllib3.util.retry")


class UnavailableError(FetchError):
    """Says that a whole service refuses or cannot be reached: asking on would fail for every film alike."""


@dataclass(frozen=True)
class Answer:
    """What a server answered, whole.

    Parameters
    ----------
    status : int
        The HTTP status; never one that is worth another try.
    content_type : str
        Such as ``"image/jpeg"``, in lower case; empty where the server names none.
    content : bytes
        The body.
    """

    status: int
    content_type: str
    content: bytes


@dataclass(frozen=True)
class _Trouble:
    """One try that went wrong and may go better the next time."""

    reason: str
    retry_after_s: float = 0.0
    unreachable: bool = False


class Transport:
    """Asks one server, again where it is worth it; may be used from several threads.

    Parameters
    ----------
    auth : callable, optional
        Adds the credentials to a request; by default it goes out without any.
    timeout_s : float
        How long the server may be silent, in seconds.
    n_retries : int
        How many more times a failed request is sent.
    backoff_s : float
        The pause before the first of these, in seconds; it doubles each time, give or take half. A longer
        ``Retry-After`` is obeyed, up to a minute.
    """

    def __init__(
        self, auth: Auth | None = None, *, timeout_s: float = 10.0, n_retries: int = 4, backoff_s: float = 0.5
    ) -> None:
        self._timeout_s = timeout_s
        self._n_retries = n_retries
        self._backoff_s = backoff_s
        self._session = _session(auth)
        self._interrupted = threading.Event()
        self._reached = False

    def get(self, url: str, params: Mapping[str, str] | None = None) -> Answer:
        """Ask for one address until the server gives an answer that counts.

        Parameters
        ----------
        url : str
            The address, without any key.
        params : mapping of str to str, optional
            What is appended to it.

        Returns
        -------
        Answer
            Whatever its status; redirects are not followed.

        Raises
        ------
        UnavailableError
            The server cannot be reached.
        FetchError
            It was reached, and every try went wrong.
        """
        n_tries = 0
        while True:
            n_tries += 1
            result = self._attempt(url, params)
            if isinstance(result, Answer):
                return result
            host = urlsplit(url).hostname or url
            logger.debug("%s: %s (try %d)", host, result.reason, n_tries)
            if not self._tries_again(result, n_tries):
                raise _error(host, result, n_tries)

    def interrupt(self) -> None:
        """End all pauses, now and from now on: what fails is given up, so that waiting threads come back."""
        self._interrupted.set()

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def _attempt(self, url: str, params: Mapping[str, str] | None) -> Answer | _Trouble:
        try:
            response = self._session.get(url, params=params, timeout=self._timeout_s, allow_redirects=False)
        except requests.RequestException as error:
            return _Trouble(_words(error, self._timeout_s), unreachable=_is_unreachable(error))
        self._reached = True
        if response.status_code in _RETRIED_STATUSES:
            pause_s = _retry_after_s(response.headers.get("Retry-After", ""))
            return _Trouble(f"HTTP {response.status_code}", pause_s)
        content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return Answer(response.status_code, content_type, response.content)

    def _tries_again(self, trouble: _Trouble, n_tries: int) -> bool:
        """Pause, and tell whether to go on after it."""
        # A server that never answered is misspelt or cut off, and is reported at once; one that did will come back.
        if n_tries > self._n_retries or (trouble.unreachable and not self._reached):
            return False
        # Spread, so that threads which failed together do not come back together.
        pause_s = self._backoff_s * 2 ** (n_tries - 1) * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
        return not self._interrupted.wait(min(max(pause_s, trouble.retry_after_s), _MAX_PAUSE_S))


class _KeyFilter(logging.Filter):
    """Blanks keys in log records."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _KEY.sub(r"\1***", record.getMessage()), ()
        return True


_key_filter = _KeyFilter()


def _session(auth: Auth | None) -> requests.Session:
    for name in _TALKATIVE:
        # Adding the same filter again changes nothing.
        logging.getLogger(name).addFilter(_key_filter)
    session = requests.Session()
    # With an auth of ours, requests does not send what a .netrc file may hold for this host.
    session.auth = auth or (lambda request: request)
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=_N_CONNECTIONS, pool_block=True)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _error(host: str, trouble: _Trouble, n_tries: int) -> FetchError:
    if trouble.unreachable:
        return UnavailableError(
            f"cannot reach {host}: {trouble.reason}; check the network (and the proxy, if there is one), "
            "then run the same command again"
        )
    return FetchError(
        f"{host}: {trouble.reason}, after {n_tries} tries" if n_tries > 1 else f"{host}: {trouble.reason}"
    )


def _words(error: requests.RequestException, timeout_s: float) -> str:
    """Say what went wrong without quoting the error, which may hold an address and with it a key."""
    if isinstance(error, requests.Timeout):
        return f"no answer within {timeout_s:g} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "no secure connection (TLS)"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not answer"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the answer broke off"
    if _is_unreachable(error):
        return "no connection"
    return "the connection broke"


def _is_unreachable(error: requests.RequestException) -> bool:
    cause = getattr(error.args[0], "reason", None) if error.args else None
    hopeless = (requests.ConnectTimeout, requests.exceptions.SSLError, requests.exceptions.ProxyError)
    return isinstance(error, hopeless) or isinstance(cause, NewConnectionError)


def _retry_after_s(text: str) -> float:
    """Read a ``Retry-After`` header, seconds or a date; 0 where it says nothing that can be read."""
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return ((date if date.tzinfo else date.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
