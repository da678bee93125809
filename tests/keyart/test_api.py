"""The public API: `import keyart` is all that a program needs."""

import gzip
import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keyart
from keyart.cold_start import predictor


def test_import_loads_no_heavy_library() -> None:
    code = "import sys, keyart; dir(keyart); print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "pandas", "faiss", "tensorflow", "keras", "PIL", "click"} & set(loaded)


@pytest.mark.parametrize("name", keyart.__all__)
def test_every_exported_name_exists(name: str) -> None:
    assert getattr(keyart, name) is getattr(keyart, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'simular'"):
        keyart.simular  # noqa: B018


def test_similar_accepts_title_id_image_and_embedding(home: Path, poster_folder: Path, tmp_path: Path) -> None:
    path = poster_folder / "5.jpg"
    with keyart.open(home) as engine:
        by_title, by_id = engine.similar("The Harbour", k=3), engine.similar(1, k=3)
        assert by_title.hits == by_id.hits
        by_path, by_bytes = engine.similar(keyart.Image(path)), engine.similar(keyart.Image(path.read_bytes()))
        (embedding,) = engine.embed([path])
        assert by_path.hits == by_bytes.hits == engine.similar(embedding).hits
        assert by_path.hits[0].movie_id == 5


def test_list_of_queries_equals_single_queries(home: Path, poster_folder: Path) -> None:
    queries = ["The Harbour", 5, keyart.Image(poster_folder / "2.jpg"), keyart.Image(poster_folder / "3.jpg")]
    with keyart.open(home) as engine:
        assert engine.similar(queries, k=2) == [engine.similar(query, k=2) for query in queries]
        embeddings = engine.embed(queries[2:])
        assert embeddings.dtype == np.float32
        assert [found.hits for found in engine.similar(embeddings)] == [
            found.hits for found in engine.similar(queries[2:])
        ]
        assert engine.similar([]) == []
        assert engine.embed([]).shape == (0, embeddings.shape[1])


def test_options_equal_single_arguments(home: Path) -> None:
    wanted = keyart.Filter(min_ratings=1)
    with keyart.open(home) as engine:
        single = engine.similar(1, 2, 0.3, wanted, merge_duplicates=True)
        assert engine.similar(1, options=keyart.SimilarOptions(2, 0.3, wanted, merge_duplicates=True)) == single


@pytest.mark.parametrize("wrong", [{"k": 0}, {"alpha": 1.5}, {"alpha": float("nan")}, {"alpha": "most"}])
def test_rejects_options_out_of_range(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="should be"):
        keyart.SimilarOptions(**wrong)  # type: ignore[arg-type]


def test_an_image_is_decoded_and_embedded_once(
    home: Path, poster_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = keyart.Image((poster_folder / "5.jpg").read_bytes(), "sent")
    with keyart.open(home) as engine:
        engine.similar(image)
        monkeypatch.setattr("keyart.similarity.query.read_image", None)
        monkeypatch.setattr("features.encoders.encoder.pool", None)
        assert engine.similar([image])[0].query.title == "sent"
        assert len(engine.cold_start([keyart.NewFilm(image)], n_users=0)) == 1


@pytest.mark.parametrize("source", [b"no image", "nowhere.jpg"])
def test_unreadable_image_is_a_data_error(home: Path, source: str | bytes) -> None:
    with keyart.open(home) as engine, pytest.raises(keyart.DataError, match=r"not a picture|no such picture"):
        engine.similar(keyart.Image(source))


def test_results_convert_to_plain_values_and_to_frames(home: Path, poster_folder: Path) -> None:
    with keyart.open(home) as engine:
        found = engine.similar(1)
        frame = found.to_frame()
        assert frame["movie_id"].tolist() == [hit.movie_id for hit in found]
        assert json.loads(json.dumps(found.to_dict()))["results"] == found.to_dict()["results"]
        explanation = engine.explain(1, 3)
        assert explanation.to_frame()["contribution"].sum() == pytest.approx(explanation.similarity)
        film = keyart.NewFilm(poster_folder / "2.jpg", title="Brand New", genres=["drama"], year=2019)
        (prediction,) = engine.cold_start([film], k=2, n_users=3)
        assert prediction.to_frame()["user_id"].tolist() == [fan.user_id for fan in prediction.audience]
        assert len(prediction.look_alikes.to_frame()) == 2
        json.dumps(prediction.to_dict())


def test_new_films_are_validated(home: Path, poster_folder: Path) -> None:
    poster = poster_folder / "2.jpg"
    with keyart.open(home) as engine:
        with pytest.raises(keyart.ConfigError, match="Wombat"):
            engine.cold_start([keyart.NewFilm(poster, genres=["Wombat"])])
        with pytest.raises(keyart.ConfigError, match="expected a year"):
            engine.cold_start([keyart.NewFilm(poster, year=1066)])
    with pytest.raises(TypeError, match="sequence of str"):
        keyart.NewFilm(poster, genres="Drama")


def test_recommend_rejects_values_out_of_range(home: Path) -> None:
    with keyart.open(home) as engine:
        with pytest.raises(keyart.NotBuiltError, match=r"als has not been fitted here; .*; fitted here: item-cosine"):
            engine.recommend(1, model="als")
        found = engine.recommend(1)
        assert found.model == "item-cosine"
        assert found.notes[0].startswith(
            "by item-cosine, as ease is not fitted; it ranks better: `keyart fit ease --home "
        )
    keyart.pipeline.fit(home, "ease")
    with keyart.open(home) as engine:
        assert engine.recommend(1, k=3).model == "ease"
        with pytest.raises(ValueError, match=r"from 0\.5 to 5"):
            engine.recommend({1: 9.0})
        with pytest.raises(ValueError, match="fresh"):
            engine.recommend(1, fresh=2)


def test_concurrent_queries_load_each_part_once(
    home: Path, poster_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    real = predictor.open_cold_start
    monkeypatch.setattr(
        "keyart.engine.open_cold_start", lambda *args, **options: loaded.append("model") or real(*args, **options)
    )
    barrier = threading.Barrier(8)
    with keyart.open(home) as engine:

        def run_query(number: int) -> tuple[object, ...]:
            image = keyart.Image(poster_folder / "5.jpg")
            barrier.wait()
            found = engine.similar(image if number % 2 else 1, k=3)
            (prediction,) = engine.cold_start([keyart.NewFilm(image)], k=2)
            return number % 2, found.hits, prediction.expected

        with ThreadPoolExecutor(8) as pool:
            results = set(pool.map(run_query, range(8)))
    assert loaded == ["model"]
    assert len(results) == 2


def test_closed_engine_is_refused(home: Path) -> None:
    with keyart.open(home) as engine:
        pass
    for run_query in (
        lambda: engine.similar(1),
        lambda: engine.find(1),
        lambda: engine.explain(1, 3),
        lambda: engine.embed([]),
    ):
        with pytest.raises(ValueError, match="the engine is closed"):
            run_query()


@pytest.mark.parametrize("name", ["", "ratings.csv"])
def test_recommenders_work_without_a_workspace(movielens: Path, name: str) -> None:
    ratings = keyart.read_ratings(movielens / name)
    model = keyart.make_recommender("als", n_factors=2).fit(ratings)
    (found,) = model.similar_items([1], k=1)
    # Films 1 and 2 are liked by the same users.
    assert found.ids.tolist() == [2]


@pytest.mark.parametrize("form", ["gzip in a folder", "zip", "gzip alone", "a folder in a folder"])
def test_packed_ratings_are_read_without_a_workspace(form: str, tmp_path: Path) -> None:
    text = b"userId,movieId,rating\n1,6,4.5\n2,6,3\n"
    folder = tmp_path / "down" / "ml-tiny"
    folder.mkdir(parents=True)
    (folder / "movies.csv").write_text("movieId,title,genres\n6,Heat (1995),Crime\n")
    (folder / "ratings.csv.gz").write_bytes(gzip.compress(text))
    with zipfile.ZipFile(tmp_path / "ml-tiny.zip", "w") as archive:
        archive.writestr("ml-tiny/ratings.csv", text)
    paths = {
        "gzip in a folder": folder,
        "zip": tmp_path / "ml-tiny.zip",
        "gzip alone": folder / "ratings.csv.gz",
        "a folder in a folder": folder.parent,
    }
    ratings = keyart.read_ratings(paths[form])
    assert ratings.values.toarray().tolist() == [[4.5], [3.0]]


def test_a_folder_without_ratings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(keyart.DataError, match=r"holds no ratings; expected one of ratings\.csv"):
        keyart.read_ratings(tmp_path)


def test_similar_accepts_film_path_and_bytes(home: Path, poster_folder: Path) -> None:
    path = poster_folder / "5.jpg"
    with keyart.open(home) as engine:
        assert engine.similar(engine.find(1)).hits == engine.similar(1).hits
        expected = engine.similar(keyart.Image(path)).hits
        assert engine.similar(path).hits == engine.similar(path.read_bytes()).hits == expected
        assert engine.similar([path, 1])[0].hits == expected


@pytest.mark.parametrize("query", [None, 4.5, True, [None], object(), {"The Harbour": 1}, np.array(5.0)])
def test_rejects_queries_of_other_types(home: Path, query: object) -> None:
    with keyart.open(home) as engine, pytest.raises(TypeError, match="similar takes a title"):
        engine.similar(query)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda engine: engine.cold_start(keyart.Image(b"")), "sequence of NewFilm, .* received Image"),
        (lambda engine: engine.cold_start(None), "sequence of NewFilm, .* received NoneType"),
        (lambda engine: engine.embed(5), "sequence of images, .* received int"),
        (lambda engine: engine.embed([None]), "sequence of images, .* received NoneType"),
        (lambda engine: engine.load_image(5), "the path or the content of an image, received int"),
        (lambda _: keyart.NewFilm(5), "the path or the content of an image, received int"),  # type: ignore[arg-type]
        (lambda engine: engine.explain(1, 2.5), "expected a title or a movie_id, received 2.5"),
        (lambda engine: engine.similar(1, options={"k": 3}), "options should be keyart.SimilarOptions, received dict"),
        (lambda engine: engine.similar(1, filter={"years": 1}), "filter should be a keyart.Filter, received dict"),
        (lambda engine: engine.recommend(1, model=5), "the name of a recommender, received 5"),
        (lambda engine: engine.recommend({1: "5"}, model="most-rated"), "number of stars for the film 1, received '5'"),
    ],
)
def test_errors_of_wrong_types_say_what_was_expected(
    home: Path, ask: Callable[[keyart.Engine], object], message: str
) -> None:
    with keyart.open(home) as engine:
        if "stars" in message:
            keyart.pipeline.fit(home, "most-rated")
        with pytest.raises(TypeError, match=message):
            ask(engine)


@pytest.mark.parametrize("arguments", [{"n_users": "5"}, {"n_users": True}])
def test_rejects_audiences_of_no_number(home: Path, arguments: dict[str, Any]) -> None:
    with keyart.open(home) as engine, pytest.raises(ValueError, match="n_users should be a whole number"):
        engine.cold_start([], **arguments)


def test_rejects_options_together_with_arguments(home: Path) -> None:
    with keyart.open(home) as engine, pytest.raises(TypeError, match="received both"):
        engine.similar(1, k=3, options=keyart.SimilarOptions(k=1))


def test_rejects_a_single_value_in_place_of_a_sequence(home: Path, poster_folder: Path) -> None:
    path = poster_folder / "5.jpg"
    with keyart.open(home) as engine:
        for single in (path, str(path), path.read_bytes(), keyart.Image(path)):
            with pytest.raises(TypeError, match="put it into a list"):
                engine.embed(single)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="sequence of NewFilm"):
            engine.cold_start(keyart.NewFilm(path))  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="sequence of NewFilm"):
            engine.cold_start([path])  # type: ignore[list-item]


@pytest.mark.parametrize("user", [42.7, "42", True, {"The Harbour": 5.0}])
def test_rejects_users_of_other_types(home: Path, user: object) -> None:
    keyart.pipeline.fit(home, "most-rated")
    with keyart.open(home) as engine, pytest.raises(TypeError, match="expected"):
        engine.recommend(user, model="most-rated")  # type: ignore[arg-type]


def test_an_image_is_explained_as_the_poster_that_it_is(home: Path, poster_folder: Path) -> None:
    with keyart.open(home) as engine:
        image = keyart.Image(poster_folder / "1.jpg")
        of_image, of_film = engine.explain(image, 3), engine.explain(1, 3)
        (hit,) = [one for one in engine.similar(image, 50) if one.movie_id == 3]
        back = engine.explain(3, image)
    assert of_image.grid == pytest.approx(of_film.grid, abs=1e-3)
    assert of_image.similarity == pytest.approx(hit.visual, abs=1e-3)
    assert [one.movie_id for one in of_image.films] == [None, 3]
    assert of_image.films[0].poster_path == poster_folder / "1.jpg"
    assert back.similarity == pytest.approx(of_image.similarity)


def test_options_accept_numpy_numbers() -> None:
    options = keyart.SimilarOptions(np.int64(3), np.float32(0.5))  # type: ignore[arg-type]
    assert (type(options.k), type(options.alpha)) == (int, float)


def test_explanations_can_be_compared_and_hits_picked(home: Path) -> None:
    with keyart.open(home) as engine:
        explanation = engine.explain(1, 3)
        assert explanation == explanation
        assert explanation != engine.explain(1, 2)
        found = engine.similar(1)
        assert found[0] == found.hits[0]
