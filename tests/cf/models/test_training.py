from __future__ import annotations

import sys

import numpy as np
import pytest

from catalog.errors import ConfigError
from catalog.io.keras import import_keras
from cf.models.ranking_network import RankingNetwork
from tests.contracts import checkerboard, ratings_of

pytestmark = pytest.mark.heavy


def test_missing_keras_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ConfigError, match=r"need TensorFlow: .*pip install tensorflow"):
        import_keras()


def test_rejects_unknown_optimizer() -> None:
    with pytest.raises(ConfigError, match="no optimizer 'magic'; name one such as adam"):
        RankingNetwork(optimizer="magic").fit(ratings_of(checkerboard()).matrix())


def test_training_leaves_global_seeds_unchanged() -> None:
    np.random.seed(3)
    expected = np.random.random(3)
    np.random.seed(3)
    RankingNetwork(n_epochs=1).fit(ratings_of(checkerboard()).matrix())
    np.testing.assert_array_equal(np.random.random(3), expected)
