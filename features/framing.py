"""How an upright picture of any size becomes the pixels that a network takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal, get_args

Fit = Literal["stretch", "crop", "pad"]
Filter = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
FITS: tuple[Fit, ...] = get_args(Fit)
FILTERS: tuple[Filter, ...] = get_args(Filter)

SIDE = 224
"""The side of a network's square input, where nothing else is said."""


@dataclass(frozen=True)
class Framing:
    """Size, fit and filter.

    ``stretch`` changes the aspect ratio, ``crop`` cuts off what is beyond the center, ``pad`` adds gray of the level
    `fill` on two sides. With `edge`, the picture is first brought to a size with this shorter edge, and then its center
    is cut out.
    """

    height: int = SIDE
    width: int = SIDE
    fit: Fit = "stretch"
    edge: int | None = None
    filter: Filter = "bicubic"
    fill: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the pixels."""
        return self.height, self.width, 3

    def scaled_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height to which a picture is resized before it is cropped or padded."""
        edge = self.edge or min(self.height, self.width)
        target_width = round(self.width * edge / min(self.height, self.width))
        target_height = round(self.height * edge / min(self.height, self.width))
        if self.fit == "stretch":
            return target_width, target_height
        is_wider = width * target_height > height * target_width
        # A wide picture has the target's height if it is cropped, and its width if it is padded.
        if is_wider == (self.fit == "crop"):
            return max(1, width * target_height // height), target_height
        return target_width, max(1, height * target_width // width)


USUAL = Framing()
"""That of most networks, and of VGG16."""


class Resize(StrEnum):
    """How pictures are resized; the other way is the network's own filter."""

    ANTIALIAS = "antialias"
    """With a low-pass filter as wide as the reduction: every pixel of the poster counts."""

    NEAREST = "nearest"
    """One pixel out of many, as in ``keras.utils.load_img`` and the original article."""

    def applied_to(self, framing: Framing) -> Framing:
        """Return a framing that resizes in this way."""
        return replace(framing, filter="nearest") if self is Resize.NEAREST else framing
