"""The map of all posters, encoded once for all clients."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from catalog.films import Catalog
from keyart.atlas.labels import number_name
from keyart.atlas.record import Atlas, Cluster, notes_on_atlas, record_path
from keyart.atlas.sprites import CELL_HEIGHT, CELL_WIDTH, N_COLUMNS, SMALL, Sheet, reduced
from keyart.web.schemas.atlas import AtlasMap, MapCluster, MapSheet
from keyart.workspace.films import poster_list_paths
from keyart.workspace.hints import complete, home_option
from keyart.workspace.layout import Workspace
from keyart.workspace.reloading import OnReload, Reloading

# Of the side of the map, which is 2: a ten-thousandth of it is less than any screen shows.
_N_DIGITS = 5
# Of 50 kB each.
_N_REDUCED = 128


@dataclass(frozen=True)
class EncodedMap:
    """The map as JSON, with its entity tag."""

    body: bytes
    etag: str
    sheets: Mapping[str, Sheet]


class AtlasService:
    """The map of a workspace; it follows the atlas and the catalog. Safe to use from several threads."""

    def __init__(self, workspace: Workspace, on_reload: OnReload, root_path: str = "") -> None:
        self._folder = workspace.atlas_dir
        # A path names its content.
        self._reduced = lru_cache(_N_REDUCED)(reduced)
        self._map = Reloading(
            "atlas",
            lambda: _encoded(workspace, root_path),
            lambda: (
                record_path(workspace.atlas_dir),
                workspace.catalog_path,
                workspace.features_dir,
                *poster_list_paths(workspace),
            ),
            on_reload=on_reload,
        )

    def close(self) -> None:
        """Stop following the workspace."""
        self._map.close()

    def map(self) -> EncodedMap:
        """Return the map."""
        with self._map.use() as encoded:
            return encoded

    def sheet_path(self, name: str) -> Path | None:
        """Locate a sheet of the map, as it was drawn; None for any other name."""
        sheet = self.map().sheets.get(name)
        return sheet.path(self._folder, sheet.name) if sheet else None

    def small_sheet(self, name: str) -> Path | bytes | None:
        """Locate a sheet of the map with small cells; draw it for a map of earlier versions; None for other names."""
        sheet = self.map().sheets.get(name)
        if sheet and sheet.small_xxh3:
            return sheet.path(self._folder, sheet.small_name)
        return self._reduced(sheet.path(self._folder, sheet.name)) if sheet else None


def _encoded(workspace: Workspace, root_path: str) -> EncodedMap:
    atlas = Atlas.open(workspace.atlas_dir)
    body = _atlas_map(workspace, atlas, root_path).model_dump_json().encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return EncodedMap(body, etag, {sheet.name: sheet for sheet in atlas.sheets})


def _atlas_map(workspace: Workspace, atlas: Atlas, root_path: str) -> AtlasMap:
    movie_ids = atlas.movie_ids.tolist()
    with Catalog.open(workspace.catalog_path) as catalog:
        by_id, genre_names = catalog.films(movie_ids), list(catalog.genres())
    numbers = {name: number for number, name in enumerate(genre_names)}
    # A film may have left the catalog since the atlas was made; its poster is still on the map.
    films = [by_id.get(movie_id) for movie_id in movie_ids]
    option = home_option(workspace.home)
    return AtlasMap(
        notes=[complete(note, option) for note in notes_on_atlas(workspace, atlas)],
        movie_ids=movie_ids,
        x=_rounded(atlas.positions[:, 0].tolist()),
        y=_rounded(atlas.positions[:, 1].tolist()),
        cluster=atlas.labels.tolist(),
        year=[film.year if film else None for film in films],
        title=[film.title if film else f"film {movie_id}" for film, movie_id in zip(films, movie_ids, strict=True)],
        genres=[[numbers[genre] for genre in film.genres] if film else [] for film in films],
        genre_names=genre_names,
        clusters=[_cluster(number, one) for number, one in enumerate(atlas.clusters)],
        sheets=[
            MapSheet(url=f"{root_path}/atlas/sheets/{one.name}", movie_ids=list(one.movie_ids)) for one in atlas.sheets
        ],
        cell_width=CELL_WIDTH,
        cell_height=CELL_HEIGHT,
        small=SMALL,
        n_columns=N_COLUMNS,
    )


def _cluster(number: int, cluster: Cluster) -> MapCluster:
    named = cluster.name != number_name(number)
    return MapCluster(name=cluster.name, named=named, n_films=cluster.n_films, typical=list(cluster.typical))


def _rounded(numbers: list[float]) -> list[float]:
    return [round(number, _N_DIGITS) for number in numbers]
