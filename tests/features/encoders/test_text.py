"""Text networks: their tokens, their inputs, what does not fit, and where the parts of a pair are found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from catalog.errors import ConfigError, DataError, QueryError
from features.encoders.pair import IMMICH, TRANSFORMERS, Pair, is_pair
from features.encoders.text import TextOptions, load_text
from tests.word_pair import CONTEXT, WORDS, save_pair, save_tokenizer, textual

OPTIONS = TextOptions(CONTEXT, "<pad>")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pair(tmp_path_factory.mktemp("published") / "pair")


@pytest.fixture
def folder(published: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / "pair"))


def _at(words: str) -> list[int]:
    return sorted(WORDS.index(word) for word in words.split())


def _save(folder: Path, network: onnx.ModelProto) -> tuple[Path, Path]:
    save_tokenizer(folder)
    onnx.save(network, folder / "textual.onnx")
    return folder / "textual.onnx", folder / "tokenizer.json"


def test_rows_are_of_length_one_and_point_to_the_words(folder: Path) -> None:
    pair = Pair.find(folder)
    embed = load_text(pair.textual, pair.tokenizer, pair.text_options())
    rows = embed(["red moon", "Red  MOON", "moon"])
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1, 1])
    assert np.flatnonzero(rows[0] > 0.1).tolist() == _at("red moon")
    assert (rows[0] == rows[1]).all()


@pytest.mark.parametrize("kind", [TensorProto.INT32, TensorProto.INT64])
@pytest.mark.parametrize("name", ["text", "input_ids"])
def test_inputs_are_found_whatever_their_names_and_types(name: str, kind: int, tmp_path: Path) -> None:
    plain = load_text(*_save(tmp_path, textual()), OPTIONS)
    other = load_text(*_save(tmp_path, textual(name=name, kind=kind, mask="attention_mask")), OPTIONS)
    assert other(["moon"]).argmax() == plain(["moon"]).argmax() == WORDS.index("moon")


def test_an_attention_mask_leaves_padding_out(tmp_path: Path) -> None:
    parts = _save(tmp_path, textual(mask="attention_mask"))
    # The second word of the vocabulary fills up: only the mask keeps it out of the sum.
    (row,) = load_text(*parts, TextOptions(CONTEXT, WORDS[1]))(["moon"])
    assert np.flatnonzero(row > 0.1).tolist() == [WORDS.index("moon")]


def test_a_long_text_is_cut_and_what_was_left_out_is_known(folder: Path) -> None:
    pair = Pair.find(folder)
    embed = load_text(pair.textual, pair.tokenizer, pair.text_options())
    read = " ".join(["red"] * (CONTEXT - 2))
    assert embed.left_out(read) == ""
    assert embed.left_out(f"{read} moon  boat") == "moon boat"
    assert (embed([f"{read} moon"]) == embed([read])).all()


def test_canonical_texts_have_no_case_and_no_punctuation(folder: Path) -> None:
    config = {"text_cfg": {"context_length": CONTEXT, "tokenizer_kwargs": {"clean": "canonicalize"}}}
    (folder / "config.json").write_text(json.dumps(config))
    pair = Pair.find(folder)
    embed = load_text(pair.textual, pair.tokenizer, pair.text_options())
    assert (embed(["re.d mo-on!"]) == embed(["red moon"])).all()


def test_finds_the_layouts_that_are_published(published: Path, tmp_path: Path) -> None:
    for layout in (IMMICH, TRANSFORMERS):
        folder = tmp_path / layout.visual.partition("/")[0]
        for from_name, name in zip(IMMICH.required, layout.required, strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(published / from_name, folder / name)
        pair = Pair.find(folder)
        assert pair.layout == layout
        assert is_pair(folder)
    assert not is_pair(tmp_path)


def test_names_what_a_folder_lacks(folder: Path) -> None:
    (folder / "textual" / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match=r"textual/tokenizer.json is missing; expected visual/model.onnx"):
        Pair.find(folder)


@pytest.mark.parametrize(
    ("place", "content"),
    [
        ("config.json", {"text_config": {"max_position_embeddings": 9}}),
        ("textual/tokenizer_config.json", {"pad_token": {"content": "<pad>"}, "model_max_length": 9}),
    ],
)
def test_reads_the_context_length_where_it_is_recorded(place: str, content: dict[str, object], folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / place).write_text(json.dumps(content))
    assert Pair.find(folder).text_options() == TextOptions(9, "<pad>")


def test_takes_the_context_length_from_the_network_itself(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert Pair.find(folder).text_options() == OPTIONS


def test_asks_for_a_context_length_that_nothing_records(folder: Path) -> None:
    (folder / "config.json").unlink()
    network = textual()
    network.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "length"
    onnx.save(network, folder / "textual" / "model.onnx")
    with pytest.raises(ConfigError, match=r"how many tokens .* reads is not recorded; write it into .*config.json"):
        Pair.find(folder).text_options()


def test_asks_for_a_padding_token_that_nothing_records(folder: Path) -> None:
    (folder / "textual" / "tokenizer_config.json").unlink()
    with pytest.raises(ConfigError, match=r"which token fills short texts up is not recorded; write it into"):
        Pair.find(folder).text_options()


def test_refuses_a_padding_token_that_the_tokenizer_lacks(folder: Path) -> None:
    pair = Pair.find(folder)
    with pytest.raises(DataError, match=r"tokenizer.json has no token '<fill>'"):
        load_text(pair.textual, pair.tokenizer, TextOptions(CONTEXT, "<fill>"))


def test_refuses_a_tokenizer_with_more_words_than_the_network(folder: Path) -> None:
    save_tokenizer(folder / "textual", [*WORDS, "train", "rain"])
    pair = Pair.find(folder)
    with pytest.raises(DataError, match=r"does not take the tokens of .*: .*; put the tokenizer there") as raised:
        load_text(pair.textual, pair.tokenizer, pair.text_options())
    assert "\n" not in str(raised.value)


def test_refuses_networks_of_two_widths(tmp_path: Path) -> None:
    parts = _save(tmp_path, textual(n_dimensions=len(WORDS) + 3))
    with pytest.raises(DataError, match=r"gives an output of the shape .* expected \(17,\) as the image network gives"):
        load_text(*parts, OPTIONS, 17)


@pytest.mark.parametrize("name", ["textual/model.onnx", "textual/tokenizer.json"])
def test_refuses_files_of_another_kind(name: str, folder: Path) -> None:
    (folder / name).write_bytes(b"not what it is called")
    pair = Pair.find(folder)
    with pytest.raises(DataError, match=Path(name).name) as raised:
        load_text(pair.textual, pair.tokenizer, OPTIONS)
    assert "\n" not in str(raised.value)


def test_refuses_a_network_that_takes_pictures(folder: Path) -> None:
    pair = Pair.find(folder)
    with pytest.raises(DataError, match=r"takes image \(tensor\(float\)\), expected the numbers of tokens"):
        load_text(pair.visual, pair.tokenizer, OPTIONS)


def test_refuses_a_tokenizer_with_far_fewer_words_than_the_network(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pair = Pair.find(folder)
    load_text(pair.textual, pair.tokenizer, pair.text_options())
    save_tokenizer(folder / "textual", WORDS[:10])
    with pytest.raises(DataError, match=r"takes more than twice as many; put the tokenizer there"):
        load_text(pair.textual, pair.tokenizer, pair.text_options())
    assert capfd.readouterr().err == ""


def test_a_text_whose_tokens_the_network_does_not_take_is_refused(folder: Path) -> None:
    path = folder / "textual" / "tokenizer.json"
    content = json.loads(path.read_text())
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    content["added_tokens"] = [{"id": 9999, "content": "<hole>", "special": True, **flags}]
    path.write_text(json.dumps(content))
    pair = Pair.find(folder)
    embed = load_text(pair.textual, pair.tokenizer, pair.text_options())
    assert embed(["moon"]).argmax() == WORDS.index("moon")
    with pytest.raises(QueryError, match=r"does not take the tokens of “red <hole>”") as raised:
        embed(["red <hole>"])
    assert "\n" not in str(raised.value)


def test_a_tokenizer_that_panics_is_refused(folder: Path) -> None:
    path = folder / "textual" / "tokenizer.json"
    content = json.loads(path.read_text())
    # What is put around every text, and no token.
    content["post_processor"]["single"][0]["SpecialToken"]["id"] = "<begin>"
    path.write_text(json.dumps(content))
    pair = Pair.find(folder)
    with pytest.raises(DataError, match=r"tokenizer.json fails on an empty text \(.*\); put the pair's tokenizer.json"):
        load_text(pair.textual, pair.tokenizer, pair.text_options())


def test_unknown_words_are_listed_and_refused_if_none_is_known(folder: Path) -> None:
    pair = Pair.find(folder)
    embed = load_text(pair.textual, pair.tokenizer, pair.text_options())
    assert embed.unknown_words("A red zebra, a red moon") == ("A", "zebra", ",", "a")
    assert embed.unknown_words("red moon") == ()
    with pytest.raises(QueryError, match="the encoder knows no word of “striped zebra”; describe it in other words"):
        embed(["striped zebra"])


def test_punctuation_alone_is_no_description(folder: Path) -> None:
    config = {"text_cfg": {"context_length": CONTEXT, "tokenizer_kwargs": {"clean": "canonicalize"}}}
    (folder / "config.json").write_text(json.dumps(config))
    pair = Pair.find(folder)
    with pytest.raises(QueryError, match=r"knows no word of “\?!”"):
        load_text(pair.textual, pair.tokenizer, pair.text_options())(["?!"])


def test_hashes_change_with_all_that_decides_what_a_text_means(folder: Path) -> None:
    pair = Pair.find(folder)
    first = load_text(pair.textual, pair.tokenizer, OPTIONS).sha256
    assert load_text(pair.textual, pair.tokenizer, OPTIONS).sha256 == first
    hashes = {first, load_text(pair.textual, pair.tokenizer, TextOptions(CONTEXT, "<pad>", "lower")).sha256}
    save_tokenizer(folder / "textual", WORDS[::-1])
    hashes.add(load_text(pair.textual, pair.tokenizer, OPTIONS).sha256)
    onnx.save(textual(name="input_ids"), pair.textual)
    hashes.add(load_text(pair.textual, pair.tokenizer, OPTIONS).sha256)
    assert len(hashes) == 4


@pytest.mark.parametrize("value", ["x", ["x"], 5, True])
@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("config.json", ("text_cfg",)),
        ("config.json", ("text_config",)),
        ("config.json", ("text_cfg", "tokenizer_kwargs")),
        ("textual/tokenizer.json", ("padding",)),
        ("textual/tokenizer.json", ("truncation",)),
    ],
)
def test_what_should_be_a_record_and_is_none_is_named(
    name: str, keys: tuple[str, ...], value: object, folder: Path
) -> None:
    content = json.loads((folder / name).read_text())
    *outer, last = keys
    for key in outer:
        content = content[key]
    content[last] = value
    whole = content if not outer else {outer[0]: content}
    (folder / name).write_text(json.dumps(whole))
    with pytest.raises(DataError, match=rf"{Path(name).name} holds no record as '{last}'") as raised:
        Pair.find(folder).text_options()
    assert "\n" not in str(raised.value)


def test_a_context_length_is_a_number(folder: Path) -> None:
    (folder / "config.json").write_text('{"text_cfg": {"context_length": true}, "model_type": ["clip"]}')
    assert Pair.find(folder).text_options() == OPTIONS
