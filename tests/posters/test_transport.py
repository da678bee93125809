from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from posters.transport import Answer, Transport, _retry_after_s
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


def test_pauses_grow() -> None:
    asker = Transport(backoff_s=1.0)
    for n_tries, base_s in ((1, 1), (2, 2), (3, 4), (9, 60), (2000, 60)):
        assert 0.5 * base_s <= asker._pause_s(n_tries) <= min(1.5 * base_s, 60)
    asker.close()
