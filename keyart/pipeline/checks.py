"""Check all parts of a workspace: files by checksums, ids by each other, fingerprints by what they were made from."""

from __future__ import annotations

import os
import shlex
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from catalog.database import connect_to_read
from catalog.errors import DataError, IncompleteError, KeyartError, NotBuiltError, StoreError
from catalog.films import Catalog
from catalog.io.arrays import hold_arrays, unnamed_arrays
from catalog.io.checksums import ChecksumError, checksums_path, recorded_checksums
from catalog.io.files import is_partial, sqlite_errors
from catalog.io.locks import LOCK_NAME
from catalog.text import plural
from cf.models.neighbors import ItemCosine
from cf.registry import MODELS, model_class
from features.store import FeatureStore
from index import manifest
from index.build import faulty_films
from index.cosine import CosineIndex
from index.record import IndexRecord
from keyart.atlas.record import Atlas, files_of
from keyart.pipeline.encoders import removed_parts
from keyart.pipeline.findings import Findings, Mend, fails, problem_of
from keyart.similarity.blending import compared_by, open_hybrid, stale_blend
from keyart.workspace import alternates
from keyart.workspace.contents import fingerprint, open_ratings
from keyart.workspace.encoders import has_index, list_encoders, name_of
from keyart.workspace.films import list_posters, open_posters
from keyart.workspace.gaps import listed
from keyart.workspace.index import open_index
from keyart.workspace.layout import Workspace, is_ratings_name
from keyart.workspace.poster_steps import lost_poster_step
from posters.database import DATABASE_NAME, unused_files
from posters.store import PosterStore, is_set_aside

_COPY = "put back a copy of it"
_AGAIN = "run `keyart check --repair`"
_NO_RECORD = "it is missing, though files are there that it names: it was never finished, or is lost"
_TRUST = "keyart check --repair --trust-databases"


@dataclass
class _Known:
    """What the checks of later parts compare with; None where it cannot be read."""

    films: frozenset[int] | None = None
    # Films that were loaded, and removed since.
    removed: frozenset[int] = frozenset()
    ratings: str | None = None
    # The hashes of posters as they were stored, by movie_id.
    posters: Mapping[int, str] | None = None
    # Of the current features, by encoder; None where there are none.
    fingerprints: dict[str | None, str | None] = field(default_factory=dict)


def check_workspace(
    workspace: Workspace, progress: Callable[[int], None] = lambda _: None, *, trusts_databases: bool = False
) -> Findings:
    """Check all parts; `progress` receives the numbers of posters whose files were read."""
    findings, known = Findings(workspace, trusts_databases=trusts_databases), _Known()
    findings.note_unverified(workspace.record_path)
    _check_catalog(findings, known)
    _check_ratings(findings, known)
    _check_posters(findings, known, progress)
    # Also parts of an encoder whose features are gone.
    for view in {view.encoder: view for view in (workspace, *list_encoders(workspace))}.values():
        _check_features(findings, known, view)
        _check_index(findings, known, view)
        _check_looks(findings, view)
        _check_hybrid(findings, known, view)
        _check_atlas(findings, known, view)
    _check_models(findings, known)
    _check_folders(findings)
    _check_removed(findings)
    return findings


def _reload(workspace: Workspace) -> str:
    """Name the command that loads the catalog again."""
    with (
        suppress(KeyartError, OSError),
        sqlite_errors(workspace.catalog_path),
        closing(connect_to_read(workspace.catalog_path)) as connection,
    ):
        result = connection.execute("SELECT value FROM facts WHERE name = 'loaded_from'").fetchone()
        if result and result[0]:
            source, *ratings = str(result[0]).splitlines()
            return "`" + shlex.join(["keyart", "load", source, *(("--ratings", ratings[0]) if ratings else ())]) + "`"
    return "`keyart load DIR`"


def _check_catalog(findings: Findings, known: _Known) -> None:
    workspace = findings.workspace
    path = workspace.catalog_path
    again = f"{_COPY}, or run {_reload(workspace)}, which keeps everything but added films"
    try:
        with Catalog.open(path) as catalog:
            known.films = frozenset(film.movie_id for film in catalog)
            known.removed = frozenset(catalog.removed())
            known.ratings = catalog.fact("ratings") or ""
            if wrong := catalog.inconsistency():
                findings.add(path, wrong, again)
        findings.note_unverified_database(path)
    except NotBuiltError:
        return
    except KeyartError as error:
        _add_database(findings, path, error, again, Mend.CATALOG_CHECKSUM, _check_catalog)


def _add_database(
    findings: Findings,
    path: Path,
    error: KeyartError,
    remedy: str,
    mend: Mend,
    check: Callable[[Findings, _Known], None],
) -> None:
    """Add a finding of a database that cannot be opened; where it is whole, of the record of its checksums alone."""
    if isinstance(error, StoreError):
        findings.add_error(path, error, remedy)
        return
    is_whole = _passes_own_check(path)
    stands = partial(_found_again, findings, check, mend)
    try:
        recorded_checksums(path)
    except KeyartError as damage:
        if is_whole:
            findings.add_error(checksums_path(path), damage, _AGAIN, mend, stands=stands)
            return
    if is_whole and isinstance(error, ChecksumError):
        trust = f"{remedy}; or, if another program wrote it, run `{_TRUST}`"
        mend = mend if findings.trusts_databases else Mend.NOTHING
        findings.add(path, problem_of(error), trust, mend, stands=stands)
    else:
        findings.add(path, problem_of(error), remedy)


def _found_again(findings: Findings, check: Callable[[Findings, _Known], None], mend: Mend) -> bool:
    """Check a part again; return whether the same is to be mended."""
    now = Findings(findings.workspace, trusts_databases=findings.trusts_databases)
    check(now, _Known())
    return any(one.mend is mend for one in now.faults)


def _passes_own_check(path: Path) -> bool:
    # Not by the path alone, which would create a file that is missing.
    address = f"{path.as_uri()}?mode=rw"
    with (
        suppress(KeyartError, OSError),
        # A name that is damaged may be no text.
        sqlite_errors(path),
        closing(sqlite3.connect(address, uri=True)) as connection,
    ):
        return bool(connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",))
    return False


def _check_ratings(findings: Findings, known: _Known) -> None:
    workspace = findings.workspace
    if not known.ratings:
        return
    path = workspace.ratings_path(known.ratings)
    remedy = f"{_COPY}, or run {_reload(workspace)}"
    with findings.of(path, remedy):
        ratings = open_ratings(workspace)
        unknown = set(ratings.movie_ids.tolist()) - (known.films or frozenset())
        if unknown:
            findings.add(path, f"ratings of films that the catalog lacks ({listed(sorted(unknown))})", remedy)
    _add_leftovers(findings, partial(_unnamed_ratings, workspace), "no catalog names these ratings")


def _unnamed_ratings(workspace: Workspace) -> list[Path]:
    """List the files of ratings that the catalog does not name; none where it names none."""
    # Before the catalog is read: a load that ends meanwhile has removed what is listed and no longer named.
    paths = [path for path in workspace.home.glob("ratings-*.parquet") if is_ratings_name(path.name)]
    try:
        with Catalog.open(workspace.catalog_path) as catalog:
            named = catalog.fact("ratings")
    except (NotBuiltError, DataError):
        return []
    return [path for path in paths if named and path.name != named]


def _check_posters(findings: Findings, known: _Known, progress: Callable[[int], None]) -> None:
    _check_poster_database(findings, known, partial(_check_poster_files, findings, known, progress=progress))


def _check_poster_database(
    findings: Findings, known: _Known, check: Callable[[PosterStore], None] = lambda _: None
) -> None:
    folder = findings.workspace.posters_dir
    path = folder / DATABASE_NAME
    joined = "; or move it away and" if path.is_file() else ", or"
    remedy = f"{_COPY}{joined} run {lost_poster_step(findings.workspace)}"
    try:
        store = open_posters(findings.workspace)
        if store is None:
            known.posters = {}
            return
        with store:
            check(store)
        findings.note_unverified_database(path)
    except IncompleteError as error:
        findings.add(path, problem_of(error), remedy)
    except KeyartError as error:
        _add_database(findings, path, error, remedy, Mend.POSTERS_CHECKSUM, _check_poster_database)


def _check_poster_files(findings: Findings, known: _Known, store: PosterStore, progress: Callable[[int], None]) -> None:
    posters, gone = store.posters_and_gone()
    # Features may be of a poster whose file was damaged later.
    known.posters = {one.movie_id: one.sha256 for one in posters if one.movie_id in (known.films or {one.movie_id})}
    for poster in posters:
        try:
            poster.read()
        except StoreError as error:
            findings.add_error(poster.path, error, "")
        except DataError as error:
            problem = problem_of(error).replace(f"the poster {poster.path} ", "")
            remedy = "run `keyart check --repair`, then `keyart fetch`, or import it again"
            stands = partial(_is_poster_damaged, findings.workspace.posters_dir, poster.movie_id)
            findings.add(poster.path, problem, remedy, Mend.POSTER, str(poster.movie_id), stands=stands)
        progress(1)
    for movie_id in sorted(gone & (known.films or frozenset())):
        record = store.record(movie_id)
        name = record.file_name if record and record.file_name else str(movie_id)
        path, remedy = store.path_of(name), "run `keyart fetch`, or import it again"
        if is_set_aside(path):
            # By a repair that was interrupted before it noted that.
            stands = partial(is_set_aside, path)
            findings.add(path, "it is set aside as damaged", remedy, Mend.POSTER, str(movie_id), stands=stands)
        else:
            findings.add(path, "it is missing or has another length", remedy)
    for path, is_whole in store.alternates.verified():
        if not is_whole:
            findings.add(path, "it has changed since it was stored, or is missing", "run `keyart fetch --refresh`")
    _add_leftovers(findings, partial(_unregistered, findings.workspace.posters_dir), "no film has this file")


def _is_poster_damaged(posters_dir: Path, movie_id: int) -> bool:
    with PosterStore.open_to_read(posters_dir) as store:
        poster = store.poster(movie_id)
        return poster is not None and fails(poster.read)


def _unregistered(posters_dir: Path) -> list[Path]:
    with PosterStore.open_to_read(posters_dir) as store:
        return store.unregistered()


def _check_features(findings: Findings, known: _Known, view: Workspace) -> None:
    folder, name = view.features_dir, name_of(view)
    known.fingerprints[view.encoder] = None
    extract = "run `keyart extract`"
    again = (f"{extract}, which computes its features again", Mend.EXTRACT, name)
    try:
        store = FeatureStore.open(folder)
    except NotBuiltError:
        if has_index(view):
            problem = "it is missing, though an index was built of its features"
            findings.add(folder, problem, f"{_COPY}, or {extract} with the network's name")
        return
    except KeyartError as error:
        findings.add_error(folder / "features.json", error, f"{extract} --rebuild with the network's name")
        return
    _check_alternates(findings, view)
    findings.note_unverified(folder / "features.json")
    if store.identity.whitening_sha256:
        findings.is_fine(store.whitening, folder / "whitening.npz", f"{extract} --rebuild", Mend.NOTHING)
    findings.is_fine(store.skipped, folder / "skipped.json", extract, Mend.EXTRACT, name)
    try:
        wrong = store.damaged_shards()
    except StoreError as error:
        findings.add_error(folder, error, extract)
        return
    for stem, problem in wrong.items():
        findings.add(folder / f"{stem}.npy", problem, *again)
    _check_unrecorded(findings, known, store, again)
    if wrong or known.posters is None:
        return
    rows = store.rows()
    with suppress(KeyartError):
        current = rows.of_posters(known.posters)
        known.fingerprints[view.encoder] = fingerprint(current) if len(current) else None
        lacking = sorted(known.posters.keys() - set(current.movie_ids.tolist()) - store.without_features())
        if lacking:
            what = plural(len(lacking), "poster has", "posters have")
            findings.add(folder, f"{what} no features ({listed(lacking)})", extract, Mend.EXTRACT, name)


def _is_one_of(posters: Mapping[int, str]) -> Callable[[int, str], bool]:
    return lambda movie_id, sha256: posters.get(movie_id) == sha256


def _check_unrecorded(findings: Findings, known: _Known, store: FeatureStore, again: tuple[str, Mend, str]) -> None:
    """Name the shards without a record: as lost where posters have no other features, else as leftovers."""
    folder = Path(str(store.folder))
    if known.posters is None:
        # Nobody knows what is wanted.
        return
    try:
        is_current = _is_one_of(known.posters)
        lost, left = store.lost_shards(is_current), store.remains(is_current)
    except (DataError, StoreError) as error:
        # What is wrong with other shards is named already.
        if isinstance(error, StoreError):
            findings.add_error(folder, error, "")
        return
    for stem, n_posters in lost.items():
        what = plural(n_posters, "poster has", "posters have")
        problem = f"it is lost, or was never written: {what} no features that are known to be whole"
        findings.add(folder / f"{stem}.json", problem, f"{_COPY}, or {again[0]}", *again[1:])

    def remains() -> list[Path]:
        posters = {one.movie_id: one.sha256 for one in list_posters(findings.workspace)}
        return [Path(str(path)) for path in FeatureStore.open(folder).remains(_is_one_of(posters))]

    for path in map(Path, map(str, left)):
        problem = "its shard was never finished, or its record is lost"
        _add_leftover(findings, path, problem, partial(_is_listed, path, remains))


def _check_alternates(findings: Findings, view: Workspace) -> None:
    """Check the features of further posters and their index, where there are any."""
    folder, name = alternates.features_dir(view), name_of(view)
    extract = ("run `keyart extract`", Mend.EXTRACT, name)
    if os.path.lexists(folder):
        with findings.of(folder, *extract):
            store = FeatureStore.open(folder)
            for stem, problem in store.damaged_shards().items():
                findings.add(folder / f"{stem}.npy", problem, *extract)
            if store.identity.whitening_sha256:
                findings.is_fine(store.whitening, folder / "whitening.npz", *extract)
            findings.is_fine(store.skipped, folder / "skipped.json", *extract)
    folder = alternates.index_dir(view)
    if os.path.lexists(folder / manifest.RECORD) or manifest.names_of(folder):
        with findings.of(folder / manifest.RECORD, "run `keyart build`", Mend.BUILD, name):
            manifest.hold(folder)
    # What is damaged is named above.
    with suppress(KeyartError):
        _compare_alternates(findings, view)


def _compare_alternates(findings: Findings, view: Workspace) -> None:
    """Compare the features of further posters with their files, and their index with the features."""
    name, path = name_of(view), alternates.index_dir(view) / manifest.RECORD
    if n_lacking := alternates.n_without_features(view):
        what = plural(n_lacking, "further poster has", "further posters have")
        findings.add(alternates.features_dir(view), f"{what} no features", "run `keyart extract`", Mend.EXTRACT, name)
    if problem := _index_of_others(view):
        findings.add(path, problem, "run `keyart build`", Mend.BUILD, name)


def _index_of_others(view: Workspace) -> str:
    """Return what an index of further posters does not fit; empty where it fits, and before films are indexed."""
    features = alternates.alternate_features(view)
    if not has_index(view) or features is None or len(faulty_films(features)) == len(features):
        return ""
    try:
        record = IndexRecord.read(alternates.index_dir(view))
    except IncompleteError:
        return ""
    except NotBuiltError:
        return "it is missing, though further posters have features"
    if record.fingerprint != fingerprint(features):
        return "it was built from other further posters or features than there are now"
    with open_index(view) as index:
        return (
            "" if record.identity == index.identity | index.space() else "it is in another space than the films' index"
        )


def _check_index(findings: Findings, known: _Known, view: Workspace) -> None:
    folder, build = view.index_dir, ("run `keyart build`", Mend.BUILD, name_of(view))
    path = folder / manifest.RECORD
    if not os.path.lexists(path):

        def files() -> list[Path]:
            return [folder / name for name in manifest.names_of(folder)]

        _check_without_record(findings, known, view, path, files, build)
        return

    def read() -> None:
        manifest.hold(folder)
        _add_leftovers(findings, partial(_unnamed_of_index, folder), "no record names it")
        with open_index(view) as index:
            _compare_index(findings, known, view, index)

    findings.note_unverified(path)
    findings.is_fine(read, path, *build)


def _unnamed_of_index(folder: Path) -> list[Path]:
    return [folder / name for name in manifest.names_of(folder) - manifest.hold(folder)]


def _check_without_record(
    findings: Findings,
    known: _Known,
    view: Workspace,
    path: Path,
    files: Callable[[], list[Path]],
    again: tuple[str, Mend, str],
) -> None:
    """Add a finding of an index or an atlas whose record is not there; without features its files are leftovers."""
    if known.fingerprints.get(view.encoder) is None:
        _add_leftovers(findings, lambda: [] if os.path.lexists(path) else files(), "no record names it")
    elif files():
        findings.add(path, _NO_RECORD, *again)


def _compare_index(findings: Findings, known: _Known, view: Workspace, index: CosineIndex) -> None:
    path, build = view.index_dir / manifest.RECORD, ("run `keyart build`", Mend.BUILD, name_of(view))
    if known.films is not None and (unknown := set(index.movie_ids.tolist()) - known.films):
        findings.add(path, f"it holds films that the catalog lacks ({listed(sorted(unknown))})", *build)
    of_features = known.fingerprints.get(view.encoder)
    if of_features is not None and (index.fingerprint or of_features) != of_features:
        findings.add(path, "it was built from other posters or features than there are now", *build)


def _check_looks(findings: Findings, view: Workspace) -> None:
    anew = "it is computed anew when it is next used"
    for folder, name in ((view.looks_dir, "looks"), (view.cold_start_dir, "cold-start")):
        path = folder / f"{name}.json"
        if os.path.lexists(path):
            findings.note_unverified(path)
            findings.is_fine(partial(hold_arrays, path), path, anew, Mend.DISCARD, str(path))
        _check_arrays_left(findings, folder, name)


def _check_hybrid(findings: Findings, known: _Known, view: Workspace) -> None:
    path = view.hybrid_path
    if not os.path.lexists(path):
        return
    findings.note_unverified(path)
    again = ("run `keyart tune`, or `keyart tune --reset`", Mend.TUNE, name_of(view))
    if findings.is_fine(partial(open_hybrid, view), path, *again) and (stale := _stale_blend(known, view)):
        findings.add(path, stale, *again)


def _stale_blend(known: _Known, view: Workspace) -> str | None:
    # What is damaged is named as such.
    with suppress(KeyartError):
        record = IndexRecord.read(view.index_dir)
        compared = compared_by(record.similarity, centered=record.centered)
        return None if known.ratings is None else stale_blend(open_hybrid(view), compared, known.ratings)
    return None


def _check_atlas(findings: Findings, known: _Known, view: Workspace) -> None:
    folder = view.atlas_dir
    path, again = folder / "atlas.json", ("run `keyart atlas`", Mend.ATLAS, name_of(view))
    if not os.path.lexists(path):
        _check_without_record(findings, known, view, path, lambda: [*files_of(folder)], again)
        return
    findings.note_unverified(path)
    try:
        atlas = Atlas.open(folder)
    except KeyartError as error:
        findings.add_error(path, error, *again)
        return
    for sheet in atlas.sheets:
        for name in sheet.files:
            findings.is_fine(partial(sheet.path, folder, name), folder / name, *again)
    on_sheets = sorted(movie_id for sheet in atlas.sheets for movie_id in sheet.movie_ids)
    if on_sheets != sorted(atlas.movie_ids.tolist()):
        findings.add(path, "its sheets show other films than it holds", *again)
    of_features = known.fingerprints.get(view.encoder)
    if of_features is not None and atlas.fingerprint != of_features:
        findings.add(path, "it was made from other posters or features than there are now", *again)
    _check_arrays_left(findings, folder, "atlas")
    _add_leftovers(findings, partial(_unshown_sheets, folder), "the atlas does not show it")


def _unshown_sheets(folder: Path) -> list[Path]:
    shown = {name for sheet in Atlas.open(folder).sheets for name in sheet.files}
    return [path for path in folder.glob("sheet-*.webp") if path.name not in shown]


def _check_models(findings: Findings, known: _Known) -> None:
    for name in MODELS:
        _check_model(findings, known, name)


def _check_model(findings: Findings, known: _Known, name: str) -> None:
    folder = findings.workspace.model_dir(name)
    path = folder / f"{model_class(name).name}.json"
    by_build = name == ItemCosine.name
    again = ("run `keyart build`" if by_build else f"run `keyart fit {name}`", Mend.BUILD if by_build else Mend.FIT)
    with findings.of(path, *again, name):
        if wrong := _wrong_with_model(known, name, path):
            stands = partial(_is_model_wrong, findings.workspace, name, path)
            findings.add(path, wrong, *again, name, stands=stands)
    if os.path.lexists(path):
        findings.note_unverified(path)
        _check_arrays_left(findings, folder, model_class(name).name)


def _wrong_with_model(known: _Known, name: str, path: Path) -> str | None:
    if not os.path.lexists(path):
        return _NO_RECORD if unnamed_arrays(path.parent, path.stem) else None
    try:
        model = model_class(name).open(path.parent)
    except (DataError, NotBuiltError) as error:
        return problem_of(error)
    if known.ratings is not None and model.source != known.ratings:
        return "it was fitted on other ratings than there are now"
    # Answers leave removed films out of a model that was fitted before.
    if known.films is not None and (unknown := set(model.movie_ids_.tolist()) - known.films - known.removed):
        return f"it holds films that the catalog lacks ({listed(sorted(unknown))})"
    return None


def _is_model_wrong(workspace: Workspace, name: str, path: Path) -> bool:
    known = _Known()
    _check_catalog(Findings(workspace), known)
    return _wrong_with_model(known, name, path) is not None


def _check_arrays_left(findings: Findings, folder: Path, name: str) -> None:
    _add_leftovers(findings, partial(unnamed_arrays, folder, name), "no record names it")


def _check_folders(findings: Findings) -> None:
    """Look for what killed processes left, in every folder that is written into."""
    workspace = findings.workspace
    views = {view.encoder: view for view in (workspace, *list_encoders(workspace))}.values()
    # Those of further posters are written into under the locks of the folders around them.
    further = (workspace.posters_dir / "alternates", *map(alternates.index_dir, views))
    for folder in (*lock_folders(workspace), *further):
        # Whoever holds the lock of the folder knows that these are leftovers, and has removed them.
        for path in (*filter(lambda one: is_partial(one.name), folder.glob(".*")), *folder.glob(f"{LOCK_NAME}.*.tmp")):
            _add_leftover(findings, path, "a process that was killed left it", lambda: True)
    list_them = partial(unused_files, workspace.posters_dir / DATABASE_NAME)
    _add_leftovers(findings, list_them, "a process that was killed left it")


def _check_removed(findings: Findings) -> None:
    list_them = partial(removed_parts, findings.workspace)
    _add_leftovers(findings, list_them, "the removal of an encoder was interrupted")


def lock_folders(workspace: Workspace) -> Iterable[Path]:
    """List the folders of a workspace that one process at a time writes into."""
    home = workspace.home
    yield from (home, workspace.posters_dir)
    for view in {view.encoder: view for view in (workspace, *list_encoders(workspace))}.values():
        yield from (view.features_dir, view.index_dir, view.looks_dir, view.atlas_dir, alternates.features_dir(view))
        if view.encoder is not None:
            yield view.encoder_dir
    yield from (path for path in (*home.glob("cf/*"), *home.glob("encoders/*/cf/*")) if path.is_dir())


def _add_leftovers(findings: Findings, list_them: Callable[[], list[Path]], problem: str) -> None:
    """Add a finding of each leftover; they are listed again before one is removed."""
    for path in list_them():
        _add_leftover(findings, path, problem, partial(_is_listed, path, list_them))


def _is_listed(path: Path, list_them: Callable[[], list[Path]]) -> bool:
    return path in list_them()


def _add_leftover(findings: Findings, path: Path, problem: str, stands: Callable[[], bool]) -> None:
    findings.add(path, f"{problem}: a leftover", _AGAIN, Mend.LEFTOVER, str(path), stands=stands)
