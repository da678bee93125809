"""From which similarity on two posters count as the same artwork."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from index.embedding import Similarity
from index.vectors import FloatMatrix

DUPLICATE_SIMILARITIES: Mapping[Similarity, float] = {"cosine": 0.97, "whitened": 0.55}
"""By what is compared; measured in docs/look-alikes.md."""
MOST_FILMS = 512
"""Of so many films the spread of similarities is measured."""

# Similarities of embedded films are 0 on average. Of trained networks their standard deviation is 0.05, but a network
# that tells little apart leaves few directions, in which different films come near each other by chance.
_N_DEVIATIONS = 6.0


def duplicate_similarity(similarity: Similarity, units: FloatMatrix) -> float:
    """Return the bound for an index; `units` are rows of some of its films."""
    bound = DUPLICATE_SIMILARITIES[similarity]
    if similarity == "cosine" or len(units) < 2:
        return bound
    cosines = (units @ units.T)[np.triu_indices(len(units), 1)]
    # Rounded, so that the order in which a machine sums does not matter.
    by_chance = round(_N_DEVIATIONS * float(cosines.std()), 3)
    return min(max(bound, by_chance), DUPLICATE_SIMILARITIES["cosine"])
