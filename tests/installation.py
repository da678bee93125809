"""The wheel, installed in a virtual environment whose user works in a folder of modules with the names of packages."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
# The discard port refuses connections, so nothing leaves this machine.
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "HTTPS_PROXY": "http://127.0.0.1:9"}


@dataclass(frozen=True)
class Installation:
    """Distributions in `dist`, a virtual environment that has the wheel, and the user's current folder `work`."""

    folder: Path

    @property
    def dist(self) -> Path:
        return self.folder / "dist"

    @property
    def bin(self) -> Path:
        return self.folder / "venv" / "bin"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def environment(self) -> dict[str, str]:
        # The folder is the first on the path of every process, also of those that have no current folder on theirs.
        return {**os.environ, **OFFLINE, "PYTHONPATH": str(self.work), "KERAS_HOME": str(self.folder / "keras")}

    def run(self, program: str, *words: str | Path) -> str:
        done = subprocess.run(
            [self.bin / program, *words], cwd=self.work, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@dataclass(frozen=True)
class Demonstration:
    """Folder and output of `keyart demo`, run from the wheel without ImageNet weights and network."""

    folder: Path
    printed: str


def install(folder: Path) -> None:
    """Build the distributions and install the wheel beside this environment's dependencies, but not its keyart."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", folder / "dist"]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    venv.create(folder / "venv", symlinks=True)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    # Folders that a .pth file adds to the path are searched for modules, but not for more .pth files.
    dependencies = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "dependencies.pth").write_text("\n".join(dependencies))
    command = [sys.executable, "-m", "pip", "--python", folder / "venv" / "bin" / "python", "install", "--no-deps"]
    subprocess.run([*command, wheel], env={**os.environ, **OFFLINE}, check=True, capture_output=True)
    _write_hostile_modules(folder / "work")


def _write_hostile_modules(folder: Path) -> None:
    """Write a user's modules that have the names of keyart's packages and must not be imported."""
    (folder / "index").mkdir(parents=True)
    for name in ("features.py", "catalog.py", "cf.py", "posters.py", "index/__init__.py"):
        (folder / name).write_text('raise RuntimeError(f"the user\'s {__name__} was imported")\n')
