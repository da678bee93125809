from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
from scipy import sparse

from catalog.io.progress import Advance
from cf.base import Recommender, Rows, Scores
from cf.evaluation import evaluation
from cf.evaluation.evaluation import evaluate, predict_stars
from cf.evaluation.splits import Split, by_user, k_fold
from cf.models.baseline import Baseline
from cf.models.popularity import DampedMean, MostRated
from cf.ratings import Ratings
from tests.contracts import random_stars, ratings_of


class Oracle(Recommender):
    """Returns the true stars, scaled and shifted."""

    name = "oracle"

    def __init__(self, stars: list[list[float]], slope: float = 1.0, level: float = 0.0) -> None:
        self.stars, self.slope, self.level = stars, slope, level

    def _fit(self, values: sparse.csr_array) -> None:
        pass

    def _score(self, users: Rows) -> Scores:
        table = np.array(self.stars)[users]
        return np.where(table > 0, self.level + self.slope * table, np.nan)


class Preferring(Oracle):
    name = "preferring"
    predicts_stars = False


@pytest.fixture
def stars() -> list[list[float]]:
    return random_stars(1, n_users=50, n_films=30, density=0.6).tolist()


@pytest.fixture
def split(stars: list[list[float]]) -> Split:
    return by_user(ratings_of(stars), 4)


def test_oracle_has_no_error_and_a_perfect_ranking(stars: list[list[float]], split: Split) -> None:
    (card,) = evaluate({"oracle": lambda: Oracle(stars)}, [split])
    assert card.rmse.value == card.mae.value == 0
    assert card.predicted == 1
    # Unseen films with stars are exactly the films held out.
    assert card.recall.value == card.ndcg.value == card.mrr.value == 1


def test_preference_scores_are_calibrated_to_stars(stars: list[list[float]], split: Split) -> None:
    (card,) = evaluate({"preferring": lambda: Preferring(stars, slope=-20.0, level=7.0)}, [split])
    assert card.rmse.value == pytest.approx(0, abs=1e-4)
    assert not card.gives_stars


def test_predictions_are_clipped_to_the_scale(stars: list[list[float]], split: Split) -> None:
    model = Oracle(stars, slope=100.0).fit(split.train.matrix())
    predicted, _ = predict_stars(model, split.train, split.test)
    assert set(predicted) == {5.0}


def test_unknown_ids_are_predicted_by_the_baseline() -> None:
    train = ratings_of([[5, 4, 0], [3, 2, 0], [4, 0, 1]])
    test = Ratings(
        np.array([101, 101, 999, 999], np.int32),
        np.array([13, 777, 11, 777], np.int32),
        np.full(4, 3.0, np.float32),
        np.zeros(4, np.int64),
    )
    baseline = Baseline().fit(train.matrix())
    stars, by_itself = predict_stars(baseline, train, test)
    assert by_itself.tolist() == [True, False, False, False]
    mean, user, film = baseline.mean_[0], baseline.user_biases_[0], baseline.film_biases_[0]
    np.testing.assert_allclose(stars[1:], [mean + user, mean + film, mean], rtol=1e-6)


def test_errors_are_pooled_over_folds(stars: list[list[float]]) -> None:
    ratings = ratings_of(stars)
    (card,) = evaluate({"baseline": Baseline}, k_fold(ratings, 3))
    squares = []
    for fold in k_fold(ratings, 3):
        predicted, _ = predict_stars(Baseline().fit(fold.train.matrix()), fold.train, fold.test)
        squares.extend((predicted - fold.test.values) ** 2)
    assert card.rmse.value == pytest.approx(np.sqrt(np.mean(squares)))
    assert card.rmse.low < card.rmse.value < card.rmse.high


def test_progress_names_each_model_of_each_split(stars: list[list[float]]) -> None:
    steps: list[tuple[object, ...]] = []

    @contextmanager
    def progress(description: str, total: int, unit: str) -> Iterator[Advance]:
        steps.append((description.partition(",")[0], total, unit))
        yield lambda n_units, doing="": steps.append((n_units, doing))

    models = {"baseline": Baseline, "most-rated": MostRated}
    evaluate(models, k_fold(ratings_of(stars), 2), n_resamples=1, progress=progress)
    of_a_split = [(0, "baseline"), (1, ""), (0, "most-rated"), (1, "")]
    assert steps == [("fold 1 of 2", 2, "models"), *of_a_split, ("fold 2 of 2", 2, "models"), *of_a_split]


def test_bootstrap_draws_a_user_with_all_folds(stars: list[list[float]]) -> None:
    ratings = ratings_of(stars)
    (fold,) = evaluate({"baseline": Baseline}, [by_user(ratings, 4)])
    (thrice,) = evaluate({"baseline": Baseline}, [by_user(ratings, 4)] * 3)
    # Repeating a ranking adds no information about its users.
    assert dataclasses.astuple(thrice.ndcg) == pytest.approx(dataclasses.astuple(fold.ndcg))
    assert dataclasses.astuple(thrice.mrr) == pytest.approx(dataclasses.astuple(fold.mrr))


def test_block_size_does_not_change_rankings(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = evaluate({"baseline": Baseline}, [split])
    monkeypatch.setattr(evaluation, "BLOCK_CELLS", 90)
    (blocks,) = evaluate({"baseline": Baseline}, [split])
    assert (blocks.recall, blocks.ndcg, blocks.mrr) == (whole.recall, whole.ndcg, whole.mrr)


def test_only_ratings_from_the_threshold_are_relevant(stars: list[list[float]], split: Split) -> None:
    (card,) = evaluate({"oracle": lambda: Oracle(stars)}, [split], relevant_from=4.5, k=4)
    # Four films of each user are held out, so the top four contain all relevant ones, first.
    assert card.recall.value == card.ndcg.value == card.mrr.value == 1


def test_remarks_on_ratings_and_rankings_of_unequal_quality(stars: list[list[float]], split: Split) -> None:
    class Bold(Oracle):
        """Predicts all stars correctly but ranks films in reverse."""

        def _score(self, users: Rows) -> Scores:
            return -super()._score(users)

        def _predict(self, users: Rows, films: Rows) -> Scores:
            return np.array(self.stars)[users, films]

    class Crude(Preferring):
        """Ranks correctly; its predictions are unrelated to the stars."""

        def _predict(self, users: Rows, films: Rows) -> Scores:
            return ((users * 7 + films * 13) % 11).astype(float)

    makers: dict[str, Callable[[], Recommender]] = {
        "bold": partial(Bold, stars),
        "crude": partial(Crude, stars),
        "most-rated": MostRated,
        "damped-mean": DampedMean,
    }
    remarks = {card.name: card.remark for card in evaluate(makers, [split], k=1, relevant_from=5.0)}
    assert remarks["crude"] == "ranks well, rates badly"
    assert remarks["bold"] == "rates well, ranks badly"


def test_costs_are_measured(split: Split) -> None:
    (card,) = evaluate({"baseline": Baseline}, [split])
    assert card.fit_s > 0
    assert card.recommend_ms > 0
    assert card.memory_mb >= 0


def test_scorecard_converts_to_plain_values(split: Split) -> None:
    (card,) = evaluate({"most-rated": MostRated}, [split])
    assert set(card.to_dict()["rmse"]) == {"value", "low", "high"}
    assert card.to_dict()["name"] == "most-rated"
