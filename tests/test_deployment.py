"""Check the files for deployment, by the programs that read them where these are installed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from catalog.extras import EXTRAS
from keyart.cli import keyart as command_line
from keyart.web.middleware import _PUBLIC_PATHS
from tests.test_layers import PACKAGES, ROOT
from tests.test_packaging import PYTHONS

DEPLOY = ROOT / "deploy"


def instructions() -> list[tuple[str, str]]:
    """Read the Dockerfile: (instruction, arguments), continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line for line in re.sub(r"\\\n\s*", "", text).splitlines() if line]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def arguments(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def sources() -> list[str]:
    """List what is copied from the repository."""
    words = [shlex.split(rest) for rest in arguments("COPY") if "--from=" not in rest]
    return [word for line in words for word in line[:-1] if not word.startswith("--")]


def test_image_is_built_in_two_stages_of_a_supported_python() -> None:
    bases = [rest.split()[0] for rest in arguments("FROM")]
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:(.+)-slim", bases[0])[1] in PYTHONS  # type: ignore[index]


def test_image_copies_existing_files_and_nothing_else_is_sent() -> None:
    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert sorted(line.removeprefix("!") for line in sent if line.startswith("!")) == sorted(sources())
    assert all((ROOT / source).exists() for source in sources())
    assert set(PACKAGES) <= set(sources())


def test_image_installs_existing_extras_by_the_constraints() -> None:
    (install,) = [rest for rest in arguments("RUN") if "pip install" in rest]
    assert set(re.search(r"'\.\[(.+)\]'", install)[1].split(",")) <= set(EXTRAS)  # type: ignore[index]
    assert "--constraint constraints.txt" in install


def test_image_runs_without_root_and_has_a_health_check_without_token() -> None:
    names = [name for name, _ in instructions()]
    (user,) = arguments("USER")
    assert f"--create-home {user} " in arguments("RUN")[-1]
    assert names.index("USER") < names.index("CMD")
    (check,) = arguments("HEALTHCHECK")
    code = json.loads(check.partition("CMD ")[2])[2]
    compile(code, "HEALTHCHECK", "exec")
    assert re.search(r"8000(/\w+)'", code)[1] in _PUBLIC_PATHS  # type: ignore[index]


def test_default_command_of_the_image_is_an_executable_script() -> None:
    (command,) = (json.loads(rest) for rest in arguments("CMD"))
    assert command == ["serve-demo"]
    assert os.access(DEPLOY / command[0], os.X_OK)
    subprocess.run(["sh", "-n", DEPLOY / command[0]], check=True)


@pytest.mark.parametrize("name", ["serve-demo", "keyart.service"])
def test_commands_in_scripts_parse(name: str) -> None:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    found = re.findall(
        r"(?:ExecStart=/\S+/|exec |\{ )keyart (.+?)(?: &&.*)?$", text.replace("$port", "8000"), re.MULTILINE
    )
    assert found
    for line in found:
        words = shlex.split(line)
        command = command_line.get_command(click.Context(command_line), words[0])
        assert command is not None
        command.make_context(words[0], words[1:])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "keyart.service").read_text(encoding="utf-8")
    unit = tmp_path / "keyart.service"
    unit.write_text(text.replace("/opt/keyart/bin/keyart", sys.executable).replace("User=keyart", "User=root"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    # It also names faults of the machine's own units.
    assert [line for line in done.stderr.splitlines() if "keyart" in line] == []


@pytest.mark.skipif(not (shutil.which("nginx") and shutil.which("openssl")), reason="needs nginx and openssl")
def test_nginx_accepts_the_configuration(tmp_path: Path) -> None:
    key, certificate = tmp_path / "privkey.pem", tmp_path / "fullchain.pem"
    words = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-keyout",
        key,
        "-out",
        certificate,
    ]
    subprocess.run(["openssl", *words], check=True, capture_output=True)
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    text = text.replace("/etc/letsencrypt/live/films.example.org", str(tmp_path)).replace(
        "/var/log/nginx", str(tmp_path)
    )
    config = tmp_path / "nginx.conf"
    config.write_text(f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n{text}}}\n")
    done = subprocess.run(["nginx", "-t", "-q", "-c", config], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
