"""The Movie Database: its two kinds of key, its configuration, its films and their posters.

Speaks HTTP and touches no disk. The API's host is told the key; the image host, which serves anyone, is not. May
import `catalog` only.

References
----------
https://developer.themoviedb.org/docs
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from catalog.errors import ConfigError, FetchError
from catalog.movielens import format_imdb_id
from posters.http import N_CONNECTIONS, PATIENCE_S, Answer, Transport, UnavailableError
from posters.rate_limit import Pace
from posters.validation import MAX_POSTER_BYTES

DEFAULT_BASE_URL = "https://api.themoviedb.org/3"

DEFAULT_RATE = 35
"""Requests a second; TMDB refuses somewhere above 40."""

NOTICE = "This product uses TMDB and the TMDB APIs but is not endorsed, certified, or otherwise approved by TMDB."
"""What TMDB's terms ask to be shown."""

_MAX_JSON_BYTES = 4 << 20
# TMDB's export of all its ids has a tenth of it.
_MAX_FILE_BYTES = 256 << 20
_MAX_FILE_S = 600.0
_KEY_PAGE = "https://www.themoviedb.org/settings/api"
_V3_KEY = re.compile(r"[0-9a-fA-F]{32}")
_V4_TOKEN = re.compile(r"eyJ[\w-]+(\.[\w-]+){2}", re.ASCII)
_IMDB_ID = re.compile(r"tt([0-9]{1,12})")
# It becomes part of an address: anything but a plain file name could turn that to another host.
_POSTER_PATH = re.compile(r"/[\w-]+(\.[\w-]+)*", re.ASCII)


@dataclass(frozen=True)
class Configuration:
    """Where TMDB's images lie."""

    image_base_url: str
    poster_sizes: tuple[str, ...]


@dataclass(frozen=True)
class TmdbFilm:
    """A film as TMDB knows it."""

    tmdb_id: int
    poster_path: str | None
    imdb_id: str | None = None


@dataclass(frozen=True)
class Finding:
    """What TMDB knows by an IMDb number."""

    film: TmdbFilm | None = None
    is_other: bool = False


class TmdbClient:
    """Asks TMDB; may be used from several threads, and is closed by `close` or a ``with`` block."""

    def __init__(
        self,
        key: str,
        base_url: str = DEFAULT_BASE_URL,
        language: str = "en-US",
        *,
        rate: float | None = DEFAULT_RATE,
        n_connections: int = N_CONNECTIONS,
        timeout_s: float = 10.0,
        n_retries: int = 6,
        patience_s: float = PATIENCE_S,
        backoff_s: float = 0.5,
    ) -> None:
        self.language = language
        self._base_url = _checked_url(base_url)
        self._host = urlsplit(self._base_url).hostname

        def transport(max_bytes: int, credentials: _Credentials, total_s: float = 60.0) -> Transport:
            return Transport(
                params=credentials.params,
                headers=credentials.headers,
                pace=Pace(rate),
                timeout_s=timeout_s,
                total_s=total_s,
                max_bytes=max_bytes,
                n_retries=n_retries,
                patience_s=patience_s,
                backoff_s=backoff_s,
                n_connections=n_connections,
            )

        self._api = transport(_MAX_JSON_BYTES, _credentials(key))
        # The image host names no limit. A film needs one image at most, so the API's pace does not hold anything up.
        self._images = transport(MAX_POSTER_BYTES, _Credentials())
        self._files = transport(_MAX_FILE_BYTES, _Credentials(), _MAX_FILE_S)
        self.n_connections = n_connections
        self._configuration: Configuration | None = None

    def __enter__(self) -> TmdbClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"TmdbClient(base_url={self._base_url!r}, language={self.language!r})"

    def close(self) -> None:
        """Close all connections."""
        for transport in (self._api, self._images, self._files):
            transport.close()

    @property
    def n_requests(self) -> int:
        """Requests sent so far, with those that were sent again."""
        return self._api.pace.n_turns + self._images.pace.n_turns

    @property
    def n_slowed(self) -> int:
        """How often TMDB asked for less."""
        return self._api.pace.n_slowed + self._images.pace.n_slowed

    @property
    def interrupted(self) -> bool:
        """Whether `interrupt` was called."""
        return self._api.pace.interrupted

    def interrupt(self) -> None:
        """Send nothing more, and give up all pauses; what is on its way still comes, or is left after some seconds.

        A signal's handler may call it.
        """
        for transport in (self._api, self._images, self._files):
            transport.interrupt()

    def configuration(self) -> Configuration:
        """Ask where the images lie; once, the answer is kept."""
        if self._configuration is None:
            self._configuration = self._read_configuration(self._ask("/configuration"))
        return self._configuration

    def check_size(self, size: str) -> None:
        """Make sure that posters come in this size."""
        sizes = self.configuration().poster_sizes
        if size not in sizes:
            raise ConfigError(f"expected a poster size out of {', '.join(sizes)}; received {size!r}")

    def movie(self, tmdb_id: int) -> TmdbFilm | None:
        """Look a film up by TMDB's number."""
        content = self._ask(f"/movie/{tmdb_id}", language=self.language)
        return None if content is None else TmdbFilm(tmdb_id, self._poster_path(content), _imdb_id(content))

    def find(self, imdb_id: str) -> Finding:
        """Look a film up by IMDb's number."""
        path = f"/find/tt{imdb_id}"
        content = self._ask(path, external_source="imdb_id", language=self.language)
        match content or {"movie_results": []}:
            case {"movie_results": []}:
                return Finding(is_other=any((content or {}).values()))
            case {"movie_results": [{"id": int(tmdb_id), **film}, *_]}:
                return Finding(TmdbFilm(tmdb_id, self._poster_path(film), imdb_id))
        raise self._malformed(path)

    def image(self, poster_path: str, size: str) -> bytes:
        """Download a poster; its bytes are not looked at here."""
        url = f"{self.configuration().image_base_url}{size}{poster_path}"
        answer = self._images.get(url)
        if answer.status != 200:
            raise FetchError(f"{urlsplit(url).hostname}: HTTP {answer.status} instead of the poster")
        # Only what is surely something else is refused here; decoding tells the rest.
        if answer.content_type.startswith(("text/", "application/json")):
            raise FetchError(f"{urlsplit(url).hostname}: expected an image, received {answer.content_type}")
        return answer.content

    def download(self, url: str, what: str) -> bytes:
        """Download a file from anywhere, without the key; `interrupt` ends this too."""
        answer = self._files.get(url)
        if answer.status != 200:
            raise FetchError(f"{urlsplit(url).hostname}: HTTP {answer.status} instead of {what}")
        return answer.content

    def _ask(self, path: str, **params: str) -> dict[str, Any] | None:
        """Ask the API; None stands for its 404."""
        answer = self._api.get(self._base_url + path, params)
        # A 403 for one film is one film's matter: some wall in between dislikes its number.
        if answer.status == 401 or (answer.status == 403 and path == "/configuration"):
            raise UnavailableError(
                f"{self._host} refuses the key (HTTP {answer.status}); compare TMDB_API_KEY with the one at {_KEY_PAGE}"
            )
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise FetchError(f"{self._host}: HTTP {answer.status} for {_question(path)}")
        return self._parsed(answer, path)

    def _parsed(self, answer: Answer, path: str) -> dict[str, Any]:
        try:
            content = json.loads(answer.content)
        # Brackets nested some thousand deep are no JSON of TMDB's either.
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise self._malformed(path)
        return content

    def _malformed(self, path: str) -> FetchError:
        # What did come is not quoted: a page that answers in TMDB's place may repeat the address, and with it the key.
        return FetchError(
            f"{self._host}: expected TMDB's JSON for {_question(path)}, received something else; "
            "a proxy or a login page may stand in between"
        )

    def _read_configuration(self, content: dict[str, Any] | None) -> Configuration:
        match content:
            case {"images": {"secure_base_url": str(base_url), "poster_sizes": [*sizes]}}:
                if not is_web_address(base_url):
                    # Not quoted either, for the same reason.
                    raise FetchError(
                        f"{self._host}: expected /configuration to name the image host's address, received something "
                        "else; a proxy may stand in between, or KEYART_TMDB_URL leads to the wrong place"
                    )
                return Configuration(base_url.rstrip("/") + "/", tuple(map(str, sizes)))
        raise FetchError(
            f"{self._base_url} does not answer as TMDB's API does (it lacks /configuration); the address should be "
            f"{DEFAULT_BASE_URL}, or KEYART_TMDB_URL leads to the wrong place"
        )

    def _poster_path(self, content: Mapping[Any, Any]) -> str | None:
        poster_path = content.get("poster_path")
        if not poster_path:
            return None
        if not isinstance(poster_path, str) or not _POSTER_PATH.fullmatch(poster_path):
            raise FetchError(f"{self._host}: expected a poster_path such as /name.jpg, received another form")
        return poster_path


@dataclass(frozen=True)
class _Credentials:
    """What goes out with every request."""

    params: dict[str, str] = field(default_factory=dict, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)


def _imdb_id(content: Mapping[str, Any]) -> str | None:
    # TMDB leaves it out, or writes null or nothing, of many films; another form says no more than that.
    found = _IMDB_ID.fullmatch(str(content.get("imdb_id")))
    return format_imdb_id(int(found[1])) if found else None


def _question(path: str) -> str:
    """Name what was asked without the film's number, so that reasons can be counted."""
    return f"/{path.split('/')[1]}"


def _credentials(key: str) -> _Credentials:
    """Tell where TMDB wants a key: a v3 key in the address, a v4 token in a header."""
    key = key.strip()
    if _V3_KEY.fullmatch(key):
        return _Credentials(params={"api_key": key})
    if _V4_TOKEN.fullmatch(key):
        return _Credentials(headers={"Authorization": f"Bearer {key}"})
    # The length helps to see a part that was not copied; the text itself may be nearly a key.
    raise ConfigError(
        "expected a TMDB key in TMDB_API_KEY: 32 hexadecimal digits, or a token that begins with eyJ; received "
        f"{f'{len(key)} characters of another form' if key else 'none'}; get one at {_KEY_PAGE}"
    )


def _checked_url(base_url: str) -> str:
    if not is_web_address(base_url):
        # It may be a key that was set in the wrong place, and is therefore not quoted.
        raise ConfigError(
            f"expected TMDB's address in KEYART_TMDB_URL, such as {DEFAULT_BASE_URL}, without user, query or fragment; "
            "received something else"
        )
    return base_url.rstrip("/")


def is_web_address(url: str) -> bool:
    """Tell whether a text is a plain address of the web: no user or password, no query, no fragment."""
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        port = parts.port
    except ValueError:
        return False
    plain = not (parts.username or parts.password or "?" in url or "#" in url or "@" in parts.netloc)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0 and plain
