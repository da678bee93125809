"""Sentences that explain a hit."""

import json
from pathlib import Path

import pytest

from keyart.engine import Engine
from keyart.results import Alpha, Hit, Query, SimilarFilms
from keyart.similarity.reasons import reasons
from tests.keyart.conftest import Run

HEAT = Query(6, "Heat", 1995, None, n_ratings=102)


def hit(**changes: object) -> Hit:
    defaults = {"score": 0.4, "visual": 0.5, "cf": 0.3, "n_ratings": 57, "alpha": 0.58, "visual_rank": 3, "cf_rank": 5}
    return Hit(rank=1, movie_id=16, title="Casino", year=1995, poster_path=None, **{**defaults, **changes})


def explain(one: Hit, query: Query = HEAT, alpha: Alpha = "auto", n_visual: int = 1999, n_cf: int = 200) -> str:
    return " ".join(reasons(SimilarFilms(query, alpha, (one,), (), n_visual, n_cf), one))


def test_describes_both_sides_and_their_shares() -> None:
    assert explain(hit()) == (
        "Looks: number 3 of 1,999 posters (cosine 0.500). "
        "Liking: number 5 of the 200 films nearest by ratings, which is worth 0.300 on the scale of looks. "
        "Ratings count 42%: the rarer of the two films has 57 ratings."
    )


def test_describes_the_first_of_either_side() -> None:
    text = explain(hit(visual_rank=1, cf_rank=1))
    assert "the most alike of 1,999 posters" in text
    assert "the nearest of 200 films by ratings" in text


@pytest.mark.parametrize(
    ("one", "query", "expected"),
    [
        (hit(cf=None, cf_rank=None, n_ratings=0), HEAT, "nobody has rated it"),
        (hit(cf=None, cf_rank=None), HEAT, "not among the 200 films nearest"),
        (hit(cf=None, cf_rank=None, alpha=1.0), Query(6, "Heat", 1995), "nobody has rated Heat (1995)"),
        (hit(cf=None, cf_rank=None, alpha=1.0), Query(None, "a.jpg", None), "an image has no ratings"),
        (hit(visual=None, visual_rank=None), HEAT, "Casino (1995) has no features of a poster"),
        (hit(cf=None, cf_rank=None), HEAT, "as Heat (1995) has 102 ratings"),
        (hit(n_ratings=1), HEAT, "has 1 rating."),
        (hit(alpha=1.0), HEAT, "Looks alone count."),
        (hit(alpha=0.0), HEAT, "Ratings alone count."),
    ],
)
def test_describes_missing_data(one: Hit, query: Query, expected: str) -> None:
    assert expected in explain(one, query)


def test_without_posters_cf_is_on_its_own_scale() -> None:
    text = explain(hit(visual=None, visual_rank=None, alpha=0.0), n_visual=0)
    assert "Heat (1995) has no features" in text
    assert "(similarity 0.300)" in text


def test_describes_a_requested_share() -> None:
    assert "Ratings count 42%, as was asked for." in explain(hit(), alpha=0.58)


def test_ranks_are_among_all_films(engine: Engine) -> None:
    result = engine.similar(1, 10, 0.5)
    by_looks = sorted((one for one in result if one.visual is not None), key=lambda one: -one.visual)
    assert [one.visual_rank for one in by_looks] == list(range(1, len(by_looks) + 1))
    assert result.n_visual == len(by_looks)
    by_liking = sorted((one for one in result if one.cf is not None), key=lambda one: one.cf_rank)
    assert [one.cf for one in by_liking] == sorted((one.cf for one in by_liking), reverse=True)


def test_the_command_explains_every_hit(run: Run, home: Path) -> None:
    printed = run("similar", "1", "-k", "3", "--explain", "--home", home).out
    assert printed.count("Looks: ") == printed.count("Liking: ") == 3
    results = json.loads(run("similar", "1", "-k", "3", "--explain", "--json", "--home", home).out)["results"]
    for one in results:
        assert all(sentence in printed for sentence in one["why"])
    plain = json.loads(run("similar", "1", "--json", "--home", home).out)["results"]
    assert "why" not in plain[0]


def test_explain_is_refused_with_csv(run: Run, home: Path) -> None:
    refused = run("similar", "1", "--explain", "--csv", "--home", home)
    assert refused.code == 1
    assert "--json" in refused.err


@pytest.mark.parametrize(
    ("to_earlier", "expected"),
    [
        (0.4, "its cosine with the films above it is at most 0.400, which counts 30% against its score"),
        (-0.2, "like none of the films above it, so nothing counts against its score"),
    ],
)
def test_describes_what_variety_costs(to_earlier: float, expected: str) -> None:
    one = hit(to_earlier=to_earlier)
    assert expected in " ".join(reasons(SimilarFilms(HEAT, "auto", (one,), (), 1999, 200, diverse=0.3), one))
