"""Preprocessing from files: keyart's own, and those that networks are published with.

keyart's own is ``{"preprocessing": "rgb,127,128,size=256"}``. Hugging Face's ``preprocessor_config.json``, OpenCLIP's
``open_clip_config.json`` and ``preprocess_cfg.json``, and timm's ``config.json`` are read as they are. What such a file
leaves open is an error, as the libraries that read it have different defaults.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from catalog.errors import ConfigError, DataError
from catalog.io.files import parse_json, read_bytes
from features.framing import FILTERS, Filter, Framing
from features.preprocessing import PRESETS, Preprocessing, Triple

Record = Mapping[str, Any]
_NAMES = ("preprocessor_config.json", "preprocess_cfg.json", "open_clip_config.json")
# By Pillow's number.
_PILLOW_FILTERS: Mapping[int, Filter] = dict(enumerate(("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")))
# Hugging Face stretches ConvNeXts of this size, and crops smaller ones.
_STRETCHED_FROM = 384
# What a number as size means depends on Hugging Face's class: a shorter edge or a square.
_OF_EDGES = frozenset({"Bit", "CLIP", "ChineseCLIP", "ConvNext", "MobileNetV1", "MobileNetV2", "MobileViT"})
_OF_SQUARES = frozenset({"Beit", "Blip", "DINOv3ViT", "DeiT", "EfficientNet", "Siglip", "ViT"})
_NEVER_CROPPED = frozenset({"Blip", "ConvNext", "DINOv3ViT", "Siglip", "ViT"})
# The settings that a class takes as true where its record leaves them out, beside do_center_crop.
_USUALLY_TRUE: Mapping[str, str] = {"EfficientNet": "include_top", "MobileViT": "do_flip_channel_order"}
_KNOWN_STEPS = frozenset(
    {"do_resize", "do_rescale", "do_normalize", "do_center_crop", "do_convert_rgb", "do_flip_channel_order"}
    | {"do_reduce_labels"}  # of labels, not pictures
)
_OTHER_STEPS = ("auto_map", "keep_aspect_ratio", "ensure_multiple_of", "size_divisor", "patch_size", "max_pixels")
_SMALLEST_SHARE = 0.01
_MAX_BYTES = 16 << 20


def file_beside(path: Path) -> Path | None:
    """Return the file that says how a network's input is made: NAME.json, or one of the usual names in its folder."""
    candidates = (path.with_suffix(".json"), *(path.with_name(name) for name in _NAMES))
    return next((one for one in candidates if one.is_file()), None)


def preprocessing_from(text: str) -> Preprocessing:
    """Read a text, or FILE.json with settings that it lacks; ValueError, ConfigError or DataError."""
    name, *settings = (word.strip() for word in text.split(","))
    if not name.lower().endswith(".json"):
        return Preprocessing.parse(text)
    return read_preprocessing(Path(name), settings).changed(settings)


def read_preprocessing(path: Path, settings: Sequence[str] = ()) -> Preprocessing:
    """Read a preprocessing from a JSON file; ConfigError if it is missing, DataError if it leaves something open.

    Filter and size may be in the settings instead.
    """
    given = _given(settings)
    try:
        record = parse_json(read_bytes(path, _MAX_BYTES))
    except FileNotFoundError as error:
        raise ConfigError(f"--preprocessing {path}: no such file") from error
    except (OSError, DataError, ValueError) as error:
        raise DataError(f"{path} is not a JSON file: {str(error)[:200]}") from error
    if not isinstance(record, dict):
        raise DataError(f"{path} holds no JSON object; expected one such as preprocessor_config.json")
    try:
        return _convert(record, given)
    except KeyError as error:
        raise DataError(_complaint(path, f"it lacks {error.args[0]}")) from error
    except ValueError as error:
        raise DataError(_complaint(path, str(error))) from error


def _complaint(path: Path, reason: str) -> str:
    return f"{path} does not say how pictures are prepared: {reason}; complete it, or give --preprocessing TEXT"


def _given(settings: Sequence[str]) -> Record:
    """Return the settings that complete a record, by its own names; ValueError."""
    framing = PRESETS["tf"].changed(settings).framing
    names = {word.partition("=")[0].strip().lower() for word in settings}
    given: dict[str, Any] = {"size": {"height": framing.height, "width": framing.width}} if "size" in names else {}
    if "filter" in names:
        number = next(number for number, name in _PILLOW_FILTERS.items() if name == framing.filter)
        given |= {"interpolation": framing.filter, "resample": number}
    return given


def _convert(record: Record, given: Record) -> Preprocessing:
    if isinstance(text := record.get("preprocessing"), str):
        return Preprocessing.parse(text)
    for name in ("preprocess_cfg", "pretrained_cfg"):
        if isinstance(inner := record.get(name), dict):
            size = _inside(_inside(record, "model_cfg"), "vision_cfg").get("image_size")
            return _convert({"size": size, **inner} if size else inner, given)
    readers: Mapping[str, Callable[[Record], Preprocessing]] = {
        "input_size": _of_timm,
        "interpolation": _of_open_clip,
        "resize_mode": _of_open_clip,
    }
    for key, reader in readers.items():
        if key in record:
            return reader({**given, **record})
    if not {"image_mean", "size", "crop_size", "do_normalize"} & {*record}:
        raise ValueError('expected the keys of preprocessor_config.json, or "preprocessing"')
    # A size that is cropped is another than that of the input.
    if record.get("do_center_crop"):
        given = {name: value for name, value in given.items() if name != "size"}
    return _of_hugging_face({**given, **record})


def _inside(record: Record, name: str) -> Record:
    inner = record.get(name)
    return inner if isinstance(inner, dict) else {}


def _of_hugging_face(record: Record) -> Preprocessing:
    kind = _hf_kind(record)
    _check_steps(record, kind)
    factor = _number("rescale_factor", record.get("rescale_factor", 1 / 255)) if record.get("do_rescale", True) else 1.0
    if factor <= 0:
        raise ValueError(f"rescale_factor {factor:g}; expected a number above 0")
    # Some networks take -1 to 1.
    offset = 1.0 if record.get("rescale_offset") else 0.0
    mean, std = (0.0,) * 3, (1.0,) * 3
    # MobileViT's class knows no normalization.
    if record.get("do_normalize", kind != "MobileViT"):
        mean, std = _triple(record, "image_mean"), _triple(record, "image_std")
    if record.get("include_top"):
        # It divides once more.
        red, green, blue = (one * again for one, again in zip(std, _triple(record, "image_std"), strict=True))
        std = (red, green, blue)
    order = "bgr" if record.get("do_flip_channel_order") else "rgb"
    framing = _hf_framing(record, kind)
    return _made(order, [(one + offset) / factor for one in mean], [one / factor for one in std], framing)


def _hf_kind(record: Record) -> str | None:
    """Return the name of Hugging Face's class, without its ending; ValueError if what it does is not known."""
    name = record.get("image_processor_type") or record.get("feature_extractor_type")
    if name is None:
        return None
    kind = re.sub("(ImageProcessor(Fast|Pil)?|FeatureExtractor)$", "", str(name))
    if kind not in _OF_EDGES | _OF_SQUARES:
        raise ValueError(f"what {name} does is not known here")
    return kind


def _check_steps(record: Record, kind: str | None) -> None:
    """Raise ValueError for steps that are not known, and KeyError for those that the class decides about."""
    steps = (name for name in record if name.startswith("do_") and name not in _KNOWN_STEPS)
    for name in (*steps, *_OTHER_STEPS):
        if record.get(name):
            raise ValueError(f"{name} is not supported")
    # No class does both.
    if record.get("do_flip_channel_order") and record.get("do_normalize", kind != "MobileViT"):
        raise ValueError("do_flip_channel_order with do_normalize is not supported")
    if kind is None:
        return
    if kind in _NEVER_CROPPED and record.get("do_center_crop"):
        raise ValueError(f"do_center_crop is none of the steps of {kind}")
    for usual in (_USUALLY_TRUE.get(kind), None if kind in _NEVER_CROPPED else "do_center_crop"):
        if usual is not None and usual not in record:
            raise KeyError(usual)


def _hf_framing(record: Record, kind: str | None) -> Framing:
    if not record.get("do_resize", True):
        raise ValueError("do_resize is false")
    number, size = record["resample"], record["size"]
    if isinstance(number, bool) or not isinstance(number, int) or number not in _PILLOW_FILTERS:
        raise ValueError(f"resample {number!r} is none of Pillow's filters")
    chosen, crops, share = _PILLOW_FILTERS[number], record.get("do_center_crop", False), record.get("crop_pct")
    if kind == "ConvNext" or share is not None:
        if crops:
            raise ValueError("crop_pct with do_center_crop is not supported")
        return _hf_convnext(record, chosen)
    edge, (height, width) = _hf_size(record, kind)
    if not crops:
        if edge is not None:
            raise ValueError(f"size {size} gives pictures of many shapes")
        return Framing(height, width, filter=chosen)
    cut_height, cut_width = _pair("crop_size", record["crop_size"])
    if edge is not None:
        return Framing(cut_height, cut_width, "crop", _edge(edge, cut_height, cut_width), chosen)
    if height * cut_width != width * cut_height:
        raise ValueError(f"size {size} and crop_size {record['crop_size']} differ in shape")
    return Framing(cut_height, cut_width, "stretch", _edge(min(height, width), cut_height, cut_width), chosen)


def _hf_size(record: Record, kind: str | None) -> tuple[int | None, tuple[int, int]]:
    """Return the shorter edge to which pictures are resized, or None and their height and width."""
    size = record["size"]
    if isinstance(size, dict) and {*size} == {"shortest_edge"}:
        return _whole("size", size["shortest_edge"]), (0, 0)
    if isinstance(size, (dict, list)):
        return None, _pair("size", size)
    is_square = record.get("default_to_square", None if kind is None else kind in _OF_SQUARES)
    if is_square is None and record.get("do_center_crop"):
        raise ValueError(
            f'size {size!r} may be the shorter edge or a square: write {{"shortest_edge": {size!r}}}, or height and '
            "width, or the image_processor_type"
        )
    edge = _whole("size", size)
    return (edge, (0, 0)) if is_square is False else (None, (edge, edge))


def _hf_convnext(record: Record, chosen: Filter) -> Framing:
    size = record["size"]
    side = _whole("size", size["shortest_edge"] if isinstance(size, dict) and {*size} == {"shortest_edge"} else size)
    if side >= _STRETCHED_FROM:
        return Framing(side, side, filter=chosen)
    return Framing(side, side, "crop", _edge(int(side / _share(record)), side, side), chosen)


def _of_open_clip(record: Record) -> Preprocessing:
    height, width = _pair("size", record["size"])
    mode, chosen = record.get("resize_mode") or "shortest", _filter_named(record["interpolation"])
    if record.get("mode", "RGB") != "RGB":
        raise ValueError(f"mode {record['mode']!r}; expected RGB")
    match mode:
        case "shortest":
            framing = Framing(height, width, "crop", filter=chosen)
        case "squash":
            framing = Framing(height, width, filter=chosen)
        case "longest":
            framing = Framing(height, width, "pad", None, chosen, _gray(record.get("fill_color", 0)))
        case _:
            raise ValueError(f"resize_mode {mode!r}; expected shortest, longest or squash")
    return _of_shares(record, framing)


def _of_timm(record: Record) -> Preprocessing:
    size = record["input_size"]
    if not isinstance(size, list) or len(size) != 3 or size[0] != 3:
        raise ValueError(f"input_size {size!r}; expected 3, height and width")
    height, width = _pair("input_size", size[1:])
    chosen, mode = _filter_named(record["interpolation"]), record.get("crop_mode") or "center"
    if mode not in ("center", "squash"):
        raise ValueError(f"crop_mode {mode!r}; expected center or squash")
    edge = _edge(int(min(height, width) / _share(record)), height, width)
    return _of_shares(record, Framing(height, width, "crop" if mode == "center" else "stretch", edge, chosen))


def _of_shares(record: Record, framing: Framing) -> Preprocessing:
    """Convert mean and standard deviation of pixels from 0 to 1."""
    mean, std = _triple(record, "mean"), _triple(record, "std")
    return _made("rgb", [255 * one for one in mean], [255 * one for one in std], framing)


def _made(order: str, mean: list[float], std: list[float], framing: Framing) -> Preprocessing:
    # By way of the text, which is what features are identified by, and checks everything.
    numbers = ",".join(repr(round(one, 6)) for one in (*mean, *std))
    colors = Preprocessing.parse(f"{order},{numbers}")
    return Preprocessing.parse(str(replace(colors, framing=framing, has_size=True)))


def _edge(edge: int, height: int, width: int) -> int | None:
    return None if edge == min(height, width) else edge


def _filter_named(name: Any) -> Filter:
    for one in FILTERS:
        if one == name:
            return one
    raise ValueError(f"interpolation {name!r}; expected {', '.join(FILTERS)}")


def _pair(name: str, size: Any) -> tuple[int, int]:
    if isinstance(size, dict):
        if {*size} != {"height", "width"}:
            raise ValueError(f"{name} {size} gives pictures of many shapes; expected height and width")
        size = [size["height"], size["width"]]
    if not isinstance(size, list):
        size = [size, size]
    if len(size) != 2:
        raise ValueError(f"{name} {size}; expected height and width")
    return _whole(name, size[0]), _whole(name, size[1])


def _share(record: Record) -> float:
    share = _number("crop_pct", record["crop_pct"])
    if not _SMALLEST_SHARE <= share <= 1:
        raise ValueError(f"crop_pct {share:g}; expected {_SMALLEST_SHARE:g} to 1")
    return share


def _gray(color: Any) -> int:
    levels = color if isinstance(color, list) else [color]
    if not levels or any(level != levels[0] for level in levels):
        raise ValueError(f"fill_color {color!r}; expected one level of gray")
    return _whole("fill_color", levels[0])


def _triple(record: Record, name: str) -> Triple:
    values = record[name]
    if not isinstance(values, list) or len(values) != 3:
        raise ValueError(f"{name} {values!r}; expected three numbers")
    red, green, blue = (_number(name, one) for one in values)
    return red, green, blue


def _whole(name: str, value: Any) -> int:
    number = _number(name, value)
    if not number.is_integer():
        raise ValueError(f"{name} {value!r}; expected a whole number")
    return int(number)


def _number(name: str, value: Any) -> float:
    # What JSON has for true and false is a number in Python.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
        raise ValueError(f"{name} {value!r}; expected a number")
    return float(value)
