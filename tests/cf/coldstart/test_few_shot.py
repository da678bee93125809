from __future__ import annotations

import numpy as np
import pytest

from catalog.errors import ConfigError
from cf.coldstart.few_shot import FewShotCurve, crossover, few_shot
from cf.coldstart.ridge import ContentRidge, GenresAndYears
from tests.cf.coldstart.synthetic import rated_films

STEPS = (0, 1, 2, 5, 10)


@pytest.fixture(scope="module")
def curve() -> FewShotCurve:
    return few_shot(("genres-years", GenresAndYears), rated_films(), seeds=range(3), steps=STEPS)


def test_ratings_overtake_partial_content(curve: FewShotCurve) -> None:
    ratings = [estimate.value for estimate in curve.ratings]
    assert np.isnan(ratings[0])
    assert ratings[1] < ratings[-1]
    assert curve.crossover is not None
    assert 1 <= curve.crossover <= STEPS[-1]
    assert ratings[-1] > curve.content[-1].value


def test_content_curve_is_flat_and_the_mixed_curve_starts_on_it(curve: FewShotCurve) -> None:
    assert len(set(curve.content)) == 1
    assert curve.mixed[0] == curve.content[0]
    assert curve.mixed[-1].value > curve.content[0].value


def test_draws_that_differ_keep_the_intervals_wide(curve: FewShotCurve) -> None:
    single = few_shot(("genres-years", GenresAndYears), rated_films(), seeds=[0], steps=STEPS)
    of_three, of_one = (one.content[0].high - one.content[0].low for one in (curve, single))
    # Three times as many rankings would narrow an interval over users alone to 0.58.
    assert of_three > of_one


def test_includes_only_films_with_enough_ratings() -> None:
    films = rated_films()
    curves = [few_shot(("c", ContentRidge), films, seeds=[0], steps=(0, last)) for last in (5, 20)]
    assert curves[0].n_films >= curves[1].n_films > 1
    with pytest.raises(ConfigError, match="over 500 ratings each"):
        few_shot(("c", ContentRidge), films, seeds=[0], steps=(0, 500))


def test_the_same_seeds_give_the_same_curve(curve: FewShotCurve) -> None:
    again = few_shot(("genres-years", GenresAndYears), rated_films(), seeds=range(3), steps=STEPS)
    np.testing.assert_equal(again.to_dict(), curve.to_dict())


@pytest.mark.parametrize(
    ("ratings", "expected"),
    [
        ([np.nan, 0.1, 0.3, 0.5], 4.0),  # half way between 2 and 8 on a logarithmic scale
        ([np.nan, 0.5, 0.6, 0.7], 1.0),
        ([np.nan, 0.1, 0.2, 0.3], None),
        ([np.nan, 0.5, 0.3, 0.5], 4.0),  # a first lead that is lost again does not count
        ([np.nan, 0.5, 0.5, 0.4], None),
    ],
)
def test_crossover_interpolates_the_first_lasting_lead(ratings: list[float], expected: float | None) -> None:
    found = crossover((0, 1, 2, 8), [0.4] * 4, ratings)
    assert found == (None if expected is None else pytest.approx(expected))
