"""The ranking model of the TensorFlow Recommenders tutorial: two embeddings into a small network that gives stars.

What it learns ends as arrays; only `fit` needs Keras, and only `export_tflite` TensorFlow.
"""

from __future__ import annotations

import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.errors import DataError, NotBuiltError
from catalog.io.files import output_path
from catalog.io.keras import import_keras, import_tensorflow
from cf.base import Recommender, Rows, Scores, cosine_similarities
from cf.models.training import TrainingOptions, train

FloatArray = npt.NDArray[np.float32]

_HIDDEN = (256, 64)
_NO_MEAN = 3.5
_INITIAL_RANGE = 0.05
_CHUNK_PAIRS = 16_384
_EXPORT_TOLERANCE = 1e-4
_N_PAIRS_COMPARED = 1_000


class RankingNetwork(Recommender):
    r"""Predicts ratings by a network on the embeddings of user and film, laid end to end.

    .. math:: \hat r_{ui} = W_3 \, \sigma(W_2 \, \sigma(W_1 [x_u; y_i] + b_1) + b_2) + b_3

    with ReLU as σ and layers of 256 and 64. Each rating adds :math:`\lambda (|x_u|^2 + |y_i|^2)` to the squared error.
    It cannot recommend to somebody new.

    The tutorial that this is after trains for 3 epochs without any of that: ``n_epochs=3, batch_size=8192,
    optimizer="adagrad", learning_rate=0.1, decay=False, regularization=0, dropout=0``.

    Parameters
    ----------
    n_factors : int, default 32
        The length of an embedding.
    n_epochs : int, default 6
        How many times all ratings are seen.
    batch_size : int, optional
        How many ratings a step takes; by default 1,024, or less where an epoch would have fewer than 32 steps.
    learning_rate : float, default 0.002
        The optimizer's.
    decay : bool, default True
        Let it fall to 0 along half a cosine.
    optimizer : str, default "adam"
        As Keras calls it.
    regularization : float, default 0.1
        λ.
    dropout : float, default 0.3
        The share of both hidden layers that is left out of a step.
    seed : int, default 0
        Draws the initial weights and what is left out, and shuffles.

    References
    ----------
    .. [1] "Recommending movies: ranking", https://www.tensorflow.org/recommenders/examples/basic_ranking
    """

    name = "ranking"
    takes_new_users = False
    _learns = (
        *("user_embeddings_", "film_embeddings_"),
        *(f"{part}_{layer}_" for layer in (1, 2, 3) for part in ("kernel", "bias")),
    )

    def __init__(
        self,
        n_factors: int = 32,
        n_epochs: int = 6,
        batch_size: int | None = None,
        learning_rate: float = 0.002,
        decay: bool = True,
        optimizer: str = "adam",
        regularization: float = 0.1,
        dropout: float = 0.3,
        seed: int = 0,
    ) -> None:
        self.n_factors = n_factors
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.decay = decay
        self.optimizer = optimizer
        self.regularization = regularization
        self.dropout = dropout
        self.seed = seed
        self.user_embeddings_: FloatArray
        self.film_embeddings_: FloatArray
        self.kernel_1_: FloatArray
        self.bias_1_: FloatArray
        self.kernel_2_: FloatArray
        self.bias_2_: FloatArray
        self.kernel_3_: FloatArray
        self.bias_3_: FloatArray

    def _fit(self, values: sparse.csr_array) -> None:
        rng = np.random.default_rng(self.seed)
        weights = self._initial_weights(values, rng)
        if len(values.data):
            pairs = [part.astype(np.int32) for part in values.tocoo().coords]
            model, variables = self._network(*values.shape)
            for variable, weight in zip(variables, weights, strict=True):
                variable.assign(weight)
            options = TrainingOptions(self.n_epochs, self.batch_size, self.learning_rate, self.decay, self.optimizer)
            train(model, pairs, values.data, rng, options)
            weights = [np.array(variable) for variable in variables]
        for name, weight in zip(self._learns, weights, strict=True):
            setattr(self, name, weight)
        # What nobody rated is as it was drawn, which means nothing.
        self.user_embeddings_[np.diff(values.indptr) == 0] = 0
        self.film_embeddings_[np.bincount(values.indices, minlength=values.shape[1]) == 0] = 0

    def _initial_weights(self, values: sparse.csr_array, rng: np.random.Generator) -> list[FloatArray]:
        """Draw what `_network` has, in its order; it begins about the mean."""
        sizes = (2 * self.n_factors, *_HIDDEN, 1)
        tables = [rng.uniform(-_INITIAL_RANGE, _INITIAL_RANGE, (n, self.n_factors)) for n in values.shape]
        layers = []
        for n_in, n_out in pairwise(sizes):
            # Glorot's range, which is what Keras takes for a dense layer.
            widest = np.sqrt(6 / (n_in + n_out))
            layers += [rng.uniform(-widest, widest, (n_in, n_out)), np.zeros(n_out)]
        layers[-1] += values.data.mean() if len(values.data) else _NO_MEAN
        return [weight.astype(np.float32) for weight in (*tables, *layers)]

    def _network(self, n_users: int, n_films: int) -> tuple[Any, list[Any]]:
        """Build the network, for training; its variables stand in the order of `_learns`."""
        keras = import_keras()
        user, film = (keras.Input((), dtype="int32") for _ in range(2))
        # Of the vectors that a batch looks up, not of the whole table: a term for every rating.
        held = keras.regularizers.L2(self.regularization)
        tables = [keras.layers.Embedding(n, self.n_factors, activity_regularizer=held) for n in (n_users, n_films)]
        dense = [keras.layers.Dense(n, activation="relu") for n in _HIDDEN]
        last = keras.layers.Dense(1)
        x = keras.layers.Concatenate()([table(of) for table, of in zip(tables, (user, film), strict=True)])
        for place, layer in enumerate(dense):
            # A seed of its own: Keras' is the whole process's.
            x = keras.layers.Dropout(self.dropout, seed=self.seed + place)(layer(x))
        model = keras.Model([user, film], last(x))
        variables = [part for layer in (*dense, last) for part in (layer.kernel, layer.bias)]
        return model, [*(table.embeddings for table in tables), *variables]

    def _score(self, users: Rows) -> Scores:
        # The first layer is linear in both embeddings, so that the films' part is the same for every user.
        of_films = self.film_embeddings_ @ self.kernel_1_[self.n_factors :] + self.bias_1_
        of_users = self.user_embeddings_[users] @ self.kernel_1_[: self.n_factors]
        scores = np.empty((len(users), len(of_films)), np.float32)
        for row, of_user in enumerate(of_users):
            scores[row] = self._above(of_user + of_films)
        return scores

    def _predict(self, users: Rows, films: Rows) -> Scores:
        predicted = np.empty(len(users), np.float32)
        for start in range(0, len(users), _CHUNK_PAIRS):
            chunk = slice(start, start + _CHUNK_PAIRS)
            pairs = np.concatenate([self.user_embeddings_[users[chunk]], self.film_embeddings_[films[chunk]]], axis=1)
            predicted[chunk] = self._above(pairs @ self.kernel_1_ + self.bias_1_)
        return predicted

    def _above(self, first: FloatArray) -> FloatArray:
        """Compute what stands above the first layer, given its sums: (n, 256) to (n,)."""
        second = np.maximum(first, 0) @ self.kernel_2_ + self.bias_2_
        stars: FloatArray = np.maximum(second, 0) @ self.kernel_3_[:, 0] + self.bias_3_
        return stars

    def _similarities(self, films: Rows) -> Scores:
        return cosine_similarities(self.film_embeddings_, films)

    def export_tflite(self, path: Path) -> None:
        """Write the network as a file of TensorFlow Lite.

        It takes ``user_id`` and ``movie_id``, int32 of shape (n,), and gives ``rating``, float32 of shape (n,), in
        stars; NaN where it does not know one of them. The file takes its place only once it has been loaded and
        compared with the model.
        """
        if not self.seen_.nnz:
            raise NotBuiltError("the ranking model was fitted on no ratings; load some and run `keyart fit ranking`")
        content = self._as_tflite()
        rng = np.random.default_rng(0)
        user_ids, movie_ids = (
            np.append(rng.choice(ids, _N_PAIRS_COMPARED), ids.max() + 1) for ids in (self.user_ids_, self.movie_ids_)
        )
        given, expected = run_tflite(content, user_ids, movie_ids), self.predict(user_ids, movie_ids)
        if not np.allclose(given, expected, rtol=0, atol=_EXPORT_TOLERANCE, equal_nan=True):
            most = np.nanmax(np.abs(given - expected))
            raise DataError(f"TensorFlow Lite gives other stars than the model, by {most:.2g}; nothing was written")
        with output_path(path) as temporary_path:
            temporary_path.write_bytes(content)

    def _as_tflite(self) -> bytes:
        tf = import_tensorflow()
        lowest, highest = (float(end) for end in (self.seen_.data.min(), self.seen_.data.max()))

        def rate(user_id: Any, movie_id: Any) -> dict[str, Any]:
            x, user_known = _looked_up(self.user_ids_, self.user_embeddings_, user_id)
            y, film_known = _looked_up(self.movie_ids_, self.film_embeddings_, movie_id)
            first = tf.nn.relu(tf.concat([x, y], 1) @ self.kernel_1_ + self.bias_1_)
            second = tf.nn.relu(first @ self.kernel_2_ + self.bias_2_)
            stars = tf.clip_by_value(tf.squeeze(second @ self.kernel_3_ + self.bias_3_, 1), lowest, highest)
            return {"rating": tf.where(user_known & film_known, stars, np.float32(np.nan))}

        ids = tf.TensorSpec([None], tf.int32)
        module = tf.Module()
        module.rate = tf.function(rate, input_signature=[ids, ids])
        converter = tf.lite.TFLiteConverter.from_concrete_functions([module.rate.get_concrete_function()], module)
        return bytes(converter.convert())


def run_tflite(
    content: bytes, user_ids: npt.NDArray[np.int32], movie_ids: npt.NDArray[np.int32]
) -> npt.NDArray[np.float32]:
    """Ask a file that `RankingNetwork.export_tflite` wrote."""
    tf = import_tensorflow()

    with warnings.catch_warnings():
        # TensorFlow says that its interpreter is to move into a package of its own.
        warnings.simplefilter("ignore")
        # The delegate it would take by default says on standard error that it is there.
        plain = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = tf.lite.Interpreter(model_content=content, experimental_op_resolver_type=plain)
        runner = interpreter.get_signature_runner()
        rating = runner(user_id=np.asarray(user_ids, np.int32), movie_id=np.asarray(movie_ids, np.int32))["rating"]
    return np.asarray(rating, np.float32)


def _looked_up(ids: npt.NDArray[np.int32], vectors: FloatArray, wanted: Any) -> tuple[Any, Any]:
    """Look vectors up by id, with what TensorFlow Lite has: no hash tables, and no search in a sorted array."""
    import tensorflow as tf

    row = tf.argmax(tf.cast(tf.equal(wanted[:, None], ids[None, :]), tf.float32), axis=1, output_type=tf.int32)
    return tf.gather(vectors, row), tf.equal(tf.gather(ids, row), wanted)
