"""Films, their look-alikes, and new films, from an engine that follows the workspace."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError, DataError, KeyartError, QueryError, UnknownFilmError
from catalog.film import Film
from catalog.filters import Filter
from catalog.genres import match_genres
from index.region import Region
from keyart.cold_start.new_film import NewFilm, describe
from keyart.engine import Engine
from keyart.pipeline.additions import AddReport, add
from keyart.pipeline.removals import remove
from keyart.recommend.models import record_path
from keyart.render.contact_sheet import draw_sheet
from keyart.render.drawing import jpeg_of
from keyart.render.heat_map import draw_heat_sheet
from keyart.results import Query, SimilarFilms
from keyart.similarity.blending import Hybrid, open_hybrid
from keyart.similarity.query import Image, Mix, SimilarOptions, Text
from keyart.similarity.reasons import reasons
from keyart.web.errors import problem_of
from keyart.web.schemas.films import (
    AddedFilm,
    ColdStartFacts,
    ColdStartQuery,
    EmbeddingFacts,
    EmbeddingQuery,
    EncoderFacts,
    FilmAnswer,
    FilmFacts,
    FilmQuery,
    GenreFacts,
    ImageMixQuery,
    ImageQuery,
    MixQuery,
    NewFilmFacts,
    NewFilmRecord,
    RegionsFacts,
    RemovedFilm,
    SimilarPage,
    Suggestion,
    TextFacts,
)
from keyart.web.services.thumbnails import Thumbnails
from keyart.workspace import alternates
from keyart.workspace.api_keys import redact
from keyart.workspace.changes import Snapshot
from keyart.workspace.encoders import (
    encoder_list_paths,
    has_index,
    index_record_path,
    list_encoders,
    name_of,
    open_views,
)
from keyart.workspace.films import poster_list_paths
from keyart.workspace.hints import home_option
from keyart.workspace.layout import Workspace
from keyart.workspace.poster_steps import poster_step
from keyart.workspace.reloading import OnReload, Reloading
from posters.validation import is_surely_varied, verify_header, verify_image

_log = logging.getLogger(__name__)

# Each may hold a network, or two. The one that was used longest ago is closed.
_MAX_OPEN_ENGINES = 4
# Of so many films the look-alikes are prepared, which takes 20 s of work and 20 MB.
_N_FREQUENT = 2_000
# Of what regions add, which a page draws.
_DECIMALS = 5


@dataclass(frozen=True)
class Sheet:
    """A contact sheet, a JPEG file, and what it was asked for."""

    content: bytes
    query: Query


@dataclass(frozen=True)
class Images:
    """The images of a query: those that are sought for, and those whose looks are avoided."""

    liked: Sequence[Image] = ()
    avoided: Sequence[Image] = ()


_NO_IMAGES = Images()


class RefusedFilmError(DataError):
    """A film cannot be added as it was sent."""


class FilmService:
    """Answers about films. Safe to use from several threads."""

    def __init__(self, workspace: Workspace, on_reload: OnReload, encoder: str | None = None) -> None:
        self._workspace = workspace
        self._is_warm = False
        self._on_reload = on_reload
        self._encoder = encoder
        self._engine = self._watched(encoder, "engine", self._reopened)
        # By what requests name them; opened on first use.
        self._others: OrderedDict[str, Reloading[Engine]] = OrderedDict()
        self._lock = Lock()
        self.thumbnails = Reloading(
            "posters",
            lambda: Thumbnails.open(workspace.posters_dir),
            lambda: poster_list_paths(workspace),
            reopen=lambda before: Thumbnails.open(workspace.posters_dir, before),
            on_reload=on_reload,
        )

    @classmethod
    def open(
        cls, home: Path, on_reload: OnReload = lambda _name, _outcome: None, encoder: str | None = None
    ) -> FilmService:
        """Open a workspace; an error of its engine is raised now, not by the first request."""
        service = cls(Workspace.open(home), on_reload, encoder)
        with service._engine.use(), service.thumbnails.use():
            return service

    def close(self) -> None:
        """Stop following the workspace."""
        self._engine.close()
        for engine in self._others.values():
            engine.close()
        self.thumbnails.close()

    def encoders(self) -> list[EncoderFacts]:
        """List the encoders of the workspace, the default first."""
        default = self._workspace.default().encoder
        return [
            EncoderFacts(name=name_of(view), default=view.encoder == default, has_index=has_index(view))
            for view in list_encoders(self._workspace)
        ]

    def state(self) -> Snapshot:
        """Return the state of what requests read anew: which encoders there are, and which is the default."""
        return Snapshot.take(encoder_list_paths(self._workspace))

    def has_poster(self, movie_id: int) -> bool:
        """Return whether ``/posters/{movie_id}`` shows one."""
        with self.thumbnails.use() as thumbnails:
            return movie_id in thumbnails

    def suggestions(self, text: str, k: int) -> list[Suggestion]:
        """List the films whose titles match the typed text, best first."""
        with self._engine.use() as engine:
            films = engine.catalog.suggest(text, k)
            named = engine.catalog.named_by(text, films)
        return [Suggestion(**dict(self._facts(film)), is_named=film.movie_id in named) for film in films]

    def film(self, movie_id: int | str) -> FilmFacts:
        """Describe a film."""
        with self._engine.use() as engine:
            return self._facts(engine.find(movie_id))

    def random_film(self) -> FilmFacts:
        """Describe a random film that has a poster."""
        with self._engine.use() as engine, self.thumbnails.use() as thumbnails:
            # Catalog and posters are reopened one after the other, and a poster may be of a film that was never loaded.
            matches = (engine.catalog.films([movie_id]).values() for movie_id in thumbnails.in_random_order())
            film = next((film for films in matches for film in films), None)
        if film is None:
            raise UnknownFilmError(f"no film has a poster; run {poster_step(self._workspace)}")
        return FilmFacts.of(film, has_poster=True)

    def is_known_to_take_text(self) -> bool:
        """Return whether descriptions are taken, without waiting for a network that is being loaded."""
        return self._is_warm and self.text().available

    def well_known(self, k: int) -> list[Film]:
        """List the films with most ratings that have a poster."""
        with self._engine.use() as engine, self.thumbnails.use() as thumbnails:
            shown = list(islice((each for each in engine.catalog.best_known() if each in thumbnails), k))
            films = engine.catalog.films(shown)
            return [films[movie_id] for movie_id in shown if movie_id in films]

    def best_of_genre(self, genre: str, k: int) -> list[tuple[Film, bool]]:
        """List films of a genre, and whether they have a poster: those that have one first, then by ratings."""
        with self._engine.use() as engine, self.thumbnails.use() as thumbnails:
            wanted = engine.catalog.movie_ids(Filter(genres=(genre,)))
            known = (movie_id for movie_id in engine.catalog.best_known() if movie_id in wanted)
            shown = sorted(known, key=lambda movie_id: movie_id not in thumbnails)[:k]
            films = engine.catalog.films(shown)
            return [(films[each], each in thumbnails) for each in shown if each in films]

    def frequent_questions(self) -> list[str]:
        """List the addresses of what is asked most: the look-alikes of the best-known films."""
        return [f"/api/films/{film.movie_id}/similar" for film in self.well_known(_N_FREQUENT)]

    def genres(self) -> list[str]:
        """List the genres of all films, in alphabetical order."""
        with self._engine.use() as engine:
            return list(engine.catalog.genres())

    def genre(self, name: str) -> GenreFacts:
        """Describe a genre."""
        with self._engine.use() as engine:
            (known,) = match_genres([name], engine.catalog.genres())
            return GenreFacts(name=known, n_films=len(engine.catalog.movie_ids(Filter(genres=(known,)))))

    def text(self) -> TextFacts:
        """Return whether posters can be described in words."""
        with self._engine.use() as engine:
            return TextFacts(available=engine.takes_text)

    def grid(self) -> list[int] | None:
        """Return the columns and rows of the regions of posters."""
        with self._engine.use() as engine:
            return list(engine.grid) if engine.grid else None

    def similar(self, movie_id: int | str, query: FilmQuery) -> SimilarPage:
        """Return a page of a film's look-alikes."""
        return self._page(self._look_alikes(movie_id, query, _n_wanted(query)), query)

    def similar_or_problem(self, movie_id: int | str, query: FilmQuery) -> FilmAnswer:
        """Return a page of a film's look-alikes, or what is wrong with this film."""
        try:
            return FilmAnswer(film=movie_id, similar=self.similar(movie_id, query), problem=None)
        except (UnknownFilmError, ConfigError) as error:
            return FilmAnswer(film=movie_id, similar=None, problem=problem_of(error, self._workspace.home))

    def similar_to_mix(self, query: MixQuery) -> SimilarPage:
        """Return a page of the films that look like several films and descriptions, and not like others."""
        return self._page(self._look_alikes_of_mix(query, _n_wanted(query)), query)

    def contact_sheet(self, movie_id: int | str, query: FilmQuery) -> Sheet:
        """Draw a page of a film's look-alikes as a contact sheet."""
        return _sheet(self._look_alikes(movie_id, query, query.offset + query.k), query)

    def contact_sheet_of_mix(self, query: MixQuery) -> Sheet:
        """Draw a page of the films that look like several films as a contact sheet."""
        return _sheet(self._look_alikes_of_mix(query, query.offset + query.k), query)

    def contact_sheet_of_images(self, images: Images, query: ImageMixQuery) -> Sheet:
        """Draw a page of the films that look like images as a contact sheet, which shows the images too."""
        result = self._look_alikes_of_images(images, query, query.offset + query.k)
        with _as_files(images.liked) as paths:
            return _sheet(_with_images_at(result, paths), query)

    def heat_map(self, first: int | str | Image, second: int | str, encoder: str | None = None) -> bytes:
        """Draw where two posters, or an image and a poster, look alike, a JPEG file."""
        with self._engine_by(encoder).use() as engine:
            explanation = engine.explain(first, second)
        if not isinstance(first, Image):
            return jpeg_of(draw_heat_sheet(explanation))
        image, film = explanation.films
        with _as_files([first]) as (path,):
            located = replace(explanation, films=(replace(image, poster_path=path), film))
            return jpeg_of(draw_heat_sheet(located))

    def regions(self, first: int | str | Image, second: int | str, encoder: str | None = None) -> RegionsFacts:
        """Return which regions of two posters, or of an image and a poster, look alike."""
        with self._engine_by(encoder).use() as engine:
            explanation = engine.explain(first, second)
        one, other = (grid.round(_DECIMALS).tolist() for grid in explanation.grids)
        pairs = None if explanation.pairs is None else explanation.pairs.round(_DECIMALS).tolist()
        return RegionsFacts(similarity=explanation.similarity, grid=one, second_grid=other, pairs=pairs)

    def decode(self, content: bytes) -> Image:
        """Decode an image for the encoder, and verify it as a poster is verified, which decodes it again in doubt."""
        size = verify_header(content)
        try:
            with self._engine.use() as engine:
                image = engine.load_image(content)
                pixels = image.pixels(engine.encoder.framing if engine.has_index else "antialias")
        except DataError:
            # What is wrong is said as it is of posters.
            verify_image(content)
            raise
        if not is_surely_varied(pixels, size):
            verify_image(content)
        return image

    def embed(self, images: list[Image]) -> list[Image]:
        """Embed images in one batch; they remember their embeddings."""
        with self._engine.use() as engine:
            if engine.has_index:
                engine.embed(images)
        return images

    def embed_by(self, encoder: str, image: Image) -> Image:
        """Embed an image by an encoder that a request names; it remembers the embedding."""
        with self._engine_by(encoder).use() as engine:
            engine.embed([image])
        return image

    def embedding(self, image: Image, encoder: str | None = None) -> EmbeddingFacts:
        """Return the embedding of an image, as `similar_to_embedding` takes it."""
        with self._engine_by(encoder).use() as engine:
            (row,) = engine.embed([image])
        return self._embedding_facts(row, encoder)

    def film_embedding(self, movie_id: int | str, encoder: str | None = None) -> EmbeddingFacts:
        """Return the features of a film's poster, as `similar_to_embedding` takes them."""
        with self._engine_by(encoder).use() as engine:
            row = engine.embedding(movie_id)
        return self._embedding_facts(row, encoder)

    def _embedding_facts(self, row: npt.NDArray[np.float32], encoder: str | None) -> EmbeddingFacts:
        # Nine digits name a float32.
        numbers = [float(f"{number:.9g}") for number in row.tolist()]
        return EmbeddingFacts(encoder=self._name_of(encoder), n_features=len(numbers), embedding=numbers)

    def similar_to_embedding(self, query: EmbeddingQuery) -> SimilarPage:
        """Return a page of the films whose posters have features like these."""
        with self._engine_by(query.encoder).use() as engine:
            if engine.has_index and len(query.embedding) != engine.n_features:
                name, n_features = self._name_of(query.encoder), engine.n_features
                raise QueryError(
                    f"expected an embedding of {n_features} numbers by {name}, received {len(query.embedding)}"
                )
            embedding = np.array(query.embedding, np.float32)
            result = engine.similar(embedding, options=_options(query, _n_wanted(query)))
        return self._page(result, query)

    def encoder_of(self, query: ImageMixQuery) -> str | None:
        """Return the encoder that a query is compared by; None for the default one."""
        if query.encoder is not None or not (query.text or query.unlike_text):
            return query.encoder
        with self._engine.use() as engine:
            return engine.words_encoder()

    def similar_to_images(self, images: Images, query: ImageMixQuery) -> SimilarPage:
        """Return a page of the films whose posters look like images, or like them and films, and not like others."""
        return self._page(self._look_alikes_of_images(images, query, _n_wanted(query)), query)

    def cold_start(self, image: Image, query: ColdStartQuery) -> ColdStartFacts:
        """Predict how a film that nobody has rated would be received."""
        with self._engine.use() as engine:
            film = _described(engine, image, query)
            (result,) = engine.cold_start([film], query.k, query.n_users)
        facts = result.to_dict() | {"title": film.title, "notes": list(result.notes)}
        facts["look_alikes"] = self._with_posters(facts["look_alikes"])
        return ColdStartFacts.model_validate(facts, extra="ignore")

    def add(self, poster: bytes, facts: NewFilmRecord) -> AddedFilm:
        """Add a film to the workspace; requests after this one find it."""
        report = self._added(poster, facts)
        self._engine.refresh()
        self.thumbnails.refresh()
        # Not as the engine knows it: where it cannot be reopened, the earlier one stays in use.
        (film,) = (*report.added, *report.known)
        return AddedFilm(film=self._facts(film), new=bool(report.added), notes=list(report.notes))

    def remove(self, movie_id: int | str) -> RemovedFilm:
        """Remove a film from the workspace; requests after this one do not find it."""
        report = remove(self._workspace.home, [movie_id])
        self._engine.refresh()
        self.thumbnails.refresh()
        (film,) = report.removed
        return RemovedFilm(film=FilmFacts.of(film, has_poster=False), notes=list(report.notes))

    def warm_up(self) -> None:
        """Load what the first look-up and the first image would wait for."""
        with self._engine.use() as engine:
            try:
                engine.warm_up()
            except KeyartError as error:
                _log.warning("images cannot be compared: %s", redact(str(error)))
            else:
                self._is_warm = True

    def _reopened(self, before: Engine) -> Engine:
        newer = _reopened(before)
        if self._is_warm and not newer.has_loaded_encoder:
            # While this thread loads another network, the old engine answers.
            newer.warm_up()
        return newer

    def _name_of(self, encoder: str | None) -> str:
        """Return the name of an encoder, or of several that are blended, as requests name it."""
        return "+".join(map(name_of, open_views(self._workspace.home, encoder or self._encoder)))

    def _engine_by(self, encoder: str | None) -> Reloading[Engine]:
        """Return the engine by an encoder, or by a blend of some; ConfigError where there is none."""
        if encoder is None:
            return self._engine
        # In one spelling, so that no request opens an engine again.
        spelling, own = self._name_of(encoder), self._name_of(None)
        return self._engine if spelling == own else self._other(spelling)

    def _other(self, spelling: str) -> Reloading[Engine]:
        with self._lock:
            if spelling not in self._others:
                self._others[spelling] = self._watched(spelling, f"engine by {spelling}", _reopened)
            self._others.move_to_end(spelling)
            engine = self._others[spelling]
            evicted = [self._others.popitem(last=False)[1] for _ in range(len(self._others) - _MAX_OPEN_ENGINES)]
        for one in evicted:
            one.close(wait=False)
        return engine

    def _watched(self, encoder: str | None, name: str, reopen: Callable[[Engine], Engine]) -> Reloading[Engine]:
        home = self._workspace.home
        return Reloading(
            name,
            lambda: Engine.open(home, encoder, lend=lambda name: self._other(name).use()),
            lambda: _engine_paths(home, encoder),
            reopen=reopen,
            close=Engine.close,
            on_reload=self._on_reload,
        )

    def _look_alikes(self, movie_id: int | str, query: FilmQuery, k: int) -> SimilarFilms:
        with self._engine_by(query.encoder).use() as engine:
            return engine.similar(
                movie_id, options=replace(_options(query, k), alpha=query.alpha, content=query.content)
            )

    def _look_alikes_of_mix(self, query: MixQuery, k: int) -> SimilarFilms:
        with self._engine_by(query.encoder).use() as engine:
            options = replace(_options(query, k), alpha=query.alpha, content=query.content)
            mix = _mix(query)
            alone = mix.texts and len(mix.like) == 1 and not mix.unlike
            return engine.similar(mix.texts[0] if alone else mix, options=options)

    def _look_alikes_of_images(self, images: Images, query: ImageMixQuery, k: int) -> SimilarFilms:
        mix = _mix(query, images)
        subject = mix if len(mix.like) > 1 or mix.unlike else images.liked[0]
        with self._engine_by(query.encoder).use() as engine:
            options = replace(_options(query, k), alpha=query.alpha, content=query.content)
            return engine.similar(subject, options=options)

    def _added(self, poster: bytes, facts: NewFilmRecord) -> AddReport:
        with self._engine.use() as engine:
            # Messages name the image, not a path of this machine.
            film = _described(engine, Image(poster, "this poster"), facts, facts.tmdb_id, facts.imdb_id)
            if not film.title:
                raise ConfigError("expected a title, such as Heat (1995)")
            try:
                return add(self._workspace, [film], encoder=engine.encoder if engine.has_index else None)
            except (DataError, ConfigError) as error:
                # A command in the message may name the workspace; any other path in it is the operator's business.
                if str(self._workspace.home) in str(error).replace(home_option(self._workspace.home), ""):
                    raise
                raise RefusedFilmError(str(error)) from error

    def _page(self, result: SimilarFilms, query: ImageQuery) -> SimilarPage:
        end = query.offset + query.k
        page = result.to_dict() | {"notes": list(result.notes), "more": len(result) > end, "sides": _sides(result)}
        if result.query.like or result.query.text is not None or result.diverse or result.region:
            pairs = zip(page["results"], result, strict=True)
            page["results"] = [{**fields, "why": reasons(result, hit)} for fields, hit in pairs]
        page["results"] = self._with_posters(page["results"][query.offset : end])
        return SimilarPage.model_validate(page)

    def _with_posters(self, hits: list[dict[str, Any]]) -> list[dict[str, Any]]:
        with self.thumbnails.use() as thumbnails:
            return [{**hit, "has_poster": hit["movie_id"] in thumbnails} for hit in hits]

    def _facts(self, film: Film) -> FilmFacts:
        return FilmFacts.of(film, self.has_poster(film.movie_id))


def _engine_paths(home: Path, encoder: str | None) -> Iterator[Path]:
    """List the files that an engine reads when it is opened or first queried."""
    views = open_views(home, encoder)
    workspace = views[0]
    try:
        model = open_hybrid(workspace).model
    except DataError:
        model = Hybrid().model
    yield workspace.record_path
    yield workspace.catalog_path
    for view in views:
        yield view.features_dir
        yield index_record_path(view)
        yield alternates.index_dir(view)
    yield workspace.hybrid_path
    yield record_path(workspace, model)
    yield from poster_list_paths(workspace)


def _n_wanted(query: ImageQuery) -> int:
    # One film beyond the page shows whether there are more; variety is chosen for one page.
    return query.k if query.diverse else query.offset + query.k + 1


def _mix(query: ImageMixQuery, images: Images = _NO_IMAGES) -> Mix:
    texts, unlike_texts = ([Text(words) for words in side] for side in (query.text, query.unlike_text))
    return Mix([*images.liked, *query.like, *texts], [*images.avoided, *query.unlike, *unlike_texts])


def _options(query: ImageQuery, k: int) -> SimilarOptions:
    return SimilarOptions(
        k,
        filter=query.filter(),
        merge_duplicates=query.merge_duplicates,
        diverse=query.diverse,
        region=Region.parse(query.region) if query.region else None,
    )


def _described(
    engine: Engine, poster: Image, facts: NewFilmFacts, tmdb_id: int | None = None, imdb_id: str = ""
) -> NewFilm:
    genres, known = "|".join(facts.genre), engine.catalog.genres()
    film = describe(poster, facts.title, facts.year, genres, known_genres=known, tmdb_id=tmdb_id, imdb_id=imdb_id)
    return replace(film, directors=facts.director, cast=facts.cast, keywords=facts.keyword)


def _sides(result: SimilarFilms) -> list[str]:
    counts = {"visual": result.n_visual, "cf": result.n_cf, "content": result.n_content}
    return [side for side, n_films in counts.items() if n_films]


def _sheet(result: SimilarFilms, query: ImageQuery) -> Sheet:
    return Sheet(jpeg_of(draw_sheet(replace(result, hits=result.hits[query.offset :]))), result.query)


def _reopened(before: Engine) -> Engine:
    """Open an engine that answers at once: what it reads on first use is read while the old one still answers."""
    newer = before.reopened()
    # What cannot be read is told to whoever asks for it.
    with suppress(KeyartError):
        newer.warm_up(images=False)
    return newer


@contextmanager
def _as_files(images: Sequence[Image]) -> Iterator[list[Path]]:
    """Write images to files for a while, as what is drawn is read from files."""
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / f"image-{n}" for n in range(len(images))]
        for path, image in zip(paths, images, strict=True):
            path.write_bytes(image.read_bytes())
        yield paths


def _with_images_at(result: SimilarFilms, paths: list[Path]) -> SimilarFilms:
    """Return a result in whose query the images that are sought for, alone or before other parts, have paths."""
    query = result.query
    if not query.like:
        return replace(result, query=replace(query, poster_path=paths[0]))
    located = [replace(one, poster_path=path) for one, path in zip(query.like, paths, strict=False)]
    return replace(result, query=replace(query, like=(*located, *query.like[len(paths) :])))
