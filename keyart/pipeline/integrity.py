"""Check a workspace as a whole, and mend what can be mended."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from catalog.errors import KeyartError, StoreError
from catalog.io.checksums import record_checksums
from catalog.io.files import read_record, record_kind, remove_file, sqlite_errors
from catalog.io.locks import check_idle, exclusive
from catalog.io.progress import Progress, shown, silent
from catalog.text import plural
from keyart.pipeline.checks import check_workspace, lock_folders
from keyart.pipeline.encoders import remove_for_good
from keyart.pipeline.findings import Fault, Finding, Findings, Mend
from keyart.workspace.encoders import list_encoders, name_of
from keyart.workspace.hints import complete, home_option, names_workspace
from keyart.workspace.layout import Home, Workspace
from posters.database import DATABASE_NAME
from posters.store import PosterStore

_N_LISTED = 3
_N_ROUNDS = 4


@dataclass(frozen=True)
class CheckReport:
    """What `check` found, and what it mended.

    Parameters
    ----------
    findings : tuple of Finding
        What is wrong, of the parts that others are made from first; each has `path`, `problem` and `remedy`. After a
        repair, what is left of it.
    mended : tuple of str
        What was mended, a sentence each.
    notes : tuple of str
        What a user should know, a sentence each: what cannot be verified, and why something could not be mended.
    """

    findings: tuple[Finding, ...]
    mended: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """Convert to what JSON can hold.

        Returns
        -------
        dict
            The fields by name, and ``is_whole``; a finding as a mapping of path, problem and remedy.
        """
        findings = [asdict(one) for one in self.findings]
        return {"is_whole": self.is_whole, "findings": findings, "mended": [*self.mended], "notes": [*self.notes]}


@names_workspace
def check(
    home: Home, *, repair: bool = False, trust_databases: bool = False, progress: Progress = silent
) -> CheckReport:
    """Check all of a workspace: every file, id and fingerprint; with `repair`, mend what can be mended.

    Every file is compared with its checksum, the ids of every part with those of the others, and every part with what
    it was made from. Nothing is changed without `repair`. A repair rebuilds what is made from other parts, sets damaged
    posters to be fetched or imported again, keeping their files beside them, and removes what killed processes left. It
    never removes a catalog, ratings or a database of posters, however damaged: the report says how to mend those.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace.
    repair : bool, default False
        Mend what can be mended, and check again.
    trust_databases : bool, default False
        With `repair`: accept ``catalog.sqlite`` and ``posters.sqlite`` as they are where they have other checksums than
        recorded and pass SQLite's own check. Only for files that another program wrote: a damaged text passes too.
    progress : Progress, optional
        Shows the number of posters that were read; shows nothing by default.

    Returns
    -------
    CheckReport
        What is wrong, what was mended, and what cannot be verified.

    Raises
    ------
    NotBuiltError
        The workspace does not exist.
    StoreError
        Another process is writing into the workspace, or a file cannot be read.

    Examples
    --------
    >>> import keyart
    >>> keyart.pipeline.check("keyart-data").is_whole  # doctest: +SKIP
    True
    """
    workspace, result = _checked(home, progress, trust_databases)
    repairs = _Repairs()
    # What is mended may show what was made from it, which is outdated then.
    for _ in range(_N_ROUNDS if repair else 0):
        if not repairs.run(workspace, result.faults, progress):
            break
        workspace, result = _checked(home, progress, trust_databases)
    return CheckReport(
        _completed(result.faults, workspace), tuple(repairs.mended), (*repairs.notes, *_unverified(result))
    )


def _checked(home: Home, progress: Progress, trust_databases: bool) -> tuple[Workspace, Findings]:
    workspace, lost_record = _opened(home)
    if lost_record:
        # Nobody knows what else belongs to the workspace before it is mended.
        result = Findings(workspace)
        result.faults.append(lost_record)
        return workspace, result
    for folder in lock_folders(workspace):
        check_idle(folder)
    with shown(progress, "check", "posters") as show:
        n_read = 0

        def advance(n: int) -> None:
            nonlocal n_read
            n_read += n
            show(n_read, 0)

        result = check_workspace(workspace, advance, trusts_databases=trust_databases)
    return workspace, result


def _opened(home: Home) -> tuple[Workspace, Fault | None]:
    """Open a workspace, also one whose record is damaged or lost beside a catalog of films."""
    path = home.home if isinstance(home, Workspace) else Path(home)
    try:
        workspace = Workspace.open(home)
    except KeyartError as error:
        # What cannot be read now may be whole.
        if isinstance(error, StoreError) or not (path / "catalog.sqlite").is_file():
            raise
        problem = "it is missing, or not as it was written"
        remedy = "run `keyart check --repair`, then `keyart encoders default NAME` if the first is not the default"
        del error
        return Workspace(path), Fault("workspace.json", problem, remedy, Mend.RECORD)
    return workspace, None


def _completed(findings: Sequence[Fault], workspace: Workspace) -> tuple[Finding, ...]:
    """Name the workspace in the commands that findings propose."""
    option = home_option(workspace.home)
    return tuple(Finding(one.path, one.problem, complete(one.remedy, option)) for one in findings)


def _unverified(found: Findings) -> Iterable[str]:
    if names := found.unverified:
        more = ", …" if len(names) > _N_LISTED else ""
        what = plural(len(names), "file of an earlier version has", "files of an earlier version have")
        listed = ", ".join(names[:_N_LISTED])
        yield f"{what} no checksum and cannot be verified ({listed}{more}); whatever writes them next adds one"
    for name in found.changed:
        yield (
            f"{name} was changed by another program, or by one that was interrupted: it passes SQLite's own check, but "
            "cannot be verified until keyart writes it again"
        )


class _Repairs:
    """What was mended, and why something could not be."""

    def __init__(self) -> None:
        self.mended: list[str] = []
        self.notes: list[str] = []
        self._failed: set[tuple[Mend, str]] = set()

    def run(self, workspace: Workspace, findings: Sequence[Fault], progress: Progress) -> bool:
        """Do what mends the findings, each once; return whether there was anything to do."""
        # One run builds the indexes of all encoders.
        actions = {(one.mend, "" if one.mend is Mend.BUILD else one.about): one for one in findings if one.mend}
        wanted = sorted(actions.keys() - self._failed)
        for key in wanted:
            finding = actions[key]
            try:
                if done := _MENDERS[finding.mend](workspace, finding, progress):
                    self.mended.append(done)
            except KeyartError as error:
                self._failed.add(key)
                self.notes.append(f"{finding.path} was not mended: {error}")
        return bool(wanted)


# A mender takes the lock of those who write the part, and looks again before it changes anything: what was found may
# have been mended meanwhile. It returns what it did, or None where there was nothing left to do.


def _mend_record(workspace: Workspace, finding: Fault, progress: Progress) -> str | None:
    del finding, progress
    was_written = workspace.restore_record()
    return "workspace.json was written anew; the first encoder is the default" if was_written else None


def _mend_catalog_checksum(workspace: Workspace, finding: Fault, progress: Progress) -> str | None:
    del progress
    with exclusive(workspace.home):
        return _recorded_anew(workspace.catalog_path, finding) if finding.stands() else None


def _mend_posters_checksum(workspace: Workspace, finding: Fault, progress: Progress) -> str | None:
    del progress
    with exclusive(workspace.posters_dir):
        return _recorded_anew(workspace.posters_dir / DATABASE_NAME, finding) if finding.stands() else None


def _recorded_anew(path: Path, finding: Fault) -> str:
    with sqlite_errors(path), closing(sqlite3.connect(path)) as connection:
        # What another program left in a log would change the file later.
        connection.execute("PRAGMA journal_mode = DELETE")
    record_checksums(path, [path])
    name = finding.path if finding.path.endswith(".json") else f"the checksum of {finding.path}"
    return f"{name} was written anew, as the database passes SQLite's own check"


def _mend_poster(workspace: Workspace, finding: Fault, progress: Progress) -> str | None:
    del progress
    with PosterStore.open(workspace.posters_dir) as store, store.writer_lock():
        if not finding.stands():
            return None
        damaged = store.set_aside(int(finding.about), f"{finding.path} was damaged")
    where = f", kept as {damaged.name}" if damaged else ""
    return f"{finding.path} is set to be fetched or imported again{where}"


def _mend_leftover(workspace: Workspace, finding: Fault, progress: Progress) -> str | None:
    del progress
    path = Path(finding.about)
    folders = {*lock_folders(workspace)}
    with exclusive(next(one for one in path.parents if one in folders)):
        if not finding.stands():
            return None
        remove_for_good(path)
    return f"{finding.path} was removed"


def _mend_features(workspace: Workspace, finding: Fault, progress: Progress) -> str:
    from keyart.pipeline.features import extract_view

    report = extract_view(_view(workspace, finding.about), progress=progress)
    return f"features of {plural(report.n_new, 'poster')} were computed by {finding.about}"


def _discard(workspace: Workspace, finding: Fault, progress: Progress) -> str | None:
    del progress
    record_path = Path(finding.about)
    with exclusive(record_path.parent):
        if not finding.stands():
            return None
        for path in (record_path, *record_path.parent.glob(f"{record_path.stem}-????????.npz")):
            remove_file(path)
    del workspace
    return f"{finding.path} was removed, and is computed anew when it is next used"


def _build(workspace: Workspace, finding: Fault, progress: Progress) -> str:
    from keyart.pipeline.index import build

    del finding
    report = build(workspace.home, progress=progress)
    return f"the indexes and the item similarities were built, of {plural(report.n_indexed, 'film')}"


def _fit(workspace: Workspace, finding: Fault, progress: Progress) -> str | None:
    from cf.registry import model_class
    from keyart.pipeline.recommenders import fit

    del progress
    # Before a fit of minutes, and not under the lock, which it takes to save the model.
    if not finding.stands():
        return None
    kind = model_class(finding.about)
    path = workspace.model_dir(finding.about) / f"{kind.name}.json"
    fit(workspace.home, finding.about, _parameters(path, kind.version))
    return f"{finding.about} was fitted again"


def _parameters(record_path: Path, version: int) -> dict[str, Any] | None:
    """Read the parameters of a fitted model; None where its record is damaged too."""
    try:
        result = read_record(record_path, str(record_kind(record_path)), version).get("parameters")
    except (KeyartError, OSError):
        return None
    return result if isinstance(result, dict) else None


def _tune(workspace: Workspace, finding: Fault, progress: Progress) -> str | None:
    from keyart.pipeline.recommenders import tune

    if not finding.stands():
        return None
    tune(_view(workspace, finding.about), progress=progress)
    return f"the blend was tuned again, to the look-alikes of {finding.about}"


def _atlas(workspace: Workspace, finding: Fault, progress: Progress) -> str:
    from keyart.atlas.build import AtlasOptions, make_atlas

    report = make_atlas(_view(workspace, finding.about), AtlasOptions(), progress=progress)
    return f"the atlas of {finding.about} was {report.how}"


def _view(workspace: Workspace, name: str) -> Workspace:
    views = {name_of(view): view for view in list_encoders(workspace)}
    return views.get(name, workspace)


_MENDERS: dict[Mend, Callable[[Workspace, Fault, Progress], str | None]] = {
    Mend.RECORD: _mend_record,
    Mend.CATALOG_CHECKSUM: _mend_catalog_checksum,
    Mend.POSTERS_CHECKSUM: _mend_posters_checksum,
    Mend.POSTER: _mend_poster,
    Mend.LEFTOVER: _mend_leftover,
    Mend.EXTRACT: _mend_features,
    Mend.DISCARD: _discard,
    Mend.BUILD: _build,
    Mend.FIT: _fit,
    Mend.TUNE: _tune,
    Mend.ATLAS: _atlas,
}
