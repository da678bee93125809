"""The blend of a workspace: which recommender supplies item similarities, and how much they count.

Stored in ``hybrid.json`` by ``keyart tune``; without it the defaults of `Hybrid` hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from catalog.errors import DataError
from catalog.io.files import read_record, remove_file, write_record
from catalog.io.locks import SHORTLY_S, exclusive
from catalog.scored_ids import ScoredIds
from cf.base import Recommender
from cf.hybrid.blend import CONTENT_SHARE, Blending
from cf.hybrid.calibration import Calibration
from cf.hybrid.tuning import Tuning
from cf.models.neighbors import ItemCosine
from cf.registry import model_class
from keyart.workspace.layout import Workspace

N_NEAREST = 200
"""How many of a film's nearest films by ratings take part in a blend; the others count as unknown."""
MIN_ALPHA = 0.5
"""The default bound of tuning: the visual share of a tuned blend is at least this, so that look-alikes look alike."""
_KIND, _VERSION = "keyart-hybrid", 1


@dataclass(frozen=True)
class Hybrid:
    """The recommender that supplies item similarities, and how they are blended with visual ones."""

    model: str = ItemCosine.name
    blending: Blending = field(default_factory=Blending)
    is_tuned: bool = False
    # What the index compared when it was tuned, as of `compared_by`; empty if that was not recorded.
    compared: str = ""
    # The name of the ratings that it was tuned on; empty if that was not recorded.
    ratings: str = ""

    @property
    def description(self) -> str:
        """The shares of looks and content of rarely and often rated films, and what supplies the ratings' side."""
        few, many = (", ".join(f"{name} {share:.2f}" for name, share in self._shares_at(n).items()) for n in (10, 1000))
        origin = "tuned" if self.is_tuned else "not tuned"
        return f"{few} at 10 ratings; {many} at 1,000; ratings by {self.model} ({origin})"

    def _shares_at(self, n_ratings: int) -> dict[str, float]:
        alpha, content = (float(share) for share in self.blending.shares(n_ratings))
        return {"looks": alpha * (1 - content), "ratings": (1 - alpha) * (1 - content), "content": content}


def compared_by(similarity: str, *, centered: bool) -> str:
    """Name what an index compares, on which the best blend depends."""
    return "centered" if centered else similarity


def stale_blend(hybrid: Hybrid, compared: str, ratings: str) -> str | None:
    """Return a note where a blend was tuned to other similarities than the index has now, or on other ratings."""
    if hybrid.ratings not in ("", ratings):
        return "the blend was tuned on ratings loaded earlier; run `keyart tune`, or `keyart tune --reset`"
    # Before it was recorded, indexes compared features as they are, or less their mean.
    known = (hybrid.compared,) if hybrid.compared else ("cosine", "centered")
    if not hybrid.is_tuned or compared in known:
        return None
    return (
        f"the blend was tuned to similarities that were {known[0]}, and the index has others now, {compared}; run "
        "`keyart tune`, or `keyart tune --reset`"
    )


def open_hybrid(workspace: Workspace) -> Hybrid:
    """Read the tuned blend, or return the defaults where nothing was tuned."""
    path = workspace.hybrid_path
    try:
        content = read_record(path, _KIND, _VERSION)
        fitted = content["blending"]
        # The second was called half_support before.
        at_half = fitted["n_ratings_at_half"] if "n_ratings_at_half" in fitted else fitted["half_support"]
        # Earlier versions blended looks and ratings alone.
        content_share = float(fitted.get("content_share", CONTENT_SHARE))
        blending = Blending(
            float(fitted["cf_share"]), float(at_half), Calibration(fitted["calibration"]), content_share
        )
        compared, ratings = (str(content.get(name, "")) for name in ("compared", "ratings"))
        return Hybrid(str(content["model"]), blending, is_tuned=True, compared=compared, ratings=ratings)
    except FileNotFoundError:
        return Hybrid()
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}); run `keyart tune`, or `keyart tune --reset`") from error


def save_hybrid(workspace: Workspace, model: str, tuning: Tuning, compared: str, ratings: str) -> None:
    """Store a tuned blend, its scores, what the index compared, and the name of the ratings."""
    content = {"model": model, "blending": asdict(tuning.blending), "buckets": [asdict(one) for one in tuning.buckets]}
    with exclusive(workspace.encoder_dir, SHORTLY_S):
        write_record(workspace.hybrid_path, _KIND, _VERSION, {**content, "compared": compared, "ratings": ratings})


def reset_hybrid(workspace: Workspace) -> bool:
    """Return to the defaults; returns whether anything was tuned."""
    was_tuned = workspace.hybrid_path.exists()
    remove_file(workspace.hybrid_path)
    return was_tuned


def nearest(model: Recommender, movie_id: int) -> ScoredIds:
    """Return the nearest films by ratings, `N_NEAREST` at most."""
    (result,) = model.similar_items([movie_id], N_NEAREST)
    return result


def positive_similarities(model: Recommender, movie_ids: Sequence[int]) -> tuple[ScoredIds, ...]:
    """Return all similarities by ratings to each of several films; a film that is not listed is not liked like it."""
    # A model of no ratings has no films.
    every = model.similar_items(movie_ids, max(1, len(model.movie_ids_)))
    return tuple(one.take(one.scores > 0) for one in every)


def mean_of_nearest(each: Sequence[ScoredIds], without: Sequence[int]) -> ScoredIds:
    """Return the nearest films, `N_NEAREST` at most, by their mean similarity over those that have any.

    A film that is not listed for one of them has a similarity of 0 to it.
    """
    each = [one for one in each if len(one)]
    if not each:
        return ScoredIds.empty()
    ids, at = np.unique(np.concatenate([one.ids for one in each]), return_inverse=True)
    means = np.bincount(at, weights=np.concatenate([one.scores for one in each])) / len(each)
    is_other = ~np.isin(ids, without)
    return ScoredIds.ranked(ids[is_other], means[is_other], N_NEAREST)


def check_model(name: str) -> None:
    """Raise ConfigError for an unknown recommender."""
    model_class(name)
