from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from catalog.errors import ConfigError, DataError, NotBuiltError
from cf.base import Recommender
from cf.models.two_tower import TwoTower, _fit_users
from cf.ratings import RatingMatrix, Ratings, read_ratings
from tests.contracts import RecommenderContract, random_stars, ratings_of

pytestmark = pytest.mark.heavy


class TestTwoTower(RecommenderContract):
    @pytest.fixture
    def make(self) -> Callable[[], Recommender]:
        return partial(TwoTower, n_factors=8, n_epochs=60, regularization=0.01)


@pytest.fixture(scope="module")
def ratings() -> RatingMatrix:
    return ratings_of(random_stars(5)).matrix()


@pytest.fixture(scope="module")
def model(ratings: RatingMatrix) -> TwoTower:
    return TwoTower(n_factors=8, n_epochs=20, batch_size=64).fit(ratings)


def of_popularity(seed: int) -> RatingMatrix:
    """Draw choices that do not depend on the user; the smaller a film's number, the more popular it is."""
    rng = np.random.default_rng(seed)
    return ratings_of(3.0 * (rng.random((200, 30)) < np.geomspace(0.9, 0.05, 30))).matrix()


def mean_scores(ratings: RatingMatrix, *, correct_popularity: bool) -> np.ndarray:
    model = TwoTower(4, n_epochs=25, batch_size=512, regularization=0.01, correct_popularity=correct_popularity)
    return model.fit(ratings)._score(np.arange(200)).mean(axis=0)


def test_only_corrected_scores_follow_the_logarithm_of_popularity() -> None:
    ratings = of_popularity(seed=1)
    logarithm = np.log(np.bincount(ratings.values.indices))
    corrected, plain = (mean_scores(ratings, correct_popularity=corrected) for corrected in (True, False))
    slope, _ = np.polyfit(logarithm, corrected, 1)
    assert slope == pytest.approx(1, abs=0.4)
    assert abs(np.polyfit(logarithm, plain, 1)[0]) < 0.3


def test_batch_loss_equals_the_softmax_over_all_copies(ratings: RatingMatrix) -> None:
    model = TwoTower(regularization=0.0, batch_size=100)
    users, films, chosen, corrections = next(model._batches(ratings.values, np.random.default_rng(0)))
    assert chosen.sum() == 100
    rng = np.random.default_rng(1)
    user_factors, film_factors = (rng.standard_normal((len(rows), 4)).astype(np.float32) for rows in (users, films))
    rows, columns = np.nonzero(chosen)
    # Computed densely, 100 users against 100 films; copies of a film split its share of the softmax.
    shares = np.bincount(ratings.values.indices) / ratings.values.nnz
    logits = user_factors[rows] @ film_factors[columns].T - np.log(shares[films[columns]])
    copies = np.log(chosen.sum(axis=0)[columns])
    expected = np.log(np.exp(logits).sum(axis=1)) - np.diag(logits) - copies
    loss = float(model._loss(user_factors, film_factors, chosen, corrections))
    assert loss == pytest.approx(expected.sum(), rel=1e-5)


def test_losses_fall(model: TwoTower) -> None:
    assert len(model.losses_) == 20
    assert model.losses_[-1] < model.losses_[0]


def test_vectors_of_new_users_have_zero_gradient(model: TwoTower, ratings: RatingMatrix) -> None:
    films = model.film_factors_.astype(np.float64)
    marks = (ratings.values > 0).astype(np.float64)
    users = _fit_users(marks.tocsr(), films, np.zeros(len(films)), 0.1).astype(np.float64)
    shares = np.exp(users @ films.T)
    shares /= shares.sum(axis=1, keepdims=True)
    means = (marks @ films) / np.diff(marks.indptr)[:, None]
    np.testing.assert_allclose(shares @ films + 0.1 * users, means, atol=1e-5)


def test_new_users_match_fitted_users_with_the_same_ratings(ratings: RatingMatrix) -> None:
    model = TwoTower(n_factors=4, n_epochs=300, regularization=0.1, learning_rate=0.3).fit(ratings)
    known, new = model._score(np.arange(40)), model._score_new(ratings.values)
    agreement = [np.corrcoef(one, other)[0, 1] for one, other in zip(known, new, strict=True)]
    assert np.median(agreement) > 0.95


# The approximate index


def test_searching_all_cells_equals_exact_recommendation(model: TwoTower) -> None:
    users = [*model.user_ids_.tolist(), 999_999]
    for exclude_seen in (True, False):
        for one, other in zip(
            model.retrieve(users, 12, exclude_seen=exclude_seen, searched_share=1),
            model.recommend(users, 12, exclude_seen=exclude_seen),
            strict=True,
        ):
            assert set(one.ids.tolist()) == set(other.ids.tolist())
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)


def test_searching_a_quarter_of_the_cells_finds_most_of_the_top_ten() -> None:
    rng = np.random.default_rng(1)
    model = TwoTower(n_factors=16)
    model.user_ids_, model.movie_ids_ = np.arange(1, 101, dtype=np.int32), np.arange(1, 5001, dtype=np.int32)
    model.seen_ = sparse.random_array((100, 5000), density=0.01, rng=rng, format="csr", dtype=np.float32)
    tastes = rng.standard_normal((20, 16))
    model.user_factors_, model.film_factors_ = (
        (tastes[rng.integers(20, size=n)] + 0.5 * rng.standard_normal((n, 16))).astype(np.float32) for n in (100, 5000)
    )
    found, exact = model.retrieve(model.user_ids_, 10), model.recommend(model.user_ids_, 10)
    shared = [np.isin(one.ids, other.ids).mean() for one, other in zip(found, exact, strict=True)]
    assert np.mean(shared) > 0.9
    for row, one in enumerate(found):
        assert len(one.ids) == 10
        assert not np.isin(one.ids - 1, model.seen_.indices[slice(*model.seen_.indptr[row : row + 2])]).any()
        np.testing.assert_allclose(one.scores, model.predict([row + 1] * 10, one.ids), atol=1e-4)


def test_refitting_rebuilds_the_index(ratings: RatingMatrix) -> None:
    model = TwoTower(n_factors=4, n_epochs=1).fit(Ratings.empty().matrix())
    assert model.retrieve([101], 3)[0].ids.tolist() == []
    model.fit(ratings)
    # Users who have seen all films of a cell get films of others.
    for one, exact in zip(model.retrieve(ratings.user_ids, 3), model.recommend(ratings.user_ids, 3), strict=True):
        assert len(one.ids) == len(exact.ids)


@pytest.mark.parametrize(("k", "share"), [(0, 0.5), (3, 0.0), (3, 1.5)])
def test_retrieve_rejects_invalid_k_or_share(model: TwoTower, k: int, share: float) -> None:
    with pytest.raises(ValueError, match="expected k of 1 or more and a share"):
        model.retrieve([101], k, searched_share=share)


# The SavedModel

TITLES = {movie_id: f"Film {movie_id} (1999)" for movie_id in range(11, 30)}
ANSWER = """
import json, sys
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
for ask in (model, model.signatures["serving_default"]):
    given = ask(user_ids=tf.constant(json.loads(sys.argv[2]), tf.int64))
    print(json.dumps({
        "scores": given["scores"].numpy().tolist(),
        "movie_ids": given["movie_ids"].numpy().tolist(),
        "titles": [[title.decode() for title in row] for row in given["titles"].numpy()],
    }))
"""


def answers_of(folder: Path, user_ids: list[int]) -> list[dict[str, list[list[float]]]]:
    """Load and query a SavedModel in a process without keyart."""
    command = [sys.executable, "-I", "-W", "ignore", "-c", ANSWER, str(folder), json.dumps(user_ids)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder.parent).stdout
    return [json.loads(line) for line in printed.splitlines()]


@pytest.mark.release
def test_savedmodel_answers_the_same_in_another_process(model: TwoTower, tmp_path: Path) -> None:
    model.export_savedmodel(tmp_path / "served", TITLES, k=12)
    users = [*model.user_ids_.tolist(), 999_999]
    for answers in answers_of(tmp_path / "served" / "1", users):
        for row, expected in enumerate(model.recommend(users, 12)):
            n_found = len(expected.scores)
            assert answers["movie_ids"][row] == expected.ids.tolist() + [-1] * (12 - n_found)
            np.testing.assert_allclose(answers["scores"][row][:n_found], expected.scores, atol=1e-4)
            assert set(answers["scores"][row][n_found:]) <= {-np.inf}
            named = [TITLES.get(movie_id, f"film {movie_id}") for movie_id in expected.ids.tolist()]
            assert answers["titles"][row] == named + [""] * (12 - n_found)
    assert n_found == 0


def test_export_replaces_an_older_one(model: TwoTower, tmp_path: Path) -> None:
    for _ in range(2):
        model.export_savedmodel(tmp_path / "served", TITLES)
    assert [path.name for path in tmp_path.iterdir()] == ["served"]
    # As TensorFlow Serving wants it: versions, and the model in one of them.
    assert [path.name for path in (tmp_path / "served").iterdir()] == ["1"]
    assert (tmp_path / "served" / "1" / "saved_model.pb").is_file()


def test_export_replaces_one_of_the_layout_before(model: TwoTower, tmp_path: Path) -> None:
    model.export_savedmodel(tmp_path / "new", TITLES)
    (tmp_path / "new" / "1").rename(tmp_path / "served")
    model.export_savedmodel(tmp_path / "served", TITLES)
    assert [path.name for path in (tmp_path / "served").iterdir()] == ["1"]


@pytest.mark.parametrize("name", ["photo.jpg", "saved_model.pb", "1", "1/saved_model.pb"])
def test_export_refuses_a_folder_of_other_files(model: TwoTower, tmp_path: Path, name: str) -> None:
    (tmp_path / "mine" / name).parent.mkdir(parents=True)
    (tmp_path / "mine" / name).write_text("mine")
    with pytest.raises(ConfigError, match="exists and is not an earlier export"):
        model.export_savedmodel(tmp_path / "mine", TITLES)
    assert (tmp_path / "mine" / name).read_text() == "mine"


@pytest.mark.parametrize("name", ["notes.txt", "1/notes.txt"])
def test_export_with_a_file_beside_it_is_not_replaced(model: TwoTower, tmp_path: Path, name: str) -> None:
    (tmp_path / "served").mkdir()
    model.export_savedmodel(tmp_path / "served", TITLES)
    (tmp_path / "served" / name).write_text("mine")
    with pytest.raises(ConfigError, match="exists and is not an earlier export"):
        model.export_savedmodel(tmp_path / "served", TITLES)


def test_export_that_differs_is_not_written(model: TwoTower, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recommend = TwoTower.recommend
    monkeypatch.setattr(
        TwoTower, "recommend", lambda *asked: [replace(one, scores=one.scores + 1e-3) for one in recommend(*asked)]
    )
    with pytest.raises(DataError, match="answers otherwise"):
        model.export_savedmodel(tmp_path / "served", TITLES)
    assert list(tmp_path.iterdir()) == []


def test_refuses_to_export_a_model_without_ratings(tmp_path: Path) -> None:
    with pytest.raises(NotBuiltError, match="fit it on ratings first"):
        TwoTower().fit(Ratings.empty().matrix()).export_savedmodel(tmp_path / "served", TITLES)


# Real ratings


def test_recall_at_100_on_real_ratings(shared: Path) -> None:
    ratings = read_ratings(shared / "data/ml-100k/u.data")
    order = np.random.default_rng(42).permutation(len(ratings))
    train, test = ratings.where(order[:80_000]), ratings.where(order[80_000:])
    # Ranked among all films, seen ones included, which come before those of the test set.
    found = TwoTower().fit(train.matrix()).recommend(test.user_ids, 100, exclude_seen=False)
    hits = [film in one.ids for one, film in zip(found, test.movie_ids, strict=True)]
    assert np.mean(hits) >= 0.38
