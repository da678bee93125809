"""Descriptions as queries: what comes first, in mixes, from the command line, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import keyart
from catalog.errors import ConfigError, NotBuiltError, QueryError
from catalog.filters import Filter
from features.options import ExtractOptions
from index.options import IndexOptions
from keyart.cli.demo.films import films
from keyart.engine import Engine
from keyart.pipeline.features import extract
from keyart.pipeline.index import build
from keyart.similarity.query import Image, Mix, Text
from keyart.similarity.reasons import reasons
from keyart.workspace.encoders import list_encoders, name_of
from keyart.workspace.layout import Workspace
from tests.installation import Demonstration
from tests.keyart.conftest import Run

pytest.importorskip("tokenizers")


@pytest.fixture(scope="module")
def words_engine(built_words: Path) -> Iterator[Engine]:
    with Engine.open(built_words) as opened:
        yield opened


def _words_of(movie_id: int) -> set[str]:
    from tests.word_pair import words_of

    return words_of(films()[movie_id - 1])


@pytest.mark.parametrize(
    ("words", "k"), [("red moon", 3), ("house moon", 2), ("noir lamp", 2), ("a RED moon above some house", 2)]
)
def test_films_come_first_whose_posters_are_described(words: str, k: int, words_engine: Engine) -> None:
    found = words_engine.similar(Text(words), k)
    wanted = set(words.lower().split()) - {"a", "above", "some"}
    for hit in found:
        assert wanted <= _words_of(hit.movie_id)
    assert found.query.text == words
    assert found.query.label == f"“{words}”"


def test_a_result_says_why_and_what_was_described(words_engine: Engine) -> None:
    found = words_engine.similar(Text("red moon"), 1, alpha=0.5)
    assert found.notes == ("a description has no ratings: compared by looks alone",)
    assert found.to_dict()["query"]["text"] == "red moon"
    first, *others = reasons(found, found[0])
    assert first.startswith("Looks: the most alike of 59 posters")
    assert others == ["Liking: not known; a description has no ratings.", "Looks alone count."]


def test_descriptions_are_avoided(words_engine: Engine) -> None:
    found = words_engine.similar(Mix(Text("horror"), Text("house")), 4)
    assert {"horror"} <= set.intersection(*(_words_of(hit.movie_id) for hit in found))
    assert not any("house" in _words_of(hit.movie_id) for hit in found)
    assert found.query.label == "“horror”, unlike “house”"
    assert found.notes == ()


def test_a_description_moves_what_a_film_looks_like(words_engine: Engine) -> None:
    film = "Midnight Ledger (1947)"
    alone = words_engine.similar(film, 5, alpha=1.0)
    moved = words_engine.similar(Mix([film, Text("red moon")]), 5, alpha=1.0)
    n_described = [sum({"red", "moon"} <= _words_of(hit.movie_id) for hit in found) for found in (alone, moved)]
    assert n_described[1] > n_described[0]
    # Nor does it count for all: films of the same style stay.
    assert any("noir" in _words_of(hit.movie_id) for hit in moved)
    assert [len(hit.to_each) for hit in moved] == [2] * 5
    assert any("“red moon”" in reason for reason in reasons(moved, moved[0]))


def test_descriptions_go_with_filters_and_variety(words_engine: Engine) -> None:
    wanted = Filter(genres=("Horror",))
    found = words_engine.similar(Text("red moon"), 5, filter=wanted, diverse=0.5)
    assert len(found) == 5
    assert all("Horror" in words_engine.find(hit.movie_id).genres for hit in found)


def test_equal_words_are_one_query(words_engine: Engine) -> None:
    assert Text(" red\n moon ") == Text("red moon")
    both = words_engine.similar([Text("red  moon"), Text("red moon")], 3)
    assert both[0] == both[1]
    with pytest.raises(ConfigError, match="“moon” cannot be both sought for and avoided"):
        words_engine.similar(Mix([Text("red"), Text("moon")], Text("moon")))


@pytest.mark.parametrize("words", ["", "  \n"])
def test_no_words_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match="received none"):
        Text(words)


def test_other_things_than_words_are_refused() -> None:
    with pytest.raises(TypeError, match="received int"):
        Text(6)  # type: ignore[arg-type]
    assert keyart.Text is Text


def test_words_beyond_the_context_are_named(words_engine: Engine) -> None:
    long = " ".join(["red"] * 10 + ["moon boat"])
    expected = "the encoder reads 12 tokens of a description, so this was left out: “moon boat”"
    assert words_engine.similar(Text(long), 1).notes == (expected,)
    assert words_engine.similar(Mix([Text(long), 1]), 1).notes[0] == expected


def test_an_index_for_words_compares_features_as_they_are(words_home: Path) -> None:
    with pytest.raises(ConfigError, match="run `keyart build --similarity cosine"):
        _first(words_home, IndexOptions(similarity="whitened"))
    with pytest.raises(ConfigError, match="run `keyart build --no-center"):
        _first(words_home, IndexOptions(similarity="cosine", center=True))
    assert _first(words_home, IndexOptions(similarity="auto", center=False)) == "Orchard of Crows (2006)"


def _first(home: Path, options: IndexOptions) -> str:
    build(home, options)
    with Engine.open(home) as engine:
        return engine.similar(Text("red moon"), 1)[0].label


def test_an_encoder_without_words_says_so(home: Path, engine: Engine, run: Run) -> None:
    assert not engine.takes_text
    failed = run("similar", "--text", "red moon", "--home", home)
    assert failed.code == 1
    assert "which takes pictures but no words; extract those of an encoder that takes both" in failed.err
    assert failed.err.count("\n") == 1


def test_the_encoder_that_takes_words_answers(demonstration: Demonstration, pair_folder: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(demonstration.folder / "workspace", tmp_path / "workspace"))
    default = name_of(Workspace.open(home))
    extract(home, ExtractOptions(pair_folder))
    build(home)
    with Engine.open(home) as engine:
        assert engine.takes_text
        for query in (Text("red moon"), Mix([Text("red moon"), Text("moon")])):
            found = engine.similar(query, 3)
            assert found[0].label == "Orchard of Crows (2006)"
            assert found.notes == (f"compared by pair, as {default} takes no words",)
    with Engine.open(home, f"{default}+pair") as engine:
        assert not engine.takes_text
        with pytest.raises(ConfigError, match=f"not by a blend; choose one of {default} and pair"):
            engine.similar(Text("red moon"))
    with Engine.open(home, default) as engine, pytest.raises(ConfigError, match="pictures but no words"):
        engine.similar(Text("red moon"))


def test_words_need_an_index(tastes: Path, tmp_path: Path) -> None:
    keyart.pipeline.load(tmp_path / "workspace", tastes)
    build(tmp_path / "workspace")
    with Engine.open(tmp_path / "workspace") as engine:
        for query in (Text("red moon"), Mix([Text("red moon"), 1])):
            with pytest.raises(NotBuiltError, match="no index of posters"):
                engine.similar(query)


def test_the_command_takes_descriptions(built_words: Path, run: Run) -> None:
    shown = run("similar", "--text", "red moon", "--unlike-text", "house", "-k", "2", "--json", "--home", built_words)
    assert shown.code == 0, shown.err
    answer = json.loads(shown.out)
    assert [part["text"] for side in ("like", "unlike") for part in answer["query"][side]] == ["red moon", "house"]
    assert "Orchard of Crows" in [hit["title"] for hit in answer["results"]]
    explained = run("similar", "Whisper Cellar", "--text", "moon", "-k", "1", "--explain", "--home", built_words)
    assert "“moon”" in explained.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--text", " "), 'expected words, as in "red moon"'),
        (
            ("--text", "moon", "--alpha", "0.5"),
            "has no ratings, so --alpha does not go with --text alone",
        ),
        (("--unlike-text", "moon"), 'or --text "red moon"'),
        (("Whisper Cellar", "--text", "moon", "--alpha", "0"), "descriptions are compared by looks, which alpha 0"),
    ],
)
def test_the_command_refuses_what_words_cannot_do(
    words: tuple[str, ...], message: str, built_words: Path, run: Run
) -> None:
    failed = run("similar", *words, "--home", built_words)
    assert failed.code != 0
    assert message in failed.err
    assert failed.err.count("\n") == 1


def test_images_and_words_combine(words_engine: Engine) -> None:
    poster = words_engine.similar("Crypt Runners (1990)", 1).query.poster_path
    assert poster is not None
    alone = words_engine.similar(Image(poster), 1)
    assert (alone[0].label, alone[0].score) == ("Crypt Runners (1990)", pytest.approx(1, abs=1e-3))
    mixed = words_engine.similar(Mix([Image(poster), Text("boat")]), 5)
    assert "Orchard of Crows (2006)" in [hit.label for hit in mixed]
    assert [part.label for part in mixed.query.like] == [poster.name, "“boat”"]


def test_encoders_that_take_words_are_marked(words_home: Path, run: Run) -> None:
    listed = json.loads(run("encoders", "--json", "--home", words_home).out)["encoders"]
    assert {one["name"]: one["has_text"] for one in listed if one["present"]} == {"pair": True}
    assert {one["name"]: one["has_text"] for one in listed}["vgg16"] is False


def test_words_that_no_pair_knows_are_named(words_engine: Engine) -> None:
    note = "the encoder does not know “zebra”"
    assert words_engine.similar(Text("zebra moon"), 1).notes == (note,)
    assert note in words_engine.similar(Mix([Text("zebra moon"), 1]), 1).notes
    with pytest.raises(QueryError, match="knows no word of “zebra \\?”"):
        words_engine.similar(Text("zebra \udcff"), 1)


def test_another_tokenizer_than_at_extraction_is_noticed(
    words_home: Path, pair_folder: Path, tmp_path: Path, run: Run
) -> None:
    from tests.word_pair import WORDS, save_tokenizer

    moved = Path(shutil.copytree(pair_folder, tmp_path / "pair"))
    extract(words_home, ExtractOptions(moved))
    save_tokenizer(moved / "textual", WORDS[::-1])
    with Engine.open(words_home) as engine:
        (note,) = engine.similar(Text("red moon"), 1).notes
        assert note.startswith("the text network or its tokenizer has changed since")
    assert run("extract", "--home", words_home).code == 0
    with Engine.open(words_home) as engine:
        assert engine.similar(Text("red moon"), 1).notes == ()


def test_extraction_refuses_a_text_network_that_does_not_load(
    demonstration: Demonstration, pair_folder: Path, tmp_path: Path, run: Run
) -> None:
    home = Path(shutil.copytree(demonstration.folder / "workspace", tmp_path / "workspace"))
    broken = Path(shutil.copytree(pair_folder, tmp_path / "broken"))
    (broken / "textual" / "model.onnx").write_bytes(b"junk")
    failed = run("extract", "--encoder", broken, "--home", home)
    assert failed.code == 1
    assert "textual/model.onnx is no network that ONNX Runtime reads" in failed.err
    assert "broken" not in [name_of(view) for view in list_encoders(Workspace.open(home))]
