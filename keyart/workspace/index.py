"""The index of a workspace, opened beside the features it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError, DataError, IncompleteError, NotBuiltError
from catalog.io.files import read_stable
from catalog.text import plural
from features.identity import Identity
from features.store import FeatureRows, FeatureStore, OtherFeaturesError
from index.blend import BlendedIndex, Index
from index.cosine import CosineIndex
from index.embedding import MapShape
from index.record import IndexRecord
from index.source import FilmFeatures
from keyart.workspace.contents import current_features, fingerprint
from keyart.workspace.encoders import name_of
from keyart.workspace.films import PosterReader
from keyart.workspace.layout import Workspace
from keyart.workspace.steps import feature_steps, no_features, no_index


def current_film_features(
    workspace: Workspace, *, check: bool = False, posters: PosterReader | None = None
) -> tuple[FeatureStore, FilmFeatures | None]:
    """Memory-map what `current_features` selects; None where no film has current features."""

    def read() -> tuple[FeatureStore, FilmFeatures | None]:
        store, rows = current_features(workspace, check=check, posters=posters)
        return store, _film_features(store, rows) if len(rows) else None

    return read_stable(read, lambda: FeatureStore.version(workspace.features_dir))


def needed_film_features(workspace: Workspace) -> tuple[FeatureStore, FilmFeatures]:
    """Memory-map what `current_features` selects; NotBuiltError, with the next step, where no film has any."""
    try:
        store, features = current_film_features(workspace)
    except IncompleteError:
        raise
    except NotBuiltError as error:
        raise no_features(workspace) from error
    if features is None:
        raise no_features(workspace)
    return store, features


def _film_features(store: FeatureStore, rows: FeatureRows, *, check: bool = True) -> FilmFeatures:
    arrays, array_numbers = store.arrays(rows, check=check)
    return FilmFeatures(rows.movie_ids, arrays, array_numbers, rows.rows, rows.poster_sha256s)


@dataclass(frozen=True)
class StoredFeatures:
    """The features of posters by movie_id, memory-mapped."""

    features: FilmFeatures | None

    @classmethod
    def open(cls, workspace: Workspace, identity: Identity) -> StoredFeatures:
        """Open the features of an encoder; DataError where they are of another one by now."""
        store, features = current_film_features(workspace)
        check_identity(store, identity.as_dict())
        return cls(features)

    def of(self, movie_id: int) -> npt.NDArray[np.float32] | None:
        """Return the features of a film's poster; None without any."""
        row = -1 if self.features is None else int(np.searchsorted(self.features.movie_ids, movie_id))
        if self.features is None or row == len(self.features) or self.features.movie_ids[row] != movie_id:
            return None
        return self.features.row(row).astype(np.float32)


def open_maps(workspace: Workspace, identity: Mapping[str, Any]) -> tuple[FilmFeatures, MapShape]:
    """Memory-map the features that an index was built from, and return the shape of the map that each row is.

    Raises NotBuiltError where there are none, ConfigError where they are no maps, DataError where they are damaged or
    of another encoder.
    """

    def read() -> tuple[FilmFeatures, MapShape]:
        store = FeatureStore.open(workspace.features_dir)
        check_identity(store, identity)
        map_shape, rows = map_shape_of(store), store.rows(check=True)
        if not len(rows):
            raise NotBuiltError("the store has no rows")
        return _film_features(store, rows), map_shape

    try:
        return read_stable(read, lambda: FeatureStore.version(workspace.features_dir))
    except NotBuiltError as error:
        raise NotBuiltError(
            f"regions are compared by the features of posters, which are gone; run {feature_steps(workspace)}"
        ) from error


def map_shape_of(store: FeatureStore) -> MapShape:
    """Return (height, width, channels) of the map that a row of features is; raises ConfigError where it is none."""
    shape = store.row_shape()
    if shape is None:
        raise ConfigError(
            f"these features are pooled ({store.identity.pooling}): every number describes the whole poster, no "
            "region of it; run `keyart extract --features raw --rebuild`, then `keyart build`"
        )
    if len(shape) != 3:
        raise ConfigError(
            f"the output of {store.identity.backbone} has the shape {shape}; expected a map of (height, "
            "width, channels): run `keyart extract --rebuild` with a network that gives one, as VGG16 does"
        )
    height, width, channels = shape
    return height, width, channels


def open_index(workspace: Workspace) -> CosineIndex:
    """Open the index of a workspace beside the features it reads.

    Raises NotBuiltError where there is no index or no features, DataError where a part is damaged or the features are
    of another encoder.
    """
    return read_stable(lambda: _open_index(workspace), lambda: FeatureStore.version(workspace.features_dir))


def open_built_index(workspace: Workspace) -> CosineIndex:
    """Open the index like `open_index`; where there is none, the error names the steps that lead to one."""
    try:
        return open_index(workspace)
    except IncompleteError:
        raise
    except NotBuiltError as error:
        raise no_index(workspace) from error


def open_blended_index(views: Sequence[Workspace]) -> BlendedIndex:
    """Open the indexes of several encoders as one; DataError where no film is in all of them."""
    index = BlendedIndex({name_of(view): open_built_index(view) for view in views})
    if not len(index):
        raise DataError(f"no film is in the indexes of all of {', '.join(index.parts)}; run `keyart build`")
    return index


def open_any_index(views: Sequence[Workspace]) -> Index:
    """Open the index of one encoder, or those of several as one."""
    return open_built_index(views[0]) if len(views) == 1 else open_blended_index(views)


def _open_index(workspace: Workspace) -> CosineIndex:
    features = None
    # First, so that a missing index is reported rather than damaged features.
    record = IndexRecord.read(workspace.index_dir)
    try:
        store = FeatureStore.open(workspace.features_dir)
    except NotBuiltError:
        pass
    else:
        check_identity(store, record.identity)
        if record.kind != "exact" and len(rows := store.rows()):
            # The index has a checksum of every row, and compares a row with it when the row is first read.
            features = _film_features(store, rows, check=False)
    return CosineIndex.open(workspace.index_dir, features)


def notes_on_index(workspace: Workspace, index: CosineIndex, posters: Mapping[int, str]) -> tuple[str, ...]:
    """Return a note where an index is out of date; `posters` are the hashes of the present posters, by movie_id."""
    if index.n_stale:
        films = plural(index.n_stale, "film is", "films are")
        return (f"{films} left out, as features are gone or posters have changed; run `keyart build`",)
    indexed = index.poster_sha256s
    # Most often they agree, and no features have to be read.
    if indexed == posters:
        return ()
    shared = indexed.keys() & posters.keys()
    try:
        rows = FeatureStore.open(workspace.features_dir).rows().of_posters(posters)
    except (NotBuiltError, DataError):
        # An index of vectors answers without them, which does not make its posters newer.
        lacking = {movie_id for movie_id in shared if indexed[movie_id] not in ("", posters[movie_id])}
        if not lacking and indexed.keys() <= posters.keys():
            return ()
    else:
        if fingerprint(rows) == index.fingerprint:
            return ()
        lacking = shared - set(rows.movie_ids.tolist())
    steps = "`keyart extract`, then `keyart build`" if lacking else "`keyart build`"
    return (f"the index is out of date, as posters or features have changed; run {steps}",)


def check_takes_text(index: CosineIndex) -> None:
    """Raise ConfigError where an index compares posters otherwise than as they are, as words have to be compared."""
    if index.similarity == "whitened":
        raise ConfigError(
            "this index compares whitened features, in which words have no place; run "
            "`keyart build --similarity cosine`"
        )
    if index.centered:
        raise ConfigError(
            "this index subtracts the mean of all posters, which is not that of words; run `keyart build --no-center`"
        )


def notes_on_any_index(views: Sequence[Workspace], index: Index, posters: Mapping[int, str]) -> tuple[str, ...]:
    """Return what `notes_on_index` does; of several indexes as one, with the encoder of each in front."""
    if not isinstance(index, BlendedIndex):
        return notes_on_index(views[0], index, posters)
    parts = zip(views, index.parts.items(), strict=True)
    notes = [f"{name}: {note}" for view, (name, part) in parts for note in notes_on_index(view, part, posters)]
    similarities = {name: part.similarity for name, part in index.parts.items()}
    if len(set(similarities.values())) > 1:
        listed = ", ".join(f"{name} {similarity}" for name, similarity in similarities.items())
        notes.append(
            f"the blend is of two kinds of similarity ({listed}), so the one that varies more counts more; run `keyart "
            "build --similarity auto`"
        )
    return tuple(notes)


def check_identity(store: FeatureStore, identity: Mapping[str, Any]) -> None:
    """Raise OtherFeaturesError where features are of another encoder than an index."""
    if store.identity.as_dict() != identity:
        raise OtherFeaturesError(
            f"features are of {store.identity}, this index was built from {identity.get('backbone')} "
            f"({identity.get('n_features')} columns); run `keyart build` again"
        )
