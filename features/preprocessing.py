"""How pixels become the input of a network, and the type of a compiled network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Infer: TypeAlias = "Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]"
"""Computes the network's output of a full batch of RGB images (n, 224, 224, 3)."""

Triple = tuple[float, float, float]
_EXAMPLE = "ORDER,MEAN,STD as in rgb,127,128"
# Far beyond what networks are trained with, and far within float32.
_LARGEST, _SMALLEST_STD = 1e6, 1e-6


@dataclass(frozen=True)
class Preprocessing:
    """The order of the channels, and the mean to subtract from each and the standard deviation to divide it by.

    Both are of pixels from 0 to 255, in the order of the channels. The text of a record is the name of its preset or
    what `parse` reads as the same record; features are identified by it.
    """

    order: Literal["rgb", "bgr"]
    mean: Triple
    std: Triple

    @classmethod
    def parse(cls, text: str) -> Preprocessing:
        """Read the name of a preset, or ORDER,MEAN,STD with one or three numbers each; raises ValueError."""
        order, comma, numbers = text.strip().lower().partition(",")
        if not comma:
            return _preset(order)
        if order not in ("rgb", "bgr"):
            raise ValueError(f"expected the order rgb or bgr in {_EXAMPLE}, received {order!r}")
        values = [_number(one) for one in numbers.split(",")]
        if len(values) not in (2, 6):
            raise ValueError(
                "expected one mean and one standard deviation, or three means and then three standard deviations; "
                f"received {len(values)} numbers in {text!r}"
            )
        n_each = len(values) // 2
        return cls("rgb" if order == "rgb" else "bgr", _means(values[:n_each]), _deviations(values[n_each:]))

    def __str__(self) -> str:
        for name, preset in PRESETS.items():
            if self == preset:
                return name
        both = (self.mean, self.std)
        is_short = all(len(set(values)) == 1 for values in both)
        numbers = [value for values in both for value in (values[:1] if is_short else values)]
        return ",".join([self.order, *(repr(number).removesuffix(".0") for number in numbers)])


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
