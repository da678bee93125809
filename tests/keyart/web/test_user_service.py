"""What is opened when it is first asked for, and anew when it is old."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from catalog.errors import NotBuiltError
from keyart.web.user_schemas import UserQuestion
from keyart.web.user_service import Kept, Tastes


class Opened:
    """Something that ages when it is told to."""

    def __init__(self) -> None:
        self.current = True

    def is_current(self) -> bool:
        return self.current


def test_it_is_opened_once_by_whoever_comes_first() -> None:
    all_are_here, openings = threading.Barrier(8), []

    def open_() -> Opened:
        openings.append(threading.get_ident())
        return Opened()

    kept = Kept(open_)

    def ask(_: int) -> Opened:
        all_are_here.wait(30)
        return kept()

    with ThreadPoolExecutor(8) as threads:
        given = list(threads.map(ask, range(8)))
    assert len(openings) == 1
    assert all(one is given[0] for one in given)


def test_what_is_old_is_opened_anew() -> None:
    kept = Kept(Opened)
    first = kept()
    assert kept() is first
    first.current = False
    assert kept() is not first


def test_what_cannot_be_opened_is_tried_again() -> None:
    attempts: list[int] = []

    def open_() -> Opened:
        attempts.append(1)
        if len(attempts) == 1:
            raise NotBuiltError("not yet")
        return Opened()

    kept = Kept(open_)
    with pytest.raises(NotBuiltError):
        kept()
    assert kept().is_current()


def test_nothing_is_opened_before_it_is_asked_for_and_two_models_stay_open(fitted_home: Path) -> None:
    tastes = Tastes(fitted_home, lambda _: True)
    assert not tastes._recommenders
    for model in ("ease", "als", "item-cosine"):
        assert tastes.for_user(2, UserQuestion(model=model, k=3)).model == model
    assert list(tastes._recommenders) == ["als", "item-cosine"]
