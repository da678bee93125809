from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from posters.transport import Answer, Transport, _retry_after_s, _Trouble
from tests.posters.tmdb_server import Fault, TmdbServer


def test_answers_whatever_the_status(server: TmdbServer) -> None:
    asker = Transport()
    assert asker.get(f"{server.address}/t/p/w342/none.jpg") == Answer(404, "text/html", b"<h1>File Not Found</h1>")
    asker.close()


def test_a_file_of_passwords_is_not_read(server: TmdbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("default login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    asker = Transport()
    asker.get(f"{server.address}/t/p/w342/none.jpg")
    asker.close()
    assert server.requests[0].authorization is None


def test_keys_are_blanked_in_what_others_log(server: TmdbServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    asker = Transport(backoff_s=0)
    server.inject("/3/movie/1", Fault.RESET)
    asker.get(f"{server.base_url}/movie/1", {"api_key": "secret", "language": "en-US"})
    asker.close()
    assert "api_key=***&language=en-US" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ("", 0),
        ("soon", 0),
        ("-5", 0),
        ("7", 7),
        (format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True), 3600),
        ("Wed, 21 Oct 2015 07:28:00 -0000", pytest.approx(-3e8, rel=1)),
    ],
)
def test_reads_retry_after(text: str, expected_s: float) -> None:
    assert _retry_after_s(text) == pytest.approx(expected_s, abs=60)


def test_pauses_grow_and_obey_retry_after(monkeypatch: pytest.MonkeyPatch) -> None:
    asker = Transport(backoff_s=1.0, n_retries=9)
    pauses: list[float] = []
    monkeypatch.setattr(asker._interrupted, "wait", lambda pause_s: pauses.append(pause_s))
    for n_tries in (1, 2, 3, 9):
        assert asker._tries_again(_Trouble("HTTP 500"), n_tries)
    assert asker._tries_again(_Trouble("HTTP 429", retry_after_s=30.0), 1)
    assert asker._tries_again(_Trouble("HTTP 429", retry_after_s=3600.0), 1)
    asker.close()
    for pause_s, base_s in zip(pauses[:3], (1, 2, 4), strict=True):
        assert 0.5 * base_s <= pause_s <= 1.5 * base_s
    assert pauses[3:] == [60.0, 30.0, 60.0]
