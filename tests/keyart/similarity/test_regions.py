"""Questions about a region of a poster: in Python and on the command line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from catalog.errors import ConfigError, NotBuiltError
from features.options import ExtractOptions
from index.options import IndexOptions
from keyart.engine import Engine
from keyart.pipeline.features import extract
from keyart.pipeline.index import build
from keyart.pipeline.posters import import_posters
from keyart.results import SimilarFilms
from keyart.similarity.query import Image, Mix, SimilarOptions
from keyart.similarity.reasons import reasons
from keyart.workspace.layout import Workspace
from tests.keyart.conftest import Run

UPPER = (0, 0, 7, 3)


@pytest.fixture
def many(tastes_home: Path) -> Engine:
    return Engine.open(tastes_home)


def visual_of(result: SimilarFilms) -> dict[int, float | None]:
    return {hit.movie_id: hit.visual for hit in result}


def cosines_of_cells(engine: Engine, movie_id: int, posters: Path) -> dict[int, float]:
    """Compute the cosines of the upper part from the embeddings of the posters."""
    films = [film for film in range(1, 42) if film != movie_id]
    embeddings = engine.embed([posters / f"{film}.jpg" for film in (movie_id, *films)])
    cells = embeddings.reshape(len(embeddings), 7, 7, -1)[:, :3].reshape(len(embeddings), -1).astype(np.float64)
    cells /= np.linalg.norm(cells, axis=1, keepdims=True)
    return dict(zip(films, (cells[1:] @ cells[0]).tolist(), strict=True))


def test_the_region_of_a_film_is_compared_by_looks_alone(many: Engine, tastes: Path) -> None:
    result = many.similar(10, 41, region=UPPER)
    expected = cosines_of_cells(many, 10, tastes / "posters")
    assert visual_of(result) == pytest.approx(expected, abs=2e-3)
    assert [hit.visual for hit in result] == sorted((hit.visual or 0 for hit in result), reverse=True)
    assert all(hit.alpha == 1 and hit.cf is None and hit.score == hit.visual for hit in result)
    assert (result.alpha, result.region, result.grid, result.n_visual, result.n_cf) == (1.0, UPPER, (7, 7), 40, 0)
    assert result.notes == ()
    assert visual_of(many.similar(10, 41)) != visual_of(result)


@pytest.mark.parametrize("similarity", ["cosine", "whitened"])
def test_the_region_of_all_cells_is_the_whole_poster(tastes_home: Path, similarity: str) -> None:
    options = IndexOptions(similarity=similarity, rebuild=True)  # type: ignore[arg-type]
    build(Workspace.open(tastes_home), options)
    with Engine.open(tastes_home) as engine:
        whole, region = engine.similar(10, 41, 1.0), engine.similar(10, 41, region=(0, 0, 7, 7))
        assert visual_of(region) == pytest.approx(visual_of(whole), abs=2e-3)
        part = engine.similar(10, 41, region=(2, 2, 3, 3))
        assert visual_of(part) != pytest.approx(visual_of(whole), abs=2e-3)


def test_an_image_and_an_embedding_are_asked_about_as_a_film_is(many: Engine, tastes: Path) -> None:
    poster = Image(tastes / "posters" / "10.jpg")
    expected = visual_of(many.similar(10, 41, region=UPPER)) | {10: 1.0}
    for query in (poster, many.embed([poster])[0]):
        assert visual_of(many.similar(query, 41, region=UPPER)) == pytest.approx(expected, abs=2e-3)
    film, image = many.similar([10, poster], 3, region=UPPER)
    assert film.region == image.region == UPPER


def test_a_mix_is_compared_by_the_region_of_each(many: Engine) -> None:
    result = many.similar(Mix([10, 25], 14), 41, region=UPPER)
    near = [visual_of(many.similar(film, 41, region=UPPER)) for film in (10, 25, 14)]
    for hit in result:
        assert hit.to_each == pytest.approx([one[hit.movie_id] for one in near], abs=2e-3)
    weighted = np.array([np.mean(hit.to_each[:2]) - 0.5 * hit.to_each[2] for hit in result])
    scores = np.array([hit.score for hit in result])
    np.testing.assert_allclose(weighted / weighted[0] * scores[0], scores, atol=2e-3)
    assert len(result) == 38


def test_variety_is_that_of_the_region(many: Engine) -> None:
    result = many.similar(10, 5, region=UPPER, diverse=0.5)
    first, second = result[0], result[1]
    to_first = visual_of(many.similar(first.movie_id, 41, region=UPPER))[second.movie_id]
    assert second.to_earlier == pytest.approx(to_first, abs=2e-3)


def test_reasons_name_the_region(many: Engine) -> None:
    result = many.similar(10, 2, region=UPPER)
    assert reasons(result, result[1]) == (
        f"Looks: number 2 of 40 posters in the region 0,0,7,3 (cosine {result[1].visual:.3f}).",
        "Looks alone count, as a region was asked about.",
    )
    assert result.to_dict()["region"] == list(UPPER)
    assert result.to_dict()["grid"] == [7, 7]
    assert many.similar(10, 2).to_dict()["region"] is None


@pytest.mark.parametrize(
    "region", [(0, 0, 7), "0,0,7,3", (0, 0, 7, 3.0), (True, 0, 1, 1), 7, (-1, 0, 1, 1), (0, 0, 0, 1), (0, 0, 1, 0)]
)
def test_refuses_what_is_no_region(region: object) -> None:
    with pytest.raises(ValueError, match="region"):
        SimilarOptions(region=region)  # type: ignore[arg-type]


def test_refuses_ratings_beside_a_region() -> None:
    with pytest.raises(ValueError, match=r"a region is compared by looks alone; leave alpha at auto, received 0\.5"):
        SimilarOptions(alpha=0.5, region=UPPER)
    assert SimilarOptions(region=UPPER) == SimilarOptions(alpha=1.0, region=UPPER)


@pytest.mark.parametrize("query", [1, Mix([1, 2]), np.ones(392, np.float32)])
def test_refuses_a_region_beyond_the_grid(engine: Engine, query: object) -> None:
    with pytest.raises(ConfigError, match="the region 5,0,3,1 reaches beyond the grid of 7 columns and 7 rows"):
        engine.similar(query, region=(5, 0, 3, 1))  # type: ignore[call-overload]


def test_refuses_a_film_without_a_poster(engine: Engine) -> None:
    with pytest.raises(ConfigError, match=r"No Poster \(1993\) is not in the index .* no region of its poster"):
        engine.similar(4, region=UPPER)
    with pytest.raises(ConfigError, match=r"No Poster \(1993\) is not in the index"):
        engine.similar(Mix([1, 4]), region=UPPER)


def test_refuses_where_there_is_no_index(home: Path) -> None:
    shutil.rmtree(home / "index")
    with Engine.open(home) as engine, pytest.raises(NotBuiltError, match="no index of posters here yet; run"):
        engine.similar(1, region=UPPER)


def test_refuses_where_the_features_are_gone(home: Path) -> None:
    shutil.rmtree(home / "features")
    with Engine.open(home) as engine:
        assert engine.similar(1, 2).hits
        with pytest.raises(NotBuiltError, match="regions are compared by the features of posters, which are gone; run"):
            engine.similar(1, region=UPPER)


def test_refuses_pooled_features(home: Path, backbone_path: Path) -> None:
    workspace = Workspace.open(home)
    extract(workspace, ExtractOptions(str(backbone_path), pooling="gem", rebuild=True))
    build(workspace)
    with Engine.open(home) as engine, pytest.raises(ConfigError, match=r"pooled \(gem\).* no region of it"):
        engine.similar(1, region=UPPER)


def test_a_film_whose_features_are_of_another_poster_is_left_out(
    home: Path, backbone_path: Path, poster_folder: Path, tmp_path: Path
) -> None:
    workspace = Workspace.open(home)
    (tmp_path / "new").mkdir()
    shutil.copy(poster_folder / "5.jpg", tmp_path / "new" / "2.jpg")
    import_posters(workspace, tmp_path / "new", "movie")
    extract(workspace, ExtractOptions(str(backbone_path)))
    with Engine.open(home) as engine:
        result = engine.similar(1, region=UPPER)
        assert 2 not in visual_of(result)
        assert "the index is out of date" in result.notes[0]
        with pytest.raises(ConfigError, match=r"Twin .* is not in the index of posters, .* run `keyart build"):
            engine.similar(2, region=UPPER)


# The command


def test_the_command_answers_as_python_does(run: Run, tastes_home: Path) -> None:
    words = ("similar", 10, "--region", "0,0,7,3", "-k", 4, "--home", tastes_home)
    result = Engine.open(tastes_home).similar(10, 4, region=UPPER)
    printed = json.loads(run(*words, "--json", "--explain").out)
    assert (printed["region"], printed["grid"]) == ([0, 0, 7, 3], [7, 7])
    assert [hit["movie_id"] for hit in printed["results"]] == [hit.movie_id for hit in result]
    assert [tuple(hit["why"]) for hit in printed["results"]] == [reasons(result, hit) for hit in result]
    assert run(*words).out.startswith("Film 10 (1970)  [10]  region 0,0,7,3\n")


def test_the_command_takes_an_image_and_a_sheet(run: Run, home: Path, poster_folder: Path, tmp_path: Path) -> None:
    words = ("similar", "--image", poster_folder / "2.jpg", "--region", "0,0,7,3", "--home", home)
    assert run(*words, "--sheet", tmp_path / "region.png").out.startswith("2.jpg  region 0,0,7,3\n")
    assert (tmp_path / "region.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--region", "0,0,7"), "'--region': expected x,y,width,height in cells of the grid, as in 0,0,7,3"),
        (("--region", "0,0,0,3"), "at least 1 wide and high"),
        (("--region", "0,0,8,3"), "beyond the grid of 7 columns and 7 rows"),
        (("--region", "0,0,7,3", "--alpha", "0.5"), "--alpha and --content do not go with --region"),
    ],
)
def test_the_command_refuses_clearly(run: Run, home: Path, words: tuple[str, ...], message: str) -> None:
    refused = run("similar", "1", *words, "--home", home)
    assert refused.code != 0
    assert message in refused.err
