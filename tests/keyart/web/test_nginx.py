"""The server behind a real nginx, with the configuration of the documentation, below a path."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from keyart.web.body_limits import MAX_UPLOAD_BYTES
from keyart.web.public_address import PublicAddress
from tests.keyart.web.conftest import NEEDS_CHROMIUM, looking, serving
from tests.posters.pictures import draw_poster
from tests.test_layers import ROOT

pytestmark = pytest.mark.skipif(not (shutil.which("nginx") and shutil.which("openssl")), reason="needs nginx, openssl")

TOKEN = "a-token-of-more-than-sixteen-letters"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def free_ports(n: int) -> list[int]:
    with ExitStack() as stack:
        return [stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(n)]


def configuration(folder: Path, backend: str, ports: list[int]) -> str:
    """Read the configuration with the location from the documentation, and put in what this machine has."""
    text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    documented = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    location = re.search(r"```nginx\n(.+?)```", documented, re.DOTALL)[1]  # type: ignore[index]
    text = re.sub(r"    location / \{.+?\n    \}\n", lambda _found: location, text, flags=re.DOTALL)
    for before, after in (
        ("127.0.0.1:8000", urlsplit(backend).netloc),
        ("listen 443", f"listen 127.0.0.1:{ports[0]}"),
        ("listen 80", f"listen 127.0.0.1:{ports[1]}"),
        ("/etc/letsencrypt/live/films.example.org", str(folder)),
        ("/var/log/nginx", str(folder)),
        ("films.example.org", "localhost"),
    ):
        assert before in text
        text = text.replace(before, after)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    user = "user root;\n" if os.geteuid() == 0 else ""
    return f"{user}daemon off;\npid {folder}/pid;\nevents {{}}\nhttp {{\n{temporary}{text}}}\n"


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def proxied(folder: Path, backend: str) -> Iterator[str]:
    """Run nginx before a server, and give its address."""
    words = "req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost".split()
    words += ["-keyout", "privkey.pem", "-out", "fullchain.pem"]
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    ports = free_ports(2)
    (folder / "nginx.conf").write_text(configuration(folder, backend, ports))
    with subprocess.Popen(["nginx", "-e", folder / "errors.log", "-c", folder / "nginx.conf"]) as nginx:
        try:
            deadline = time.monotonic() + 60
            while not answers(ports[0]):
                assert nginx.poll() is None, (folder / "errors.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield f"https://localhost:{ports[0]}"
        finally:
            nginx.terminate()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where nginx keeps its files."""
    return tmp_path_factory.mktemp("nginx")


@pytest.fixture(scope="module")
def public(_built_home: Path, folder: Path) -> Iterator[str]:
    """The address of the page behind nginx, without the path."""
    home = shutil.copytree(_built_home, folder / "workspace")
    options = PublicAddress.parse("/films", ["127.0.0.1"], [])
    with (
        serving(home, TOKEN, root_path="/films", trusted_proxies=options.trusted_proxies) as backend,
        proxied(folder, backend) as url,
    ):
        yield url


@pytest.fixture
def client(folder: Path) -> Iterator[requests.Session]:
    """A client that trusts nginx's certificate."""
    with requests.Session() as session:
        # Variables of this machine may name other certificates.
        session.trust_env = False
        session.verify = str(folder / "fullchain.pem")
        yield session


def test_requests_pass_through_nginx(public: str, client: requests.Session, poster_folder: Path) -> None:
    assert client.get(f"{public}/films/api/genres", timeout=60).status_code == 401
    found = client.get(f"{public}/films?token=", headers=BEARER, allow_redirects=False, timeout=60)
    assert found.headers["location"].startswith(f"{public}/films/")
    assert client.get(f"{public}/films/?film=1&token={TOKEN}", timeout=60).url == f"{public}/films/?film=1"
    (cookie,) = client.cookies
    assert (cookie.path, cookie.secure) == ("/films/", True)
    picture = (poster_folder / "2.jpg").read_bytes()
    raw = client.post(f"{public}/films/api/similar", picture, headers={"Origin": public}, timeout=60)
    form = client.post(f"{public}/films/api/similar", files={"image": ("2.jpg", picture)}, timeout=60)
    assert raw.json()["results"][0]["movie_id"] == 2
    assert form.json() == raw.json()
    for content, detail in ((bytes(MAX_UPLOAD_BYTES), "image"), (bytes(MAX_UPLOAD_BYTES + 1), "at most 10 MiB")):
        refused = client.post(f"{public}/films/api/similar", files={"image": ("2.jpg", content)}, timeout=60)
        assert detail in refused.json()["detail"]
    foreign = {"Origin": "https://localhost"}
    assert client.post(f"{public}/films/api/similar", picture, headers=foreign, timeout=60).status_code == 403
    assert client.post(f"{public}/films/api/similar", picture, headers=foreign | BEARER, timeout=60).status_code == 200
    forged = foreign | {"X-Forwarded-Host": "localhost"}
    assert client.post(f"{public}/films/api/similar", picture, headers=forged, timeout=60).status_code == 403


@NEEDS_CHROMIUM
@pytest.mark.heavy
def test_the_page_works_below_the_path(
    browser: Any, public: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    (tmp_path / "poster.jpg").write_bytes(draw_poster(2))
    with looking(browser, public, request, ignore_https_errors=True) as page:
        missing: list[str] = []
        page.on("response", lambda answer: missing.append(answer.url) if answer.status >= 400 else None)
        page.goto(f"/films/?film=1&token={TOKEN}")
        page.locator(".hit img >> nth=0").wait_for()
        page.set_input_files("#picture", tmp_path / "poster.jpg")
        page.locator("#name", has_text="Your picture").wait_for()
        page.locator("#expected", has_text="stars expected").wait_for()
        page.get_by_role("link", name="For you").click()
        page.wait_for_url(f"{public}/films/user")
        page.get_by_role("link", name="Look-alikes", exact=True).click()
        page.locator("#wall img >> nth=0").wait_for()
        # Neither a fitted model nor an atlas is there.
        assert [url for url in missing if "/films/" not in url] == []
