"""Two towers: users and films as vectors, fitted so that their products tell which film a user chooses next.

Keras trains them; what it learned are two matrices, and everything else is done in NumPy. `TwoTower.export_savedmodel`
writes TensorFlow's own format, which needs nothing of keyart's to run.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.errors import ConfigError, DataError, NotBuiltError
from catalog.io.files import record_kind, write_error, write_record
from catalog.io.keras import import_keras, import_tensorflow
from catalog.scored_ids import ScoredIds
from cf.base import Ids, Recommender, Rows, Scores, cosine_similarities, rows_of
from cf.models.ease import choices

FloatArray = npt.NDArray[np.float32]
# Newton's method doubles its digits with each step once it is near.
_N_NEWTON_STEPS = 12
_WIDEST_START = 0.05
_LARGEST_DIFFERENCE = 1e-4
# TensorFlow keeps this subfolder for files that it does not read.
_EXPORT, _EXPORT_RECORD = "keyart-savedmodel", "assets.extra/keyart.json"
_EXPORTED = frozenset(("saved_model.pb", "fingerprint.pb", "variables", "assets", "assets.extra"))
# TensorFlow Serving reads subfolders that are named by a version.
_VERSION = "1"
_NOTHING = np.empty(0, np.float32), np.empty(0, np.intp)


class TwoTower(Recommender):
    r"""Retrieves films by the product of a user's and a film's vector; every rating counts as a choice.

    Of a batch of choices (u, i), each user is to tell their own film from all films of the batch,

    .. math:: -\sum_{(u, i)} \log \frac{\exp(s_{ui} - \log q_i)}{\sum_j \exp(s_{uj} - \log q_j)}, \quad
              s_{ui} = x_u \cdot y_i

    where :math:`q_i`, the film's share of all choices, takes out that films much chosen are often in a batch: without
    it (`correct_popularity=False`), what everybody sees is pushed down. Films that stand in a batch many times are
    computed once and counted so many times, which gives the same loss and far less work.

    Parameters
    ----------
    n_factors : int, default 32
        Length of the vectors.
    n_epochs : int, default 12
        Passes over all ratings.
    batch_size : int, default 8192
        Ratings in a step.
    learning_rate : float, default 0.1
        Of Adagrad.
    regularization : float, default 0.1
        Half of it times the squared lengths of both vectors is added to the loss of each choice.
    correct_popularity : bool, default True
        Take :math:`\log q` off.
    seed : int, default 0
        Of the first vectors and of the order of the ratings.

    References
    ----------
    .. [1] X. Yi et al., "Sampling-bias-corrected neural modeling for large corpus item recommendations", RecSys 2019.
    """

    name = "two-tower"
    predicts_stars = False
    _learns = ("user_factors_", "film_factors_", "losses_")

    def __init__(
        self,
        n_factors: int = 32,
        n_epochs: int = 12,
        batch_size: int = 8192,
        learning_rate: float = 0.1,
        regularization: float = 0.1,
        correct_popularity: bool = True,
        seed: int = 0,
    ) -> None:
        self.n_factors = n_factors
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.regularization = regularization
        self.correct_popularity = correct_popularity
        self.seed = seed
        self.user_factors_: FloatArray
        self.film_factors_: FloatArray
        self.losses_: FloatArray
        self._index: Any = None

    def retrieve(
        self, user_ids: Ids, k: int, *, exclude_seen: bool = True, searched_share: float = 0.25
    ) -> list[ScoredIds]:
        """Recommend as `recommend` does, but look at a share of the films only: an approximate index of FAISS.

        Films are parted into cells, about as many as a cell has films, by the direction of their vectors; those whose
        centers promise most are searched, and all only where these hold fewer than k films. It is for catalogs of
        many times ten thousand films; the scores of what is found are exact. The index is made at the first call.
        """
        if k < 1 or not 0 < searched_share <= 1:
            raise ValueError(f"expected k of 1 or more and a share in (0, 1], received {k} and {searched_share}")
        users = rows_of(self.user_ids_, user_ids)
        if self._index is None:
            self._index = _cells_of(self.film_factors_)
        n_searched = max(1, round(searched_share * self._index.nlist))
        answers = []
        for user in users.tolist():
            known = user >= 0 and not np.isnan(self.user_factors_[user, 0])
            rated = slice(*self.seen_.indptr[user : user + 2]) if known and exclude_seen else slice(0)
            scores, films = self._search(user, k, self.seen_.indices[rated], n_searched) if known else _NOTHING
            answers.append(ScoredIds(self.movie_ids_[films], scores))
        return answers

    def export_savedmodel(self, folder: Path, titles: Mapping[int, str], k: int = 10) -> None:
        """Write a SavedModel that takes user ids and gives scores and titles; the films' vectors are inside.

        It is in the subfolder ``1``, the number of its version, as TensorFlow Serving wants it.

        It is called with user_ids, int64 of shape (n,), and returns three tensors of shape (n, k) by name: scores
        (float32), movie_ids (int32) and titles (string). Films that a user had rated are left out; where there are
        fewer than k others, and for users it does not know, scores are -inf, movie_ids -1 and titles empty. It is
        loaded back and compared with this model before it takes its place. Only an earlier export is replaced.
        """
        if not len(self.movie_ids_):
            raise NotBuiltError("the two-tower model knows no films to export; fit it on ratings first")
        check_savedmodel_folder(folder)
        try:
            with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
                written = Path(temporary) / "model"
                version = written / _VERSION
                _write_savedmodel(self, version, titles, k)
                write_record(version / _EXPORT_RECORD, _EXPORT, 1, {})
                self._compare(version, k)
                if folder.exists():
                    shutil.move(folder, Path(temporary) / "before")
                written.replace(folder)
        except OSError as error:
            raise write_error(folder, error) from error

    def _search(self, user: int, k: int, seen: Rows, n_searched: int) -> tuple[FloatArray, Rows]:
        """Search the index for what a user has not seen: scores and rows, best first, equal ones in ascending row."""
        n_wanted = min(k, self._index.ntotal - len(seen))
        if n_wanted < 1:
            return _NOTHING
        for n_cells in (n_searched, self._index.nlist):
            self._index.nprobe = n_cells
            result, rows = self._index.search(self.user_factors_[user, None], k + len(seen))
            remaining = (rows[0] >= 0) & ~np.isin(rows[0], seen)
            if remaining.sum() >= n_wanted:
                break
        scores, films = result[0][remaining], rows[0][remaining]
        order = np.lexsort((films, -scores))[:k]
        return scores[order], films[order]

    def _compare(self, written: Path, k: int) -> None:
        tf = import_tensorflow()

        users = self.user_ids_[:100]
        answers = tf.saved_model.load(written)(tf.constant(users, tf.int64))
        scores = answers["scores"].numpy()
        for row, expected in zip(scores, self.recommend(users, k), strict=True):
            n_found = len(expected.scores)
            if (
                np.isfinite(row).sum() != n_found
                or (np.abs(row[:n_found] - expected.scores) > _LARGEST_DIFFERENCE).any()
            ):
                raise DataError("the exported model answers otherwise than this one; please report it")

    def _fit(self, values: sparse.csr_array) -> None:
        n_of_user, n_of_film = np.diff(values.indptr), np.bincount(values.indices, minlength=values.shape[1])
        users, films, losses = self._train(values) if values.nnz else self._nothing_learned(values.shape)
        users[n_of_user == 0] = np.nan
        films[n_of_film == 0] = np.nan
        self.user_factors_, self.film_factors_, self.losses_ = users, films, losses
        self._index = None

    def _nothing_learned(self, shape: tuple[int, int]) -> tuple[FloatArray, FloatArray, FloatArray]:
        users, films = (np.zeros((n, self.n_factors), np.float32) for n in shape)
        return users, films, np.zeros(0, np.float32)

    def _train(self, values: sparse.csr_array) -> tuple[FloatArray, FloatArray, FloatArray]:
        keras = import_keras()
        tf = import_tensorflow()

        start = partial(keras.initializers.RandomUniform, -_WIDEST_START, _WIDEST_START)
        towers = [
            keras.layers.Embedding(n_rows, self.n_factors, start(seed=2 * self.seed + place))
            for place, n_rows in enumerate(values.shape)
        ]
        for tower in towers:
            tower.build()
        variables = [tower.embeddings for tower in towers]
        optimizer = keras.optimizers.Adagrad(self.learning_rate)
        optimizer.build(variables)

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]  # TensorFlow ships no types
        def step(users: Any, films: Any, chosen: Any, corrections: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = self._loss(towers[0](users), towers[1](films), chosen, corrections)
            # As dense tensors: each user and film stands in a batch once, and what does not is left as it is.
            gradients = [tf.convert_to_tensor(part) for part in tape.gradient(loss, [one.value for one in variables])]
            optimizer.apply(gradients, variables)
            return loss

        rng = np.random.default_rng(self.seed)
        losses = [sum(float(step(*batch)) for batch in self._batches(values, rng)) for _ in range(self.n_epochs)]
        users, films = (np.array(keras.ops.convert_to_numpy(one), np.float32) for one in variables)
        return users, films, np.asarray(losses, np.float32) / np.float32(values.nnz)

    def _loss(self, users: Any, films: Any, chosen: Any, corrections: Any) -> Any:
        """Sum the loss of a batch: vectors of its users and films, (n_users, n_films) choices among them."""
        from keras import ops

        scores = ops.matmul(users, ops.transpose(films))
        n_of_user, n_of_film = ops.sum(chosen, axis=1), ops.sum(chosen, axis=0)
        normalizers = ops.logsumexp(scores + corrections, axis=1)
        likelihood = ops.sum(chosen * (scores + corrections)) - ops.sum(n_of_user * normalizers)
        lengths = ops.sum(n_of_user * ops.sum(users**2, axis=1)) + ops.sum(n_of_film * ops.sum(films**2, axis=1))
        return self.regularization / 2 * lengths - likelihood

    def _batches(
        self, values: sparse.csr_array, rng: np.random.Generator
    ) -> Iterator[tuple[Rows, Rows, FloatArray, FloatArray]]:
        """Go through all choices once: a batch's users, films, who chose which, and what is added to films' scores."""
        owners = np.repeat(np.arange(values.shape[0]), np.diff(values.indptr))
        shares = np.bincount(values.indices, minlength=values.shape[1]) / values.nnz
        order = rng.permutation(values.nnz)
        for start in range(0, values.nnz, self.batch_size):
            choice = order[start : start + self.batch_size]
            users, rows = np.unique(owners[choice], return_inverse=True)
            films, columns, n_times = np.unique(values.indices[choice], return_inverse=True, return_counts=True)
            chosen = np.zeros((len(users), len(films)), np.float32)
            chosen[rows, columns] = 1
            corrections = np.log(n_times) - (np.log(shares[films]) if self.correct_popularity else 0)
            yield users, films, chosen, corrections.astype(np.float32)

    def _predict(self, users: Rows, films: Rows) -> Scores:
        return np.asarray(np.einsum("ij,ij->i", self.user_factors_[users], self.film_factors_[films]))

    def _score(self, users: Rows) -> Scores:
        return np.asarray(self.user_factors_[users] @ self.film_factors_.T)

    def _score_new(self, values: sparse.csr_array) -> Scores:
        known = ~np.isnan(self.film_factors_[:, 0])
        chosen = sparse.csr_array(choices(values)[:, known])
        scores = np.full(values.shape, np.nan, np.float32)
        someone = np.diff(chosen.indptr) > 0
        films = self.film_factors_[known]
        result = _fit_users(chosen[someone], films, self._popularity(known), self.regularization)
        scores[np.ix_(someone, known)] = result @ films.T
        return scores

    def _popularity(self, known: npt.NDArray[np.bool_]) -> FloatArray:
        """Return what training added to scores on average: nothing where popularity is corrected for."""
        n_ratings = np.bincount(self.seen_.indices, minlength=len(known))[known]
        return np.zeros(len(n_ratings), np.float32) if self.correct_popularity else np.log(n_ratings).astype(np.float32)

    def _similarities(self, films: Rows) -> Scores:
        return cosine_similarities(self.film_factors_, films)


def check_savedmodel_folder(folder: Path) -> None:
    """Raise ConfigError unless a folder is new, empty or an earlier export; call it before any work."""
    if not folder.absolute().parent.is_dir():
        raise ConfigError(f"{folder}: there is no folder {folder.parent}; create it first")
    if not folder.exists() or (folder.is_dir() and (not any(folder.iterdir()) or _is_export(folder))):
        return
    raise ConfigError(f"{folder} exists and is not an earlier export; name a new or empty folder, or remove it first")


def _is_export(folder: Path) -> bool:
    names = {path.name for path in folder.iterdir()}
    # An earlier layout had the model in the folder itself.
    model, within = (folder / _VERSION, {_VERSION}) if _VERSION in names else (folder, _EXPORTED)
    if not (names <= within and model.is_dir() and record_kind(model / _EXPORT_RECORD) == _EXPORT):
        return False
    return {path.name for path in model.iterdir()} <= _EXPORTED


def _cells_of(film_factors: FloatArray) -> Any:
    """Make FAISS' inverted file of the films that have vectors, by their rows."""
    import faiss

    known = np.flatnonzero(~np.isnan(film_factors[:, 0]))
    n_factors, n_cells = film_factors.shape[1], max(1, round(len(known) ** 0.5))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(n_factors), n_factors, n_cells, faiss.METRIC_INNER_PRODUCT)
    # Cells may be small: FAISS warns of fewer than 39 vectors each.
    index.cp.min_points_per_centroid = 1
    if len(known):
        index.train(film_factors[known])
        index.add_with_ids(film_factors[known], known)
    return index


def _fit_users(chosen: sparse.csr_array, films: FloatArray, offsets: FloatArray, regularization: float) -> FloatArray:
    r"""Find vectors of users from their choices, the films' being known: a convex problem, by Newton's method.

    Minimizes :math:`\log \sum_j \exp(x \cdot y_j + o_j) - \frac{1}{n} \sum_i x \cdot y_i + \frac{\lambda}{2} |x|^2`.
    """
    n_factors = films.shape[1]
    means = (chosen @ films) / np.diff(chosen.indptr)[:, None]
    products = (films[:, :, None] * films[:, None, :]).reshape(len(films), -1)
    users = np.zeros((chosen.shape[0], n_factors), np.float64)
    for _ in range(_N_NEWTON_STEPS):
        logits = users @ films.T + offsets
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        expected = shares @ films
        gradients = expected - means + regularization * users
        spreads = (shares @ products).reshape(-1, n_factors, n_factors) - expected[:, :, None] * expected[:, None, :]
        curvatures = spreads + max(regularization, 1e-3) * np.eye(n_factors)
        users -= np.linalg.solve(curvatures, gradients[:, :, None])[:, :, 0]
    return users.astype(np.float32)


def _write_savedmodel(model: TwoTower, folder: Path, titles: Mapping[int, str], k: int) -> None:
    tf = import_tensorflow()

    named = np.array([titles.get(movie_id, f"film {movie_id}") for movie_id in model.movie_ids_.tolist()] + [""])
    n_films = len(model.movie_ids_)
    module = tf.Module()
    module.user_ids = tf.Variable(model.user_ids_.astype(np.int64), trainable=False)
    # What is not known is -inf, and never NaN, which has no place in an order.
    module.user_factors = tf.Variable(np.nan_to_num(model.user_factors_), trainable=False)
    module.film_factors = tf.Variable(np.nan_to_num(model.film_factors_), trainable=False)
    module.unknown = tf.Variable(
        np.where(np.isnan(model.film_factors_[:, 0]), -np.inf, 0).astype(np.float32), trainable=False
    )
    module.movie_ids = tf.Variable(np.append(model.movie_ids_, -1).astype(np.int32), trainable=False)
    module.titles = tf.Variable(named.astype(object), trainable=False, dtype=tf.string)
    module.seen = tf.Variable(model.seen_.indices.astype(np.int64), trainable=False)
    module.ends = tf.Variable(model.seen_.indptr.astype(np.int64), trainable=False)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "user_ids")])  # type: ignore[untyped-decorator]
    def recommend(user_ids: Any) -> dict[str, Any]:
        rows = tf.minimum(tf.searchsorted(module.user_ids, user_ids), len(model.user_ids_) - 1)
        known = tf.gather(module.user_ids, rows) == user_ids
        scores = tf.matmul(tf.gather(module.user_factors, rows), module.film_factors, transpose_b=True)
        history = tf.gather(tf.RaggedTensor.from_row_splits(module.seen, module.ends), rows)
        cells = tf.stack([history.value_rowids(), history.values], axis=1)
        scores = tf.tensor_scatter_nd_update(scores, cells, tf.fill([tf.shape(cells)[0]], -np.inf))
        scores = tf.where(known[:, None], scores + module.unknown, -np.inf)
        values, places = tf.math.top_k(scores, min(k, n_films))
        places = tf.where(values > -np.inf, places, n_films)
        return {
            "scores": values,
            "movie_ids": tf.gather(module.movie_ids, places),
            "titles": tf.gather(module.titles, places),
        }

    module.__call__ = recommend
    tf.saved_model.save(module, folder, signatures=recommend)
