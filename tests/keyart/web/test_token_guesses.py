"""Wrong tokens are slowed down and logged; right ones are not."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

pytest.importorskip("fastapi")

from keyart.web.public_address import PublicAddress
from keyart.web.token_guesses import _N_ADDRESSES, TokenGuesses
from tests.keyart.web.conftest import serving

_TOKEN = "a-token-of-more-than-sixteen-letters"


class Clock:
    """A time of its own."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guesses(clock: Clock) -> TokenGuesses:
    return TokenGuesses(n_free=3, pause_s=2, trusted_s=60, clock=clock)


def guess(guesses: TokenGuesses, client: str, n_tokens: int) -> None:
    for number in range(n_tokens):
        assert guesses.failed(client, f"guess {number}")


def test_guesses_over_the_free_ones_have_to_wait(guesses: TokenGuesses, clock: Clock) -> None:
    guess(guesses, "192.0.2.1", 2)
    assert guesses.wait_s("192.0.2.1") == 0
    guess(guesses, "192.0.2.1", 1)
    assert guesses.wait_s("192.0.2.1") == 2
    assert guesses.wait_s("192.0.2.2") == 0
    clock.now = 2
    assert guesses.wait_s("192.0.2.1") == 0
    assert guesses.failed("192.0.2.1", "another")
    assert guesses.wait_s("192.0.2.1") == 2


def test_the_same_wrong_token_again_is_no_guess(guesses: TokenGuesses) -> None:
    assert [guesses.failed("192.0.2.1", "old token") for _ in range(100)] == [True] + [False] * 99
    assert guesses.wait_s("192.0.2.1") == 0


def test_address_of_the_right_token_never_waits(guesses: TokenGuesses, clock: Clock) -> None:
    guesses.succeeded("192.0.2.1")
    guess(guesses, "192.0.2.1", 50)
    assert guesses.wait_s("192.0.2.1") == 0
    clock.now = 61
    assert guesses.wait_s("192.0.2.1") > 0


@pytest.mark.parametrize(
    ("first", "second"), [("2001:db8::1", "2001:db8::ffff:2"), ("::ffff:192.0.2.1", "192.0.2.1"), (None, "?")]
)
def test_addresses_of_one_client_count_together(guesses: TokenGuesses, first: str, second: str) -> None:
    guess(guesses, first, 3)
    assert guesses.wait_s(second) > 0
    assert guesses.wait_s("2001:db8:0:1::1") == 0


def test_memory_is_bounded(guesses: TokenGuesses) -> None:
    guesses.succeeded("192.0.2.1")
    for number in range(2 * _N_ADDRESSES):
        guesses.failed(f"10.0.{number >> 8}.{number & 255}", "guess")
    assert len(guesses._guesses) == _N_ADDRESSES
    guess(guesses, "192.0.2.1", 10)
    assert guesses.wait_s("192.0.2.1") == 0


def test_a_client_that_guesses_is_refused_and_others_are_not(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    proxies = PublicAddress.parse("", ["127.0.0.1"], []).trusted_proxies
    with serving(home, _TOKEN, trusted_proxies=proxies) as url:

        def status(token: str, client: str, path: str = "api/genres") -> int:
            headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": f"198.51.100.7, {client}"}
            return requests.get(f"{url}/{path}", headers=headers, timeout=60).status_code

        assert [status(f"guess {number}", "192.0.2.1") for number in range(11)] == [401] * 10 + [429]
        # Not even the right one shows that it is the right one.
        assert status(_TOKEN, "192.0.2.1") == 429
        assert status("guess", "192.0.2.1", "healthz") == 200
        assert status(_TOKEN, "192.0.2.2") == 200
        assert [status(f"guess {number}", "192.0.2.2") for number in range(15)] == [401] * 15
        assert status(_TOKEN, "192.0.2.2") == 200
    assert "a wrong token was shown by 192.0.2.1" in caplog.text
    assert "guess" not in caplog.text


def test_a_cookie_with_an_old_token_is_removed(home: Path) -> None:
    with serving(home, _TOKEN) as url, requests.Session() as browser:
        browser.cookies.set("keyart-token", "the token before this one", domain="127.0.0.1", path="/")
        assert browser.get(f"{url}/api/genres", timeout=60).status_code == 401
        assert not browser.cookies
        assert browser.get(f"{url}/?token={_TOKEN}", timeout=60).url == f"{url}/"
        assert browser.get(f"{url}/api/genres", timeout=60).status_code == 200
