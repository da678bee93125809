"""Extract features of a workspace's posters, of any images, or of a table on Spark."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.errors import DataError, KeyartError, NotBuiltError
from catalog.extras import require
from catalog.io.files import write_error
from catalog.io.locks import check_free, exclusive
from catalog.io.progress import Progress, shown, silent
from catalog.io.remote import as_path
from features import extraction
from features.encoders.encoder import Encoder, check_present
from features.encoders.hub import find_pair
from features.encoders.loading import check_files
from features.encoders.pairs import is_pair_name
from features.encoders.weights import imagenet_weights_path
from features.extraction import ExtractReport
from features.folder import count_others, pictures_in
from features.options import IMAGENET, Engine, ExtractOptions
from features.pipeline import Picture, pictures_of
from features.store import (
    Damage,
    FeatureRows,
    FeatureStore,
    OtherFeaturesError,
    check_folder,
    with_recorded_preprocessing,
)
from keyart.workspace import alternates
from keyart.workspace.encoder import WorkspaceEncoder
from keyart.workspace.encoders import FIRST, encoder_name, has_parts, list_encoders, name_of, place_of
from keyart.workspace.films import PosterList, PosterReader, list_posters
from keyart.workspace.gaps import films_without_features, skipped_films
from keyart.workspace.hints import names_workspace
from keyart.workspace.layout import Home, Workspace
from keyart.workspace.poster_steps import poster_step
from keyart.workspace.settings import keras_models_dir

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from catalog.io.remote import AnyPath

_DEFAULTS = ExtractOptions()


@names_workspace
def extract(
    home: Home,
    options: ExtractOptions = _DEFAULTS,
    *,
    name: str | None = None,
    progress: Progress = silent,
    spark: SparkSession | None = None,
) -> ExtractReport:
    """Compute the features of all posters of a workspace that have none of an encoder yet.

    Features of posters that are gone are removed. An interrupted extraction resumes where it was. Features of other
    encoders stay beside these; the first encoder is the default until `set_default_encoder` names another.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace, with posters.
    options : ExtractOptions, optional
        Which features to compute; by default the raw features of VGG16 with ImageNet weights.
    name : str, optional
        What the workspace calls the encoder; by default its name, or the stem of its file.
    progress : Progress, optional
        Shows the number of images that are done; on Spark, of tasks.
    spark : SparkSession, optional
        Compute on Spark instead of in this process.

    Returns
    -------
    ExtractReport
        The numbers of features computed, known and removed, and the posters that could not be read.

    Raises
    ------
    NotBuiltError
        The workspace does not exist or has no posters.
    ConfigError
        The network's file does not exist, or a package is missing.
    DataError
        The workspace has features of other options, or the file does not hold a suitable network.
    FetchError
        The ImageNet weights cannot be downloaded.
    StoreError
        The disk is full, in which case complete shards are kept; or another process is writing.

    Examples
    --------
    >>> import keyart
    >>> keyart.pipeline.extract("keyart-data", keyart.ExtractOptions(engine="onnx"))  # doctest: +SKIP
    ExtractReport(n_new=9125, n_known=0, skipped=(), n_dropped=0, damaged=())
    """
    workspace = Workspace.open(home)
    view = place_of(workspace, options.encoder, name)
    report = _extract_posters(view, options, progress, spark)
    _have_default(view)
    return report


@dataclass(frozen=True)
class MissingReport:
    """What `extract_missing` did.

    Parameters
    ----------
    reports : dict of str to ExtractReport
        What was done for each encoder, by name; the default first.
    failed : dict of str to KeyartError
        Why features of an encoder could not be computed.
    """

    reports: dict[str, ExtractReport]
    failed: dict[str, KeyartError]

    def to_dict(self) -> dict[str, Any]:
        """Convert to what JSON can hold.

        Returns
        -------
        dict
            The fields by name; errors as texts.
        """
        reports = {name: report.to_dict() for name, report in self.reports.items()}
        return {"reports": reports, "failed": {name: str(error) for name, error in self.failed.items()}}


@names_workspace
def extract_missing(
    home: Home,
    *,
    engine: Engine | None = None,
    rebuild: bool = False,
    progress: Progress = silent,
    spark: SparkSession | None = None,
    on_encoder: Callable[[ExtractOptions], None] = lambda _: None,
) -> MissingReport:
    """Compute for each encoder of a workspace the features that are missing, with the options of those that are there.

    Where no encoder has features yet, VGG16 with ImageNet weights computes them. What is wrong with one encoder does
    not stop the others.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace, with posters.
    engine : {"keras", "onnx"}, optional
        The library that runs the networks; by default the one that did before.
    rebuild : bool, default False
        Replace features that another network or other options computed.
    progress : Progress, optional
        Shows the number of images that are done; on Spark, of tasks.
    spark : SparkSession, optional
        Compute on Spark instead of in this process.
    on_encoder : callable, optional
        Receives the options of each encoder before its features are computed.

    Returns
    -------
    MissingReport
        What was done for each encoder, and what failed.

    Raises
    ------
    NotBuiltError
        The workspace does not exist or has no posters.
    KeyartError
        The workspace has one encoder at most, and features cannot be computed; as of `extract`.
    """
    workspace = Workspace.open(home)
    views = list_encoders(workspace) or [workspace]
    report = MissingReport({}, {})
    for view in views:
        name = name_of(view)
        try:
            options = recorded_options(view, rebuild=rebuild)
            options = replace(options, engine=engine or options.engine)
            name = encoder_name(options.encoder) if name == FIRST else name
            on_encoder(options)
            report.reports[name] = _extract_posters(view, options, progress, spark)
            _have_default(view)
        except KeyartError as error:
            if len(views) == 1:
                raise
            report.failed[name] = error
    return report


def _have_default(view: Workspace) -> None:
    """Make the encoder of a view the default where the default has no features."""
    if not has_parts(view.default()):
        view.set_default(view.encoder)


def recorded_options(view: Workspace, *, rebuild: bool) -> ExtractOptions:
    """Return the options of the features of an encoder; the defaults where a workspace has none yet."""
    try:
        store = FeatureStore.open(view.features_dir)
        options = store.options()
    except (NotBuiltError, DataError) as error:
        if view.encoder is not None:
            name = view.encoder
            raise DataError(
                f"{error}: name the network, as in `keyart extract --encoder PATH --as {name} --rebuild`, or run "
                f"`keyart encoders remove {name}`"
            ) from error
        if isinstance(error, DataError) and not rebuild:
            raise
        return replace(_DEFAULTS, rebuild=rebuild)
    check_present(store)
    return replace(options, rebuild=rebuild)


def extract_view(view: Workspace, *, progress: Progress = silent) -> ExtractReport:
    """Compute the features that a view lacks, or whose shards are damaged, with the options of those that are there."""
    return _extract_posters(view, recorded_options(view, rebuild=False), progress, None)


def _extract_posters(
    view: Workspace, options: ExtractOptions, progress: Progress, spark: SparkSession | None
) -> ExtractReport:
    posters = list_posters(view)
    if not posters:
        raise NotBuiltError(f"no posters here yet; run {poster_step(view)}")
    pictures = [Picture(poster.movie_id, poster.path, poster.sha256) for poster in posters]
    check_files(with_recorded_preprocessing(options, view.features_dir))
    if view.encoder is not None:
        _make_folder(view.encoder_dir)
    try:
        report = _extract(pictures, view.features_dir, options, drop_missing=True, progress=progress, spark=spark)
    except OtherFeaturesError as error:
        raise DataError(f"{error}; or keep both, and name these with --as NAME") from error
    return replace(report, alternates=_extract_alternates(view, progress))


def _extract_alternates(view: Workspace, progress: Progress) -> ExtractReport | None:
    """Compute the features of further posters by the encoder of the posters; None where there is nothing to do."""
    pictures = [one.picture for one in alternates.list_alternates(view)]
    store, folder = FeatureStore.open(view.features_dir), alternates.features_dir(view)
    if not pictures and not folder.exists():
        return None
    if _has_all(folder, store, pictures):
        return ExtractReport(0, len(pictures), ())
    encoder = WorkspaceEncoder(store).encoder(len(pictures))
    with exclusive(folder):
        further = FeatureStore.create(
            folder, store.identity, store.origin, map_shape=store.map_shape, rebuild=True, whitening=store.whitening()
        )
        with progress("extract", len(pictures), "further posters") as advance:
            return extraction.extract_features(pictures, encoder, further, on_picture=lambda: advance(1))


def _has_all(folder: Path, store: FeatureStore, pictures: Sequence[Picture]) -> bool:
    """Return whether a folder has the features of these images, and no others, and what lies beside them is whole."""
    try:
        further = FeatureStore.open(folder)
        rows = further.rows(check=True)
        # Damaged ones are written again with the features.
        further.whitening()
        further.skipped()
    except (NotBuiltError, DataError):
        return False
    known = dict(zip(rows.picture_ids.tolist(), rows.poster_sha256s, strict=True))
    return further.identity == store.identity and known == {one.picture_id: one.sha256 for one in pictures}


def extract_images(
    source: str | Path | Iterable[tuple[int | str, str | Path | bytes]],
    out: str | Path,
    options: ExtractOptions = _DEFAULTS,
    *,
    drop_missing: bool = False,
    progress: Progress = silent,
    spark: SparkSession | None = None,
) -> ExtractReport:
    """Compute the features of any images into a folder; no workspace is needed.

    Images whose features the folder holds already are not computed again, unless the images have changed. An
    interrupted extraction resumes where it was.

    Parameters
    ----------
    source : str, Path, or iterable of (id, path or bytes)
        A folder, whose images at any depth are named by their relative paths; or pairs of an id
        and a file's path or content. The ids are all integers or all texts. An iterable is read as it is needed, in a
        thread of its own, and never held as a whole, except on Spark.
    out : str or Path
        The folder of features, or its URI such as ``s3a://bucket/features``.
    options : ExtractOptions, optional
        Which features to compute; by default the raw features of VGG16 with ImageNet weights.
    drop_missing : bool, default False
        Remove features of images that are not in `source`.
    progress : Progress, optional
        Shows the number of images that are done; on Spark, of tasks.
    spark : SparkSession, optional
        Compute on Spark instead of in this process; all machines must be able to read the files and write to `out`.

    Returns
    -------
    ExtractReport
        The numbers of features computed, known and removed, and the images that could not be read.

    Raises
    ------
    ConfigError
        The folder or the network's file does not exist, `out` holds files but no features, or a package is missing.
    DataError
        The folder has no images, `out` holds features of other options, or the file does not hold a suitable network.
    FetchError
        The ImageNet weights cannot be downloaded.
    StoreError
        A shard cannot be written, in which case those before it are kept; or another process is writing.
    TypeError
        Ids are neither all integers nor all texts; or, on Spark, images are given as bytes.

    Examples
    --------
    >>> import keyart
    >>> keyart.pipeline.extract_images([("heat", "heat.jpg")], "features")  # doctest: +SKIP
    ExtractReport(n_new=1, n_known=0, skipped=(), n_dropped=0, damaged=())
    """
    passed_over: dict[str, int] = {}
    if isinstance(source, str | Path):
        pictures: Iterable[Picture] = pictures_in(Path(source))
        passed_over = count_others(Path(source))
    else:
        pictures = pictures_of(source)
    folder = _folder(out, spark)
    report = _extract(pictures, folder, options, drop_missing=drop_missing, progress=progress, spark=spark)
    return replace(report, passed_over=passed_over)


def extract_table(
    table: DataFrame,
    out: str | Path,
    options: ExtractOptions = _DEFAULTS,
    *,
    drop_missing: bool = False,
    progress: Progress = silent,
) -> ExtractReport:
    """Compute on Spark the features of all images in a table, which need never be on this machine.

    Parameters
    ----------
    table : DataFrame
        The columns ``id`` (integers or texts, each once) and either ``path`` (files that every machine can read) or
        ``content`` (the files' bytes). Images whose hash is in a column ``sha256`` are not even read where their
        features are known. A partition is a task: some hundreds or thousands of images.
    out : str or Path
        The folder of features, which all machines can write to: a shared path, or a URI such as
        ``s3a://bucket/features``.
    options : ExtractOptions, optional
        Which features to compute; by default the raw features of VGG16 with ImageNet weights. The driver reads files
        of weights and sends them to the workers.
    drop_missing : bool, default False
        Remove features of images that are not in `table`.
    progress : Progress, optional
        Shows the number of tasks that are done.

    Returns
    -------
    ExtractReport
        The numbers of features computed, known and removed, and the images that could not be read.

    Raises
    ------
    ConfigError
        The network's file or the file system does not exist, `out` holds files but no features, or a package is
        missing.
    DataError
        A column is missing, an id is there twice, `out` holds features of other options, or the file does not hold a
        suitable network.
    FetchError
        The ImageNet weights cannot be downloaded.
    StoreError
        A shard cannot be written, in which case others are kept; or the driver does not see what the workers wrote.

    Examples
    --------
    >>> import keyart
    >>> table = spark.read.parquet("s3a://bucket/posters.parquet")  # doctest: +SKIP
    >>> keyart.pipeline.extract_table(table, "s3a://bucket/features")  # doctest: +SKIP
    ExtractReport(n_new=1000000, n_known=0, skipped=(), n_dropped=0, damaged=())
    """
    from features import spark

    folder = _folder(out, table.sparkSession)
    check_folder(folder)
    options = with_recorded_preprocessing(options, folder)
    cache_dir = _cache_with_weights(options, progress)
    return spark.extract(table, folder, options, cache_dir, drop_missing=drop_missing, progress=progress)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error


@dataclass(frozen=True)
class PosterExtraction:
    """Computes features of posters that a workspace gets or lost; make it with `open_poster_extraction`."""

    workspace: Workspace
    store: FeatureStore
    encoder: Encoder

    def run(self, movie_ids: Collection[int], posters: PosterReader, *, progress: Progress = silent) -> ExtractReport:
        """Compute the features of some films' posters; those of others stay as they are."""
        with exclusive(self.workspace.features_dir):
            damage, listed = self.store.remove_damaged(), posters.read()
            stored = self.store.rows()
            wanted = {*movie_ids, *self._lost(damage, stored, listed)}
            chosen = [poster for poster in listed.posters if poster.movie_id in wanted]
            pictures = [Picture(poster.movie_id, poster.path, poster.sha256) for poster in chosen]
            with progress("extract", len(pictures), "images") as advance:
                return extraction.extract_features(
                    pictures,
                    self.encoder,
                    self.store,
                    drop_missing=False,
                    on_picture=lambda: advance(1),
                    damage=damage,
                    stored=stored,
                )

    def _lost(self, damage: Damage, stored: FeatureRows, posters: PosterList) -> set[int]:
        """Return the films whose features have to be computed again."""
        # Every run replaces the record of images that could not be read, so these are tried again.
        skipped = skipped_films(self.workspace)
        current = stored.of_posters(posters.sha256s)
        lacking = set(films_without_features(self.workspace, current.movie_ids.tolist(), posters))
        if lacking and not damage.reasons:
            # An extraction that is under way lacks many; those that were indexed were there.
            lacking &= self._indexed()
        return skipped | lacking

    def _indexed(self) -> set[int]:
        from keyart.workspace.index import open_index

        try:
            with open_index(self.workspace) as index:
                return {*index.poster_sha256s}
        except (NotBuiltError, DataError):
            return set()


def open_poster_extraction(
    workspace: Workspace, n_posters: int, encoder: WorkspaceEncoder | None = None
) -> PosterExtraction | None:
    """Open the encoder of a view's features for about `n_posters` posters; None where there are no features.

    An open encoder is used if it is still that of the features.
    """
    try:
        store = FeatureStore.open(workspace.features_dir)
    except NotBuiltError:
        return None
    if encoder is None or encoder.identity != store.identity:
        encoder = WorkspaceEncoder(store)
    return PosterExtraction(workspace, store, encoder.encoder(n_posters))


def _extract(
    pictures: Iterable[Picture],
    folder: AnyPath,
    options: ExtractOptions,
    *,
    drop_missing: bool,
    progress: Progress,
    spark: SparkSession | None,
) -> ExtractReport:
    check_folder(folder)
    options = with_recorded_preprocessing(options, folder)
    if options.engine == "onnx" and spark is None:
        require("onnx", "the engine onnx")
    check_files(options)
    check_free(folder)
    cache_dir = _cache_with_weights(options, progress)
    if spark is None:
        return extraction.extract(pictures, folder, options, cache_dir, drop_missing=drop_missing, progress=progress)
    from features import spark as on_spark

    df = on_spark.frame_of(spark, pictures if isinstance(pictures, Sequence) else list(pictures))
    return on_spark.extract(df, folder, options, cache_dir, drop_missing=drop_missing, progress=progress)


def _folder(out: str | Path, spark: SparkSession | None) -> AnyPath:
    if spark is None:
        return as_path(out)
    from features.spark import folder_at

    return folder_at(spark, out)


def _cache_with_weights(options: ExtractOptions, progress: Progress) -> Path:
    """Download ImageNet weights into Keras' cache with a progress bar, if they are needed; return the cache."""
    cache_dir = keras_models_dir()
    is_pair = is_pair_name(options.encoder)
    if not is_pair and (options.info is None or options.weights != IMAGENET):
        return cache_dir
    with shown(progress, "weights", "bytes") as show:
        n_received = 0

        def on_bytes(n_bytes: int, n_total: int | None) -> None:
            nonlocal n_received
            n_received += n_bytes
            show(n_received, n_total or 0)

        if options.info is None:
            find_pair(options.encoder, cache_dir, on_bytes=on_bytes)
        else:
            imagenet_weights_path(cache_dir, options.info, on_bytes=on_bytes)
    return cache_dir
