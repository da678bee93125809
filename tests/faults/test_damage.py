"""A damaged file gives a named error or the right answer, never a wrong one, and `keyart check` names it.

The whole takes tens of minutes: `make faults`. A sample runs with the other tests.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.faults.conftest import RecordCases
from tests.faults.damage import (
    FURTHER_KINDS,
    KINDS,
    RECORDS,
    Damaged,
    flips,
    further_questions,
    is_harmless,
    make_further,
    make_whole,
)

pytest.importorskip("onnxruntime")
pytest.importorskip("sklearn")

# The others read whole parts anew, which takes longest.
_QUICK = frozenset({"similar", "recommend", "explore", "cold-start"})
_EVERY_NTH = 10


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    return Damaged(make_whole(tmp_path_factory.mktemp("whole")), tmp_path_factory.mktemp("damaged"))


@pytest.fixture(scope="module")
def further(tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    whole = make_further(tmp_path_factory.mktemp("whole"))
    return Damaged(whole, tmp_path_factory.mktemp("damaged"), further_questions)


def _check_flips(damaged: Damaged, kind: str, n: int, seed: int) -> None:
    random, wrong = Random(f"{kind} {seed}"), []
    for number in range(n):
        name = damaged.file_of(kind, random)
        before = (damaged.whole / name).read_bytes()
        (after,) = flips(before, 1, random)
        asked = None if number % _EVERY_NTH == 0 else _QUICK
        found = damaged.wrong_with(name, lambda path, content=after: path.write_bytes(content), asked)
        if is_harmless(name, before, after):
            found = [one for one in found if one != "check named nothing"]
        (at,) = [at for at, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
        wrong += [f"{name}, byte {at} of {len(before)}: {one}" for one in found]
    assert not wrong, "\n".join(wrong[:10])


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _removed(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _swapped(path: Path) -> None:
    """Put another file of the workspace in its place."""
    others = [one for one in sorted(path.parent.iterdir()) if one != path and one.is_file() and one.stat().st_size]
    same_kind = [one for one in others if one.suffix == path.suffix]
    shutil.copyfile((same_kind or others or sorted(path.parents[1].glob("*.json")))[0], path)


WAYS: dict[str, Callable[[Path], None]] = {
    "cut": _cut,
    "emptied": _emptied,
    "removed": _removed,
    "replaced by a folder": _folder,
    "swapped": _swapped,
}


def _check_way(damaged: Damaged, kind: str, way: str) -> None:
    name = damaged.file_of(kind, Random(f"{kind} {way}"))
    wrong = damaged.wrong_with(name, WAYS[way])
    if way == "removed" and kind in RECORDS:
        # As if that part had never been made; nothing else may happen than that.
        assert "check named nothing" not in wrong or not kind.endswith("features-*.json"), wrong
        return
    assert not wrong, f"{name} {way}: " + "\n".join(wrong)


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_a_few_flipped_bits_give_no_wrong_answer(damaged: Damaged, kind: str) -> None:
    _check_flips(damaged, kind, 2, seed=1)


@pytest.mark.heavy
@pytest.mark.parametrize("kind", FURTHER_KINDS)
def test_a_flipped_bit_of_a_further_part_gives_no_wrong_answer(further: Damaged, kind: str) -> None:
    _check_flips(further, kind, 1, seed=1)


@pytest.mark.heavy
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["catalog.sqlite", "posters/*.jpg", "features/features-*.npy", "index/index.json"])
def test_a_file_that_is_cut_lost_or_swapped_gives_no_wrong_answer(damaged: Damaged, kind: str, way: str) -> None:
    _check_way(damaged, kind, way)


@pytest.mark.faults
@pytest.mark.parametrize("kind", KINDS)
def test_three_hundred_flipped_bits_of_every_kind_of_file_give_no_wrong_answer(
    damaged: Damaged, kind: str, record_cases: RecordCases
) -> None:
    _check_flips(damaged, kind, 300, seed=0)
    record_cases("flipped bits", 300)


@pytest.mark.faults
@pytest.mark.parametrize("kind", FURTHER_KINDS)
def test_flipped_bits_of_further_parts_give_no_wrong_answer(
    further: Damaged, kind: str, record_cases: RecordCases
) -> None:
    _check_flips(further, kind, 20, seed=0)
    record_cases("flipped bits of further parts", 20)


@pytest.mark.faults
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", FURTHER_KINDS)
def test_a_further_part_that_is_cut_lost_or_swapped_gives_no_wrong_answer(
    further: Damaged, kind: str, way: str
) -> None:
    _check_way(further, kind, way)


@pytest.mark.faults
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_any_file_that_is_cut_lost_or_swapped_gives_no_wrong_answer(damaged: Damaged, kind: str, way: str) -> None:
    _check_way(damaged, kind, way)
