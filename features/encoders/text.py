"""The text half of a pair of networks: words become rows in the space that the pair's image network maps posters to.

ONNX Runtime and tokenizers take long to import, so only the functions here import them.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError, QueryError
from catalog.extras import require
from catalog.io.files import open_file
from catalog.text import first_line
from features.encoders.onnx import open_session
from features.encoders.onnx_weights import sha256_of

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

Clean = Literal["lower", "canonicalize"]

_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
# What exporters call the embedding where a network has several outputs, the best first.
_OUTPUTS = ("text_embeds", "embedding", "text_embedding", "sentence_embedding", "pooler_output")
_TYPES = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}
# What tokenizers that do not record it call the token of unknown words.
_UNKNOWN = ("<unk>", "[UNK]")
# No table of tokens is as long.
_ABSURD_TOKEN = 2**31 - 1


@dataclass(frozen=True)
class TextOptions:
    """What a text network expects of its tokens."""

    # How many tokens it reads; shorter texts are padded to as many.
    context_length: int
    pad_token: str
    # What texts lose: their case, or punctuation, too, as those that SigLIP was trained with.
    clean: Clean | None = None


class TextSide:
    """Embeds texts; make it with `load_text`. Safe to use from several threads."""

    def __init__(self, tokenizer: Tokenizer, session: Any, options: TextOptions, output: str, sha256: str = "") -> None:
        self._tokenizer = tokenizer
        self._unknown_id = _unknown_id(tokenizer)
        self._session = session
        self.sha256 = sha256  # of all that decides what a text means
        self._types = {one.name: _TYPES[one.type] for one in session.get_inputs()}
        self._output = output
        self.options = options

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Compute rows of shape (n, n_features), of length 1; QueryError for a text without any known word."""
        # One at a time: a query has few, and a network may be exported for a batch of one.
        rows = np.stack([self._embedded(text) for text in texts])
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not np.isfinite(rows).all() or not lengths.all():
            raise DataError("the text network gives zeros, or numbers that are not finite; is it damaged?")
        return np.asarray(rows / lengths, np.float32)

    def left_out(self, text: str) -> str:
        """Return the end of a text that is beyond the context, so the network does not read it."""
        encoding, text = self._encoding(text), self._cleaned(text)
        if not encoding.overflowing:
            return ""
        end = max((end for _, end in encoding.offsets), default=0)
        return text[end:].strip()

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Return the words, or parts of them, that the tokenizer does not know."""
        encoding, text = self._encoding(text), self._cleaned(text)
        return tuple(dict.fromkeys(text[slice(*encoding.offsets[at])] for at in self._words(encoding, known=False)))

    def _words(self, encoding: Encoding, *, known: bool) -> list[int]:
        """Return where the tokens of known or of unknown words are; the others mark ends, or fill up."""
        tokens = zip(encoding.ids, encoding.special_tokens_mask, strict=True)
        return [at for at, (one, special) in enumerate(tokens) if not special and (one != self._unknown_id) == known]

    def _encoding(self, text: str) -> Encoding:
        with _converted_errors(f"the tokenizer fails on “{text}”"):
            return self._tokenizer.encode(self._cleaned(text))

    def _cleaned(self, text: str) -> str:
        text = " ".join(text.split())
        if self.options.clean == "canonicalize":
            text = text.replace("_", " ").translate(_WITHOUT_PUNCTUATION)
        return text.lower() if self.options.clean else text

    def _embedded(self, text: str) -> npt.NDArray[np.float32]:
        encoding = self._encoding(text)
        if not self._words(encoding, known=True):
            raise QueryError(f"the encoder knows no word of “{text}”; describe it in other words")
        try:
            return self.run(encoding.ids, encoding.attention_mask)
        except Exception as error:
            # The errors of ONNX Runtime have no common base class.
            raise QueryError(
                f"the text network does not take the tokens of “{text}” ({first_line(error)}); leave out what is no "
                "word, or put the tokenizer beside it that it was trained with"
            ) from error

    def takes(self, token: int) -> bool:
        """Return whether the network takes the number of a token."""
        trial = self._encoding("")
        try:
            self.run([*trial.ids[:-1], token], trial.attention_mask, quietly=True)
        except Exception:
            # The errors of ONNX Runtime have no common base class.
            return False
        return True

    def run(self, ids: Sequence[int], mask: Sequence[int], *, quietly: bool = False) -> npt.NDArray[np.float32]:
        """Run the network on one row of tokens; `quietly` where it is expected to fail."""
        import onnxruntime as ort

        options = ort.RunOptions()
        if quietly:
            options.log_severity_level = 4
        given = {name: mask if _is_mask(name) else ids for name in self._types}
        inputs = {name: np.array([given[name]], dtype) for name, dtype in self._types.items()}
        (rows,) = self._session.run([self._output], inputs, options)
        return np.asarray(rows[0], np.float32)


def load_text(network: Path, tokenizer: Path, options: TextOptions, n_features: int | None = None) -> TextSide:
    """Load a text network with its tokenizer; both are tried, so that parts that do not fit are refused now.

    `n_features` is the width of the rows of the image network.
    """
    require("text", "a network that takes words")
    session = _session(network)
    output, sha256 = _output(session, network), _sha256(network, tokenizer, options)
    side = TextSide(_load_tokenizer(tokenizer, options), session, options, output, sha256)
    # Added tokens are left out: what a text does not contain need not fit.
    highest = max(side._tokenizer.get_vocab(with_added_tokens=False).values())
    trial = side._encoding("")
    try:
        side.run([*trial.ids[:-1], highest], trial.attention_mask)
        row = side.run(trial.ids, trial.attention_mask)
    except Exception as error:
        # The errors of ONNX Runtime have no common base class.
        raise DataError(
            f"{network} does not take the tokens of {tokenizer}, which has the numbers 0 to {highest:,}: "
            f"{first_line(error)}; put the tokenizer there that the network was trained with"
        ) from error
    if side.takes(2 * highest + 1) and not side.takes(_ABSURD_TOKEN):
        raise DataError(
            f"{tokenizer} has the numbers 0 to {highest:,}, and {network} takes more than twice as many; put the "
            "tokenizer there that the network was trained with"
        )
    if row.ndim != 1 or n_features not in (None, len(row)):
        raise DataError(
            f"{network} gives an output of the shape {row.shape} for a text, expected ({n_features or 'n_features'},) "
            "as the image network gives; both networks of a pair have to be of one training"
        )
    return side


def _load_tokenizer(path: Path, options: TextOptions) -> Tokenizer:
    from tokenizers import Tokenizer

    with _converted_errors(f"{path} is no tokenizer"):
        tokenizer = Tokenizer.from_file(str(path))
    pad_id = tokenizer.token_to_id(options.pad_token)
    if pad_id is None:
        raise DataError(
            f"{path} has no token {options.pad_token!r} to fill short texts up with; name the one that it has as "
            "pad_token in tokenizer_config.json beside it"
        )
    tokenizer.enable_padding(length=options.context_length, pad_token=options.pad_token, pad_id=pad_id)
    tokenizer.enable_truncation(max_length=options.context_length)
    # What a file names but lacks shows only when it is used.
    with _converted_errors(f"{path} fails on an empty text"):
        tokenizer.encode("")
    return tokenizer


@contextmanager
def _converted_errors(what: str) -> Iterator[None]:
    """Convert what tokenizers raises: plain exceptions, and panics, which are none."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise DataError(f"{what} ({first_line(error)}); put the pair's tokenizer.json there") from error


def _unknown_id(tokenizer: Tokenizer) -> int | None:
    """Return the number that unknown words get; None where every text is made of known parts."""
    name = getattr(tokenizer.model, "unk_token", None)
    numbers = (tokenizer.token_to_id(one) for one in ([name] if name else _UNKNOWN))
    return next((number for number in numbers if number is not None), None)


def _sha256(network: Path, tokenizer: Path, options: TextOptions) -> str:
    """Hash all that decides what a text means."""
    with open_file(tokenizer) as stream:
        of_tokenizer = hashlib.file_digest(stream, "sha256").hexdigest()
    return hashlib.sha256("\n".join((sha256_of(network), of_tokenizer, repr(options))).encode()).hexdigest()


def _session(path: Path) -> Any:
    try:
        session = open_session(path, ["CPUExecutionProvider"])
    except Exception as error:
        raise DataError(f"{path} is no network that ONNX Runtime reads: {first_line(error)}") from error
    wrong = [f"{one.name} ({one.type})" for one in session.get_inputs() if one.type not in _TYPES]
    ids = [one.name for one in session.get_inputs() if not _is_mask(one.name)]
    if wrong or len(ids) != 1:
        raise DataError(
            f"{path} takes {', '.join(wrong or ids) or 'nothing'}, expected the numbers of tokens as int32 or int64, "
            "and at most an attention mask beside them"
        )
    return session


def context_length_of(path: Path) -> int | None:
    """Return how many tokens a text network takes, where its file fixes that."""
    lengths = [one.shape[1] for one in _session(path).get_inputs() if len(one.shape) == 2]
    return next((length for length in lengths if isinstance(length, int)), None)


def _output(session: Any, path: Path) -> str:
    outputs = {one.name: len(one.shape) for one in session.get_outputs()}
    known = [name for name in _OUTPUTS if name in outputs]
    rows = [name for name, n_axes in outputs.items() if n_axes == 2]
    if not known and len(rows) != 1:
        raise DataError(
            f"{path} has the outputs {', '.join(outputs)}, of which none is called {' or '.join(_OUTPUTS)}; export it "
            "with one of these"
        )
    return str((known or rows)[0])


def _is_mask(name: str) -> bool:
    return "mask" in name


def pad_token_of(config: Mapping[str, Any]) -> str | None:
    """Return the padding token of a tokenizer_config.json, which writes it as text or as a record."""
    token = config.get("pad_token")
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else None
