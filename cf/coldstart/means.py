"""How well the mean ratings of hidden films are predicted, and how many of them their intervals hold.

An interval is for the mean of very many ratings, which nobody knows; the observed mean of n ratings differs from it by
chance. So observed means are counted in two ways: inside the interval as it is printed, which is fair to films with
many ratings only, and inside the interval widened by what the mean of n ratings differs by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from catalog.io.progress import Progress, silent
from cf.coldstart.holdout import N_APART, Half, RatedFilms, hold_out
from cf.coldstart.ridge import ContentRidge
from cf.coldstart.support import by_support
from cf.evaluation.metrics import Estimate

FloatArray = npt.NDArray[np.float64]
_REACH = float(ndtri(0.975))


@dataclass(frozen=True)
class MeanScore:
    """How the means of films of about one number of ratings are predicted; shares in percent."""

    support: str
    n_films: int
    rmse: float
    half_width: float
    as_printed: Estimate
    with_sampling: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values."""
        return asdict(self)


def evaluate_means(
    films: RatedFilms, *, seeds: Sequence[int] = range(N_APART), on: Half = "test", progress: Progress = silent
) -> list[MeanScore]:
    """Predict the mean ratings of hidden films by the model `content`."""
    with progress("evaluate means", len(seeds), "draws") as advance:
        draws = []
        for seed in seeds:
            draws.append(_draw(films, seed, on))
            advance(1)
    columns = np.concatenate(draws, axis=1)
    return [_score(name, columns[:, rows]) for name, rows in by_support(columns[0]) if rows.any()]


def _draw(films: RatedFilms, seed: int, on: Half) -> FloatArray:
    """Return of each hidden film its ratings, the error of its mean, the half interval, and the error by sampling."""
    holdout = hold_out(films, seed, on)
    model = ContentRidge().fit(holdout.train, films.content.rows(holdout.warm))
    held_out = holdout.held_out
    n_ratings = np.bincount(held_out.indices, minlength=len(holdout.cold))
    rated = np.flatnonzero(n_ratings)
    totals = np.bincount(held_out.indices, weights=held_out.data, minlength=len(holdout.cold))
    predicted, half_widths, within = model.distributions_of_means(films.content.rows(holdout.cold[rated]))
    errors = totals[rated] / n_ratings[rated] - predicted
    return np.stack([n_ratings[rated], errors, half_widths, np.sqrt(within / n_ratings[rated])]).astype(np.float64)


def _score(support: str, columns: FloatArray) -> MeanScore:
    _, errors, half_widths, sampling = columns
    widened = np.hypot(half_widths, _REACH * sampling)
    return MeanScore(
        support,
        len(errors),
        float(np.sqrt(np.square(errors).mean())),
        float(half_widths.mean()),
        _share(np.abs(errors) <= half_widths),
        _share(np.abs(errors) <= widened),
    )


def _share(marks: npt.NDArray[np.bool_]) -> Estimate:
    """Return the percentage of marks with its 95 % interval.

    References
    ----------
    .. [1] E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    """
    n, share = len(marks), marks.mean()
    scale = 1 + _REACH**2 / n
    center = (share + _REACH**2 / (2 * n)) / scale
    reach = _REACH * np.sqrt(share * (1 - share) / n + (_REACH / (2 * n)) ** 2) / scale
    return Estimate(*(float(100 * value) for value in (share, center - reach, center + reach)))
