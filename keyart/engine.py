"""An open workspace: similar films, embeddings, explanations, cold start and recommendations."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self, TypeVar, overload

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError, DataError, IncompleteError, NotBuiltError, UnknownFilmError
from catalog.film import Film
from catalog.films import Catalog
from catalog.filters import Filter
from catalog.ids import check_id
from catalog.io.progress import Progress, silent
from catalog.lazy import lazy
from cf.base import Recommender
from cf.registry import model_class
from features.framing import Framing, Resize
from features.identity import Identity
from features.store import FeatureStore
from index.blend import AnyComparison, BlendedIndex, Index
from index.cosine import CosineIndex
from index.region import Region
from keyart.cold_start.new_film import NewFilm, checked, listed_films
from keyart.cold_start.predictor import ColdStarter, OnBroken, open_cold_start
from keyart.recommend.history import check_stars, history_of
from keyart.recommend.models import default_model, notes_on_default
from keyart.recommend.personal_ratings import read_personal_ratings
from keyart.recommend.recommendations import Recommendation, UserRecommender
from keyart.results import (
    Alpha,
    ColdStartResult,
    ContentShare,
    Explanation,
    PairScore,
    SimilarFilms,
    query_of_image,
    query_of_text,
)
from keyart.similarity.attribution import SeenImage, explain
from keyart.similarity.blending import Hybrid, open_hybrid
from keyart.similarity.look_alikes import LookAlikes
from keyart.similarity.mixes import Embedded
from keyart.similarity.query import (
    Embedding,
    FilmName,
    FilmOrImage,
    Image,
    ImageSource,
    Mix,
    SimilarOptions,
    Text,
    as_image,
    is_query,
    is_share,
    listed_queries,
)
from keyart.workspace.alternates import open_alternates
from keyart.workspace.encoder import WorkspaceEncoder
from keyart.workspace.encoders import name_of, open_views, text_encoder
from keyart.workspace.films import open_posters
from keyart.workspace.hints import complete_errors, names_workspace
from keyart.workspace.index import (
    StoredFeatures,
    check_identity,
    check_takes_text,
    map_shape_of,
    notes_on_any_index,
    open_blended_index,
    open_index,
)
from keyart.workspace.layout import Workspace
from keyart.workspace.settings import HOME
from keyart.workspace.steps import feature_steps, index_steps, no_index
from posters.store import Poster

_log = logging.getLogger(__name__)

Part = TypeVar("Part")
Place = TypeVar("Place")

Lend = Callable[[str], AbstractContextManager["Engine"]]
"""Lends an engine by an encoder that is named, for as long as it is used."""

# Pixels and features of as many images are in memory at once: 150 kB each, and 100 kB.
_BATCH_IMAGES = 256


class Engine:
    """An open workspace; make it with `keyart.open`. Safe to use from several threads.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    catalog : Catalog
        Its films.
    index : CosineIndex, BlendedIndex or None
        Its index, where one is built; or those of several encoders as one.
    cf : Recommender or None
        The model that supplies rating similarities, where it is fitted.
    hybrid : Hybrid
        How the two are blended.
    views : sequence of Workspace, optional
        The workspace by each of the encoders that are blended; by default the workspace alone.

    Examples
    --------
    >>> with keyart.open("keyart-data") as engine:  # doctest: +SKIP
    ...     engine.similar("Heat (1995)", k=10).to_frame()
    """

    def __init__(
        self,
        workspace: Workspace,
        catalog: Catalog,
        index: Index | None,
        cf: Recommender | None,
        hybrid: Hybrid,
        views: Sequence[Workspace] = (),
    ) -> None:
        self._workspace = workspace
        self._views = tuple(views) or (workspace,)
        self._lend: Lend | None = None
        self._words_engine: Engine | None = None
        self._encoder_name: str | None = None
        self._catalog = catalog
        self._index = index
        self._cf = cf
        self._hybrid = hybrid
        # Why it goes without an index or a model whose files are there.
        self._lost_parts: tuple[str, ...] = ()
        self._recommenders: dict[str, UserRecommender] = {}
        self._recommenders_lock = Lock()
        self._is_closed = False
        self._cold_starter: ColdStarter | None = None
        self._cold_start_lock = Lock()
        self._encoder_lock = Lock()
        self._loaded_encoders: dict[Identity, WorkspaceEncoder] = {}

    @classmethod
    def open(cls, home: str | Path | None = None, encoder: str | None = None, *, lend: Lend | None = None) -> Self:
        """Open a workspace.

        Parameters
        ----------
        home : str or Path, optional
            The workspace folder; by default KEYART_HOME, or ``keyart-data`` where that is not set.
        encoder : str, optional
            One of its encoders, by name; or several that are blended, as in ``"vgg16+resnet50"``: the mean of their
            cosines over the films that all of them have. By default the workspace's default encoder.
        lend : callable, optional
            Lends an engine by the encoder that takes words, where the default one takes none: called with its name, it
            returns a context manager. By default such an engine is opened on first use, and closed with this one.

        Returns
        -------
        Engine
            Close it, or use it in a ``with`` statement.

        Raises
        ------
        NotBuiltError
            The workspace does not exist, or nothing has been built in it.
        ConfigError
            The workspace has no such encoder.
        DataError
            A part is damaged, of another version, or the index and the features come from two encoders.
        """
        home = Path(home or HOME.value() or "")
        with complete_errors(home):
            views = open_views(home, encoder)
            workspace = views[0]
            catalog = Catalog.open(workspace.catalog_path)
            lost: list[str] = []
            index = open_blended_index(views) if len(views) > 1 else _if_built(open_index, workspace, lost)
            hybrid = open_hybrid(workspace)
            cf = _if_built(model_class(hybrid.model).open, workspace.model_dir(hybrid.model), lost)
            if index is None and cf is None:
                raise NotBuiltError(*lost or [f"nothing is built in {home} yet; run {index_steps(workspace)}"])
            engine = cls(workspace, catalog, index, cf, hybrid, views)
            engine._lost_parts = tuple(lost)
            engine._encoder_name = encoder
            engine._lend = lend
            return engine

    def reopened(self) -> Self:
        """Open the workspace as it is now; an encoder that is still the right one is not loaded again.

        Returns
        -------
        Engine
            A new one; this one keeps what it has.

        Raises
        ------
        NotBuiltError, DataError
            As `open`.
        """
        newer = type(self).open(self._workspace.home, self._encoder_name, lend=self._lend)
        if self._loaded_encoders and newer._index is not None:
            identities = {store.identity for store in newer._stores}
            newer._loaded_encoders = {
                identity: loaded for identity, loaded in self._loaded_encoders.items() if identity in identities
            }
        return newer

    def close(self) -> None:
        """Close the files of the workspace. The engine answers nothing after that."""
        self._is_closed = True
        if self._words_engine is not None:
            self._words_engine.close()
        self._catalog.close()
        if self._index is not None:
            self._index.close()
        further = self.__dict__.get("_alternates", (None,))[0]
        if further is not None:
            further.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @names_workspace
    def warm_up(self, *, images: bool = True) -> None:
        """Load what the first question would wait for, such as what films have in common.

        Parameters
        ----------
        images : bool, default True
            Load what images are compared by, too: the encoder and the cold-start model, which takes seconds.

        Raises
        ------
        NotBuiltError
            The workspace has neither an index of posters nor ratings.
        DataError, ConfigError, FetchError
            The encoder cannot be loaded.
        """
        self._look_alikes.warm_up()
        if not images:
            return
        starter = self._open_cold_starter()
        if self._index is not None and starter.store is not None:
            for encoder in self._encoders:
                encoder(np.zeros((1, *encoder.framing.shape), np.uint8))
        if self._takes_words:
            _ = self.encoder.text

    @property
    def home(self) -> Path:
        """The workspace folder."""
        return self._workspace.home

    @property
    def catalog(self) -> Catalog:
        """The films."""
        return self._catalog

    @property
    def has_index(self) -> bool:
        """Whether an index of posters is built."""
        return self._index is not None

    @property
    def n_features(self) -> int:
        """The width of the embeddings that `similar` takes; 0 without an index of posters."""
        return 0 if self._index is None else self._index.n_features

    @property
    def grid(self) -> tuple[int, int] | None:
        """The columns and rows of the regions that `similar` compares and `explain` tells apart; None without any."""
        if self._index is None or isinstance(self._index, BlendedIndex):
            return None
        with suppress(NotBuiltError, DataError, ConfigError):
            height, width, _ = map_shape_of(self._store)
            return width, height
        return None

    @property
    def takes_text(self) -> bool:
        """Whether `similar` takes a `Text`: an encoder does whose index is built, this one or else another."""
        with suppress(DataError):
            return self._takes_words or self.words_encoder() is not None
        return False

    @names_workspace
    def words_encoder(self) -> str | None:
        """Find the encoder that descriptions are compared by, where it is another than this engine's.

        Returns
        -------
        str or None
            Its name; None where this engine's own encoder takes words or was chosen by name, and where none takes them.

        Raises
        ------
        DataError
            None is found, but features are damaged whose encoder may take words.
        """
        if self._takes_words or self._encoder_name is not None:
            return None
        try:
            return text_encoder(self._workspace)
        except DataError as error:
            name = name_of(self._workspace)
            raise DataError(f"no encoder is known to take words: {name} takes none, and of another, {error}") from error

    @property
    def _takes_words(self) -> bool:
        if self._index is None or isinstance(self._index, BlendedIndex):
            return False
        with suppress(NotBuiltError, DataError):
            return self.encoder.takes_text
        return False

    @property
    def has_loaded_encoder(self) -> bool:
        """Whether an image can be embedded without loading a network first."""
        loaded = self._loaded_encoders
        return bool(loaded) and all(store.identity in loaded for store in self._stores)

    @names_workspace
    def find(self, film: str | int) -> Film:
        """Find a film by title or id.

        Parameters
        ----------
        film : str or int
            A title, with or without year, or an id: a movie_id, "tt0113277" of IMDb or "tmdb:949" of TMDB.

        Returns
        -------
        Film
            The film.

        Raises
        ------
        UnknownFilmError
            No film matches, or several do; the message lists close matches.
        """
        self._check_open()
        if isinstance(film, str):
            return self._catalog.find(film)
        if isinstance(film, bool) or not isinstance(film, int | np.integer):
            raise TypeError(f"expected a title or a movie_id, received {film!r}")
        return self._catalog.film(int(film))

    @overload
    def similar(  # type: ignore[overload-overlap]  # a str is a sequence of str
        self,
        query: FilmOrImage,
        k: int = 10,
        alpha: Alpha = "auto",
        filter: Filter | None = None,
        *,
        merge_duplicates: bool = False,
        diverse: float = 0.0,
        region: tuple[int, int, int, int] | None = None,
        content: ContentShare = "auto",
        options: SimilarOptions | None = None,
    ) -> SimilarFilms: ...
    @overload
    def similar(
        self,
        query: Sequence[FilmOrImage],
        k: int = 10,
        alpha: Alpha = "auto",
        filter: Filter | None = None,
        *,
        merge_duplicates: bool = False,
        diverse: float = 0.0,
        region: tuple[int, int, int, int] | None = None,
        content: ContentShare = "auto",
        options: SimilarOptions | None = None,
    ) -> list[SimilarFilms]: ...
    @names_workspace
    def similar(
        self,
        query: FilmOrImage | Sequence[FilmOrImage],
        k: int = 10,
        alpha: Alpha = "auto",
        filter: Filter | None = None,  # noqa: A002 - what everybody would guess
        *,
        merge_duplicates: bool = False,
        diverse: float = 0.0,
        region: tuple[int, int, int, int] | None = None,
        content: ContentShare = "auto",
        options: SimilarOptions | None = None,
    ) -> SimilarFilms | list[SimilarFilms]:
        """Find films that look like a film, or several, are liked like it and of its kind; or that look like an image.

        Parameters
        ----------
        query : str, int, Film, Image, Text, Path, bytes, ndarray of shape (n_features,), Mix, or a sequence of these
            A title (with or without year), a movie_id, a film, an image (or its path or content), a description, or an
            embedding as `embed` returns it; or several of these that are meant together, as a `Mix`. A sequence holds
            separate queries, as does an array of shape (n, n_features). The images of a sequence are embedded in
            batches.
        k : int, default 10
            How many films; fewer are returned where there are fewer.
        alpha : float in [0, 1] or "auto", default "auto"
            The visual share of a film's score; see `SimilarOptions`.
        filter : Filter, optional
            Which films may be found.
        merge_duplicates : bool, default False
            Show films with the same artwork once, as the best of them.
        diverse : float in [0, 1], default 0
            The weight of variety: how much a film's likeness to the films above it counts against its score.
        region : tuple of (int, int, int, int), optional
            Compare one region of the posters, by looks alone: x, y, width and height in cells of the grid of their
            features, 7 × 7 for VGG16, from 0 at the top left.
        content : float in [0, 1] or "auto", default "auto"
            The share of content, which is genres, tags, years, titles and people; see `SimilarOptions`.
        options : SimilarOptions, optional
            The seven above in one object, in place of them.

        Returns
        -------
        SimilarFilms or list of SimilarFilms
            Best first, ties by ascending movie_id; a list for a sequence. A film is never among its own look-alikes.
            A diverse result is in the order in which its films were chosen.

        Raises
        ------
        UnknownFilmError
            No film matches a title, or several do; or nothing is known of a film.
        DataError
            An image cannot be read, an embedding is of another width or not finite, or the films of a `Mix` cancel each
            other out.
        NotBuiltError
            An image, a description, an embedding, films to be avoided, variety or a region are asked for and no index
            of posters is built; or a region is, and the features of the posters are gone.
        ConfigError
            The filter names an unknown genre; or `alpha` asks for looks alone of a film without an indexed poster, or
            for ratings alone of a film without ratings, an image, a description or an embedding; or `content` for
            content alone of one of these three; or a film of a `Mix`
            is both sought for and avoided, or is not in the index; or the region reaches beyond the grid, or is of a
            film without an indexed poster or of pooled features; or the encoder takes no words, or its index does not
            compare features as they are.
        ValueError
            `k`, `alpha`, `diverse`, `region` or `content` is out of range, or `alpha` or `content` lets anything but
            looks count beside a region.
        """
        self._check_open()
        given = SimilarOptions(k, alpha, filter, merge_duplicates, diverse, region, content)
        if options is not None and given != SimilarOptions():
            names = "k, alpha, filter, merge_duplicates, diverse, region and content"
            raise TypeError(f"similar takes either options or {names}, received both")
        wanted = given if options is None else options
        if not isinstance(wanted, SimilarOptions):
            raise TypeError(f"options should be keyart.SimilarOptions, received {type(wanted).__name__}")
        if is_query(query):
            return self._similar(query, wanted)
        queries: list[FilmOrImage] = [
            Image(one) if isinstance(one, Path | bytes) else one for one in listed_queries(query)
        ]
        return self._similar_to_each(queries, wanted)

    @names_workspace
    def embed(self, images: Sequence[ImageSource]) -> npt.NDArray[np.float32]:
        """Compute the embeddings of images: the features that posters are compared by.

        Parameters
        ----------
        images : sequence of Image, str, Path or bytes
            Images, paths of image files, or their content. An `Image` remembers its embedding.

        Returns
        -------
        ndarray of shape (n, n_features), float32
            One row per image; n_features is 25,088 for VGG16. Of encoders that are blended, one after the other.

        Raises
        ------
        DataError
            An image cannot be read, or the encoder is no longer the one that the features were computed with.
        NotBuiltError
            The workspace has no features, so no encoder is chosen yet.
        ConfigError, FetchError
            The encoder cannot be loaded.
        """
        self._check_open()
        if isinstance(images, ImageSource):
            raise TypeError("embed takes a sequence of images, received a single one; put it into a list")
        images = list(images) if isinstance(images, Iterable) else [images]
        if wrong := [image for image in images if not isinstance(image, ImageSource)]:
            raise TypeError(
                f"embed takes a sequence of images, their paths or contents, received {type(wrong[0]).__name__}"
            )
        n_features = sum(encoder.identity.n_features for encoder in self._encoders)
        rows = np.empty((len(images), n_features), np.float32)
        for start in range(0, len(images), _BATCH_IMAGES):
            batch = [as_image(source) for source in images[start : start + _BATCH_IMAGES]]
            rows[start : start + len(batch)] = self._embedded(batch)
        return rows

    @names_workspace
    def embedding(self, film: FilmName) -> npt.NDArray[np.float32]:
        """Return the features of a film's poster, as they are stored.

        Parameters
        ----------
        film : str, int or Film
            A title, a movie_id or another id, or a film.

        Returns
        -------
        ndarray of shape (n_features,), float32
            As `embed` gives it for the poster's file, rounded to half floats.

        Raises
        ------
        UnknownFilmError
            No film matches, or several do; or the film's poster has no features.
        NotBuiltError
            The workspace has no features.
        DataError
            A file of features is damaged.
        """
        self._check_open()
        result = film if isinstance(film, Film) else self.find(film)
        parts = [features.of(result.movie_id) for features in self._film_features]
        if any(part is None for part in parts):
            steps = feature_steps(self._workspace, result.movie_id)
            raise UnknownFilmError(f"{result.label} has no features of its poster; run {steps}")
        return np.concatenate([part for part in parts if part is not None])

    @lazy
    def _film_features(self) -> list[StoredFeatures]:
        return [
            StoredFeatures.open(view, store.identity) for view, store in zip(self._views, self._stores, strict=True)
        ]

    @names_workspace
    def load_image(self, source: ImageSource) -> Image:
        """Decode an image ahead of `embed`, `similar` or `cold_start`, which then need not.

        Parameters
        ----------
        source : Image, str, Path or bytes
            An image, the path of its file, or its content.

        Returns
        -------
        Image
            With its pixels as the encoder takes them.

        Raises
        ------
        DataError
            It cannot be read.
        """
        image = as_image(source)
        framings: set[Framing | Resize] = {encoder.framing for encoder in self._encoders}
        for framing in framings if self._index is not None else {Resize.ANTIALIAS}:
            image.pixels(framing)
        return image

    @names_workspace
    def compare(self, first: FilmName, second: FilmName) -> PairScore:
        """Score how alike two films are, by all that is known of them.

        Parameters
        ----------
        first, second : str, int or Film
            A title, with or without year, a movie_id or another id, or a film.

        Returns
        -------
        PairScore
            The score that `similar` ranks by, the same in both directions, and its parts. It exists for every two
            films: what is not known of them counts as for a typical pair, so that scores of all pairs can be compared.

        Raises
        ------
        UnknownFilmError
            No film matches, or several do.
        ValueError
            Both are the same film.
        """
        self._check_open()
        films = self._film(first), self._film(second)
        if films[0].movie_id == films[1].movie_id:
            raise ValueError(f"expected two films, received {films[0].label} twice")
        return self._look_alikes.compare(*films)

    @names_workspace
    def explain(self, first: FilmName | Image, second: FilmName | Image) -> Explanation:
        """Explain why two posters look alike: what each region contributes to their similarity.

        Parameters
        ----------
        first, second : str, int, Film or Image
            A title, with or without year, a movie_id or another id, or a film; or an image.

        Returns
        -------
        Explanation
            Its grid adds up to the similarity that `similar` shows as ``visual``.

        Raises
        ------
        UnknownFilmError
            No film matches a title, or several do.
        NotBuiltError
            A film has no poster or no features, or no index is built.
        ConfigError
            The features are pooled, or encoders are blended.
        DataError
            The features are damaged, a row is zero, or an image cannot be read.
        """
        self._check_open()
        pair = [one if isinstance(one, Image) else self._film(one) for one in (first, second)]
        if self._index is None:
            raise no_index(self._workspace)
        if isinstance(self._index, BlendedIndex):
            names = " and ".join(self._index.parts)
            raise ConfigError(f"a likeness is explained by one encoder, not by a blend; choose one of {names}")
        seen = (self._seen(one) if isinstance(one, Image) else one for one in pair)
        return explain(self._workspace, self._index, *seen)

    @names_workspace
    def cold_start(
        self,
        films: Sequence[NewFilm],
        k: int = 10,
        n_users: int = 1000,
        *,
        on_broken: OnBroken | None = None,
        progress: Progress = silent,
    ) -> list[ColdStartResult]:
        """Predict how films that nobody has rated would be received, and which films they look like.

        Parameters
        ----------
        films : sequence of NewFilm
            Films with posters. Many are embedded and predicted together.
        k : int, default 10
            How many look-alikes of each.
        n_users : int, default 1000
            The size of each audience at most; users who would like the film less than their average are left out.
        on_broken : callable, optional
            Called with each film whose poster cannot be read and the error; the film is then left out. By default the
            error is raised.
        progress : Progress, optional
            Shows how many films are done.

        Returns
        -------
        list of ColdStartResult
            One per film whose poster could be read, in their order.

        Raises
        ------
        DataError
            A poster cannot be read.
        ConfigError
            A genre is unknown to the catalog or a year is not plausible; or the encoder cannot be loaded.
        NotBuiltError
            The workspace has neither an index of posters nor ratings.
        FetchError
            The encoder's weights cannot be downloaded.
        ValueError
            `k` or `n_users` is out of range.
        """
        self._check_open()
        SimilarOptions(k)
        new_films = listed_films(films)
        if isinstance(n_users, bool) or not isinstance(n_users, int | np.integer) or n_users < 0:
            raise ValueError(f"n_users should be a whole number of 0 or more, received {n_users!r}")
        known = self._catalog.genres()
        starter = self._open_cold_starter(progress)
        return starter.answers([checked(film, known) for film in new_films], k, n_users, on_broken, progress)

    @names_workspace
    def recommend(
        self,
        user: int | Mapping[int, float] | Path,
        k: int = 30,
        *,
        model: str | None = None,
        fresh: float | None = None,
    ) -> Recommendation:
        """Recommend films to a user, or to somebody who brings their own ratings.

        Parameters
        ----------
        user : int, mapping of int to float, or Path
            A user_id of the ratings; or stars, 0.5 to 5, by movie_id; or the file of one person's ratings, as
            Letterboxd, IMDb, Trakt or MovieLens export it.
        k : int, default 30
            How many films at most.
        model : str, optional
            A fitted recommender; see `keyart.pipeline.fit`. It stays open until the engine is closed. By default
            "ease", else the fitted one that ranks best.
        fresh : float in [0, 1], optional
            The share of films that nobody has rated, at least; 0 for none. By default they take the ranks they earn.

        Returns
        -------
        Recommendation
            Films that the user has not rated, best first.

        Raises
        ------
        NotBuiltError
            The model is not fitted, or there are no ratings.
        ConfigError
            There is no such model, it takes no new users, or the user_id is out of range.
        DataError
            The file holds no ratings of one person; the message names line and column.
        ValueError
            A rating, `k` or `fresh` is out of range.
        """
        self._check_open()
        SimilarOptions(k)
        if fresh is not None and not is_share(fresh):
            raise ValueError(f"fresh should be a number from 0 to 1, received {fresh!r}")
        if model is None:
            default = default_model(self._workspace)
            result = self.recommend(user, k, model=default, fresh=fresh)
            return replace(result, notes=(*notes_on_default(default), *result.notes))
        if not isinstance(model, str):
            raise TypeError(f"model should be the name of a recommender, received {model!r}")
        if isinstance(user, bool) or not isinstance(user, int | np.integer | Mapping | Path):
            raise TypeError(f"expected a user_id, a mapping of movie_id to stars or a Path, received {user!r}")
        recommender = self._recommender(model)
        if isinstance(user, int | np.integer):
            return recommender.for_user(check_id(int(user), "a user_id"), k, fresh)
        if isinstance(user, Path):
            return recommender.for_personal(read_personal_ratings(self._workspace, user), k, fresh)
        check_stars(user)
        return recommender.for_ratings(history_of(list(user), list(user.values())), k, fresh)

    def _check_open(self) -> None:
        if self._is_closed:
            raise ValueError("the engine is closed; open the workspace again with keyart.open")

    def _similar(self, query: FilmOrImage, options: SimilarOptions) -> SimilarFilms:
        if isinstance(query, Film):
            query = query.movie_id
        if isinstance(query, Path | bytes):
            query = Image(query)
        if isinstance(query, str | int | np.integer):
            return self._compared(options).of_film(self.find(query), options)
        has_words = isinstance(query, Text) or (isinstance(query, Mix) and query.texts)
        if has_words and (encoder := self.words_encoder()):
            with (self._lend or self._kept_words_engine)(encoder) as other:
                result = other._similar(query, options)
            note = f"compared by {other._encoder_name}, as {name_of(self._workspace)} takes no words"
            return replace(result, notes=(note, *result.notes))
        if isinstance(query, Mix):
            return self._similar_to_mix(query, options)
        if self._index is None:
            raise no_index(self._workspace)
        look_alikes = self._compared(options)
        if isinstance(query, Text):
            result = look_alikes.of_embedding(self._embedded_text(query), options, query_of_text(query.words))
            return replace(result, notes=(*self.encoder.notes_on([query.words]), *result.notes))
        if isinstance(query, Image):
            (embedding,) = self.embed([query])
            return look_alikes.of_embedding(embedding, options, query_of_image(query.name, query.path))
        return look_alikes.of_embedding(query, options, query_of_image("", None))

    def _similar_to_mix(self, mix: Mix, options: SimilarOptions) -> SimilarFilms:
        look_alikes = self._compared(options)
        like, unlike = (
            [one if isinstance(one, Image | Text) else self._film(one) for one in side]
            for side in (mix.like, mix.unlike)
        )
        if (mix.images or mix.texts) and self._index is None:
            raise no_index(self._workspace)
        embedded: dict[Image | Text, Embedding] = {text: self._embedded_text(text) for text in mix.texts}
        if mix.images:
            embedded |= zip(mix.images, self.embed(mix.images), strict=True)
        result = look_alikes.of_mix(
            [one if isinstance(one, Film) else Embedded(one, embedded[one]) for one in like],
            [one if isinstance(one, Film) else Embedded(one, embedded[one]) for one in unlike],
            options,
        )
        notes = self.encoder.notes_on([text.words for text in mix.texts]) if mix.texts else ()
        return replace(result, notes=(*notes, *result.notes))

    def _kept_words_engine(self, encoder: str) -> AbstractContextManager[Engine]:
        with self._encoder_lock:
            if self._words_engine is None:
                self._words_engine = Engine.open(self._workspace.home, encoder)
            return nullcontext(self._words_engine)

    def _embedded_text(self, text: Text) -> Embedding:
        if self._index is None:
            raise no_index(self._workspace)
        if isinstance(self._index, BlendedIndex):
            names = " and ".join(self._index.parts)
            raise ConfigError(f"a description is compared by one encoder, not by a blend; choose one of {names}")
        if self.encoder.takes_text:
            check_takes_text(self._index)
        return self.encoder.embed_text(text.words)

    def _compared(self, options: SimilarOptions) -> LookAlikes:
        """Return what compares whole posters, or a region of them."""
        return self._look_alikes if options.region is None else self._look_alikes.by_region(Region(*options.region))

    def _film(self, film: FilmName) -> Film:
        return self.find(film.movie_id if isinstance(film, Film) else film)

    def _seen(self, image: Image) -> SeenImage:
        (features,) = self._embedded([image])
        return SeenImage(query_of_image(image.name, image.path), features)

    def _similar_to_each(self, queries: list[FilmOrImage], options: SimilarOptions) -> list[SimilarFilms]:
        results: list[SimilarFilms] = []
        for start in range(0, len(queries), _BATCH_IMAGES):
            batch = queries[start : start + _BATCH_IMAGES]
            if images := [query for query in batch if isinstance(query, Image)]:
                self._embed_batch(images)
            results += [self._similar(query, options) for query in batch]
        return results

    def _embed_batch(self, images: Sequence[Image]) -> None:
        """Run the images that have no embedding yet through the encoder together."""
        for encoder in self._encoders:
            new = [image for image in images if image.embedding_of(encoder.identity) is None]
            if new:
                rows = encoder(np.stack([image.pixels(encoder.framing) for image in new]))
                for image, row in zip(new, rows, strict=True):
                    image.remember(encoder.identity, row)

    def _embedded(self, images: Sequence[Image]) -> npt.NDArray[np.float32]:
        """Return the embeddings of some images, those of blended encoders one after the other."""
        self._embed_batch(images)
        identities = [encoder.identity for encoder in self._encoders]
        rows = [[image.embedding_of(identity) for identity in identities] for image in images]
        return np.stack([np.concatenate(row) for row in rows])  # type: ignore[arg-type]

    def _recommender(self, name: str) -> UserRecommender:
        with self._recommenders_lock:
            result = self._recommenders.get(name)
            if result is None or not result.is_current():
                result = self._recommenders[name] = UserRecommender.open(self._workspace, name)
            return result

    @property
    def encoder(self) -> WorkspaceEncoder:
        """The encoder that the features of the workspace were computed with; the first of those that are blended."""
        return self._encoders[0]

    @property
    def _encoders(self) -> list[WorkspaceEncoder]:
        with self._encoder_lock:
            loaded = self._loaded_encoders
            return [loaded.setdefault(store.identity, WorkspaceEncoder(store)) for store in self._stores]

    @lazy
    def _look_alikes(self) -> LookAlikes:
        return LookAlikes(
            self._workspace,
            self._catalog,
            self._index,
            self._comparison,
            self._cf,
            self._hybrid,
            self._poster_paths,
            self._index_notes,
        )

    @lazy
    def _comparison(self) -> AnyComparison | None:
        # A blend compares the films' own posters alone.
        if isinstance(self._index, CosineIndex):
            return self._index.comparison(self._alternates[0])
        return None if self._index is None else self._index.comparison()

    @lazy
    def _alternates(self) -> tuple[CosineIndex | None, tuple[str, ...]]:
        """Open the index of further posters, and a note where it cannot be used."""
        if not isinstance(self._index, CosineIndex):
            return None, ()
        try:
            return open_alternates(self._workspace, self._index), ()
        except (DataError, IncompleteError) as error:
            return None, (f"further posters are left out: {error}",)

    @lazy
    def _index_notes(self) -> tuple[str, ...]:
        lost = tuple(f"left out: {reason}" for reason in self._lost_parts)
        _, damage = self._read_posters
        if damage:
            return (*lost, f"results come without posters: {damage}")
        if self._index is None:
            return lost
        hashes = {movie_id: poster.sha256 for movie_id, poster in self._posters.items()}
        return (*lost, *notes_on_any_index(self._views, self._index, hashes), *self._alternates[1])

    @property
    def _poster_paths(self) -> dict[int, Path]:
        return {movie_id: poster.path for movie_id, poster in self._posters.items()}

    @property
    def _posters(self) -> dict[int, Poster]:
        posters, _ = self._read_posters
        return posters

    @lazy
    def _read_posters(self) -> tuple[dict[int, Poster], str]:
        """Return the posters by movie_id, and why they cannot be read, if so: they only illustrate a result."""
        known = self._catalog.movie_ids(Filter())
        try:
            store = open_posters(self._workspace)
            if store is None:
                return {}, ""
            with store:
                return {poster.movie_id: poster for poster in store.posters() if poster.movie_id in known}, ""
        except (DataError, IncompleteError) as error:
            return {}, str(error)

    @property
    def _store(self) -> FeatureStore:
        return self._stores[0]

    @lazy
    def _stores(self) -> list[FeatureStore]:
        stores = []
        try:
            for view in self._views:
                stores.append(FeatureStore.open(view.features_dir))
        except NotBuiltError as error:
            raise NotBuiltError(f"no features here yet; run {feature_steps(self._workspace)}") from error
        if self._index is not None:
            indexes = self._index.parts.values() if isinstance(self._index, BlendedIndex) else [self._index]
            # Another process may have replaced the features since the index was opened.
            for store, index in zip(stores, indexes, strict=True):
                check_identity(store, index.identity)
        return stores

    def _open_cold_starter(self, progress: Progress = silent) -> ColdStarter:
        with self._cold_start_lock:
            if self._cold_starter is None:
                self._cold_starter = self._new_cold_starter(progress)
            return self._cold_starter

    def _new_cold_starter(self, progress: Progress) -> ColdStarter:
        model = open_cold_start(self._workspace, progress=progress)
        if self._index is None and model is None:
            raise no_index(self._workspace)
        store = self._store if self._index is not None else _if_built(FeatureStore.open, self._workspace.features_dir)
        return ColdStarter(
            self._workspace,
            model,
            store,
            self._index,
            self._catalog,
            self._poster_paths,
            self._embedded,
            self._index_notes,
        )


def _if_built(open_part: Callable[[Place], Part], place: Place, lost: list[str] | None = None) -> Part | None:
    """Open a part; None where it was never made, or not finished, which is added to `lost`."""
    try:
        return open_part(place)
    except NotBuiltError as error:
        if isinstance(error, IncompleteError) and lost is not None:
            lost.append(str(error))
        return None
