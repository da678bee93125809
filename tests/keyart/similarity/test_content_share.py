"""Content as a third side of look-alikes: its share, films without other sides, and scores of pairs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import keyart
from catalog.errors import ConfigError, UnknownFilmError
from catalog.io.files import write_bytes
from cf.hybrid.blend import Blending
from keyart.cold_start.new_film import describe
from keyart.engine import Engine
from keyart.pipeline.additions import add
from keyart.pipeline.movielens import load
from keyart.pipeline.recommenders import tune
from keyart.results import Hit
from keyart.similarity.blending import open_hybrid
from keyart.similarity.reasons import reasons
from keyart.workspace.layout import Workspace
from tests.keyart.conftest import MOVIES, Run, write_movielens

NEITHER = 7


@pytest.fixture
def engine_of_seven(home: Path, tmp_path: Path) -> Iterator[Engine]:
    """The small workspace with a seventh film, which has neither a poster nor ratings."""
    folder = write_movielens(tmp_path / "seven")
    write_bytes(folder / "movies.csv", f"{MOVIES}{NEITHER},Harbour Lights (1991),Drama\n".encode())
    load(home, folder)
    with keyart.open(home) as engine:
        yield engine


def test_content_0_leaves_looks_and_ratings_as_they_are(engine: Engine) -> None:
    found = engine.similar(1, content=0)
    assert (found.content, found.n_content) == (0, 0)
    for hit in found:
        assert (hit.content, hit.content_share, hit.in_common) == (None, 0, ())
        if hit.visual is not None and hit.cf is not None:
            assert hit.score == pytest.approx(hit.alpha * hit.visual + (1 - hit.alpha) * hit.cf, abs=2e-6)


def test_content_is_weighed_beside_looks_and_ratings(engine: Engine) -> None:
    found = engine.similar(1, content=0.3)
    assert found.n_content == len(found) == 5
    for hit in found:
        assert hit.content_share == 0.3
        if hit.visual is not None and hit.cf is not None:
            rest = hit.alpha * hit.visual + (1 - hit.alpha) * hit.cf
            assert hit.score == pytest.approx(0.7 * rest + 0.3 * hit.content, abs=2e-6)


def test_content_1_ranks_by_content_alone(engine: Engine) -> None:
    found = engine.similar(1, content=1)
    assert [hit.content_rank for hit in found] == sorted(hit.content_rank for hit in found)
    assert [hit.score for hit in found] == [hit.content for hit in found]
    assert found[0].in_common == ("Drama", "1990s")


def test_by_default_content_counts_more_the_fewer_ratings_a_film_has(engine: Engine) -> None:
    of_many, of_none = engine.similar(1), engine.similar(6)
    by_id = {hit.movie_id: hit.content_share for hit in of_many}
    assert by_id[5] >= by_id[2] > 0
    assert min(hit.content_share for hit in of_none) >= by_id[2]
    assert {hit.content_share for hit in of_none} == {Blending().content_share}
    assert of_none[0].alpha == 1


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_beside_a_fixed_alpha_content_counts_only_where_it_is_asked_for(engine: Engine, alpha: float) -> None:
    assert engine.similar(1, alpha=alpha) == engine.similar(1, alpha=alpha, content=0)
    assert engine.similar(1, alpha=alpha, content=0.5).n_content > 0


def test_a_film_without_poster_and_ratings_is_compared_by_content(engine_of_seven: Engine) -> None:
    found = engine_of_seven.similar(NEITHER)
    assert found.notes == ("Harbour Lights (1991) has no poster and has no ratings: compared by content alone",)
    assert found[0].movie_id == 1
    assert {hit.content_share for hit in found} == {1}
    assert NEITHER in [hit.movie_id for hit in engine_of_seven.similar(1)]
    with pytest.raises(UnknownFilmError, match="neither features nor ratings"):
        engine_of_seven.similar(NEITHER, content=0)


def test_what_a_missing_side_would_count_goes_to_the_others(engine: Engine) -> None:
    found = engine.similar(4)
    assert "No Poster (1993) has no poster: compared by ratings and content" in found.notes
    assert {hit.alpha for hit in found} == {0}
    assert "compared by looks and content" in " ".join(engine.similar(6).notes)


def test_images_have_no_content(engine: Engine, poster_folder: Path) -> None:
    image = keyart.Image(poster_folder / "2.jpg")
    assert engine.similar(image).content == 0
    assert "an image has no content: compared by looks alone" in engine.similar(image, content=0.5).notes
    with pytest.raises(ConfigError, match="images have no content"):
        engine.similar(image, content=1)


def test_several_films_are_compared_by_the_content_of_those_sought_for(engine: Engine, poster_folder: Path) -> None:
    found = engine.similar(keyart.Mix([1, 2], unlike=3))
    assert {hit.movie_id for hit in found} == {4, 5, 6}
    assert found.n_content == 3
    assert engine.similar(keyart.Mix([1, keyart.Image(poster_folder / "2.jpg")])).n_content == 5
    assert engine.similar(keyart.Mix(keyart.Image(poster_folder / "2.jpg"), unlike=3)).n_content == 0


@pytest.mark.parametrize("content", [-0.1, 1.1, "some", True])
def test_a_share_out_of_range_is_refused(content: object) -> None:
    with pytest.raises(ValueError, match="content should be 'auto' or a number from 0 to 1"):
        keyart.SimilarOptions(content=content)  # type: ignore[arg-type]


def test_a_region_is_compared_by_looks_alone(engine: Engine) -> None:
    assert engine.similar(1, region=(0, 0, 7, 3)).n_content == 0
    with pytest.raises(ValueError, match="leave content at auto"):
        engine.similar(1, region=(0, 0, 7, 3), content=0.5)


# Pairs


def test_every_pair_has_a_score_that_is_the_same_in_both_directions(engine_of_seven: Engine) -> None:
    for first in range(1, 8):
        for second in range(first + 1, 8):
            score = engine_of_seven.compare(first, second)
            back = engine_of_seven.compare(second, first)
            assert score.score == back.score
            assert (score.visual, score.cf, score.content) == (back.visual, back.cf, back.content)
            assert score.content is not None


def test_the_score_of_a_pair_is_that_of_the_ranking(engine: Engine) -> None:
    there = {hit.movie_id: hit.score for hit in engine.similar(1)}
    back = {hit.movie_id: hit.score for hit in engine.similar(2)}
    score = engine.compare("The Harbour (1990)", 2)
    assert score.score == pytest.approx((there[2] + back[1]) / 2, abs=1e-6)
    assert score.in_common == ("Drama", "1990s")
    assert [film["movie_id"] for film in score.to_dict()["films"]] == [1, 2]


def test_a_film_is_not_compared_with_itself(engine: Engine) -> None:
    with pytest.raises(ValueError, match="two films"):
        engine.compare(1, "The Harbour")


# What is shown


def test_the_command_shows_content_and_what_is_in_common(run: Run, home: Path) -> None:
    printed = run("similar", 1, "--home", home).out
    assert "content  ratings  in common" in printed
    assert "Drama, 1990s" in printed
    assert "content" not in run("similar", 1, "--content", "0", "--home", home).out
    (record, *_) = json.loads(run("similar", 1, "--content", "1", "--json", "--home", home).out)["results"]
    assert record["content_share"] == 1
    assert record["in_common"] == ["Drama", "1990s"]
    (row, *_) = csv.DictReader(io.StringIO(run("similar", 1, "--content", "1", "--csv", "--home", home).out))
    assert row["in_common"] == "Drama; 1990s"
    wrong = run("similar", 1, "--content", "2", "--home", home)
    assert (wrong.code, "--content" in wrong.err) == (2, True)


def test_reasons_name_what_is_in_common_and_all_shares(engine: Engine) -> None:
    found = engine.similar(1, content=0.3)
    (hit,) = (one for one in found if one.movie_id == 2)
    text = " ".join(reasons(found, hit))
    assert "Content: in common: Drama, 1990s; " in text
    assert "content 30%, as was asked for." in text
    assert "Content alone counts." in reasons(engine.similar(1, content=1), engine.similar(1, content=1)[0])


# Tuning


def test_a_tuned_share_of_content_is_kept(tastes_home: Path) -> None:
    report = tune(tastes_home, n_films=10)
    blending = open_hybrid(Workspace.open(tastes_home)).blending
    assert blending == report.tuning.blending
    assert 0 <= blending.content_share <= 1


def test_a_blend_that_an_earlier_version_tuned_has_the_default_content_share(tastes_home: Path) -> None:
    tune(tastes_home, n_films=10)
    path = Workspace.open(tastes_home).hybrid_path
    record = json.loads(path.read_text())
    del record["blending"]["content_share"], record["checksum"]
    write_bytes(path, json.dumps(record).encode())
    blending = open_hybrid(Workspace.open(tastes_home)).blending
    assert blending.content_share == Blending().content_share
    assert blending.cf_share == record["blending"]["cf_share"]


def test_a_twin_does_not_lift_what_is_liked_most(home: Path, poster_folder: Path) -> None:
    def compared() -> dict[int, Hit]:
        with Engine.open(home) as engine:
            return {hit.movie_id: hit for hit in engine.similar(1, k=50)}

    before = compared()
    highest = max(hit.visual for hit in before.values() if hit.visual is not None)
    with Engine.open(home) as engine:
        add(home, [describe(keyart.Image(poster_folder / "1.jpg"), "Twin", 2020)], encoder=engine.encoder)
    after = compared()
    (twin,) = set(after) - set(before)
    assert after[twin].visual == pytest.approx(1, abs=1e-3)
    for hit in after.values():
        assert (hit.cf or 0) <= highest + 1e-6
        assert (hit.content or 0) <= highest + 1e-6
