"""New films: look-alikes, mean rating and audience, alone and in a batch, in Python and on the command line."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import keyart
from catalog.errors import DataError
from catalog.io.files import write_bytes
from cf.coldstart.ridge import ContentRidge
from keyart.cold_start.new_film import NewFilm, describe
from keyart.cold_start.predictor import open_cold_start
from keyart.engine import Engine
from keyart.pipeline.content import load_content
from keyart.pipeline.index import build
from keyart.pipeline.movielens import load
from keyart.recommend.new_films import UnratedFilms
from keyart.workspace.contents import open_films_and_ratings, open_ratings
from keyart.workspace.layout import Workspace
from tests.keyart.conftest import N_FILMS, N_USERS, Run


@pytest.fixture
def new_films(poster_folder: Path) -> list[NewFilm]:
    return [describe(path, f"Film {path.stem}", 1999) for path in sorted(poster_folder.glob("*.jpg"))]


def test_new_film_is_most_similar_to_the_film_with_its_poster(engine: Engine, new_films: list[NewFilm]) -> None:
    for film, prediction in zip(new_films, engine.cold_start(new_films), strict=True):
        best = prediction.look_alikes.hits[0]
        assert best.movie_id == int(Path(film.image.name).stem)
        assert best.visual == pytest.approx(1, abs=1e-3)
        assert (prediction.query.label, best.alpha, best.cf) == (f"Film {Path(film.image.name).stem} (1999)", 1.0, None)


def test_look_alikes_equal_similar_films_of_the_image(engine: Engine, new_films: list[NewFilm]) -> None:
    (prediction,) = engine.cold_start(new_films[:1], k=3)
    assert prediction.look_alikes.hits == engine.similar(new_films[0].image, 3).hits


def test_batch_equals_single_films(engine: Engine, new_films: list[NewFilm]) -> None:
    together = engine.cold_start(new_films, k=2)
    for film, one in zip(new_films, together, strict=True):
        (alone,) = engine.cold_start([film], k=2)
        assert [fan.user_id for fan in one.audience] == [fan.user_id for fan in alone.audience]
        assert one.expected.mean == pytest.approx(alone.expected.mean, abs=1e-3)
        assert [hit.movie_id for hit in one.look_alikes] == [hit.movie_id for hit in alone.look_alikes]


def test_audience_has_positive_scores_in_descending_order(home: Path, engine: Engine, new_films: list[NewFilm]) -> None:
    users = set(open_ratings(Workspace.open(home)).user_ids.tolist())
    for prediction in engine.cold_start(new_films):
        scores = [fan.score for fan in prediction.audience]
        assert scores == sorted(scores, reverse=True)
        assert all(score > 0 for score in scores)
        assert {fan.user_id for fan in prediction.audience} <= users
    sizes = [len(prediction.audience) for prediction in engine.cold_start(new_films, n_users=3)]
    assert set(sizes) <= {0, 3}
    assert 3 in sizes
    assert engine.cold_start(new_films[:1], n_users=0)[0].audience == ()


def test_expected_mean_is_within_its_interval_and_the_rating_scale(engine: Engine, new_films: list[NewFilm]) -> None:
    for prediction in engine.cold_start(new_films):
        one = prediction.expected
        assert 0.5 <= one.low <= one.mean <= one.high <= 5


def test_no_films_give_no_predictions(engine: Engine) -> None:
    assert engine.cold_start([]) == []


@pytest.mark.parametrize("arguments", [{"k": 0}, {"n_users": -1}])
def test_rejects_numbers_out_of_range(engine: Engine, arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="received"):
        engine.cold_start([], **arguments)


def test_unreadable_poster_is_an_error_or_is_skipped(engine: Engine, new_films: list[NewFilm], tmp_path: Path) -> None:
    write_bytes(tmp_path / "text.jpg", b"no picture")
    mixed = [new_films[0], NewFilm(tmp_path / "text.jpg"), new_films[1]]
    with pytest.raises(DataError, match=r"text\.jpg is not a picture"):
        engine.cold_start(mixed)
    broken: list[str] = []
    predictions = engine.cold_start(mixed, on_broken=lambda film, _error: broken.append(film.image.name))
    assert broken == ["text.jpg"]
    assert [prediction.query.title for prediction in predictions] == [new_films[0].title, new_films[1].title]


# The model


def test_model_is_saved_and_refitted_when_ratings_change(home: Path, movielens: Path) -> None:
    workspace = Workspace.open(home)
    first = open_cold_start(workspace)
    record = workspace.model_dir("cold-start") / "cold-start.json"
    written = record.stat().st_mtime_ns
    again = open_cold_start(workspace)
    assert record.stat().st_mtime_ns == written
    np.testing.assert_array_equal(again.user_factors_, first.user_factors_)
    load(home, movielens)
    open_cold_start(workspace)
    assert record.stat().st_mtime_ns == written
    folder = Path(shutil.copytree(movielens, home.parent / "changed"))
    with (folder / "ratings.csv").open("a") as stream:
        stream.write("2,5,4.0,1\n")
    load(home, folder)
    open_cold_start(workspace)
    assert record.stat().st_mtime_ns != written


def test_damaged_model_is_refitted(home: Path) -> None:
    workspace = Workspace.open(home)
    first = open_cold_start(workspace)
    for path in workspace.model_dir("cold-start").glob("*.npz"):
        path.write_bytes(b"damaged")
    with pytest.raises(DataError):
        ContentRidge.open(workspace.model_dir("cold-start"))
    assert open_cold_start(workspace).source == first.source
    assert ContentRidge.open(workspace.model_dir("cold-start")).source == first.source


def test_without_ratings_only_look_alikes_are_predicted(home: Path, new_films: list[NewFilm], movielens: Path) -> None:
    folder = home.parent / "unrated"
    for name in ("movies.csv", "links.csv"):
        write_bytes(folder / name, (movielens / name).read_bytes())
    load(home, folder)
    (prediction,) = Engine.open(home).cold_start(new_films[:1])
    assert (prediction.expected, prediction.audience) == (None, ())
    assert "no ratings" in prediction.notes[0]
    assert prediction.look_alikes.hits


# Directors, cast and keywords


@pytest.fixture
def directed_home(tastes_home: Path, tmp_path: Path) -> Path:
    """A workspace in which films by Ana Berg get 4.5 stars, and those by Jo Lind 2.5; film 41 is unrated."""
    rows = [f"{film},{'Ana Berg' if film > N_FILMS // 2 else 'Jo Lind'}" for film in range(1, N_FILMS + 1)]
    write_bytes(tmp_path / "content.csv", "\n".join(["movie_id,director", *rows, f"{N_FILMS + 1},Jo Lind"]).encode())
    load_content(tastes_home, tmp_path / "content.csv")
    return tastes_home


def test_a_director_counts_on_every_way(run: Run, directed_home: Path, tastes: Path, tmp_path: Path) -> None:
    path = tastes / "posters" / "41.jpg"
    by = {name: NewFilm(path, directors=[name]) for name in ("ana berg", "Jo Lind", "Nobody")}
    engine = Engine.open(directed_home)
    good, poor, other = (one.expected.mean for one in engine.cold_start(list(by.values())) if one.expected)
    assert good > other > poor
    typed = run("cold-start", path, "--director", "Ana Berg", "--json", "--home", directed_home)
    assert json.loads(typed.out)["expected"]["mean"] == pytest.approx(good, abs=1e-3)
    write_bytes(tmp_path / "new.csv", f"path,director\n{path},Jo Lind\n".encode())
    listed = run("cold-start", tmp_path / "new.csv", "--json", "--home", directed_home)
    assert json.loads(listed.out)["expected"]["mean"] == pytest.approx(poor, abs=1e-3)


def test_model_is_fitted_again_where_directors_have_changed(directed_home: Path, tmp_path: Path) -> None:
    workspace = Workspace.open(directed_home)
    before = open_cold_start(workspace)
    write_bytes(tmp_path / "changed.csv", b"movie_id,director\n1,Ana Berg\n")
    load_content(directed_home, tmp_path / "changed.csv")
    assert open_cold_start(workspace).source != before.source


def test_directors_of_unrated_films_count_among_recommendations(directed_home: Path, tmp_path: Path) -> None:
    workspace = Workspace.open(directed_home)

    def expected_mean() -> float:
        by_id, ratings = open_films_and_ratings(workspace)
        unrated = UnratedFilms.open(workspace, list(by_id.values()), np.unique(ratings.movie_ids))
        assert unrated.new_ids.tolist() == [N_FILMS + 1]
        return float(unrated.means[0])

    before = expected_mean()
    write_bytes(tmp_path / "changed.csv", f"movie_id,director\n{N_FILMS + 1},Ana Berg\n".encode())
    load_content(directed_home, tmp_path / "changed.csv")
    assert expected_mean() > before


# The command


def test_command_prints_the_prediction_of_one_poster(run: Run, home: Path, poster_folder: Path) -> None:
    outcome = run("cold-start", poster_folder / "1.jpg", "--title", "New", "--year", "1999", "--home", home)
    assert outcome.code == 0
    assert outcome.out.startswith("New (1999)\nexpected mean rating")
    assert "audience:" in outcome.out
    assert "looks like" in outcome.out


def test_json_has_all_fields(run: Run, home: Path, poster_folder: Path) -> None:
    outcome = run("cold-start", poster_folder, "--json", "-k", "2", "--users", "5", "--home", home)
    films = [json.loads(line) for line in outcome.out.splitlines()]
    assert len(films) == len(list(poster_folder.glob("*.jpg")))
    for film in films:
        assert set(film) == {"poster", "title", "year", "expected", "look_alikes", "audience", "notes"}
        assert set(film["expected"]) == {"mean", "low", "high"}
        assert len(film["look_alikes"]) == 2
        assert all(set(fan) == {"user_id", "score"} for fan in film["audience"])
    assert any(film["audience"] for film in films)


def test_csv_has_a_row_for_each_film_and_user(run: Run, home: Path, poster_folder: Path, tmp_path: Path) -> None:
    listed = tmp_path / "new.csv"
    write_bytes(
        listed, f"path,title,year\n{poster_folder / '1.jpg'},One,1999\n{poster_folder / '2.jpg'},Two,\n".encode()
    )
    outcome = run("cold-start", listed, "--csv", "--users", "4", "--home", home)
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert [(row["title"], row["year"], row["rank"]) for row in rows] == [
        *[("One", "1999", str(rank)) for rank in range(1, 5)],
        *[("Two", "", str(rank)) for rank in range(1, 5)],
    ]


def test_csv_has_a_row_for_a_film_without_an_audience(run: Run, home: Path, poster_folder: Path) -> None:
    outcome = run("cold-start", poster_folder / "1.jpg", "--csv", "--users", "0", "--home", home)
    (row,) = csv.DictReader(io.StringIO(outcome.out))
    assert float(row["low"]) <= float(row["expected_mean"]) <= float(row["high"])
    assert (row["rank"], row["user_id"], row["score"]) == ("", "", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{posters}/1.jpg", "--year", "0"], "received 0"),
        (["{posters}/1.jpg", "--year", "19999"], "received 19999"),
        (["{text}/text.jpg"], "text.jpg is not a picture"),
        (["{text}/none.jpg"], "no such picture"),
        (["{text}"], "none of the 2 posters"),
        (["{posters}", "--title", "One"], "CSV file with the columns"),
        (["{posters}/1.jpg", "--json", "--csv"], "choose one"),
    ],
)
def test_invalid_input_fails_with_one_line(
    run: Run, home: Path, poster_folder: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    text = tmp_path / "text"
    for name in ("text.jpg", "other.jpg"):
        write_bytes(text / name, b"no picture")
    outcome = run("cold-start", *(word.format(posters=poster_folder, text=text) for word in words), "--home", home)
    assert outcome.code == 1
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""


def test_broken_posters_of_a_folder_are_skipped_with_a_note(
    run: Run, home: Path, poster_folder: Path, tmp_path: Path
) -> None:
    write_bytes(tmp_path / "new" / "good.jpg", (poster_folder / "1.jpg").read_bytes())
    write_bytes(tmp_path / "new" / "bad.jpg", b"no picture")
    outcome = run("cold-start", tmp_path / "new", "--home", home)
    assert outcome.code == 0
    assert "passed over" in outcome.err
    assert "bad.jpg" in outcome.err
    assert outcome.out.startswith("good\n")


# Two tastes


@pytest.fixture
def poster(tastes: Path) -> Path:
    return tastes / "posters" / "12.jpg"


def test_audience_and_mean_follow_genre_and_year(tastes_home: Path, poster: Path) -> None:
    films = [NewFilm(poster, "A", 1999, ("Drama",)), NewFilm(poster, "B", 1965, ("Comedy",))]
    drama, comedy = Engine.open(tastes_home).cold_start(films, k=3)
    assert [prediction.look_alikes.hits[0].movie_id for prediction in (drama, comedy)] == [12, 12]
    assert {fan.user_id for fan in drama.audience} == set(range(2, N_USERS + 1, 2))
    assert {fan.user_id for fan in comedy.audience} == set(range(1, N_USERS + 1, 2))
    # Later films are liked more.
    assert comedy.expected.mean < 3.5 < drama.expected.mean


def test_without_features_predicts_from_genres_and_year(tastes: Path, poster: Path, run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    load(home, tastes)
    build(Workspace.open(home))
    outcome = run("cold-start", poster, "--genre", "drama", "--json", "--home", home)
    steps = f"run `keyart import FOLDER --by movie --home {home}`, then `keyart extract --home {home}`"
    assert f"no index of posters here, so no look-alikes; {steps}, then `keyart build --home {home}`" in outcome.err
    assert "no features of posters here: only genres and year tell who would like it" in outcome.err
    prediction = json.loads(outcome.out)
    assert prediction["look_alikes"] == []
    assert {fan["user_id"] for fan in prediction["audience"]} == set(range(2, N_USERS + 1, 2))
    lines = run("cold-start", poster, "--genre", "drama", "--home", home).out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["12.jpg", "expected", "audience:"]


def test_without_an_index_there_are_no_look_alikes(tastes_home: Path, poster: Path) -> None:
    film = NewFilm(poster, "A", 1999, ("Drama",))
    (whole,) = Engine.open(tastes_home).cold_start([film])
    shutil.rmtree(tastes_home / "index")
    (prediction,) = Engine.open(tastes_home).cold_start([film])
    assert prediction.look_alikes.hits == ()
    assert (prediction.expected, prediction.audience) == (whole.expected, whole.audience)


def test_image_with_a_zero_embedding_has_no_look_alikes(tastes_home: Path, poster: Path) -> None:
    engine = Engine.open(tastes_home)
    blank = keyart.Image(poster)
    blank.remember(engine.encoder.identity, np.zeros(engine.encoder.identity.n_features, np.float32))
    predictions = engine.cold_start([NewFilm(poster), NewFilm(blank)], 3, 5)
    assert [len(prediction.look_alikes) for prediction in predictions] == [3, 0]


def test_model_is_fitted_again_where_genres_have_changed(home: Path, movielens: Path, tmp_path: Path) -> None:
    workspace, source = Workspace.open(home), Path(shutil.copytree(movielens, tmp_path / "movielens"))
    before = open_cold_start(workspace)
    movies = source / "movies.csv"
    movies.write_text(movies.read_text().replace("Drama", "Horror"))
    load(home, source)
    after = open_cold_start(workspace)
    assert before is not None
    assert after is not None
    assert "Horror" in after.encoding_.genres
    assert "Horror" not in before.encoding_.genres
