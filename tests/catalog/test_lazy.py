import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from catalog.lazy import lazy


class Counted:
    def __init__(self) -> None:
        self.n_computed = 0
        self.barrier = threading.Barrier(8)

    @lazy
    def value(self) -> object:
        """The value."""
        self.n_computed += 1
        return object()

    @lazy
    def nested(self) -> object:
        return self.value

    @lazy
    def failing(self) -> object:
        self.n_computed += 1
        raise OSError("not now")

    def read_together(self) -> object:
        self.barrier.wait()
        return self.value


def test_concurrent_threads_compute_it_once() -> None:
    counted = Counted()
    with ThreadPoolExecutor(8) as pool:
        values = set(pool.map(lambda _: counted.read_together(), range(8)))
    assert counted.n_computed == 1
    assert len(values) == 1


def test_a_lazy_property_may_use_another() -> None:
    counted = Counted()
    assert counted.nested is counted.value


def test_instances_are_independent() -> None:
    assert Counted().value is not Counted().value


def test_a_failure_is_not_stored() -> None:
    counted = Counted()
    for _ in range(2):
        with pytest.raises(OSError, match="not now"):
            _ = counted.failing
    assert counted.n_computed == 2


def test_the_class_shows_the_documentation() -> None:
    assert Counted.value.__doc__ == "The value."
