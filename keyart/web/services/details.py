"""All that a page shows about one film: tags, ratings by stars, colors, links, and its place on the atlas."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from catalog.errors import NotBuiltError
from catalog.films import Catalog
from catalog.image_formats import open_image
from cf.ratings import HIGHEST, Ratings
from keyart.atlas.record import Atlas, record_path
from keyart.render.palette import palette_of
from keyart.web.schemas.details import AtlasPlace, FilmDetails, StarCount, Swatch
from keyart.web.services.films import FilmService
from keyart.workspace.contents import open_ratings
from keyart.workspace.layout import Workspace
from keyart.workspace.reloading import OnReload, Reloading

_N_TAGS = 8
_N_PALETTES = 4096
_N_DOTS = 600
"""So many films show the shape of the atlas."""

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Histograms:
    """The numbers of ratings of all films by half stars; movie_ids ascend."""

    movie_ids: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]  # (n films, 10)

    @classmethod
    def of(cls, ratings: Ratings) -> Histograms:
        """Count ratings."""
        movie_ids, rows = np.unique(ratings.movie_ids, return_inverse=True)
        n_bins = round(2 * HIGHEST)
        bins = np.clip(np.rint(2 * ratings.values).astype(np.int64) - 1, 0, n_bins - 1)
        counts = np.bincount(rows * n_bins + bins, minlength=len(movie_ids) * n_bins)
        return cls(movie_ids, counts.reshape(len(movie_ids), n_bins))

    def of_film(self, movie_id: int) -> list[StarCount]:
        """Return the histogram of one film; empty without ratings."""
        row = int(np.searchsorted(self.movie_ids, movie_id))
        if row == len(self.movie_ids) or self.movie_ids[row] != movie_id:
            return []
        return [StarCount(stars=(n + 1) / 2, n_ratings=count) for n, count in enumerate(self.counts[row].tolist())]


class DetailService:
    """Describes single films; it follows the workspace. Safe to use from several threads."""

    def __init__(self, workspace: Workspace, films: FilmService, on_reload: OnReload) -> None:
        self._films = films
        self._histograms = Reloading(
            "ratings by stars",
            lambda: Histograms.of(open_ratings(workspace)),
            lambda: [workspace.catalog_path],
            on_reload=on_reload,
        )
        self._catalog = Reloading(
            "catalog",
            lambda: Catalog.open(workspace.catalog_path),
            lambda: [workspace.catalog_path],
            close=Catalog.close,
            on_reload=on_reload,
        )
        self._atlas = Reloading(
            "places on the atlas",
            lambda: _atlas_of(workspace),
            lambda: [record_path(workspace.atlas_dir)],
            on_reload=on_reload,
        )
        self._palette = lru_cache(_N_PALETTES)(self._drawn_palette)

    def close(self) -> None:
        """Stop following the workspace."""
        for part in (self._histograms, self._catalog, self._atlas):
            part.close()

    def details(self, name: int | str) -> FilmDetails:
        """Describe a film."""
        film = self._films.film(name)
        with self._catalog.use() as catalog, self._histograms.use() as histograms:
            return FilmDetails(
                **film.model_dump(),
                tags=catalog.tags_of(film.movie_id, _N_TAGS),
                stars=histograms.of_film(film.movie_id),
                palette=self._palette_of(film.movie_id) if film.has_poster else [],
                tmdb_url=f"https://www.themoviedb.org/movie/{film.tmdb_id}" if film.tmdb_id else None,
                imdb_url=f"https://www.imdb.com/title/tt{film.imdb_id}/" if film.imdb_id else None,
                atlas=self._place_of(film.movie_id),
            )

    def dots(self) -> Points:
        """Return some films of the atlas by their positions; none without an atlas."""
        with self._atlas.use() as atlas:
            if atlas is None:
                return []
            step = -(-len(atlas) // _N_DOTS)
            return [(x, y) for x, y in atlas.positions[::step].tolist()]

    def _place_of(self, movie_id: int) -> AtlasPlace | None:
        with self._atlas.use() as atlas:
            rows = [] if atlas is None else np.flatnonzero(atlas.movie_ids == movie_id).tolist()
            if atlas is None or not rows:
                return None
            (x, y), cluster = atlas.positions[rows[0]].tolist(), atlas.clusters[int(atlas.labels[rows[0]])]
            return AtlasPlace(x=x, y=y, cluster=cluster.name, n_films=cluster.n_films)

    def _palette_of(self, movie_id: int) -> list[Swatch]:
        with self._films.thumbnails.use() as thumbnails:
            tag = thumbnails.etag(movie_id, 160) if movie_id in thumbnails else ""
        return self._palette(movie_id, tag) if tag else []

    def _drawn_palette(self, movie_id: int, _tag: str) -> list[Swatch]:
        """Find the colors of a poster; its tag is part of the key under which they are kept."""
        with self._films.thumbnails.use() as thumbnails:
            content = thumbnails.jpeg(movie_id, 160)
        with open_image(io.BytesIO(content)) as poster:
            return [Swatch(color=color, share=round(share, 3)) for color, share in palette_of(poster)]


def _atlas_of(workspace: Workspace) -> Atlas | None:
    try:
        return Atlas.open(workspace.atlas_dir)
    except NotBuiltError:
        return None
