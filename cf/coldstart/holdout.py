"""Hold out films with posters and all their ratings, to evaluate cold-start models on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.errors import ConfigError, NotBuiltError
from cf.base import rows_of
from cf.coldstart.content import FilmContent
from cf.ratings import RatingMatrix, Ratings

Half = Literal["validation", "test"]
_SHARE = 0.2
# A fifth of them, halved, still leaves two films to be ranked.
_FEWEST_FILMS = 20


@dataclass(frozen=True)
class RatedFilms:
    """Films with ratings, their content, and the group of films that share their artwork."""

    ratings: Ratings
    movie_ids: npt.NDArray[np.int32]
    content: FilmContent
    artwork: npt.NDArray[np.integer]


@dataclass(frozen=True)
class Draw:
    """The counts of one draw of hidden films."""

    seed: int
    n_hidden: int
    n_cold: int
    n_copies: int
    n_leaks: int
    n_strangers: int


@dataclass(frozen=True)
class Holdout:
    """Training ratings, and the films that a model is tested on."""

    train: RatingMatrix
    warm: npt.NDArray[np.intp]
    cold: npt.NDArray[np.intp]
    held_out: sparse.csr_array
    copies: npt.NDArray[np.bool_]
    draw: Draw


class FewPostersError(NotBuiltError):
    """Too few films with ratings have features of a poster."""


def hold_out(films: RatedFilms, seed: int = 0, on: Half = "test") -> Holdout:
    """Hide a fifth of the films with posters; half of them are for choosing, half for the report.

    Both halves are hidden together, so that one fit serves both, and what was chosen on one has not seen the other.
    """
    with_poster = np.flatnonzero(have_posters(films))
    if len(with_poster) < _FEWEST_FILMS:
        raise FewPostersError(
            f"the cold start is measured on {_FEWEST_FILMS} films or more with ratings and features of a poster, "
            f"received {len(with_poster)}"
        )
    drawn = np.random.default_rng(seed).permutation(with_poster)
    hidden = drawn[: round(_SHARE * len(drawn))]
    middle = len(hidden) // 2
    cold = np.sort(hidden[:middle] if on == "validation" else hidden[middle:])
    unseen = np.isin(films.ratings.movie_ids, films.movie_ids[hidden])
    if unseen.all():
        raise ConfigError(f"all ratings are of the {len(hidden)} films that are hidden; load ratings of more films")
    train = films.ratings.where(~unseen).matrix()
    warm = np.searchsorted(films.movie_ids, train.movie_ids)
    held_out, n_strangers = _held_out(films, train, cold)
    copies = np.isin(films.artwork[cold], films.artwork[warm])
    n_leaks = int(np.isin(warm, hidden)[train.values.indices].sum())
    draw = Draw(seed, len(hidden), len(cold), int(copies.sum()), n_leaks, n_strangers)
    return Holdout(train, warm, cold, held_out, copies, draw)


def have_posters(films: RatedFilms) -> npt.NDArray[np.bool_]:
    """Return which films have a poster with features."""
    if not len(films.ratings):
        raise NotBuiltError(
            "the cold start is measured on ratings, and there are none; load them with "
            "`keyart load DIR`, or `keyart load films.csv --ratings FILE`"
        )
    posters = films.content.posters
    known = np.isfinite(posters).all(axis=1) if posters.shape[1] else np.zeros(len(posters), bool)
    if not known.any():
        raise FewPostersError(
            "the cold start is measured on films with posters, and no film with ratings has features of one"
        )
    return np.asarray(known)


def _held_out(films: RatedFilms, train: RatingMatrix, cold: npt.NDArray[np.intp]) -> tuple[sparse.csr_array, int]:
    ratings = films.ratings.of_films(films.movie_ids[cold])
    users = rows_of(train.user_ids, ratings.user_ids)
    known = users >= 0
    columns = np.searchsorted(films.movie_ids[cold], ratings.movie_ids)
    cells = (ratings.values[known], (users[known], columns[known]))
    shape = (len(train.user_ids), len(cold))
    return sparse.coo_array(cells, shape=shape).tocsr(), int((~known).sum())
