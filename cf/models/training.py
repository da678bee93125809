"""How networks of Keras are trained here: on arrays in memory, the same for the same seed, nothing said on the way.

Keras' backend takes seconds to import, so that happens in the functions. Keras' own seeds are the whole process's;
these are not touched. Weights are drawn, and ratings shuffled, by a generator of the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError
from catalog.io.keras import import_keras

_BATCH_SIZE = 1024
# With fewer steps an epoch, a small set of ratings would hardly be learned.
_LEAST_STEPS = 32
_SMALLEST_BATCH = 16


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is trained; without a batch size, a suitable one is chosen."""

    n_epochs: int
    batch_size: int | None
    learning_rate: float
    decay: bool  # to 0, along half a cosine
    optimizer: str = "adam"


def train(
    model: Any,
    inputs: Sequence[npt.NDArray[Any]],
    stars: npt.NDArray[np.float32],
    rng: np.random.Generator,
    options: TrainingOptions,
) -> None:
    """Train a network on ratings, with the mean squared error as loss."""
    keras = import_keras()
    size = options.batch_size or min(_BATCH_SIZE, max(_SMALLEST_BATCH, len(stars) // _LEAST_STEPS))
    n_steps = -(-len(stars) // size)
    model.compile(
        _optimizer(options.optimizer, options.learning_rate, n_steps * options.n_epochs if options.decay else None),
        loss="mse",
        # XLA takes longer to compile such small networks than to train them; JAX knows no other compiler.
        jit_compile=keras.backend.backend() == "jax",
    )
    for _ in range(options.n_epochs):
        order = rng.permutation(len(stars))
        model.fit([part[order] for part in inputs], stars[order], batch_size=size, shuffle=False, verbose=0)


def _optimizer(name: str, learning_rate: float, n_decay_steps: int | None) -> Any:
    keras = import_keras()
    try:
        optimizer = keras.optimizers.get(name)
    except ValueError as error:
        raise ConfigError(f"Keras knows no optimizer {name!r}; name one such as adam or adagrad") from error
    rate = learning_rate
    if n_decay_steps:
        rate = keras.optimizers.schedules.CosineDecay(learning_rate, n_decay_steps)
    return type(optimizer)(rate)
