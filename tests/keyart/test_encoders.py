"""Several encoders in one workspace: look-ups by each, and by two of them blended."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import keyart
from catalog.errors import ConfigError, DataError
from catalog.io.files import read_record
from features.options import ExtractOptions
from features.store import FeatureStore
from keyart.pipeline.encoders import remove_encoder, set_default_encoder
from keyart.pipeline.features import extract, extract_missing
from keyart.pipeline.status import read_status
from keyart.workspace.encoders import encoder_name, list_encoders, name_of, open_view
from keyart.workspace.layout import Workspace
from tests.keyart.conftest import Run, save_tiny_network
from tests.posters.pictures import draw_poster
from tests.records import rewrite_record

pytestmark = pytest.mark.heavy

TINY, OTHER = "tiny", "other-one"


def visual(home: Path, encoder: str | None, movie_id: int = 1) -> dict[int, float]:
    with keyart.open(home, encoder) as engine:
        return {hit.movie_id: hit.visual or 0.0 for hit in engine.similar(movie_id, alpha=1)}


def names(home: Path) -> list[str]:
    return [name_of(view) for view in list_encoders(Workspace.open(home))]


@pytest.mark.parametrize(
    ("encoder", "name"),
    [
        ("vgg16", "vgg16"),
        ("/models/My Net (2).KERAS", "my-net-2"),
        ("squeezenet1.1.onnx", "squeezenet1.1"),
        ("/models/clip-vit.b32/", "clip-vit.b32"),
        ("../..", "encoder"),
        ("Сеть.keras", "encoder"),
    ],
)
def test_an_encoder_is_called_after_its_file(encoder: str, name: str) -> None:
    assert encoder_name(encoder) == name


def test_features_of_two_encoders_stay_side_by_side(home: Path, other_backbone_path: Path) -> None:
    before = visual(home, None)
    report = extract(home, ExtractOptions(other_backbone_path, preprocessing="caffe"))
    keyart.pipeline.build(home)
    assert (report.n_new, names(home)) == (5, [TINY, OTHER])
    assert (home / "encoders" / OTHER / "index" / "index.json").is_file()
    assert visual(home, None) == visual(home, TINY) == before
    assert visual(home, OTHER) != before
    assert visual(home, str(other_backbone_path)) == visual(home, OTHER)


def test_a_blend_is_the_mean_of_cosines(home_of_two: Path) -> None:
    by_tiny, by_other, blended = (visual(home_of_two, name) for name in (TINY, OTHER, f"{TINY}+{OTHER}"))
    assert blended == pytest.approx({film: (by_tiny[film] + by_other[film]) / 2 for film in by_tiny}, abs=2e-6)
    assert list(blended) == sorted(blended, key=lambda film: -blended[film])


def test_a_blend_answers_images_and_mixes(home_of_two: Path) -> None:
    poster = home_of_two / "posters" / "2.jpg"
    with keyart.open(home_of_two, f"{TINY}+{OTHER}") as engine:
        assert engine.embed([poster]).shape == (1, 2 * 7 * 7 * 8)
        best = next(iter(engine.similar(poster)))
        assert (best.movie_id, best.visual) == (2, pytest.approx(1, abs=1e-3))
        assert next(hit.movie_id for hit in engine.similar(keyart.Mix([1, poster], unlike=[5]))) in (2, 3)
        (answer,) = engine.cold_start([keyart.NewFilm(poster)])
        assert answer.look_alikes[0].movie_id == 2
        with pytest.raises(ConfigError, match="one encoder, not by a blend; choose one of tiny and other-one"):
            engine.explain(1, 2)
        with pytest.raises(ConfigError, match="one encoder, not by a blend"):
            engine.similar(1, region=(0, 0, 3, 3))


@pytest.mark.parametrize("encoder", [f"{TINY}+", f"+{TINY}", f"{TINY} + ", "+", f"{TINY}++{OTHER}"])
def test_an_unfinished_blend_is_refused(encoder: str, home_of_two: Path, run: Run) -> None:
    message = "a blend takes the names of two encoders or more, as in A+B; received"
    with pytest.raises(ConfigError, match=re.escape(message)):
        keyart.open(home_of_two, encoder=encoder)
    assert message in run("similar", 1, "--encoder", encoder, "--home", home_of_two).err


def test_a_blend_compares_films_that_both_encoders_have(home_of_two: Path) -> None:
    store = FeatureStore.open(open_view(home_of_two, OTHER).features_dir)
    store.tidy(lambda movie_id, _sha256: movie_id != 3)
    keyart.pipeline.build(home_of_two)
    assert 3 in visual(home_of_two, TINY)
    assert 3 not in visual(home_of_two, f"{TINY}+{OTHER}")
    assert visual(home_of_two, f"{OTHER}+{TINY}") == visual(home_of_two, f"{TINY}+{OTHER}")


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (
            "resnet50",
            "'resnet50' here; this workspace has tiny, other-one: add it with `keyart extract --encoder resnet",
        ),
        ("tiny+resnet50", "no features of the encoder 'resnet50'"),
        ("tiny+tiny", "different encoders, received 'tiny\\+tiny'"),
        ("", "no features of the encoder ''"),
        ("../features", "no features of the encoder '../features'"),
    ],
)
def test_an_unknown_encoder_is_refused(home_of_two: Path, encoder: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        keyart.open(home_of_two, encoder)


def test_another_network_of_the_same_name_is_refused(home_of_two: Path, tmp_path: Path) -> None:
    save_tiny_network(tmp_path / "other one.keras", seed=2)
    options = ExtractOptions(tmp_path / "other one.keras", preprocessing="caffe")
    with pytest.raises(DataError, match="or keep both, and name these with --as NAME"):
        extract(home_of_two, options)
    extract(home_of_two, options, name="third")
    assert names(home_of_two) == [TINY, OTHER, "third"]
    with pytest.raises(ConfigError, match="small letters"):
        extract(home_of_two, options, name="Third One")


def test_the_default_is_chosen(home_of_two: Path) -> None:
    set_default_encoder(home_of_two, OTHER)
    assert names(home_of_two) == [OTHER, TINY]
    assert visual(home_of_two, None) == visual(home_of_two, OTHER)
    assert read_status(Workspace.open(home_of_two)).next_step().startswith("`keyart similar TITLE`")
    set_default_encoder(home_of_two, TINY)
    assert read_record(home_of_two / "workspace.json", "keyart-workspace", 1) == {}


def test_extract_fills_what_each_encoder_lacks(home_of_two: Path, poster_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    shutil.copy(poster_folder / "2.jpg", tmp_path / "more" / "4.jpg")
    keyart.pipeline.import_posters(home_of_two, tmp_path / "more", "movie")
    assert read_status(Workspace.open(home_of_two)).next_step() == "`keyart extract`: 1 poster has no features yet"
    found = extract_missing(home_of_two)
    assert {name: report.n_new for name, report in found.reports.items()} == {TINY: 1, OTHER: 1}
    keyart.pipeline.build(home_of_two)
    assert 4 in visual(home_of_two, f"{TINY}+{OTHER}")


@pytest.mark.parametrize(("broken", "whole"), [(TINY, OTHER), (OTHER, TINY)])
def test_damage_of_one_encoder_does_not_stop_the_other(home_of_two: Path, broken: str, whole: str, run: Run) -> None:
    before, view = visual(home_of_two, whole), open_view(home_of_two, broken)
    for record in (view.features_dir / "features.json", view.index_dir / "index.json"):
        record.write_text("{")
    assert visual(home_of_two, whole) == before
    outcome = run("extract", "--home", home_of_two)
    assert outcome.code == 1
    assert f"{whole}: features of 0 posters computed, 5 already here" in outcome.out
    assert "features.json is not a JSON record" in outcome.err
    outcome = run("build", "--home", home_of_two)
    assert "features.json is not a JSON record" in outcome.err
    assert run("similar", 1, "--encoder", whole, "--home", home_of_two).code == 0
    shown = run("info", "--home", home_of_two).out
    assert "damaged" in shown
    assert whole in shown


def test_added_films_are_seen_by_each_encoder(home_of_two: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "new.jpg").write_bytes(draw_poster(2, size=(124, 186)))
    words = ("add", tmp_path / "new.jpg", "--title", "Brand New (2029)", "--home", home_of_two)
    assert run(*words).err == ""
    film = 1_000_000_001
    for encoder in (TINY, OTHER, f"{TINY}+{OTHER}"):
        assert next(iter(visual(home_of_two, encoder, 2))) == film


def test_adding_says_which_encoder_lacks_a_film(home_of_two: Path, tmp_path: Path, run: Run) -> None:
    store = FeatureStore.open(open_view(home_of_two, OTHER).features_dir)
    gone = {**store.origin, "backbone": str(tmp_path / "gone.keras")}
    rewrite_record(store.folder / "features.json", lambda record: {**record, "origin": gone})
    (tmp_path / "new.jpg").write_bytes(draw_poster(2, size=(124, 186)))
    outcome = run("add", tmp_path / "new.jpg", "--title", "Brand New (2029)", "--home", home_of_two)
    assert outcome.code == 0
    assert "note: other-one lacks these films: " in outcome.err
    assert 1_000_000_001 in visual(home_of_two, TINY, 2)


def test_removing_leaves_the_others(home_of_two: Path) -> None:
    before = visual(home_of_two, TINY)
    with pytest.raises(
        ConfigError, match="tiny is the default; choose another one first, as in `keyart encoders default"
    ):
        remove_encoder(home_of_two, TINY)
    remove_encoder(home_of_two, OTHER)
    assert names(home_of_two) == [TINY]
    assert list((home_of_two / "encoders").iterdir()) == []
    assert visual(home_of_two, None) == before


def test_removing_the_first_leaves_the_others(home_of_two: Path, backbone_path: Path) -> None:
    before = visual(home_of_two, OTHER)
    set_default_encoder(home_of_two, OTHER)
    remove_encoder(home_of_two, TINY)
    assert names(home_of_two) == [OTHER]
    assert not (home_of_two / "features").exists()
    assert not (home_of_two / "index").exists()
    assert visual(home_of_two, None) == before
    extract(home_of_two, ExtractOptions(backbone_path, preprocessing="caffe"))
    assert names(home_of_two) == [OTHER, TINY]
    remove_encoder(home_of_two, TINY)
    remove_encoder(home_of_two, OTHER)
    assert names(home_of_two) == []
    assert Workspace.open(home_of_two).encoder is None


@pytest.mark.parametrize("n_renamed", range(6))
def test_a_killed_removal_is_finished_by_the_next(
    home_of_two: Path, n_renamed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_default_encoder(home_of_two, OTHER)
    rename, left = Path.rename, n_renamed

    def limited(path: Path, target: Path) -> Path:
        nonlocal left
        if path.parent == home_of_two and not left:
            raise KeyboardInterrupt
        left -= path.parent == home_of_two
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", limited)
        try:
            remove_encoder(home_of_two, TINY)
        except KeyboardInterrupt:
            assert names(home_of_two) == [OTHER, TINY]
            remaining = left
            assert remaining == 0
    if TINY in names(home_of_two):
        remove_encoder(home_of_two, TINY)
    assert names(home_of_two) == [OTHER]
    assert [path.name for path in (home_of_two / "encoders").iterdir()] == [OTHER]
    assert visual(home_of_two, None)


def test_the_next_extraction_makes_up_for_a_default_that_is_gone(home_of_two: Path) -> None:
    before = visual(home_of_two, OTHER)
    for name in ("features", "index"):
        shutil.rmtree(home_of_two / name)
    assert read_status(Workspace.open(home_of_two)).next_step() == "`keyart extract`: 5 posters have no features yet"
    assert extract_missing(home_of_two).reports[OTHER].n_known == 5
    assert visual(home_of_two, None) == before


def test_commands_choose_an_encoder(home_of_two: Path, tmp_path: Path, run: Run) -> None:
    at = ("--home", home_of_two)
    shown = {
        name: run("similar", 1, "--alpha", 1, "--encoder", name, *at).out for name in (TINY, OTHER, "tiny+other-one")
    }
    assert len(set(shown.values())) == 3
    assert run("similar", 1, "--alpha", 1, *at).out == shown[TINY]
    assert run("explain", 1, 2, "--encoder", OTHER, *at).out != run("explain", 1, 2, *at).out
    for name in (TINY, "tiny+other-one"):
        assert run("neighbors", "-k", 2, "--encoder", name, "--out", tmp_path / "n.parquet", *at).code == 0
    assert run("duplicates", "--encoder", OTHER, *at).code == 0
    assert "takes one encoder, not a blend" in run("duplicates", "--encoder", "tiny+other-one", *at).err
    assert run("build", "--encoder", OTHER, *at).out.startswith("5 films indexed by looks")


def test_build_and_info_show_every_encoder(home_of_two: Path, run: Run) -> None:
    at = ("--home", home_of_two)
    assert "\nother-one: 5 films indexed by looks (exact, " in run("build", *at).out
    shown = run("info", *at).out
    assert "encoder       tiny, the default\nencoder       other-one: 5 features of " in shown
    assert [one["name"] for one in json.loads(run("info", "--json", *at).out)["encoders"]] == [TINY, OTHER]


def test_encoders_are_listed_chosen_and_removed(home_of_two: Path, run: Run) -> None:
    at = ("--home", home_of_two)
    lines = [line.split()[:5] for line in run("encoders", *at).out.splitlines()]
    assert ["tiny", "5", "films,", "the", "default"] in lines
    assert ["vgg16", "–", "224", "×", "224"] in lines
    assert run("encoders", "default", OTHER, *at).out == "posters are compared by other-one from now on\n"
    assert run("encoders", "remove", TINY, *at).out == "tiny is removed\n"
    assert [one["name"] for one in json.loads(run("encoders", "--json", *at).out)["encoders"]][:1] == [OTHER]
    assert "this workspace has other-one" in run("encoders", "remove", TINY, *at).err


def test_an_added_encoder_is_not_the_default(home: Path, other_backbone_path: Path, run: Run) -> None:
    outcome = run(
        "extract", "--encoder", other_backbone_path, "--preprocessing", "caffe", "--as", "second", "--home", home
    )
    assert outcome.out == "features of 5 posters computed, 0 already here\n"
    assert "note: tiny stays the default; run `keyart build" in outcome.err
    assert "`keyart encoders default second" in outcome.err


def test_encoders_of_other_input_sizes_are_blended(home: Path, tmp_path: Path) -> None:
    import keras

    layers = [keras.layers.AveragePooling2D(8), keras.layers.Conv2D(4, 1, activation="relu")]
    keras.Sequential([keras.Input((64, 96, 3)), *layers]).save(tmp_path / "wide.keras")
    extract(home, ExtractOptions(tmp_path / "wide.keras", preprocessing="torch"))
    keyart.pipeline.build(home)
    poster = home / "posters" / "2.jpg"
    with keyart.open(home, "tiny+wide") as engine:
        assert engine.embed([poster]).shape == (1, 7 * 7 * 8 + 8 * 12 * 4)
        best = next(iter(engine.similar(engine.load_image(poster))))
        assert (best.movie_id, best.visual) == (2, pytest.approx(1, abs=1e-3))
        engine.warm_up()


def test_a_blend_of_two_kinds_of_similarity_is_noted(tastes_home: Path, other_backbone_path: Path, run: Run) -> None:
    extract(tastes_home, ExtractOptions(other_backbone_path, preprocessing="caffe"))
    run("build", "--home", tastes_home)
    blend = ("similar", 1, "--encoder", f"{TINY}+{OTHER}", "--home", tastes_home)
    assert run(*blend).err == ""
    run("build", "--encoder", OTHER, "--similarity", "whitened", "--home", tastes_home)
    assert "note: the blend is of two kinds of similarity (tiny cosine, other-one whitened), so " in run(*blend).err


def test_an_encoder_of_the_workspace_is_named_without_its_file(home: Path, other_backbone_path: Path, run: Run) -> None:
    extract(home, ExtractOptions(other_backbone_path, preprocessing="caffe"), name="second")
    outcome = run("extract", "--encoder", "second", "--home", home)
    assert outcome.out == "features of 0 posters computed, 5 already here\n"
    assert "did you mean" in run("extract", "--encoder", "resnet51", "--home", home).err
    assert "leave it out with --images" in run("extract", "--images", home, "--out", "x", "--as", "second").err
    assert names(home) == [TINY, "second"]


def test_options_without_an_encoder_are_for_the_default(home_of_two: Path, run: Run) -> None:
    set_default_encoder(home_of_two, OTHER)
    outcome = run("extract", "--features", "gem", "--rebuild", "--home", home_of_two)
    assert outcome.out == "features of 5 posters computed, 0 already here\n"
    stores = {name: FeatureStore.open(open_view(home_of_two, name).features_dir) for name in (TINY, OTHER)}
    assert {name: store.identity.pooling for name, store in stores.items()} == {TINY: "raw", OTHER: "gem"}


def test_an_encoder_with_a_name_of_its_own_may_be_the_first(home: Path, other_backbone_path: Path, run: Run) -> None:
    remove_encoder(home, TINY)
    run("extract", "--encoder", other_backbone_path, "--preprocessing", "caffe", "--as", "mine", "--home", home)
    run("build", "--home", home)
    assert names(home) == ["mine"]
    assert np.isfinite(list(visual(home, None).values())).all()
