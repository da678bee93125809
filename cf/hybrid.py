"""The blend of looking alike and being liked alike. Knows no files and no FAISS: ids and arrays only.

Two similarities of different make cannot be added as they are: shrunk cosines of ratings lie near 0 for almost every
pair of films, cosines of posters do not. So the CF similarity is **calibrated** onto the scale of the visual one, query
by query, by quantile matching over all candidates: the film nearest by ratings receives the cosine of the film that
looks most alike, and so on down. After that, ``score = alpha · visual + (1 - alpha) · cf`` adds like to like, and a
score reads as a cosine.

What is not known stays unknown (NaN) in the result. In the score it takes the value of a typical film, the mean of
what that side leaves to the films it does not know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# Until they are fitted on validation ratings: the most that CF may count, and the support at which it counts half that.
CF_SHARE = 0.5
CF_HALF_SUPPORT = 50.0


@dataclass(frozen=True)
class Similarities:
    """How near some films are to one film, by one measure.

    Parameters
    ----------
    movie_ids : ndarray of shape (n,), int
        The films of which the measure knows something, each once.
    values : ndarray of shape (n,), float
        Higher is nearer.
    """

    movie_ids: npt.NDArray[np.integer]
    values: npt.NDArray[np.floating]

    def __len__(self) -> int:
        return len(self.movie_ids)

    @classmethod
    def none(cls) -> Similarities:
        """Make a measure that knows nothing.

        Returns
        -------
        Similarities
            Of no film.
        """
        return cls(np.empty(0, np.int64), np.empty(0))


@dataclass(frozen=True)
class Blend:
    """Candidates ranked by their blended score, best first.

    Parameters
    ----------
    movie_ids : ndarray of shape (n,), int64
        The films.
    scores, visual, cf, alphas : ndarray of shape (n,), float64
        The blended score; the visual similarity as given and the CF similarity as calibrated, NaN where unknown;
        and the visual share that was used for each.
    """

    movie_ids: npt.NDArray[np.int64]
    scores: FloatArray
    visual: FloatArray
    cf: FloatArray
    alphas: FloatArray


def alpha_by_support(
    support: npt.ArrayLike, cf_share: float = CF_SHARE, half_support: float = CF_HALF_SUPPORT
) -> FloatArray:
    r"""Choose the visual share by how many ratings there are to go by.

    .. math:: 1 - \\alpha = a \\cdot \\frac{n}{n + \\lambda}

    Parameters
    ----------
    support : array_like of int
        n, the number of ratings there are to go by: of one film, or of the one of two that has fewer.
    cf_share : float, default 0.5
        a, the share of CF between films with very many ratings.
    half_support : float, default 50
        λ, in ratings.

    Returns
    -------
    ndarray of float64
        α in [0, 1]: 1, looks alone, for a film without ratings.
    """
    n_ratings = np.asarray(support, dtype=np.float64)
    return 1.0 - cf_share * n_ratings / (n_ratings + half_support)


def blend(
    visual: Similarities, cf: Similarities, alphas: FloatArray | float, candidates: npt.NDArray[np.int64]
) -> Blend:
    """Blend two similarities of the same candidates to one film.

    Parameters
    ----------
    visual : Similarities
        Cosines of posters; its scale is the scale of the result. None known: the CF similarity stays as it is.
    cf : Similarities
        Item similarities of ratings, on any scale.
    alphas : float or ndarray of shape (n_candidates,)
        The visual share, one for all or one for each candidate.
    candidates : ndarray of shape (n_candidates,), int64
        What `candidate_ids` returned for these two.

    Returns
    -------
    Blend
        The candidates of which something is known that counts, best first; equal scores in the order of the CF
        similarity where it counts, then in ascending movie_id.

    References
    ----------
    .. [1] S. Bruch et al., "An analysis of fusion functions for hybrid retrieval", ACM TOIS 42(1), 2023: a convex
       combination of calibrated scores beats reciprocal-rank fusion.
    """
    looks, raw = _spread(visual, candidates), _spread(cf, candidates)
    liked, liked_unknown = _calibrated(raw, looks)
    share = np.broadcast_to(np.asarray(alphas, dtype=np.float64), candidates.shape)
    looks_unknown = float(np.nanmean(looks)) if len(visual) else 0.0
    scores = share * np.where(np.isnan(looks), looks_unknown, looks) + (1 - share) * np.where(
        np.isnan(liked), liked_unknown, liked
    )
    counts = (~np.isnan(looks) & (share > 0)) | (~np.isnan(liked) & (share < 1))
    # A short scale gives several films one value: where ratings count, these still stand in the order of the ratings.
    finer = np.where((share < 1) & ~np.isnan(raw), raw, -np.inf)
    order = np.lexsort((candidates, -finer, -scores))
    order = order[counts[order]]
    return Blend(candidates[order], scores[order], looks[order], liked[order], share[order])


def candidate_ids(visual: Similarities, cf: Similarities) -> npt.NDArray[np.int64]:
    """List the films of which at least one side knows something.

    Parameters
    ----------
    visual, cf : Similarities
        The two sides.

    Returns
    -------
    ndarray of shape (n_candidates,), int64
        Ascending.
    """
    return np.union1d(visual.movie_ids, cf.movie_ids).astype(np.int64)


def _spread(side: Similarities, candidates: npt.NDArray[np.int64]) -> FloatArray:
    values = np.full(len(candidates), np.nan)
    values[np.searchsorted(candidates, side.movie_ids)] = side.values
    return values


def _calibrated(values: FloatArray, scale: FloatArray) -> tuple[FloatArray, float]:
    """Map values onto the quantiles of a scale; and what that leaves, on average, to the unknown ones."""
    known = ~np.isnan(values)
    if np.isnan(scale).all() or not known.any():
        return values, 0.0 if np.isnan(scale).all() else float(np.nanmean(scale))
    n_known, n = int(known.sum()), len(values)
    targets = np.sort(scale[~np.isnan(scale)])[::-1]
    # The r-th of n candidates takes the value at the same fraction of the scale, which may hold fewer films.
    fractions = (np.arange(n) + 0.5) / n
    quantiles = np.interp(fractions, (np.arange(len(targets)) + 0.5) / len(targets), targets)
    calibrated = np.full(n, np.nan)
    calibrated[known] = _by_rank(values[known], quantiles[:n_known])
    return calibrated, float(quantiles[n_known:].mean()) if n_known < n else float(targets.mean())


def _by_rank(values: FloatArray, descending_targets: FloatArray) -> FloatArray:
    """Give the largest value the first target and so on; equal values share the mean of their targets."""
    _, groups = np.unique(-values, return_inverse=True)
    order = np.argsort(groups, kind="stable")
    totals = np.bincount(groups[order], weights=descending_targets)
    return np.asarray((totals / np.bincount(groups))[groups])
