"""Wrong values are refused before anything is imported that takes seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from catalog.io.locks import exclusive
from tests.keyart.conftest import Run
from tests.posters.pictures import draw_poster

# Runs each command in one process: nothing of what one of them imports is unloaded.
_CODE = """
import sys
from keyart.cli import main
for line in sys.stdin.read().splitlines():
    try:
        main(line.split())
    except SystemExit as left:
        slow = {"tensorflow", "keras", "faiss", "pyspark", "sklearn", "matplotlib", "onnxruntime"} & set(sys.modules)
        print(left.code, *sorted(slow))
"""
_COMMANDS = """
similar 1 --home nowhere
similar --image nowhere.jpg
similar --image text.jpg
similar 1 --encoder nonsense
explain 1 2 --encoder tiny+nonsense
duplicates --encoder nonsense
cold-start poster.jpg --encoder nonsense
build --encoder nonsense
encoders default nonsense
encoders remove nonsense
similar --image empty
similar --image poster.jpg --genre Nonsense
similar 1 --genre Nonsense
similar nonsense
similar 1 --movie-ids nowhere.txt
similar 1 --sheet sheet.bmp
similar 1 --sheet nowhere/sheet.png
explain 1 2 --home nowhere
explain 1 2 --sheet sheet.bmp
duplicates --home nowhere
duplicates --sheet sheet.bmp
neighbors --home nowhere
neighbors --out nowhere/n.parquet
neighbors --out n.xlsx
extract --home nowhere
extract --encoder nowhere.keras
extract --encoder text.jpg
extract --encoder nowhere.keras --engine onnx
extract --encoder nowhere.keras --spark
extract --weights nowhere.h5
extract --preprocessing tf
extract --weights text.jpg
extract --images nowhere --out features
extract --images empty --out features
extract --images poster.jpg --out features
build --home nowhere
add nowhere.jpg --title X
add text.jpg --title X --home nowhere
add poster.jpg --title X --genre Nonsense
add bad.csv
cold-start nowhere.jpg
cold-start text.jpg
cold-start empty
cold-start bad.csv
cold-start poster.jpg --home nowhere
cold-start poster.jpg --genre Nonsense
cold-start poster.jpg --year 1
tune --home nowhere
tune --model nonsense
fit nonsense
fit ease --home nowhere
fit als --set als.nonsense=1
fit two-tower --set two-tower.nonsense=1
fit als --set ease.penalty=1
recommend 1 --home nowhere
recommend 1 --model nonsense
recommend --ratings nowhere.csv
evaluate models nonsense
evaluate models --home nowhere
evaluate models two-tower --home nowhere
evaluate models als --set als.nonsense=1
evaluate models two-tower --set two-tower.nonsense=1
evaluate models --ratings nowhere.csv
evaluate models --train nowhere.csv --test nowhere.csv
evaluate cold-start nonsense
evaluate cold-start --home nowhere
evaluate look-alikes nonsense
evaluate look-alikes cosine cosine
evaluate look-alikes --home nowhere
evaluate look-alikes --tasks nonsense
evaluate look-alikes --pairs nowhere.csv
evaluate look-alikes --pairs bad.csv
evaluate look-alikes --titles films.csv
evaluate look-alikes --features nowhere
evaluate look-alikes --features empty
evaluate look-alikes --features empty --titles nowhere.csv
evaluate look-alikes --features empty --posters nowhere
evaluate look-alikes --features empty --posters empty
evaluate look-alikes --plot plot.bmp
evaluate look-alikes --sheet sheet.bmp
evaluate look-alikes cosine --sheet sheet.png
evaluate look-alikes --features empty --sheet sheet.png
evaluate models --plot plot.bmp
evaluate models --plot nowhere/plot.png
explore best --home nowhere
explore biases --model nonsense
explore map --sheet map.bmp
explore ratings --out nowhere/r.csv
explore ratings --out r.xlsx
export two-tower --format savedmodel --out model --home nowhere
export two-tower --format tflite --out model
export ranking --format tflite --out model.tflite
info --home nowhere
atlas --home nowhere
serve --home nowhere
serve --host 0.0.0.0
load nowhere
load empty
fetch --home nowhere
fetch --movie-ids nowhere.txt
import nowhere --by imdb
import --csv nowhere.csv
import empty --by imdb
"""


def test_wrong_values_are_refused_before_slow_imports(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEYART_HOME", str(home))
    for name in ("KEYART_TOKEN", "KEYART_TOKEN_FILE", "TMDB_API_KEY", "TMDB_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    Path("empty").mkdir()
    Path("text.jpg").write_text("no picture")
    Path("bad.csv").write_text("film,file\n1,1.jpg\n")
    Path("poster.jpg").write_bytes(draw_poster())
    commands = _COMMANDS.strip().splitlines()
    run = subprocess.run([sys.executable, "-c", _CODE], input="\n".join(commands), capture_output=True, text=True)
    slow = [
        f"{command}: {result}"
        for command, result in zip(commands, run.stdout.splitlines(), strict=True)
        if result != "1"
    ]
    assert slow[:1] == []
    assert run.stderr.count("keyart: ") == len(commands)
    assert "unexpected" not in run.stderr
    # Nothing was begun.
    assert sorted(path.name for path in Path.cwd().iterdir()) == [
        "bad.csv",
        "empty",
        "poster.jpg",
        "text.jpg",
        "workspace",
    ]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("features", ["extract"]),
        ("features", ["extract", "--spark"]),
        ("index", ["build"]),
        ("cf/item-cosine", ["build"]),
        ("cf/ease", ["fit", "ease"]),
        ("cf/two-tower", ["fit", "als", "two-tower"]),
        ("atlas", ["atlas"]),
        (".", ["add", "poster.jpg", "--title", "X"]),
        ("features", ["add", "poster.jpg", "--title", "X"]),
        (".", ["load", "movielens"]),
        ("posters", ["import", "movielens", "--by", "movie"]),
    ],
)
def test_a_locked_workspace_is_reported_before_any_work(
    run: Run,
    home: Path,
    movielens: Path,
    poster_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    words: list[str],
) -> None:
    monkeypatch.chdir(home.parent)
    Path("poster.jpg").write_bytes(draw_poster(9))
    Path("movielens").symlink_to(movielens if words[0] == "load" else poster_folder)
    with exclusive(home / part):
        outcome = run(*words, "--home", home)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("keyart: process ")
    assert "let it finish" in outcome.err
