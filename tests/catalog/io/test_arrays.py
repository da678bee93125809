"""Arrays that another process replaces while they are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from catalog.errors import DamageError
from catalog.io.arrays import hold_arrays, save_arrays
from tests.faults.interleaving import Interleaving, once_at


def save(folder: Path, number: int) -> None:
    save_arrays(folder, "model", "kind", 1, {}, {"values": np.full(9, number)})


def test_arrays_that_are_replaced_meanwhile_are_no_damage(tmp_path: Path) -> None:
    save(tmp_path, 0)
    for at in range(4):
        works = [lambda: hold_arrays(tmp_path / "model.json"), lambda at=at: save(tmp_path, at + 1)]
        assert Interleaving(tmp_path, works, once_at(at)).run() == [None, None]


def test_arrays_that_are_gone_are_damage(tmp_path: Path) -> None:
    save(tmp_path, 0)
    next(tmp_path.glob("*.npz")).unlink()
    with pytest.raises(DamageError, match=r"model in .* is damaged .*; fit the model again"):
        hold_arrays(tmp_path / "model.json")
