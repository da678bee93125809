"""Installed, keyart takes one top-level name, and works where a user's own modules have the names of its packages."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from hatchling.builders.wheel import WheelBuilder

from hatch_build import rewrite_imports
from tests.features.conftest import draw_poster
from tests.installation import OFFLINE, Demonstration, Installation
from tests.test_layers import PACKAGES, ROOT

pytestmark = pytest.mark.heavy

NESTED = [package for package in PACKAGES if package != "keyart"]
MOVED = {"catalog": "keyart.catalog", "features": "keyart.features"}
MODULES = {"catalog", "catalog.errors", "features", "features.store"}
HAS_JAVA = shutil.which("java") is not None or "JAVA_HOME" in os.environ
needs_java = pytest.mark.skipif(not HAS_JAVA, reason="Spark needs Java 17 (openjdk-17-jre-headless)")


@pytest.fixture(scope="module")
def wheel(installation: Installation) -> Path:
    (path,) = installation.dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def workspace(demonstration: Demonstration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration's workspace, to be changed."""
    return Path(shutil.copytree(demonstration.folder / "workspace", tmp_path_factory.mktemp("wheel") / "workspace"))


def test_the_wheel_takes_one_top_level_name(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {re.sub(r"-.+\.dist-info", "", top) for top in tops} == {"keyart"}
    assert len(tops) == 2


def test_the_wheel_holds_every_file_of_the_packages(content: dict[str, bytes]) -> None:
    paths = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file())
    names = {path.relative_to(ROOT).as_posix() for path in paths if "__pycache__" not in path.parts}
    assert set(content) == {name if name.startswith("keyart/") else f"keyart/{name}" for name in names}


def test_package_indexes_get_a_readme_with_absolute_pictures(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = archive.read(name).decode()
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", metadata)
    assert pictures
    assert all(target.startswith("https://github.com/keyart/keyart/raw/main/docs/") for target in pictures)
    assert "Description-Content-Type: text/markdown" in metadata


def test_only_imports_differ_from_the_repository(content: dict[str, bytes]) -> None:
    for name, written in content.items():
        nested = name.removeprefix("keyart/")
        source = ROOT / (nested if nested.split("/")[0] in NESTED else name)
        pairs = list(zip(source.read_bytes().split(b"\n"), written.split(b"\n"), strict=True))
        changed = [line for line, other in pairs if line != other]
        assert all(re.match(rb"\s*(>>> )?(from|import) ", line) for line in changed), name
        assert name.endswith(".py") or not changed


def test_no_module_of_the_wheel_imports_a_bare_package(content: dict[str, bytes]) -> None:
    for name, source in content.items():
        for node in ast.walk(ast.parse(source)) if name.endswith(".py") else []:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module)]
            assert not {each.split(".")[0] for each in names} & set(NESTED), f"{name}, line {node.lineno}"


def test_the_source_distribution_builds_the_same_wheel(installation: Installation, wheel: Path, tmp_path: Path) -> None:
    (sdist,) = installation.dist.glob("*.tar.gz")
    command = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "-w", tmp_path, sdist]
    subprocess.run(command, env={**os.environ, **OFFLINE}, check=True, capture_output=True)
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_an_editable_install_is_the_repository_itself(tmp_path: Path) -> None:
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["editable"])
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if ".dist-info/" not in name]
        assert name.endswith(".pth")
        assert Path(archive.read(name).decode().strip()) == ROOT


def test_a_name_that_the_wheel_needs_must_be_free(tmp_path: Path) -> None:
    for name in ("catalog/__init__.py", "keyart/__init__.py", "keyart/catalog.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "hatch_build.py").write_bytes((ROOT / "hatch_build.py").read_bytes())
    target = {"packages": ["catalog", "keyart"], "sources": {"catalog": "keyart/catalog"}, "hooks": {"custom": {}}}
    config = {
        "project": {"name": "keyart", "version": "1"},
        "tool": {"hatch": {"build": {"targets": {"wheel": target}}}},
    }
    with pytest.raises(ValueError, match=r"keyart/catalog exists, but the wheel needs this name"):
        list(WheelBuilder(str(tmp_path), config=config).build(directory=str(tmp_path), versions=["standard"]))


@pytest.mark.parametrize(
    ("source", "rewritten"),
    [
        ("from catalog.errors import DataError", "from keyart.catalog.errors import DataError"),
        ("from catalog import (\n    errors,\n)", "from keyart.catalog import (\n    errors,\n)"),
        ("import catalog", "import keyart.catalog as catalog"),
        ("import os, features.store as s", "import os, keyart.features.store as s"),
        # The name stays the package's, and no other is bound.
        ("import catalog.errors", "import keyart.catalog.errors as catalog, keyart.catalog as catalog"),
        ("def f():\r\n\tfrom features import *\r\n", "def f():\r\n\tfrom keyart.features import *\r\n"),
        ("é = 1; import catalog", "é = 1; import keyart.catalog as catalog"),
        ('"""\n>>> from features import x\n"""', '"""\n>>> from keyart.features import x\n"""'),
        ("from . import catalog", "from . import catalog"),
        ("from .features import x", "from .features import x"),
        ("import catalogue, os.catalog", "import catalogue, os.catalog"),
        ("features = catalog.errors", "features = catalog.errors"),
        ("catalog = 'features.json', '/catalog.errors'", "catalog = 'features.json', '/catalog.errors'"),
        ("import_module(f'.catalog.{x}', __package__)", "import_module(f'.catalog.{x}', __package__)"),
    ],
)
def test_imports_are_rewritten_exactly(source: str, rewritten: str) -> None:
    assert rewrite_imports(source.encode(), MOVED, MODULES, name="module.py").decode() == rewritten


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("from \\\n  catalog import errors", "expected `from catalog` on one line"),
        ("import_module('features')", "import_module() names a module that moves"),
        ("importlib.import_module(f'features.{name}')", "import_module() names a module that moves"),
        ("names = ['catalog.errors']", "the text 'catalog.errors' names a module that moves"),
        ("run(['-c', 'from features.store import x'])", "the text 'features.store' names a module that moves"),
        ("re.compile(r'^catalog\\.errors\\.')", "names a module that moves"),
        ("def f(error: 'catalog.errors.DataError'): ...", "the text 'catalog.errors' names a module that moves"),
    ],
)
def test_an_import_that_cannot_be_rewritten_fails_the_build(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^module.py, line 2: .*{re.escape(message)}"):
        rewrite_imports(f"\n{source}".encode(), MOVED, MODULES, name="module.py")


def test_the_folder_is_hostile(installation: Installation) -> None:
    for package in NESTED:
        with pytest.raises(AssertionError, match=f"RuntimeError: the user's {package} was imported"):
            installation.run("python", "-c", f"import keyart, {package}")


def test_the_public_api_is_imported_from_the_wheel(installation: Installation) -> None:
    code = "import keyart; [getattr(keyart, name) for name in keyart.__all__]; print(keyart.__file__)"
    path = Path(installation.run("python", "-c", code))
    assert installation.bin.parent in path.parents


def test_help_is_shown(installation: Installation) -> None:
    assert "similar" in installation.run("keyart", "--help")


def test_the_demo_runs(demonstration: Demonstration) -> None:
    assert "Next, for a catalog:" in demonstration.printed


@needs_java
@pytest.mark.release
def test_spark_extracts(installation: Installation, tmp_path: Path) -> None:
    for seed in range(3):
        draw_poster(tmp_path / f"{seed}.png", seed)
    # One worker imports TensorFlow once.
    options = ("--weights", "random", "--spark", "local[1]")
    printed = installation.run("keyart", "extract", "--images", tmp_path, "--out", tmp_path / "features", *options)
    assert "features of 3 images computed" in printed


def test_look_alikes_are_found(installation: Installation, workspace: Path) -> None:
    words = ("similar", "Midnight Ledger (1947)", "-k", "3", "--json", "--home", workspace)
    assert len(json.loads(installation.run("keyart", *words))["results"]) == 3


def test_a_recommender_is_fitted(installation: Installation, workspace: Path) -> None:
    assert installation.run("keyart", "fit", "ease", "--home", workspace).startswith("ease: fitted")


@pytest.fixture
def address(installation: Installation, workspace: Path) -> Iterator[str]:
    """A server of the demo's workspace."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    words = [installation.bin / "keyart", "serve", "--port", port, "--home", workspace]
    with subprocess.Popen(words, cwd=installation.work, env=installation.environment) as server:
        yield f"http://127.0.0.1:{port}"
        server.terminate()


def test_the_page_is_served(address: str) -> None:
    until_it_listens = urllib3.Retry(None, connect=600, backoff_factor=0.1, backoff_max=0.2)
    page = urllib3.request("GET", f"{address}/", retries=until_it_listens)
    assert page.status == 200
    assert b"<html" in page.data
    (style,) = re.findall(r'href="(/?[\w./-]+\.css)', page.data.decode())[:1]
    assert urllib3.request("GET", f"{address}/{style.lstrip('/')}").status == 200
