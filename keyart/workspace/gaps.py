"""What a workspace should have and lacks: posters whose files are gone, and posters without features.

A part that is made anew leaves out films of which something is lost. It says so with `notes_on_gaps`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from catalog.errors import NotBuiltError
from catalog.text import plural
from features.store import FeatureStore
from keyart.workspace.films import PosterList
from keyart.workspace.layout import Workspace
from keyart.workspace.poster_steps import poster_step

_N_LISTED = 5


def notes_on_gaps(
    workspace: Workspace, with_features: Collection[int], posters: PosterList, *, then: str = "keyart build"
) -> list[str]:
    """Return a note for each kind of films that are left out though they have, or had, a poster.

    `with_features` are the films whose features are of their present posters, `then` is the command that takes up the
    others once they are mended.
    """
    notes = []
    if gone := posters.gone:
        notes.append(
            f"{plural(len(gone), 'poster is', 'posters are')} gone or damaged, so these films are left out "
            f"({listed(gone)}); run {poster_step(workspace)}, then `keyart extract` and `{then}`"
        )
    if lacking := films_without_features(workspace, with_features, posters):
        notes.append(
            f"{plural(len(lacking), 'poster has', 'posters have')} no features, so these films are left out "
            f"({listed(lacking)}); run `keyart extract`, then `{then}`"
        )
    return notes


def films_without_features(workspace: Workspace, with_features: Collection[int], posters: PosterList) -> list[int]:
    """Return the films with a poster that are not in `with_features`, except those whose poster cannot be read."""
    known = {*with_features, *skipped_films(workspace)}
    return [poster.movie_id for poster in posters.posters if poster.movie_id not in known]


def skipped_films(workspace: Workspace) -> set[int]:
    """Return the films whose posters the last extraction read and could not decode, and reported."""
    try:
        return set(map(int, FeatureStore.open(workspace.features_dir).without_features()))
    except NotBuiltError:
        return set()


def listed(movie_ids: Sequence[int]) -> str:
    """Return the first of some films for a message: "movie_id 1, 2, 3, …"."""
    more = ", …" if len(movie_ids) > _N_LISTED else ""
    return f"movie_id {', '.join(map(str, movie_ids[:_N_LISTED]))}{more}"
