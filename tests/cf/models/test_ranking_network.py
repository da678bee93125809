from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from catalog.errors import DataError, NotBuiltError
from cf.base import Recommender
from cf.models import ranking_network
from cf.models.ranking_network import RankingNetwork
from cf.ratings import Ratings
from tests.contracts import RecommenderContract, checkerboard, ratings_of

pytestmark = pytest.mark.heavy

QUICK = partial(
    RankingNetwork, n_factors=8, n_epochs=6, batch_size=16, learning_rate=0.01, regularization=0.005, dropout=0.1
)


class TestRanking(RecommenderContract):
    @pytest.fixture
    def make(self) -> Callable[[], Recommender]:
        return QUICK


@pytest.fixture(scope="module")
def model() -> RankingNetwork:
    return QUICK(n_epochs=1).fit(ratings_of(checkerboard(), 11 + 7 * np.arange(20)).matrix())


def test_saved_arrays_predict_as_the_network_does(model: RankingNetwork) -> None:
    network, variables = model._network(40, 20)
    for variable, name in zip(variables, model._learns, strict=True):
        variable.assign(getattr(model, name))
    users, films = (part.ravel() for part in np.indices((40, 20), np.int32))
    stars = np.array(network([users, films]))[:, 0]
    np.testing.assert_allclose(model._score(np.arange(40)).ravel(), stars, atol=1e-5)
    np.testing.assert_allclose(model._predict(users, films), stars, atol=1e-5)


@pytest.mark.release
def test_tflite_export_predicts_the_same_in_another_process(model: RankingNetwork, tmp_path: Path) -> None:
    path = tmp_path / "phone" / "ranking.tflite"
    model.export_tflite(path)
    user_ids, movie_ids = np.repeat(model.user_ids_, 20), np.tile(model.movie_ids_, 40)
    np.save(tmp_path / "asked.npy", [np.append(user_ids, [101, 7]), np.append(movie_ids, [12, 11])])
    code = """
import sys, warnings
import numpy as np
warnings.simplefilter("ignore")
import tensorflow as tf
asked = np.load(sys.argv[2]).astype(np.int32)
runner = tf.lite.Interpreter(sys.argv[1]).get_signature_runner()
np.save(sys.argv[3], runner(user_id=asked[0], movie_id=asked[1])["rating"])
"""
    files = [str(one) for one in (path, tmp_path / "asked.npy", tmp_path / "given.npy")]
    subprocess.run([sys.executable, "-c", code, *files], check=True, capture_output=True)
    given = np.load(tmp_path / "given.npy")
    np.testing.assert_allclose(given[:-2], model.predict(user_ids, movie_ids), rtol=0, atol=1e-4)
    assert np.isnan(given[-2:]).all()


def test_an_export_that_differs_is_not_written(
    model: RankingNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        ranking_network, "run_tflite", lambda _content, users, films: model.predict(users, films) + 0.001
    )
    with pytest.raises(DataError, match=r"other stars than the model, by 0.001; nothing was written"):
        model.export_tflite(tmp_path / "ranking.tflite")
    assert not list(tmp_path.iterdir())


def test_refuses_to_export_a_model_without_ratings(tmp_path: Path) -> None:
    with pytest.raises(NotBuiltError, match="fitted on no ratings"):
        RankingNetwork().fit(Ratings.empty().matrix()).export_tflite(tmp_path / "ranking.tflite")


def test_the_published_settings_train(tmp_path: Path) -> None:
    published = {"n_epochs": 1, "batch_size": 8192, "optimizer": "adagrad", "learning_rate": 0.1, "decay": False}
    model = RankingNetwork(**published, regularization=0, dropout=0).fit(ratings_of(checkerboard()).matrix())
    assert np.isfinite(model._score(np.arange(40))).all()
