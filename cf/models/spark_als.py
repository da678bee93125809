"""The alternation of `cf.models.als`, computed by Spark's ALS; and a search for its parameters.

Spark fits; the factors come back as arrays, and all that is asked later is answered from them, without Spark: seen
films are left out, which Spark's ``recommendForAllUsers`` leaves in, and what is not known is NaN and is counted, where
Spark's ``coldStartStrategy`` has a whole mean become NaN (``nan``) or the pair vanish (``drop``). Importing this does
not import PySpark.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
from scipy import sparse

from catalog.errors import ConfigError
from catalog.io.spark import quietly, reason_of, session
from cf.evaluation.evaluation import predict_stars
from cf.evaluation.splits import k_fold
from cf.models.als import ALS
from cf.models.least_squares import FloatArray
from cf.ratings import RatingMatrix, Ratings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class SparkALS(ALS):
    """Predicts stars as `ALS` does; its factors are fitted by Spark, which weights the penalty by n as Zhou does.

    Parameters
    ----------
    n_factors : int, default 40
        Spark's rank.
    n_iterations : int, default 15
        Spark's maxIter. In a session of yours, call ``sparkContext.setCheckpointDir`` first for more than some ten:
        without, what each iteration was computed from piles up until Spark's stack overflows.
    penalty : float, default 0.12
        λ, Spark's regParam; it grows with a user's or a film's number of ratings.
    bias_damping : float, default 5
        In ratings; see `cf.models.baseline.fit_biases`.
    seed : int, default 0
        Which first factors.
    """

    name = "spark-als"

    def __init__(
        self,
        n_factors: int = 40,
        n_iterations: int = 15,
        penalty: float = 0.12,
        bias_damping: float = 5.0,
        seed: int = 0,
    ) -> None:
        super().__init__(n_factors, n_iterations, penalty, 1.0, bias_damping, seed)
        self._spark: SparkSession | None = None

    def fit(self, ratings: RatingMatrix, spark: SparkSession | None = None) -> Self:
        """Learn from ratings."""
        self._spark = spark
        try:
            return super().fit(ratings)
        finally:
            self._spark = None

    def _factorize(self, left: sparse.csr_array) -> tuple[FloatArray, FloatArray]:
        if not left.nnz:
            users, films = (np.zeros((n, self.n_factors), np.float32) for n in left.shape)
            return users, films
        with _opened(self._spark) as spark, _reworded():
            from pyspark.ml import recommendation

            # Of Spark's ten blocks, most would be tasks that no core is there for.
            n_blocks = spark.sparkContext.defaultParallelism
            alternation = recommendation.ALS(
                rank=self.n_factors,
                numUserBlocks=n_blocks,
                numItemBlocks=n_blocks,
                maxIter=self.n_iterations,
                regParam=self.penalty,
                seed=self.seed,
                userCol="user",
                itemCol="film",
                ratingCol="left",
            )
            learned = alternation.fit(_frame_of(spark, left))
            return _collected(learned.userFactors, left.shape[0]), _collected(learned.itemFactors, left.shape[1])


@dataclass(frozen=True)
class GridPoint:
    """How well one choice of parameters predicts ratings that were held out.

    Parameters
    ----------
    n_factors, n_iterations : int
        Spark's rank and maxIter.
    penalty : float
        Spark's regParam.
    mse : float
        Mean squared error in stars², over all ratings that were held out; clipped to the scale, and the baseline's
        where the model knows user or film not.
    mae : float
        Mean absolute error in stars, likewise.
    coverage : float
        The share of them that the model could predict by itself.
    fit_s : float
        The mean time of fitting, in seconds.
    """

    n_factors: int
    n_iterations: int
    penalty: float
    mse: float
    mae: float
    coverage: float
    fit_s: float


def grid_search(
    ratings: Ratings,
    n_factors: Sequence[int],
    n_iterations: Sequence[int],
    penalties: Sequence[float],
    *,
    n_folds: int = 3,
    seed: int = 0,
    spark: SparkSession | None = None,
) -> list[GridPoint]:
    """Try every combination of parameters by cross-validation.

    By splits of our own and not by Spark's ``CrossValidator``: it knows no biases, which are fitted on each fold's
    training ratings here, and it tells nothing of what could not be predicted.
    """
    folds = list(k_fold(ratings, n_folds, seed))
    with _opened(spark) as opened:
        points = []
        for rank, rounds, penalty in product(n_factors, n_iterations, penalties):
            errors, covered, times = [], [], []
            for fold in folds:
                model = SparkALS(rank, rounds, penalty, seed=seed)
                started = time.perf_counter()
                model.fit(fold.train.matrix(), opened)
                times.append(time.perf_counter() - started)
                stars, by_itself = predict_stars(model, fold.train, fold.test)
                errors.append(stars - fold.test.values)
                covered.append(by_itself)
            left = np.concatenate(errors)
            coverage = float(np.concatenate(covered).mean())
            mse, mae = float(np.mean(left**2)), float(np.abs(left).mean())
            points.append(GridPoint(rank, rounds, penalty, mse, mae, coverage, float(np.mean(times))))
    return sorted(points, key=lambda point: point.mse)


@contextmanager
def _opened(spark: SparkSession | None) -> Iterator[SparkSession]:
    if spark is not None:
        yield spark
        return
    with session() as opened, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # A folder of this machine serves where Spark runs on this machine; a cluster's is for its owner to name.
        if opened.sparkContext.master.startswith("local") and not opened.sparkContext.getCheckpointDir():
            opened.sparkContext.setCheckpointDir(folder)
        yield opened


@contextmanager
def _reworded() -> Iterator[None]:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        with quietly():
            yield
    except (PySparkException, Py4JError) as error:
        raise ConfigError(
            f"Spark gave up fitting: {reason_of(error)}; if memory ran out, give it more (spark.driver.memory, "
            "spark.executor.memory); if the stack overflowed, take fewer iterations or set a checkpoint directory"
        ) from error


def _frame_of(spark: SparkSession, left: sparse.csr_array) -> Any:
    cells = left.tocoo()
    columns = {"user": cells.row.astype(np.int32), "film": cells.col.astype(np.int32), "left": cells.data}
    return spark.createDataFrame(pa.table(columns))


def _collected(frame: Any, n_rows: int) -> FloatArray:
    """Bring factors into an array, a row an id; whoever has no ratings has no factors, which are 0."""
    table = frame.toArrow()
    result = table["features"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
    factors = np.zeros((n_rows, result.shape[1]), np.float32)
    factors[table["id"].to_numpy()] = result
    return factors
