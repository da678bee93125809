r"""Predicts factors and mean ratings of films by ridge regression from their content.

Ratings give each user factors and each film factors; a ridge regression leads from a film's content to its factors, and
another one to its mean rating. Genres and years come first, then people and words, where some are known, explain what
these leave over, and then posters: in one regression the many numbers of a poster would drown the few of genres and
years.

Every penalty is the one that predicts the films of the fit best when each is left out in turn. So a small catalog, in
which posters say little, hardly uses them, without anybody choosing that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import stdtrit

from catalog.errors import DataError
from catalog.io.arrays import open_arrays, save_arrays
from catalog.scored_ids import ScoredIds
from cf.base import rows_of
from cf.coldstart.base import Counts
from cf.coldstart.content import Encoding, FilmContent, Floats, Standardization, unit
from cf.coldstart.factor_model import FactorModel, FloatArray, chosen, damped
from cf.coldstart.regression import Ridge
from cf.scale import star_scale

_NAME, _KIND, _VERSION = "cold-start", "keyart-cold-start", 6
_NO_MEAN = 3.5
# How far true means lie from predicted ones, in stars, before any film is seen; worth as many films.
_PRIOR_SPREAD, _PRIOR_FILMS = 0.5, 4
# The number of ratings at which a film's mean rating counts half in what is learned of means.
_HALF_SUPPORT_OF_MEANS = 10.0
_SCORE_DECIMALS = 5
_FEWEST_TO_CHOOSE_BY, _PENALTY_OF_FEW = 20, 10.0
# What to choose from: penalties, and shares of the last kind of poster features, which are the colors.
_PENALTIES = {
    "facts": [0.25 * 2**n for n in range(11)],
    "terms": [0.25 * 2**n for n in range(14)],
    "posters": [2.5 * 2**n for n in range(12)],
}
_SHARES = (0.1, 0.25, 0.5)
# Posters learn from factors damped so much further: else few films with very many ratings would outweigh all others.
_POSTER_DAMPING = 0.25
# Posters are learned from so many films at most, each compared to each: the most rated.
_N_POSTERS = 4000
#: What the sources of content are made of.
_USES = {"facts": {"genres", "years"}, "terms": {"terms"}, "posters": {"posters"}}
#: Those that predict linearly.
_LINEAR = ("facts", "terms")


class ExpectedMeans(NamedTuple):
    """The expected mean ratings of films in stars, with their 95 % intervals."""

    values: Floats
    low: Floats
    high: Floats


class MeanDistributions(NamedTuple):
    """Predicted means of very many ratings, in stars; half their 95 % intervals; the variance of ratings of a film."""

    values: Floats
    half_widths: Floats
    within: float


@dataclass
class _Left:
    """What is left to explain of films, as it would be had each film been left out before."""

    factors: FloatArray
    means: FloatArray
    n_ratings: Counts
    weights: FloatArray

    def of(self, rows: npt.NDArray[np.intp]) -> _Left:
        """Take some of the films."""
        return _Left(self.factors[rows], self.means[rows], self.n_ratings[rows], self.weights[rows])


class ContentRidge(FactorModel):
    r"""Predicts preferences and mean ratings of films from their content.

    Genres and years, encoded as `Encoding` does, predict linearly, and so do people and words where some are known. Of
    what they leave over, posters predict by the kernel

    .. math:: k(i, j) = \langle p_i, p_j \rangle \, (1 + \langle f_i, f_j \rangle)

    with p the standardized poster and f the genres and year, of length 1: so what a poster says may differ between
    genres and periods. Time grows with the cube of the films with posters, memory with the square; beyond 4,000 films
    the most rated are taken.

    What is chosen by leaving out each film in turn: the penalties, and how much colors count beside what the network
    sees. The errors of films left out also tell how far true means lie from expected ones.

    Parameters
    ----------
    sources : sequence of str, optional
        The kinds of content in the order in which they are learned from, of facts (genres and years), terms (people
        and words) and posters; those of the class unless given.
    smoothing : float, default 3
        μ of `FactorModel` for up to a thousand users, and as much for each thousand more, as strengths grow.
    n_factors, damping, half_support, seed
        As `FactorModel` has them.

    Attributes
    ----------
    penalties_ : dict of str to float
        The chosen penalties: of each source for factors, and, ending in ``_means``, for mean ratings; none of a source
        that explains nothing of films left out.

    References
    ----------
    .. [1] A. van den Oord, S. Dieleman, B. Schrauwen, "Deep content-based music recommendation", NIPS 2013: from
       content to the factors of collaborative filtering.
    .. [2] Z. Gantner, L. Drumond, C. Freudenthaler, S. Rendle, L. Schmidt-Thieme, "Learning attribute-to-feature
       mappings for cold-start recommendations", ICDM 2010.
    """

    name = "content"
    default_sources: ClassVar[tuple[str, ...]] = ("facts", "terms", "posters")
    learned_: dict[str, Floats]
    penalties_: dict[str, float]

    def __init__(
        self,
        sources: Sequence[str] | None = None,
        n_factors: int = 128,
        damping: float = 0.25,
        smoothing: float = 3.0,
        half_support: float = 50.0,
        seed: int = 0,
    ) -> None:
        super().__init__(n_factors, damping, smoothing, half_support, seed)
        self.sources = tuple(self.default_sources if sources is None else sources)
        self.uses = frozenset[str]().union(*(_USES[name] for name in self.sources))
        self.source = ""

    def expected_means(self, films: FilmContent) -> ExpectedMeans:
        """Predict mean ratings."""
        values, half_widths, _ = self.distributions_of_means(films)
        lowest, highest = self.learned_["stars"].tolist()
        # Films that nobody has rated yet may get stars that nobody has given yet.
        low, high = ((values + offset).clip(*star_scale(lowest, highest)) for offset in (-half_widths, half_widths))
        return ExpectedMeans(*(np.asarray(one, np.float32) for one in (values.clip(lowest, highest), low, high)))

    def distributions_of_means(self, films: FilmContent) -> MeanDistributions:
        """Predict mean ratings as distributions, which may go beyond the scale of stars."""
        mean, spread, within = self.learned_["mean"].tolist()
        values = self._explained(self.encoding_(films))[:, -1] + mean
        half_width = _half_width(spread, len(self.movie_ids_))
        return MeanDistributions(values, np.full(len(values), half_width, np.float32), within)

    def audience(self, films: FilmContent, k: int = 1000) -> list[ScoredIds]:
        """Find the users who would prefer each film most, without those to whom it is below average."""
        factors = self.factors(films)
        return [self._audience(factor, k) for factor in factors]

    def user_factors(self, values: sparse.csr_array) -> Floats:
        """Compute the factors of new users from their ratings."""
        return np.asarray(chosen(values) @ self.loadings_ / np.maximum(self.strengths_, 1e-9), np.float32)

    def parts(self, films: FilmContent) -> dict[str, Floats]:
        """Return what each source adds to the factors of films, (n, n_factors) each, beside those of the mean film."""
        return {name: part[:, :-1] for name, part in self._parts(self.encoding_(films))}

    def contributions(self, movie_ids: Sequence[int] | npt.NDArray[np.integer], factors: Floats) -> Floats:
        """Return how much films that somebody rated speak for films of some factors: (n_rated, n); 0 if unknown."""
        rows = rows_of(self.movie_ids_, movie_ids)
        known = np.flatnonzero(rows >= 0)
        marks = sparse.csr_array((np.ones(len(known)), (known, rows[known])), (len(rows), len(self.movie_ids_)))
        # Against the mean film, which everybody's ratings speak for.
        return np.asarray(self.user_factors(marks) @ (factors - self.mean_factors_).T, np.float32)

    def save(self, folder: Path) -> None:
        """Save the fitted model."""
        content = {
            "sources": list(self.sources),
            "parameters": {name: getattr(self, name) for name in _PARAMETERS},
            "penalties": self.penalties_,
            "source": self.source,
            "encoding": asdict(self.encoding_),
        }
        learned = {name: getattr(self, name) for name in _LEARNS}
        save_arrays(folder, _NAME, _KIND, _VERSION, content, {**learned, **self.learned_})

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a saved model."""
        content, learned = open_arrays(folder, _NAME, _KIND, _VERSION)
        try:
            model = cls(content["sources"], **content["parameters"])
            model.source, model.penalties_ = content["source"], dict(content["penalties"])
            model.encoding_ = Encoding.of_record(content["encoding"])
            for name in _LEARNS:
                setattr(model, name, learned.pop(name))
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{_NAME} in {folder} is damaged ({error}); fit the model again") from error
        model.learned_ = learned
        return model

    def _fit(self, values: sparse.csr_array, content: Mapping[str, Floats]) -> None:
        own, n_ratings = self._factorize(values)
        n_films = values.shape[1]
        means = np.bincount(values.indices, weights=values.data, minlength=n_films) / n_ratings
        weights = n_ratings / (n_ratings + _HALF_SUPPORT_OF_MEANS)
        base = own.mean(axis=0) if n_films else np.zeros(own.shape[1])
        mean = float(np.average(means, weights=weights)) if n_films else _NO_MEAN
        left = _Left(own - base, means - mean, n_ratings, weights)
        self.learned_, self.penalties_ = {"base": np.asarray(self._smooth(base, self.smoothing), np.float32)}, {}
        for name in self.sources:
            if name == "posters":
                self._learn_posters(content, left)
            elif name == "facts" or content[name].shape[1]:
                self._learn_linear(name, content, left)
        within = _variance_within(values, means)
        spread = _spread(left.means, n_ratings, weights, within)
        stars = (values.data.min(), values.data.max()) if n_films else (mean, mean)
        self.learned_ |= {
            "mean": np.array([mean, spread, within], np.float32),
            "stars": np.array(stars, np.float32),
        }

    def _predicted(self, content: Mapping[str, Floats]) -> npt.NDArray[Any]:
        return np.asarray(self._explained(content)[:, :-1] + self.learned_["base"])

    def _learn_linear(self, name: str, content: Mapping[str, Floats], left: _Left) -> None:
        standardization = Standardization.fit(content[name], by_column=False)
        rows = standardization(content[name]).astype(np.float64)
        known = np.flatnonzero(rows.any(axis=1))
        factors = _fit_factors(Ridge.of_rows(rows[known]), name, left.of(known), self._smoothing())
        means = _fit_means(Ridge.of_rows(rows[known], left.weights[known]), name, left.of(known))
        self.learned_ |= {
            f"{name}_center": standardization.center,
            f"{name}_scale": standardization.scale,
            f"{name}_coefficients": self._take(name, known, factors, means, left),
        }

    def _learn_posters(self, content: Mapping[str, Floats], left: _Left) -> None:
        standardization = Standardization.fit(content["posters"], by_column=True, views=self.encoding_.views)
        rows = standardization(content["posters"])
        known = np.flatnonzero(rows.any(axis=1))
        # A stable sort leaves films of equal n_ratings in ascending movie_id.
        known = np.sort(known[np.argsort(-left.n_ratings[known], kind="stable")[:_N_POSTERS]])
        rows, kinds, part = rows[known], self._kinds(content)[known], left.of(known)
        trials = []
        for balance in _balances(self.encoding_.views, rows.shape[1]):
            kernel = _kernel((rows * balance, kinds), (rows * balance, kinds))
            trials.append((_fit_factors(Ridge.of_kernel(kernel), "posters", part, self._smoothing()), balance))
        factors, balance = min(trials, key=lambda trial: trial[0].error)
        kernel = _kernel((rows * balance, kinds), (rows * balance, kinds))
        means = _fit_means(Ridge.of_kernel(kernel, part.weights), "posters", part)
        self.learned_ |= {
            "posters_center": standardization.center,
            "posters_scale": standardization.scale * balance,
            "posters_known": rows * balance,
            "posters_kinds": kinds,
            "posters_coefficients": self._take("posters", known, factors, means, left),
        }

    def _take(self, name: str, known: npt.NDArray[np.intp], factors: _Fit, means: _Fit, left: _Left) -> Floats:
        """Leave over what is not explained of known films; return the coefficients of factors and means."""
        left.factors[known] -= factors.left_out
        left.means[known] -= means.left_out[:, 0]
        penalties = {name: factors.penalty, f"{name}_means": means.penalty}
        self.penalties_ |= {key: penalty for key, penalty in penalties.items() if penalty is not None}
        return np.hstack([factors.coefficients * self._smoothing(), means.coefficients]).astype(np.float32)

    def _smoothing(self) -> FloatArray:
        """Return what factors are multiplied by."""
        return self._smooth(np.ones(len(self.strengths_)), self.smoothing)

    def _smooth(self, factors: npt.NDArray[Any], smoothing: float) -> npt.NDArray[Any]:
        return super()._smooth(factors, smoothing * max(1.0, len(self.user_ids_) / 1000))

    def _kinds(self, content: Mapping[str, Floats]) -> Floats:
        """Return genres and years of films as directions; nothing where genres and years do not count."""
        if "facts" not in self.sources:
            return np.zeros((len(content["posters"]), 0), np.float32)
        return unit(np.nan_to_num(np.hstack([content["genres"], content["years"]])))

    def _explained(self, content: Mapping[str, Floats]) -> Floats:
        """Predict what factors and mean are beyond those of the mean film: (n, n_factors + 1)."""
        total = np.zeros((len(content["posters"]), self.learned_["base"].shape[0] + 1), np.float32)
        for _, part in self._parts(content):
            total += part
        return total

    def _parts(self, content: Mapping[str, Floats]) -> Iterator[tuple[str, Floats]]:
        """Yield what each source adds to factors and mean."""
        learned = self.learned_
        for name in _LINEAR:
            if f"{name}_coefficients" in learned:
                standardization = Standardization(learned[f"{name}_center"], learned[f"{name}_scale"])
                yield name, standardization(content[name]) @ learned[f"{name}_coefficients"]
        if "posters" in self.sources:
            standardization = Standardization(learned["posters_center"], learned["posters_scale"])
            films = standardization(content["posters"]), self._kinds(content)
            known = learned["posters_known"], learned["posters_kinds"]
            yield "posters", _kernel(films, known) @ learned["posters_coefficients"]

    def _audience(self, factor: Floats, k: int) -> ScoredIds:
        # What differs by rounding alone, as between a film alone and in a batch, is equal.
        scores = self._preferences(factor[None])[:, 0].round(_SCORE_DECIMALS)
        keen = np.flatnonzero(scores > 0)
        # A stable sort leaves equal scores in ascending user_id.
        chosen = keen[np.argsort(-scores[keen], kind="stable")[:k]]
        return ScoredIds(self.user_ids_[chosen], scores[chosen])


class PostersOnly(ContentRidge):
    """The same from nothing but posters."""

    name = "posters"
    default_sources: ClassVar[tuple[str, ...]] = ("posters",)


class GenresAndYears(ContentRidge):
    """The same without any poster, from genres, years and what else is known: what every other model has to beat."""

    name = "genres-years"
    default_sources: ClassVar[tuple[str, ...]] = ("facts", "terms")


_PARAMETERS = ("n_factors", "damping", "smoothing", "half_support", "seed")
_LEARNS = (
    "user_ids_",
    "movie_ids_",
    "user_factors_",
    "user_weights_",
    "strengths_",
    "loadings_",
    "user_spreads_",
    "mean_factors_",
)


def _kernel(films: tuple[Floats, Floats], others: tuple[Floats, Floats]) -> Floats:
    """Compare posters, twice as much between films of the same genres and year as between those that share neither."""
    (posters, kinds), (other_posters, other_kinds) = films, others
    return np.asarray((posters @ other_posters.T) * (1 + kinds @ other_kinds.T), np.float32)


class _Fit(NamedTuple):
    """Coefficients for the least error of films left out, and the predictions of these films."""

    error: float
    penalty: float | None
    coefficients: FloatArray
    left_out: FloatArray

    @classmethod
    def of_nothing(cls, ridge: Ridge, targets: FloatArray, error: float) -> Self:
        """Explain nothing, where no penalty makes that error smaller."""
        return cls(error, None, np.zeros((len(ridge.basis), targets.shape[1])), np.zeros_like(targets))


def _fit_factors(ridge: Ridge, source: str, films: _Left, smoothing: FloatArray) -> _Fit:
    """Fit factors by the penalty with the least error of smoothed factors, films counting alike.

    What was learned from damped factors is scaled up again: by as much as predicts best whom the users chose to rate,
    to which a film contributes by its number of ratings.
    """
    n_ratings = films.n_ratings[:, None].astype(np.float64)
    is_damped = source == "posters"
    targets = films.factors * (damped(films.n_ratings, _POSTER_DAMPING) if is_damped else 1)
    wanted = films.factors * smoothing
    best = _Fit.of_nothing(ridge, targets, float(np.square(wanted).sum()))
    penalties = _penalties(source, len(targets))
    for penalty, left_out in zip(penalties, ridge.left_out(targets, penalties), strict=True):
        predicted = left_out * smoothing
        error = np.square(wanted - (_scale(predicted, wanted) if is_damped else 1) * predicted).sum()
        if error < best.error:
            by_ratings = n_ratings**0.25
            scale = _scale(predicted * by_ratings, wanted * by_ratings) if is_damped else 1.0
            best = _Fit(error, penalty, scale * ridge.coefficients(targets, penalty), scale * left_out)
    return best


def _fit_means(ridge: Ridge, source: str, films: _Left) -> _Fit:
    """Fit mean ratings by the penalty with the least weighted error."""
    targets, weights = films.means[:, None], films.weights[:, None]
    best = _Fit.of_nothing(ridge, targets, float((weights * np.square(targets)).sum()))
    penalties = _penalties(source, len(targets))
    for penalty, left_out in zip(penalties, ridge.left_out(targets, penalties), strict=True):
        error = float((weights * np.square(targets - left_out)).sum())
        if error < best.error:
            best = _Fit(error, penalty, ridge.coefficients(targets, penalty), left_out)
    return best


def _penalties(source: str, n_films: int) -> list[float]:
    """Return the penalties to choose from; few films would tell them apart by chance."""
    return _PENALTIES[source] if n_films >= _FEWEST_TO_CHOOSE_BY else [_PENALTY_OF_FEW]


def _scale(predicted: FloatArray, wanted: FloatArray) -> float:
    """Return by what predictions are multiplied to come nearest to targets, in least squares; never below 0."""
    square = float(np.square(predicted).sum())
    return max(0.0, float((predicted * wanted).sum()) / max(square, 1e-300))


def _balances(views: Sequence[int], n_columns: int) -> Iterator[Floats]:
    """Yield factors of the columns of posters that give the last kind of them shares to choose from."""
    if len(views) < 2:
        yield np.ones(n_columns, np.float32)
        return
    for share in _SHARES:
        shares = [*[(1 - share) / (len(views) - 1)] * (len(views) - 1), share]
        yield np.repeat(np.sqrt(len(views) * np.array(shares, np.float32)), views)


def _spread(errors: npt.NDArray[Any], n_ratings: npt.NDArray[Any], weights: npt.NDArray[Any], within: float) -> float:
    """Return the deviation of true from predicted means: the variance of errors less that of sampling, square root."""
    if not len(errors):
        return 0.0
    return float(np.sqrt(max(np.average(errors**2 - within / n_ratings, weights=weights), 0.0)))


def _half_width(spread: float, n_films: int) -> float:
    """Return how far a 95 % interval of a film's true mean reaches to either side, in stars.

    A few films tell little of the deviation of true from predicted means, and may even agree by chance. So its variance
    has a prior, a scaled inverse chi-squared distribution, which makes the interval one of Student's t.

    References
    ----------
    .. [1] A. Gelman et al., "Bayesian Data Analysis", 3rd edition, 2013, sections 2.6 and 3.2.
    """
    worth = _PRIOR_FILMS + n_films
    variance = (_PRIOR_FILMS * _PRIOR_SPREAD**2 + n_films * spread**2) / worth
    return float(stdtrit(worth, 0.975) * np.sqrt(variance * (1 + 1 / max(n_films, 1))))


def _variance_within(values: sparse.csr_array, means: npt.NDArray[Any]) -> float:
    """Return the variance of ratings about the mean of their film, in stars²."""
    n_films = np.count_nonzero(np.bincount(values.indices))
    left = values.data - means[values.indices]
    return float(np.square(left).sum() / max(1, len(left) - n_films))
