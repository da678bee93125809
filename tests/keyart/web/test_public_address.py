"""The server behind a reverse proxy, and pages of other origins."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from catalog.errors import ConfigError
from keyart.web.public_address import PublicAddress, Seen
from tests.keyart.conftest import Run
from tests.keyart.web.conftest import serving
from tests.posters.pictures import draw_poster

TOKEN = "a-token-of-more-than-sixteen-letters"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PROXIED = {"X-Forwarded-Host": "films.example.org", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    ("seen", "origin", "same"),
    [
        (Seen("Films.example:443", "https"), "https://films.example", True),
        (Seen("films.example:80"), "http://films.example", True),
        (Seen("films.example"), "https://films.example", True),
        (Seen("films.example", "https"), "http://films.example", False),
        (Seen("films.example:8000"), "http://films.example", False),
        (Seen(""), "null", False),
        (Seen("films.example"), "http://[", False),
    ],
)
def test_an_origin_is_compared_with_the_public_address(seen: Seen, origin: str, same: bool) -> None:
    assert seen.is_origin(origin) is same


def test_only_named_proxies_are_believed() -> None:
    headers = {"host": "inner", "x-forwarded-host": "made-up, films.example", "x-forwarded-proto": "http, https"}
    public = PublicAddress.parse("", ["10.0.0.0/8", "::1"], [])
    for client in ("10.1.2.3", "::1", "::ffff:10.0.0.1"):
        assert public.seen(headers, client) == Seen("films.example", "https", client)
        forwarded = headers | {"x-forwarded-for": "192.0.2.7, 192.0.2.8"}
        assert public.seen(forwarded, client) == Seen("films.example", "https", "192.0.2.8")
        assert public.seen(headers | {"x-forwarded-for": "\x1b[2J"}, client).client == client
    for client in ("127.0.0.1", "11.0.0.1", "testclient", None):
        assert public.seen(headers | {"x-forwarded-for": "192.0.2.8"}, client) == Seen("inner", client=client)
    assert public.seen({"host": "inner", "x-forwarded-proto": "gopher"}, "::1") == Seen("inner", client="::1")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("films", [], []), "--root-path: expected a path such as /films, received 'films'"),
        (("/a/../b", [], []), "--root-path"),
        (("//elsewhere", [], []), "--root-path"),
        (("", ["localhost"], []), "--trusted-proxy: expected an address such as 127.0.0.1"),
        (("", ["10.0.0.1/8"], []), "--trusted-proxy"),
        (("", [], ["https://app.example.org/page"]), "--allow-origin: expected an origin such as"),
        (("", [], ["app.example.org"]), "--allow-origin"),
    ],
)
def test_wrong_options_are_named(options: tuple[str, list[str], list[str]], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        PublicAddress.parse(*options)
    assert str(refused.value).startswith(said)


def test_addresses_are_below_the_prefix(home: Path) -> None:
    public = PublicAddress.parse("/films/", ["127.0.0.1"], [])
    with serving(home, TOKEN, root_path=public.root_path, trusted_proxies=public.trusted_proxies) as url:
        # A proxy takes the prefix off.
        answer = requests.get(f"{url}/?film=1&token={TOKEN}", headers=PROXIED, allow_redirects=False, timeout=60)
        assert answer.headers["location"] == "/films/?film=1"
        assert "Path=/films/;" in answer.headers["set-cookie"]
        assert answer.headers["set-cookie"].endswith("; Secure")
        assert requests.get(f"{url}/healthz", timeout=60).status_code == 200
        assert requests.get(f"{url}/static/page.css", headers=BEARER, timeout=60).status_code == 200
        described = requests.get(f"{url}/openapi.json", headers=BEARER, timeout=60).json()
        assert described["servers"] == [{"url": "/films"}]
        slash = requests.get(f"{url}/user/", headers=BEARER | PROXIED, allow_redirects=False, timeout=60)
        assert slash.headers["location"] == "https://films.example.org/films/user"
        counts = requests.get(f"{url}/metrics", headers=BEARER, timeout=60).text
        assert 'route="/healthz",status="200"' in counts


def test_a_page_at_the_public_address_may_ask(home: Path) -> None:
    def status(url: str, origin: str, headers: dict[str, str]) -> int:
        sent = {"Origin": origin, "Cookie": f"keyart-token={TOKEN}", **headers}
        return requests.post(f"{url}/api/similar", draw_poster(2), headers=sent, timeout=60).status_code

    with serving(home, TOKEN, trusted_proxies=PublicAddress.parse("", ["127.0.0.1"], []).trusted_proxies) as url:
        assert status(url, "https://films.example.org", PROXIED) == 200
        assert status(url, "http://films.example.org", PROXIED) == 403
        assert status(url, "https://elsewhere.example", PROXIED) == 403
        assert status(url, "http://[", PROXIED) == 403
        # A token as Bearer is checked before the origin.
        assert status(url, "https://elsewhere.example", BEARER) == 200
        assert status(url, "https://elsewhere.example", {"Authorization": "Bearer wrong"}) == 401
    with serving(home, TOKEN) as url:
        assert status(url, "https://films.example.org", PROXIED) == 403


def test_without_a_token_no_proxy_opens_the_server(home: Path) -> None:
    with serving(home, trusted_proxies=PublicAddress.parse("", ["127.0.0.1"], []).trusted_proxies) as url:
        assert requests.get(f"{url}/api/genres", timeout=60).status_code == 200
        assert requests.get(f"{url}/api/genres", headers=PROXIED, timeout=60).status_code == 403
        assert requests.get(f"{url}/api/genres", headers=BEARER | {"Origin": "http://x"}, timeout=60).status_code == 403


def test_pages_of_allowed_origins_may_ask(home: Path) -> None:
    public = PublicAddress.parse("", [], ["https://APP.example:443/"])
    app = {"Origin": "https://app.example"}
    before = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    with serving(home, TOKEN, allowed_origins=public.allowed_origins) as url:
        preflight = requests.options(f"{url}/api/similar", headers=app | before, timeout=60)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://app.example"
        assert "Authorization" in preflight.headers["access-control-allow-headers"]
        other = requests.options(f"{url}/api/similar", headers={"Origin": "https://b.example"} | before, timeout=60)
        assert (other.status_code, "access-control-allow-origin" in other.headers) == (400, False)
        for headers, status in ((BEARER, 200), ({}, 401), ({"Cookie": f"keyart-token={TOKEN}"}, 401)):
            answer = requests.get(f"{url}/api/genres", headers=app | headers, timeout=60)
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == "https://app.example"
            assert "access-control-allow-credentials" not in answer.headers
            assert "Origin" in answer.headers["vary"]
    with serving(home, allowed_origins=public.allowed_origins) as url:
        assert requests.get(f"{url}/api/genres", headers=app, timeout=60).status_code == 200
        assert requests.get(f"{url}/api/genres", headers={"Origin": "https://b.example"}, timeout=60).status_code == 403


def test_every_origin_is_allowed_beside_a_token_only(run: Run, home: Path) -> None:
    outcome = run("serve", "--home", home, "--allow-origin", "*")
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "--allow-origin * lets every page in; set KEYART_TOKEN" in outcome.err
    with serving(home, TOKEN, allowed_origins=("*",)) as url:
        answer = requests.get(f"{url}/api/genres", headers=BEARER | {"Origin": "https://a.example"}, timeout=60)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
