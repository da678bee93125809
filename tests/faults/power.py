"""What a disk may hold after a power failure, by the operations before it.

A file's content is safe once the file was synced, and a name once its folder was. Of what was done since, the disk may
have all, nothing, or some: names without their content, zeros where data was written, a part of the writes. Changes of
one folder reach the disk in their order.

References
----------
.. [1] T. S. Pillai et al., "All file systems are not created equal: on the complexity of crafting crash-consistent
   applications", OSDI 2014.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal

from tests.faults.preload import Kind, Operation

Loss = Literal["all", "content", "zeros", "names", "some", "nothing"]
LOSSES: tuple[Loss, ...] = ("all", "content", "zeros", "names", "some")
"""What is lost of what was not synced: everything, content, content that reads as zeros, names, or some of it."""

# A disk writes a sector as a whole.
_SECTOR = 512


@dataclass
class _File:
    synced: bytes = b""
    # Writes at an offset; cuts to a length have no content.
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def sync(self) -> None:
        self.synced, self.pending = _applied(self.synced, self.pending), []

    def content(self, loss: Loss, rng: Random) -> bytes:
        """Return what the disk may hold."""
        match loss:
            case "all" | "content":
                return self.synced
            case "names" | "nothing":
                return _applied(self.synced, self.pending)
            case "zeros":
                return _applied(self.synced, [(at, data and bytes(len(data))) for at, data in self.pending])
        return _applied(self.synced, [_torn(change, rng) for change in self.pending if rng.random() < 0.5])


@dataclass
class _Folder:
    synced: dict[str, _File | _Folder] = field(default_factory=dict)
    live: dict[str, _File | _Folder] = field(default_factory=dict)
    # The entries after each change since the folder was synced.
    pending: list[dict[str, _File | _Folder]] = field(default_factory=list)

    def change(self, *, remove: str = "", name: str = "", node: _File | _Folder | None = None) -> None:
        self.live.pop(remove, None)
        if node is not None:
            self.live[name] = node
        self.pending.append(dict(self.live))

    def sync(self) -> None:
        self.synced, self.pending = dict(self.live), []

    def entries(self, loss: Loss, rng: Random) -> dict[str, _File | _Folder]:
        """Return the names that the disk may hold."""
        if loss in ("all", "names"):
            return self.synced
        return rng.choice([self.synced, *self.pending]) if loss == "some" else self.live


class Disk:
    """A folder on a disk, to which operations are applied one by one."""

    def __init__(self, folder: Path) -> None:
        """Begin with the files of a folder, which are all safe."""
        self._root = _read(folder)
        self._open: dict[int, _File | _Folder] = {}

    def apply(self, operation: Operation, below: Path) -> None:
        """Apply an operation on paths below a folder."""
        match operation.kind:
            case Kind.OPEN | Kind.CREATE:
                self._opened(operation, below)
            case Kind.WRITE:
                self._changed(operation.serial, operation.offset, operation.content)
            case Kind.TRUNCATE:
                self._changed(operation.serial, operation.offset, None)
            case Kind.SYNC:
                if operation.serial in self._open:
                    self._open[operation.serial].sync()
            case Kind.MKDIR:
                folder, name = self._at(operation.path, below)
                folder.change(name=name, node=_Folder())
            case Kind.UNLINK | Kind.RMDIR:
                folder, name = self._at(operation.path, below)
                folder.change(remove=name)
            case Kind.RENAME:
                self._renamed(operation, below)
            case Kind.LINK:
                folder, name = self._at(operation.other, below)
                source, source_name = self._at(operation.path, below)
                folder.change(name=name, node=source.live[source_name])

    def _opened(self, operation: Operation, below: Path) -> None:
        if Path(operation.path) == below:
            self._open[operation.serial] = self._root
            return
        folder, name = self._at(operation.path, below)
        if operation.kind is Kind.CREATE:
            folder.change(name=name, node=_File())
        self._open[operation.serial] = folder.live[name]
        if operation.is_emptying:
            self._changed(operation.serial, 0, None)

    def _changed(self, serial: int, offset: int, content: bytes | None) -> None:
        node = self._open[serial]
        if isinstance(node, _File):
            node.pending.append((offset, content))

    def _renamed(self, operation: Operation, below: Path) -> None:
        source, name = self._at(operation.path, below)
        target, other = self._at(operation.other, below)
        node = source.live[name]
        if source is target:
            # One change: never both names, nor none.
            source.change(remove=name, name=other, node=node)
        else:
            target.change(name=other, node=node)
            source.change(remove=name)

    def _at(self, path: str, below: Path) -> tuple[_Folder, str]:
        *folders, name = Path(path).relative_to(below).parts
        folder = self._root
        for part in folders:
            node = folder.live[part]
            if not isinstance(node, _Folder):
                raise TypeError(f"{path} is not below a folder")
            folder = node
        return folder, name

    def write(self, folder: Path, loss: Loss, rng: Random) -> None:
        """Write what is left after a power failure into a new folder."""
        _write(self._root, folder, loss, rng)


def after_failures(
    operations: list[Operation], base: Path, below: Path, seed: int
) -> Iterator[tuple[int, Loss, Disk, Random]]:
    """Yield the disk after each of the operations, with each loss."""
    disk = Disk(base)
    for number, operation in enumerate(operations, start=1):
        disk.apply(operation, below)
        if not operation.is_reading:
            for loss in LOSSES:
                yield number, loss, disk, Random(f"{seed} {number}")


def _read(folder: Path) -> _Folder:
    entries: dict[str, _File | _Folder] = {
        path.name: _read(path) if path.is_dir() else _File(path.read_bytes()) for path in folder.iterdir()
    }
    return _Folder(entries, dict(entries))


def _write(node: _Folder, folder: Path, loss: Loss, rng: Random) -> None:
    folder.mkdir()
    for name, entry in sorted(node.entries(loss, rng).items()):
        if isinstance(entry, _Folder):
            _write(entry, folder / name, loss, rng)
        else:
            (folder / name).write_bytes(entry.content(loss, rng))


def _applied(content: bytes, changes: list[tuple[int, bytes | None]]) -> bytes:
    data = bytearray(content)
    for at, written in changes:
        if written is None:
            del data[at:]
            data.extend(bytes(at - len(data)))
        else:
            data.extend(bytes(max(0, at - len(data))))
            data[at : at + len(written)] = written
    return bytes(data)


def _torn(change: tuple[int, bytes | None], rng: Random) -> tuple[int, bytes | None]:
    at, written = change
    if written is None or len(written) <= _SECTOR or rng.random() < 0.5:
        return change
    return at, written[: rng.randrange(0, len(written), _SECTOR)]
