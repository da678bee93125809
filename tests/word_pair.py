"""A small pair of an image and a text network that truly aligns words with the demonstration's posters.

The image network is made of histograms of color and of edges, and a linear map into the space of words, fitted by least
squares to posters of the demonstration's generator and what it drew; the text network adds up words. The map is in
data/word-pair.npz, as drawing the posters takes a minute: `python -m tests.word_pair` fits it again. The posters that
it is fitted to are of other palettes and compositions together than those of the demonstration's films.
"""

from __future__ import annotations

import colorsys
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageColor

from keyart.cli.demo.card import Card
from keyart.cli.demo.catalog import _design
from keyart.cli.demo.films import DemoFilm, films
from keyart.cli.demo.styles import STYLES

SIDE, CONTEXT = 64, 12
_MAP = Path(__file__).parent / "data" / "word-pair.npz"
_COLORS = "black white gray red orange yellow green teal blue purple pink".split()
_MOTIFS = {
    "space": ("moon rocket planet", "sun grid", "ring planet", "rocket planet"),
    "swiss": ("circle", "tiles", "arcs", "bars"),
    "noir": ("city detective", "lamp street", "door", "blinds"),
    "linocut": ("mountains sun", "moon sea boat", "forest", "raven"),
    "cartoon": ("giant", "friends", "balloons", "sea boat"),
    "horror": ("eye", "house moon", "claws", "teeth"),
    "pastel": ("sun sea", "hills", "boat moon", "petals"),
    "cutout": ("hand", "spiral", "stairs", "shards"),
}
_OF_MOTIFS = " ".join(motif for motifs in _MOTIFS.values() for motif in motifs).split()
WORDS = sorted({*_COLORS, *STYLES, *_OF_MOTIFS})
_SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
_ANCHORS = np.stack(np.meshgrid(*[[0.1, 0.5, 0.9]] * 3, indexing="ij"), -1).reshape(-1, 3).astype(np.float32)
_SHARPNESS = 20.0
_ACROSS, _RISING = [[-1, 0, 1]] * 3, [[0, 1, 1], [-1, 0, 1], [-1, -1, 0]]
_EDGES = np.array([_ACROSS, np.transpose(_ACROSS), _RISING, np.fliplr(_RISING)], np.float32)
_N_FEATURES = (len(_ANCHORS) + len(_EDGES)) * (16 + 1)


def words_of(film: DemoFilm) -> set[str]:
    """Return what words describe the poster of a film of the demonstration."""
    palettes = _design()["palettes"][film.style]["palettes"]
    return _words(film.style, film.variant, palettes[film.variant % len(palettes)])


def _words(style: str, variant: int, palette: list[str]) -> set[str]:
    return {style, *_MOTIFS[style][variant % 4].split(), *map(_color_name, palette)}


def _color_name(color: str) -> str:
    hue, saturation, value = colorsys.rgb_to_hsv(*(level / 255 for level in ImageColor.getrgb(color)))
    if value < 0.25:
        return "black"
    if saturation < 0.22:
        return "white" if value > 0.8 else "gray"
    bounds = {20: "red", 40: "orange", 70: "yellow", 160: "green", 195: "teal", 255: "blue", 290: "purple", 345: "pink"}
    return next((name for bound, name in bounds.items() if hue * 360 < bound), "red")


def pixels_of(poster: Image.Image) -> npt.NDArray[np.float32]:
    """Bring a poster to the image network's input of shape (3, SIDE, SIDE), as its preprocessing says."""
    small = np.asarray(poster.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32) / 255
    return ((small - 0.5) / 0.5).transpose(2, 0, 1)


def save_pair(folder: Path) -> Path:
    """Write the pair as Immich lays it out."""
    fitted = np.load(_MAP)
    for name in ("visual", "textual"):
        (folder / name).mkdir(parents=True)
    onnx.save(_visual(fitted["weights"].astype(np.float32), fitted["shift"]), folder / "visual" / "model.onnx")
    onnx.save(textual(), folder / "textual" / "model.onnx")
    save_tokenizer(folder / "textual")
    _write(
        folder / "visual" / "preprocess_cfg.json",
        {"size": [SIDE, SIDE], "mode": "RGB", "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic",
         "resize_mode": "squash", "fill_color": 0},
    )  # fmt: skip
    _write(folder / "config.json", {"embed_dim": len(WORDS), "text_cfg": {"context_length": CONTEXT}})
    return folder


def save_tokenizer(folder: Path, words: list[str] | None = None) -> None:
    """Write a tokenizer of words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    vocabulary = {word: number for number, word in enumerate((*_SPECIAL, *(words or WORDS)))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(name, vocabulary[name]) for name in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    tokenizer.save(str(folder / "tokenizer.json"))
    _write(folder / "tokenizer_config.json", {"pad_token": "<pad>"})


def textual(
    *, name: str = "text", kind: int = TensorProto.INT32, mask: str | None = None, n_dimensions: int = len(WORDS)
) -> onnx.ModelProto:
    """Build the text network: a table of words, of which the rows are added up."""
    table = np.zeros((len(_SPECIAL) + len(WORDS), n_dimensions), np.float32)
    table[len(_SPECIAL) :] = np.eye(len(WORDS), n_dimensions)
    # What no word says, so that the sum of no words has a direction, too.
    table[1] = 0.01
    nodes = [helper.make_node("Gather", ["table", name], ["rows"])]
    inputs = [helper.make_tensor_value_info(name, kind, ["n", CONTEXT])]
    constants = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axis")]
    rows = "rows"
    if mask:
        inputs.append(helper.make_tensor_value_info(mask, kind, ["n", CONTEXT]))
        constants.append(numpy_helper.from_array(np.array([2]), "last"))
        nodes += [
            helper.make_node("Cast", [mask], ["mask"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
            helper.make_node("Mul", ["rows", "column"], ["masked"]),
        ]
        rows = "masked"
    nodes.append(helper.make_node("ReduceSum", [rows, "axis"], ["embedding"], keepdims=0))
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", n_dimensions])
    return _model(nodes, inputs, [output], constants)


def _visual(weights: npt.NDArray[np.float32], shift: npt.NDArray[np.float32]) -> onnx.ModelProto:
    nodes, constants = _feature_nodes()
    nodes.append(helper.make_node("Gemm", ["features", "weights", "shift"], ["embedding"]))
    constants += [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(shift, "shift")]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", len(shift)])
    return _model(nodes, [_image_input()], [output], constants)


def _feature_nodes() -> tuple[list[Any], list[Any]]:
    """Histograms of color and of edges, of the whole and of four by four blocks; their roots."""
    # The input is 2 x - 1; a softmax over anchors c of s (2 x c - c c).
    colors = _SHARPNESS * _ANCHORS[:, :, None, None]
    squares = _SHARPNESS * (_ANCHORS.sum(axis=1) - np.square(_ANCHORS).sum(axis=1))
    gray = np.repeat(_EDGES[:, None] / 6, 3, axis=1)
    constants = [
        numpy_helper.from_array(colors.astype(np.float32), "colors"),
        numpy_helper.from_array(squares.astype(np.float32), "squares"),
        numpy_helper.from_array(gray.astype(np.float32), "gray"),
        numpy_helper.from_array(np.array([1e-4], np.float32), "least"),
    ]
    pool = {"kernel_shape": [SIDE // 4] * 2, "strides": [SIDE // 4] * 2}
    nodes = [
        helper.make_node("Conv", ["image", "colors", "squares"], ["near"]),
        helper.make_node("Softmax", ["near"], ["shares"], axis=1),
        helper.make_node("Conv", ["image", "gray"], ["slopes"], pads=[1] * 4),
        helper.make_node("Abs", ["slopes"], ["edges"]),
        helper.make_node("Concat", ["shares", "edges"], ["all"], axis=1),
        helper.make_node("AveragePool", ["all"], ["blocks"], **pool),
        helper.make_node("GlobalAveragePool", ["all"], ["whole"]),
        helper.make_node("Flatten", ["blocks"], ["in-blocks"]),
        helper.make_node("Flatten", ["whole"], ["in-whole"]),
        helper.make_node("Concat", ["in-blocks", "in-whole"], ["counts"], axis=1),
        helper.make_node("Add", ["counts", "least"], ["positive"]),
        helper.make_node("Sqrt", ["positive"], ["features"]),
    ]
    return nodes, constants


def _image_input() -> Any:
    return helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])


def _model(nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: list[Any]) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "words", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    return model


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _features(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    import onnxruntime

    nodes, constants = _feature_nodes()
    output = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", _N_FEATURES])
    session = onnxruntime.InferenceSession(_model(nodes, [_image_input()], [output], constants).SerializeToString())
    (features,) = session.run(None, {"image": pixels})
    return np.asarray(features, np.float32)


def fit() -> None:
    """Draw posters that no film of the demonstration has, and fit the map of their features to words."""
    taken = {(film.style, film.variant % 4, film.variant % 5) for film in films()}
    pixels, described = [], []
    for style, draw in STYLES.items():
        for variant in range(4):
            for number, palette in enumerate(_design()["palettes"][style]["palettes"]):
                if (style, variant, number) in taken:
                    continue
                rng = np.random.default_rng([7, variant, number])
                names = ("Ada Quill", "Bo Fenn", "Cy Marsh", "Di Holt")
                card = Card("The Long Night", 1980, "Listen twice.", names, tuple(palette), variant + 4 * (number % 2))
                pixels.append(pixels_of(draw(card, rng).finished()))
                described.append([word in _words(style, variant, palette) for word in WORDS])
    features, words = _features(np.stack(pixels)), np.array(described, np.float64)
    center, share = features.mean(axis=0, dtype=np.float64), words.mean(axis=0)
    # A word that describes no poster here keeps a zero.
    goals = (words - share) / np.sqrt(np.maximum(share * (1 - share), 1e-3))
    rows = features - center
    inverse = np.linalg.inv(rows @ rows.T + 0.3 * np.eye(len(rows)))
    weights = rows.T @ inverse @ goals
    np.savez_compressed(_MAP, weights=weights.astype(np.float16), shift=(-center @ weights).astype(np.float32))


if __name__ == "__main__":
    fit()
