"""The pairs that are known by name, with constants only: nothing heavy is imported."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from catalog.errors import ConfigError
from features.encoders.pair import TRANSFORMERS, Layout, is_pair
from features.encoders.text import TextOptions
from features.options import ExtractOptions

ADDRESS = "hf:"
"""How the address of a repository on the Hugging Face hub begins."""

_FILES = (".keras", ".h5", ".hdf5", ".onnx")
_REPOSITORY = re.compile(r"([\w.-]+/[\w.-]+)@([\w.-]+)")


@dataclass(frozen=True)
class Repository:
    """A repository of the hub at one revision."""

    name: str
    revision: str

    @classmethod
    def parse(cls, encoder: str) -> Repository:
        """Read ``hf:OWNER/REPOSITORY@REVISION``; raises ConfigError."""
        match = _REPOSITORY.fullmatch(encoder.removeprefix(ADDRESS))
        if match is None:
            raise ConfigError(
                f"{encoder} is no address with a revision; expected hf:OWNER/REPOSITORY@REVISION, where that is "
                "best the number of a commit, as others may change"
            )
        return cls(*match.groups())

    def folder(self, cache_dir: Path) -> Path:
        """Return where the files are kept."""
        return cache_dir / "keyart" / f"{self.name.replace('/', '--')}@{self.revision}"


@dataclass(frozen=True)
class NamedPair:
    """A pair that is known by name."""

    repository: Repository
    layout: Layout
    sha256s: Mapping[str, str]  # by path
    n_bytes: int  # to download
    side: int  # of the square input, in pixels
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
        side=224,
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
        side=224,
        n_features=768,
        preprocessing="tf,filter=bilinear",
        text_options=TextOptions(64, "<pad>", "lower"),
        license="Apache-2.0 (Google)",
    ),
}
"""The pairs by their names."""


def takes_text(options: ExtractOptions) -> bool:
    """Return whether the encoder that the options name takes words."""
    name, path = str(options.encoder), Path(options.encoder)
    # What was recorded as a folder, and is gone now, was a pair: other encoders are files.
    is_gone = path.is_absolute() and not path.exists() and path.suffix.lower() not in _FILES
    return name in PAIRS or name.startswith(ADDRESS) or (options.info is None and (is_pair(path) or is_gone))


def is_pair_name(encoder: str | Path) -> bool:
    """Return whether an encoder is named by a pair's name, an address on the hub or a folder."""
    return str(encoder) in PAIRS or str(encoder).startswith(ADDRESS) or Path(encoder).is_dir()
