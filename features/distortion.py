"""Distort posters as copies differ: cropped, mirrored, recolored, recompressed, lettered over, photographed askew."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

Kind = Literal["cropped", "mirrored", "recolored", "recompressed", "lettered", "askew"]
KINDS: tuple[Kind, ...] = get_args(Kind)
STRENGTHS = (1, 2, 3, 4)
"""From barely visible to heavy."""

# By strength. Shares are of width and height.
_CUT = (0.04, 0.08, 0.16, 0.28)
_HUE, _LIGHT = (0.02, 0.05, 0.12, 0.25), (0.08, 0.15, 0.25, 0.4)
_SCALE, _QUALITY = (0.8, 0.6, 0.45, 0.3), (60, 40, 20, 10)
_BANDS, _BAND = (1, 1, 2, 3), (0.06, 0.12, 0.12, 0.14)
_ANGLE, _SHIFT, _MARGIN = (1.0, 2.0, 4.0, 7.0), (0.01, 0.02, 0.05, 0.09), (0.01, 0.02, 0.05, 0.1)
_LETTERS = "ABDEGIKLMNOPRSTUVZ"
_Draw = Callable[[Image.Image, int, np.random.Generator], Image.Image]


def strengths_of(kind: Kind) -> tuple[int, ...]:
    """Return the strengths of a kind of distortion: 1 to 4; a mirrored poster has no degrees."""
    return STRENGTHS[:1] if kind == "mirrored" else STRENGTHS


def distort(image: Image.Image, kind: Kind, strength: int, seed: int = 0) -> Image.Image:
    """Distort an image; the same seed cuts, colors and letters in the same way."""
    if strength not in strengths_of(kind):
        raise ValueError(f"expected a strength of {strengths_of(kind)} for {kind}, received {strength}")
    rng = np.random.default_rng([seed, KINDS.index(kind), strength])
    return _DRAW[kind](image.convert("RGB"), strength - 1, rng)


def _cropped(image: Image.Image, step: int, rng: np.random.Generator) -> Image.Image:
    width, height = (max(1, round(side * (1 - _CUT[step]))) for side in image.size)
    left, top = (int(rng.integers(0, spare + 1)) for spare in (image.width - width, image.height - height))
    return image.crop((left, top, left + width, top + height))


def _mirrored(image: Image.Image, _step: int, _rng: np.random.Generator) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _recolored(image: Image.Image, step: int, rng: np.random.Generator) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    turn = round(256 * _HUE[step]) * int(rng.choice((-1, 1)))
    turned = hue.point([(level + turn) % 256 for level in range(256)])
    colored = Image.merge("HSV", (turned, saturation, value)).convert("RGB")
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        colored = enhance(colored).enhance(1 + _LIGHT[step] * float(rng.choice((-1, 1))))
    return colored


def _recompressed(image: Image.Image, step: int, _rng: np.random.Generator) -> Image.Image:
    width, height = (max(8, round(side * _SCALE[step])) for side in image.size)
    stream = io.BytesIO()
    image.resize((width, height), Image.Resampling.BILINEAR).save(stream, "JPEG", quality=_QUALITY[step])
    with Image.open(stream) as compressed:
        return compressed.convert("RGB")


def _lettered(image: Image.Image, step: int, rng: np.random.Generator) -> Image.Image:
    lettered = image.copy()
    for _ in range(_BANDS[step]):
        _write_line(lettered, max(8, round(image.height * _BAND[step])), rng)
    return lettered


def _write_line(image: Image.Image, height: int, rng: np.random.Generator) -> None:
    """Write a line of capitals on a bar of another color, at any height."""
    pen, top = ImageDraw.Draw(image), int(rng.integers(0, max(1, image.height - height)))
    paper, ink = (tuple(rng.integers(*levels, 3).tolist()) for levels in ((0, 90), (170, 256)))
    pen.rectangle((0, top, image.width, top + height), fill=paper)
    text = "".join(rng.choice(list(_LETTERS), 24).tolist())
    pen.text((4, top + height // 2), text, fill=ink, font=ImageFont.load_default(max(10, 0.8 * height)), anchor="lm")


def _askew(image: Image.Image, step: int, rng: np.random.Generator) -> Image.Image:
    """Photograph a poster on a wall: turned, seen from a side, unevenly lit."""
    width, height = image.size
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    angle = np.radians(_ANGLE[step]) * rng.choice((-1, 1))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    center = corners.mean(axis=0)
    seen = (corners - center) @ turn * (1 - 2 * _MARGIN[step]) + center
    seen += rng.uniform(-_SHIFT[step], _SHIFT[step], (4, 2)) * (width, height)
    wall = tuple(rng.integers(60, 200, 3).tolist())
    resampling = Image.Resampling.BICUBIC
    photo = image.transform(
        image.size, Image.Transform.PERSPECTIVE, _perspective(seen, corners), resampling, fillcolor=wall
    )
    light = np.linspace(1 - _LIGHT[step] / 2, 1, width)[:: int(rng.choice((-1, 1)))]
    return Image.fromarray((np.asarray(photo) * light[None, :, None]).astype(np.uint8))


def _perspective(seen: npt.NDArray[np.float64], corners: npt.NDArray[np.float64]) -> list[float]:
    """Return Pillow's 8 coefficients of the map from where corners are seen to where they were."""
    rows, values = [], []
    for (x, y), (u, v) in zip(seen, corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    solved: list[float] = np.linalg.solve(np.array(rows), np.array(values)).tolist()
    return solved


_DRAW: dict[Kind, _Draw] = {
    "cropped": _cropped,
    "mirrored": _mirrored,
    "recolored": _recolored,
    "recompressed": _recompressed,
    "lettered": _lettered,
    "askew": _askew,
}
