"""Queries of more than one film: in Python and on the command line."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from catalog.errors import ConfigError, NotBuiltError, UnknownFilmError
from catalog.filters import Filter
from index.options import IndexOptions
from keyart.engine import Engine
from keyart.pipeline.index import build
from keyart.pipeline.movielens import load
from keyart.results import SimilarFilms
from keyart.similarity.query import Image, Mix, SimilarOptions
from keyart.similarity.reasons import reasons
from keyart.workspace.layout import Workspace
from tests.keyart.conftest import Run

LIKE, UNLIKE = (10, 25), (14,)


@pytest.fixture
def many(tastes_home: Path) -> Engine:
    return Engine.open(tastes_home)


def ids_of(result: SimilarFilms) -> list[int]:
    return [hit.movie_id for hit in result]


def test_hits_are_near_the_liked_films_and_never_those_asked_about(many: Engine) -> None:
    result = many.similar(Mix(LIKE, UNLIKE), 41, alpha=1.0)
    assert len(result) == 41 - 3
    assert not {*LIKE, *UNLIKE} & set(ids_of(result))
    for hit in result:
        cosines = [many.explain(hit.movie_id, film).similarity for film in (*LIKE, *UNLIKE)]
        assert hit.to_each == pytest.approx(cosines, abs=1e-3)
        assert hit.nearest_to == LIKE[int(np.argmax(hit.to_each[:2]))]
    # The score is the cosine with the weighted sum, whose length is the same for every hit.
    weighted = np.array([np.mean(hit.to_each[:2]) - 0.5 * hit.to_each[2] for hit in result])
    scores = np.array([hit.score for hit in result])
    np.testing.assert_allclose(weighted / weighted[0] * scores[0], scores, atol=1e-4)
    assert (np.diff(scores) <= 0).all()


def test_ratings_count_by_their_mean_over_the_liked_films(many: Engine) -> None:
    result = many.similar(Mix(LIKE), 41, alpha=0.0)
    model = many._cf
    assert model is not None
    every = model.similar_items(LIKE, 100)
    each = [dict(zip(one.ids.tolist(), one.scores.tolist(), strict=True)) for one in every]
    means = {film: (each[0].get(film, 0) + each[1].get(film, 0)) / 2 for film in {*each[0], *each[1]} - set(LIKE)}
    expected = sorted(means, key=lambda film: (-round(means[film], 6), film))
    assert ids_of(result) == expected
    assert all(hit.nearest_to in LIKE and hit.to_each == (None, None) for hit in result)
    assert "by ratings." in reasons(result, result[0])[0]


def test_a_mix_of_one_film_is_that_film(many: Engine) -> None:
    one, mixed = many.similar(10, 41), many.similar(Mix(10), 41)
    assert ids_of(one) == ids_of(mixed)
    assert [hit.score for hit in one] == pytest.approx([hit.score for hit in mixed], abs=1e-4)
    assert [hit.score for hit in many.similar(Mix([10, 10, "Film 10 (1970)"]), 41)] == [hit.score for hit in mixed]


def test_filters_and_duplicates_go_with_a_mix(many: Engine, engine: Engine) -> None:
    comedies = many.similar(Mix(LIKE, UNLIKE), 5, filter=Filter(genres=("Comedy",)), diverse=0.5)
    assert len(comedies) == 5
    assert all("Comedy" in many.find(hit.movie_id).genres for hit in comedies)
    empty = many.similar(Mix(LIKE), filter=Filter(years=(1800, 1801)))
    assert "0 of 41 films match the filter" in empty.notes[-1]
    merged = engine.similar(Mix([2, 5]), 10, 1.0, merge_duplicates=True, diverse=0.2)
    assert len(merged) == 3 - sum(len(hit.same_artwork) for hit in merged)


def test_variety_lowers_the_likeness_within_a_result(many: Engine) -> None:
    def likeness(result: SimilarFilms) -> float:
        index = many._index
        assert index is not None
        return float(index.comparison().cosines(ids_of(result), ids_of(result)).mean())

    plain, diverse = many.similar(10, 5, 1.0), many.similar(10, 5, 1.0, diverse=0.7)
    assert diverse[0].movie_id == plain[0].movie_id
    assert likeness(diverse) < likeness(plain)
    assert diverse.to_dict()["query"] == plain.to_dict()["query"]
    assert [hit.rank for hit in diverse] == [1, 2, 3, 4, 5]
    assert diverse[0].to_earlier is None
    assert "Variety" in reasons(diverse, diverse[1])[-1]


def test_embedded_films_are_mixed_as_they_are_compared(tastes_home: Path) -> None:
    build(Workspace.open(tastes_home), IndexOptions(similarity="whitened", rebuild=True))
    with Engine.open(tastes_home) as engine:
        result = engine.similar(Mix(LIKE, UNLIKE), 41, alpha=1.0, diverse=0.2)
        assert not {*LIKE, *UNLIKE} & set(ids_of(result))
        weighted = np.array([np.mean(hit.to_each[:2]) - 0.5 * hit.to_each[2] for hit in result])
        scores = np.array([hit.score for hit in result])
        np.testing.assert_allclose(weighted / weighted[0] * scores[0], scores, atol=5e-3)
        looks = engine.similar(10, 41, alpha=1.0)
        assert {hit.movie_id: hit.visual for hit in looks}[result[0].movie_id] == pytest.approx(
            result[0].to_each[0], abs=5e-3
        )


def test_an_image_is_mixed_as_the_film_of_its_poster(many: Engine, tastes: Path) -> None:
    poster = Image(tastes / "posters" / "25.jpg")
    expected = many.similar(Mix([10, 25], 14), 41, alpha=1.0)
    result = many.similar(Mix([10, poster], 14), 42, alpha=1.0)
    # The film of the poster may be found, which is the most alike.
    (own,) = [hit for hit in result if hit.movie_id == 25]
    assert (own.nearest_to, result.nearest(own)) == (None, result.query.like[1])
    assert own.to_each[1] == pytest.approx(1, abs=2e-3)
    others = {hit.movie_id: hit for hit in result if hit.movie_id != 25}
    assert others.keys() == {hit.movie_id for hit in expected}
    for hit in expected:
        assert others[hit.movie_id].score == pytest.approx(hit.score, abs=2e-3)
        assert others[hit.movie_id].to_each == pytest.approx(hit.to_each, abs=2e-3)


def test_images_may_be_avoided_and_come_as_paths_or_content(many: Engine, tastes: Path) -> None:
    path = tastes / "posters" / "14.jpg"
    results = [many.similar(Mix(10, avoided), 5, 1.0) for avoided in (path, path.read_bytes(), [Image(path)])]
    assert ids_of(results[0]) == ids_of(results[1]) == ids_of(results[2])
    by_film = many.similar(Mix(10, 14), 5, 1.0)
    assert [hit.score for hit in results[0]] == pytest.approx([hit.score for hit in by_film], abs=2e-3)
    assert results[0].query.title == "Film 10 (1970), unlike 14.jpg"
    assert results[0].to_dict()["query"]["unlike"] == [
        {"movie_id": None, "title": "14.jpg", "year": None, "imdb_id": None, "tmdb_id": None}
    ]


def test_films_of_a_mix_with_images_count_by_their_ratings(many: Engine, tastes: Path) -> None:
    poster = Image(tastes / "posters" / "41.jpg")
    result = many.similar(Mix([10, poster]), 41)
    ranks = {hit.movie_id: hit.cf_rank for hit in many.similar(10, 41)}
    assert {hit.movie_id: hit.cf_rank for hit in result if hit.movie_id != 41}.items() == ranks.items() - {(41, None)}
    assert any(ranks.values())
    assert result.notes == ("no ratings, or too few, to compare by, so these count in looks alone: 41.jpg",)


def test_images_alone_are_mixed_by_looks(many: Engine, tastes: Path) -> None:
    posters = [Image(tastes / "posters" / f"{film}.jpg") for film in LIKE]
    result = many.similar(Mix(posters), 41, region=(0, 0, 7, 4))
    expected = many.similar(Mix(LIKE), 41, region=(0, 0, 7, 4))
    assert [hit.movie_id for hit in result if hit.movie_id not in LIKE] == ids_of(expected)
    looks = many.similar(Mix(posters), 3)
    assert looks.notes == ()
    assert reasons(looks, looks[0])[-2:] == ("Liking: not known; an image has no ratings.", "Looks alone count.")
    (note,) = many.similar(Mix(posters), 3, alpha=0.5).notes
    assert note == "an image has no ratings: compared by looks alone"


def test_an_image_is_refused_where_there_is_no_index(home: Path, poster_folder: Path) -> None:
    shutil.rmtree(home / "index")
    with Engine.open(home) as engine, pytest.raises(NotBuiltError, match="no index of posters"):
        engine.similar(Mix([1, Image(poster_folder / "2.jpg")]))


def test_the_same_image_is_not_sought_for_and_avoided(engine: Engine, poster_folder: Path) -> None:
    poster = poster_folder / "2.jpg"
    with pytest.raises(ConfigError, match=r"2\.jpg cannot be both sought for and avoided"):
        engine.similar(Mix([1, poster], [poster]))
    once, twice = engine.similar(Mix([1, poster])), engine.similar(Mix([1, poster, poster]))
    assert [hit.score for hit in once] == [hit.score for hit in twice]


def test_a_list_holds_separate_queries(many: Engine) -> None:
    alone, mixed = many.similar([10, Mix(LIKE, UNLIKE)], 3)
    assert ids_of(alone) == ids_of(many.similar(10, 3))
    assert ids_of(mixed) == ids_of(many.similar(Mix(LIKE, UNLIKE), 3))


def test_results_name_the_films(many: Engine) -> None:
    result = many.similar(Mix(LIKE, UNLIKE), 3)
    query = result.to_dict()["query"]
    assert [film["movie_id"] for film in query["like"]] == list(LIKE)
    assert [film["movie_id"] for film in query["unlike"]] == list(UNLIKE)
    assert query["title"] == "Film 10 (1970) + Film 25 (1985), unlike Film 14 (1974)"
    assert result.to_frame()["nearest_to"].isin(LIKE).all()
    first = reasons(result, result[0])
    assert first[0].startswith("Nearest to Film ")
    assert "Film 14 (1974)" in first[1]


@pytest.mark.parametrize(
    ("mix", "options", "error", "message"),
    [
        (Mix([1, 99]), {}, UnknownFilmError, "99"),
        (Mix(["Harbour", "Nowhere"]), {}, UnknownFilmError, "Nowhere"),
        (Mix([1], [2, 1]), {}, ConfigError, "both sought for and avoided"),
        (Mix([1, 4]), {}, ConfigError, "No Poster .* not in the index"),
        (Mix([1], [4]), {}, ConfigError, "No Poster .* not in the index"),
        (Mix([1, 2], [5]), {"alpha": 0.0}, ConfigError, "avoided by their looks"),
        (Mix([6]), {"alpha": 0.0}, ConfigError, "too few ratings"),
    ],
)
def test_refuses_what_cannot_be_combined(
    engine: Engine, mix: Mix, options: dict[str, float], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        engine.similar(mix, **options)


def test_a_film_without_a_poster_counts_by_ratings_alone(engine: Engine) -> None:
    assert engine.similar(Mix([1, 4]), alpha=0.0).hits


def test_says_which_films_have_no_ratings(engine: Engine) -> None:
    (note,) = engine.similar(Mix([1, 6])).notes
    assert note == "no ratings, or too few, to compare by, so these count in looks alone: Café Zürich (1995)"
    (note,) = engine.similar(Mix(6)).notes
    assert "compared by looks alone" in note


@pytest.mark.parametrize("diverse", [-0.1, 1.1, float("nan"), True, "0.3", None])
def test_refuses_a_weight_of_variety_out_of_range(diverse: object) -> None:
    with pytest.raises(ValueError, match="diverse should be a number from 0 to 1"):
        SimilarOptions(diverse=diverse)  # type: ignore[arg-type]


def test_refuses_other_things_in_a_mix() -> None:
    with pytest.raises(ValueError, match="at least one film"):
        Mix([])
    for wrong in (None, [True], [1.5], [[1]]):
        with pytest.raises(TypeError, match="titles, movie_ids, films, images and descriptions"):
            Mix(wrong)  # type: ignore[arg-type]


def test_without_posters_ratings_alone_are_mixed(tastes: Path, tmp_path: Path) -> None:
    load(tmp_path / "home", tastes)
    build(Workspace.open(tmp_path / "home"))
    with Engine.open(tmp_path / "home") as engine:
        result = engine.similar(Mix(LIKE))
        assert result.hits
        assert "compared by ratings alone" in result.notes[0]
        for refused in (
            {"query": Mix(LIKE, UNLIKE)},
            {"query": Mix(LIKE), "alpha": 1.0},
            {"query": 10, "diverse": 0.2},
        ):
            with pytest.raises(NotBuiltError):
                engine.similar(**refused)


# The command


def test_words_are_one_title_or_a_film_each(run: Run, home: Path) -> None:
    assert run("similar", "The", "Harbour", "--home", home).out.startswith("The Harbour (1990)  [1]")
    assert run("similar", "Seldom", "Seen", "--home", home).out.startswith("Seldom Seen (1994)  [5]")
    printed = run("similar", "Harbour", "Seldom Seen", "--home", home).out
    assert printed.startswith("The Harbour (1990) + Seldom Seen (1994)\n")
    assert "nearest to" in printed
    assert run("similar", 1, 5, "--home", home).out == printed


def test_the_command_answers_as_python_does(run: Run, tastes_home: Path) -> None:
    words = ("similar", *LIKE, "--unlike", *UNLIKE, "--diverse", 0.3, "-k", 4, "--home", tastes_home)
    result = Engine.open(tastes_home).similar(Mix(LIKE, UNLIKE), 4, diverse=0.3)
    printed = json.loads(run(*words, "--json", "--explain").out)["results"]
    assert [hit["movie_id"] for hit in printed] == ids_of(result)
    assert [tuple(hit["why"]) for hit in printed] == [reasons(result, hit) for hit in result]
    rows = list(csv.DictReader(io.StringIO(run(*words, "--csv").out)))
    assert [int(row["nearest_to"]) for row in rows] == [hit.nearest_to for hit in result]


def test_a_sheet_shows_the_liked_films(run: Run, tastes_home: Path, tmp_path: Path) -> None:
    assert run("similar", *LIKE, "--sheet", tmp_path / "mix.png", "--home", tastes_home).code == 0
    assert (tmp_path / "mix.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("Harbour", "Nowhere"), "nor is any titled 'Nowhere'"),
        (("Harbour", "No Where"), "no film is titled 'No Where'"),
        (("Harbour", "Twin"), "2 films are titled 'Twin'"),
        (("1", "--unlike", "99"), "'99'"),
        (("1", "--unlike", "Harbour"), "both sought for and avoided"),
        (("1", "--diverse", "nan"), "--diverse"),
        (("1", "--diverse", "1.5"), "--diverse"),
    ],
)
def test_the_command_refuses_clearly(run: Run, home: Path, words: tuple[str, ...], message: str) -> None:
    refused = run("similar", *words, "--home", home)
    assert refused.code != 0
    assert message in refused.err


def test_the_command_takes_films_and_images_together(run: Run, home: Path, poster_folder: Path) -> None:
    first, second = poster_folder / "2.jpg", poster_folder / "5.jpg"
    assert run("similar", "--image", first, "--diverse", 0.4, "--home", home).out.startswith("2.jpg\n")
    words = ("similar", 1, "--image", first, "--unlike", 6, "--unlike-image", second, "--home", home)
    result = Engine.open(home).similar(Mix([1, Image(first)], [6, Image(second)]))
    assert json.loads(run(*words, "--json").out) == json.loads(json.dumps(result.to_dict()))
    printed = run(*words, "--explain").out
    assert printed.startswith("The Harbour (1990) + 2.jpg, unlike Café Zürich (1995) + 5.jpg\n")
    assert "Nearest to 2.jpg, cosine" in printed
    assert run("similar", "--image", first, "--image", second, "--home", home).out.startswith("2.jpg + 5.jpg\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name a film, as in"),
        (("--unlike-image", "2.jpg"), "name a film, as in"),
        (("--image", "2.jpg", "--alpha", "0"), "images are compared by looks, which alpha 0 leaves out"),
        (("1", "--image", "2.jpg", "--alpha", "0"), "images are compared by looks, which alpha 0 leaves out"),
        (("1", "--image", "nowhere.jpg"), "nowhere.jpg"),
        (("1", "--image", "2.jpg", "--unlike-image", "2.jpg"), "2.jpg cannot be both sought for and avoided"),
    ],
)
def test_the_command_refuses_images_clearly(
    run: Run, home: Path, poster_folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(poster_folder)
    refused = run("similar", *words, "--home", home)
    assert refused.code != 0
    assert message in refused.err
