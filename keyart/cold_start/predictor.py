"""The cold-start model of a workspace, and its predictions for new films.

The model is stored in ``cf/cold-start`` with the identity of the ratings and posters that it learned from. It is fitted
again automatically where these have changed: that takes seconds, and predictions from outdated posters would go
unnoticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError, NotBuiltError, StoreError
from catalog.film import Film
from catalog.films import Catalog
from catalog.io.locks import exclusive
from catalog.io.progress import Progress, silent
from catalog.scored_ids import ScoredIds
from cf.coldstart.content import FilmContent
from cf.coldstart.ridge import ContentRidge
from cf.hybrid.blend import blend, candidate_ids
from cf.ratings import Ratings
from features.framing import Resize
from features.store import FeatureStore
from index.blend import Index
from index.vectors import faults
from keyart.cold_start.content import Looks, content_of, looks_of_images, open_looks, open_terms, terms_of
from keyart.cold_start.new_film import NewFilm, film_terms
from keyart.results import ColdStartResult, ExpectedRating, Hit, LikelyFan, Query, SimilarFilms
from keyart.similarity.hits import make_hits
from keyart.similarity.query import Image
from keyart.workspace.contents import open_films_and_ratings
from keyart.workspace.layout import Workspace
from keyart.workspace.steps import feature_steps, index_steps

OnBroken = Callable[[NewFilm, DataError], None]
"""Called with a film whose poster cannot be read."""

Pixels = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]
_N_READERS = 4
# Images of as many films are in memory at once: 150 kB each, and their features as much again.
_BATCH_FILMS = 64
# Films of the index that left the catalog are passed over.
_SPARE_HITS = 20


def open_cold_start(workspace: Workspace, *, progress: Progress = silent) -> ContentRidge | None:
    """Open the model of a workspace, or fit it where it is missing or of other ratings or posters."""
    by_id, all_ratings = open_films_and_ratings(workspace)
    ratings = all_ratings.of_films(list(by_id))
    if not len(ratings):
        return None
    looks = open_looks(workspace, progress=progress)
    terms = open_terms(workspace)
    source = _source(all_ratings.source, ratings, by_id, terms, looks)
    with suppress(NotBuiltError, DataError):
        stored = ContentRidge.open(workspace.cold_start_dir)
        if stored.source == source:
            return stored
    matrix = ratings.matrix()
    movie_ids = matrix.movie_ids.tolist()
    model = ContentRidge()
    model.source = source
    with progress("cold start", 1, "models") as advance:
        model.fit(matrix, content_of((by_id[movie_id] for movie_id in movie_ids), looks.of(movie_ids), terms))
        advance(1)
    # In a read-only workspace it is fitted every time.
    with suppress(StoreError), exclusive(workspace.cold_start_dir):
        model.save(workspace.cold_start_dir)
    return model


@dataclass(frozen=True)
class ColdStarter:
    """Predicts how new films would be received and finds their look-alikes, in the opened parts of a workspace.

    Without a model there are no ratings to learn from, without a store genres and years are all that is known of
    films, without an index there are no look-alikes. `embed` computes the embeddings of images, of shape
    (n, n_features); those that the store's encoder gave come first.
    """

    workspace: Workspace
    model: ContentRidge | None
    store: FeatureStore | None
    index: Index | None
    catalog: Catalog
    poster_paths: Mapping[int, Path]
    embed: Callable[[Sequence[Image]], Features]
    index_notes: tuple[str, ...] = ()

    def answers(
        self,
        films: Sequence[NewFilm],
        k: int,
        n_users: int,
        on_broken: OnBroken | None = None,
        progress: Progress = silent,
    ) -> list[ColdStartResult]:
        """Answer for each film whose poster can be read; batches of them are embedded and predicted together."""
        answers: list[ColdStartResult] = []
        with (progress if len(films) > 1 else silent)("cold start", len(films), "films") as advance:
            for start in range(0, len(films), _BATCH_FILMS):
                batch = films[start : start + _BATCH_FILMS]
                readable, pixels = self._read(batch, on_broken)
                if readable:
                    answers += self._answers(readable, pixels, k, n_users)
                advance(len(batch))
        return answers

    def _read(self, films: Sequence[NewFilm], on_broken: OnBroken | None) -> tuple[list[NewFilm], Pixels]:
        resize = self.store.identity.resize if self.store else Resize.ANTIALIAS

        def read(film: NewFilm) -> Pixels | DataError:
            try:
                return film.image.pixels(resize)
            except DataError as error:
                return error

        readable, images = [], []
        with ThreadPoolExecutor(_N_READERS) as threads:
            for film, pixels in zip(films, threads.map(read, films), strict=True):
                if not isinstance(pixels, DataError):
                    readable.append(film)
                    images.append(pixels)
                elif on_broken is None:
                    raise pixels
                else:
                    on_broken(film, pixels)
        return readable, np.stack(images) if images else np.empty((0, 0, 0, 3), np.uint8)

    def _features(self, films: Sequence[NewFilm]) -> Features | None:
        if self.store is None:
            return None
        return self.embed([film.image for film in films])

    def _answers(self, films: Sequence[NewFilm], pixels: Pixels, k: int, n_users: int) -> list[ColdStartResult]:
        features = self._features(films)
        alike = self._look_alikes(films, features, k)
        notes = self.index_notes
        if self.index is None:
            notes = (f"no index of posters here, so no look-alikes; run {index_steps(self.workspace)}",)
        if self.model is None:
            note = "no ratings here to learn from: neither a mean rating nor an audience can be predicted"
            return [ColdStartResult(one, None, (), (*notes, note)) for one in alike]
        content, more_notes = self._content(self.model, films, pixels, features)
        expected = self.model.expected_means(content)
        audiences = self.model.audience(content, n_users)
        triples = zip(*(values.tolist() for values in expected), strict=True)
        return [
            ColdStartResult(
                one, ExpectedRating(*(round(value, 4) for value in triple)), _fans(audience), (*notes, *more_notes)
            )
            for one, triple, audience in zip(alike, triples, audiences, strict=True)
        ]

    def _content(
        self, model: ContentRidge, films: Sequence[NewFilm], pixels: Pixels, features: Features | None
    ) -> tuple[FilmContent, tuple[str, ...]]:
        # NaN is an unknown poster, as where the model was fitted without any.
        posters = np.full((len(films), model.encoding_.n_columns), np.nan, np.float32)
        notes: tuple[str, ...] = ()
        if self.store is None or features is None:
            notes = (
                "no features of posters here: only genres and year tell who would like it; run "
                f"{feature_steps(self.workspace)}",
            )
        else:
            looks = looks_of_images(self.store, features[:, : self.store.identity.n_features], pixels)
            if looks.shape == posters.shape:
                posters = looks
            else:
                notes = ("no film with ratings has features of a poster: only genres and year tell who would like it",)
        genres, years = [tuple(film.genres) for film in films], [film.year for film in films]
        terms = terms_of(term for row, film in enumerate(films) for term in film_terms(film, row))
        return FilmContent(genres, years, posters, terms=[terms.get(row, ()) for row in range(len(films))]), notes

    def _look_alikes(self, films: Sequence[NewFilm], features: Features | None, k: int) -> list[SimilarFilms]:
        queries = [Query(None, film.title or film.image.name, film.year, film.image.path) for film in films]
        if self.index is None or features is None:
            return [SimilarFilms(query, 1.0, ()) for query in queries]
        # An image with unusable features has no look-alikes, and must not make the others fail.
        wrong = faults(features)
        rows = [row for row in range(len(films)) if row not in wrong]
        neighbors = self.index.search(features[rows], k + _SPARE_HITS) if rows else []
        hits = {row: self._hits(nearest, k) for row, nearest in zip(rows, neighbors, strict=True)}
        n = len(self.index)
        return [SimilarFilms(query, 1.0, hits.get(row, ()), n_visual=n) for row, query in enumerate(queries)]

    def _hits(self, nearest: ScoredIds, k: int) -> tuple[Hit, ...]:
        films = self.catalog.films(nearest.ids.tolist())
        listed = nearest.take(np.isin(nearest.ids, list(films)))
        ranked = blend(listed, ScoredIds.empty(), 1.0, candidate_ids(listed, ScoredIds.empty()))
        return make_hits(ranked, ranked.best(k).tolist(), films, self.poster_paths)


def _fans(audience: ScoredIds) -> tuple[LikelyFan, ...]:
    pairs = zip(audience.ids.tolist(), audience.scores.tolist(), strict=True)
    return tuple(LikelyFan(user_id, round(score, 4)) for user_id, score in pairs)


def _source(
    name: str, ratings: Ratings, films: Mapping[int, Film], terms: Mapping[int, Sequence[str]], looks: Looks
) -> str:
    """Return a hash of what a model learns from: the ratings, by their name, and the content of rated films."""
    digest = hashlib.sha256(name.encode())
    for movie_id in np.unique(ratings.movie_ids).tolist():
        film = films[movie_id]
        digest.update(repr((movie_id, film.year, film.genres, terms.get(movie_id, ()))).encode())
    rated = np.isin(looks.movie_ids, ratings.movie_ids)
    digest.update(looks.movie_ids[rated].tobytes())
    digest.update(looks.rows[rated].tobytes())
    return digest.hexdigest()
