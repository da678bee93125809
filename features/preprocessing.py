"""The preprocessing that networks expect, and the type of a compiled network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

CAFFE_MEAN = (103.939, 116.779, 123.68)
"""The mean blue, green and red of ImageNet, which ``keras.applications.vgg16.preprocess_input`` subtracts."""

Infer = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
"""Computes the network's output of a full batch of RGB images (n, 224, 224, 3)."""
