"""TensorFlow starts without its messages in any Python program, and other output stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from catalog.io import keras
from tests.test_layers import ROOT

NOISE = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795765898.428168   31325 port.cc:153] oneDNN custom operations are on.
2026-01-02 03:04:05.678901: I tensorflow/core/platform/cpu_feature_guard.cc:210] This binary is optimized.
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow.
"""
OTHERS = "2026-01-02 a line of the program's own\nIt is 10:00\n"

# Pictures, a model that is trained and one that is exported, as a program of a user's has them.
PROGRAM = """
import io, sys
from pathlib import Path
from threading import Event, Thread

import numpy as np
from PIL import Image

import keyart
from cf.models.two_tower import TwoTower
from tests.contracts import checkerboard, ratings_of

loaded = Event()
def write():
    while not loaded.wait(0.05):
        print("from a thread", file=sys.stderr)

thread = Thread(target=write)
thread.start()
picture = io.BytesIO()
Image.new("RGB", (60, 90), "teal").save(picture, "PNG")
keyart.pipeline.extract_images([("a", picture.getvalue())], "features", keyart.ExtractOptions(weights="random"))
loaded.set()
thread.join()
model = TwoTower(n_epochs=1).fit(ratings_of(checkerboard()).matrix())
model.export_savedmodel(Path("towers"), {}, k=2)
"""


@pytest.fixture
def noisy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name a module that writes to the file descriptor when it is imported, as TensorFlow's C++ part does."""
    (tmp_path / "noisy_start.py").write_text(f"import os\nos.write(2, {(NOISE + OTHERS).encode()!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "noisy_start", raising=False)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    return "noisy_start"


def test_drops_start_up_messages_only(noisy: str, capfd: pytest.CaptureFixture[str]) -> None:
    keras._import_quietly(noisy)
    assert capfd.readouterr().err == OTHERS
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "later\n"


def test_shows_all_messages_if_asked(
    noisy: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    keras._import_quietly(noisy)
    assert capfd.readouterr().err == NOISE + OTHERS


def test_writes_other_output_also_if_the_import_fails(
    tmp_path: Path, noisy: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "noisy_start.py").open("a") as file:
        file.write("raise ImportError('broken')\n")
    with pytest.raises(ImportError, match="broken"):
        keras._import_quietly(noisy)
    assert capfd.readouterr().err == OTHERS


def test_imports_without_a_standard_error() -> None:
    code = "import os, sys; os.close(2); sys.stderr = None; from catalog.io import keras; keras._import_quietly('wave')"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.release
def test_python_programs_see_nothing_of_tensorflow(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert set(done.stderr.splitlines()) == {"from a thread"}
