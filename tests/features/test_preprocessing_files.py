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
            {"size": 224, "do_center_crop": True, "crop_size": 224, "resample": 3, "do_normalize": True, **CLIP},
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
        ({"size": 224, "resample": 3, "do_center_crop": True, **HALF}, "it lacks crop_size"),
        ({"size": {"shortest_edge": 224}, "resample": 3, **HALF}, "gives pictures of many shapes"),
        ({"size": 224, "resample": 9, **HALF}, "resample 9 is none of Pillow's filters"),
        ({"size": 224, "resample": 3, "do_pad": True, **HALF}, "do_pad is not supported"),
        ({"size": 224, "interpolation": "random", **SHARES}, "interpolation 'random'; expected nearest"),
        ({"size": 224, "interpolation": "bicubic", "resize_mode": "best", **SHARES}, "resize_mode 'best'"),
        ({"size": "big", "resample": 3, **HALF}, "invalid literal"),
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


@pytest.mark.parametrize(("content", "reason"), [("{", "is not a JSON file"), ("[]", "holds no JSON object")])
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
