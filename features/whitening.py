"""Whitening of pooled descriptors."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from catalog.errors import DamageError, DataError
from catalog.io.files import FORMAT_ERRORS, MAX_INPUT_BYTES, is_read_failure, read_bytes, read_error, write_bytes
from catalog.io.remote import AnyPath
from features.pooling import Floats, unit

# Relative to the mean variance: without it, directions in which the sample hardly varies would be amplified noise.
_RIDGE = 1e-2
# Relative to the squared mean: copies of one image vary by rounding errors.
_NO_VARIANCE = 1e-12


@dataclass(frozen=True)
class Whitening:
    """A linear map after which all directions of a sample of descriptors have about the same variance.

    References
    ----------
    .. [1] H. Jégou, O. Chum, "Negative evidences and co-occurrences in image retrieval: the benefit of PCA and
       whitening", ECCV 2012.
    """

    mean: Floats  # (d,)
    projection: Floats  # (d, d): the principal directions, each divided by its standard deviation

    @classmethod
    def fit(cls, descriptors: Floats) -> Whitening:
        """Learn from descriptors (n, d).

        With fewer than d descriptors nothing is known of some directions, which then count little.
        """
        if len(descriptors) < 2:
            raise DataError(f"{len(descriptors)} images are too few to learn a whitening from; expected 2 or more")
        sample = descriptors.astype(np.float64)
        mean = sample.mean(axis=0)
        variances, directions = np.linalg.eigh(np.atleast_2d(np.cov(sample - mean, rowvar=False)))
        if not variances.sum() > _NO_VARIANCE * np.square(mean).sum():
            raise DataError(
                f"the features of these {len(descriptors)} images are all the same; a whitening is learned from how "
                "images differ"
            )
        scales = 1 / np.sqrt(variances.clip(min=0) + _RIDGE * variances.mean())
        return cls(mean.astype(np.float32), (directions * scales).astype(np.float32))

    def __call__(self, descriptors: Floats) -> Floats:
        """Whiten descriptors (n, d); the results have unit length."""
        # A matrix product sums in an order that depends on the number of rows. In float64 the difference is below the
        # rounding to float32, so that an image's row does not depend on its batch.
        centered = descriptors.astype(np.float64) - self.mean
        return unit(centered @ self.projection.astype(np.float64))

    @cached_property
    def sha256(self) -> str:
        """The hash of its numbers, part of the features' identity."""
        return hashlib.sha256(self.mean.tobytes() + self.projection.tobytes()).hexdigest()

    def save(self, path: AnyPath) -> None:
        stream = io.BytesIO()
        np.savez(stream, mean=self.mean, projection=self.projection)
        write_bytes(path, stream.getvalue())

    @classmethod
    def open(cls, path: AnyPath) -> Whitening:
        try:
            with np.load(io.BytesIO(read_bytes(path, MAX_INPUT_BYTES)), allow_pickle=False) as arrays:
                return cls(arrays["mean"], arrays["projection"])
        except FileNotFoundError:
            raise
        except (DataError, *FORMAT_ERRORS) as error:
            if is_read_failure(error):
                raise read_error(path, error) from error
            raise DamageError(f"{path} is damaged ({error}); run `keyart extract --rebuild`") from error
