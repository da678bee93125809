"""Pairs from the hub, which is a server on the loopback here: pinned hashes, hashes on first use, and what fails."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import onnx
import pytest

from catalog.errors import ConfigError, DataError, FetchError
from features.encoders.hub import fetch, fetch_named, find_pair
from features.encoders.pair import IMMICH, TRANSFORMERS
from features.encoders.pairs import PAIRS, NamedPair, Repository, takes_text
from features.encoders.text import load_text
from features.options import ExtractOptions
from features.store import FeatureStore
from keyart.pipeline.features import extract_images
from tests.features.conftest import draw_poster
from tests.records import rewrite_record
from tests.word_pair import CONTEXT, save_pair

REPOSITORY = Repository("someone/pair", "0123456789abcdef")


@dataclass
class Hub:
    """A server with a folder of repositories, and what was asked of it."""

    folder: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)

    @property
    def files(self) -> Path:
        return self.folder / "someone" / "pair" / "resolve" / REPOSITORY.revision


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    served = Hub(tmp_path / "hub")
    save_pair(served.files)

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *parts: object) -> None:
            served.asked.append(f"{self.command} {self.path.rpartition(REPOSITORY.revision)[2][1:]}")

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(served.folder)))
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


def _named(hub: Hub) -> NamedPair:
    paths = IMMICH.required
    sha256s = {path: hashlib.sha256((hub.files / path).read_bytes()).hexdigest() for path in paths}
    return replace(PAIRS["clip-vit-b32"], repository=REPOSITORY, layout=IMMICH, sha256s=sha256s)


def test_a_pair_by_name_is_downloaded_once(hub: Hub, tmp_path: Path) -> None:
    pair = fetch_named(_named(hub), tmp_path, hub=hub.url)
    assert pair.text_options() == PAIRS["clip-vit-b32"].text_options
    assert pair.textual.read_bytes() == (hub.files / IMMICH.textual).read_bytes()
    hub.asked.clear()
    fetch_named(_named(hub), tmp_path, hub=hub.url)
    assert hub.asked == []


def test_other_content_than_the_pinned_one_is_refused(hub: Hub, tmp_path: Path) -> None:
    named = _named(hub)
    (hub.files / IMMICH.textual).write_bytes(b"another network")
    with pytest.raises(FetchError, match=r"sent has the SHA-256 .*, expected") as raised:
        fetch_named(named, tmp_path, hub=hub.url)
    assert "\n" not in str(raised.value)
    assert not (REPOSITORY.folder(tmp_path) / IMMICH.textual).exists()


@pytest.mark.parametrize("layout", [IMMICH, TRANSFORMERS], ids=["Immich", "transformers.js"])
def test_any_pair_is_downloaded_in_its_layout(layout: object, hub: Hub, tmp_path: Path) -> None:
    if layout is TRANSFORMERS:
        for old, new in zip(IMMICH.required, TRANSFORMERS.required, strict=True):
            (hub.files / new).parent.mkdir(exist_ok=True)
            shutil.move(hub.files / old, hub.files / new)
        shutil.move(hub.files / "textual" / "tokenizer_config.json", hub.files / "tokenizer_config.json")
    pair = fetch(REPOSITORY, tmp_path, hub=hub.url)
    assert pair.layout == layout
    embed = load_text(pair.textual, pair.tokenizer, pair.text_options())
    assert embed.options.context_length == CONTEXT
    lock = json.loads((pair.folder / "keyart-lock.json").read_text())
    assert (lock["repository"], lock["revision"]) == ("someone/pair", REPOSITORY.revision)
    for path, sha256 in lock["files"].items():
        assert hashlib.sha256((pair.folder / path).read_bytes()).hexdigest() == sha256


def test_files_that_a_network_keeps_its_weights_in_are_downloaded_too(hub: Hub, tmp_path: Path) -> None:
    network = hub.files / IMMICH.visual
    whole = onnx.load(network)
    network.unlink()
    onnx.save(whole, network, save_as_external_data=True, location="weights.bin", size_threshold=0)
    pair = fetch(REPOSITORY, tmp_path, hub=hub.url)
    assert (pair.folder / "visual" / "weights.bin").read_bytes() == (network.parent / "weights.bin").read_bytes()
    assert "visual/weights.bin" in json.loads((pair.folder / "keyart-lock.json").read_text())["files"]
    hub.asked.clear()
    fetch(REPOSITORY, tmp_path, hub=hub.url)
    assert not [line for line in hub.asked if line.startswith("GET")]


def test_hashes_are_trusted_on_first_use_and_never_change(hub: Hub, tmp_path: Path) -> None:
    pair = fetch(REPOSITORY, tmp_path, hub=hub.url)
    before = pair.tokenizer.read_bytes()
    pair.tokenizer.unlink()
    (hub.files / IMMICH.tokenizer).write_bytes(b"moved on")
    with pytest.raises(FetchError, match=r"tokenizer.json sent has the SHA-256"):
        fetch(REPOSITORY, tmp_path, hub=hub.url)
    (hub.files / IMMICH.tokenizer).write_bytes(before)
    hub.asked.clear()
    assert fetch(REPOSITORY, tmp_path, hub=hub.url).tokenizer.read_bytes() == before
    assert [line for line in hub.asked if line.startswith("GET")] == ["GET textual/tokenizer.json"]


@pytest.mark.parametrize("name", IMMICH.optional)
def test_a_whole_pair_without_optional_files_needs_no_hub(hub: Hub, tmp_path: Path, name: str) -> None:
    (hub.files / name).unlink(missing_ok=True)
    pair = fetch(REPOSITORY, tmp_path, hub=hub.url)
    hub.asked.clear()
    assert fetch(REPOSITORY, tmp_path, hub="http://127.0.0.1:9") == pair
    assert hub.asked == []


def test_revisions_with_the_same_beginning_are_apart(hub: Hub, tmp_path: Path) -> None:
    revisions = [f"release-2024-{number:02}" for number in (1, 2)]
    for revision in revisions:
        shutil.copytree(hub.files, hub.files.parent / revision)
        (hub.files.parent / revision / IMMICH.preprocessing).write_text(json.dumps({"of": revision}))
    for revision in revisions:
        pair = fetch(Repository("someone/pair", revision), tmp_path, hub=hub.url)
        assert json.loads(pair.preprocessing.read_text()) == {"of": revision}


def test_files_of_another_revision_are_refused(hub: Hub, tmp_path: Path) -> None:
    pair, other = fetch(REPOSITORY, tmp_path, hub=hub.url), Repository("someone/pair", "main")
    pair.folder.rename(other.folder(tmp_path))
    expected = f"holds someone/pair at {REPOSITORY.revision}, expected someone/pair at main; remove it"
    with pytest.raises(DataError, match=expected):
        fetch(other, tmp_path, hub=hub.url)


def test_a_damaged_record_of_hashes_is_reported(hub: Hub, tmp_path: Path) -> None:
    lock = fetch(REPOSITORY, tmp_path, hub=hub.url).folder / "keyart-lock.json"
    record = json.loads(lock.read_text())
    for damaged in ({**record, "files": 5}, {**record, "files": ["x"]}, {**record, "revision": None}):
        rewrite_record(lock, lambda _: damaged)  # noqa: B023
        with pytest.raises(DataError, match="remove"):
            fetch(REPOSITORY, tmp_path, hub=hub.url)


def test_a_download_that_broke_off_goes_on_with_what_is_missing(hub: Hub, tmp_path: Path) -> None:
    content = (hub.files / IMMICH.tokenizer).read_bytes()
    (hub.files / IMMICH.tokenizer).unlink()
    with pytest.raises(FetchError, match="answered 404"):
        fetch(REPOSITORY, tmp_path, hub=hub.url)
    (hub.files / IMMICH.tokenizer).write_bytes(content)
    hub.asked.clear()
    fetch(REPOSITORY, tmp_path, hub=hub.url)
    assert "GET visual/model.onnx" not in hub.asked


def test_a_repository_without_a_pair_is_refused(hub: Hub, tmp_path: Path) -> None:
    shutil.rmtree(hub.files / "textual")
    with pytest.raises(ConfigError, match=r"someone/pair holds no pair of an image and a text network at 0123456789"):
        fetch(REPOSITORY, tmp_path, hub=hub.url)


def test_a_hub_that_is_not_there_is_named_with_ways_out(tmp_path: Path) -> None:
    # The discard port refuses connections.
    nowhere = "http://127.0.0.1:9"
    expected = "cannot be reached, or broke off. Connect this machine; or bring the folder that"
    for begin in (
        lambda: fetch(REPOSITORY, tmp_path, hub=nowhere),
        lambda: fetch_named(PAIRS["siglip2-base"], tmp_path, hub=nowhere),
    ):
        with pytest.raises(FetchError, match=re.escape(expected)) as raised:
            begin()
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("address", ["hf:someone/pair", "hf:pair@main", "hf:a/b/c@main", "hf:@"])
def test_an_address_names_owner_repository_and_revision(address: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected hf:OWNER/REPOSITORY@REVISION"):
        find_pair(address, tmp_path)


def test_what_takes_words_is_known_without_loading_it(tmp_path: Path) -> None:
    folder = save_pair(tmp_path / "pair")
    for encoder in ("clip-vit-b32", "hf:someone/pair@main", folder):
        assert takes_text(ExtractOptions(encoder))
    for encoder in ("vgg16", "resnet50", tmp_path / "other.onnx"):
        assert not takes_text(ExtractOptions(encoder))
    with pytest.raises(ConfigError, match="did you mean clip-vit-b32"):
        find_pair("clip-vit-b-32", tmp_path)


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_by_name_have_all_parts_and_hashes(name: str) -> None:
    pair = PAIRS[name]
    assert {pair.layout.visual, pair.layout.textual, pair.layout.tokenizer} == {*pair.sha256s}
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in pair.sha256s.values())
    assert re.fullmatch("[0-9a-f]{40}", pair.repository.revision)


def test_the_record_of_a_pair_counts_whenever_it_changes(tmp_path: Path) -> None:
    posters = [("a", draw_poster(tmp_path / "a.png", 1))]
    folder, out = save_pair(tmp_path / "pair"), tmp_path / "out"
    assert extract_images(posters, out, ExtractOptions(folder)).n_new == 1
    assert extract_images(posters, out, ExtractOptions(folder)).n_known == 1
    other = shutil.copytree(folder, tmp_path / "other" / "pair")
    for changed in (folder, other):
        record = changed / IMMICH.preprocessing
        record.write_text(json.dumps(json.loads(record.read_text()) | {"mean": [0.4] * 3}))
        with pytest.raises(DataError, match="features of two networks never mix"):
            extract_images(posters, out, ExtractOptions(changed))
    assert extract_images(posters, out, ExtractOptions(folder, rebuild=True)).n_new == 1
    assert FeatureStore.open(out).identity.preprocessing.startswith("rgb,102,127.5,")
