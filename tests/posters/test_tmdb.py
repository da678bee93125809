from __future__ import annotations

import logging
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

from catalog.errors import ConfigError, FetchError
from posters.http import HttpOptions, UnavailableError
from posters.rate_limit import InterruptedFetchError
from posters.tmdb import FindResult, TmdbClient, TmdbFilm
from tests.posters.tmdb_server import SIZES, V3_KEY, V4_TOKEN, Fault, TmdbServer

RETRIED = [Fault.TOO_MANY, Fault.SERVER_ERROR, Fault.TRUNCATED, Fault.RESET]


@pytest.mark.parametrize("key", [V3_KEY, f"  {V3_KEY.upper()}\n"])
def test_a_v3_key_is_sent_in_the_query(server: TmdbServer, key: str) -> None:
    server.add_film(949)
    with TmdbClient(key, server.base_url) as client:
        if key == V3_KEY:
            assert client.movie(949)
        else:
            with pytest.raises(UnavailableError):
                client.movie(949)
    (request,) = server.requests
    assert request.query == {"api_key": key.strip(), "language": "en-US"}
    assert request.authorization is None


def test_a_v4_token_is_sent_in_a_header(server: TmdbServer) -> None:
    server.add_film(949)
    with TmdbClient(V4_TOKEN, server.base_url) as client:
        assert client.movie(949) == TmdbFilm(949, "/poster949.jpg")
    (request,) = server.requests
    assert request.query == {"language": "en-US"}
    assert request.authorization == f"Bearer {V4_TOKEN}"


@pytest.mark.parametrize("key", ["", "   ", V3_KEY[:-1], "g" * 32, "eyJhbGciOiJIUzI1NiJ9", f"{V3_KEY}\nX: y"])
def test_any_other_key_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ConfigError, match=r"32 hexadecimal digits, or a token.*themoviedb\.org/settings/api") as caught:
        TmdbClient(key)
    assert not key.strip() or key.strip() not in str(caught.value)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "api.themoviedb.org/3",
        "ftp://api.themoviedb.org",
        "http://",
        "http://[::1",
        f"http://u:{V3_KEY}@h/3",
        f"https://h/3?api_key={V3_KEY}",
    ],
)
def test_an_invalid_address_is_refused(base_url: str) -> None:
    with pytest.raises(ConfigError, match=r"such as https://api\.themoviedb\.org/3"):
        TmdbClient(V3_KEY, base_url)


@pytest.mark.parametrize("base_url", ["", "http://[::1", "file:///etc/", "http://h:port/", "//h/t/p/"])
def test_the_image_host_needs_a_web_address(server: TmdbServer, client: TmdbClient, base_url: str) -> None:
    server.image_base_url = base_url
    with pytest.raises(FetchError, match="expected /configuration to name the image host's address"):
        client.configuration()


def test_a_key_without_rights_is_refused(server: TmdbServer, client: TmdbClient) -> None:
    server.inject("/3/configuration", Fault.FORBIDDEN)
    with pytest.raises(UnavailableError, match=r"refuses the key \(HTTP 403\)"):
        client.configuration()


def test_requests_the_configuration_once(server: TmdbServer, client: TmdbClient) -> None:
    assert client.configuration().poster_sizes == SIZES
    assert client.configuration().image_base_url == f"{server.address}/t/p/"
    assert server.paths() == ["/3/configuration"]


def test_a_size_must_be_one_of_the_configuration(client: TmdbClient) -> None:
    client.check_size("w342")
    with pytest.raises(ConfigError, match=r"w92, w154, .* received 'w343'"):
        client.check_size("w343")


def test_a_dead_tmdb_id_is_none(client: TmdbClient) -> None:
    assert client.movie(1) is None


def test_a_film_without_a_poster(server: TmdbServer, client: TmdbClient) -> None:
    server.add_film(949, None)
    assert client.movie(949) == TmdbFilm(949, None)


@pytest.mark.parametrize(
    ("value", "imdb_id"),
    [
        ("tt0113277", "0113277"),
        ("tt113277", "0113277"),
        ("tt12345678", "12345678"),
        ("", None),
        (7, None),
        (None, None),
    ],
)
def test_a_film_has_its_imdb_id(server: TmdbServer, client: TmdbClient, value: object, imdb_id: str | None) -> None:
    server.add_film(949)
    server.change(949, imdb_id=value)
    assert client.movie(949) == TmdbFilm(949, "/poster949.jpg", imdb_id)


def test_finds_films_by_imdb_id_and_nothing_else(server: TmdbServer, client: TmdbClient) -> None:
    server.add_film(949, imdb_id="0113277")
    server.add_series(1396, imdb_id="0903747")
    assert client.find("0113277") == FindResult(TmdbFilm(949, "/poster949.jpg", "0113277"))
    assert client.find("0903747") == FindResult(is_other=True)
    assert client.find("9999999") == FindResult()
    assert server.requests[0].query == {"api_key": V3_KEY, "external_source": "imdb_id", "language": "en-US"}


def test_the_language_is_sent(server: TmdbServer) -> None:
    server.add_film(949)
    with TmdbClient(V3_KEY, server.base_url, "de-DE") as client:
        client.movie(949)
    assert server.requests[0].query["language"] == "de-DE"


def test_downloads_a_poster_without_showing_the_key(server: TmdbServer) -> None:
    server.add_film(949)
    for key in (V3_KEY, V4_TOKEN):
        with TmdbClient(key, server.base_url) as client:
            assert client.image("/poster949.jpg", "w342") == server.image(949)
    images = [request for request in server.requests if request.path == "/t/p/w342/poster949.jpg"]
    assert [(request.query, request.authorization) for request in images] == [({}, None)] * 2


@pytest.mark.parametrize("fault", RETRIED)
def test_transient_failures_are_retried(server: TmdbServer, client: TmdbClient, fault: Fault) -> None:
    server.add_film(949)
    server.inject("/3/movie/949", fault, fault)
    server.inject("/t/p/w342/poster949.jpg", fault, fault)
    assert client.movie(949)
    assert client.image("/poster949.jpg", "w342") == server.image(949)
    assert len(server.paths("/3/movie")) == len(server.paths("/t/p")) == 3


@pytest.mark.parametrize("fault", RETRIED)
def test_lasting_failures_are_given_up(server: TmdbServer, fault: Fault) -> None:
    server.add_film(949)
    server.inject("/3/movie/949", fault, lasting=True)
    with (
        TmdbClient(V3_KEY, server.base_url, http=HttpOptions(n_retries=2, backoff_s=0)) as client,
        pytest.raises(FetchError, match=r"127\.0\.0\.1: .*, after 3 tries") as caught,
    ):
        client.movie(949)
    assert not isinstance(caught.value, UnavailableError)
    assert len(server.requests) == 3


def test_a_silent_server_times_out(server: TmdbServer) -> None:
    server.inject("/3/movie/949", Fault.STALL)
    with (
        TmdbClient(V3_KEY, server.base_url, http=HttpOptions(timeout_s=0.05, n_retries=0)) as client,
        pytest.raises(FetchError, match=r"no answer within 0\.05 s"),
    ):
        client.movie(949)


def test_a_refused_key_is_not_retried(server: TmdbServer, client: TmdbClient) -> None:
    server.inject("/3/movie/949", Fault.UNAUTHORIZED)
    with pytest.raises(UnavailableError, match=r"refuses the key \(HTTP 401\)"):
        client.movie(949)
    assert len(server.requests) == 1


def test_an_unreachable_network_is_reported_at_once(closed_url: str) -> None:
    with (
        TmdbClient(V3_KEY, closed_url, http=HttpOptions(backoff_s=60)) as client,
        pytest.raises(UnavailableError, match=r"cannot reach 127\.0\.0\.1: no connection; check the network"),
    ):
        client.configuration()


@pytest.mark.parametrize("path", ["/3/movie/949", "/3/find/tt0113277"])
def test_a_page_served_in_place_of_the_api_is_reported(server: TmdbServer, client: TmdbClient, path: str) -> None:
    server.inject(path, Fault.HTML)
    with pytest.raises(FetchError, match="expected TMDB's JSON") as caught:
        client.movie(949) if "movie" in path else client.find("0113277")
    assert V3_KEY not in str(caught.value)


def test_a_redirect_is_not_followed(server: TmdbServer, client: TmdbClient) -> None:
    server.inject("/3/movie/949", Fault.REDIRECT)
    server.inject("/t/p/w342/poster949.jpg", Fault.REDIRECT)
    with pytest.raises(FetchError, match=r"HTTP 302 for /movie$"):
        client.movie(949)
    with pytest.raises(FetchError, match="HTTP 302 instead of the poster"):
        client.image("/poster949.jpg", "w342")


def test_an_address_without_configuration_is_not_tmdb(server: TmdbServer) -> None:
    with (
        TmdbClient(V3_KEY, f"{server.address}/4/elsewhere") as client,
        pytest.raises(FetchError, match="does not answer as TMDB's API does"),
    ):
        client.configuration()


@pytest.mark.parametrize("poster_path", ["@example.org/x.jpg", "/../x.jpg", "/a/b.jpg", "http://example.org", 7])
def test_a_poster_path_cannot_lead_elsewhere(server: TmdbServer, client: TmdbClient, poster_path: object) -> None:
    server.add_film(949)
    server.change(949, poster_path=poster_path)
    with pytest.raises(FetchError, match="expected a poster_path such as"):
        client.movie(949)


def test_a_page_served_in_place_of_a_poster_is_reported(server: TmdbServer, client: TmdbClient) -> None:
    server.add_film(949)
    server.inject("/t/p/w342/poster949.jpg", Fault.HTML)
    with pytest.raises(FetchError, match="expected an image, received text/html"):
        client.image("/poster949.jpg", "w342")


def test_an_interrupted_client_sends_nothing(server: TmdbServer) -> None:
    with TmdbClient(V3_KEY, server.base_url) as client:
        client.interrupt()
        with pytest.raises(InterruptedFetchError):
            client.movie(949)
    assert server.requests == []


def test_an_interrupted_client_retries_nothing(server: TmdbServer) -> None:
    server.inject("/3/movie/949", Fault.SERVER_ERROR, lasting=True)
    with TmdbClient(V3_KEY, server.base_url, http=HttpOptions(backoff_s=60)) as client, ThreadPoolExecutor(1) as pool:
        future = pool.submit(client.movie, 949)
        while not server.requests:
            pass
        client.interrupt()
        assert isinstance(future.exception(), InterruptedFetchError)
    assert len(server.requests) == 1


@pytest.mark.parametrize("key", [V3_KEY, V4_TOKEN])
def test_the_key_is_shown_nowhere(
    server: TmdbServer, closed_url: str, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    faults = [*RETRIED, Fault.HTML, Fault.UNAUTHORIZED, Fault.REDIRECT]
    for tmdb_id, fault in enumerate(faults):
        server.inject(f"/3/movie/{tmdb_id}", fault, lasting=True)
    texts = []
    for base_url in (server.base_url, closed_url):
        with TmdbClient(key, base_url, http=HttpOptions(n_retries=1, backoff_s=0)) as client:
            texts.append(repr(client))
            for tmdb_id in range(len(faults)):
                with pytest.raises(FetchError) as caught:
                    client.movie(tmdb_id)
                texts += [str(caught.value), *traceback.format_exception(caught.value)]
                # No chained exception that could show the key.
                assert caught.value.__cause__ is None
                assert caught.value.__context__ is None
    assert "GET /3/movie" in caplog.text
    texts += [caplog.text, *(repr(record.__dict__) for record in caplog.records)]
    assert not [text for text in texts if key in text]
