"""Client of The Movie Database (TMDB): films, posters and configuration.

The key is sent to the API's host only, and not to the image host, which needs none.

References
----------
https://developer.themoviedb.org/docs
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Literal
from urllib.parse import urlsplit

from catalog.errors import ConfigError, FetchError
from catalog.film_ids import format_imdb_id
from catalog.io.files import parse_json
from posters.http import HttpClient, HttpOptions, Response, UnavailableError
from posters.rate_limit import RateLimiter
from posters.validation import MAX_POSTER_BYTES

DEFAULT_BASE_URL = "https://api.themoviedb.org/3"

DEFAULT_RATE = 35
"""Requests per second; TMDB throttles somewhere above 40."""

NOTICE = "This product uses TMDB and the TMDB APIs but is not endorsed, certified, or otherwise approved by TMDB."
"""The notice that TMDB's terms require to be shown."""

PosterRank = Literal["votes", "first"]
"""Which of the posters in a language is taken: that with the best votes, or the first of TMDB's list."""

NO_TEXT = "xx"
"""The language of posters without text."""

_MAX_JSON_BYTES = 4 << 20
# Ten times the size of TMDB's export of all its ids.
_MAX_FILE_BYTES = 256 << 20
_MAX_FILE_S = 600.0
_KEY_PAGE = "https://www.themoviedb.org/settings/api"
_V3_KEY = re.compile(r"[0-9a-fA-F]{32}")
_V4_TOKEN = re.compile(r"eyJ[\w-]+(\.[\w-]+){2}", re.ASCII)
_IMDB_ID = re.compile(r"tt([0-9]{1,12})")
# It becomes part of an address, which anything but a plain file name could lead to another host.
_POSTER_PATH = re.compile(r"/[\w-]+(\.[\w-]+)*", re.ASCII)


@dataclass(frozen=True)
class Configuration:
    """Where TMDB's images are, and the sizes of its posters."""

    # Ends in a slash.
    image_base_url: str
    poster_sizes: tuple[str, ...]


@dataclass(frozen=True)
class ChosenPoster:
    """A poster out of those of a film."""

    poster_path: str
    # "xx" for a poster without text.
    language: str
    vote_average: float
    vote_count: int


@dataclass(frozen=True)
class TmdbFilm:
    """A film as TMDB knows it."""

    tmdb_id: int
    # The poster's name on the image host, with a leading slash; None if TMDB has no poster.
    poster_path: str | None
    # None if TMDB does not know it.
    imdb_id: str | None = None
    # None if TMDB chose the poster itself.
    choice: ChosenPoster | None = None
    # The best first.
    alternates: tuple[ChosenPoster, ...] = ()


@dataclass(frozen=True)
class FindResult:
    """The film that TMDB knows by an imdb_id, or whether it knows a series, an episode or a person by it."""

    film: TmdbFilm | None = None
    is_other: bool = False


class TmdbClient:
    """Client of TMDB's API and image host; safe from several threads, and a context manager.

    `key` is a v3 API key (32 hexadecimal digits) or a v4 read access token (begins with ``eyJ``). `language`, such as
    "en-US", is that of the posters. Of several, such as "de,en,xx", the first in which a film has posters counts, and
    `poster_rank` says which of these is taken; if a film has none, TMDB's own choice is. A film names `n_alternates`
    more of them. `rate` is the limit of requests per second to each of the two hosts; None is for a mirror only.
    """

    def __init__(
        self,
        key: str,
        base_url: str = DEFAULT_BASE_URL,
        language: str = "en-US",
        *,
        poster_rank: PosterRank | None = None,
        n_alternates: int = 0,
        rate: float | None = DEFAULT_RATE,
        http: HttpOptions | None = None,
    ) -> None:
        self.language = language
        self._poster_rank = poster_rank or "votes"
        # Empty if TMDB chooses.
        self._languages: tuple[str, ...] = ()
        self._n_alternates = n_alternates
        if poster_rank or n_alternates or "," in language or language == NO_TEXT:
            self._languages = tuple(name.partition("-")[0] for name in language.split(","))
        self._base_url = _checked_url(base_url)
        self._host = urlsplit(self._base_url).hostname
        http = http or HttpOptions()

        def connect(options: HttpOptions, credentials: _Credentials) -> HttpClient:
            limiter = RateLimiter(rate)
            return HttpClient(options, params=credentials.params, headers=credentials.headers, limiter=limiter)

        self._api = connect(replace(http, max_bytes=_MAX_JSON_BYTES), _credentials(key))
        # The image host names no limit. Most films need one image, so the limit of the API delays nothing.
        self._images = connect(replace(http, max_bytes=MAX_POSTER_BYTES), _Credentials())
        self._files = connect(replace(http, max_bytes=_MAX_FILE_BYTES, total_s=_MAX_FILE_S), _Credentials())
        self.n_connections = http.n_connections
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
        for client in (self._api, self._images, self._files):
            client.close()

    @property
    def own_language(self) -> str | None:
        """The language in which TMDB chooses posters; None if several are given, of which none may be right."""
        return None if self._languages else self.language

    @property
    def n_requests(self) -> int:
        """Requests sent so far, retries included."""
        return self._api.limiter.n_requests + self._images.limiter.n_requests

    @property
    def n_slowed(self) -> int:
        """How often TMDB throttled requests."""
        return self._api.limiter.n_slowed + self._images.limiter.n_slowed

    @property
    def interrupted(self) -> bool:
        """Whether `interrupt` was called."""
        return self._api.limiter.interrupted

    def interrupt(self) -> None:
        """Send nothing more and end all pauses; responses on their way are waited for, but only for seconds.

        Signal handlers may call it.
        """
        for client in (self._api, self._images, self._files):
            client.interrupt()

    def configuration(self) -> Configuration:
        """Return the configuration, requested once."""
        if self._configuration is None:
            self._configuration = self._read_configuration(self._ask("/configuration"))
        return self._configuration

    def check_size(self, size: str) -> None:
        """Check that TMDB has posters of this size; ConfigError lists the sizes otherwise."""
        sizes = self.configuration().poster_sizes
        if size not in sizes:
            raise ConfigError(f"expected a poster size out of {', '.join(sizes)}; received {size!r}")

    def movie(self, tmdb_id: int) -> TmdbFilm | None:
        """Look a film up by its tmdb_id; None if TMDB does not know it."""
        content = self._ask(f"/movie/{tmdb_id}", **self._language_params(), **self._image_params())
        if content is None:
            return None
        film = TmdbFilm(tmdb_id, self._poster_path(content), _imdb_id(content))
        posters = self._ranked(content) if self._languages else []
        if not posters:
            return film
        alternates = tuple(posters[1 : 1 + self._n_alternates])
        return replace(film, poster_path=posters[0].poster_path, choice=posters[0], alternates=alternates)

    def find(self, imdb_id: str) -> FindResult:
        """Look a film up by its imdb_id."""
        path = f"/find/tt{imdb_id}"
        content = self._ask(path, external_source="imdb_id", **self._language_params())
        match content or {"movie_results": []}:
            case {"movie_results": []}:
                return FindResult(is_other=any((content or {}).values()))
            case {"movie_results": [{"id": int(tmdb_id), **film}, *_]}:
                result = TmdbFilm(tmdb_id, self._poster_path(film), imdb_id)
                # Only the film itself lists its posters.
                chosen = self.movie(tmdb_id) if self._languages else None
                return FindResult(replace(chosen, imdb_id=imdb_id) if chosen else result)
        raise self._malformed(path)

    def image(self, poster_path: str, size: str) -> bytes:
        """Download a poster; the content is not checked here."""
        url = f"{self.configuration().image_base_url}{size}{poster_path}"
        response = self._images.get(url)
        if response.status != 200:
            raise FetchError(f"{urlsplit(url).hostname}: HTTP {response.status} instead of the poster")
        # Only what is certainly no image is refused here; decoding finds the rest.
        if response.content_type.startswith(("text/", "application/json")):
            raise FetchError(f"{urlsplit(url).hostname}: expected an image, received {response.content_type}")
        return response.content

    def download(self, url: str, what: str) -> bytes:
        """Download a file from any host, without the key; `what` names it in errors."""
        response = self._files.get(url)
        if response.status != 200:
            raise FetchError(f"{urlsplit(url).hostname}: HTTP {response.status} instead of {what}")
        return response.content

    def _ask(self, path: str, **params: str) -> dict[str, Any] | None:
        """Send a request to the API; None stands for its 404."""
        response = self._api.get(self._base_url + path, params)
        # A 403 for a single film concerns that film only: a firewall in between may refuse its number.
        if response.status == 401 or (response.status == 403 and path == "/configuration"):
            raise UnavailableError(
                f"{self._host} refuses the key (HTTP {response.status}); "
                f"compare TMDB_API_KEY with the one at {_KEY_PAGE}"
            )
        if response.status == 404:
            return None
        if response.status != 200:
            raise FetchError(f"{self._host}: HTTP {response.status} for {_question(path)}")
        return self._parsed(response, path)

    def _parsed(self, response: Response, path: str) -> dict[str, Any]:
        try:
            content = parse_json(response.content)
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise self._malformed(path)
        return content

    def _malformed(self, path: str) -> FetchError:
        # The content is not quoted: a page served in place of TMDB may repeat the address, and with it the key.
        return FetchError(
            f"{self._host}: expected TMDB's JSON for {_question(path)}, received something else; "
            "a proxy or a login page may stand in between"
        )

    def _read_configuration(self, content: dict[str, Any] | None) -> Configuration:
        match content:
            case {"images": {"secure_base_url": str(base_url), "poster_sizes": [*sizes]}}:
                if not is_web_address(base_url):
                    # Not quoted, for the same reason.
                    raise FetchError(
                        f"{self._host}: expected /configuration to name the image host's address, received something "
                        "else; a proxy may stand in between, or KEYART_TMDB_URL leads to the wrong place"
                    )
                return Configuration(base_url.rstrip("/") + "/", tuple(map(str, sizes)))
        raise FetchError(
            f"{self._base_url} does not answer as TMDB's API does (it lacks /configuration); the address should be "
            f"{DEFAULT_BASE_URL}, or KEYART_TMDB_URL leads to the wrong place"
        )

    def _language_params(self) -> dict[str, str]:
        if not self._languages:
            return {"language": self.language}
        spoken = [language for language in self.language.split(",") if language != NO_TEXT]
        return {"language": spoken[0]} if spoken else {}

    def _image_params(self) -> dict[str, str]:
        if not self._languages:
            return {}
        names = ("null" if language == NO_TEXT else language for language in self._languages)
        return {"append_to_response": "images", "include_image_language": ",".join(names)}

    def _ranked(self, content: Mapping[str, Any]) -> list[ChosenPoster]:
        """Return the posters in the wanted languages, the best first."""
        match content:
            case {"images": {"posters": [*entries]}}:
                posters = [poster for entry in entries if (poster := _listed_poster(entry))]
            case _:
                raise self._malformed("/movie")
        if self._poster_rank == "votes":
            posters.sort(key=lambda poster: (poster.vote_average, poster.vote_count), reverse=True)
        # Sorting is stable, and TMDB's order stays within a language.
        wanted = [poster for poster in posters if poster.language in self._languages]
        return sorted(wanted, key=lambda poster: self._languages.index(poster.language))

    def _poster_path(self, content: Mapping[Any, Any]) -> str | None:
        poster_path = content.get("poster_path")
        if not poster_path:
            return None
        if not isinstance(poster_path, str) or not _POSTER_PATH.fullmatch(poster_path):
            raise FetchError(f"{self._host}: expected a poster_path such as /name.jpg, received another form")
        return poster_path


@dataclass(frozen=True)
class _Credentials:
    """What is sent with every request to the API."""

    params: dict[str, str] = field(default_factory=dict, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)


def _listed_poster(entry: Any) -> ChosenPoster | None:
    match entry:
        case {"file_path": str(path), "iso_639_1": str() | None as language} if _POSTER_PATH.fullmatch(path):
            average, count = entry.get("vote_average"), entry.get("vote_count")
            return ChosenPoster(
                path,
                language or NO_TEXT,
                float(average) if isinstance(average, int | float) else 0.0,
                count if isinstance(count, int) else 0,
            )
    return None


def _imdb_id(content: Mapping[str, Any]) -> str | None:
    # For many films TMDB omits it, or sends null or an empty text.
    match = _IMDB_ID.fullmatch(str(content.get("imdb_id")))
    return format_imdb_id(int(match[1])) if match else None


def _question(path: str) -> str:
    """Return the kind of request without the film's id, so that equal reasons can be counted."""
    return f"/{path.split('/')[1]}"


def _credentials(key: str) -> _Credentials:
    """Return a v3 key as a parameter of the address, or a v4 token as a header, as TMDB expects them."""
    key = key.strip()
    if _V3_KEY.fullmatch(key):
        return _Credentials(params={"api_key": key})
    if _V4_TOKEN.fullmatch(key):
        return _Credentials(headers={"Authorization": f"Bearer {key}"})
    # The length reveals a key that was copied in part; the text itself may be nearly a key.
    raise ConfigError(
        "expected a TMDB key in TMDB_API_KEY: 32 hexadecimal digits, or a token that begins with eyJ; received "
        f"{f'{len(key)} characters of another form' if key else 'none'}; get one at {_KEY_PAGE}"
    )


def _checked_url(base_url: str) -> str:
    if not is_web_address(base_url):
        # Not quoted, since it may be a key that was set in the wrong variable.
        raise ConfigError(
            f"expected TMDB's address in KEYART_TMDB_URL, such as {DEFAULT_BASE_URL}, without user, query or fragment; "
            "received something else"
        )
    return base_url.rstrip("/")


def is_web_address(url: str) -> bool:
    """Return whether a text is an http(s) address without user, password, query and fragment."""
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        port = parts.port
    except ValueError:
        return False
    plain = not (parts.username or parts.password or "?" in url or "#" in url or "@" in parts.netloc)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0 and plain
