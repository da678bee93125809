import json
import os
import shutil
from pathlib import Path

import pytest

import keyart
from keyart import pipeline
from keyart.pipeline.status import read_status
from keyart.recommend.models import fitted_models
from keyart.similarity.blending import open_hybrid
from keyart.workspace.layout import Workspace
from tests.records import rewrite_record


def test_a_fitted_model_recommends(tastes_home: Path) -> None:
    report = pipeline.fit(tastes_home, "ease")
    assert (report.name, report.n_users, report.n_films) == ("ease", 40, 40)
    with keyart.open(tastes_home) as engine:
        recommended = engine.recommend(2, k=5)
        assert recommended.model == "ease"
        # Users of even numbers rate dramas, which have even numbers too.
        assert all(film.movie_id % 2 == 0 for film in recommended.films[:3])


def test_parameters_replace_defaults(tastes_home: Path) -> None:
    with pytest.raises(keyart.ConfigError, match="n_wombats"):
        pipeline.fit(tastes_home, "ease", {"n_wombats": 2})
    assert pipeline.fit(tastes_home, "als", {"n_factors": 2}).n_films == 40


@pytest.mark.parametrize("name", ["ease", "ease-plain"])
def test_every_fitted_model_is_listed(tastes_home: Path, name: str) -> None:
    pipeline.fit(tastes_home, name)
    assert name in fitted_models(Workspace.open(tastes_home))


def test_tuning_is_stored_and_reported(tastes_home: Path) -> None:
    report = pipeline.tune(tastes_home, n_films=5)
    assert (tastes_home / "hybrid.json").is_file()
    record = json.loads(json.dumps(report.to_dict()))
    assert record["model"] == "item-cosine"
    assert record["blending"].keys() == {"cf_share", "n_ratings_at_half", "calibration", "content_share"}
    assert report.tuning.buckets


def test_a_blend_that_an_earlier_version_tuned_is_read(tastes_home: Path) -> None:
    blending = pipeline.tune(tastes_home, n_films=5).tuning.blending
    path = tastes_home / "hybrid.json"
    rewrite_record(path, lambda tuned: json.loads(json.dumps(tuned).replace("n_ratings_at_half", "half_support")))
    assert open_hybrid(Workspace.open(tastes_home)).blending == blending


def test_tuning_leaves_at_least_half_to_looks_unless_allowed_otherwise(tastes_home: Path) -> None:
    # Users follow genres here and posters are noise, so ratings would be given more.
    assert pipeline.tune(tastes_home, n_films=5).tuning.blending.cf_share <= 0.5
    with keyart.open(tastes_home) as engine:
        for found in (engine.similar(22), engine.similar(keyart.Mix((22, 24)))):
            (note,) = (note for note in found.to_dict()["notes"] if "tuned" in note)
            assert note.startswith("the blend was tuned: looks count for 0.")
            assert "`keyart tune --reset --home " in note
        assert not any("tuned" in note for note in engine.similar(22, alpha=0.5).notes)
    assert pipeline.tune(tastes_home, n_films=5, min_alpha=0).tuning.blending.cf_share > 0.5
    with keyart.open(tastes_home) as engine:
        assert any("compared mostly by ratings (alpha 0." in note for note in engine.similar(22).notes)
        assert not any("mostly" in note for note in engine.similar(22, alpha=0.1).notes)
    assert "(tuned)" in read_status(Workspace.open(tastes_home)).blend


def test_a_tuned_blend_is_reset_to_the_defaults(tastes_home: Path) -> None:
    with keyart.open(tastes_home) as engine:
        before = engine.similar(22).to_dict()
    assert not pipeline.reset_tuning(tastes_home)
    pipeline.tune(tastes_home, n_films=5, min_alpha=0)
    assert pipeline.reset_tuning(tastes_home)
    with keyart.open(tastes_home) as engine:
        assert engine.similar(22).to_dict() == before
    assert "(not tuned)" in read_status(Workspace.open(tastes_home)).blend


def test_a_share_outside_of_0_to_1_is_refused(tastes_home: Path) -> None:
    with pytest.raises(keyart.ConfigError, match="min_alpha from 0 to 1, received 2"):
        pipeline.tune(tastes_home, min_alpha=2)


def test_an_unknown_calibration_is_refused(tastes_home: Path) -> None:
    with pytest.raises(keyart.ConfigError, match=r"percentile.*received 'wombat'"):
        pipeline.tune(tastes_home, calibration="wombat")


@pytest.mark.parametrize("split", ["user", "random", "time", "cold", "folds"])
def test_every_split_is_evaluated(tastes_home: Path, split: str) -> None:
    result = pipeline.evaluate(tastes_home, ["most-rated", "baseline"], split, k=5)  # type: ignore[arg-type]
    frame = result.to_frame()
    assert frame.index.tolist() == ["most-rated", "baseline"]
    assert {"rmse", "rmse.low", "rmse.high", "ndcg", "fit_s"} <= set(frame.columns)
    assert [model["name"] for model in result.to_dict()["models"]] == ["most-rated", "baseline"]


def test_an_unknown_split_is_refused(tastes_home: Path) -> None:
    with pytest.raises(keyart.ConfigError, match="received 'halves'"):
        pipeline.evaluate(tastes_home, ["baseline"], "halves")  # type: ignore[arg-type]


def test_a_plot_is_written(tastes_home: Path, tmp_path: Path) -> None:
    pipeline.evaluate(tastes_home, ["most-rated", "baseline"]).plot(tmp_path / "models.png")
    assert (tmp_path / "models.png").stat().st_size > 1000


def test_a_blend_says_when_it_was_tuned_to_other_similarities(tastes_home: Path) -> None:
    pipeline.tune(tastes_home, n_films=5)
    path = tastes_home / "hybrid.json"
    assert json.loads(path.read_text())["compared"] == "cosine"

    def notes() -> list[str]:
        with keyart.open(tastes_home) as engine:
            found = [*engine.similar(1).notes, *read_status(Workspace.open(tastes_home)).notes]
        return [note for note in found if "the blend was tuned to similarities that were" in note]

    assert notes() == []
    pipeline.build(tastes_home, keyart.IndexOptions(similarity="whitened"))
    assert len(notes()) == 2
    # Before it was recorded, indexes compared features as they are.
    rewrite_record(path, lambda tuned: {name: value for name, value in tuned.items() if name != "compared"})
    assert len(notes()) == 2
    pipeline.tune(tastes_home, n_films=5)
    assert notes() == []


def test_a_blend_says_when_it_was_tuned_on_other_ratings(tastes_home: Path, tastes: Path, tmp_path: Path) -> None:
    note = "the blend was tuned on ratings loaded earlier; run `keyart tune"

    def is_noted() -> list[bool]:
        with keyart.open(tastes_home) as engine:
            found = engine.similar(1).notes, read_status(Workspace.open(tastes_home)).notes
        return [any(one.startswith(note) for one in notes) for notes in found]

    pipeline.tune(tastes_home, n_films=5)
    assert is_noted() == [False, False]
    source = Path(shutil.copytree(tastes, tmp_path / "source"))
    ratings = (source / "ratings.csv").read_text()
    (source / "ratings.csv").write_text(ratings + "\n1000,1,3,1")
    pipeline.load(tastes_home, source)
    assert is_noted() == [True, True]


@pytest.mark.release
@pytest.mark.skipif(
    shutil.which("java") is None and "JAVA_HOME" not in os.environ, reason="Spark needs Java; .ci/run installs it"
)
def test_parameters_of_spark_are_tried_on_the_ratings_of_a_workspace(tastes_home: Path) -> None:
    points = pipeline.grid_search(tastes_home, [1, 2], [2], [0.1], n_folds=2)
    assert {point.n_factors for point in points} == {1, 2}
    assert points[0].mse <= points[1].mse < 2
    assert all(point.coverage > 0.9 for point in points)
