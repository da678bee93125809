"""``keyart serve``: what it checks before it opens the workspace, and when it says its address."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from keyart.pipeline.movielens import load
from keyart.web.address import is_loopback
from tests.keyart.conftest import Run
from tests.test_layers import ROOT

pytestmark = pytest.mark.heavy

_TOKEN = "a-token-of-more-than-sixteen-letters"
SERVE = [sys.executable, "-c", "from keyart.cli import main; main()", "serve", "--port", "0"]


@contextmanager
def started(home: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    command = [*SERVE, "--home", str(home), *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=ROOT, text=True) as server:
        try:
            yield server
        finally:
            server.kill()


def read_until(server: subprocess.Popen[str], beginning: str) -> str:
    assert server.stderr is not None
    for line in server.stderr:
        if line.startswith(beginning):
            return line
    raise AssertionError(f"it ended before it said {beginning!r}")


@pytest.mark.parametrize(("host", "name"), [("127.0.0.1", "127.0.0.1"), ("[::1]", "[::1]"), ("::1", "[::1]")])
def test_the_address_is_said_when_it_answers(home: Path, host: str, name: str) -> None:
    with started(home, "--host", host) as server:
        address, _ = read_until(server, "http://").split("  ")
        assert address.startswith(f"http://{name}:")
        assert requests.get(f"{address}api/genres", timeout=60).json() == ["Comedy", "Drama"]
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == -signal.SIGINT


def test_its_public_address_is_that_of_the_options(home: Path) -> None:
    words = ("--root-path", "/films", "--trusted-proxy", "192.0.2.1", "--allow-origin", "https://app.example")
    with started(home, *words) as server:
        address, _ = read_until(server, "http://").split("  ")
        assert requests.get(f"{address}openapi.json", timeout=60).json()["servers"] == [{"url": "/films"}]
        answer = requests.get(f"{address}api/genres", headers={"Origin": "https://app.example"}, timeout=60)
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        # Nobody becomes the proxy by saying so.
        forged = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Host": "b.example", "Origin": "http://b.example"}
        assert requests.get(f"{address}api/genres", headers=forged, timeout=60).status_code == 403
        believed = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Host": "b.example"}
        assert requests.get(f"{address}api/genres", headers=believed, timeout=60).status_code == 200


@pytest.mark.skipif(os.name != "posix", reason="a script for sh")
def test_script_of_the_image_prints_the_address_with_the_port(home: Path, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "keyart").write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "from keyart.cli import main; main()" "$@"\n'
    )
    (programs / "keyart").chmod(0o755)
    (programs / "python").symlink_to(sys.executable)
    (home.parent / "complete").touch()
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    command = [str(ROOT / "deploy" / "serve-demo"), str(home.parent), "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, cwd=tmp_path, text=True) as server:
        try:
            address = read_until(server, "Open ").split()[1]
            read_until(server, "http://")
            assert requests.get(address, timeout=60).status_code == 200
        finally:
            server.kill()


def test_signals_and_failures_have_the_exit_codes_that_are_documented(run: Run, home: Path, tmp_path: Path) -> None:
    documented = re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "files.md").read_text(encoding="utf-8"), re.MULTILINE)
    codes = [
        run("info", "--home", home).code,
        run("info", "--home", tmp_path / "nothing").code,
        run("serve", "--home", home, "--port", "many").code,
    ]
    for number in (signal.SIGINT, signal.SIGTERM):
        with started(home) as server:
            read_until(server, "http://")
            server.send_signal(number)
            # A shell adds 128 to the number of the signal.
            codes.append(128 - server.wait(60))
    assert codes == [int(code) for code in documented] == [0, 1, 2, 130, 143]


def test_an_interrupt_ends_it_while_the_workspace_is_being_opened(home: Path) -> None:
    with started(home) as server:
        read_until(server, "opening ")
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == -signal.SIGINT


def test_an_interrupt_ends_it_while_the_network_is_being_loaded(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "keras.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "slow"), str(ROOT)]))
    with started(home) as server:
        address, _ = read_until(server, "http://").split("  ")
        assert requests.get(f"{address}readyz", timeout=60).status_code == 503
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == -signal.SIGINT


def test_other_machines_are_not_served_without_a_token(run: Run, home: Path) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        outcome = run("serve", "--home", home, "--host", host)
        assert outcome.code == 1
        assert "set KEYART_TOKEN or KEYART_TOKEN_FILE" in outcome.err


@pytest.mark.parametrize("words", [["--token", _TOKEN], [f"--token={_TOKEN}"], ["--token", "0123456789abcdef" * 2]])
def test_a_token_on_the_command_line_is_refused(run: Run, home: Path, words: list[str]) -> None:
    outcome = run("serve", "--home", home, *words)
    assert (outcome.code, outcome.out) == (1, "")
    assert "a token on the command line can be read by everyone on this machine (ps)" in outcome.err
    assert "set KEYART_TOKEN," in outcome.err
    assert words[-1].removeprefix("--token=") not in outcome.err


def test_the_token_is_read_from_a_file_of_its_owner(
    run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text(f"{_TOKEN}\n")
    monkeypatch.setenv("KEYART_TOKEN_FILE", str(path))
    path.chmod(0o644)
    outcome = run("serve", "--home", home)
    assert (outcome.code, outcome.err) == (1, f"keyart: others can read the token in {path}; type: chmod 600 {path}\n")
    path.chmod(0o600)
    with started(home, "--host", "0.0.0.0") as server:
        address, _ = read_until(server, "http://127.0.0.1:").split("  ")
        assert requests.get(f"{address}api/genres", timeout=60).status_code == 401
        shown = {"Authorization": f"Bearer {_TOKEN}"}
        assert requests.get(f"{address}api/genres", headers=shown, timeout=60).status_code == 200


def test_a_short_token_is_refused(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYART_TOKEN", "short")
    assert "expected a token of 16 characters or more, received 5" in run("serve", "--home", home).err


def test_a_port_in_use_is_reported_before_the_workspace_is_opened(run: Run, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        outcome = run("serve", "--home", home, "--port", str(port))
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert f"port {port} is in use by another program" in outcome.err


def test_no_address_is_said_before_a_refusal(run: Run, movielens: Path, tmp_path: Path) -> None:
    load(tmp_path / "unbuilt", movielens)
    outcome = run("serve", "--home", tmp_path / "unbuilt", "--port", "0")
    assert outcome.code == 1
    assert "nothing is built" in outcome.err
    assert "http://" not in outcome.err


def test_a_host_of_another_machine_is_refused(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYART_TOKEN", _TOKEN)
    outcome = run("serve", "--home", home, "--host", "192.0.2.1", "--port", "0")
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "192.0.2.1" in outcome.err


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "192.168.0.1", "127.0.0.1.example", "localhost.example"])
def test_other_addresses_are_no_loopback(host: str) -> None:
    assert not is_loopback(host)
