"""The way in: a MovieLens folder, posters, features, an index; each step writes one part of the workspace."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.errors import ConfigError, DataError, NotBuiltError
from catalog.films import Catalogue, Film
from catalog.lock import exclusive
from catalog.movielens import FilmFiles, read_films
from catalog.remote import AnyPath
from cf.neighbors import ItemCosine
from cf.ratings import Ratings, read_movielens
from features.backbone import IMAGENET, VGG16, BackboneChoice
from features.computation import Picture
from features.descriptors import Pooling
from features.extraction import ExtractionReport, extract_features, open_store, spread_out, whiten
from features.extractor import load_extractor
from features.folder import pictures_in
from features.images import Resize
from features.store import FeatureRows, FeatureStore
from features.weights import imagenet_weights_path
from index import files as index_files
from index.plan import Plan
from keyart.indexing import IndexChange, IndexOptions, bring_up_to_date
from keyart.progress import Advance, Progress, silent
from keyart.settings import keras_models_dir
from keyart.workspace import Workspace
from posters.folder import By, ImportReport, import_csv, import_folder
from posters.store import Poster, PosterStore

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
        Whiten pooled descriptors: by the whitening that the folder of features has, else by one learnt on this machine
        from up to 2,000 of the pictures.
    replace_others : bool, default False
        Remove features of another network or choice, if such are there.
    """

    choice: BackboneChoice
    resize: Resize = Resize.ANTIALIAS
    pooling: Pooling = Pooling.RAW
    whitened: bool = False
    replace_others: bool = False


@dataclass(frozen=True)
class LoadReport:
    """What a load brought in.

    Parameters
    ----------
    n_films, n_ratings, n_users : int
        How many of each.
    notes : tuple of str
        What a user should know of the files.
    """

    n_films: int
    n_ratings: int
    n_users: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class BuildReport:
    """What a build made.

    Parameters
    ----------
    index : dict
        What is known of the index, as ``index.json`` holds it; empty where there is none.
    how : str
        What became of it, in plain words.
    n_similar : int
        Films with item similarities.
    notes : tuple of str
        What a user should know.
    """

    index: dict[str, Any]
    how: str
    n_similar: int
    notes: tuple[str, ...]

    @property
    def n_indexed(self) -> int:
        """Films in the index."""
        return int(self.index.get("n_films", 0))

    @property
    def centred(self) -> bool:
        """Whether the mean of all features is subtracted before they are compared."""
        return bool(self.index.get("centred", False))


def load(home: Path, folder: Path) -> LoadReport:
    """Bring the films, links and ratings of a MovieLens folder into a workspace, in place of those that were there.

    Posters, features and index stay: another size of MovieLens numbers its films alike.

    Parameters
    ----------
    home : Path
        The workspace; made if it is not there.
    folder : Path
        The unpacked MovieLens folder.

    Returns
    -------
    LoadReport
        What came in.

    Raises
    ------
    DataError
        A file is malformed, and where.
    ConfigError
        The workspace holds films with other numbers.
    StoreError
        The workspace cannot be written. Whatever goes wrong, what was there before stays as it was.
    """
    files = read_films(folder)
    ratings = read_movielens(folder)
    workspace = Workspace.create(home)
    n_read = len(ratings)
    ratings = ratings.of_films([film.movie_id for film in files.films])
    with exclusive(workspace.home):
        _write_catalogue(workspace, folder, files, ratings)
    notes = [*files.notes]
    if n_read > len(ratings):
        notes.append(f"{n_read - len(ratings)} ratings are of films that the folder does not list; passed over")
    if not any(film.tmdb_id or film.imdb_id for film in files.films):
        notes.append("no film has a TMDB or IMDb id: posters cannot be fetched, only imported")
    if not n_read:
        notes.append(f"no ratings in {folder}: films will be compared by their posters alone")
    return LoadReport(len(files.films), len(ratings), len(set(ratings.user_ids.tolist())), tuple(notes))


def import_posters(workspace: Workspace, source: Path, by: By | None, *, progress: Progress = silent) -> ImportReport:
    """Copy posters that a user already has into the workspace.

    Parameters
    ----------
    workspace : Workspace
        The workspace, with films.
    source : Path
        A folder of picture files named by id; or a CSV file with the columns movie_id and path.
    by : {"movie", "imdb", "tmdb"} or None
        Whose ids the files are named by; None for a CSV file.
    progress : Progress, optional
        Shows how far it is.

    Returns
    -------
    ImportReport
        What was copied, what matches no film, what is no picture.

    Raises
    ------
    DataError
        The folder or file is missing, empty or malformed.
    StoreError
        The disk is full; what was copied is kept.
    """
    films = _films(workspace)
    with PosterStore.open(workspace.posters_dir) as store, _shown(progress, "import", "posters") as show:
        if by is None:
            return import_csv(source, films, store, on_progress=show)
        return import_folder(source, films, store, by, on_progress=show)


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
    posters = _posters(workspace)
    if not posters:
        raise NotBuiltError("no posters here yet; run `keyart fetch` or `keyart import FOLDER`")
    pictures = [Picture(poster.movie_id, poster.path, poster.sha256) for poster in posters]
    return _extract(pictures, workspace.features_dir, how, progress, "posters", spark)


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
        with _shown(progress, "extract", "tasks") as show:
            return on_spark.extract_features(df, how.choice, extractor, store, keras_models_dir(), on_progress=show)


def build(
    workspace: Workspace,
    options: IndexOptions | None = None,
    *,
    progress: Progress = silent,
    on_plan: Callable[[Plan], None] = lambda _: None,
) -> BuildReport:
    """Bring the index up to date with the features, and the item similarities with the ratings.

    Parameters
    ----------
    workspace : Workspace
        The workspace, with features or ratings.
    options : IndexOptions, optional
        What is wanted of the index. Where nothing is said and nothing is there yet, its kind is chosen by its size,
        and the mean of all features is subtracted for random weights, whose features all point much the same way.
    progress : Progress, optional
        Shows how far it is.
    on_plan : callable, optional
        Is told what will be built and how long it takes, before the index is built anew.

    Returns
    -------
    BuildReport
        What was made.

    Raises
    ------
    NotBuiltError
        There are neither features nor ratings.
    StoreError
        The disk is full; what was built before is untouched.
    """
    notes = []
    ratings = open_ratings(workspace)
    indexed = _build_index(workspace, options or IndexOptions(), progress, on_plan)
    if indexed is None:
        if not len(ratings):
            raise NotBuiltError("neither features nor ratings here yet; run `keyart import`, then `keyart extract`")
        notes.append(
            "no features yet, so films will be compared by ratings alone; run `keyart extract` for their looks"
        )
    n_similar = _build_item_similarities(workspace, ratings, progress)
    if not n_similar:
        notes.append("no ratings, so films will be compared by looks alone")
    if indexed is None:
        return BuildReport({}, "", n_similar, tuple(notes))
    return BuildReport(indexed.index.report, indexed.how, n_similar, (*notes, *_index_notes(indexed.index.report)))


def open_ratings(workspace: Workspace) -> Ratings:
    """Open the ratings of a workspace.

    Parameters
    ----------
    workspace : Workspace
        The workspace, with films.

    Returns
    -------
    Ratings
        As loaded.

    Raises
    ------
    NotBuiltError
        Nothing has been loaded.
    DataError
        The file is damaged.
    """
    with Catalogue.open(workspace.catalogue_path) as catalogue:
        name = catalogue.fact("ratings")
    return Ratings.open(workspace.ratings_path(name)) if name else Ratings.empty()


def current_features(workspace: Workspace, *, check: bool = False) -> tuple[FeatureStore, FeatureRows]:
    """Open the features of those posters that are still there and unchanged.

    Parameters
    ----------
    workspace : Workspace
        The workspace, with features.
    check : bool, default False
        Hold all features to their checksums, which reads them whole.

    Returns
    -------
    store : FeatureStore
        All features.
    rows : FeatureRows
        The rows that count.

    Raises
    ------
    NotBuiltError
        There are no features.
    DataError
        A shard is damaged.
    """
    store = FeatureStore.open(workspace.features_dir)
    return store, store.rows(check=check).of_posters({poster.movie_id: poster.sha256 for poster in _posters(workspace)})


def fingerprint(rows: FeatureRows) -> str:
    """Sum up which posters an index is of, so that one out of date can be told.

    Parameters
    ----------
    rows : FeatureRows
        The rows it is or would be built from.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    pairs = zip(rows.movie_ids.tolist(), rows.poster_sha256s, strict=True)
    return hashlib.sha256("\n".join(f"{movie_id} {sha256}" for movie_id, sha256 in pairs).encode()).hexdigest()


@contextmanager
def _shown(progress: Progress, description: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function that is told how many are done of how many, and shows it from the first call on."""
    with ExitStack() as shown:
        advance: Advance | None = None
        n_shown = 0

        def show(n_done: int, n_total: int) -> None:
            nonlocal advance, n_shown
            if advance is None:
                advance = shown.enter_context(progress(description, n_total, unit))
            advance(n_done - n_shown)
            n_shown = n_done

        yield show


def _build_index(
    workspace: Workspace, options: IndexOptions, progress: Progress, on_plan: Callable[[Plan], None]
) -> IndexChange | None:
    try:
        store, rows = current_features(workspace, check=True)
    except NotBuiltError:
        return None
    if not len(rows):
        # No poster is left of those that it was built from.
        with exclusive(workspace.index_dir):
            index_files.remove_all(workspace.index_dir)
        return None
    return bring_up_to_date(
        workspace,
        store,
        rows,
        fingerprint(rows),
        options,
        centre_by_default=BackboneChoice(**store.origin).is_random,
        progress=progress,
        on_plan=on_plan,
    )


def _index_notes(report: dict[str, Any]) -> Iterator[str]:
    for movie_id, reason in report["left_out"].items():
        yield f"movie_id {movie_id} is not in the index: {reason}"
    measured = report["report"]
    if not measured["target_met"]:
        reached = ", ".join(f"{value:.3f} of {k}" for k, value in measured["recall"].items())
        yield (
            f"the shortlist finds {reached} truly nearest films, wanted were {measured['target_recall']:g}; allow more "
            "with --max-memory, or name --index exact"
        )


def _build_item_similarities(workspace: Workspace, ratings: Ratings, progress: Progress) -> int:
    with Catalogue.open(workspace.catalogue_path) as catalogue:
        source = catalogue.fact("ratings") or ""
    matrix = ratings.matrix()
    with progress("item similarity", len(matrix.movie_ids), "films") as advance:
        model = ItemCosine(source=source).fit(matrix)
        advance(len(matrix.movie_ids))
    with exclusive(workspace.model_dir(ItemCosine.name)):
        model.save(workspace.model_dir(ItemCosine.name))
    return len(matrix.movie_ids)


def _write_catalogue(workspace: Workspace, folder: Path, files: FilmFiles, ratings: Ratings) -> None:
    _check_numbering(workspace, files.numbering)
    # The catalogue names its ratings, so the rename that puts it in place changes both at once.
    name = f"ratings-{secrets.token_hex(4)}.parquet"
    ratings.save(workspace.ratings_path(name))
    try:
        facts = {"numbering": files.numbering, "ratings": name, "source": folder.absolute().name}
        Catalogue.create(workspace.catalogue_path, _with_support(files.films, ratings), facts)
    except BaseException:
        workspace.ratings_path(name).unlink(missing_ok=True)
        raise
    for path in workspace.home.glob("ratings-*.parquet"):
        if path.name != name:
            path.unlink(missing_ok=True)


def _check_numbering(workspace: Workspace, numbering: str) -> None:
    """Refuse films whose numbers mean other films than those that are there."""
    if not workspace.catalogue_path.is_file():
        return
    try:
        catalogue = Catalogue.open(workspace.catalogue_path)
    except DataError:
        # Of an older version or damaged: loading again is the way out.
        return
    with catalogue:
        there = catalogue.fact("numbering")
        if there != numbering:
            raise ConfigError(
                f"{workspace.home} holds films numbered as in {there}, this folder numbers them as {numbering}, so "
                "posters would go to the wrong films; name another workspace with --home DIR"
            )


def _with_support(films: Sequence[Film], ratings: Ratings) -> list[Film]:
    movie_ids, n_ratings, means = (values.tolist() for values in ratings.support())
    support = {movie_id: (n, mean) for movie_id, n, mean in zip(movie_ids, n_ratings, means, strict=True)}
    rated = (support.get(film.movie_id, (0, None)) for film in films)
    return [replace(film, n_ratings=n, mean_rating=mean) for film, (n, mean) in zip(films, rated, strict=True)]


def _films(workspace: Workspace) -> list[Film]:
    with Catalogue.open(workspace.catalogue_path) as catalogue:
        return list(catalogue)


def _posters(workspace: Workspace) -> list[Poster]:
    known = {film.movie_id for film in _films(workspace)}
    try:
        with PosterStore.open_to_read(workspace.posters_dir) as store:
            return [poster for poster in store.posters() if poster.movie_id in known]
    except NotBuiltError:
        return []


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
            with _shown(progress, "extract", "tasks") as show:
                return on_spark.extract_features(df, how.choice, extractor, store, keras_models_dir(), on_progress=show)
        with progress("extract", len(pictures), unit) as advance:
            return extract_features(pictures, extractor, store, on_picture=lambda: advance(1))


def _bring_imagenet_weights(progress: Progress) -> None:
    """Download the weights into Keras' cache, if they are not there, so that it can be seen to go on."""
    with _shown(progress, "weights", "bytes") as show:
        n_came = 0

        def on_bytes(n_bytes: int, n_total: int | None) -> None:
            nonlocal n_came
            n_came += n_bytes
            show(n_came, n_total or 0)

        imagenet_weights_path(keras_models_dir(), on_bytes=on_bytes)
