"""Preprocessing from files: keyart's own, and those that networks are published with.

keyart's own is ``{"preprocessing": "rgb,127,128,size=256"}``. Hugging Face's ``preprocessor_config.json``, OpenCLIP's
``open_clip_config.json`` and ``preprocess_cfg.json``, and timm's ``config.json`` are read as they are. What such a file
leaves open is an error, as the libraries that read it have different defaults.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from catalog.errors import ConfigError, DataError
from features.framing import FILTERS, Filter, Framing
from features.preprocessing import Preprocessing, Triple

Record = Mapping[str, Any]
_NAMES = ("preprocessor_config.json", "preprocess_cfg.json", "open_clip_config.json")
# By Pillow's number.
_PILLOW_FILTERS: Mapping[int, Filter] = dict(enumerate(("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")))
# Hugging Face stretches ConvNeXts of this size, and crops smaller ones.
_STRETCHED_FROM = 384


def file_beside(path: Path) -> Path | None:
    """Return the file that says how a network's input is made: NAME.json, or one of the usual names in its folder."""
    candidates = (path.with_suffix(".json"), *(path.with_name(name) for name in _NAMES))
    return next((one for one in candidates if one.is_file()), None)


def preprocessing_from(text: str) -> Preprocessing:
    """Read a text, or FILE.json with settings that it lacks; ValueError, ConfigError or DataError."""
    name, *settings = (word.strip() for word in text.split(","))
    if not name.lower().endswith(".json"):
        return Preprocessing.parse(text)
    return read_preprocessing(Path(name)).changed(settings)


def read_preprocessing(path: Path) -> Preprocessing:
    """Read a preprocessing from a JSON file; ConfigError if it is missing, DataError if it leaves something open."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"--preprocessing {path}: no such file") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a JSON file: {str(error)[:200]}") from error
    if not isinstance(record, dict):
        raise DataError(f"{path} holds no JSON object; expected one such as preprocessor_config.json")
    try:
        return _convert(record)
    except KeyError as error:
        raise DataError(_complaint(path, f"it lacks {error.args[0]}")) from error
    except (ValueError, TypeError) as error:
        raise DataError(_complaint(path, str(error))) from error


def _complaint(path: Path, reason: str) -> str:
    return f"{path} does not say how pictures are prepared: {reason}; complete it, or give --preprocessing TEXT"


def _convert(record: Record) -> Preprocessing:
    if isinstance(text := record.get("preprocessing"), str):
        return Preprocessing.parse(text)
    for name in ("preprocess_cfg", "pretrained_cfg"):
        if isinstance(inner := record.get(name), dict):
            size = (record.get("model_cfg") or {}).get("vision_cfg", {}).get("image_size")
            return _convert({"size": size, **inner} if size else inner)
    readers: Mapping[str, Callable[[Record], Preprocessing]] = {
        "input_size": _of_timm,
        "interpolation": _of_open_clip,
        "resize_mode": _of_open_clip,
    }
    for key, reader in readers.items():
        if key in record:
            return reader(record)
    if not {"image_mean", "size", "crop_size", "do_normalize"} & {*record}:
        raise ValueError('expected the keys of preprocessor_config.json, or "preprocessing"')
    return _of_hugging_face(record)


def _of_hugging_face(record: Record) -> Preprocessing:
    if record.get("do_pad"):
        raise ValueError("do_pad is not supported")
    factor = float(record.get("rescale_factor", 1 / 255)) if record.get("do_rescale", True) else 1.0
    # Some networks take -1 to 1.
    offset = 1.0 if record.get("rescale_offset") else 0.0
    mean, std = (0.0,) * 3, (1.0,) * 3
    if record.get("do_normalize", True):
        mean, std = _triple(record["image_mean"]), _triple(record["image_std"])
    order = "bgr" if record.get("do_flip_channel_order") else "rgb"
    return _made(order, [(one + offset) / factor for one in mean], [one / factor for one in std], _hf_framing(record))


def _hf_framing(record: Record) -> Framing:
    if not record.get("do_resize", True):
        raise ValueError("do_resize is false")
    if (number := record["resample"]) not in _PILLOW_FILTERS:
        raise ValueError(f"resample {number!r} is none of Pillow's filters")
    chosen, crops, size = _PILLOW_FILTERS[number], record.get("do_center_crop", False), record["size"]
    if not crops and record.get("crop_pct") and isinstance(size, dict) and "shortest_edge" in size:
        return _hf_convnext(int(size["shortest_edge"]), float(record["crop_pct"]), chosen)
    if not crops:
        if isinstance(size, dict) and "height" not in size:
            raise ValueError(f"size {size} gives pictures of many shapes")
        height, width = _pair(size)
        return Framing(height, width, filter=chosen)
    height, width = _pair(record["crop_size"])
    if isinstance(size, dict) and "height" in size:
        scaled_height, scaled_width = _pair(size)
        if scaled_height * width != scaled_width * height:
            raise ValueError(f"size {size} and crop_size {record['crop_size']} differ in shape")
        return Framing(height, width, "stretch", _edge(min(scaled_height, scaled_width), height, width), chosen)
    edge = int(size["shortest_edge"] if isinstance(size, dict) else size)
    return Framing(height, width, "crop", _edge(edge, height, width), chosen)


def _hf_convnext(side: int, share: float, chosen: Filter) -> Framing:
    if side >= _STRETCHED_FROM:
        return Framing(side, side, filter=chosen)
    return Framing(side, side, "crop", _edge(int(side / share), side, side), chosen)


def _of_open_clip(record: Record) -> Preprocessing:
    height, width = _pair(record["size"])
    mode, chosen = record.get("resize_mode") or "shortest", _filter_named(record["interpolation"])
    if record.get("mode", "RGB") != "RGB":
        raise ValueError(f"mode {record['mode']!r}; expected RGB")
    fill = record.get("fill_color", 0)
    match mode:
        case "shortest":
            framing = Framing(height, width, "crop", filter=chosen)
        case "squash":
            framing = Framing(height, width, filter=chosen)
        case "longest":
            framing = Framing(height, width, "pad", None, chosen, int(fill[0] if isinstance(fill, list) else fill))
        case _:
            raise ValueError(f"resize_mode {mode!r}; expected shortest, longest or squash")
    return _of_shares(record, framing)


def _of_timm(record: Record) -> Preprocessing:
    _, height, width = record["input_size"]
    chosen, mode = _filter_named(record["interpolation"]), record.get("crop_mode") or "center"
    if mode not in ("center", "squash"):
        raise ValueError(f"crop_mode {mode!r}; expected center or squash")
    edge = int(min(height, width) / float(record["crop_pct"]))
    fit = _edge(edge, height, width)
    framing = (
        Framing(height, width, "crop", fit, chosen)
        if mode == "center"
        else Framing(height, width, "stretch", fit, chosen)
    )
    return _of_shares(record, framing)


def _of_shares(record: Record, framing: Framing) -> Preprocessing:
    """Convert mean and standard deviation of pixels from 0 to 1."""
    mean, std = _triple(record["mean"]), _triple(record["std"])
    return _made("rgb", [255 * one for one in mean], [255 * one for one in std], framing)


def _made(order: str, mean: list[float], std: list[float], framing: Framing) -> Preprocessing:
    # By way of the text, which is what features are identified by.
    numbers = ",".join(repr(round(one, 6)) for one in (*mean, *std))
    colors = Preprocessing.parse(f"{order},{numbers}")
    return Preprocessing(colors.order, colors.mean, colors.std, framing, has_size=True)


def _edge(edge: int, height: int, width: int) -> int | None:
    return None if edge == min(height, width) else edge


def _filter_named(name: str) -> Filter:
    for one in FILTERS:
        if one == name:
            return one
    raise ValueError(f"interpolation {name!r}; expected {', '.join(FILTERS)}")


def _pair(size: Any) -> tuple[int, int]:
    if isinstance(size, dict):
        return int(size["height"]), int(size["width"])
    if isinstance(size, list):
        height, width = size
        return int(height), int(width)
    return int(size), int(size)


def _triple(values: Any) -> Triple:
    red, green, blue = (float(one) for one in values)
    return red, green, blue
