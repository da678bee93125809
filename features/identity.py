"""The identity of features: what determines their numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from features.framing import Framing, Resize
from features.preprocessing import Preprocessing


@dataclass(frozen=True)
class Identity:
    """What features were computed by; features can be compared only if their identities are equal."""

    backbone: str
    weights_sha256: str
    architecture_sha256: str
    resize: str
    n_features: int
    preprocessing: str = "caffe"  # the text of a Preprocessing
    flatten: str = "height,width,channel"  # the order of raw features
    pooling: str = "raw"
    whitening_sha256: str | None = None

    @property
    def framing(self) -> Framing:
        """How pictures become the pixels that the network takes."""
        return Resize(self.resize).applied_to(Preprocessing.parse(self.preprocessing).framing)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        pooled = "" if self.pooling == "raw" else f", {self.pooling}"
        # Features had no other for long, so only another is worth a word.
        preprocessed = "" if self.preprocessing == "caffe" else f", preprocessing {self.preprocessing}"
        whitened = f", whitening {self.whitening_sha256[:8]}" if self.whitening_sha256 else ""
        return (
            f"{self.backbone} ({self.n_features} columns, weights {self.weights_sha256[:8]}, layers "
            f"{self.architecture_sha256[:8]}, resize {self.resize}{preprocessed}{pooled}{whitened})"
        )
