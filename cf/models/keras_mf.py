"""Matrix factorization with biases as a network of Keras, whose output keeps to the scale of stars.

What it learns ends as arrays; only `fit` needs Keras.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.errors import ConfigError
from catalog.io.keras import import_keras
from cf.base import Recommender, Rows, Scores, cosine_similarities
from cf.models.training import TrainingOptions, train

FloatArray = npt.NDArray[np.float32]

_NO_MEAN = 3.5
_INITIAL_SPREAD = 0.05
# Somebody new is fitted anew, so without any regularization three ratings would fit whatever they are.
_LEAST_REGULARIZATION = 0.02
_N_NEWTON_STEPS = 6


class KerasMF(Recommender):
    r"""Predicts ratings by factors and biases of users and films, through an output that bends.

    .. math:: \hat r_{ui} = g(w (x_u \cdot y_i + b_u + b_i) + c)

    where g is ReLU, or a sigmoid from the lowest to the highest rating there is. Each rating adds
    :math:`\lambda (|x_u|^2 + |y_i|^2) + \lambda_b (b_u^2 + b_i^2)` to the squared error, so that users and films of few
    ratings are held near 0 more strongly.

    The article that this is after trains for 3 epochs without any of that, at a learning rate of 0.005 that stays, in
    batches of 512 with ReLU and of 2,048 with a sigmoid: ``n_epochs=3, decay=False, regularization=0,
    bias_regularization=0, batch_size=512``.

    Parameters
    ----------
    output : {"sigmoid", "relu"}
        g.
    n_factors : int, default 50
        The length of x and y.
    n_epochs : int, default 7
        How many times all ratings are seen.
    batch_size : int, optional
        How many ratings a step takes; by default 1,024, or less where an epoch would have fewer than 32 steps.
    learning_rate : float, default 0.005
        Adam's.
    decay : bool, default True
        Let it fall to 0 along half a cosine.
    regularization, bias_regularization : float, default 0.15 and 0.2
        λ and λ_b.
    seed : int, default 0
        Draws the initial factors, and shuffles.
    """

    name = "keras-factors"
    _learns = ("user_factors_", "film_factors_", "user_biases_", "film_biases_", "dense_", "scale_")

    def __init__(
        self,
        output: Literal["sigmoid", "relu"] = "sigmoid",
        n_factors: int = 50,
        n_epochs: int = 7,
        batch_size: int | None = None,
        learning_rate: float = 0.005,
        decay: bool = True,
        regularization: float = 0.15,
        bias_regularization: float = 0.2,
        seed: int = 0,
    ) -> None:
        self.output = output
        self.n_factors = n_factors
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.decay = decay
        self.regularization = regularization
        self.bias_regularization = bias_regularization
        self.seed = seed
        self.user_factors_: FloatArray
        self.film_factors_: FloatArray
        self.user_biases_: FloatArray
        self.film_biases_: FloatArray
        self.dense_: FloatArray
        self.scale_: FloatArray

    def _fit(self, values: sparse.csr_array) -> None:
        if self.output not in ("sigmoid", "relu"):
            raise ConfigError(f"keras-factors has the outputs sigmoid and relu, received {self.output!r}")
        rng = np.random.default_rng(self.seed)
        stars = values.data
        self.scale_ = np.array([stars.min(), stars.max()] if len(stars) else [0.5, 5.0], np.float32)
        weights = self._initial_weights(values, rng)
        if len(stars):
            pairs = [part.astype(np.int32) for part in values.tocoo().coords]
            model, variables = self._network(*values.shape)
            for variable, weight in zip(variables, weights, strict=True):
                variable.assign(weight)
            options = TrainingOptions(self.n_epochs, self.batch_size, self.learning_rate, self.decay)
            train(model, pairs, stars, rng, options)
            weights = [np.array(variable) for variable in variables]
        self.user_factors_, self.film_factors_, user_biases, film_biases, weight, offset = weights
        self.user_biases_, self.film_biases_ = user_biases[:, 0], film_biases[:, 0]
        self.dense_ = np.array([weight.item(), offset.item()], np.float32)
        # What nobody rated is as it was drawn, which means nothing.
        self.user_factors_[np.diff(values.indptr) == 0] = 0
        self.film_factors_[np.bincount(values.indices, minlength=values.shape[1]) == 0] = 0

    def _initial_weights(self, values: sparse.csr_array, rng: np.random.Generator) -> list[FloatArray]:
        """Draw what `_network` has, in its order; so the network begins by predicting the mean."""
        n_users, n_films = values.shape
        mean = float(values.data.mean()) if len(values.data) else _NO_MEAN
        factors = [rng.normal(0, _INITIAL_SPREAD, (n, self.n_factors)) for n in (n_users, n_films)]
        biases = [np.zeros((n, 1)) for n in (n_users, n_films)]
        dense = [np.ones((1, 1)), np.array([self._unbent(mean)])]
        return [weight.astype(np.float32) for weight in (*factors, *biases, *dense)]

    def _network(self, n_users: int, n_films: int) -> tuple[Any, list[Any]]:
        """Build the network; its variables are factors and biases, of users and of films, and those of the output."""
        keras = import_keras()
        user, film = (keras.Input((), dtype="int32") for _ in range(2))
        # Of the vectors that a batch looks up, not of the whole table: a term for every rating.
        held = [keras.regularizers.L2(strength) for strength in (self.regularization, self.bias_regularization)]
        tables = [
            keras.layers.Embedding(n, length, activity_regularizer=regularizer)
            for length, regularizer in zip((self.n_factors, 1), held, strict=True)
            for n in (n_users, n_films)
        ]
        dense = keras.layers.Dense(1, activation=self.output)
        x, y, user_bias, film_bias = (table(of) for table, of in zip(tables, (user, film) * 2, strict=True))
        stars = dense(keras.layers.Dot(axes=1)([x, y]) + user_bias + film_bias)
        if self.output == "sigmoid":
            lowest, highest = self.scale_.tolist()
            stars = lowest + (highest - lowest) * stars
        return keras.Model([user, film], stars), [*(table.embeddings for table in tables), *dense.variables]

    def _score(self, users: Rows) -> Scores:
        products = self.user_factors_[users] @ self.film_factors_.T
        return self._bent(products + self.user_biases_[users, None] + self.film_biases_)

    def _predict(self, users: Rows, films: Rows) -> Scores:
        products = np.einsum("nk,nk->n", self.user_factors_[users], self.film_factors_[films])
        return self._bent(products + self.user_biases_[users] + self.film_biases_[films])

    def _score_new(self, values: sparse.csr_array) -> Scores:
        folded = np.zeros((values.shape[0], self.n_factors + 1), np.float32)
        for row in np.flatnonzero(np.diff(values.indptr)):
            rated = slice(*values.indptr[row : row + 2])
            folded[row] = self._folded(values.indices[rated], values.data[rated])
        return self._bent(folded[:, :-1] @ self.film_factors_.T + folded[:, -1:] + self.film_biases_)

    def _folded(self, films: Rows, stars: FloatArray) -> Scores:
        """Find the factors and, last, the bias of somebody new: Gauss and Newton's steps, each a ridge regression."""
        design = np.column_stack([self.film_factors_[films], np.ones(len(films))])
        strengths = [*[self.regularization] * self.n_factors, self.bias_regularization]
        ridge = np.diag(len(films) * np.maximum(strengths, _LEAST_REGULARIZATION))
        learned = np.zeros(design.shape[1])
        for _ in range(_N_NEWTON_STEPS):
            total = design @ learned + self.film_biases_[films]
            tangent = self._slope(total)[:, None] * design
            left = stars - self._bent(total) + tangent @ learned
            learned = np.linalg.solve(tangent.T @ tangent + ridge, tangent.T @ left)
        return learned

    def _similarities(self, films: Rows) -> Scores:
        return cosine_similarities(self.film_factors_, films)

    def _bent(self, total: Scores) -> Scores:
        """Turn sums of products and biases into stars."""
        weight, offset = self.dense_
        linear: Scores = weight * total + offset
        if self.output == "relu":
            return np.maximum(linear, 0)
        lowest, highest = self.scale_
        stars: Scores = lowest + (highest - lowest) * _sigmoid(linear)
        return stars

    def _slope(self, total: Scores) -> Scores:
        """Differentiate `_bent`."""
        weight, offset = self.dense_
        linear: Scores = weight * total + offset
        if self.output == "relu":
            return np.where(linear > 0, weight, 0)
        share = _sigmoid(linear)
        slope: Scores = weight * (self.scale_[1] - self.scale_[0]) * share * (1 - share)
        return slope

    def _unbent(self, stars: float) -> float:
        """Invert g for an inner point of the scale."""
        lowest, highest = self.scale_.tolist()
        if self.output == "relu" or lowest == highest:
            return stars if self.output == "relu" else 0.0
        return float(np.log((stars - lowest) / (highest - stars)))


def _sigmoid(linear: Scores) -> Scores:
    # Far out, exp would overflow.
    share: Scores = 1 / (1 + np.exp(-np.clip(linear, -30, 30)))
    return share
