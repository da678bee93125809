"""The preprocessing that networks expect, and the type of a network in use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

CAFFE_MEAN = (103.939, 116.779, 123.68)
"""Of ImageNet's blue, green and red, as ``keras.applications.vgg16.preprocess_input`` subtracts it."""

Infer = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
"""A full batch of pictures, red, green, blue, to the network's output."""
