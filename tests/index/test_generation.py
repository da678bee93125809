"""Adding, replacing and removing films of an index, also while it is searched."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from catalog.errors import DataError, UnknownFilmError
from catalog.scored_ids import ScoredIds
from index.backends.exact import ExactRows
from index.cosine import CosineIndex
from index.generation import Generation
from index.record import Growth
from index.source import FilmFeatures
from tests.contracts import ids_of, random_features
from tests.index.kinds import KINDS, SHORTLISTS, SOME, Kind, dense_cosines, n_nearest

FEATURES = random_features(21, 300, 48)
IDS = ids_of(FEATURES)


def films(rows: npt.ArrayLike, kind: Kind) -> FilmFeatures:
    chosen = np.asarray(rows)
    return FilmFeatures.of(IDS[chosen], FEATURES[chosen].astype(kind.dtype))


def centered_cosines(
    rows: npt.NDArray[np.floating], queries: npt.NDArray[np.floating], mean: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.float64]:
    subtracted = np.zeros(rows.shape[1]) if mean is None else mean.astype(np.float64)
    return dense_cosines(rows - subtracted, queries - subtracted)


def assert_holds(index: CosineIndex, rows: npt.ArrayLike, kind: Kind) -> None:
    """Check that an index holds these films, each with its own features."""
    present = np.asarray(rows)
    assert len(index) == len(present)
    np.testing.assert_array_equal(index.movie_ids, IDS[present])
    features = FEATURES[present].astype(kind.dtype)
    cosines = centered_cosines(features, features, index.mean)
    n_found = 0
    k = min(10, len(present) - 1)
    queried = range(0, len(present), 4)
    for row, found in zip(queried, index.similar(IDS[present[queried]].tolist(), k), strict=True):
        n_found += n_nearest(found, np.delete(IDS[present], row), np.delete(cosines[row], row), k)
    assert n_found >= kind.recall * k * len(queried)


@pytest.fixture(params=SOME)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


FIRST, LATER = np.arange(0, 300, 2), np.arange(1, 300, 2)


def test_added_films_are_found_at_once(kind: Kind) -> None:
    index = kind.build(films(FIRST, kind))
    for rows in np.split(LATER[:120], 3):
        index.add(films(rows, kind))
    assert_holds(index, np.sort([*FIRST, *LATER[:120]]), kind)


def test_adding_one_by_one_equals_adding_all_at_once(kind: Kind) -> None:
    one, other = (kind.build(films(FIRST, kind)) for _ in range(2))
    for row in LATER[:20].tolist():
        one.add(films([row], kind))
    other.add(films(LATER[:20], kind))
    for left, right in zip(one.similar(IDS[:40].tolist(), 10), other.similar(IDS[:40].tolist(), 10), strict=True):
        np.testing.assert_array_equal(left.ids, right.ids)
        np.testing.assert_array_equal(left.scores, right.scores)


def test_grown_index_has_the_cosines_of_a_new_one(kind: Kind) -> None:
    grown = kind.build(films(FIRST, kind))
    grown.add(films(LATER, kind))
    assert_holds(grown, np.arange(300), kind)
    if not kind.center:
        assert_holds(kind.build(films(np.arange(300), kind)), np.arange(300), kind)


def test_adding_an_existing_film_replaces_it(kind: Kind) -> None:
    expected = random_features(22, 300, 48)
    index = kind.build(FilmFeatures.of(IDS, expected.astype(kind.dtype), ["a" * 64] * 300))
    changed = np.arange(0, 300, 3)
    index.add(FilmFeatures.of(IDS[changed], FEATURES[changed].astype(kind.dtype), ["b" * 64] * 100))
    assert len(index) == 300
    expected[changed] = FEATURES[changed]
    cosines = centered_cosines(expected.astype(kind.dtype), expected.astype(kind.dtype), index.mean)
    for row, found in enumerate(index.search(expected.astype(kind.dtype), 5)):
        n_nearest(found, IDS, cosines[row], 5)
        assert found.ids[0] == IDS[row]
    assert [index.poster_sha256s[film][0] for film in IDS[:4].tolist()] == ["b", "a", "a", "b"]


def test_removed_films_are_not_found(kind: Kind) -> None:
    index = kind.build(films(np.arange(300), kind))
    index.remove([*IDS[LATER], 11, 10**12])
    assert_holds(index, FIRST, kind)
    assert IDS[1] not in index
    with pytest.raises(UnknownFilmError, match="no features of movie_id 13 in this index of 150 films"):
        index.similar([13], 5)


def test_removing_unknown_films_changes_nothing(kind: Kind) -> None:
    index = kind.build(films(FIRST, kind))
    index.remove([11, 12])
    index.remove([])
    assert_holds(index, FIRST, kind)


def test_the_last_film_cannot_be_removed(kind: Kind) -> None:
    index = kind.build(films(FIRST, kind))
    with pytest.raises(DataError, match="no film would be left in the index; remove its folder instead"):
        index.remove(IDS)
    assert_holds(index, FIRST, kind)
    index.remove(IDS[FIRST[1:]])
    assert [len(found) for found in index.similar([10], 5)] == [0]


def test_all_films_can_be_replaced_by_others(kind: Kind) -> None:
    index = kind.build(FilmFeatures.of(IDS[FIRST], random_features(22, 150, 48).astype(kind.dtype)))
    index.add(films(FIRST, kind))
    assert_holds(index, FIRST, kind)


def test_faulty_films_are_not_added(kind: Kind) -> None:
    index = kind.build(films(FIRST, kind))
    rows = np.array([0, 1, 3])
    broken = FEATURES[rows].astype(kind.dtype)
    broken[:2] = [[np.nan], [0]]
    index.add(FilmFeatures.of(IDS[rows], broken))
    # An indexed film that can no longer be compared is removed.
    assert_holds(index, np.sort([*FIRST[1:], 3]), kind)
    assert index.left_out == {
        10: "its features are not all finite numbers",
        13: "its features are all zero",
    }
    with pytest.raises(DataError, match="movie_id 13 cannot be compared: its features are all zero"):
        index.similar([13], 5)
    index.add(films([0, 1], kind))
    assert index.left_out == {}
    assert_holds(index, np.sort([*FIRST, 1, 3]), kind)


def test_films_that_are_left_out_again_cost_one_look_each() -> None:
    class Counted(int):
        n_looks = 0

        def __hash__(self) -> int:
            Counted.n_looks += 1
            return hash(int(self))

    counts = []
    rows = ExactRows.build(FilmFeatures.of(IDS[FIRST], FEATURES[FIRST]), None)
    generation = Generation(IDS[FIRST], ("",) * len(FIRST), rows, Growth(len(FIRST)))
    for n in (50, 200):
        faulty = {Counted(film): "not finite" for film in range(10_000, 10_000 + n)}
        left_out = generation.with_films(None, faulty)
        Counted.n_looks = 0
        again = left_out.with_films(None, faulty)
        counts.append(Counted.n_looks / n)
        assert len(again.left_out) == n
    assert counts[0] == counts[1]


def test_removing_a_left_out_film_forgets_it(kind: Kind) -> None:
    index = kind.build(films(FIRST, kind))
    index.add(FilmFeatures.of([11], np.zeros((1, 48), kind.dtype)))
    assert list(index.left_out) == [11]
    index.remove([11])
    assert index.left_out == {}


def test_features_of_another_width_are_not_added(kind: Kind) -> None:
    index = kind.build(films(FIRST, kind))
    with pytest.raises(DataError, match="expected features of 48 columns, received 32"):
        index.add(FilmFeatures.of([11], random_features(1, 1, 32).astype(kind.dtype)))
    assert_holds(index, FIRST, kind)


@pytest.mark.parametrize("name", SHORTLISTS)
def test_features_of_another_type_are_not_added_to_a_shortlist(name: str) -> None:
    kind = KINDS[name]
    index = kind.build(films(FIRST, kind))
    other = np.float32 if kind.dtype is np.float16 else np.float16
    with pytest.raises(DataError, match="all of them float16 or all of them float32"):
        index.add(FilmFeatures.of(IDS[LATER], FEATURES[LATER].astype(other)))
    assert_holds(index, FIRST, kind)


# Saving what was changed


def test_changes_are_saved_and_can_be_continued(kind: Kind, tmp_path: Path) -> None:
    everything = films(np.arange(300), kind)
    kind.build(films(FIRST, kind)).save(tmp_path)
    index = CosineIndex.open(tmp_path, everything)
    index.add(films(LATER[:70], kind))
    index.remove(IDS[FIRST[:30]])
    index.save(tmp_path)
    rows = np.sort([*FIRST[30:], *LATER[:70]])
    again = CosineIndex.open(tmp_path, everything)
    assert_holds(again, rows, kind)
    assert again.record == index.record
    again.add(films(LATER[70:], kind))
    again.save(tmp_path)
    assert_holds(CosineIndex.open(tmp_path, everything), np.sort([*rows, *LATER[70:]]), kind)
    # Only the files of the last of three generations remain.
    assert len(list(tmp_path.iterdir())) == (5 if kind.rank else 3)


@pytest.mark.parametrize("name", SHORTLISTS)
def test_basis_is_written_once(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    kind.build(films(FIRST, kind)).save(tmp_path / "one")
    (basis_path,) = (tmp_path / "one").glob("*-basis.npy")
    written = basis_path.stat()
    index = CosineIndex.open(tmp_path / "one", films(np.arange(300), kind))
    index.add(films(LATER, kind))
    index.save(tmp_path / "one")
    assert [path.name for path in (tmp_path / "one").glob("*-basis.npy")] == [basis_path.name]
    assert (basis_path.stat().st_ino, basis_path.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    # It is written again into another folder, and where it is missing.
    index.save(tmp_path / "two")
    basis_path.unlink()
    index.save(tmp_path / "one")
    for folder in ("one", "two"):
        assert_holds(CosineIndex.open(tmp_path / folder, films(np.arange(300), kind)), np.arange(300), kind)


def test_readers_of_older_generations_keep_working(kind: Kind, tmp_path: Path) -> None:
    everything = films(np.arange(300), kind)
    kind.build(films(FIRST, kind)).save(tmp_path)
    readers = [CosineIndex.open(tmp_path, everything)]
    writer = CosineIndex.open(tmp_path, everything)
    for rows in np.split(LATER, 3):
        writer.add(films(rows, kind))
        writer.save(tmp_path)
        readers.append(CosineIndex.open(tmp_path, everything))
    kind.build(films(LATER, kind)).save(tmp_path)
    for n, reader in enumerate(readers):
        assert_holds(reader, np.sort([*FIRST, *LATER[: 50 * n]]), kind)
    # A reader of an older generation can even save it.
    readers[1].save(tmp_path)
    assert_holds(CosineIndex.open(tmp_path, everything), np.sort([*FIRST, *LATER[:50]]), kind)


# Drift


@pytest.mark.parametrize("name", ["short basis", "inverted lists", "bytes in inverted lists, centered, half floats"])
def test_different_films_require_a_refit(name: str) -> None:
    kind = KINDS[name]
    index = kind.build(films(np.arange(300), kind))
    assert index.needs_refit is False
    # Noise in all directions is not what the basis was fitted on.
    noise = np.random.default_rng(1).standard_normal((60, 48)).astype(kind.dtype)
    index.add(FilmFeatures.of(10_000 + np.arange(40), noise[:40]))
    assert index.record.growth.drift > 1.15
    assert index.needs_refit is False
    index.add(FilmFeatures.of(20_000 + np.arange(20), noise[40:]))
    assert index.needs_refit is True
    assert index.record.growth.n_added == 60


def test_similar_films_do_not_require_a_refit(kind: Kind, tmp_path: Path) -> None:
    n_fitted = 500
    features = random_features(1, n_fitted + 300, 96).astype(kind.dtype)
    movie_ids = ids_of(features)
    index = kind.build(FilmFeatures.of(movie_ids[:n_fitted], features[:n_fitted]))
    index.add(FilmFeatures.of(movie_ids[n_fitted:], features[n_fitted:]))
    index.save(tmp_path)
    opened = CosineIndex.open(tmp_path, FilmFeatures.of(movie_ids, features))
    assert opened.record.growth.n_added == 300
    assert opened.record.growth.drift == pytest.approx(1, abs=0.15)
    assert opened.needs_refit is False


def test_more_films_added_than_fitted_require_a_refit(kind: Kind) -> None:
    index = kind.build(films(np.arange(100), kind))
    index.add(films(np.arange(100, 201), kind))
    assert index.needs_refit is True


# Threads


def test_searches_run_while_films_are_added_and_removed(kind: Kind) -> None:
    index = kind.build(films(FIRST, kind))
    steps = np.split(LATER, 10)
    queried = [*IDS[FIRST[:3]].tolist(), int(IDS[LATER[0]]), int(IDS[LATER[75]])]
    finished = threading.Event()

    def query(movie_id: int) -> list[ScoredIds]:
        results = []
        while not finished.is_set():
            try:
                results += index.similar([movie_id], 5)
            except UnknownFilmError:
                assert movie_id in queried[3:]
        return results + index.similar([movie_id], 5)

    features = FEATURES.astype(kind.dtype)
    with ThreadPoolExecutor(len(queried)) as pool:
        futures = [pool.submit(query, movie_id) for movie_id in queried]
        for rows in steps:
            index.add(films(rows, kind))
        for rows in steps[5:]:
            index.remove(IDS[rows])
            index.add(films(rows, kind))
        finished.set()
    cosines = centered_cosines(features, features, index.mean)
    for movie_id, future in zip(queried, futures, strict=True):
        row = int(np.searchsorted(IDS, movie_id))
        for found in future.result():
            # Each result is of one state of the index, with exact cosines.
            rows = np.searchsorted(IDS, found.ids)
            np.testing.assert_allclose(found.scores, cosines[row, rows], atol=2e-6)
            assert len(set(rows)) == 5
            assert row not in rows
        n_nearest(future.result()[-1], np.delete(IDS, row), np.delete(cosines[row], row), 5)


def test_several_threads_can_add_and_remove(kind: Kind) -> None:
    index = kind.build(films(FIRST, kind))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda rows: index.add(films(rows, kind)), np.split(LATER, 30)))
        list(pool.map(lambda row: index.remove([IDS[row]]), FIRST[:20]))
    assert_holds(index, np.sort([*FIRST[20:], *LATER]), kind)


# Arbitrary sequences of changes


class ChangeMachine(RuleBasedStateMachine):
    """Change an index at random; it must hold the expected films with their true cosines."""

    kind = KINDS["exact"]

    @initialize(rows=st.sets(st.integers(0, 59), min_size=2))
    def build(self, rows: set[int]) -> None:
        self.present = dict.fromkeys(rows, 0)
        # Three versions of each film's features.
        self.versions = np.stack([random_features(seed, 60) for seed in (31, 32, 33)]).astype(self.kind.dtype)
        self.index = self.kind.build(self.of(rows, 0))

    def of(self, rows: set[int], version: int) -> FilmFeatures:
        chosen = np.array(sorted(rows))
        hashes = [f"{row * 3 + version + 1:064x}" for row in chosen.tolist()]
        return FilmFeatures.of(10 + 3 * chosen, self.versions[version][chosen], hashes)

    def now(self) -> FilmFeatures:
        chosen = np.array(sorted(self.present))
        rows = np.stack([self.versions[self.present[row]][row] for row in chosen.tolist()])
        hashes = [f"{row * 3 + self.present[row] + 1:064x}" for row in chosen.tolist()]
        return FilmFeatures.of(10 + 3 * chosen, rows, hashes)

    @rule(rows=st.sets(st.integers(0, 59), min_size=1, max_size=20), version=st.integers(0, 2))
    def add(self, rows: set[int], version: int) -> None:
        self.index.add(self.of(rows, version))
        self.present |= dict.fromkeys(rows, version)

    @rule(rows=st.sets(st.integers(0, 80), max_size=20))
    def remove(self, rows: set[int]) -> None:
        left = set(self.present) - rows
        if not left:
            with pytest.raises(DataError):
                self.index.remove([10 + 3 * row for row in rows])
        else:
            self.index.remove([10 + 3 * row for row in rows])
            self.present = {row: version for row, version in self.present.items() if row in left}

    @precondition(lambda self: hasattr(self, "folder"))
    @rule()
    def save_and_open(self) -> None:
        self.index.save(self.folder)
        self.index = CosineIndex.open(self.folder, self.now())

    @invariant()
    def holds_the_expected_films(self) -> None:
        if not hasattr(self, "present"):
            return
        expected = self.now()
        np.testing.assert_array_equal(self.index.movie_ids, expected.movie_ids)
        assert self.index.poster_sha256s == dict(zip(expected.movie_ids.tolist(), expected.poster_sha256s, strict=True))
        rows = expected.arrays[0]
        cosines = centered_cosines(rows, rows, self.index.mean)
        for row, found in enumerate(self.index.similar(expected.movie_ids[:5].tolist(), 100)):
            others = np.arange(len(rows)) != row
            assert n_nearest(found, expected.movie_ids[others], cosines[row, others], 100) == others.sum()


@pytest.mark.parametrize("name", ["exact, centered", "short basis", "bytes in inverted lists, centered, half floats"])
def test_any_sequence_of_changes_keeps_the_index_correct(name: str, tmp_path: Path) -> None:
    machine = type("ChangeMachine", (ChangeMachine,), {"kind": KINDS[name], "folder": tmp_path})
    machine.TestCase.settings = settings(max_examples=6, stateful_step_count=7, deadline=None)
    machine.TestCase("runTest").runTest()
