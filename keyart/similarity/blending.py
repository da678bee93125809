"""The blend of a workspace: which model supplies the ratings' side and how much it counts; and the fitting of that.

Owns ``hybrid.json``. Without it, item similarities supply the ratings' side, and count what
`cf.hybrid.blend.blend` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError, DataError, NotBuiltError
from catalog.io.files import read_record, write_record
from catalog.io.progress import Advance
from cf.base import Recommender, rows_of
from cf.evaluation.splits import by_user
from cf.hybrid.blend import Blending, Calibration, Similarities, candidate_ids
from cf.hybrid.tuning import BUCKETS, Question, Tuning, co_likes, tune
from cf.models.neighbors import ItemCosine
from cf.ratings import Ratings
from cf.registry import make, model_class
from keyart.workspace.layout import Workspace

N_NEAREST = 200
"""So many films that a model holds most alike take part in a blend; of the others it counts as knowing nothing."""
_KIND, _VERSION = "keyart-hybrid", 1
_HELD_OUT = 0.3


class Looks(Protocol):
    """What is asked of an index of posters."""

    def __contains__(self, movie_id: int) -> bool: ...

    def scan(self, movie_id: int) -> Any:
        """Tell how near every other film is to one; see `index.cosine.CosineIndex.scan`.

        Parameters
        ----------
        movie_id : int
            The film.

        Returns
        -------
        Scan
            Ids and cosines.
        """


@dataclass(frozen=True)
class Hybrid:
    """What a workspace blends with.

    Parameters
    ----------
    model : str, default item-cosine
        Which model supplies the ratings' side.
    blending : Blending, optional
        How much it counts.
    """

    model: str = ItemCosine.name
    blending: Blending = field(default_factory=Blending)


def open_hybrid(workspace: Workspace) -> Hybrid:
    """Read what `save_hybrid` wrote.

    Parameters
    ----------
    workspace : Workspace
        The workspace.

    Returns
    -------
    Hybrid
        What was fitted, or the defaults where nothing was.

    Raises
    ------
    DataError
        The record is damaged.
    """
    path = workspace.hybrid_path
    try:
        content = read_record(path, _KIND, _VERSION)
        fitted = content["blending"]
        blending = Blending(
            float(fitted["cf_share"]), float(fitted["half_support"]), Calibration(fitted["calibration"])
        )
        return Hybrid(str(content["model"]), blending)
    except FileNotFoundError:
        return Hybrid()
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}); run `keyart tune` again, or remove it") from error


def save_hybrid(workspace: Workspace, model: str, tuning: Tuning) -> None:
    """Keep what was fitted, and how well it does.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    model : str
        Which model supplies the ratings' side.
    tuning : Tuning
        What was fitted.

    Raises
    ------
    StoreError
        It cannot be written; what was there before is untouched.
    """
    content = {"model": model, "blending": asdict(tuning.blending), "buckets": [asdict(one) for one in tuning.buckets]}
    write_record(workspace.hybrid_path, _KIND, _VERSION, content)


def nearest(model: Recommender, movie_id: int) -> Similarities:
    """Ask a model which films are like a film.

    Parameters
    ----------
    model : Recommender
        Fitted.
    movie_id : int
        The film.

    Returns
    -------
    Similarities
        Of `N_NEAREST` films at most.
    """
    (found,) = model.similar_items([movie_id], N_NEAREST)
    return Similarities(found.movie_ids, found.similarities)


def fit_hybrid(
    index: Looks,
    ratings: Ratings,
    model: str,
    calibration: Calibration,
    *,
    n_films: int = 200,
    seed: int = 0,
    advance: Advance = lambda _: None,
) -> Tuning:
    """Fit how much ratings count: on a part of them, judged by the rest.

    Parameters
    ----------
    index : CosineIndex
        Of posters.
    ratings : Ratings
        All of the workspace.
    model : str
        Which model supplies the ratings' side; it is fitted on a part of the ratings for this, and not kept.
    calibration : Calibration
        How the two sides are brought onto one scale.
    n_films : int, default 200
        How many films of each bucket are asked about at most.
    seed : int, default 0
        Draws the split and the films.
    advance : callable, optional
        Is told of every film that was asked about.

    Returns
    -------
    Tuning
        What was fitted, and how it does by bucket.

    Raises
    ------
    ConfigError
        The model does not tell which films are alike, or there are too few ratings.
    NotBuiltError
        No film has both a poster and a co-like.
    """
    split = by_user(ratings, _HELD_OUT, seed)
    fitted = make(model).fit(split.train.matrix())
    if not any(len(found.movie_ids) for found in fitted.similar_items(fitted.movie_ids_[:100].tolist(), 1)):
        raise ConfigError(f"{model} does not tell which films are alike; choose one that does, as {ItemCosine.name}")
    questions = list(_chosen(index, split.train, split.test, n_films, seed))
    if not questions:
        raise NotBuiltError(
            "no film has both a poster in the index and held-out likes; import more posters, or ratings"
        )
    return tune(_asked(index, fitted, split.train, questions, advance), calibration)


def check_model(name: str) -> None:
    """Refuse a model that there is not.

    Parameters
    ----------
    name : str
        What was typed.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    model_class(name)


def _chosen(
    index: Looks, train: Ratings, held_out: Ratings, n_films: int, seed: int
) -> Iterator[tuple[int, int, Similarities]]:
    """Draw films of every bucket: their ids, their training ratings, their co-likes."""
    movie_ids, counts = co_likes(held_out)
    support = _support(train, movie_ids)
    asked = np.flatnonzero((np.diff(counts.indptr) > 0) & [movie_id in index for movie_id in movie_ids.tolist()])
    rng = np.random.default_rng(seed)
    for least, most in BUCKETS:
        rows = asked[(support[asked] >= least) & (support[asked] <= most)]
        for row in np.sort(rng.permutation(rows)[:n_films]).tolist():
            start, stop = counts.indptr[row : row + 2]
            gains = Similarities(movie_ids[counts.indices[start:stop]], counts.data[start:stop])
            yield int(movie_ids[row]), int(support[row]), gains


def _asked(
    index: Looks,
    model: Recommender,
    train: Ratings,
    questions: list[tuple[int, int, Similarities]],
    advance: Advance,
) -> Iterator[Question]:
    for movie_id, support, gains in questions:
        scan = index.scan(movie_id)
        visual, cf = Similarities(scan.movie_ids, scan.similarities), nearest(model, movie_id)
        yield Question(support, visual, cf, _support(train, candidate_ids(visual, cf)), gains)
        advance(1)


def _support(ratings: Ratings, movie_ids: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    rated, n_ratings, _ = ratings.support()
    # A 0 at the end is what row -1, a film without ratings, is taken to have.
    return np.append(n_ratings, 0)[rows_of(rated, movie_ids)]
