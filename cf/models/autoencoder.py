"""A masked linear autoencoder: what somebody thinks of films they hide, from what they think of the others.

Keras trains it; what it learned are two matrices, and everything else is done in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.io.keras import import_keras
from cf.base import Ids, Recommender, Rows, Scores, cosine_similarities, rows_of
from cf.models.ease import choices

FloatArray = npt.NDArray[np.float32]


class Autoencoder(Recommender):
    r"""Predicts preferences by way of a few latent dimensions; films alike in taste lie near each other there.

    A preference is what a rating says beyond the film's and the user's means,
    :math:`p_{ui} = r_{ui} - \mu - (\bar r_i - \mu) - (\bar r_u - \mu)`, and 0 where there is no rating. Two linear
    layers without biases, of which the first leads to the latent dimensions, give :math:`\hat p = F \Lambda p`. In each
    step a random part of the known preferences is hidden from the input, and the loss is
    :math:`(1 - w) \, \mathrm{MSE}(\text{all known}) + w \, \mathrm{MSE}(\text{hidden})`.

    Parameters
    ----------
    n_films : int, default 500
        So many of the most rated films are learned; of the others nothing is known.
    n_factors : int, default 25
        Latent dimensions.
    hidden_share : float, default 0.5
        The share of the known preferences that is hidden, in (0, 1).
    hidden_weight : float, default 0.8
        w, in [0, 1].
    damping : float, default 5
        In ratings: so many of no bias at all are added to those of every user and film, before their means are taken.
        With 0, somebody who loves all the films they name has no preferences.
    weight_decay : float, default 4
        How strongly weights are drawn to 0: by this times the learning rate in each step.
    n_epochs : int, default 120
        Passes over all users.
    batch_size : int, default 128
        Users in a step.
    learning_rate : float, default 0.001
        Of Adam.
    seed : int, default 0
        Of the first weights, of the order of the users, and of what is hidden.

    Attributes
    ----------
    losses_ : ndarray of shape (n_epochs,), float32
        The loss of each epoch, in stars squared; the mean over its steps.

    References
    ----------
    .. [1] P. Vincent et al., "Extracting and composing robust features with denoising autoencoders", ICML 2008.
    """

    name = "autoencoder"
    _learns = ("mean_", "film_biases_", "encoder_", "decoder_", "losses_")

    def __init__(
        self,
        n_films: int = 500,
        n_factors: int = 25,
        hidden_share: float = 0.5,
        hidden_weight: float = 0.8,
        damping: float = 5.0,
        weight_decay: float = 4.0,
        n_epochs: int = 120,
        batch_size: int = 128,
        learning_rate: float = 0.001,
        seed: int = 0,
    ) -> None:
        self.n_films = n_films
        self.n_factors = n_factors
        self.hidden_share = hidden_share
        self.hidden_weight = hidden_weight
        self.damping = damping
        self.weight_decay = weight_decay
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed
        self.mean_: FloatArray
        self.film_biases_: FloatArray
        self.encoder_: FloatArray
        self.decoder_: FloatArray
        self.losses_: FloatArray

    def distances(self, movie_ids: Ids, others: Ids) -> FloatArray:
        """Return the cosine distances of films in the latent space, pair by pair; NaN where unknown."""
        films, to = rows_of(self.movie_ids_, movie_ids), rows_of(self.movie_ids_, others)
        known = (films >= 0) & (to >= 0)
        apart = np.full(len(films), np.nan, np.float32)
        apart[known] = 1 - cosine_similarities(self.decoder_, films[known])[np.arange(known.sum()), to[known]]
        return apart

    def _fit(self, values: sparse.csr_array) -> None:
        columns = _most_rated(values, self.n_films)
        remaining = sparse.csr_array(values[:, columns])
        self._fit_biases(remaining, columns, values.shape[1])
        self.encoder_, self.decoder_ = (np.zeros((values.shape[1], self.n_factors), np.float32) for _ in range(2))
        self.losses_ = np.zeros(0, np.float32)
        if remaining.nnz:
            learned = self._train(*self._targets(remaining, columns))
            self.encoder_[columns], self.decoder_[columns], self.losses_ = learned

    def _fit_biases(self, kept: sparse.csr_array, columns: Rows, n_films: int) -> None:
        self.mean_ = np.array([kept.data.mean() if kept.nnz else 0], np.float32)
        biases = _damped_means(kept.data - self.mean_, kept.indices, kept.shape[1], self.damping)
        self.film_biases_ = np.full(n_films, np.nan, np.float32)
        self.film_biases_[columns] = biases

    def _targets(self, kept: sparse.csr_array, columns: Rows) -> tuple[sparse.csr_array, sparse.csr_array | None]:
        """Return the targets, and a mask of the known ones; None if all cells are known."""
        return self._preferences(kept, self.film_biases_[columns])[0], choices(kept)

    def _preferences(self, values: sparse.csr_array, film_biases: FloatArray) -> tuple[sparse.csr_array, FloatArray]:
        users = np.repeat(np.arange(values.shape[0]), np.diff(values.indptr))
        user_biases = _damped_means(values.data - self.mean_, users, values.shape[0], self.damping)
        left = values.data - self.mean_ - film_biases[values.indices] - user_biases[users]
        return sparse.csr_array((left, values.indices, values.indptr), shape=values.shape), user_biases

    def _score(self, users: Rows) -> Scores:
        return self._score_new(self.seen_[users])

    def _score_new(self, values: sparse.csr_array) -> Scores:
        known = _of_columns(values, np.isfinite(self.film_biases_))
        preferences, user_biases = self._preferences(known, self.film_biases_)
        predicted = preferences @ self.encoder_ @ self.decoder_.T
        return np.asarray(predicted + self.mean_ + self.film_biases_ + user_biases[:, None], np.float32)

    def _similarities(self, films: Rows) -> Scores:
        return cosine_similarities(self.decoder_, films)

    def _train(
        self, preferences: sparse.csr_array, known: sparse.csr_array | None
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        keras = import_keras()

        n_films = preferences.shape[1]
        layers = [
            keras.layers.Dense(
                n_outputs, use_bias=False, kernel_initializer=keras.initializers.GlorotUniform(self.seed + place)
            )
            for place, n_outputs in enumerate((self.n_factors, n_films))
        ]
        network = keras.Sequential([keras.Input((n_films,)), *layers])
        optimizer = keras.optimizers.AdamW(self.learning_rate, self.weight_decay)
        network.compile(optimizer, _masked_loss(self.hidden_weight))
        losses = []
        rng = np.random.default_rng(self.seed)
        for _ in range(self.n_epochs):
            batches = _masked_batches(preferences, known, self.hidden_share, self.batch_size, rng)
            losses.append(np.mean([network.train_on_batch(*batch) for batch in batches]))
        encoder, decoder = (np.asarray(keras.ops.convert_to_numpy(layer.kernel), np.float32) for layer in layers)
        return encoder, np.ascontiguousarray(decoder.T), np.asarray(losses, np.float32)


class ImplicitAutoencoder(Autoencoder):
    """The same on choices: every rating is a 1 and everything else a 0, and all of them count as known.

    So a random part of the films is hidden from each user, and whether they chose them is what is learned. The biases
    are of no use here.

    Parameters
    ----------
    n_films, n_factors, hidden_share, hidden_weight, weight_decay, n_epochs, batch_size, learning_rate, seed
        See `Autoencoder`.
    """

    name = "implicit-autoencoder"
    predicts_stars = False

    def _targets(self, kept: sparse.csr_array, columns: Rows) -> tuple[sparse.csr_array, None]:  # noqa: ARG002
        return choices(kept), None

    def _score_new(self, values: sparse.csr_array) -> Scores:
        chosen = choices(_of_columns(values, np.isfinite(self.film_biases_)))
        scores = np.asarray(chosen @ self.encoder_ @ self.decoder_.T, np.float32)
        scores[:, np.isnan(self.film_biases_)] = np.nan
        scores[np.diff(chosen.indptr) == 0] = np.nan
        return scores


def _masked_batches(
    preferences: sparse.csr_array,
    known: sparse.csr_array | None,
    hidden_share: float,
    batch_size: int,
    rng: np.random.Generator,
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Go through all users once: what is left to be seen, (n, n_films); and targets, known, hidden, (n, 3, n_films)."""
    order = rng.permutation(preferences.shape[0])
    for start in range(0, len(order), batch_size):
        users = order[start : start + batch_size]
        targets = preferences[users].toarray()
        mask = np.ones_like(targets) if known is None else known[users].toarray()
        hidden = mask * (rng.random(targets.shape, np.float32) < hidden_share)
        # What is seen is scaled up, so that all of it is of the size that it has once nothing is hidden.
        seen = targets * (1 - hidden) / np.float32(1 - hidden_share)
        yield seen, np.stack([targets, mask, hidden], axis=1)


def _masked_loss(hidden_weight: float) -> Callable[[Any, Any], Any]:
    from keras import ops

    def mean_square(errors: Any, mask: Any) -> Any:
        return ops.sum(mask * ops.square(errors)) / ops.maximum(ops.sum(mask), 1.0)

    def loss(expected: Any, predicted: Any) -> Any:
        targets, known, hidden = expected[:, 0], expected[:, 1], expected[:, 2]
        errors = targets - predicted
        return (1 - hidden_weight) * mean_square(errors, known) + hidden_weight * mean_square(errors, hidden)

    return loss


def _most_rated(values: sparse.csr_array, n_films: int) -> Rows:
    n_ratings = np.bincount(values.indices, minlength=values.shape[1])
    most = np.argsort(-n_ratings, kind="stable")[:n_films]
    return np.sort(most[n_ratings[most] > 0])


def _of_columns(values: sparse.csr_array, kept: npt.NDArray[np.bool_]) -> sparse.csr_array:
    """Leave out what other columns store; the shape stays."""
    stored = kept[values.indices]
    indptr = np.concatenate([[0], np.cumsum(stored)])[values.indptr]
    return sparse.csr_array((values.data[stored], values.indices[stored], indptr), shape=values.shape)


def _damped_means(values: FloatArray, groups: Rows, n_groups: int, damping: float) -> FloatArray:
    totals = np.bincount(groups, weights=values, minlength=n_groups)
    counts = np.bincount(groups, minlength=n_groups)
    return np.asarray(totals / np.maximum(counts + damping, 1e-9), np.float32)
