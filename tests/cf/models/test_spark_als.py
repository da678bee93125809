from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import numpy as np
import pytest

from catalog.errors import ConfigError
from catalog.extras import pip_install
from catalog.io.spark import session
from cf.base import Recommender
from cf.models.als import ALS
from cf.models.spark_als import SparkALS, grid_search
from cf.ratings import Ratings
from tests.contracts import RecommenderContract, checkerboard, random_stars, ratings_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.heavy

needs_java = pytest.mark.skipif(
    which("java") is None and "JAVA_HOME" not in os.environ, reason="Spark needs Java 17 (openjdk-17-jre-headless)"
)


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    with session("local[2]") as opened:
        opened.sparkContext.setCheckpointDir(str(tmp_path_factory.mktemp("checkpoints")))
        # Spark's 200 partitions are for other sizes than these.
        opened.conf.set("spark.sql.shuffle.partitions", "2")
        yield opened


@needs_java
@pytest.mark.usefixtures("spark")
class TestSparkALS(RecommenderContract):
    @pytest.fixture
    def make(self) -> Callable[[], Recommender]:
        return partial(SparkALS, n_factors=2, n_iterations=5)


@needs_java
def test_predictions_match_local_als(spark: SparkSession) -> None:
    # The checkerboard has one pattern, and with a penalty both find it from any start.
    ratings = ratings_of(checkerboard()).matrix()
    users, films = np.nonzero(np.ones(ratings.values.shape))
    local, remote = (
        model.predict(ratings.user_ids[users], ratings.movie_ids[films])
        for model in (ALS(2, 12, 0.1, frequency_power=1.0).fit(ratings), SparkALS(2, 12, 0.1).fit(ratings, spark))
    )
    np.testing.assert_allclose(remote, local, atol=0.02)


@needs_java
def test_existing_session_stays_open(spark: SparkSession) -> None:
    model = SparkALS(2, 1)
    model.fit(ratings_of(random_stars(seed=1)).matrix(), spark)
    assert spark.range(3).count() == 3
    assert set(model.parameters) == {"n_factors", "n_iterations", "penalty", "bias_damping", "seed"}


@pytest.mark.release
@needs_java
def test_grid_search_tries_every_combination_and_sorts_by_error(spark: SparkSession) -> None:
    stars = random_stars(seed=1)
    # A film with a single rating is unknown in one fold.
    stars[:, 5] = 0
    stars[2, 5] = 4
    points = grid_search(ratings_of(stars), [1, 2], [2], [0.05, 5.0], n_folds=2, spark=spark)
    assert {(point.n_factors, point.n_iterations, point.penalty) for point in points} == {
        *((1, 2, 0.05), (2, 2, 0.05), (1, 2, 5.0), (2, 2, 5.0))
    }
    assert [point.mse for point in points] == sorted(point.mse for point in points)
    n_ratings = np.count_nonzero(stars)
    assert all(point.coverage == pytest.approx(1 - 1 / n_ratings) for point in points)
    assert all(point.fit_s > 0 and point.mae < point.mse**0.5 for point in points)


@needs_java
def test_spark_errors_become_one_line(spark: SparkSession) -> None:
    with pytest.raises(ConfigError, match=r"Spark gave up fitting: .*rank given invalid value -1"):
        SparkALS(-1).fit(ratings_of(random_stars(seed=1)).matrix(), spark)


def test_opened_model_does_not_import_pyspark(tmp_path: Path) -> None:
    model = SparkALS(3)
    # Without ratings there is nothing to fit.
    model.fit(Ratings.empty().matrix()).save(tmp_path)
    code = (
        "import sys; from pathlib import Path; from cf.models.spark_als import SparkALS; "
        f"SparkALS.open(Path({str(tmp_path)!r})).recommend([1], 3); print('pyspark' in sys.modules)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert process.stdout.strip() == "False"


_FIT = (
    "from cf.models.spark_als import SparkALS; from tests.contracts import ratings_of; "
    "SparkALS(3).fit(ratings_of([[1, 2], [3, 4]]).matrix())"
)


def test_missing_pyspark_error_names_the_extra() -> None:
    # In a process of its own: this one may have PySpark from other tests, with objects that still use it.
    code = f"import sys; sys.modules['pyspark'] = None; {_FIT}"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path.cwd())
    assert f"ConfigError: Spark needs pyspark: {pip_install('pyspark')}" in process.stderr


def test_missing_java_error_names_the_version(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    process = subprocess.run(
        [sys.executable, "-c", _FIT], capture_output=True, text=True, check=False, cwd=Path.cwd(), env=environment
    )
    assert "ConfigError: Spark needs Java 17 or newer" in process.stderr
