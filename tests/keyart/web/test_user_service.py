"""The models and users that a server keeps open."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from catalog.errors import NotBuiltError
from keyart.web.schemas.users import RecommendationQuery
from keyart.web.services.users import UserService


def test_models_open_on_first_use_and_two_stay_open(fitted_home: Path) -> None:
    service = UserService(fitted_home, lambda _: True)
    assert not service._models
    for model in ("ease", "als", "item-cosine"):
        assert service.for_user(2, RecommendationQuery(model=model, k=3)).model == model
    with pytest.raises(NotBuiltError):
        service.for_user(2, RecommendationQuery(model="sgd"))
    assert list(service._models) == ["als", "item-cosine"]
    service.close()
