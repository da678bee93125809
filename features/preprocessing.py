"""How a picture becomes the input of a network, and the type of a compiled network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from features.framing import FILTERS, FITS, SIDE, USUAL, Framing

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Infer: TypeAlias = "Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]"
"""Computes the network's output of a full batch of RGB images (n, height, width, 3)."""

Triple = tuple[float, float, float]
_EXAMPLE = "ORDER,MEAN,STD as in rgb,127,128"
_SETTINGS = "size=256, fit=crop, edge=292, filter=bilinear, fill=128, layout=nchw, output=NAME or tokens=first"
# Far beyond what networks are trained with, and far within float32.
_LARGEST, _SMALLEST_STD = 1e6, 1e-6
_LARGEST_SIDE = 4096
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "fit": FITS,
    "filter": FILTERS,
    "layout": ("nchw", "nhwc"),
    "tokens": ("first", "mean"),
}


@dataclass(frozen=True)
class Preprocessing:
    """Everything between an upright RGB picture and a network's input, and which of its outputs counts.

    Mean and standard deviation are of pixels from 0 to 255, in the order of the channels. The text of a record is the
    name of its preset or numbers, and the settings that are not those of most networks; `parse` reads it as the same
    record. Features are identified by it.
    """

    order: Literal["rgb", "bgr"]
    mean: Triple
    std: Triple
    framing: Framing = USUAL
    has_size: bool = False  # whether the text names a size; a network's own counts otherwise
    layout: Literal["nchw", "nhwc"] | None = None  # of an ONNX file, where its shape leaves it open
    output: str | None = None  # of an ONNX file with several
    tokens: Literal["first", "mean"] | None = None  # what is kept of an output (n, tokens, channels)

    @classmethod
    def parse(cls, text: str) -> Preprocessing:
        """Read the name of a preset, or ORDER,MEAN,STD with one or three numbers each, and settings; ValueError."""
        words = [word.strip() for word in text.strip().split(",")]
        n_plain = next((row for row, word in enumerate(words) if "=" in word), len(words))
        return _colors(",".join(words[:n_plain]), text).changed(words[n_plain:])

    def changed(self, settings: Sequence[str]) -> Preprocessing:
        """Change settings, as in ``size=256``; ValueError."""
        values = dict(_setting(word) for word in settings)
        if len(values) < len(settings):
            raise ValueError(f"expected each setting once in {','.join(settings)!r}")
        return _with_settings(self, values)

    def for_input(self, height: int | None, width: int | None) -> Preprocessing:
        """Complete by a network's own size, which is None where it takes any; ValueError if the two contradict."""
        framing = self.framing
        if not self.has_size:
            framing = replace(framing, height=height or SIDE, width=width or SIDE)
        if (height or framing.height, width or framing.width) != (framing.height, framing.width):
            raise ValueError(
                f"it takes {height or 'any'} × {width or 'any'} pixels, and the preprocessing makes "
                f"{framing.height} × {framing.width}"
            )
        # The size of most is left out of the text, and read as that of the network again.
        return replace(self, framing=framing, has_size=(framing.height, framing.width) != (SIDE, SIDE))

    def __str__(self) -> str:
        return ",".join([self._colors(), *(f"{name}={value}" for name, value in self._settings().items())])

    def _colors(self) -> str:
        for name, preset in PRESETS.items():
            if (self.order, self.mean, self.std) == (preset.order, preset.mean, preset.std):
                return name
        both = (self.mean, self.std)
        is_short = all(len(set(values)) == 1 for values in both)
        numbers = [value for values in both for value in (values[:1] if is_short else values)]
        return ",".join([self.order, *(repr(number).removesuffix(".0") for number in numbers)])

    def _settings(self) -> dict[str, Any]:
        framing, usual = self.framing, USUAL
        is_square = framing.height == framing.width
        size = str(framing.height) if is_square else f"{framing.height}x{framing.width}"
        settings = {"size": size if self.has_size else None}
        for name in ("fit", "edge", "filter", "fill"):
            value = getattr(framing, name)
            settings[name] = None if value == getattr(usual, name) else value
        settings |= {"layout": self.layout, "output": self.output, "tokens": self.tokens}
        return {name: value for name, value in settings.items() if value is not None}


def _colors(text: str, whole: str) -> Preprocessing:
    order, comma, numbers = text.lower().partition(",")
    if not comma:
        return _preset(order)
    if order not in ("rgb", "bgr"):
        raise ValueError(f"expected the order rgb or bgr in {_EXAMPLE}, received {order!r}")
    values = [_number(one) for one in numbers.split(",")]
    if len(values) not in (2, 6):
        raise ValueError(
            "expected one mean and one standard deviation, or three means and then three standard deviations; "
            f"received {len(values)} numbers in {whole!r}"
        )
    n_each = len(values) // 2
    return Preprocessing("rgb" if order == "rgb" else "bgr", _means(values[:n_each]), _deviations(values[n_each:]))


def _setting(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals:
        raise ValueError(f"expected settings such as {_SETTINGS} after the numbers, received {word!r}")
    return name.strip().lower(), value.strip()


def _with_settings(colors: Preprocessing, settings: dict[str, str]) -> Preprocessing:
    rest = dict(settings)
    framing: dict[str, Any] = {}
    if (size := rest.pop("size", None)) is not None:
        height, by, width = size.lower().partition("x")
        framing = {"height": _whole("size", height, 1, _LARGEST_SIDE)}
        framing["width"] = _whole("size", width, 1, _LARGEST_SIDE) if by else framing["height"]
    for name, least, most in (("edge", 1, _LARGEST_SIDE), ("fill", 0, 255)):
        if (value := rest.pop(name, None)) is not None:
            framing[name] = _whole(name, value, least, most)
    others: dict[str, Any] = {"output": rest.pop("output", colors.output)}
    if others["output"] == "":
        raise ValueError("expected output=NAME, received no name")
    for name, choices in _CHOICES.items():
        if (value := rest.pop(name, None)) is not None:
            (framing if name in ("fit", "filter") else others)[name] = _chosen(name, value.lower(), choices)
    if rest:
        raise ValueError(f"expected settings such as {_SETTINGS}, received {next(iter(rest))!r}")
    return replace(
        colors,
        framing=_checked(replace(colors.framing, **framing)),
        has_size=size is not None or colors.has_size,
        **others,
    )


def _checked(framing: Framing) -> Framing:
    if framing.edge is None:
        return framing
    if framing.fit == "pad":
        raise ValueError("edge goes with fit=stretch and fit=crop; a padded picture is not cut")
    return framing


def _whole(name: str, text: str, least: int, most: int) -> int:
    if not (text.strip().isdecimal() and least <= int(text) <= most):
        raise ValueError(f"expected {name}={least} to {most:,}, received {text.strip()!r}")
    return int(text)


def _chosen(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ValueError(f"expected {name}={' or '.join(choices)}, received {value!r}")
    return value


def _preset(name: str) -> Preprocessing:
    if name in PRESETS:
        return PRESETS[name]
    near = get_close_matches(name, PRESETS, 1)
    advice = f"did you mean {near[0]}?" if near else f"expected {', '.join(PRESETS)}, or {_EXAMPLE}"
    raise ValueError(f"no preprocessing is called {name!r}; {advice}")


def _number(text: str) -> float:
    try:
        # Not -0, which would be another text.
        return float(text) + 0.0
    except ValueError:
        raise ValueError(f"expected numbers in {_EXAMPLE}, received {text.strip()!r}") from None


def _means(values: Sequence[float]) -> Triple:
    for value in values:
        # NaN fails every comparison.
        if not abs(value) <= _LARGEST:
            raise ValueError(f"expected a mean from -{_LARGEST:,.0f} to {_LARGEST:,.0f}, received {value:g}")
    return _triple(values)


def _deviations(values: Sequence[float]) -> Triple:
    for value in values:
        if not _SMALLEST_STD <= value <= _LARGEST:
            raise ValueError(
                f"expected a standard deviation from {_SMALLEST_STD:f} to {_LARGEST:,.0f}, received {value:g}"
            )
    return _triple(values)


def _triple(values: Sequence[float]) -> Triple:
    first, second, third = [*values] * 3 if len(values) == 1 else values
    return first, second, third


CAFFE = Preprocessing("bgr", (103.939, 116.779, 123.68), (1.0, 1.0, 1.0))
"""That of VGG16: ``keras.applications.vgg16.preprocess_input``."""

PRESETS = {
    "caffe": CAFFE,
    "tf": Preprocessing("rgb", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "torch": Preprocessing("rgb", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}
"""The modes of ``keras.applications.imagenet_utils.preprocess_input``, for pixels from 0 to 255."""
