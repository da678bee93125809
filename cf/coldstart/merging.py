"""Where films that nobody has rated come in a list of films that people have.

What is predicted of a film from its content is small beside what many ratings say of another: on one scale, no new
film would ever come up. So a film is placed by its rank: behind as many of the films that the user has not seen as are
before it when all of them are known by their content alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def place(
    known: npt.NDArray[np.floating], known_by_content: npt.NDArray[np.floating], new: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Give new films scores on the scale of the known ones, for one user."""
    if not len(known) or not len(known_by_content):
        return np.full(len(new), np.nan)
    ordered = np.sort(known_by_content)
    # Of equals, half are before it: where content tells nothing, a new film is no better than the others.
    behind = (np.searchsorted(ordered, new, side="left") + np.searchsorted(ordered, new, side="right")) / 2
    ahead = 1 - behind / len(ordered)
    return np.interp(ahead * len(known), np.arange(len(known)), np.sort(known)[::-1])
