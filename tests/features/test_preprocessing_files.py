from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from catalog.errors import ConfigError, DataError
from features.preprocessing_files import file_beside, preprocessing_from, read_preprocessing

CLIP = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
SHARES = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
CLIP_TEXT = "rgb,122.770938,116.746013,104.093736,68.500533,66.632158,70.323163"


@pytest.mark.parametrize(
    ("record", "text"),
    [
        # CLIP, of an early and a late transformers.
        (
            {
                "feature_extractor_type": "CLIPFeatureExtractor",
                "size": 224,
                "do_center_crop": True,
                "crop_size": 224,
                "resample": 3,
                "do_normalize": True,
                **CLIP,
            },
            f"{CLIP_TEXT},size=224,fit=crop",
        ),
        (
            {
                "do_convert_rgb": True,
                "size": {"shortest_edge": 224},
                "do_center_crop": True,
                "crop_size": {"height": 224, "width": 224},
                "resample": 3,
                "rescale_factor": 0.00392156862745098,
                **CLIP,
            },
            f"{CLIP_TEXT},size=224,fit=crop",
        ),
        # ViT, of an early and a late one; SigLIP.
        ({"size": 224, "resample": 2, **HALF}, "tf,size=224,filter=bilinear"),
        ({"size": {"height": 256, "width": 192}, "resample": 3, **HALF}, "tf,size=256x192"),
        # DINOv2, EfficientNet, ConvNeXt of two sizes.
        (
            {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": 224, "resample": 3, **IMAGENET},
            "torch,size=224,fit=crop,edge=256",
        ),
        (
            {
                "size": {"height": 346, "width": 346},
                "do_center_crop": True,
                "crop_size": {"height": 289, "width": 289},
                "resample": 0,
                "rescale_offset": True,
                "rescale_factor": 1 / 127.5,
                "do_normalize": False,
            },
            "tf,size=289,edge=346,filter=nearest",
        ),
        (
            {"size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": 3, **IMAGENET},
            "torch,size=224,fit=crop,edge=256",
        ),
        ({"size": {"shortest_edge": 384}, "crop_pct": 1.0, "resample": 3, **IMAGENET}, "torch,size=384"),
        # As older transformers wrote them: ConvNeXt, DeiT and EfficientNet, which divides twice.
        (
            {
                "feature_extractor_type": "ConvNextFeatureExtractor",
                "size": 192,
                "crop_pct": 0.75,
                "resample": 3,
                **HALF,
            },
            "tf,size=192,fit=crop,edge=256",
        ),
        (
            {"image_processor_type": "ConvNextImageProcessorFast", "size": 384, "resample": 2, **HALF},
            "tf,size=384,filter=bilinear",
        ),
        (
            {
                "feature_extractor_type": "DeiTFeatureExtractor",
                "size": 256,
                "do_center_crop": True,
                "crop_size": 224,
                "resample": 3,
                **HALF,
            },
            "tf,size=224,edge=256",
        ),
        (
            {
                "image_processor_type": "EfficientNetImageProcessor",
                "size": {"height": 240, "width": 240},
                "do_center_crop": False,
                "include_top": True,
                "resample": 0,
                **HALF,
            },
            "rgb,127.5,63.75,size=240,filter=nearest",
        ),
        (
            {
                "image_processor_type": "MobileViTImageProcessor",
                "size": {"shortest_edge": 288},
                "do_center_crop": True,
                "crop_size": {"height": 256, "width": 256},
                "do_flip_channel_order": True,
                "resample": 2,
            },
            "bgr,0,255,size=256,fit=crop,edge=288,filter=bilinear",
        ),
        ({"size": 224, "do_center_crop": False, "default_to_square": True, "resample": 3, **HALF}, "tf,size=224"),
        # MobileViT: channels flipped, no normalization.
        (
            {"size": [256, 256], "resample": 2, "do_normalize": False, "do_flip_channel_order": True},
            "bgr,0,255,size=256,filter=bilinear",
        ),
        ({"size": 224, "resample": 3, "do_rescale": False, "do_normalize": False}, "rgb,0,1,size=224"),
        # OpenCLIP and timm.
        ({"size": 224, "interpolation": "bicubic", "resize_mode": "shortest", **SHARES}, "torch,size=224,fit=crop"),
        (
            {"size": [256, 256], "interpolation": "bilinear", "resize_mode": "squash", **SHARES},
            "torch,size=256,filter=bilinear",
        ),
        (
            {"size": 224, "interpolation": "bicubic", "resize_mode": "longest", "fill_color": 128, **SHARES},
            "torch,size=224,fit=pad,fill=128",
        ),
        (
            {
                "model_cfg": {"vision_cfg": {"image_size": 384}},
                "preprocess_cfg": {"interpolation": "bicubic", "resize_mode": "squash", **SHARES},
            },
            "torch,size=384",
        ),
        (
            {"pretrained_cfg": {"input_size": [3, 224, 224], "interpolation": "bicubic", "crop_pct": 0.9, **SHARES}},
            "torch,size=224,fit=crop,edge=248",
        ),
        # keyart's own.
        ({"preprocessing": "rgb,127,128,size=256,output=pooled"}, "rgb,127,128,size=256,output=pooled"),
    ],
)
def test_published_records_are_read_as_they_are(tmp_path: Path, record: dict[str, Any], text: str) -> None:
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(record))
    assert str(preprocessing_from(str(path))) == text
    # The text alone is enough.
    assert str(preprocessing_from(text)) == text


def test_settings_complete_a_file(tmp_path: Path) -> None:
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({"size": 192, "resample": 2, **HALF}))
    text = "tf,size=192,filter=bilinear,output=last_hidden_state,tokens=first"
    assert str(preprocessing_from(f"{path}, output=last_hidden_state,tokens=first")) == text
    assert str(preprocessing_from(f"{path},size=64,filter=bicubic")) == "tf,size=64"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"size": 224, **HALF}, "it lacks resample"),
        ({"resample": 3, **HALF}, "it lacks size"),
        ({"size": 224, "resample": 3, "image_mean": [0, 0, 0]}, "it lacks image_std"),
        ({"size": {"shortest_edge": 9}, "resample": 3, "do_center_crop": True, **HALF}, "it lacks crop_size"),
        ({"size": 256, "crop_size": 224, "resample": 3, "do_center_crop": True, **HALF}, "size 256 may be the shorter"),
        ({"size": {"shortest_edge": 224}, "resample": 3, **HALF}, "gives pictures of many shapes"),
        ({"size": 224, "resample": 9, **HALF}, "resample 9 is none of Pillow's filters"),
        ({"size": 224, "resample": 3, "do_pad": True, **HALF}, "do_pad is not supported"),
        ({"size": 224, "interpolation": "random", **SHARES}, "interpolation 'random'; expected nearest"),
        ({"size": 224, "interpolation": "bicubic", "resize_mode": "best", **SHARES}, "resize_mode 'best'"),
        ({"size": "big", "resample": 3, **HALF}, "size 'big'; expected a number"),
        ({"architectures": ["CLIPModel"]}, "expected the keys of preprocessor_config.json"),
        ({"preprocessing": "cafe"}, "no preprocessing is called 'cafe'; did you mean caffe"),
    ],
)
def test_what_a_record_leaves_open_is_asked_for(tmp_path: Path, record: dict[str, Any], reason: str) -> None:
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(record))
    with pytest.raises(
        DataError, match=rf"preprocessor_config\.json does not say how .*{reason}.*--preprocessing TEXT"
    ):
        read_preprocessing(path)


USUAL = {"size": 224, "resample": 3, **HALF}
OPEN_CLIP = {"size": 224, "interpolation": "bicubic", "resize_mode": "longest", **SHARES}
TIMM = {"input_size": [3, 224, 224], "interpolation": "bicubic", "crop_pct": 1, **SHARES}


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ({"do_thumbnail": True}, "do_thumbnail is not supported"),
        ({"do_color_quantize": True}, "do_color_quantize is not supported"),
        ({"keep_aspect_ratio": True, "ensure_multiple_of": 32}, "keep_aspect_ratio is not supported"),
        ({"auto_map": {"AutoImageProcessor": "code.Processor"}}, "auto_map is not supported"),
        ({"image_processor_type": "LevitImageProcessor"}, "what LevitImageProcessor does is not known here"),
        ({"feature_extractor_type": "PoolFormerFeatureExtractor"}, "what PoolFormerFeatureExtractor does"),
        ({"image_processor_type": "CLIPImageProcessor"}, "it lacks do_center_crop"),
        ({"image_processor_type": "EfficientNetImageProcessor", "do_center_crop": False}, "it lacks include_top"),
        ({"image_processor_type": "ConvNextImageProcessor"}, "it lacks crop_pct"),
        ({"image_processor_type": "ViTImageProcessor", "do_center_crop": True}, "none of the steps of ViT"),
        ({"do_center_crop": True, "crop_size": 224, "crop_pct": 0.9}, "crop_pct with do_center_crop"),
        ({"do_flip_channel_order": True}, "do_flip_channel_order with do_normalize"),
        ({"size": {"shortest_edge": 224, "longest_edge": 400}}, "gives pictures of many shapes"),
    ],
)
def test_steps_that_are_not_known_are_refused(tmp_path: Path, steps: dict[str, Any], reason: str) -> None:
    _assert_refused(tmp_path, USUAL | steps, reason)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (USUAL | {"size": -5}, "size=1 to 4,096, received '-5'"),
        (USUAL | {"size": 0}, "size=1 to 4,096"),
        (USUAL | {"size": True}, "size True; expected a number"),
        (USUAL | {"size": float("inf")}, "size inf; expected a number"),
        (USUAL | {"size": 10**400}, "expected a number"),
        (USUAL | {"size": 99.5}, "size 99.5; expected a whole number"),
        (USUAL | {"size": {"shortest_edge": 20_000}, "do_center_crop": True, "crop_size": 224}, "edge=1 to 4,096"),
        (USUAL | {"rescale_factor": 0}, "rescale_factor 0; expected a number above 0"),
        (USUAL | {"rescale_factor": 1e-320}, "expected a mean from"),
        (USUAL | {"crop_pct": 0}, "crop_pct 0; expected 0.01 to 1"),
        (USUAL | {"crop_pct": -1}, "crop_pct -1; expected 0.01 to 1"),
        (USUAL | {"image_mean": "abc"}, "image_mean 'abc'; expected three numbers"),
        (USUAL | {"image_std": [0, 0, 0]}, "expected a standard deviation"),
        (USUAL | {"resample": True}, "resample True is none of Pillow's filters"),
        (TIMM | {"crop_pct": 1e-320}, "crop_pct .*; expected 0.01 to 1"),
        (TIMM | {"input_size": "224"}, "input_size '224'; expected 3, height and width"),
        (TIMM | {"input_size": [1, 224, 224]}, "expected 3, height and width"),
        (OPEN_CLIP | {"fill_color": []}, "expected one level of gray"),
        (OPEN_CLIP | {"fill_color": [0, 128, 255]}, "expected one level of gray"),
        (OPEN_CLIP | {"fill_color": 999}, "fill=0 to 255, received '999'"),
        (OPEN_CLIP | {"size": [1, 2, 3]}, "expected height and width"),
        (OPEN_CLIP | {"interpolation": ["bicubic"]}, "expected nearest"),
        ({"preprocess_cfg": {**SHARES, "interpolation": "bicubic"}, "model_cfg": ["x"]}, "it lacks size"),
        ({"preprocess_cfg": {**SHARES, "interpolation": "bicubic"}, "model_cfg": {"vision_cfg": "x"}}, "it lacks size"),
    ],
)
def test_values_of_a_record_are_checked_as_those_of_a_text(tmp_path: Path, record: dict[str, Any], reason: str) -> None:
    _assert_refused(tmp_path, record, reason)


def _assert_refused(folder: Path, record: dict[str, Any], reason: str) -> None:
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match=rf"preprocessor_config\.json does not say how .*{reason}") as raised:
        read_preprocessing(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("record", "settings", "text"),
    [
        ({"size": 192, **HALF}, "filter=bilinear", "tf,size=192,filter=bilinear"),
        (
            {"size": {"shortest_edge": 9}, "do_center_crop": True, "crop_size": 8, **HALF},
            "filter=box",
            "tf,size=8,fit=crop,edge=9,filter=box",
        ),
        ({"resample": 2, **HALF}, "size=96x64", "tf,size=96x64,filter=bilinear"),
        ({"resize_mode": "squash", **SHARES}, "filter=nearest,size=64", "torch,size=64,filter=nearest"),
        ({"input_size": [3, 64, 64], "crop_pct": 1.0, **SHARES}, "filter=box", "torch,size=64,fit=crop,filter=box"),
    ],
)
def test_settings_say_what_a_record_lacks(tmp_path: Path, record: dict[str, Any], settings: str, text: str) -> None:
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(record))
    assert str(preprocessing_from(f"{path},{settings}")) == text


@pytest.mark.parametrize(
    ("content", "reason"),
    [("{", "is not a JSON file"), ("[" * 100_000, "is not a JSON file"), ("[]", "holds no JSON object")],
)
def test_a_file_that_is_no_record_is_named(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(DataError, match=rf"p\.json {reason}"):
        preprocessing_from(str(tmp_path / "p.json"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--preprocessing .*p\.json: no such file"):
        preprocessing_from(str(tmp_path / "p.json"))


def test_the_file_of_the_same_name_comes_first(tmp_path: Path) -> None:
    network = tmp_path / "network.onnx"
    assert file_beside(network) is None
    for name in ("preprocessor_config.json", "network.json"):
        (tmp_path / name).write_text("{}")
        assert file_beside(network) == tmp_path / name
