from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cf.coldstart.base import ColdStartModel
from cf.coldstart.evaluation import CHOSEN, ColdStartReport, ColdStartScorecard, evaluate_cold, evaluate_films, rank
from cf.coldstart.holdout import RatedFilms, hold_out, hold_out_films
from cf.coldstart.ridge import ContentRidge, GenresAndYears, PostersOnly
from tests.cf.coldstart.synthetic import rated_films


class Blind(ColdStartModel):
    """A chance-level baseline that draws factors at random, whatever the content."""

    name = "blind"
    uses = frozenset()

    def _fit(self, values: Any, content: Any) -> None:
        self.user_factors_ = np.random.default_rng(1).standard_normal((values.shape[0], 3)).astype(np.float32)

    def _predicted(self, content: Any) -> Any:
        return np.random.default_rng(2).standard_normal((len(content["posters"]), 3)).astype(np.float32)

    def _own(self, values: Any, n_ratings: Any) -> Any:
        return np.zeros((values.shape[1], 3), np.float32)


MODELS: dict[str, Any] = {
    "content": ContentRidge,
    "posters": PostersOnly,
    "genres-years": GenresAndYears,
    "blind": Blind,
}


@pytest.fixture(scope="module")
def films() -> RatedFilms:
    return rated_films()


@pytest.fixture(scope="module")
def report(films: RatedFilms) -> ColdStartReport:
    return evaluate_cold(MODELS, films, seeds=range(3))


def cards(report: ColdStartReport, kind: str) -> dict[str, ColdStartScorecard]:
    return {card.name: card for card in report.cards if card.candidates == kind}


@pytest.mark.parametrize("kind", ["cold", "all"])
def test_content_models_beat_chance_and_random_factors_do_not(report: ColdStartReport, kind: str) -> None:
    found = cards(report, kind)
    assert found["blind"].auc.value == pytest.approx(0.5, abs=0.06)
    for name in ("posters", "genres-years"):
        assert found[name].auc.low > 0.6


def test_all_content_beats_posters_or_genres_alone(report: ColdStartReport) -> None:
    found = cards(report, "cold")
    assert found["content"].auc.low > max(found["posters"].auc.value, found["genres-years"].auc.value)


def test_gains_are_paired_and_in_percent_of_the_baseline(report: ColdStartReport) -> None:
    found = cards(report, "cold")
    content, baseline = found["content"], found["genres-years"]
    assert content.gain.low > 0
    assert content.difference.value == pytest.approx(content.ndcg.value - baseline.ndcg.value)
    assert content.gain.value == pytest.approx(100 * content.difference.value / baseline.ndcg.value)
    # Pairs differ less than two evaluations would.
    content_ndcg, baseline_ndcg = content.ndcg, baseline.ndcg
    unpaired = np.hypot(content_ndcg.high - content_ndcg.low, baseline_ndcg.high - baseline_ndcg.low)
    assert content.difference.high - content.difference.low < unpaired
    assert (baseline.difference.low, baseline.difference.high, baseline.gain.value) == (0, 0, 0)
    assert np.mean(content.ndcg_by_seed) == pytest.approx(content.ndcg.value, abs=0.02)


def test_reports_every_draw_and_no_leaks(report: ColdStartReport) -> None:
    assert [draw.seed for draw in report.draws] == [0, 1, 2]
    assert {(draw.n_hidden, draw.n_cold, draw.n_leaks) for draw in report.draws} == {(24, 12, 0)}
    assert json.loads(json.dumps(report.to_dict()))["draws"][0]["n_hidden"] == 24


def test_distinct_ndcg_excludes_copies_of_warm_artwork(films: RatedFilms) -> None:
    holdout = hold_out(films)
    artwork = films.artwork.copy()
    artwork[holdout.cold[:6]] = artwork[holdout.warm[0]]
    (card,) = evaluate_cold(
        {"genres-years": GenresAndYears}, replace(films, artwork=artwork), seeds=[0], candidates=["cold"]
    ).cards
    model = GenresAndYears().fit(holdout.train, films.content.rows(holdout.warm))
    scores, relevant = model.preferences(films.content.rows(holdout.cold)), holdout.held_out.toarray() > 0
    assert card.ndcg.value == pytest.approx(rank(scores, relevant).measures[2].mean())
    assert card.ndcg_distinct.value == pytest.approx(rank(scores[:, 6:], relevant[:, 6:]).measures[2].mean())
    assert card.ndcg_distinct.value != card.ndcg.value


def test_test_and_validation_halves_give_different_results(films: RatedFilms) -> None:
    models = {"genres-years": GenresAndYears}
    test, validation = (evaluate_cold(models, films, seeds=[0], on=on) for on in ("test", "validation"))  # type: ignore[arg-type]
    assert (test.on, validation.on) == ("test", "validation")
    assert test.cards[0].auc != validation.cards[0].auc


def test_the_model_chosen_inside_each_draw_is_reported_outside(films: RatedFilms, report: ColdStartReport) -> None:
    validation = {
        card.name: card.ndcg_by_seed
        for card in evaluate_cold(MODELS, films, seeds=range(3), on="validation", candidates=["cold"]).cards
    }
    best = tuple(max(MODELS, key=lambda name: validation[name][draw]) for draw in range(3))
    assert report.chosen == best
    found = cards(report, "cold")
    assert found[CHOSEN].ndcg_by_seed == tuple(found[name].ndcg_by_seed[draw] for draw, name in enumerate(best))


def test_the_detectable_gain_is_between_one_and_two_half_intervals(report: ColdStartReport) -> None:
    content = cards(report, "cold")["content"]
    half = (content.gain.high - content.gain.low) / 2
    assert half < content.detectable_gain < 2 * half
    assert cards(report, "cold")["genres-years"].detectable_gain == pytest.approx(0, abs=1e-9)


def test_given_films_are_ranked_in_lists_of_given_lengths(films: RatedFilms) -> None:
    movie_ids = films.movie_ids[:30]
    report = evaluate_films({"genres-years": GenresAndYears}, films, movie_ids, candidates=["cold"], lengths=(5, 20))
    (card,) = report.cards
    assert (report.on, [draw.n_cold for draw in report.draws]) == (None, [30])
    assert [of_k.k for of_k in card.at] == [5, 20]
    assert card.at[1].recall == card.recall
    holdout = hold_out_films(films, movie_ids)
    model = GenresAndYears().fit(holdout.train, films.content.rows(holdout.warm))
    scores, relevant = model.preferences(films.content.rows(holdout.cold)), holdout.held_out.toarray() > 0
    for user in (0, 7):
        first = np.argsort(-scores[user], kind="stable")[:5]
        hits = relevant[user, first]
        recall, ndcg = rank(scores[[user]], relevant[[user]], lengths=[5]).measures[3:, 0]
        assert recall == pytest.approx(hits.sum() / relevant[user].sum())
        ideal = (1 / np.log2(np.arange(2, 7)))[: relevant[user].sum()].sum()
        assert ndcg == pytest.approx((hits / np.log2(np.arange(2, 7))).sum() / ideal)


def test_requires_the_baseline_model(films: RatedFilms) -> None:
    with pytest.raises(ValueError, match="genres-years"):
        evaluate_cold({"content": ContentRidge}, films)


def test_rank_matches_hand_computed_measures() -> None:
    scores = np.array([[4, 3, 2, 1, 9], [1, 1, 1, 1, 9], [np.nan, 2, 1, 1, 0], [1, 2, 3, 4, 5]], np.float32)
    relevant = np.array([[0, 1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], bool)
    excluded = np.array([[0, 0, 0, 0, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]], bool)
    ranked = rank(scores, relevant, excluded)
    # The last user has no relevant film; ties count half in the AUC and are listed in ascending id.
    assert ranked.users.tolist() == [0, 1, 2]
    auc, recall, ndcg = ranked.measures
    np.testing.assert_allclose(auc, [2 / 3, 1 / 2, 0])
    np.testing.assert_allclose(recall, 1)
    np.testing.assert_allclose(ndcg, [1 / np.log2(3), 1, 1 / np.log2(6)])


def test_auc_is_the_share_of_ordered_pairs() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (20, 15)).astype(np.float32)
    kinds = rng.integers(0, 3, scores.shape)
    ranked = rank(scores, kinds == 1, kinds == 2)
    for row, user in enumerate(ranked.users):
        wanted, others = (scores[user, kinds[user] == kind][:, None] for kind in (1, 0))
        pairs = (wanted > others.T) + (wanted == others.T) / 2
        assert ranked.measures[0, row] == pytest.approx(pairs.mean())


def test_rank_skips_users_who_rated_all_or_no_candidates() -> None:
    assert not len(rank(np.ones((2, 3)), np.array([[1, 1, 1], [0, 0, 0]], bool)).users)
