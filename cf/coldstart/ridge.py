r"""Predicts factors and mean ratings of films by ridge regression from their content.

Ratings give each user factors and each film factors; a ridge regression leads from a film's content to its factors, and
another one to its mean rating. Sources of content are taken one after the other, each explaining what those before it
left over: in one regression the many numbers of a poster would drown the few of genres and years.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.special import stdtrit

from catalog.errors import DataError
from catalog.io.arrays import open_arrays, save_arrays
from catalog.scored_ids import ScoredIds
from cf.coldstart.base import Counts
from cf.coldstart.content import Encoding, FilmContent, Floats, Standardization, unit
from cf.coldstart.factor_model import FactorModel, FloatArray, chosen, damped
from cf.scale import star_scale

_NAME, _KIND, _VERSION = "cold-start", "keyart-cold-start", 4
_NO_MEAN = 3.5
# How far true means lie from predicted ones, in stars, before any film is seen; worth as many films.
_PRIOR_SPREAD, _PRIOR_FILMS = 0.5, 4
# The number of ratings at which a film's mean rating counts half in what is learned of means.
_HALF_SUPPORT_OF_MEANS = 10.0


class Ridge:
    r"""Ridge regression of many targets on the same rows: :math:`(X^\top W X + \lambda I)^{-1} X^\top W Y`.

    Where rows are fewer than columns, it is the same as :math:`S^\top (S S^\top + \lambda I)^{-1} W^{1/2} Y` with
    :math:`S = W^{1/2} X`, whose matrix is the smaller one.
    """

    def __init__(self, rows: npt.NDArray[Any], weights: npt.NDArray[Any], penalty: float) -> None:
        self._roots = np.sqrt(weights)[:, None]
        self._rows, self._penalty = rows * self._roots, max(penalty, 1e-9)
        self._is_dual = 0 < len(rows) < rows.shape[1]
        gram = self._rows @ self._rows.T if self._is_dual else self._rows.T @ self._rows
        gram[np.diag_indices_from(gram)] += self._penalty
        self._cholesky = cholesky(gram, lower=True)

    def coefficients(self, targets: npt.NDArray[Any]) -> npt.NDArray[Any]:
        factor, weighted = (self._cholesky, True), targets * self._roots
        if self._is_dual:
            return np.asarray(self._rows.T @ cho_solve(factor, weighted))
        return np.asarray(cho_solve(factor, self._rows.T @ weighted))

    def leverages(self) -> npt.NDArray[Any]:
        """Return the weight of each row in its own prediction."""
        right = np.eye(len(self._rows)) if self._is_dual else self._rows.T
        squares = np.square(solve_triangular(self._cholesky, right, lower=True)).sum(axis=0)
        return np.asarray(1 - self._penalty * squares if self._is_dual else squares)


@dataclass(frozen=True)
class Source:
    """How one kind of content is learned from."""

    penalty: float
    smoothing: float
    damping: float = 0.0
    weight: float = 1.0
    by_column: bool = False
    by_row: bool = False

    def rows(self, standardization: Standardization, content: Floats) -> Floats:
        """Bring content to the form that is learned from."""
        rows = standardization(content)
        return unit(rows) if self.by_row else rows


#: Genres and years first, then what the poster adds. Chosen on films held out of the training films of ml-latest-small.
SOURCES: Mapping[str, Source] = {
    "facts": Source(penalty=10.0, smoothing=3.0),
    "posters": Source(penalty=12.0, smoothing=30.0, damping=0.25, weight=3.35, by_column=True),
}
#: What the sources of content are made of.
_USES = {"facts": {"genres", "years"}, "genres": {"genres"}, "years": {"years"}, "posters": {"posters"}}


class ExpectedMeans(NamedTuple):
    """The expected mean ratings of films in stars, with their 95 % intervals."""

    values: Floats
    low: Floats
    high: Floats


class MeanDistributions(NamedTuple):
    """Predicted means of very many ratings, half their 95 % intervals, and the variance of ratings of one film."""

    values: Floats
    half_widths: Floats
    within: float


class ContentRidge(FactorModel):
    """Predicts preferences and mean ratings of films from their content.

    Parameters
    ----------
    sources : mapping of str to Source, optional
        The kinds of content, as `Encoding` names them, in the order in which they are learned from; those of the class
        unless given.
    n_factors, damping, smoothing, half_support, seed
        As `FactorModel` has them.

    References
    ----------
    .. [1] A. van den Oord, S. Dieleman, B. Schrauwen, "Deep content-based music recommendation", NIPS 2013: from
       content to factors.
    """

    name = "content"
    default_sources: ClassVar[Mapping[str, Source]] = SOURCES
    learned_: dict[str, Floats]

    def __init__(
        self,
        sources: Mapping[str, Source] | None = None,
        n_factors: int = 128,
        damping: float = 0.25,
        smoothing: float = 3.0,
        half_support: float = 50.0,
        seed: int = 0,
    ) -> None:
        super().__init__(n_factors, damping, smoothing, half_support, seed)
        self.sources = dict(self.default_sources if sources is None else sources)
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
        values = self._linear(self.encoding_(films))[:, -1] + mean
        half_width = _half_width(spread, len(self.movie_ids_))
        return MeanDistributions(values, np.full(len(values), half_width, np.float32), within)

    def audience(self, films: FilmContent, k: int = 1000) -> list[ScoredIds]:
        """Find the users who would prefer each film most, without those to whom it is below average."""
        factors = self.factors(films)
        return [self._audience(factor, k) for factor in factors]

    def user_factors(self, values: sparse.csr_array) -> Floats:
        """Compute the factors of new users from their ratings."""
        return np.asarray(chosen(values) @ self.loadings_ / np.maximum(self.strengths_, 1e-9), np.float32)

    def save(self, folder: Path) -> None:
        """Save the fitted model."""
        parameters = {name: getattr(self, name) for name in _PARAMETERS}
        sources = {name: asdict(source) for name, source in self.sources.items()}
        learned = {name: getattr(self, name) for name in _LEARNS}
        content = {
            "sources": sources,
            "parameters": parameters,
            "source": self.source,
            "encoding": asdict(self.encoding_),
        }
        save_arrays(folder, _NAME, _KIND, _VERSION, content, {**learned, **self.learned_})

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a saved model."""
        content, learned = open_arrays(folder, _NAME, _KIND, _VERSION)
        try:
            sources = {name: Source(**source) for name, source in content["sources"].items()}
            model = cls(sources, **content["parameters"])
            model.source = content["source"]
            encoding = content["encoding"]
            model.encoding_ = Encoding(**{**encoding, "genres": tuple(encoding["genres"])})
            for name in _LEARNS:
                setattr(model, name, learned.pop(name))
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{_NAME} in {folder} is damaged ({error}); fit the model again") from error
        model.learned_ = learned
        return model

    def _fit(self, values: sparse.csr_array, content: Mapping[str, Floats]) -> None:
        self._regress(content, values, *self._factorize(values))

    def _predicted(self, content: Mapping[str, Floats]) -> npt.NDArray[Any]:
        return np.asarray(self._linear(content)[:, :-1] + self._smooth(self.learned_["base"], self.smoothing))

    def _regress(
        self, content: Mapping[str, Floats], values: sparse.csr_array, own: FloatArray, n_ratings: Counts
    ) -> None:
        n_films = values.shape[1]
        means = np.bincount(values.indices, weights=values.data, minlength=n_films) / n_ratings
        weights = n_ratings / (n_ratings + _HALF_SUPPORT_OF_MEANS)
        base = own.mean(axis=0) if n_films else np.zeros(own.shape[1])
        mean = float(np.average(means, weights=weights)) if n_films else _NO_MEAN
        self.learned_ = {"base": base.astype(np.float32)}
        left, left_of_means = own - base, means - mean
        errors = left_of_means.copy()
        for name, source in self.sources.items():
            standardization = Standardization.fit(content[name], by_column=source.by_column)
            rows = source.rows(standardization, content[name]).astype(np.float64)
            known = rows.any(axis=1)
            rows = rows[known]
            of_factors = Ridge(rows, np.ones(len(rows)), source.penalty)
            to_factors = source.weight * of_factors.coefficients(left[known] * damped(n_ratings[known], source.damping))
            of_means = Ridge(rows, weights[known], source.penalty)
            to_mean = of_means.coefficients(left_of_means[known, None])
            left[known] -= rows @ to_factors
            explained = (rows @ to_mean)[:, 0]
            left_of_means[known] -= explained
            # What the error would be, had the film itself been left out.
            errors[known] = (errors[known] - explained) / np.maximum(1 - of_means.leverages(), 1e-3)
            coefficients = np.hstack([self._smooth(to_factors, source.smoothing), to_mean])
            self.learned_ |= {
                f"{name}_centre": standardization.center,
                f"{name}_scale": standardization.scale,
                f"{name}_coefficients": coefficients.astype(np.float32),
            }
        within = _variance_within(values, means)
        spread = _spread(errors, n_ratings, weights, within)
        stars = (values.data.min(), values.data.max()) if n_films else (mean, mean)
        self.learned_ |= {
            "mean": np.array([mean, spread, within], np.float32),
            "stars": np.array(stars, np.float32),
        }

    def _linear(self, content: Mapping[str, Floats]) -> Floats:
        total: Any = 0
        for name, source in self.sources.items():
            standardization = Standardization(self.learned_[f"{name}_centre"], self.learned_[f"{name}_scale"])
            total = total + source.rows(standardization, content[name]) @ self.learned_[f"{name}_coefficients"]
        return np.asarray(total, np.float32)

    def _audience(self, factor: Floats, k: int) -> ScoredIds:
        scores = self._preferences(factor[None])[:, 0]
        keen = np.flatnonzero(scores > 0)
        # A stable sort leaves equal scores in ascending user_id.
        chosen = keen[np.argsort(-scores[keen], kind="stable")[:k]]
        return ScoredIds(self.user_ids_[chosen], scores[chosen])


class PostersOnly(ContentRidge):
    """The same from nothing but posters."""

    name = "posters"
    default_sources: ClassVar[Mapping[str, Source]] = {
        "posters": Source(penalty=12.0, smoothing=10.0, damping=0.25, by_column=True)
    }


class GenresAndYears(ContentRidge):
    """The same from genres and years, without any poster: what every other model has to beat."""

    name = "genres-years"
    default_sources: ClassVar[Mapping[str, Source]] = {"facts": SOURCES["facts"]}


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
