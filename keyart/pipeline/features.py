"""Features computed: of the posters of a workspace, of any folder, of a table on Spark."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.errors import NotBuiltError
from catalog.io.locks import exclusive
from catalog.io.progress import Progress, shown, silent
from catalog.io.remote import AnyPath
from features.encoders.encoder import Extractor, load_extractor
from features.encoders.keras import IMAGENET, VGG16, BackboneChoice
from features.encoders.weights import imagenet_weights_path
from features.extraction import ExtractionReport, extract_features, open_store, spread_out, whiten
from features.folder import pictures_in
from features.images import Resize
from features.pipeline import Picture
from features.pooling import Pooling
from features.store import FeatureStore
from keyart.workspace.contents import list_posters
from keyart.workspace.encoder import WorkspaceEncoder
from keyart.workspace.layout import Workspace
from keyart.workspace.settings import keras_models_dir

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Extraction:
    """Which features a user wants.

    Parameters
    ----------
    choice : BackboneChoice
        Of which network.
    resize : Resize, default antialias
        How pictures are brought to 224 × 224.
    pooling : Pooling, default raw
        What is kept of the network's output.
    whitened : bool, default False
        Whiten pooled descriptors: by the whitening that the folder of features has, else by one learned on this machine
        from up to 2,000 of the pictures.
    replace_others : bool, default False
        Remove features of another network or choice, if such are there.
    """

    choice: BackboneChoice
    resize: Resize = Resize.ANTIALIAS
    pooling: Pooling = Pooling.RAW
    whitened: bool = False
    replace_others: bool = False


def extract(
    workspace: Workspace,
    how: Extraction,
    *,
    progress: Progress = silent,
    spark: SparkSession | None = None,
) -> ExtractionReport:
    """Compute the features of all posters that have none yet.

    Parameters
    ----------
    workspace : Workspace
        The workspace, with posters.
    how : Extraction
        Which features.
    progress : Progress, optional
        Shows how far it is; on Spark, how many tasks are done.
    spark : SparkSession, optional
        Compute there, and not in this process.

    Returns
    -------
    ExtractionReport
        What was computed, what was there, what could not be read.

    Raises
    ------
    NotBuiltError
        There are no posters.
    DataError
        Features of another network are there; or the network's file is not one.
    FetchError
        The ImageNet weights cannot be downloaded.
    StoreError
        The disk is full; complete shards are kept.
    """
    posters = list_posters(workspace)
    if not posters:
        raise NotBuiltError("no posters here yet; run `keyart fetch` or `keyart import FOLDER`")
    pictures = [Picture(poster.movie_id, poster.path, poster.sha256) for poster in posters]
    return _extract(pictures, workspace.features_dir, how, progress, "posters", spark)


@dataclass(frozen=True)
class OwnNetwork:
    """The network that the features of a workspace are of; open it with `open_own_network`.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    store : FeatureStore
        Its features.
    extractor : Extractor
        What computes more of them.
    """

    workspace: Workspace
    store: FeatureStore
    extractor: Extractor

    def extract(self, movie_ids: Collection[int], *, progress: Progress = silent) -> ExtractionReport:
        """Compute the features of some films' posters; those of others stay as they are.

        Parameters
        ----------
        movie_ids : collection of int
            Films with posters.
        progress : Progress, optional
            Shows how far it is.

        Returns
        -------
        ExtractionReport
            What was computed, what was there, what could not be read.

        Raises
        ------
        StoreError
            The disk is full, or another process is writing.
        """
        # What could not be read before is listed anew by every run.
        wanted = {*movie_ids, *(one.picture_id for one in self.store.skipped())}
        posters = [poster for poster in list_posters(self.workspace) if poster.movie_id in wanted]
        pictures = [Picture(poster.movie_id, poster.path, poster.sha256) for poster in posters]
        with exclusive(self.workspace.features_dir), progress("extract", len(pictures), "posters") as advance:
            return extract_features(
                pictures, self.extractor, self.store, drop_gone=False, on_picture=lambda: advance(1)
            )


def open_own_network(
    workspace: Workspace, n_pictures: int, network: WorkspaceEncoder | None = None
) -> OwnNetwork | None:
    """Open the network that the features of a workspace are of.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    n_pictures : int
        About how many pictures it will be given.
    network : WorkspaceEncoder, optional
        One that is open; it is used if it is still that of the features.

    Returns
    -------
    OwnNetwork or None
        None where there are no features.

    Raises
    ------
    DataError
        The network is no longer the one that the features are of.
    ConfigError, FetchError
        The network is no longer to be had.
    """
    try:
        store = FeatureStore.open(workspace.features_dir)
    except NotBuiltError:
        return None
    if network is None or network.identity != store.identity:
        network = WorkspaceEncoder(store)
    return OwnNetwork(workspace, store, network.extractor(n_pictures))


def extract_folder(
    images_dir: Path,
    features_dir: AnyPath,
    how: Extraction,
    *,
    progress: Progress = silent,
    spark: SparkSession | None = None,
) -> ExtractionReport:
    """Compute the features of all pictures below a folder; no workspace is needed.

    Parameters
    ----------
    images_dir : Path
        Where the pictures are.
    features_dir : Path or RemotePath
        Where their features are or shall be.
    how : Extraction
        Which features.
    progress : Progress, optional
        Shows how far it is; on Spark, how many tasks are done.
    spark : SparkSession, optional
        Compute there, and not in this process.

    Returns
    -------
    ExtractionReport
        What was computed, what was there, what could not be read.

    Raises
    ------
    ConfigError
        There is no such folder, or the choice of network makes no sense.
    DataError
        It holds no pictures; or features of another network are there; or the network's file is not one.
    FetchError
        The ImageNet weights cannot be downloaded.
    StoreError
        The disk is full; complete shards are kept.
    """
    return _extract(pictures_in(images_dir), features_dir, how, progress, "images", spark)


def extract_table(
    spark: SparkSession,
    table: str,
    features_dir: AnyPath,
    how: Extraction,
    *,
    progress: Progress = silent,
) -> ExtractionReport:
    """Compute on Spark the features of all pictures in a Parquet table, which need never lie on this machine.

    Parameters
    ----------
    spark : SparkSession
        Where it is computed.
    table : str
        The table's path or URI; its columns are those of `features.spark.extract`.
    features_dir : Path or RemotePath
        Where their features are or shall be.
    how : Extraction
        Which features.
    progress : Progress, optional
        Shows how many tasks are done.

    Returns
    -------
    ExtractionReport
        What was computed, what was there, what could not be read.

    Raises
    ------
    ConfigError
        The choice of network makes no sense.
    DataError
        The table is not as it should be; or features of another network are there; or the network's file is not one.
    FetchError
        The ImageNet weights cannot be downloaded.
    StoreError
        The disk is full; complete shards are kept.
    """
    from features import spark as on_spark

    df = on_spark.read_table(spark, table)
    extractor = load_extractor(how.choice, keras_models_dir(), how.resize, how.pooling)
    with exclusive(features_dir):
        if how.whitened:
            extractor = whiten(extractor, on_spark.sample_of(df), features_dir, lost_is_none=how.replace_others)
        store = open_store(features_dir, how.choice, extractor, replace=how.replace_others)
        with shown(progress, "extract", "tasks") as show:
            return on_spark.extract_features(df, how.choice, extractor, store, keras_models_dir(), on_progress=show)


def _extract(
    pictures: Sequence[Picture],
    features_dir: AnyPath,
    how: Extraction,
    progress: Progress,
    unit: str,
    spark: SparkSession | None,
) -> ExtractionReport:
    if (how.choice.backbone, how.choice.weights) == (VGG16, IMAGENET):
        _bring_imagenet_weights(progress)
    extractor = load_extractor(how.choice, keras_models_dir(), how.resize, how.pooling)
    with exclusive(features_dir):
        if how.whitened:
            extractor = whiten(extractor, spread_out(pictures), features_dir, lost_is_none=how.replace_others)
        store = open_store(features_dir, how.choice, extractor, replace=how.replace_others)
        if spark is not None:
            from features import spark as on_spark

            df = on_spark.frame_of(spark, pictures)
            with shown(progress, "extract", "tasks") as show:
                return on_spark.extract_features(df, how.choice, extractor, store, keras_models_dir(), on_progress=show)
        with progress("extract", len(pictures), unit) as advance:
            return extract_features(pictures, extractor, store, on_picture=lambda: advance(1))


def _bring_imagenet_weights(progress: Progress) -> None:
    """Download the weights into Keras' cache, if they are not there, so that it can be seen to go on."""
    with shown(progress, "weights", "bytes") as show:
        n_came = 0

        def on_bytes(n_bytes: int, n_total: int | None) -> None:
            nonlocal n_came
            n_came += n_bytes
            show(n_came, n_total or 0)

        imagenet_weights_path(keras_models_dir(), on_bytes=on_bytes)
