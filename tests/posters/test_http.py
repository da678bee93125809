from __future__ import annotations

import logging
import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from catalog.errors import FetchError
from posters.http import HttpClient, HttpOptions, Response, UnavailableError, _retry_after_s
from posters.rate_limit import RateLimiter
from tests.posters.tmdb_server import Fault, TmdbServer


def test_returns_responses_of_any_status(server: TmdbServer) -> None:
    client = HttpClient()
    assert client.get(f"{server.address}/t/p/w342/none.jpg") == Response(404, "text/html", b"<h1>File Not Found</h1>")
    client.close()


def test_waits_for_a_network_that_is_down(server: TmdbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    url = server.add_file("/x", b"x")
    n_sleeps = iter(range(9))
    monkeypatch.setattr(RateLimiter, "sleep", lambda limiter, pause_s: next(n_sleeps) == 5 and server.come_back())
    client = HttpClient(HttpOptions(n_retries=1, backoff_s=0))
    assert client.get(url).content == b"x"
    server.go_away()
    # The broken connection counts as a try; requests that cannot be sent do not.
    assert client.get(url).content == b"x"
    assert next(n_sleeps) == 6
    client.close()


def test_gives_up_on_a_network_that_stays_down(server: TmdbServer) -> None:
    url = server.add_file("/x", b"x")
    client = HttpClient(HttpOptions(patience_s=0, backoff_s=0))
    client.get(url)
    server.go_away()
    with pytest.raises(UnavailableError, match="cannot reach"):
        client.get(url)
    client.close()


def test_a_server_that_other_threads_reach_is_available(server: TmdbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    client = HttpClient(HttpOptions(n_retries=3, patience_s=60, backoff_s=0))
    url = server.add_file("/x", b"x")
    client.get(url)
    server.go_away()
    # As if this request alone had been without a network for longer than the patience.
    monkeypatch.setattr("posters.http._Attempts.lost_s", property(lambda tries: -1e9, lambda tries, lost_s: None))
    with pytest.raises(FetchError, match="no connection") as caught:
        client.get(url)
    assert not isinstance(caught.value, UnavailableError)
    client.close()


def test_netrc_is_not_read(server: TmdbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("default login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    client = HttpClient()
    client.get(f"{server.address}/t/p/w342/none.jpg")
    client.close()
    assert server.requests[0].authorization is None


def test_keys_are_redacted_in_logs_of_urllib3(server: TmdbServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = HttpClient(HttpOptions(backoff_s=0))
    server.inject("/3/movie/1", Fault.RESET)
    client.get(f"{server.base_url}/movie/1", {"api_key": "secret", "language": "en-US"})
    client.close()
    assert "api_key=***&language=en-US" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ("", 0),
        ("soon", 0),
        ("-5", 0),
        ("7", 7),
        ("Wed, 21 Oct 2015 07:28:00 -0000", pytest.approx(-3e8, rel=1)),
    ],
)
def test_parses_retry_after(text: str, expected_s: float) -> None:
    assert _retry_after_s(text) == pytest.approx(expected_s, abs=60)


def test_parses_retry_after_as_a_date() -> None:
    text = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert _retry_after_s(text) == pytest.approx(3600, abs=60)


def test_pauses_grow() -> None:
    client = HttpClient(HttpOptions(backoff_s=1.0))
    for n_tries, base_s in ((1, 1), (2, 2), (3, 4), (9, 60), (2000, 60)):
        assert 0.5 * base_s <= client._pause_s(n_tries, others_are_served=False) <= 1.5 * base_s
        # While the server answers others, there is no outage to wait for.
        assert client._pause_s(n_tries, others_are_served=True) <= min(1.5 * base_s, 3)
    client.close()


def test_a_slow_body_is_abandoned(server: TmdbServer) -> None:
    server.inject("/t/p/w342/x.jpg", Fault.DRIP)
    client = HttpClient(HttpOptions(total_s=0.1, n_retries=0))
    with pytest.raises(FetchError, match=r"no whole answer within 0\.1 s"):
        client.get(f"{server.address}/t/p/w342/x.jpg")
    client.close()


def test_an_endless_body_is_abandoned(server: TmdbServer) -> None:
    url = server.add_file("/large", b"x" * (2 << 20))
    client = HttpClient(HttpOptions(max_bytes=1 << 20))
    with pytest.raises(FetchError, match="expected at most 1 MiB, received more"):
        client.get(url)
    assert server.paths() == ["/large"]
    assert len(HttpClient(HttpOptions(max_bytes=2 << 20)).get(url).content) == 2 << 20
    client.close()


def test_a_broken_connection_is_replaced(server: TmdbServer) -> None:
    client = HttpClient(HttpOptions(n_connections=1, n_retries=0))
    for fault in (Fault.TRUNCATED, Fault.OVERLOADED, Fault.RESET, Fault.TOO_MANY):
        server.inject("/t/p/w342/x.jpg", fault)
        with pytest.raises(FetchError):
            client.get(f"{server.address}/t/p/w342/x.jpg")
    assert client.get(f"{server.address}/t/p/w342/x.jpg").status == 404
    client.close()


@pytest.mark.parametrize(("retry_after_s", "expected_s"), [(7.0, 7), (1e9, 600)])
def test_all_threads_pause_for_retry_after(
    server: TmdbServer, monkeypatch: pytest.MonkeyPatch, retry_after_s: float, expected_s: float
) -> None:
    pauses, slept = [], []
    monkeypatch.setattr("posters.http._retry_after_s", lambda text: retry_after_s)
    monkeypatch.setattr(RateLimiter, "report", lambda self, permit, throttled, pause_s, served: pauses.append(pause_s))
    monkeypatch.setattr(RateLimiter, "sleep", lambda self, pause_s: slept.append(pause_s))
    server.inject("/t/p/w342/x.jpg", Fault.TOO_MANY, Fault.OVERLOADED)
    client = HttpClient(HttpOptions(backoff_s=0))
    client.get(f"{server.address}/t/p/w342/x.jpg")
    # The last one was served.
    assert pauses == [expected_s, expected_s, 0]
    assert slept == [expected_s, expected_s]
    client.close()


@pytest.mark.parametrize("fault", [Fault.TOO_MANY, Fault.TOO_MANY_DATE, Fault.TOO_MANY_BARE])
def test_throttling_without_a_time_pauses_no_other_thread(server: TmdbServer, fault: Fault) -> None:
    client = HttpClient(HttpOptions(backoff_s=0))
    server.inject("/t/p/w342/x.jpg", fault)
    assert client.get(f"{server.address}/t/p/w342/x.jpg").status == 404
    assert client.limiter.n_slowed == 1
    assert client.limiter._resumes_s == -math.inf
    client.close()


def test_a_proxy_of_the_environment_is_used(server: TmdbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.address)
    monkeypatch.setenv("no_proxy", "")
    client = HttpClient(params={"api_key": "secret"})
    client.get("http://films.invalid/3/movie/1", {"language": "en-US"})
    client.close()
    (request,) = server.requests
    assert request.path == "/3/movie/1"
    assert request.query == {"language": "en-US", "api_key": "secret"}
