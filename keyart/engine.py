"""The way out: an open workspace, asked what looks like a film, what is like it, and what looks like a picture.

Together with `keyart.pipeline`, the way in, the only module that knows more than one trade.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from catalog.errors import DataError, NotBuiltError, UnknownFilmError
from catalog.films import Catalogue, Film
from cf.hybrid import Blend, Similarities, alpha_by_support, blend, candidate_ids
from cf.neighbors import ItemCosine
from features.extractor import Extractor, extractor_of
from features.images import read_image
from features.store import FeatureStore
from index.cosine import CosineIndex
from keyart.settings import HOME, keras_models_dir
from keyart.workspace import Workspace
from posters.store import PosterStore

_log = logging.getLogger(__name__)

Alpha = float | Literal["auto"]
Part = TypeVar("Part")


@dataclass(frozen=True)
class Query:
    """What was asked about.

    Parameters
    ----------
    movie_id : int or None
        The film; None where a picture was given.
    title : str
        Its title, or the picture's file name.
    year : int or None
        Its year of release, where known.
    poster_path : Path or None
        Its poster, where there is one.
    """

    movie_id: int | None
    title: str
    year: int | None
    poster_path: Path | None = None

    @property
    def label(self) -> str:
        """Title and year as people write them."""
        return f"{self.title} ({self.year})" if self.year else self.title


@dataclass(frozen=True)
class Hit:
    """One film of a result.

    Parameters
    ----------
    rank : int
        From 1.
    movie_id : int
        The film.
    title : str
        Its title.
    year : int or None
        Its year of release, where known.
    score : float
        alpha · visual + (1 - alpha) · cf, on the scale of the visual similarity.
    visual : float or None
        The cosine of the posters' features, in [-1, 1]; None where the film has no poster.
    cf : float or None
        The item similarity of the ratings, calibrated onto the scale of the visual one; None where nothing is known.
    support : int
        How many users rated the film.
    alpha : float
        The visual share that was used.
    poster_path : Path or None
        Its poster, where there is one.
    """

    rank: int
    movie_id: int
    title: str
    year: int | None
    score: float
    visual: float | None
    cf: float | None
    support: int
    alpha: float
    poster_path: Path | None

    @property
    def label(self) -> str:
        """Title and year as people write them."""
        return f"{self.title} ({self.year})" if self.year else self.title


@dataclass(frozen=True)
class SimilarFilms:
    """The answer to one question; iterating over it gives its hits.

    Parameters
    ----------
    query : Query
        What was asked about.
    alpha : float or "auto"
        The visual share that was asked for.
    hits : tuple of Hit
        Best first.
    notes : tuple of str
        What a reader of the result should know.
    """

    query: Query
    alpha: Alpha
    hits: tuple[Hit, ...]
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def as_dict(self) -> dict[str, Any]:
        """Write the result as plain values, as ``keyart similar --json`` prints it.

        Returns
        -------
        dict
            query, alpha, results.
        """
        names = ("rank", "movie_id", "title", "year", "score", "visual", "cf", "support")
        return {
            "query": {"movie_id": self.query.movie_id, "title": self.query.title, "year": self.query.year},
            "alpha": self.alpha,
            "results": [{name: getattr(hit, name) for name in names} for hit in self.hits],
        }


class Engine:
    """An open workspace; make it with `Engine.open`. Safe to use from several threads once open.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    catalogue : Catalogue
        Its films.
    index : CosineIndex or None
        Its index, where one is built.
    item_cosine : ItemCosine or None
        Its item similarities, where they are built.
    """

    def __init__(
        self, workspace: Workspace, catalogue: Catalogue, index: CosineIndex | None, item_cosine: ItemCosine | None
    ) -> None:
        self._workspace = workspace
        self._catalogue = catalogue
        self._index = index
        self._item_cosine = item_cosine

    @classmethod
    def open(cls, home: str | Path | None = None) -> Engine:
        """Open a workspace for questions.

        Parameters
        ----------
        home : str or Path, optional
            The workspace folder; by default KEYART_HOME, or ``keyart-data`` where that is not set.

        Returns
        -------
        Engine
            Ready to be asked.

        Raises
        ------
        NotBuiltError
            There is no workspace, or nothing has been built in it.
        DataError
            A part is damaged, of another version, or the index and the features are of two networks.
        """
        workspace = Workspace.open(Path(home or HOME.value() or ""))
        catalogue = Catalogue.open(workspace.catalogue_path)
        index = _built(CosineIndex.open, workspace.index_dir)
        item_cosine = _built(ItemCosine.open, workspace.cf_dir)
        if index is None and item_cosine is None:
            raise NotBuiltError(
                f"nothing is built in {workspace.home} yet; run `keyart info` to see which step is next"
            )
        if index is not None:
            _check_identity(workspace, index)
        return cls(workspace, catalogue, index, item_cosine)

    @property
    def catalogue(self) -> Catalogue:
        """The films."""
        return self._catalogue

    def find(self, film: str | int) -> Film:
        """Find the film that a person means.

        Parameters
        ----------
        film : str or int
            A title, with or without year, or a movie_id.

        Returns
        -------
        Film
            The film.

        Raises
        ------
        UnknownFilmError
            No film answers, or several do.
        """
        return self._catalogue.find(film) if isinstance(film, str) else self._catalogue.film(film)

    def similar(self, film: str | int, k: int = 10, alpha: Alpha = "auto") -> SimilarFilms:
        """Find the films that look like a film and are liked like it.

        Parameters
        ----------
        film : str or int
            A title, with or without year, or a movie_id.
        k : int, default 10
            How many films; fewer are returned where there are fewer.
        alpha : float in [0, 1] or "auto"
            The visual share: 1 for looks alone, 0 for ratings alone. By default it grows as the film's ratings thin
            out, and is 1 for a film that nobody has rated.

        Returns
        -------
        SimilarFilms
            Best first.

        Raises
        ------
        UnknownFilmError
            No film answers to the title, or several do; or nothing is known of this one.
        ValueError
            k or alpha is out of range.
        """
        _check_range(k, alpha)
        asked = self.find(film)
        visual, cf = self._visual_of_film(asked), self._cf_of_film(asked)
        if not len(visual) and not len(cf):
            raise UnknownFilmError(
                f"{asked.label} has neither features nor ratings in common with other films; import its poster, then "
                "run `keyart extract` and `keyart build`"
            )
        share = self._alpha(asked, visual, cf, alpha)
        ranked = blend(visual, cf, share, candidate_ids(visual, cf))
        query = Query(asked.movie_id, asked.title, asked.year, self._poster_path(asked.movie_id))
        notes = tuple(self._notes(asked, visual, cf, alpha))
        return SimilarFilms(query, alpha, self._hits(ranked, k), notes)

    def similar_to_image(self, path: str | Path, k: int = 10) -> SimilarFilms:
        """Find the films whose posters look like a picture.

        Parameters
        ----------
        path : str or Path
            A picture file.
        k : int, default 10
            How many films.

        Returns
        -------
        SimilarFilms
            Best first, by looks alone.

        Raises
        ------
        DataError
            The file is no picture.
        NotBuiltError
            There is no index of posters.
        ConfigError, FetchError
            The network that the index was built with is no longer to be had.
        """
        _check_range(k, 1.0)
        if self._index is None:
            raise NotBuiltError("no index of posters here yet; run `keyart extract`, then `keyart build`")
        pixels, _ = read_image(Path(path), self._extractor.resize)
        found = self._index.search(self._extractor(pixels[None]), len(self._index))
        visual = Similarities(found.movie_ids[0], found.similarities[0])
        visual_ids = candidate_ids(visual, Similarities.none())
        ranked = blend(visual, Similarities.none(), 1.0, visual_ids)
        return SimilarFilms(Query(None, Path(path).name, None, Path(path)), 1.0, self._hits(ranked, k))

    def _visual_of_film(self, film: Film) -> Similarities:
        if self._index is None or film.movie_id not in self._index:
            return Similarities.none()
        found = self._index.similar([film.movie_id], len(self._index))
        return Similarities(found.movie_ids[0], found.similarities[0])

    def _cf_of_film(self, film: Film) -> Similarities:
        if self._item_cosine is None:
            return Similarities.none()
        (found,) = self._item_cosine.similar_items([film.movie_id], self._item_cosine.n_neighbors)
        return Similarities(found.movie_ids, found.similarities)

    def _alpha(self, film: Film, visual: Similarities, cf: Similarities, asked: Alpha) -> float:
        if not len(visual) or not len(cf):
            return 0.0 if len(cf) else 1.0
        return float(alpha_by_support(film.n_ratings)) if asked == "auto" else asked

    def _notes(self, film: Film, visual: Similarities, cf: Similarities, alpha: Alpha) -> Iterator[str]:
        if self._item_cosine is not None and self._item_cosine.source != (self._catalogue.fact("ratings") or ""):
            yield "item similarities are of ratings loaded earlier; run `keyart build`"
        if not len(visual):
            why = "is not in the index" if self._poster_path(film.movie_id) else "has no poster"
            yield f"{film.label} {why}: compared by ratings alone"
        elif not len(cf) and alpha != 1.0:
            why = "too few ratings to compare by" if film.n_ratings else "no ratings"
            yield f"{film.label} has {why}: compared by looks alone"

    def _hits(self, ranked: Blend, k: int) -> tuple[Hit, ...]:
        kept = self._first_listed(ranked, k)
        films = self._catalogue.films(ranked.movie_ids[kept].tolist())
        paths = self._poster_paths
        hits = []
        for rank, row in enumerate(kept, start=1):
            film = films[int(ranked.movie_ids[row])]
            visual, cf = _known(ranked.visual[row]), _known(ranked.cf[row])
            score, alpha = round(float(ranked.scores[row]), 6), round(float(ranked.alphas[row]), 6)
            path = paths.get(film.movie_id)
            hits.append(Hit(rank, film.movie_id, film.title, film.year, score, visual, cf, film.n_ratings, alpha, path))
        return tuple(hits)

    def _first_listed(self, ranked: Blend, k: int) -> list[int]:
        """Name the first k rows whose films the catalogue still lists; another load may have left some out."""
        kept: list[int] = []
        for start in range(0, len(ranked.movie_ids), 2 * k):
            movie_ids = ranked.movie_ids[start : start + 2 * k].tolist()
            listed = self._catalogue.films(movie_ids)
            kept += [start + row for row, movie_id in enumerate(movie_ids) if movie_id in listed]
            if len(kept) >= k:
                break
        return kept[:k]

    def _poster_path(self, movie_id: int) -> Path | None:
        return self._poster_paths.get(movie_id)

    @cached_property
    def _poster_paths(self) -> dict[int, Path]:
        try:
            with PosterStore.open_to_read(self._workspace.posters_dir) as store:
                return {poster.movie_id: poster.path for poster in store.posters()}
        except NotBuiltError:
            return {}
        except DataError as error:
            # Pictures are only an addition to an answer.
            _log.warning("results come without posters: %s", error)
            return {}

    @cached_property
    def _extractor(self) -> Extractor:
        return extractor_of(FeatureStore.open(self._workspace.features_dir), keras_models_dir())


def _built(open_part: Callable[[Path], Part], folder: Path) -> Part | None:
    try:
        return open_part(folder)
    except NotBuiltError:
        return None


def _check_identity(workspace: Workspace, index: CosineIndex) -> None:
    try:
        identity = FeatureStore.open(workspace.features_dir).identity
    except NotBuiltError:
        # The index stands on its own; only a picture needs the features' record.
        return
    if identity.as_dict() != index.identity:
        raise DataError(
            f"features are of {identity}, this index was built from {index.identity['backbone']} "
            f"({index.n_features} columns); run `keyart build` again"
        )


def _check_range(k: int, alpha: Alpha) -> None:
    if k < 1:
        raise ValueError(f"k should be 1 or more, received {k}")
    if alpha != "auto" and not (isinstance(alpha, int | float) and 0.0 <= alpha <= 1.0):
        raise ValueError(f"alpha should be 'auto' or a number from 0 to 1, received {alpha!r}")


def _known(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)
