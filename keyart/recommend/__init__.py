"""Recommendations for one user: fitted models, new films among known ones, onboarding."""

from typing import TYPE_CHECKING

from catalog.lazy import submodules

if TYPE_CHECKING:
    from keyart.recommend import analysis as analysis
    from keyart.recommend import models as models
    from keyart.recommend import personal_ratings as personal_ratings
    from keyart.recommend import recommendations as recommendations

__getattr__ = submodules(__name__)
