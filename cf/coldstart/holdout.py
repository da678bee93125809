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
#: So many draws rank different films; each hides a fifth of both halves.
N_APART = 5
# A fifth of each half still leaves two films to be ranked.
_FEWEST_FILMS = 20
_FEWEST_RANKED = 2


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
    """Hide a fifth of the films with posters, and rank those of them that are for choosing, or for the report.

    Which films are for choosing and which for the report is the same in every draw, so that no choice has seen a film
    of the report. Draws 0 to 4 rank each of them once, 5 to 9 once more in other company, and so on. Films of both
    halves are hidden together, so that one fit serves both.
    """
    with_poster = np.flatnonzero(have_posters(films))
    if len(with_poster) < _FEWEST_FILMS:
        raise FewPostersError(
            f"the cold start is measured on {_FEWEST_FILMS} films or more with ratings and features of a poster, "
            f"received {len(with_poster)}"
        )
    halves = _halves(with_poster, seed)
    hidden = np.concatenate([halves["validation"], halves["test"]])
    unseen = ~np.isin(films.ratings.movie_ids, films.movie_ids[hidden])
    if not unseen.any():
        raise ConfigError(f"all ratings are of the {len(hidden)} films that are hidden; load ratings of more films")
    return _holdout(films, films.ratings.where(unseen), hidden, halves[on], seed)


def hold_out_films(films: RatedFilms, movie_ids: npt.NDArray[np.int32]) -> Holdout:
    """Hide given films, with posters or not, and rank them all; for splits that others have published."""
    hidden = np.flatnonzero(np.isin(films.movie_ids, movie_ids))
    train = films.ratings.where(~np.isin(films.ratings.movie_ids, movie_ids))
    if len(hidden) < _FEWEST_RANKED or not len(train):
        raise ConfigError(
            f"expected {_FEWEST_RANKED} films or more with ratings to hide, and ratings of others to learn from; "
            f"received {len(hidden)} to hide of {len(films.movie_ids)}"
        )
    return _holdout(films, train, hidden, hidden, 0)


def _halves(with_poster: npt.NDArray[np.intp], seed: int) -> dict[Half, npt.NDArray[np.intp]]:
    """Draw the films to hide from both halves."""
    middle = len(with_poster) // 2
    drawn = np.random.default_rng(0).permutation(with_poster)
    repetition, part = divmod(seed, N_APART)
    rng = np.random.default_rng([repetition, 1])
    validation, test = (np.array_split(rng.permutation(half), N_APART)[part] for half in np.split(drawn, [middle]))
    return {"validation": validation, "test": test}


def _holdout(
    films: RatedFilms, known: Ratings, hidden: npt.NDArray[np.intp], ranked: npt.NDArray[np.intp], seed: int
) -> Holdout:
    train, cold = known.matrix(), np.sort(ranked)
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
