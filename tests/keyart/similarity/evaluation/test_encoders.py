"""Several encoders, and blends of them, measured on the same questions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import keyart
from catalog.errors import ConfigError
from features.store import FeatureStore
from keyart.pipeline import LookAlikeOptions, evaluate_look_alikes
from keyart.similarity.evaluation.encoders import blended_candidate, encoders_gallery
from keyart.workspace.encoders import open_view, open_views
from tests.keyart.conftest import Run

SPECS = ("tiny", "other-one", "tiny+other-one")


def test_a_blended_embedding_has_the_cosines_of_a_blended_index(home_of_two: Path) -> None:
    gallery, columns = encoders_gallery(open_views(home_of_two, "tiny+other-one"))
    units = blended_candidate("both", "cosine", list(columns.values())).embed_all(gallery.features)
    with keyart.open(home_of_two, "tiny+other-one") as engine:
        found = {hit.movie_id: hit.visual for hit in engine.similar(1, alpha=1)}
    cosines = dict(zip(gallery.movie_ids[1:], (units[1:] @ units[0]).tolist(), strict=True))
    assert found == pytest.approx(cosines, abs=1e-3)
    assert np.square(units).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_an_encoder_has_the_same_figures_beside_another(home_of_two: Path) -> None:
    options = {"embeddings": ["cosine"], "tasks": ["distortion", "hubness"], "n_distorted": 3}
    together = evaluate_look_alikes(home_of_two, LookAlikeOptions(encoders=SPECS, **options)).to_rows()
    assert {row["embedding"] for row in together} == set(SPECS)
    for encoder in SPECS[:2]:
        alone = evaluate_look_alikes(home_of_two, LookAlikeOptions(encoders=[encoder], **options)).to_rows()
        keys = ("measure", "distortion", "strength", "value", "n_questions")
        beside = [[row[key] for key in keys] for row in together if row["embedding"] == encoder]
        assert beside == [[row[key] for key in keys] for row in alone]


def test_films_that_one_encoder_lacks_are_left_out(home_of_two: Path) -> None:
    FeatureStore.open(open_view(home_of_two, "tiny").features_dir).tidy(lambda movie_id, _sha256: movie_id != 6)
    found = evaluate_look_alikes(home_of_two, LookAlikeOptions(tasks=["hubness"], encoders=SPECS))
    assert found.n_films == 4
    assert str(found.left_out[-1]) == "1 film left out: other-one has its features, but not all encoders do (6)"


def test_the_command_names_columns_by_what_differs(home_of_two: Path, run: Run) -> None:
    words = ("evaluate", "look-alikes", "--tasks", "hubness", "--home", home_of_two)
    header = run(*words, "cosine", "--encoder", "tiny", "--encoder", "tiny+other-one").out.splitlines()[0]
    assert header.split()[3:] == ["tiny", "tiny+other-one", "over", "tiny"]
    header = run(*words, "cosine", "centered", "--encoder", "tiny+other-one").out.splitlines()[0]
    assert header.split()[3:] == ["cosine", "centered", "over", "cosine"]
    assert "no features of the encoder 'resnet50'" in run(*words, "--encoder", "resnet50").err


def test_encoders_are_of_workspaces(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="encoders are those of a workspace"):
        LookAlikeOptions(features=tmp_path, encoders=["tiny"])
    with pytest.raises(TypeError, match="put it into a list"):
        LookAlikeOptions(encoders="tiny")
