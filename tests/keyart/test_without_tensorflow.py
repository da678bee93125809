"""Searching, serving and recommending work where TensorFlow and Keras are not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from catalog.extras import pip_install
from tests.test_layers import ROOT

pytestmark = pytest.mark.heavy

PROGRAM = """
import sys
from pathlib import Path

sys.modules.update(dict.fromkeys(("tensorflow", "keras")))
import requests

import keyart
from tests.keyart.web.conftest import serving

home, poster = (Path(word) for word in sys.argv[1:])
keyart.pipeline.build(home)
keyart.pipeline.fit(home, "most-rated")
with keyart.open(home) as engine:
    print(len(engine.similar(1, k=2)), len(engine.recommend(1, model="most-rated", k=2).to_dict()["results"]))
    try:
        engine.similar(keyart.Image(poster))
    except keyart.ConfigError as error:
        print(error)
with serving(home) as url:
    for address in ("/api/films/1/similar", "/posters/1?width=160", "/api/users/1/recommendations"):
        print(requests.get(url + address, timeout=60).status_code)
"""


CHECKS = """
import sys

sys.modules.update(dict.fromkeys(("tensorflow", "keras")))
from keyart.cli import main

home, poster = sys.argv[1:]
for line in (
    "demo --out HOME-demo",
    "extract --home HOME",
    "extract --home nowhere --weights random",
    "fit two-tower --home HOME",
    "evaluate models most-rated ranking --home HOME",
    "export two-tower --format savedmodel --out HOME-model --home HOME",
    "cold-start POSTER --home HOME",
    "similar --image POSTER --home HOME",
    "",
):
    try:
        main([word.replace("HOME", home).replace("POSTER", poster) for word in line.split()])
    except SystemExit as end:
        assert end.code == bool(line), (line, end.code)
"""


def test_what_needs_tensorflow_says_so_before_any_work(home: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", CHECKS, home, next((home / "posters").glob("*.*g"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    message = f"keyart: images and neural networks need TensorFlow: {pip_install('tensorflow')}"
    lines = done.stderr.splitlines()
    assert lines.count(message) == 7
    assert len(lines) == 8
    assert "keyart demo" not in done.stdout
    assert "keyart serve" in done.stdout
    assert not home.with_name(f"{home.name}-demo").exists()


def test_a_workspace_is_searched_served_and_recommended_from(home: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, home, next((home / "posters").glob("*.*g"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    message = f"images and neural networks need TensorFlow: {pip_install('tensorflow')}"
    assert done.stdout.splitlines() == ["2 1", message, "200", "200", "200"]


IMAGES = """
import sys

sys.modules.update(dict.fromkeys(("tensorflow", "keras")))
from keyart.cli import main

home, poster = sys.argv[1:]
for words in (["similar", "--image", poster], ["cold-start", poster]):
    try:
        main([*words, "-k", "1", "--home", home])
    except SystemExit as end:
        assert not end.code, words
"""


def test_images_are_compared_by_networks_that_need_no_tensorflow(words_home: Path) -> None:
    poster = next((words_home / "posters").glob("*.*g"))
    command = [sys.executable, "-W", "ignore", "-c", IMAGES, words_home, poster]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "TensorFlow" not in done.stderr
    assert "1.000" in done.stdout
