r"""Intervals of means over users and draws of hidden films.

Users and draws are crossed: a user ranks the films of every draw, a draw is ranked for every user. So a mean is
uncertain in both ways, and its variance is that of two-way clusters [1]_. For a ratio :math:`r = \sum a / \sum b` over
cells of user u and draw d, with :math:`e_{ud} = (a_{ud} - r \, b_{ud}) / \sum b`,

.. math:: V = \sum_u \Big(\sum_d e_{ud}\Big)^2 + \frac{D}{D - 1} \frac{D}{F} \sum_d \Big(\sum_u e_{ud}\Big)^2
   - \sum_{ud} e_{ud}^2

for D draws, of which no more than F rank different films: others rank the same films in other company, and say nothing
of other films. The interval is one of Student's t, with degrees of freedom by Satterthwaite's formula. Where ratings of
single films are predicted, films take the place of draws.

References
----------
.. [1] A. C. Cameron, J. B. Gelbach, D. L. Miller, "Robust inference with multiway clustering", Journal of Business &
   Economic Statistics 29(2), 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from cf.evaluation.metrics import Estimate, FloatArray

_CONFIDENCE, _POWER = 0.95, 0.8


class Tally(NamedTuple):
    """The measures of one draw, (n_measures, n_users), and whose they are."""

    user_ids: npt.NDArray[np.int32]
    measures: FloatArray


class Ratio(NamedTuple):
    """A ratio with its interval, and the smallest true value that would be told from 0 in 80 % of all cases."""

    estimate: Estimate
    detectable: float


def by_draw_and_user(tallies: Sequence[Tally]) -> tuple[FloatArray, FloatArray]:
    """Arrange measures as (n_measures, n_draws, n_users), and mark which users were in which draw; 0 elsewhere."""
    user_ids, rows = np.unique(np.concatenate([tally.user_ids for tally in tallies]), return_inverse=True)
    draws = np.repeat(np.arange(len(tallies)), [len(tally.user_ids) for tally in tallies])
    values = np.concatenate([tally.measures for tally in tallies], axis=1)
    cells = np.zeros((len(values), len(tallies), len(user_ids)))
    times = np.zeros(cells.shape[1:])
    cells[:, draws, rows], times[draws, rows] = values, 1
    return cells, times


def ratio(numerators: FloatArray, denominators: FloatArray, n_apart: int) -> Ratio:
    """Estimate a ratio of sums over (n_draws, n_users); cells without a user are 0 in both.

    `n_apart` is F, the number of draws of different films. A single draw gives an interval over users alone, a single
    user none.
    """
    total = denominators.sum()
    if not total:
        return Ratio(Estimate(*[np.nan] * 3), np.nan)
    value = float(numerators.sum() / total)
    if np.count_nonzero(denominators.any(axis=0)) < 2:
        return Ratio(Estimate(value, np.nan, np.nan), np.nan)
    variance, freedom = _variance((numerators - value * denominators) / total, n_apart)
    error = np.sqrt(variance)
    reach = stdtrit(freedom, (1 + _CONFIDENCE) / 2)
    return Ratio(
        Estimate(value, float(value - reach * error), float(value + reach * error)),
        float((reach + stdtrit(freedom, _POWER)) * error),
    )


def _variance(errors: FloatArray, n_apart: int) -> tuple[float, float]:
    """Return the variance of the sum of errors (n_draws, n_users), and its degrees of freedom."""
    n_draws, n_users = errors.shape
    of_users = float(np.square(errors.sum(axis=0)).sum())
    if n_draws < 2:
        return of_users, n_users - 1
    draws = np.square(errors.sum(axis=1)).sum()
    of_draws = float(draws * n_draws / (n_draws - 1) * n_draws / min(n_draws, n_apart))
    # What is of neither is counted in both. The sum may be less than either where draws differ less than by chance.
    variance = max(of_users + of_draws - float(np.square(errors).sum()), of_users)
    freedom = (of_users + of_draws) ** 2 / max(of_draws**2 / (n_draws - 1) + of_users**2 / (n_users - 1), 1e-300)
    return variance, max(freedom, 1.0)
