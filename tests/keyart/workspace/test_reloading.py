"""Objects opened from files, and reopened when the files change."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from catalog.errors import NotBuiltError
from catalog.io.files import write_bytes
from keyart.workspace.reloading import Reloading


class Part:
    """The content of a file, and whether it was closed."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.is_closed = False

    def close(self) -> None:
        assert not self.is_closed
        self.is_closed = True


Make = Callable[..., Reloading[Part]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_bytes(tmp_path / "record", b"old")
    return tmp_path / "record"


@pytest.fixture
def make(path: Path) -> Iterator[Make]:
    """A constructor of instances that check their files only when the test calls `refresh`."""
    made: list[Reloading[Part]] = []

    def make(open_: Callable[[], Part] | None = None, **options: object) -> Reloading[Part]:
        arguments = {"close": Part.close, "interval_s": 3600.0} | options
        one = Reloading("part", open_ or (lambda: Part(path.read_bytes())), lambda: [path], **arguments)  # type: ignore[arg-type]
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def test_concurrent_users_open_it_once(make: Make) -> None:
    barrier, openings = threading.Barrier(8), []

    def open_() -> Part:
        openings.append(threading.get_ident())
        return Part(b"")

    reloading = make(open_)

    def use(_: int) -> Part:
        barrier.wait(60)
        with reloading.use() as part:
            return part

    with ThreadPoolExecutor(8) as threads:
        parts = list(threads.map(use, range(8)))
    assert len(openings) == 1
    assert all(part is parts[0] for part in parts)


def test_unchanged_files_are_not_reopened(make: Make) -> None:
    reloading = make()
    with reloading.use() as first:
        reloading.refresh()
        with reloading.use() as second:
            assert second is first


def test_changed_files_are_reopened_and_the_old_part_is_closed_after_its_last_user(make: Make, path: Path) -> None:
    reloading = make()
    with reloading.use() as old, reloading.use():
        write_bytes(path, b"new")
        reloading.refresh()
        with reloading.use() as new:
            assert (old.content, new.content) == (b"old", b"new")
        assert not old.is_closed
    assert old.is_closed
    assert not new.is_closed


def test_an_unused_old_part_is_closed_at_once(make: Make, path: Path) -> None:
    reloading = make()
    with reloading.use() as old:
        pass
    write_bytes(path, b"new")
    reloading.refresh()
    assert old.is_closed


def test_failed_first_opening_raises_and_is_retried(make: Make, path: Path) -> None:
    def open_() -> Part:
        if path.read_bytes() == b"old":
            raise NotBuiltError("not yet")
        return Part(path.read_bytes())

    reloading = make(open_)
    with pytest.raises(NotBuiltError), reloading.use():
        pass
    write_bytes(path, b"new")
    with reloading.use() as part:
        assert part.content == b"new"


def test_old_part_stays_in_use_when_the_new_one_cannot_be_opened(
    make: Make, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def open_() -> Part:
        attempts.append(path.read_bytes())
        if attempts[-1] == b"damaged":
            raise NotBuiltError("damaged")
        return Part(attempts[-1])

    attempts: list[bytes] = []
    results: list[tuple[str, str]] = []
    reloading = make(open_, on_reload=lambda name, outcome: results.append((name, outcome)))
    with reloading.use():
        pass
    with caplog.at_level(logging.WARNING):
        write_bytes(path, b"damaged")
        reloading.refresh()
        # Unchanged files are not tried again.
        reloading.refresh()
    with reloading.use() as part:
        assert part.content == b"old"
    assert caplog.text.count("the old one stays in use") == 1
    write_bytes(path, b"repaired")
    reloading.refresh()
    with reloading.use() as part:
        assert part.content == b"repaired"
    assert attempts == [b"old", b"damaged", b"repaired"]
    reloading.close()
    assert results == [("part", "failed"), ("part", "opened"), ("part", "closed")]


def test_users_get_the_old_part_while_the_new_one_is_being_opened(make: Make, path: Path) -> None:
    is_opening, may_open = threading.Event(), threading.Event()

    def reopen(before: Part) -> Part:
        assert before.content == b"old"
        is_opening.set()
        assert may_open.wait(60)
        return Part(path.read_bytes())

    reloading = make(reopen=reopen)
    with reloading.use():
        pass
    write_bytes(path, b"new")
    with ThreadPoolExecutor(1) as threads:
        refreshed = threads.submit(reloading.refresh)
        assert is_opening.wait(60)
        with reloading.use() as part:
            assert part.content == b"old"
        may_open.set()
        refreshed.result(60)
    with reloading.use() as part:
        assert part.content == b"new"


def test_changes_are_noticed_in_the_background(make: Make, path: Path) -> None:
    is_reopened = threading.Event()
    reloading = make(interval_s=0.001, on_reload=lambda _name, _outcome: is_reopened.set())
    with reloading.use():
        write_bytes(path, b"new")
        assert is_reopened.wait(60)
    with reloading.use() as part:
        assert part.content == b"new"


def test_after_closing_each_use_opens_and_closes_its_own(make: Make) -> None:
    reloading = make()
    with reloading.use() as held:
        reloading.close()
        assert not held.is_closed
    assert held.is_closed
    with reloading.use() as own:
        assert not own.is_closed
    assert own.is_closed


def test_many_threads_never_see_a_closed_part(make: Make, path: Path) -> None:
    reloading, is_over = make(), threading.Event()

    def use() -> int:
        n_uses = 0
        # Paced, so that the thread that replaces parts gets the processor too.
        while not is_over.wait(0.0005) or not n_uses:
            with reloading.use() as part:
                assert not part.is_closed
            n_uses += 1
        return n_uses

    with ThreadPoolExecutor(4) as threads:
        users = [threads.submit(use) for _ in range(4)]
        for number in range(20):
            write_bytes(path, str(number).encode())
            reloading.refresh()
        is_over.set()
        assert all(user.result(60) for user in users)
    with reloading.use() as part:
        assert part.content == b"19"
