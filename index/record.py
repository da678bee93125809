"""What ``index.json`` records of an index: how it was built, what was measured, how it has grown since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from index import manifest
from index.embedding import Similarity
from index.options import Target

# Films added later fit the basis worse than those it was fitted on; beyond this, it should be fitted anew.
_DRIFT_BOUND = 1.15
_DRIFT_FILMS = 50


@dataclass(frozen=True)
class Growth:
    """How well a basis fits the films added after it was fitted.

    A residual is what the basis leaves out: the mean squared length of the rest, in [0, 1]. `residual_fitted` is that
    of films held out from fitting, because the basis suits those it was fitted on better than any others.
    """

    n_fitted: int
    residual_fitted: float = 0.0
    n_added: int = 0
    residual_added: float = 0.0

    @property
    def drift(self) -> float:
        """How much more the basis leaves out of added films than of the others; 1 for no more."""
        if not self.n_added or not self.residual_fitted:
            return 1.0
        return self.residual_added / self.residual_fitted

    @property
    def is_too_much(self) -> bool:
        """Whether the index should be built anew."""
        drifted = self.n_added >= _DRIFT_FILMS and self.drift > _DRIFT_BOUND
        return drifted or self.n_added > self.n_fitted

    def after(self, residuals: npt.NDArray[np.floating]) -> Growth:
        """Count added films, by the residual of each."""
        n_added = self.n_added + len(residuals)
        total = self.residual_added * self.n_added + float(residuals.sum())
        return replace(self, n_added=n_added, residual_added=total / max(n_added, 1))


@dataclass(frozen=True)
class Latency:
    """Milliseconds per query for ten hits: of single queries, and of one in a batch."""

    average: float
    p99: float
    batched: float


@dataclass(frozen=True)
class Quality:
    """What an index achieves on films whose true neighbors are known."""

    n_queries: int
    # The share of the k truly nearest films that is found, by k.
    recall: Mapping[int, float]
    target_recall: float
    target_met: bool
    latency: Latency

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "n_queries": self.n_queries,
            "recall": {str(k): value for k, value in self.recall.items()},
            "target_recall": self.target_recall,
            "target_met": self.target_met,
            "latency_ms": asdict(self.latency),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Quality:
        """Invert `to_dict`; ignores other entries."""
        return cls(
            content["n_queries"],
            {int(k): value for k, value in content["recall"].items()},
            content["target_recall"],
            content["target_met"],
            Latency(**content["latency_ms"]),
        )


@dataclass(frozen=True)
class BuildRecord:
    """How an index was built."""

    target: Target
    # Why it is of its kind, and why it compares what it does.
    reason: str
    similarity_reason: str
    # The memory that a query needs at most.
    memory_bytes: int
    build_s: float
    quality: Quality

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "asked": asdict(self.target),
            "kind_because": self.reason,
            "memory_bytes": self.memory_bytes,
            "build_s": self.build_s,
            **self.quality.to_dict(),
            "similarity_because": self.similarity_reason,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> BuildRecord:
        """Invert `to_dict`."""
        return cls(
            # Indexes that were built before there were others compare features as they are.
            Target(**{"similarity": "cosine"} | content["asked"]),
            content["kind_because"],
            content.get("similarity_because", ""),
            content["memory_bytes"],
            content["build_s"],
            Quality.from_dict(content),
        )


@dataclass(frozen=True)
class IndexRecord:
    """What is known of an index without opening its other files."""

    kind: str
    n_films: int
    n_features: int
    centered: bool
    # What its kind needs beside its files, such as the lengths of shortlists.
    settings: Mapping[str, Any]
    growth: Growth
    # Why films are not in the index, by movie_id.
    left_out: Mapping[int, str]
    # Which films and posters it was built from.
    fingerprint: str
    # What the features are of: backbone, n_features, hash of the weights and the like.
    identity: Mapping[str, Any]
    build: BuildRecord
    # What is compared; and the embedding, if there is one: its parts, the number of films, its hash.
    similarity: Similarity = "cosine"
    embedding: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the entries of ``index.json``."""
        return {
            "type": self.kind,
            "n_films": self.n_films,
            "n_features": self.n_features,
            "centred": self.centered,
            "settings": dict(self.settings),
            "growth": asdict(self.growth),
            "drift": round(self.growth.drift, 4),
            "left_out": {str(movie_id): reason for movie_id, reason in self.left_out.items()},
            "fingerprint": self.fingerprint,
            "identity": dict(self.identity),
            "report": self.build.to_dict(),
            "similarity": self.similarity,
            "embedding": None if self.embedding is None else dict(self.embedding),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> IndexRecord:
        """Invert `to_dict`; raise KeyError, TypeError or ValueError where entries are missing or malformed."""
        return cls(
            kind=content["type"],
            n_films=content["n_films"],
            n_features=content["n_features"],
            centered=content["centred"],
            settings=content["settings"],
            growth=Growth(**content["growth"]),
            left_out={int(movie_id): reason for movie_id, reason in content["left_out"].items()},
            fingerprint=content["fingerprint"],
            identity=content["identity"],
            build=BuildRecord.from_dict(content["report"]),
            similarity=content.get("similarity", "cosine"),
            embedding=content.get("embedding"),
        )

    @classmethod
    def read(cls, folder: Path) -> IndexRecord:
        """Read the record of an index; raise NotBuiltError or DataError as `manifest.read`."""
        try:
            return cls.from_dict(manifest.read(folder))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise manifest.damaged(folder, error) from error
