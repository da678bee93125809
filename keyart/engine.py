"""The way out: an open workspace, asked what looks like a film, what is like it, what looks like a picture, and why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError, NotBuiltError, UnknownFilmError
from catalog.film import Film
from catalog.films import Catalog
from catalog.filters import Filter
from cf.base import Recommender, rows_of
from cf.hybrid.blend import FloatArray, Similarities, support_of_pairs
from cf.models.neighbors import ItemCosine
from cf.registry import model_class
from features.images import SIDE, Resize, read_image
from features.store import FeatureStore
from index.cosine import CosineIndex
from index.search import Scan
from keyart.cold_start.new_film import NewFilm
from keyart.cold_start.predictor import ColdStarter, OnBroken, open_cold_start
from keyart.pipeline.index import check_identity, open_index
from keyart.results import Alpha, ColdStartAnswer, Explanation, Query, SimilarFilms
from keyart.similarity.attribution import explain
from keyart.similarity.blending import Hybrid, nearest, open_hybrid
from keyart.similarity.hits import Ranking, Shares
from keyart.workspace.encoder import Network
from keyart.workspace.layout import Workspace
from keyart.workspace.settings import HOME
from posters.store import PosterStore

_log = logging.getLogger(__name__)

Part = TypeVar("Part")
Place = TypeVar("Place")

_NO_INDEX = "no index of posters here yet; run `keyart extract`, then `keyart build`"


class Engine:
    """An open workspace; make it with `Engine.open`. Safe to use from several threads once open.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    catalog : Catalog
        Its films.
    index : CosineIndex or None
        Its index, where one is built.
    cf : Recommender or None
        The model that tells which films are liked by the same people, where it is fitted.
    hybrid : Hybrid
        How the two are blended.
    """

    def __init__(
        self,
        workspace: Workspace,
        catalog: Catalog,
        index: CosineIndex | None,
        cf: Recommender | None,
        hybrid: Hybrid,
    ) -> None:
        self._workspace = workspace
        self._catalog = catalog
        self._index = index
        self._cf = cf
        self._hybrid = hybrid
        films = [(film.movie_id, film.n_ratings) for film in catalog]
        self._support = np.array(films, np.int32).reshape(-1, 2).T

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
        catalog = Catalog.open(workspace.catalog_path)
        index = _built(open_index, workspace)
        hybrid = open_hybrid(workspace)
        cf = _built(model_class(hybrid.model).open, workspace.model_dir(hybrid.model))
        if index is None and cf is None:
            raise NotBuiltError(
                f"nothing is built in {workspace.home} yet; run `keyart info` to see which step is next"
            )
        return cls(workspace, catalog, index, cf, hybrid)

    def reopened(self) -> Engine:
        """Open the workspace as it has become; a network that is still the same is not loaded again.

        Returns
        -------
        Engine
            Another one; this one keeps what it has.

        Raises
        ------
        NotBuiltError, DataError
            As `open`.
        """
        newer = Engine.open(self._workspace.home)
        if "_network" in vars(self) and newer._index is not None and newer._store.identity == self._network.identity:
            newer._network = self._network
        return newer

    def warm_up(self) -> None:
        """Load what the first question about a picture would wait for: the network, and the cold start's model.

        Raises
        ------
        NotBuiltError
            There is neither an index of posters nor a rating.
        DataError, ConfigError, FetchError
            The network is not to be had.
        """
        starter = self._cold_starter
        if self._index is not None and starter.store is not None:
            blank = np.zeros((1, SIDE, SIDE, 3), np.uint8)
            self._network(blank)

    @property
    def catalog(self) -> Catalog:
        """The films."""
        return self._catalog

    @property
    def has_index(self) -> bool:
        """Whether there is an index of posters."""
        return self._index is not None

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
        return self._catalog.find(film) if isinstance(film, str) else self._catalog.film(film)

    def similar(
        self,
        film: str | int,
        k: int = 10,
        alpha: Alpha = "auto",
        *,
        wanted: Filter | None = None,
        fold_artwork: bool = False,
    ) -> SimilarFilms:
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
        wanted : Filter, optional
            Which films may be found; k of them are, where there are k.
        fold_artwork : bool, default False
            Show films with the same artwork once, as the best of them.

        Returns
        -------
        SimilarFilms
            Best first.

        Raises
        ------
        UnknownFilmError
            No film answers to the title, or several do; or nothing is known of this one.
        ConfigError
            The filter names a genre that there is not.
        ValueError
            k or alpha is out of range.
        """
        _check_range(k, alpha)
        asked = self.find(film)
        scan, cf = self._scan_of_film(asked), self._cf_of_film(asked)
        if scan is None and not len(cf):
            raise UnknownFilmError(
                f"{asked.label} has neither features nor ratings in common with other films; import its poster, then "
                "run `keyart extract` and `keyart build`"
            )
        shares = self._shares(asked, scan, cf, alpha)
        query = Query(asked.movie_id, asked.title, asked.year, self._poster_path(asked.movie_id), asked.n_ratings)
        notes = tuple(self._notes(asked, scan, cf, alpha))
        hits = self._ranking.hits(scan, cf, shares, k, wanted, fold_artwork)
        return SimilarFilms(query, alpha, hits, notes, len(scan.movie_ids) if scan else 0, len(cf))

    def similar_to_image(
        self, path: str | Path, k: int = 10, *, wanted: Filter | None = None, fold_artwork: bool = False
    ) -> SimilarFilms:
        """Find the films whose posters look like a picture.

        Parameters
        ----------
        path : str or Path
            A picture file.
        k : int, default 10
            How many films.
        wanted : Filter, optional
            Which films may be found; k of them are, where there are k.
        fold_artwork : bool, default False
            Show films with the same artwork once, as the best of them.

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
            The network that the index was built with is no longer to be had; or as in `similar`.
        """
        features = self.network(self.read_picture(Path(path))[None])[0]
        return self.similar_to_features(features, k, wanted=wanted, fold_artwork=fold_artwork, path=Path(path))

    def read_picture(self, source: Path | bytes) -> npt.NDArray[np.uint8]:
        """Read a picture for `network`, and for `cold_start_seen`.

        Parameters
        ----------
        source : Path or bytes
            A picture file, or what stands in one.

        Returns
        -------
        ndarray of shape (224, 224, 3), uint8
            The picture.

        Raises
        ------
        DataError
            It is no picture.
        """
        return read_image(source, self._network.resize if self._index is not None else Resize.ANTIALIAS)[0]

    def similar_to_features(
        self,
        features: npt.NDArray[np.float32],
        k: int = 10,
        *,
        wanted: Filter | None = None,
        fold_artwork: bool = False,
        path: Path | None = None,
    ) -> SimilarFilms:
        """Find the films whose posters look like a picture that went through `network` already.

        Parameters
        ----------
        features : ndarray of shape (n_features,), float32
            What `network` gave.
        k : int
            How many films.
        wanted : Filter, optional
            Which films may be found.
        fold_artwork : bool, default False
            Show films with the same artwork once.
        path : Path, optional
            Where the picture is, for the answer.

        Returns
        -------
        SimilarFilms
            Best first, by looks alone.

        Raises
        ------
        DataError
            The network saw nothing, or something that is no number.
        NotBuiltError
            There is no index of posters.
        ConfigError
            As in `similar`.
        """
        _check_range(k, 1.0)
        if self._index is None:
            raise NotBuiltError(_NO_INDEX)
        scan = self._index.scan_features(features)
        hits = self._ranking.hits(scan, Similarities.none(), _looks_alone, k, wanted, fold_artwork)
        query = Query(None, path.name if path else "", None, path)
        return SimilarFilms(query, 1.0, hits, n_visual=len(scan.movie_ids))

    @property
    def network(self) -> Network:
        """The network that pictures go through to be compared.

        Raises
        ------
        NotBuiltError
            There is no index of posters.
        DataError
            Index and features are of two networks.
        """
        if self._index is None:
            raise NotBuiltError(_NO_INDEX)
        return self._network

    def cold_start(
        self,
        films: Sequence[NewFilm],
        k: int = 10,
        n_users: int = 1000,
        *,
        on_broken: OnBroken | None = None,
    ) -> list[ColdStartAnswer]:
        """Tell of films that nobody has rated: what they look like, how they will be rated, who would like them.

        Parameters
        ----------
        films : sequence of NewFilm
            The films, each with a poster; see `keyart.cold_start.new_film.describe`. Many go through the
            network, the index and the model together.
        k : int, default 10
            How many look-alikes of each.
        n_users : int, default 1000
            How large an audience of each at most; never those to whom the film is below their own average.
        on_broken : callable, optional
            Is told of every film whose poster cannot be read, which is then passed over; else the first is an error.

        Returns
        -------
        list of ColdStartAnswer
            One for each film whose poster could be read, in their order.

        Raises
        ------
        DataError
            A poster is no picture, and nobody wants to be told.
        NotBuiltError
            There is neither an index of posters nor a rating.
        ConfigError, FetchError
            The network that the index was built with is no longer to be had.
        ValueError
            k or n_users is out of range.
        """
        _check_range(k, 1.0)
        if n_users < 0:
            raise ValueError(f"n_users should be 0 or more, received {n_users}")
        starter = self._cold_starter
        return starter.tell(films, self._network if starter.store else None, k, n_users, on_broken)

    def cold_start_seen(
        self,
        films: Sequence[NewFilm],
        pixels: npt.NDArray[np.uint8],
        features: npt.NDArray[np.float32] | None,
        k: int = 10,
        n_users: int = 1000,
    ) -> list[ColdStartAnswer]:
        """Tell of films that nobody has rated, whose posters went through `network` already.

        Parameters
        ----------
        films : sequence of NewFilm
            The films; their posters are not read.
        pixels : ndarray of shape (n, 224, 224, 3), uint8
            The posters, as `features.images.read_image` gives them.
        features : ndarray of shape (n, n_features), float32, or None
            What `network` gave; None where the workspace has no features.
        k : int, default 10
            How many look-alikes of each.
        n_users : int, default 1000
            How large an audience of each at most.

        Returns
        -------
        list of ColdStartAnswer
            One a film.

        Raises
        ------
        NotBuiltError
            There is neither an index of posters nor a rating.
        """
        return self._cold_starter.answers(films, pixels, features, k, n_users)

    def explain(self, first: str | int, second: str | int) -> Explanation:
        """Tell why two films' posters look alike: what every place of them contributes to the similarity.

        Parameters
        ----------
        first, second : str or int
            A title, with or without year, or a movie_id.

        Returns
        -------
        Explanation
            Of the similarity that `similar` shows as ``visual``, once the index is built from these posters.

        Raises
        ------
        UnknownFilmError
            No film answers to a title, or several do.
        NotBuiltError
            A film has no poster or no features, or there is no index.
        DataError
            The features are pooled or damaged, or a row has no direction.
        """
        films = self.find(first), self.find(second)
        if self._index is None:
            raise NotBuiltError(_NO_INDEX)
        return explain(self._workspace, self._index, *films)

    def _scan_of_film(self, film: Film) -> Scan | None:
        if self._index is None or film.movie_id not in self._index:
            return None
        scan = self._index.scan(film.movie_id)
        return scan if len(scan.movie_ids) else None

    def _cf_of_film(self, film: Film) -> Similarities:
        return Similarities.none() if self._cf is None else nearest(self._cf, film.movie_id)

    def _shares(self, film: Film, scan: Scan | None, cf: Similarities, asked: Alpha) -> Shares:
        """Give what tells the visual share of each candidate; see `support_of_pairs`."""

        def chosen(candidates: npt.NDArray[np.int64]) -> FloatArray:
            if scan is None or not len(cf):
                return np.full(len(candidates), 0.0 if len(cf) else 1.0)
            if asked != "auto":
                return np.full(len(candidates), float(asked))
            movie_ids, n_ratings = self._support
            # A 0 at the end is what row -1, a film that left the catalog, is taken to have.
            support = np.append(n_ratings, 0)[rows_of(movie_ids, candidates)]
            is_known = np.isin(candidates, cf.movie_ids)
            return self._hybrid.blending.alphas(support_of_pairs(film.n_ratings, support, is_known))

        return chosen

    def _notes(self, film: Film, scan: Scan | None, cf: Similarities, alpha: Alpha) -> Iterator[str]:
        if self._index is not None and self._index.n_stale:
            yield (
                f"{self._index.n_stale} films of the index have no features any more, or another poster, and are "
                "passed over; run `keyart build`"
            )
        if self._cf is not None and self._cf.source != (self._catalog.fact("ratings") or ""):
            again = "keyart build" if self._cf.name == ItemCosine.name else f"keyart fit {self._hybrid.model}"
            yield f"similarities of ratings are of ratings loaded earlier; run `{again}`"
        if scan is None:
            why = "is not in the index" if self._poster_path(film.movie_id) else "has no poster"
            yield f"{film.label} {why}: compared by ratings alone"
        elif not len(cf) and alpha != 1.0:
            why = "too few ratings to compare by" if film.n_ratings else "no ratings"
            yield f"{film.label} has {why}: compared by looks alone"

    @cached_property
    def _ranking(self) -> Ranking:
        return Ranking(self._catalog, self._index, self._hybrid.blending.calibration, self._poster_paths)

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
    def _store(self) -> FeatureStore:
        store = FeatureStore.open(self._workspace.features_dir)
        if self._index is not None:
            # Another process may have replaced the features since the index was opened.
            check_identity(store, self._index.identity)
        return store

    @cached_property
    def _network(self) -> Network:
        return Network(self._store)

    @cached_property
    def _cold_starter(self) -> ColdStarter:
        model = open_cold_start(self._workspace)
        if self._index is None and model is None:
            raise NotBuiltError(_NO_INDEX)
        store = self._store if self._index is not None else _built(FeatureStore.open, self._workspace.features_dir)
        return ColdStarter(model, store, self._index, self._catalog, self._poster_paths)


def _looks_alone(candidates: npt.NDArray[np.int64]) -> FloatArray:
    return np.ones(len(candidates))


def _built(open_part: Callable[[Place], Part], place: Place) -> Part | None:
    try:
        return open_part(place)
    except NotBuiltError:
        return None


def _check_range(k: int, alpha: Alpha) -> None:
    if k < 1:
        raise ValueError(f"k should be 1 or more, received {k}")
    if alpha != "auto" and not (isinstance(alpha, int | float) and 0.0 <= alpha <= 1.0):
        raise ValueError(f"alpha should be 'auto' or a number from 0 to 1, received {alpha!r}")
