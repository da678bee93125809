from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from catalog.scored_ids import ScoredIds
from cf.hybrid import blend as blending
from cf.hybrid.blend import Blend, Blending, Content, candidate_ids, n_ratings_of_pairs, visual_share
from cf.hybrid.calibration import Calibration, Scale, calibrate

SHARES = st.floats(0, 1)
VALUES = st.floats(-1, 1, width=32)


def _measure(values: dict[int, float]) -> ScoredIds:
    return ScoredIds(np.array(list(values), np.int64), np.array(list(values.values()), np.float64))


def similarities(min_size: int = 0, values: st.SearchStrategy[float] = VALUES) -> st.SearchStrategy[ScoredIds]:
    """Draw one side's similarities to some of the films 1 to 40."""
    return st.dictionaries(st.integers(1, 40), values, min_size=min_size, max_size=40).map(_measure)


def blend(*args: Any, **kwargs: Any) -> Blend:
    """Blend, and bring the candidates into the order of their scores."""
    found = blending.blend(*args, **kwargs)
    return found.take(found.best(len(found.scores)))


def _blend(visual: ScoredIds, cf: ScoredIds, alpha: object) -> Blend:
    return blend(visual, cf, alpha, candidate_ids(visual, cf))


def _of(side: ScoredIds, movie_ids: np.ndarray) -> np.ndarray:
    """One side's scores of some films, NaN where unknown."""
    known = dict(zip(side.ids.tolist(), side.scores.tolist(), strict=True))
    return np.array([known.get(movie_id, np.nan) for movie_id in movie_ids.tolist()], np.float64)


def _nearest_first(side: ScoredIds) -> list[int]:
    return side.ids[np.lexsort((side.ids, -side.scores))].tolist()


# The share


def test_film_without_ratings_uses_visual_similarity_alone() -> None:
    assert visual_share(0) == 1


def test_cf_share_is_half_its_maximum_at_that_number_of_ratings() -> None:
    assert visual_share(20, cf_share=0.5, n_ratings_at_half=20) == 0.75


@given(st.lists(st.integers(0, 10**7), min_size=1), st.floats(0, 1), st.floats(0.1, 1000))
def test_visual_share_falls_with_support_and_stays_within_bounds(
    support: list[int], cf_share: float, n_ratings_at_half: float
) -> None:
    alphas = visual_share(sorted(support), cf_share, n_ratings_at_half)
    assert (np.diff(alphas) <= 0).all()
    assert (alphas >= 1 - cf_share).all()
    assert (alphas <= 1).all()


# The score


@given(similarities(1), similarities(1), SHARES)
def test_score_is_the_weighted_sum_where_both_sides_are_known(visual: ScoredIds, cf: ScoredIds, alpha: float) -> None:
    found = _blend(visual, cf, alpha)
    both = ~np.isnan(found.visual) & ~np.isnan(found.cf)
    expected = alpha * found.visual[both] + (1 - alpha) * found.cf[both]
    np.testing.assert_allclose(found.scores[both], expected, atol=1e-12)


@given(similarities(1), similarities(1), st.randoms(use_true_random=False))
def test_each_candidate_can_have_its_own_alpha(visual: ScoredIds, cf: ScoredIds, random) -> None:  # type: ignore[no-untyped-def]
    candidates = candidate_ids(visual, cf)
    alphas = np.array([random.random() for _ in candidates])
    found = blend(visual, cf, alphas, candidates)
    np.testing.assert_array_equal(found.alphas, alphas[np.searchsorted(candidates, found.movie_ids)])
    both = ~np.isnan(found.visual) & ~np.isnan(found.cf)
    expected = found.alphas * found.visual + (1 - found.alphas) * found.cf
    np.testing.assert_allclose(found.scores[both], expected[both], atol=1e-12)


@given(similarities(), similarities(), SHARES)
def test_visual_scores_are_unchanged_and_unknown_ones_stay_nan(visual: ScoredIds, cf: ScoredIds, alpha: float) -> None:
    found = _blend(visual, cf, alpha)
    np.testing.assert_array_equal(found.visual, _of(visual, found.movie_ids))
    np.testing.assert_array_equal(np.isnan(found.cf), np.isnan(_of(cf, found.movie_ids)))
    assert np.isfinite(found.scores).all()


@given(similarities(1), similarities(1), st.floats(0.01, 0.99))
def test_every_candidate_is_ranked_once(visual: ScoredIds, cf: ScoredIds, alpha: float) -> None:
    assert sorted(_blend(visual, cf, alpha).movie_ids.tolist()) == candidate_ids(visual, cf).tolist()


@given(similarities(), similarities(), SHARES)
def test_scores_descend(visual: ScoredIds, cf: ScoredIds, alpha: float) -> None:
    assert (np.diff(_blend(visual, cf, alpha).scores) <= 0).all()


# Extremes


@given(similarities(), similarities())
def test_alpha_1_ranks_by_visual_similarity_alone(visual: ScoredIds, cf: ScoredIds) -> None:
    found = _blend(visual, cf, 1.0)
    assert found.movie_ids.tolist() == _nearest_first(visual)
    np.testing.assert_array_equal(found.scores, found.visual)


@given(similarities(), similarities())
def test_alpha_0_ranks_by_cf_alone(visual: ScoredIds, cf: ScoredIds) -> None:
    found = _blend(visual, cf, 0.0)
    assert found.movie_ids.tolist() == _nearest_first(cf)
    np.testing.assert_array_equal(found.scores, found.cf)


@given(similarities(), SHARES)
def test_without_cf_ranks_by_visual_similarity_alone(visual: ScoredIds, alpha: float) -> None:
    assume(alpha > 1e-6)
    found = _blend(visual, ScoredIds.empty(), alpha)
    assert np.isnan(found.cf).all()
    assert sorted(found.movie_ids.tolist()) == sorted(visual.ids.tolist())
    assert (np.diff(found.visual) <= 1e-6).all()


@given(similarities(), st.floats(0, 0.999))
def test_without_posters_ranks_by_uncalibrated_cf_alone(cf: ScoredIds, alpha: float) -> None:
    found = _blend(ScoredIds.empty(), cf, alpha)
    assert found.movie_ids.tolist() == _nearest_first(cf)
    np.testing.assert_array_equal(found.cf, _of(cf, found.movie_ids))


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_blend_of_no_similarities_is_empty(alpha: float) -> None:
    assert len(_blend(ScoredIds.empty(), ScoredIds.empty(), alpha).movie_ids) == 0


def test_films_known_only_to_a_side_of_weight_0_are_left_out() -> None:
    visual, cf = _measure({1: 0.5, 2: 0.4}), _measure({2: 0.1, 3: 0.2})
    assert _blend(visual, cf, 1.0).movie_ids.tolist() == [1, 2]
    assert _blend(visual, cf, 0.0).movie_ids.tolist() == [3, 2]


# Unknown similarities


def test_unknown_cf_is_imputed_neutrally() -> None:
    # CF knows film 1 alone.
    looks = {1: 0.9, 2: 0.8, 3: 0.7, 4: 0.6, 5: 0.5, 6: 0.4}
    found = _blend(_measure(looks), _measure({1: 0.3}), 0.0001)
    assert found.movie_ids[0] == 1
    unknown = np.isnan(found.cf)
    # The score of an unknown film is nearly the mean of the remaining visual scores, not 0.
    np.testing.assert_allclose(found.scores[unknown], np.mean([0.8, 0.7, 0.6, 0.5, 0.4]), atol=1e-3)


def test_unknown_visual_similarity_is_imputed_neutrally() -> None:
    looks = {movie_id: -0.5 - movie_id / 100 for movie_id in range(1, 11)}
    found = _blend(_measure(looks), _measure({20: 0.3}), 0.9999)
    score = found.scores[found.movie_ids == 20][0]
    assert np.isclose(score, np.mean(list(looks.values())), atol=1e-3)


@given(similarities(1), similarities(1), SHARES)
def test_scores_stay_within_the_visual_range(visual: ScoredIds, cf: ScoredIds, alpha: float) -> None:
    found = _blend(visual, cf, alpha)
    assert (found.scores >= visual.scores.min() - 1e-9).all()
    assert (found.scores <= visual.scores.max() + 1e-9).all()


# Calibration


@given(similarities(1), similarities(1))
def test_calibrated_cf_stays_within_the_visual_range(visual: ScoredIds, cf: ScoredIds) -> None:
    calibrated = _blend(visual, cf, 0.0).cf
    assert (calibrated >= visual.scores.min() - 1e-9).all()
    assert (calibrated <= visual.scores.max() + 1e-9).all()


@given(similarities(1), similarities(1))
def test_calibration_keeps_order_and_ties(visual: ScoredIds, cf: ScoredIds) -> None:
    found = _blend(visual, cf, 0.0)
    raw = _of(cf, found.movie_ids)
    order = np.argsort(-raw, kind="stable")
    assert (np.diff(found.cf[order]) <= 1e-12).all()
    for value in set(raw.tolist()):
        assert len(set(found.cf[raw == value].tolist())) == 1


def test_calibration_maps_cf_ranks_onto_visual_scores() -> None:
    visual = _measure({1: 0.9, 2: 0.5, 3: 0.1})
    found = _blend(visual, _measure({1: 0.001, 2: 0.002, 3: 0.003}), 0.0)
    assert (found.movie_ids.tolist(), found.cf.tolist()) == ([3, 2, 1], [0.9, 0.5, 0.1])


@given(similarities(1), similarities(1), SHARES, st.floats(0.001, 1000))
def test_scale_of_cf_does_not_matter(visual: ScoredIds, cf: ScoredIds, alpha: float, unit: float) -> None:
    # Integers, so that scaling makes no two values equal.
    whole = ScoredIds(cf.ids, np.round(cf.scores * 100))
    one, other = (_blend(visual, ScoredIds(cf.ids, whole.scores * factor), alpha) for factor in (1.0, unit))
    np.testing.assert_array_equal(one.movie_ids, other.movie_ids)
    np.testing.assert_array_equal(one.scores, other.scores)


@given(similarities(1), similarities(1), SHARES, st.sampled_from(Calibration))
def test_every_calibration_keeps_order_and_unknown_values(
    visual: ScoredIds, cf: ScoredIds, alpha: float, calibration: Calibration
) -> None:
    candidates = candidate_ids(visual, cf)
    found = blend(visual, cf, alpha, candidates, calibration)
    assert (np.diff(found.scores) <= 0).all()
    assert np.isfinite(found.scores).all()
    raw = _of(cf, found.movie_ids)
    np.testing.assert_array_equal(np.isnan(found.cf), np.isnan(raw))
    order = np.argsort(-raw[~np.isnan(raw)], kind="stable")
    assert (np.diff(found.cf[~np.isnan(raw)][order]) <= 1e-9).all()


@given(similarities(2), similarities(1), st.sampled_from(Calibration))
def test_known_cf_never_ranks_behind_unknown_cf(visual: ScoredIds, cf: ScoredIds, calibration: Calibration) -> None:
    # Equal visual scores, so that CF alone decides.
    alike = ScoredIds(visual.ids, np.full(len(visual), 0.5))
    found = blend(alike, cf, 0.5, candidate_ids(alike, cf), calibration)
    known = ~np.isnan(found.cf) & ~np.isnan(found.visual)
    unknown = np.isnan(found.cf)
    if known.any() and unknown.any():
        assert found.scores[known].min() >= found.scores[unknown].max() - 1e-9


def test_calibrations_match_hand_computed_values() -> None:
    visual, cf = _measure({1: 0.9, 2: 0.5, 3: 0.1}), _measure({1: 10.0, 2: 20.0, 3: 60.0})
    candidates = candidate_ids(visual, cf)

    def calibrated(calibration: Calibration) -> list[float]:
        found = blend(visual, cf, 0.5, candidates, calibration)
        return [float(found.cf[found.movie_ids == movie_id][0]) for movie_id in (1, 2, 3)]

    assert calibrated(Calibration.PERCENTILE) == pytest.approx([0.1, 0.5, 0.9])
    assert calibrated(Calibration.MIN_MAX) == pytest.approx([0.1, 0.1 + 0.8 / 5, 0.9])
    spread = np.std([0.9, 0.5, 0.1]) / np.std([10, 20, 60])
    assert calibrated(Calibration.Z_SCORE) == pytest.approx([0.5 + (value - 30) * spread for value in (10, 20, 60)])
    assert calibrated(Calibration.RECIPROCAL_RANK) == pytest.approx([1 / 63, 1 / 62, 1 / 61])


def test_reciprocal_ranks_are_added() -> None:
    visual, cf = _measure({1: 0.9, 2: 0.5}), _measure({2: 7.0, 3: 5.0})
    found = blend(visual, cf, 0.5, candidate_ids(visual, cf), Calibration.RECIPROCAL_RANK)
    assert found.movie_ids[0] == 2
    np.testing.assert_allclose(found.scores[0], 0.5 / 62 + 0.5 / 61)


def test_blending_alphas_follow_its_parameters() -> None:
    assert Blending(0.8, 10).alphas([0, 10]).tolist() == [1, 0.6]


def test_support_of_a_pair_is_the_smaller_count_or_the_querys_if_unknown() -> None:
    is_known = np.array([True, True, False, False])
    assert n_ratings_of_pairs(20, np.array([5, 100, 0, 100]), is_known).tolist() == [5, 20, 20, 20]
    assert n_ratings_of_pairs(0, np.array([5, 100, 0, 100]), is_known).tolist() == [0, 0, 0, 0]


def test_film_without_cf_ranks_behind_an_equal_film_with_cf() -> None:
    visual, cf = _measure({1: 0.8, 2: 0.8, 3: 0.1, 4: 0.2}), _measure({1: 0.5, 3: 0.1})
    candidates = candidate_ids(visual, cf)
    support = n_ratings_of_pairs(100, np.array([3, 0, 50, 0]), np.isin(candidates, cf.ids))
    found = blend(visual, cf, Blending(1.0, 3.0).alphas(support), candidates)
    assert found.movie_ids[0] == 1


# Ties


def test_ties_are_in_ascending_movie_id() -> None:
    visual, cf = _measure({9: 0.5, 3: 0.5, 7: 0.5}), _measure({7: 0.1, 9: 0.1, 3: 0.1})
    for alpha in (0.0, 0.5, 1.0):
        assert _blend(visual, cf, alpha).movie_ids.tolist() == [3, 7, 9]


def test_calibration_with_fewer_visual_scores_keeps_cf_order() -> None:
    visual, cf = _measure({1: 0.9, 2: 0.1}), _measure({movie_id: movie_id / 100 for movie_id in range(10, 20)})
    assert _blend(visual, cf, 0.0).movie_ids.tolist() == list(range(19, 9, -1))


def test_the_inputs_are_not_changed() -> None:
    visual, cf = _measure({1: 0.9, 2: 0.5}), _measure({2: 0.2, 3: 0.1})
    candidates, alphas = candidate_ids(visual, cf), np.array([0.1, 0.2, 0.3])
    for array in (visual.ids, visual.scores, cf.ids, cf.scores, candidates, alphas):
        array.flags.writeable = False
    before = [array.copy() for array in (visual.scores, cf.scores, candidates, alphas)]
    blend(visual, cf, alphas, candidates)
    for array, copy in zip((visual.scores, cf.scores, candidates, alphas), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_candidates_are_the_films_of_both_sides_ascending() -> None:
    assert candidate_ids(_measure({5: 0.1, 2: 0.3}), _measure({9: 0.1, 2: 0.2})).tolist() == [2, 5, 9]


@given(similarities(), similarities(), similarities(), SHARES, st.integers(1, 50), st.sets(st.integers(1, 40)))
def test_the_best_are_the_first_of_all_sorted(
    visual: ScoredIds, cf: ScoredIds, content: ScoredIds, alpha: float, n: int, wanted: set[int]
) -> None:
    found = blending.blend(visual, cf, alpha, candidate_ids(visual, cf, content), content=Content(content, 0.5))
    keys = [-one for one in (found.scores, *found.finer)]
    expected = sorted(range(len(found.scores)), key=lambda row: [*(key[row] for key in keys), found.movie_ids[row]])
    assert found.best(n).tolist() == expected[:n]
    among = np.flatnonzero(np.isin(found.movie_ids, list(wanted)))
    assert found.best(n, among).tolist() == [row for row in expected if row in among][:n]


@given(st.lists(st.integers(1, 5), min_size=1), similarities(1))
def test_equal_values_take_the_mean_of_their_quantiles(values: list[int], visual: ScoredIds) -> None:
    scale = Scale(visual.scores, len(values))
    calibrated, _ = calibrate(np.array(values, np.float64), scale, Calibration.PERCENTILE)
    descending = np.array(sorted(values, reverse=True))
    expected = [scale.quantiles[descending == value].mean() for value in values]
    np.testing.assert_allclose(calibrated, expected, atol=1e-12)


@pytest.mark.parametrize("calibration", [Calibration.PERCENTILE, Calibration.MIN_MAX])
@given(visual=similarities(1, st.floats(-1, 0.5)), cf=similarities(1), content=similarities(1))
def test_a_poster_of_the_same_artwork_is_no_part_of_the_scale(
    calibration: Calibration, visual: ScoredIds, cf: ScoredIds, content: ScoredIds
) -> None:
    twin = ScoredIds(np.append(visual.ids, 99), np.append(visual.scores, 0.98))
    candidates = candidate_ids(twin, cf, content)
    found = blending.blend(twin, cf, 0.5, candidates, calibration, Content(content, 0.5), same_artwork=0.97)
    assert found.visual[found.movie_ids == 99] == pytest.approx(0.98)
    for side in (found.cf, found.content):
        assert np.nanmax(side) <= visual.scores.max() + 1e-9


def test_where_all_posters_are_of_the_same_artwork_they_are_the_scale() -> None:
    visual, cf = _measure({1: 0.98, 2: 0.99}), _measure({1: 0.1, 2: 0.2})
    assert blend(visual, cf, 0.5, np.array([1, 2]), same_artwork=0.97).cf.tolist() == pytest.approx([0.99, 0.98])


# Content


@given(similarities(1), similarities(), similarities(1), SHARES, SHARES)
def test_content_is_blended_with_looks_and_ratings(
    visual: ScoredIds, cf: ScoredIds, content: ScoredIds, alpha: float, share: float
) -> None:
    candidates = candidate_ids(visual, cf, content)
    found = blend(visual, cf, alpha, candidates, content=Content(content, share))
    every = ~np.isnan(found.visual) & ~np.isnan(found.cf) & ~np.isnan(found.content)
    rest = alpha * found.visual + (1 - alpha) * found.cf
    expected = (1 - share) * rest + share * found.content
    np.testing.assert_allclose(found.scores[every], expected[every], atol=1e-12)
    assert (np.diff(found.scores) <= 0).all()


@given(similarities(), similarities(), similarities(), SHARES)
def test_a_content_share_of_0_changes_nothing(
    visual: ScoredIds, cf: ScoredIds, content: ScoredIds, alpha: float
) -> None:
    candidates = candidate_ids(visual, cf)
    without = blend(visual, cf, alpha, candidates)
    known = content.take(np.isin(content.ids, candidates))
    found = blend(visual, cf, alpha, candidates, content=Content(known, 0.0, visual.scores[:0]))
    assert found.movie_ids.tolist() == without.movie_ids.tolist()
    assert found.scores.tolist() == without.scores.tolist()


@given(similarities(1), similarities(1))
def test_content_alone_ranks_by_content(visual: ScoredIds, content: ScoredIds) -> None:
    candidates = candidate_ids(visual, content)
    found = blend(visual, ScoredIds.empty(), 1.0, candidates, content=Content(content, 1.0))
    assert found.movie_ids.tolist() == _nearest_first(content)


def test_without_looks_the_scale_is_that_of_a_typical_film_or_of_content() -> None:
    content, scale = _measure({1: 0.9, 2: 0.5, 3: 0.1}), np.array([0.3, 0.2, 0.1])
    empty, candidates = ScoredIds.empty(), np.array([1, 2, 3])
    given_scale = blend(empty, empty, 1.0, candidates, content=Content(content, 1.0, scale))
    np.testing.assert_allclose(given_scale.scores, [0.3, 0.2, 0.1])
    np.testing.assert_allclose(
        blend(empty, empty, 1.0, candidates, content=Content(content, 1.0)).scores, [0.9, 0.5, 0.1]
    )


def test_content_counts_more_where_less_is_known() -> None:
    blending = Blending(0.5, 10, content_share=0.4)

    def weights(n_ratings: int, **known: bool) -> list[float]:
        alpha, content = (float(share) for share in blending.shares(n_ratings, **known))
        return [alpha * (1 - content), (1 - alpha) * (1 - content), content]

    assert weights(0) == pytest.approx([0.6, 0, 0.4])
    assert weights(10) == pytest.approx([0.45, 0.25, 0.3])
    assert weights(10, has_cf=False) == pytest.approx([0.6, 0, 0.4])
    assert weights(10, has_visual=False) == pytest.approx([0, 0.25 / 0.55, 0.3 / 0.55])
    assert weights(0, has_visual=False) == pytest.approx([0, 0, 1])
    assert weights(10, has_visual=False, has_cf=False) == pytest.approx([0, 0, 1])


@given(st.integers(0, 10**7), SHARES, st.floats(0.1, 1000))
def test_without_a_share_of_content_alpha_is_as_it_was(n_ratings: int, cf_share: float, at_half: float) -> None:
    alphas, content = Blending(cf_share, at_half, content_share=0.0).shares(n_ratings)
    assert float(content) == 0
    assert float(alphas) == pytest.approx(float(visual_share(n_ratings, cf_share, at_half)))
