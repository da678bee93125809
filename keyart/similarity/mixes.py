"""A query of several films, images and descriptions: their looks and ratings as one, and what hits are nearest to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError, UnknownFilmError
from catalog.film import Film
from catalog.lazy import lazy
from catalog.scored_ids import ScoredIds
from cf.base import Recommender
from index.blend import AnyComparison
from index.comparison import Comparison, Item
from index.search import Scan
from keyart.results import Alpha, Hit, Query, query_of_image, query_of_text
from keyart.similarity.blending import mean_of_nearest, positive_similarities
from keyart.similarity.content import ContentSimilarity
from keyart.similarity.query import Embedding, Image, Text
from keyart.workspace.layout import Workspace
from keyart.workspace.steps import index_steps, no_index

UNLIKE_WEIGHT = 0.5
"""How much the mean of the unliked films counts against the mean of the liked ones."""

ARTICLES = {"image": "an image", "description": "a description"}

_Matrix = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Embedded:
    """An image or a description of a mix, and its features."""

    source: Image | Text
    embedding: Embedding

    @property
    def query(self) -> Query:
        """What results call it."""
        source = self.source
        return query_of_text(source.words) if isinstance(source, Text) else query_of_image(source.name, source.path)

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.query.label


Part = Film | Embedded
"""One of the films, images and descriptions that are meant together."""


@dataclass(frozen=True)
class MixedQuery:
    """Films, images and descriptions that are sought for and such that are not, in the opened parts of a workspace."""

    like: tuple[Part, ...]
    unlike: tuple[Part, ...]
    workspace: Workspace
    comparison: AnyComparison | None
    cf: Recommender | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "like", tuple({_key(one): one for one in self.like}.values()))
        object.__setattr__(self, "unlike", tuple({_key(one): one for one in self.unlike}.values()))
        avoided = {_key(one) for one in self.unlike}
        if both := [one.label for one in self.like if _key(one) in avoided]:
            raise ConfigError(f"{' and '.join(both)} cannot be both sought for and avoided; name it once")

    @property
    def label(self) -> str:
        """The parts in words."""
        liked = " + ".join(one.label for one in self.like)
        return liked + (f", unlike {' + '.join(one.label for one in self.unlike)}" if self.unlike else "")

    @property
    def _embedded(self) -> tuple[Embedded, ...]:
        return tuple(one for one in (*self.like, *self.unlike) if isinstance(one, Embedded))

    @property
    def _kinds(self) -> tuple[str, ...]:
        kinds = {"description" if isinstance(one.source, Text) else "image" for one in self._embedded}
        return tuple(kind for kind in ARTICLES if kind in kinds)

    @lazy
    def liking(self) -> tuple[ScoredIds, ...]:
        """Return the similarities by ratings to each of what is liked; empty where there are none."""
        films = _ids(self.like)
        result = iter(positive_similarities(self.cf, films) if self.cf and films else ())
        return tuple(
            next(result, ScoredIds.empty()) if isinstance(one, Film) else ScoredIds.empty() for one in self.like
        )

    def nearest_by_ratings(self) -> ScoredIds:
        """Return the films nearest to the liked ones by ratings."""
        return mean_of_nearest(self.liking, _ids((*self.like, *self.unlike)))

    @property
    def has_liked_films(self) -> bool:
        """Whether any part has ratings to compare by; otherwise looks alone count."""
        return bool(_ids(self.like))

    @property
    def liked_ids(self) -> list[int]:
        """The movie_ids of the films that are sought for."""
        return _ids(self.like)

    @property
    def all_ids(self) -> list[int]:
        """The movie_ids of all films of the query."""
        return _ids((*self.like, *self.unlike))

    @property
    def n_ratings(self) -> int:
        """The number of ratings of the rarest of the liked films that have similarities by ratings."""
        pairs = zip(self.like, self.liking, strict=True)
        rated = [one.n_ratings for one, liking in pairs if isinstance(one, Film) and len(liking)]
        return min(rated, default=0)

    def scan(self, alpha: Alpha) -> Scan | None:
        """Compare the looks of all parts with all films; None where ratings alone are compared."""
        if self._embedded and alpha == 0.0:
            raise looks_left_out(*self._kinds)
        if self.unlike and alpha == 0.0:
            raise ConfigError("films are avoided by their looks, which alpha 0 leaves out; set alpha to auto")
        if self.comparison is None and (self.unlike or self._embedded or alpha == 1.0):
            raise no_index(self.workspace)
        if self.comparison is None or alpha == 0.0:
            return None
        for film in (*self.like, *self.unlike):
            if isinstance(film, Film) and film.movie_id not in self.comparison:
                raise ConfigError(
                    f"{film.label} is not in the index of posters, so its looks cannot be combined with others; leave "
                    f"it out, or run {index_steps(self.workspace, film.movie_id)}"
                )
        like, unlike = _items(self.like), _items(self.unlike)
        if isinstance(self.comparison, Comparison):
            scan = self.comparison.scan_mix(like, unlike, UNLIKE_WEIGHT, self._scales(self.comparison))
        else:
            # A blend takes no descriptions.
            scan = self.comparison.scan_mix(like, unlike, UNLIKE_WEIGHT)
        return scan if len(scan.movie_ids) else None

    def _scales(self, comparison: Comparison) -> _Matrix:
        """Return by what the row of each part is multiplied, so that a description counts as much as a film.

        The cosines of a description with posters differ far less than those of a poster, as the rows of words and of
        images lie apart.
        """
        parts = (*self.like, *self.unlike)
        is_text = np.array([isinstance(one, Embedded) and isinstance(one.source, Text) for one in parts])
        scales = np.ones(len(parts))
        if is_text.any() and not is_text.all():
            spreads = comparison.spreads(_items(parts)).astype(np.float64)
            usual = spreads[~is_text].mean()
            if usual > 0 and (spreads[is_text] > 0).all():
                scales[is_text] = usual / spreads[is_text]
        return scales

    def check(self, scan: Scan | None, cf: ScoredIds, alpha: Alpha) -> None:
        """Refuse a comparison by what is not known."""
        if alpha == 0.0 and not len(cf):
            raise ConfigError(f"{self.label}: too few ratings to compare by ratings alone; set alpha to auto")
        if scan is None and (alpha == 1.0 or not len(cf)):
            raise UnknownFilmError(f"{self.label}: neither features nor ratings in common with other films")

    def notes(self, scan: Scan | None, cf: ScoredIds, alpha: Alpha) -> Iterator[str]:
        """Explain what was left out."""
        if scan is None and alpha != 0.0:
            yield "no other posters are indexed: compared by ratings alone"
        if alpha == 1.0:
            return
        if not self.has_liked_films:
            if alpha not in ("auto", 1.0):
                what = f"{ARTICLES[self._kinds[0]]} has" if len(self._kinds) == 1 else "images and descriptions have"
                yield f"{what} no ratings: compared by looks alone"
            return
        if not len(cf):
            yield "none of the films has enough ratings: compared by looks alone"
            return
        without = [one.label for one, liking in zip(self.like, self.liking, strict=True) if not len(liking)]
        if without:
            yield f"no ratings, or too few, to compare by, so these count in looks alone: {', '.join(without)}"

    def with_nearest(
        self, hits: Sequence[Hit], scan: Scan | None, content: ContentSimilarity | None = None
    ) -> tuple[Hit, ...]:
        """Add to each hit which of the liked films it is nearest to, and its cosines with all parts."""
        parts, matches = _items((*self.like, *self.unlike)), [hit.movie_id for hit in hits]
        cosines = np.full((len(matches), len(parts)), np.nan)
        if self.comparison is not None and scan is not None:
            cosines = self.comparison.cosines(matches, parts).astype(np.float64)
        liking = np.stack([_aligned(one, matches) for one in self.liking], axis=1)
        agreeing = np.stack([_aligned(_content_of(one, content), matches) for one in self.like], axis=1)
        return tuple(
            replace(
                hit,
                nearest_to=self._nearest(row[: len(self.like)], liked, agreed),
                to_each=tuple(None if np.isnan(value) else round(float(value), 6) for value in row),
            )
            for hit, row, liked, agreed in zip(hits, cosines, liking, agreeing, strict=True)
        )

    def _nearest(self, *sides: _Matrix) -> int | None:
        """Return the liked film that is nearest by the first of some sides of which anything is known."""
        known = next((side for side in sides if not np.isnan(side).all()), None)
        nearest = None if known is None else self.like[int(np.nanargmax(known))]
        return nearest.movie_id if isinstance(nearest, Film) else None


def looks_left_out(*kinds: str) -> ConfigError:
    """Return the error of ratings alone asked for of what has none, an "image" or a "description"."""
    what = " and ".join(f"{kind}s" for kind in kinds)
    return ConfigError(f"{what} are compared by looks, which alpha 0 leaves out; set alpha to auto")


def _key(one: Part) -> int | Image | Text:
    return one.movie_id if isinstance(one, Film) else one.source


def _ids(parts: Sequence[Part]) -> list[int]:
    return [one.movie_id for one in parts if isinstance(one, Film)]


def _content_of(one: Part, content: ContentSimilarity | None) -> ScoredIds:
    return content.to_film(one.movie_id) if content is not None and isinstance(one, Film) else ScoredIds.empty()


def _items(parts: Sequence[Part]) -> list[Item]:
    return [one.movie_id if isinstance(one, Film) else one.embedding for one in parts]


def _aligned(one: ScoredIds, movie_ids: Sequence[int]) -> _Matrix:
    scores = dict(zip(one.ids.tolist(), one.scores.tolist(), strict=True))
    return np.array([scores.get(movie_id, np.nan) for movie_id in movie_ids], np.float64)
