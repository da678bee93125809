"""Collaborative filtering: recommenders, their evaluation, the blend with visual similarity, and cold start."""

from typing import TYPE_CHECKING

from catalog.lazy import submodules

if TYPE_CHECKING:
    from cf import coldstart as coldstart
    from cf import evaluation as evaluation
    from cf import hybrid as hybrid
    from cf import ratings as ratings
    from cf import registry as registry

__getattr__ = submodules(__name__)
