"""Pairs of an image and a text network in one folder, as they are published.

::

    visual/model.onnx  visual/preprocess_cfg.json  textual/model.onnx  textual/tokenizer.json  config.json
    visual.onnx        preprocess_cfg.json         textual.onnx        tokenizer.json          config.json
    onnx/vision_model.onnx  preprocessor_config.json  onnx/text_model.onnx  tokenizer.json     config.json

The first is how Immich lays them out, the last how transformers.js does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.errors import ConfigError, DataError
from catalog.extras import require
from catalog.io.files import parse_json, read_bytes
from features.encoders.text import Clean, TextOptions, context_length_of, pad_token_of


@dataclass(frozen=True)
class Layout:
    """Where the parts of a pair are in its folder."""

    visual: str
    textual: str
    tokenizer: str
    preprocessing: str

    @property
    def required(self) -> tuple[str, ...]:
        """The parts that no pair works without."""
        return self.visual, self.textual, self.tokenizer, self.preprocessing

    @property
    def optional(self) -> tuple[str, ...]:
        """The records beside them that say more."""
        beside = self.tokenizer.removesuffix("tokenizer.json")
        return "config.json", f"{beside}tokenizer_config.json", f"{beside}special_tokens_map.json"


IMMICH = Layout("visual/model.onnx", "textual/model.onnx", "textual/tokenizer.json", "visual/preprocess_cfg.json")
TRANSFORMERS = Layout("onnx/vision_model.onnx", "onnx/text_model.onnx", "tokenizer.json", "preprocessor_config.json")
LAYOUTS = (
    IMMICH,
    TRANSFORMERS,
    Layout("visual.onnx", "textual.onnx", "tokenizer.json", "preprocess_cfg.json"),
    Layout("visual.onnx", "textual.onnx", "tokenizer.json", "preprocessor_config.json"),
)
_MAX_RECORD_BYTES = 256 << 20
# What transformers takes where a config.json leaves max_position_embeddings out.
_CONTEXT_LENGTHS = {"clip": 77, "siglip": 64, "siglip2": 64}
_SIGLIP = {"SiglipTokenizer": "canonicalize", "SiglipTokenizerFast": "canonicalize"}


@dataclass(frozen=True)
class Pair:
    """A folder with the two networks of a pair."""

    folder: Path
    layout: Layout
    # Of a pair that is known by name, whose records are not downloaded.
    known_text_options: TextOptions | None = None
    known_preprocessing: str | None = None

    @classmethod
    def find(cls, folder: Path) -> Pair:
        """Find the parts in a folder; ConfigError names what is missing, by the layout that comes nearest."""
        lacking = {layout: [name for name in layout.required if not (folder / name).is_file()] for layout in LAYOUTS}
        nearest = min(LAYOUTS, key=lambda layout: len(lacking[layout]))
        if missing := lacking[nearest]:
            raise ConfigError(
                f"{folder} holds no pair of an image and a text network: {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} missing; expected {', '.join(nearest.required)}"
            )
        return cls(folder, nearest)

    @property
    def visual(self) -> Path:
        return self.folder / self.layout.visual

    @property
    def textual(self) -> Path:
        return self.folder / self.layout.textual

    @property
    def tokenizer(self) -> Path:
        return self.folder / self.layout.tokenizer

    @property
    def preprocessing(self) -> Path:
        return self.folder / self.layout.preprocessing

    def text_options(self) -> TextOptions:
        """Read what the text network expects from the records beside it; what none of them says is asked for."""
        if self.known_text_options:
            return self.known_text_options
        require("text", "a network that takes words")
        length = next(self._context_lengths(), None)
        if length is None:
            raise ConfigError(
                f"how many tokens {self.textual} reads is not recorded; write it into {self.folder / 'config.json'}, "
                'as in {"text_cfg": {"context_length": 77}}'
            )
        pad_token = self._pad_token()
        if pad_token is None:
            raise ConfigError(
                f"which token fills short texts up is not recorded; write it into "
                f'{self.tokenizer.parent / "tokenizer_config.json"}, as in {{"pad_token": "<pad>"}}'
            )
        return TextOptions(length, pad_token, self._clean())

    @property
    def _config(self) -> Path:
        return self.folder / "config.json"

    @property
    def _tokenizer_config(self) -> Path:
        return self.tokenizer.parent / "tokenizer_config.json"

    def _context_lengths(self) -> Iterator[int]:
        """Yield the context length from each record that has it, the most specific first."""
        # Read once: that of many languages has tens of megabytes.
        tokenizer = _record(self.tokenizer)
        padding = _within(tokenizer, self.tokenizer, "padding").get("strategy")
        candidates = (
            _record(self._config, "text_cfg").get("context_length"),
            _record(self._config, "text_config").get("max_position_embeddings"),
            padding.get("Fixed") if isinstance(padding, dict) else None,
            _within(tokenizer, self.tokenizer, "truncation").get("max_length"),
            _record(self._tokenizer_config).get("model_max_length"),
        )
        # transformers writes 1e30 where there is no limit.
        yield from (length for length in candidates if type(length) is int and 0 < length < 100_000)
        if (length := context_length_of(self.textual)) is not None:
            yield length
        if (kind := str(_record(self._config).get("model_type"))) in _CONTEXT_LENGTHS:
            yield _CONTEXT_LENGTHS[kind]

    def _pad_token(self) -> str | None:
        beside = self.tokenizer.parent
        for name in ("tokenizer_config.json", "special_tokens_map.json"):
            if token := pad_token_of(_record(beside / name)):
                return token
        token = _record(self.tokenizer, "padding").get("pad_token")
        return token if isinstance(token, str) else None

    def _clean(self) -> Clean | None:
        """Return what the tokenizer of the training library does, which tokenizer.json does not."""
        of_library = _record(self._config, "text_cfg", "tokenizer_kwargs").get("clean")
        beside = _record(self._tokenizer_config)
        if "canonicalize" in (of_library, _SIGLIP.get(str(beside.get("tokenizer_class")))):
            return "canonicalize"
        return "lower" if of_library == "lower" or beside.get("do_lower_case") is True else None


def is_pair(path: Path) -> bool:
    """Return whether a path is a folder with a text network, so that its encoder takes words."""
    return any((path / layout.textual).is_file() for layout in LAYOUTS)


def _record(path: Path, *names: str) -> dict[str, Any]:
    """Read a record, or the one that it holds under some names; empty where there is none."""
    try:
        content = parse_json(read_bytes(path, _MAX_RECORD_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, DataError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as JSON ({error}); put back what the pair was published with"
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no record; put back what the pair was published with")
    return _within(content, path, *names)


def _within(content: dict[str, Any], path: Path, *names: str) -> dict[str, Any]:
    for name in names:
        content = {} if content.get(name) is None else content[name]
        if not isinstance(content, dict):
            raise DataError(f"{path} holds no record as {name!r}; put back what the pair was published with")
    return content
