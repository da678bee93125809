"""Pairs from the Hugging Face hub: some by name, with pinned hashes, and any by ``hf:OWNER/REPOSITORY@REVISION``.

The files of a pair by name are checked by the SHA-256 that is written here. Those of another are trusted when they
first come: their hashes are recorded beside them, and what comes later has to have the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import requests

from catalog.errors import ConfigError
from catalog.io.files import read_record, write_record
from features.encoders.download import OnBytes, RemoteFile, download, file_hash
from features.encoders.pair import IMMICH, TRANSFORMERS, Layout, Pair, is_pair
from features.encoders.text import TextOptions, TextSide, load_text
from features.options import ExtractOptions

HUB = "https://huggingface.co"
_PREFIX = "hf:"
_ADDRESS = re.compile(r"([\w.-]+/[\w.-]+)@([\w.-]+)")
_LOCK, _KIND, _VERSION = "keyart-lock.json", "keyart-hub-lock", 1


@dataclass(frozen=True)
class Repository:
    """A repository of the hub at one revision."""

    name: str
    revision: str

    @classmethod
    def parse(cls, encoder: str) -> Repository:
        """Read ``hf:OWNER/REPOSITORY@REVISION``; raises ConfigError."""
        match = _ADDRESS.fullmatch(encoder.removeprefix(_PREFIX))
        if match is None:
            raise ConfigError(
                f"{encoder} names no revision; expected hf:OWNER/REPOSITORY@REVISION, where the revision is best the "
                "number of a commit, as others may change"
            )
        return cls(*match.groups())

    def folder(self, cache_dir: Path) -> Path:
        """Return where the files are kept."""
        return cache_dir / "keyart" / f"{self.name.replace('/', '--')}@{self.revision[:12]}"

    def file(self, path: str, sha256: str = "", hub: str = HUB) -> RemoteFile:
        """Describe a file for the download."""
        return RemoteFile(
            f"{hub}/{self.name}/resolve/{self.revision}/{path}",
            sha256,
            f"{path} of {self.name}",
            f"Connect this machine; or bring the folder that {HUB}/{self.name}/tree/{self.revision} shows from another "
            "one, and name it with --encoder FOLDER",
        )


@dataclass(frozen=True)
class NamedPair:
    """A pair that is known by name."""

    repository: Repository
    layout: Layout
    sha256s: Mapping[str, str]  # by path
    n_bytes: int  # to download
    n_features: int
    preprocessing: str  # the text of a Preprocessing
    text_options: TextOptions
    license: str  # of the weights


PAIRS: Mapping[str, NamedPair] = {
    "clip-vit-b32": NamedPair(
        Repository("Xenova/clip-vit-base-patch32", "d15189d7028b43f1d3e65039190477f6af591c2a"),
        TRANSFORMERS,
        {
            "onnx/vision_model.onnx": "fd6e1402a588279d1723c7534d4bcba5bc0b14b47dfab0e46f8c47b8270d7d40",
            "onnx/text_model.onnx": "3f6571f5bad13a97c469c1622e1cfc4d9aef78b79fdbfcff804ca357bfada8cc",
            "tokenizer.json": "f7f3b7af117d467b58374797691a6438d3e6b9e9cef800dfd5dced7f697a90cd",
        },
        n_bytes=607_968_381,
        n_features=512,
        preprocessing="rgb,122.770938,116.746013,104.093736,68.500533,66.632158,70.323163,fit=crop",
        text_options=TextOptions(77, "<|endoftext|>"),
        license="MIT (OpenAI)",
    ),
    "siglip2-base": NamedPair(
        Repository("onnx-community/siglip2-base-patch16-224-ONNX", "ba1f3b0843f24bc5417d38e19c37b287d719b2f4"),
        TRANSFORMERS,
        {
            "onnx/vision_model.onnx": "c0573e3f4140c3a7c4e9cc5912bd6b26a033b46a6a8e8af26cbea262b163bcad",
            "onnx/text_model.onnx": "baf12d941beabafafb14f7b4adb38dc15be18681b964a84410ec53d9d65e6293",
            "tokenizer.json": "cb9140fae3ac5122c972d37adf83e1248471a38147ad76f8215c8872c6fd8322",
        },
        n_bytes=1_540_000_000,
        n_features=768,
        preprocessing="tf,filter=bilinear",
        text_options=TextOptions(64, "<pad>", "lower"),
        license="Apache-2.0 (Google)",
    ),
}
"""The pairs by their names."""


def takes_text(options: ExtractOptions) -> bool:
    """Return whether the encoder that the options name takes words."""
    name = str(options.encoder)
    return name in PAIRS or name.startswith(_PREFIX) or (options.info is None and is_pair(Path(name)))


def is_pair_name(encoder: str | Path) -> bool:
    """Return whether an encoder is named by a pair's name, an address on the hub or a folder."""
    return str(encoder) in PAIRS or str(encoder).startswith(_PREFIX) or Path(encoder).is_dir()


def find_pair(
    encoder: str | Path, cache_dir: Path, deadline_s: float | None = None, on_bytes: OnBytes = lambda *_: None
) -> Pair:
    """Find the files of a pair, by its name, its address or its folder; downloads what is missing.

    Raises ConfigError where nothing is called so or a part is missing, FetchError where the hub cannot be reached.
    """
    name = str(encoder)
    if name in PAIRS:
        return fetch_named(PAIRS[name], cache_dir, deadline_s, on_bytes)
    if name.startswith(_PREFIX):
        return fetch(Repository.parse(name), cache_dir, deadline_s, on_bytes)
    if not Path(encoder).is_dir():
        near = get_close_matches(name, PAIRS, 1)
        raise ConfigError(f"no pair is called {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
    return Pair.find(Path(encoder))


def load_text_side(options: ExtractOptions, cache_dir: Path, n_features: int) -> TextSide:
    """Load the text network beside the image network that the options name; ConfigError where there is none."""
    if not takes_text(options):
        raise ConfigError(
            f"the features are of {options.encoder}, which takes pictures but no words; extract those of an encoder "
            f"that takes both, such as `keyart extract --encoder {next(iter(PAIRS))}` (docs/text.md)"
        )
    pair = find_pair(options.encoder, cache_dir)
    return load_text(pair.textual, pair.tokenizer, pair.text_options(), n_features)


def fetch_named(
    named: NamedPair,
    cache_dir: Path,
    deadline_s: float | None = None,
    on_bytes: OnBytes = lambda *_: None,
    hub: str = HUB,
) -> Pair:
    """Download the files of a pair by name that are missing."""
    folder = named.repository.folder(cache_dir)
    for path, sha256 in named.sha256s.items():
        # A file appears with the right hash or not at all, and hashing all of them takes longer than a query.
        if not (folder / path).is_file():
            download(named.repository.file(path, sha256, hub), folder / path, deadline_s, on_bytes)
    return Pair(folder, named.layout, named.text_options, named.preprocessing)


def fetch(
    repository: Repository,
    cache_dir: Path,
    deadline_s: float | None = None,
    on_bytes: OnBytes = lambda *_: None,
    hub: str = HUB,
) -> Pair:
    """Download the files of any pair that are missing, and record the hashes of those that come for the first time."""
    folder = repository.folder(cache_dir)
    lock = _Lock.open(folder)
    if lock.layout is None:
        lock = replace(lock, layout=_layout_of(repository, hub))
    layout = lock.layout
    assert layout is not None  # noqa: S101 - for mypy
    for path in (*layout.required, *layout.optional):
        file = repository.file(path, lock.sha256s.get(path, ""), hub)
        if path in lock.sha256s and (folder / path).is_file():
            continue
        if path in layout.optional and not _exists(file):
            continue
        download(file, folder / path, deadline_s, on_bytes)
        lock = lock.with_file(path, file_hash(folder / path, ""))
        lock.save(folder, repository)
    return Pair(folder, layout)


@dataclass(frozen=True)
class _Lock:
    """The hashes of what was downloaded."""

    sha256s: Mapping[str, str]
    layout: Layout | None = None

    @classmethod
    def open(cls, folder: Path) -> _Lock:
        try:
            files = dict(read_record(folder / _LOCK, _KIND, _VERSION)["files"])
        except FileNotFoundError:
            return cls({})
        return cls(files, next((one for one in (IMMICH, TRANSFORMERS) if one.visual in files), None))

    def with_file(self, path: str, sha256: str) -> _Lock:
        return replace(self, sha256s={**self.sha256s, path: sha256})

    def save(self, folder: Path, repository: Repository) -> None:
        content = {"repository": repository.name, "revision": repository.revision, "files": dict(self.sha256s)}
        write_record(folder / _LOCK, _KIND, _VERSION, content)


def _layout_of(repository: Repository, hub: str) -> Layout:
    for layout in (IMMICH, TRANSFORMERS):
        if all(_exists(repository.file(path, hub=hub)) for path in (layout.preprocessing, layout.textual)):
            return layout
    raise ConfigError(
        f"{repository.name} holds no pair of an image and a text network at {repository.revision}; expected "
        f"{', '.join(IMMICH.required)}, or {', '.join(TRANSFORMERS.required)}"
    )


def _exists(file: RemoteFile) -> bool:
    try:
        answer = requests.head(file.url, timeout=(3.05, 30), allow_redirects=True)
    except requests.RequestException as error:
        raise file.error(f"{file.url.split('/')[2]} cannot be reached, or broke off") from error
    if answer.status_code == requests.codes.not_found:
        return False
    if answer.status_code >= requests.codes.bad_request:
        raise file.error(f"{file.url.split('/')[2]} answered {answer.status_code}")
    return True
