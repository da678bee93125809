"""The main colors of a picture."""

from __future__ import annotations

import numpy as np
from PIL import Image

_SIDE = 96


def palette_of(image: Image.Image, n_colors: int = 5) -> list[tuple[str, float]]:
    """Return colors as ``#rrggbb`` with the share of the picture that each covers, the largest first."""
    small = image.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    reduced = small.quantize(n_colors, Image.Quantize.MEDIANCUT, kmeans=2)
    values = np.array(reduced.getpalette(), np.uint8).reshape(-1, 3)
    counts = np.bincount(np.asarray(reduced).ravel())
    # Two entries may have come to the same color.
    shares: dict[str, float] = {}
    for entry in np.argsort(-counts, kind="stable")[:n_colors].tolist():
        if counts[entry]:
            color = f"#{values[entry].tobytes().hex()}"
            shares[color] = shares.get(color, 0.0) + counts[entry].item() / counts.sum().item()
    return list(shares.items())
