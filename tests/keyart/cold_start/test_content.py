"""Content of films for the cold start; looks of posters are computed once and stored in the workspace."""

from pathlib import Path

import numpy as np
import pytest

from catalog.film import Film, FilmTerm
from features.images import read_image
from features.store import FeatureStore
from keyart.cold_start.content import content_of, looks_of_images, open_looks, terms_of
from keyart.workspace.contents import current_features
from keyart.workspace.films import list_posters
from keyart.workspace.layout import Workspace


def test_every_poster_with_features_has_looks(home: Path) -> None:
    workspace = Workspace.open(home)
    found = open_looks(workspace)
    _, rows = current_features(workspace)
    assert found.movie_ids.tolist() == rows.movie_ids.tolist()
    assert np.isfinite(found.rows).all()
    assert len(np.unique(found.rows, axis=0)) == len(found.rows)


def test_looks_of_a_film_without_features_are_nan(home: Path) -> None:
    found = open_looks(Workspace.open(home))
    movie_id = int(found.movie_ids[1])
    known, unknown = found.of([movie_id, 999_999])
    np.testing.assert_array_equal(known, found.rows[1])
    assert np.isnan(unknown).all()


def test_looks_are_computed_once(home: Path) -> None:
    workspace = Workspace.open(home)
    first = open_looks(workspace)
    for poster in list_posters(workspace):
        # Of the same length, so that it counts as unchanged, but not decodable.
        poster.path.write_bytes(bytes(poster.path.stat().st_size))
    again = open_looks(workspace)
    np.testing.assert_array_equal(again.rows, first.rows)


def test_damaged_looks_are_recomputed(home: Path) -> None:
    workspace = Workspace.open(home)
    first = open_looks(workspace)
    for path in workspace.looks_dir.iterdir():
        path.write_bytes(b"damaged")
    np.testing.assert_array_equal(open_looks(workspace).rows, first.rows)


def test_looks_of_removed_posters_are_dropped(home: Path) -> None:
    workspace = Workspace.open(home)
    first = open_looks(workspace)
    removed = int(first.movie_ids[0])
    for poster in list_posters(workspace):
        if poster.movie_id == removed:
            poster.path.unlink()
    assert removed not in open_looks(workspace).movie_ids


def test_looks_without_features_are_empty(home: Path) -> None:
    workspace = Workspace.open(home)
    FeatureStore.open(workspace.features_dir).clear()
    for path in workspace.features_dir.iterdir():
        path.unlink()
    found = open_looks(workspace)
    assert found.of([1, 2]).shape == (2, 0)


def test_looks_of_new_images_equal_those_of_posters(home: Path) -> None:
    workspace = Workspace.open(home)
    store, rows = current_features(workspace)
    (features,) = list(store.blocks(rows))
    paths = {poster.movie_id: poster.path for poster in list_posters(workspace)}
    pixels = np.stack([read_image(paths[movie_id])[0] for movie_id in rows.movie_ids.tolist()])
    np.testing.assert_allclose(looks_of_images(store, features, pixels), open_looks(workspace).rows, rtol=1e-5)


def test_content_is_in_the_order_of_the_films() -> None:
    films = [Film(2, "B", 1999, genres=("Drama",)), Film(1, "A")]
    content = content_of(films, np.eye(2, dtype=np.float32), {1: ("cast: jo",)})
    assert (list(content.genres), list(content.years)) == ([("Drama",), ()], [1999, None])
    assert list(content.terms) == [(), ("cast: jo",)]


def test_terms_are_told_apart_by_kind_but_not_by_case() -> None:
    told = [FilmTerm(1, "cast", "Jo Lind"), FilmTerm(1, "cast", "JO LIND"), FilmTerm(1, "director", "Jo Lind")]
    assert terms_of(told) == {1: ("cast: jo lind", "director: jo lind")}


def test_a_poster_that_cannot_be_read_is_said_and_tried_again(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    workspace = Workspace.open(home)
    poster = list_posters(workspace)[0]
    content = poster.path.read_bytes()
    poster.path.write_bytes(bytes(len(content)))
    assert poster.movie_id not in open_looks(workspace).movie_ids
    assert (
        f"1 poster cannot be read, so the cold start goes without their looks (movie_id {poster.movie_id})"
        in caplog.text
    )
    poster.path.write_bytes(content)
    assert np.isfinite(open_looks(workspace).of([poster.movie_id])).all()
