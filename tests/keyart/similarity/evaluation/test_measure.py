"""Tasks of look-alikes on features whose right answers are known by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from catalog.errors import ConfigError, DataError
from catalog.film import Film
from catalog.io.files import write_bytes
from features.images import decode_image
from features.pipeline import Broken, Computed, Picture
from features.shards import Row
from index.source import FilmFeatures
from index.vectors import unit_rows
from keyart.similarity.evaluation.candidates import Candidate, fit_candidate
from keyart.similarity.evaluation.differences import largest_differences
from keyart.similarity.evaluation.gallery import Gallery, half_of
from keyart.similarity.evaluation.questions import alternate_questions, distorted_questions, read_pairs
from keyart.similarity.evaluation.report import Measure, measure
from keyart.similarity.evaluation.tasks import (
    AlternateTask,
    DistortionTask,
    HubnessTask,
    LabelTask,
    SeriesTask,
    Task,
)
from tests.posters.pictures import draw_poster

# Directions in the plane: Alpha and its part are 10 degrees apart, Beta's part is behind Gamma.
TITLES = {
    1: Film(1, "Alpha", 1980, genres=("War",)),
    2: Film(2, "Alpha II", 1982, genres=("War",)),
    3: Film(3, "Beta", 1990, genres=("Comedy",)),
    4: Film(4, "Gamma", 1991, genres=("Comedy", "War")),
    5: Film(5, "Beta 2", 1993),
    6: Film(6, "Delta"),
}
ANGLES = np.radians([0, 10, 60, 80, 100, 180])
FEATURES = (7 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)).astype(np.float32)


def gallery(features: np.ndarray = FEATURES, **known: object) -> Gallery:
    return Gallery(FilmFeatures.of(np.arange(1, len(features) + 1), features), TITLES, **known)  # type: ignore[arg-type]


def by_name(found: Sequence[Measure]) -> dict[str, float]:
    return {f"{one.task} {one.measure}": one.figures[0].value.value for one in found if one.distortion is None}


def encode(pictures: Sequence[Picture] | Iterator[Picture], n_pictures: int) -> Iterator[Computed | Broken]:
    """Take the pixels of tiny pictures as their features."""
    for picture in pictures:
        try:
            image = decode_image(picture.source)
        except DataError as error:
            yield Broken(picture.picture_id, str(error), None)
            continue
        features = np.asarray(image.resize((12, 18)), np.float16).reshape(1, -1)
        yield Computed((Row(picture.picture_id, "", 1, 1, ""),), features)


@pytest.fixture
def pictures(tmp_path: Path) -> Gallery:
    """Twelve drawn posters, their pixels as features."""
    paths = {movie_id: tmp_path / f"{movie_id}.jpg" for movie_id in range(1, 13)}
    for movie_id, path in paths.items():
        write_bytes(path, draw_poster(movie_id))
    events = encode([Picture(movie_id, path) for movie_id, path in paths.items()], 12)
    features = np.concatenate([event.features for event in events if isinstance(event, Computed)])
    return Gallery(FilmFeatures.of(list(paths), features), {}, paths, encode)


def test_series_by_hand() -> None:
    task = SeriesTask.of(gallery(), "all", 0)
    assert [part.tolist() for part in task.parts] == [[1], [0], [4], [2]]
    assert task.groups == ["alpha", "alpha", "beta", "beta"]
    found = measure(["cosine"], gallery(), [task])
    values = by_name(found.measures)
    # Nearest to Beta is Gamma, then Beta 2; nearest to Beta 2 is Gamma, then Beta.
    assert values["series MRR"] == pytest.approx((1 + 1 + 1 / 2 + 1 / 2) / 4)
    assert values["series recall@10"] == 1
    assert (found.measures[0].n_questions, found.measures[0].n_groups) == (4, 2)


def test_genres_and_decades_by_hand() -> None:
    tasks: list[Task] = [LabelTask.of("genre", gallery(), "all", 0), LabelTask.of("decade", gallery(), "all", 0)]
    # A list of ten holds all others here, so agreement is that of chance.
    assert list(by_name(measure(["cosine"], gallery(), tasks).measures).values()) == pytest.approx([1, 1])
    assert len(tasks[0].rows) == 4  # type: ignore[attr-defined]
    assert len(tasks[1].rows) == 5  # type: ignore[attr-defined]


def test_labels_that_embeddings_follow_agree_more_than_by_chance() -> None:
    rng = np.random.default_rng(0)
    decades = rng.integers(0, 5, 200)
    # Numbers would make them one series.
    titles = [f"{chr(97 + row // 26)}{chr(97 + row % 26)}" for row in range(200)]
    films = {row + 1: Film(row + 1, titles[row], 1950 + 10 * int(decades[row])) for row in range(200)}
    features = np.eye(5)[decades] + rng.normal(0, 0.1, (200, 5))
    known = Gallery(FilmFeatures.of(np.arange(1, 201), features), films)
    found = measure(["cosine"], known, [LabelTask.of("decade", known, "all", 0)]).measures[0]
    assert found.figures[0].value.value == pytest.approx(5, rel=0.1)
    random = Candidate("random", lambda rows: unit_rows(rng.normal(size=(len(rows), 9)), None)[0])
    estimate = measure([random], known, [LabelTask.of("decade", known, "all", 0)]).measures[0].figures[0].value
    assert estimate.low < 1.05
    assert estimate.high > 0.95


def test_constant_features_are_at_chance() -> None:
    found = measure(["cosine"], gallery(np.ones((6, 3))), [SeriesTask.of(gallery(), "all", 0), HubnessTask()])
    # Equal cosines are ranked by movie_id, which is how a search would answer.
    assert by_name(found.measures)["series MRR"] == pytest.approx((1 + 1 + 1 / 4 + 1 / 3) / 4)


def test_other_posters_are_found_and_the_same_picture_is_left_out(pictures: Gallery, tmp_path: Path) -> None:
    folder = tmp_path / "others"
    # Of film 1 the poster of film 2, of film 3 its own again; 77 is unknown; 4 is missing, 5 is no picture.
    for name, content in (("1", draw_poster(2)), ("3", draw_poster(3)), ("5", b"text"), ("77", draw_poster(9))):
        write_bytes(folder / f"{name}.jpg", content)
    write_bytes(folder / "pairs.csv", b"movie_id\n1\n3\n77\n4\n5\n")
    questions = alternate_questions(pictures, read_pairs(folder / "pairs.csv"))
    assert [one.movie_id for one in questions.items] == [1]
    assert sorted(map(str, questions.left_out)) == [
        "1 pair left out: a picture cannot be read (5)",
        "1 pair left out: a picture is missing (4)",
        "1 pair left out: both show the same picture, by their perceptual hashes (3)",
        "1 pair left out: no features of this film (77)",
    ]
    rank = measure(["cosine"], pictures, [AlternateTask(questions)]).measures
    assert by_name(rank)["alternate recall@1"] == 0
    assert 0 < by_name(rank)["alternate MRR"] <= 0.5


def test_pairs_name_their_files_relative_to_the_table(tmp_path: Path) -> None:
    write_bytes(tmp_path / "pairs.csv", b"movieId,path\n7,more/a.png\n7,b.jpg\n")
    assert [pair.path for pair in read_pairs(tmp_path / "pairs.csv")] == [tmp_path / "more/a.png", tmp_path / "b.jpg"]
    write_bytes(tmp_path / "bad.csv", b"movieId,path\nseven,a.png\n")
    with pytest.raises(DataError, match="line 2, column movieId"):
        read_pairs(tmp_path / "bad.csv")
    write_bytes(tmp_path / "blank.csv", b"movieId,path\n7,\n")
    with pytest.raises(DataError, match="line 2, column path"):
        read_pairs(tmp_path / "blank.csv")


def test_distorted_posters_are_found_again(pictures: Gallery) -> None:
    questions = distorted_questions(pictures, 4)
    assert len(questions.items) == 4 * 21
    assert questions.features.tolist() == distorted_questions(pictures, 4).features.tolist()
    found = measure(["cosine", "centered"], pictures, [DistortionTask(questions)]).measures
    assert by_name(found)["distortion recall@1, mild"] > by_name(found)["distortion recall@1, all"] > 0.5
    assert {(one.distortion, one.strength): one.n_questions for one in found}["askew", 4] == 4


def test_a_copy_of_the_poster_is_a_right_answer_too(pictures: Gallery) -> None:
    features = pictures.features
    same = FilmFeatures.of([1, 2], features.read(np.array([4, 4])), ["a" * 64, "a" * 64])
    questions = distorted_questions(Gallery(same, {}, {2: pictures.posters[5]}, encode), 1)
    assert all(target.tolist() == [0, 1] for target in questions.targets)


def test_unreadable_posters_are_counted(pictures: Gallery) -> None:
    write_bytes(pictures.posters[3], b"text")
    questions = distorted_questions(pictures, 12)
    assert [str(one) for one in questions.left_out] == ["1 poster left out: it cannot be read (3)"]
    assert len(questions.items) == 11 * 21


def test_series_and_films_are_in_one_half() -> None:
    films = {number: Film(number, f"Saga {number}", 2000) for number in range(1, 4)}
    known = Gallery(FilmFeatures.of([1, 2, 3], np.eye(3)), films)
    assert len({known.is_in("choose", movie_id, 5) for movie_id in films}) == 1
    halves = [half_of(f"#{number}", 0) for number in range(1000)]
    assert 450 < halves.count("choose") < 550
    assert halves != [half_of(f"#{number}", 1) for number in range(1000)]
    parts = [SeriesTask.of(gallery(), "all", 0).groups]
    assert {half for half in ("choose", "report") for group in parts[0] if half_of(group, 0) == half}


def test_halves_make_the_whole(pictures: Gallery) -> None:
    asked = [{one.movie_id for one in distorted_questions(pictures, 12, half).items} for half in ("choose", "report")]
    assert asked[0] | asked[1] == set(range(1, 13))
    assert not asked[0] & asked[1]


def test_films_that_cannot_be_compared_are_left_out() -> None:
    features = FEATURES.copy()
    features[5], features[4, 0] = 0, np.nan
    known = gallery(features).checked()
    assert known.movie_ids == [1, 2, 3, 4]
    assert [one.names for one in known.left_out] == [("5",), ("6",)]
    with pytest.raises(DataError, match="two films"):
        gallery(features[4:]).checked()
    with pytest.raises(DataError, match="two films"):
        gallery(FEATURES[:1]).checked()


def test_tasks_that_cannot_be_measured_say_why() -> None:
    bare = Gallery(FilmFeatures.of([1, 2], np.eye(2)))
    with pytest.raises(DataError, match="titles"):
        SeriesTask.of(bare, "all", 0)
    with pytest.raises(DataError, match="no two films of one series are among the 1"):
        SeriesTask.of(Gallery(bare.features, {2: TITLES[2]}), "all", 0)
    with pytest.raises(DataError, match="decades"):
        LabelTask.of("decade", bare, "all", 0)
    with pytest.raises(DataError, match="network"):
        distorted_questions(Gallery(bare.features, {}, {1: Path("1.jpg")}), 1)


@pytest.mark.parametrize(
    "embed",
    [lambda rows: rows * np.nan, lambda rows: rows[:1], lambda rows: rows[:, 0]],
    ids=["not finite", "too few rows", "no rows"],
)
def test_an_embedding_that_fails_is_named(embed: object) -> None:
    with pytest.raises(DataError, match="embedding mine should give"):
        measure([Candidate("mine", embed)], gallery(), [HubnessTask()])  # type: ignore[arg-type]


def test_unknown_and_repeated_embeddings_are_refused() -> None:
    with pytest.raises(ConfigError, match="there are cosine"):
        measure(["nonsense"], gallery(), [])
    with pytest.raises(ConfigError, match="once"):
        measure(["cosine", fit_candidate("cosine", gallery().features)], gallery(), [])


def test_the_lists_that_differ_most_come_first() -> None:
    one = np.array([[1, 2], [0, 2], [0, 1]])
    assert largest_differences(one, np.array([[1, 2], [2, 0], [3, 4]]), 2) == [2, 1]
