"""Pairs by name, by address on the Hugging Face hub, or in a folder: downloaded, checked and loaded.

The files of a pair by name are checked by the SHA-256 in `features.encoders.pairs`. Those of another repository are
trusted when they first come: their hashes are recorded beside them, and what comes later has to have the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

import requests

from catalog.errors import ConfigError, DamageError, DataError
from catalog.extras import require
from catalog.io.files import read_record, write_record
from features.encoders.backbone import Backbone
from features.encoders.download import OnBytes, RemoteFile, download, file_hash
from features.encoders.onnx_weights import weight_names
from features.encoders.pair import IMMICH, TRANSFORMERS, Layout, Pair
from features.encoders.pairs import ADDRESS, PAIRS, NamedPair, Repository, takes_text
from features.encoders.text import TextSide, load_text
from features.options import IMAGENET, ExtractOptions
from features.preprocessing_files import preprocessing_from, read_preprocessing

HUB = "https://huggingface.co"
# What exporters call the embedding where a network has several outputs, the best first.
_IMAGE_OUTPUTS = ("image_embeds", "embedding", "image_embedding", "pooler_output")
_LOCK, _KIND, _VERSION = "keyart-lock.json", "keyart-hub-lock", 1


def find_pair(
    encoder: str | Path, cache_dir: Path, deadline_s: float | None = None, on_bytes: OnBytes = lambda *_: None
) -> Pair:
    """Find the files of a pair, by its name, its address or its folder; downloads what is missing.

    Raises ConfigError where nothing is called so or a part is missing, FetchError where the hub cannot be reached.
    """
    name = str(encoder)
    if name in PAIRS:
        return fetch_named(PAIRS[name], cache_dir, deadline_s, on_bytes)
    if name.startswith(ADDRESS):
        return fetch(Repository.parse(name), cache_dir, deadline_s, on_bytes)
    if not Path(encoder).is_dir():
        near = get_close_matches(name, PAIRS, 1)
        raise ConfigError(f"no pair is called {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
    return Pair.find(Path(encoder))


def check_pair(options: ExtractOptions) -> None:
    """Raise ConfigError if the options contradict a pair or its parts are not there; downloads nothing."""
    name = str(options.encoder)
    require("text", f"the encoder {name}")
    if options.weights != IMAGENET:
        raise ConfigError(f"--weights {options.weights} is for other encoders; {name} brings its own weights")
    if name.startswith(ADDRESS):
        Repository.parse(name)
    elif name not in PAIRS:
        Pair.find(Path(name))


def load_visual(options: ExtractOptions, cache_dir: Path) -> Backbone:
    """Load the image network of a pair, with its preprocessing."""
    from features.encoders.onnx_file import load_onnx

    check_pair(options)
    pair = find_pair(options.encoder, cache_dir)
    text = options.preprocessing or pair.known_preprocessing
    preprocessing = preprocessing_from(text) if text else read_preprocessing(pair.preprocessing)
    network = load_onnx(pair.visual, preprocessing, options.batch_size, outputs=_IMAGE_OUTPUTS, extra="text")
    # The file is called the same in every pair.
    return replace(network, name=_short_name(options.encoder))


def _short_name(encoder: str | Path) -> str:
    name = str(encoder)
    if name in PAIRS:
        return name
    return Repository.parse(name).name if name.startswith(ADDRESS) else Path(encoder).name


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
            download(_file(named.repository, path, sha256, hub), folder / path, deadline_s, on_bytes)
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
    lock = _Lock.open(folder, repository)
    if lock.layout is None:
        lock = replace(lock, layout=_layout_of(repository, hub))
    layout = lock.layout
    assert layout is not None  # noqa: S101 - for mypy

    def get(path: str, lock: _Lock) -> _Lock:
        if path in lock.sha256s and (folder / path).is_file():
            return lock
        download(_file(repository, path, lock.sha256s.get(path, ""), hub), folder / path, deadline_s, on_bytes)
        lock = lock.with_file(path, file_hash(folder / path, ""))
        lock.save(folder, repository)
        return lock

    for path in (*layout.required, *layout.optional):
        if path in lock.absent:
            continue
        if path in layout.optional and path not in lock.sha256s and not _exists(_file(repository, path, hub=hub)):
            # Recorded, so that a pair that is whole is opened without a connection.
            lock = replace(lock, absent=(*lock.absent, path))
            lock.save(folder, repository)
            continue
        lock = get(path, lock)
    for network in (layout.visual, layout.textual):
        for name in weight_names(folder / network):
            lock = get((PurePosixPath(network).parent / name).as_posix(), lock)
    return Pair(folder, layout)


@dataclass(frozen=True)
class _Lock:
    """The hashes of what was downloaded, and the files that the repository lacks."""

    sha256s: Mapping[str, str]
    layout: Layout | None = None
    absent: tuple[str, ...] = ()

    @classmethod
    def open(cls, folder: Path, repository: Repository) -> _Lock:
        path = folder / _LOCK
        try:
            record = read_record(path, _KIND, _VERSION)
            recorded, files = Repository(record["repository"], record["revision"]), dict(record["files"])
            # Earlier versions recorded none.
            absent = tuple(record.get("absent", ()))
        except FileNotFoundError:
            return cls({})
        except (DamageError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path} is damaged ({error}); remove {folder}, which downloads it again") from error
        if recorded != repository:
            raise DataError(
                f"{folder} holds {recorded.name} at {recorded.revision}, expected {repository.name} at "
                f"{repository.revision}; remove it, which downloads it again"
            )
        return cls(files, next((one for one in (IMMICH, TRANSFORMERS) if one.visual in files), None), absent)

    def with_file(self, path: str, sha256: str) -> _Lock:
        return replace(self, sha256s={**self.sha256s, path: sha256})

    def save(self, folder: Path, repository: Repository) -> None:
        content = {
            "repository": repository.name,
            "revision": repository.revision,
            "files": dict(self.sha256s),
            "absent": list(self.absent),
        }
        write_record(folder / _LOCK, _KIND, _VERSION, content)


def _file(repository: Repository, path: str, sha256: str = "", hub: str = HUB) -> RemoteFile:
    name, revision = repository.name, repository.revision
    return RemoteFile(
        f"{hub}/{name}/resolve/{revision}/{path}",
        sha256,
        f"{path} of {name}",
        f"Connect this machine; or bring the folder that {HUB}/{name}/tree/{revision} shows from another one, and name "
        "it with --encoder FOLDER",
    )


def _layout_of(repository: Repository, hub: str) -> Layout:
    for layout in (IMMICH, TRANSFORMERS):
        if all(_exists(_file(repository, path, hub=hub)) for path in (layout.preprocessing, layout.textual)):
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
